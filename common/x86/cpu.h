// One-instruction functions. Each says all that it clobbers; those that order memory say "memory".
#pragma once

#include "common/x86/regs.h"

#include <stdbool.h>
#include <stdint.h>

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpu_cpuid(uint32_t leaf, uint32_t subleaf) {
    struct cpuid r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t cpu_rdtsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

// A random number. False, with *ret_value undefined, if the CPU had none ready.
[[nodiscard]] static inline bool cpu_rdrand(uint64_t *ret_value) {
    bool is_ready;
    __asm__ volatile("rdrand %0" : "=r"(*ret_value), "=@ccc"(is_ready));
    return is_ready;
}

// The same from the source that seeds the generator behind RDRAND.
[[nodiscard]] static inline bool cpu_rdseed(uint64_t *ret_value) {
    bool is_ready;
    __asm__ volatile("rdseed %0" : "=r"(*ret_value), "=@ccc"(is_ready));
    return is_ready;
}

static inline uint64_t cpu_rdmsr(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void cpu_wrmsr(uint32_t msr, uint64_t value) {
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint8_t cpu_in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void cpu_out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline uint32_t cpu_in32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

// A device's register of 32 bits, in one access. `address` is a virtual one.
static inline uint32_t cpu_mmio_read32(uint64_t address) {
    uint32_t value;
    __asm__ volatile("movl %1, %0"
                     : "=r"(value)
                     : "m"(*(const volatile uint32_t *)address)
                     : "memory");
    return value;
}

static inline void cpu_mmio_write32(uint64_t address, uint32_t value) {
    __asm__ volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)address) : "r"(value) : "memory");
}

// The word that the base of GS points to.
static inline uint64_t cpu_read_gs_word(void) {
    uint64_t value;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(value));
    return value;
}

// Everything stored before is seen by all CPUs before anything that follows happens, a WRMSR too.
static inline void cpu_fence(void) {
    __asm__ volatile("mfence; lfence" ::: "memory");
}

static inline uint64_t cpu_read_cr0(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value)::"memory");
    return value;
}

static inline uint64_t cpu_read_cr2(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr2, %0" : "=r"(value)::"memory");
    return value;
}

static inline uint64_t cpu_read_cr3(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value)::"memory");
    return value;
}

static inline uint64_t cpu_read_cr4(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value)::"memory");
    return value;
}

static inline void cpu_write_cr0(uint64_t value) {
    __asm__ volatile("mov %0, %%cr0" ::"r"(value) : "memory");
}

static inline void cpu_write_cr3(uint64_t value) {
    __asm__ volatile("mov %0, %%cr3" ::"r"(value) : "memory");
}

static inline void cpu_write_cr4(uint64_t value) {
    __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory");
}

// Writes all that the caches hold back to memory and empties them.
static inline void cpu_write_back_caches(void) {
    __asm__ volatile("wbinvd" ::: "memory");
}

static inline void cpu_invlpg(uint64_t address) {
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}

// Makes this CPU forget the translations of all process-context identifiers, global ones too: type
// 2 of INVPCID (SDM 2A).
static inline void cpu_invpcid_all(void) {
    const uint64_t descriptor[2] = {0, 0};
    __asm__ volatile("invpcid %1, %0" ::"r"(UINT64_C(2)), "m"(descriptor) : "memory");
}

static inline void cpu_interrupts_off(void) {
    __asm__ volatile("cli" ::: "memory");
}

static inline void cpu_interrupts_on(void) {
    __asm__ volatile("sti" ::: "memory");
}

static inline uint64_t cpu_read_flags(void) {
    uint64_t value;
    __asm__ volatile("pushfq; popq %0" : "=r"(value)::"memory");
    return value;
}

static inline bool cpu_interrupts_are_on(void) {
    return (cpu_read_flags() & RFLAGS_IF) != 0;
}

// Turns interrupts off and returns whether they were on, for cpu_interrupts_restore: so pairs nest,
// and mean the same in an interrupt as outside.
[[nodiscard]] static inline bool cpu_interrupts_save(void) {
    bool were_on = cpu_interrupts_are_on();
    cpu_interrupts_off();
    return were_on;
}

static inline void cpu_interrupts_restore(bool were_on) {
    if (were_on)
        cpu_interrupts_on();
}

// Lets the kernel read and write user pages, which CR4.SMAP forbids unless RFLAGS.AC is set
// (SDM 3A 4.6.1), until cpu_user_access_end gets what this returned. Not STAC: CPUs without SMAP
// have none, and take the flag all the same.
[[nodiscard]] static inline uint64_t cpu_user_access_begin(void) {
    uint64_t flags = cpu_read_flags();
    __asm__ volatile("pushq %0; popfq" ::"r"(flags | RFLAGS_AC) : "memory", "cc");
    return flags;
}

static inline void cpu_user_access_end(uint64_t flags) {
    __asm__ volatile("pushq %0; popfq" ::"r"(flags) : "memory", "cc");
}

// Raises an interrupt; it comes whether interrupts are on or off. `vector` is a constant.
[[gnu::always_inline]] static inline void cpu_raise(const uint8_t vector) {
    __asm__ volatile("int %0" ::"i"(vector) : "memory");
}

// Turns interrupts on and waits for one: the pair is atomic, so none is lost between.
static inline void cpu_interrupts_on_wait(void) {
    __asm__ volatile("sti; hlt" ::: "memory");
}

static inline void cpu_pause(void) {
    __asm__ volatile("pause" ::: "memory");
}

[[gnu::noreturn]] static inline void cpu_stop(void) {
    for (;;)
        __asm__ volatile("cli; hlt" ::: "memory");
}
