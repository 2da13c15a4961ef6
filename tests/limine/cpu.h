// Instructions that C cannot express, and the names of the bits that they deal with. The
// conformance kernel knows nothing of the project but the protocol's header, so these are its own.
#pragma once

#include <stdint.h>

#define CPU_PORT(bits, suffix, operand)                                                            \
    static inline void out##bits(uint16_t port, uint##bits##_t value) {                            \
        __asm__ volatile("out" suffix " %" operand "0, %1" ::"a"(value), "Nd"(port) : "memory");   \
    }                                                                                              \
    static inline uint##bits##_t in##bits(uint16_t port) {                                         \
        uint##bits##_t value;                                                                      \
        __asm__ volatile("in" suffix " %1, %" operand "0" : "=a"(value) : "Nd"(port) : "memory");  \
        return value;                                                                              \
    }
CPU_PORT(8, "b", "b")
#undef CPU_PORT

static inline uint64_t read_msr(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

#define CPU_CONTROL(number)                                                                        \
    static inline uint64_t read_cr##number(void) {                                                 \
        uint64_t value;                                                                            \
        __asm__ volatile("mov %%cr" #number ", %0" : "=r"(value)::"memory");                       \
        return value;                                                                              \
    }
CPU_CONTROL(0)
CPU_CONTROL(3)
CPU_CONTROL(4)
#undef CPU_CONTROL

static inline void write_cr3(uint64_t value) {
    __asm__ volatile("mov %0, %%cr3" ::"r"(value) : "memory");
}

#define CPU_SELECTOR(name, instruction)                                                            \
    static inline uint16_t read_##name(void) {                                                     \
        uint32_t value;                                                                            \
        __asm__ volatile(instruction : "=r"(value));                                               \
        return (uint16_t)value;                                                                    \
    }
CPU_SELECTOR(cs, "mov %%cs, %0")
CPU_SELECTOR(ds, "mov %%ds, %0")
CPU_SELECTOR(es, "mov %%es, %0")
CPU_SELECTOR(ss, "mov %%ss, %0")
CPU_SELECTOR(fs, "mov %%fs, %0")
CPU_SELECTOR(gs, "mov %%gs, %0")
CPU_SELECTOR(ldtr, "sldt %0")
CPU_SELECTOR(tr, "str %0")
#undef CPU_SELECTOR

// Operand of SGDT, SIDT, LGDT and LIDT.
struct table_register {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static inline struct table_register read_gdtr(void) {
    struct table_register value;
    __asm__ volatile("sgdt %0" : "=m"(value));
    return value;
}

static inline struct table_register read_idtr(void) {
    struct table_register value;
    __asm__ volatile("sidt %0" : "=m"(value));
    return value;
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

static inline void cpu_pause(void) {
    __asm__ volatile("pause" ::: "memory");
}

_Noreturn static inline void cpu_halt(void) {
    for (;;)
        __asm__ volatile("cli; hlt" ::: "memory");
}

// Intel SDM 3A, 2.5; AMD APM 2, 3.1.
#define CR0_PE    (UINT64_C(1) << 0)
#define CR0_ET    (UINT64_C(1) << 4)
#define CR0_WP    (UINT64_C(1) << 16)
#define CR0_PG    (UINT64_C(1) << 31)
#define CR4_PAE   (UINT64_C(1) << 5)
#define CR4_LA57  (UINT64_C(1) << 12)
#define EFER_LME  (UINT64_C(1) << 8)
#define EFER_LMA  (UINT64_C(1) << 10)
#define EFER_NXE  (UINT64_C(1) << 11)
#define RFLAGS_IF (UINT64_C(1) << 9)
#define RFLAGS_DF (UINT64_C(1) << 10)
#define RFLAGS_VM (UINT64_C(1) << 17)

#define MSR_APIC_BASE 0x1b
#define MSR_MTRR_CAP  0xfe
#define MSR_PAT       0x277
#define MSR_MTRR_TYPE 0x2ff
#define MSR_X2APIC    0x800
#define MSR_EFER      0xc0000080
#define MSR_FS_BASE   0xc0000100
#define MSR_GS_BASE   0xc0000101

#define APIC_BASE_BOOT    (UINT64_C(1) << 8)
#define APIC_BASE_X2APIC  (UINT64_C(1) << 10)
#define APIC_BASE_ENABLED (UINT64_C(1) << 11)
#define APIC_BASE_ADDRESS UINT64_C(0x000ffffffffff000)

// CPUID leaf 1, EDX and ECX; 0x80000001, EDX.
#define CPUID_APIC   (UINT32_C(1) << 9)
#define CPUID_MTRR   (UINT32_C(1) << 12)
#define CPUID_PAT    (UINT32_C(1) << 16)
#define CPUID_X2APIC (UINT32_C(1) << 21)
#define CPUID_NX     (UINT32_C(1) << 20)
