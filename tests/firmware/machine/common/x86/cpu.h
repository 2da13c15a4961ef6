// Stands in for common/x86/cpu.h where the loader runs on a host: the same functions, played by the
// fake CPU of tests/firmware/cpu.c. Found first because the folder `machine` is searched first.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

struct cpuid cpu_cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t cpu_rdtsc(void);
[[nodiscard]] bool cpu_rdrand(uint64_t *ret_value);
[[nodiscard]] bool cpu_rdseed(uint64_t *ret_value);
uint8_t cpu_in8(uint16_t port);
void cpu_out8(uint16_t port, uint8_t value);
uint32_t cpu_in32(uint16_t port);
uint32_t cpu_mmio_read32(uint64_t address);
void cpu_mmio_write32(uint64_t address, uint32_t value);
uint64_t cpu_rdmsr(uint32_t msr);
void cpu_wrmsr(uint32_t msr, uint64_t value);
uint64_t cpu_read_cr0(void);
uint64_t cpu_read_cr2(void);
uint64_t cpu_read_cr3(void);
uint64_t cpu_read_cr4(void);
void cpu_write_cr0(uint64_t value);
void cpu_write_cr3(uint64_t value);
void cpu_write_cr4(uint64_t value);
void cpu_write_back_caches(void);
void cpu_fence(void);
void cpu_pause(void);
void cpu_interrupts_off(void);
[[gnu::noreturn]] void cpu_stop(void);
