// Instructions that C cannot express, and the names of the bits that they deal with. The contract
// kernels know nothing of the project but its boot header, so these are their own.
#pragma once

#include <stdint.h>

static inline void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint64_t read_msr(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value) {
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint64_t read_tsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

#define CPU_READ_CONTROL(number)                                                                   \
    static inline uint64_t read_cr##number(void) {                                                 \
        uint64_t value;                                                                            \
        __asm__ volatile("mov %%cr" #number ", %0" : "=r"(value)::"memory");                       \
        return value;                                                                              \
    }
CPU_READ_CONTROL(0)
CPU_READ_CONTROL(3)
CPU_READ_CONTROL(4)

static inline uint64_t read_dr7(void) {
    uint64_t value;
    __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    return value;
}

static inline void write_cr3(uint64_t value) {
    __asm__ volatile("mov %0, %%cr3" ::"r"(value) : "memory");
}

static inline void write_cr4(uint64_t value) {
    __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory");
}

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf) {
    struct cpuid_result r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(0));
    return r;
}

// Operand of SGDT, SIDT, LGDT and LIDT.
struct table_register {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

// Control registers, SDM 3A 2.5.
#define CR0_PE         (UINT64_C(1) << 0)
#define CR0_MP         (UINT64_C(1) << 1)
#define CR0_ET         (UINT64_C(1) << 4)
#define CR0_NE         (UINT64_C(1) << 5)
#define CR0_WP         (UINT64_C(1) << 16)
#define CR0_PG         (UINT64_C(1) << 31)
#define CR4_PAE        (UINT64_C(1) << 5)
#define CR4_MCE        (UINT64_C(1) << 6)
#define CR4_PGE        (UINT64_C(1) << 7)
#define CR4_OSFXSR     (UINT64_C(1) << 9)
#define CR4_OSXMMEXCPT (UINT64_C(1) << 10)
#define CR4_UMIP       (UINT64_C(1) << 11)
#define CR4_LA57       (UINT64_C(1) << 12)
#define CR4_SMEP       (UINT64_C(1) << 20)
#define CR4_SMAP       (UINT64_C(1) << 21)
#define EFER_LME       (UINT64_C(1) << 8)
#define EFER_LMA       (UINT64_C(1) << 10)
#define EFER_NXE       (UINT64_C(1) << 11)
#define RFLAGS_ALWAYS  (UINT64_C(1) << 1)
#define DR7_RESET      UINT64_C(0x400)
#define MSR_APIC_BASE  0x1b
#define MSR_X2APIC     0x800
#define MSR_PAT        0x277
#define MSR_EFER       0xc0000080
#define MSR_FS_BASE    0xc0000100
#define MSR_GS_BASE    0xc0000101
#define MSR_KERNEL_GS  0xc0000102
