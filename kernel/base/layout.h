// What lies where in the kernel's address space. Slipway's hand-over fixes most of it
// (common/boot/slipway_boot.h); this is the picture, and the few places that the kernel chose.
//
//   0000000000000000  lower half: maps nothing, so that a stray small pointer faults. The last act
//                     of the kernel maps the firmware's runtime services here, at their physical
//                     addresses (power.c).
//   ffff800000000000  direct map: physical p is at hhdm_base + p. RAM only: devices, reserved
//                     ranges and holes are not mapped. The base is what boot_info says; this is the
//                     default.
//   ffffc00000000000  the loader's window: the stack of each CPU between two guard pages,
//                     framebuffers (write-combining), the loader's fault handler, GDT, TSS and IDT.
//   ffffffff00000000  scratch: a page that the self-test maps, protects and unmaps. It shares the
//                     root's last entry with the image, so that no table is left behind.
//   ffffffff40000000  the registers of the local APIC, uncached: one page, in which every CPU finds
//                     its own.
//   ffffffff40200000  interrupt stacks of CPU 1 and so on, KERNEL_ISTS_STRIDE bytes for each, and
//                     below each stack an unmapped page.
//   ffffffff80000000  the kernel's image: text, read-only data, data with zeroed data and the
//                     interrupt stacks of CPU 0. The page below each interrupt stack is unmapped at
//                     boot.
//
// Table frames and what the frame allocator gives are reached through the direct map; of all that
// is allocated only stacks have addresses of their own.
#pragma once

#include "common/base/addr.h"

#include <stdint.h>

#define KERNEL_LINK_BASE UINT64_C(0xffffffff80000000) // kernel.ld says the same
#define KERNEL_SCRATCH   UINT64_C(0xffffffff00000000)

#define KERNEL_APIC UINT64_C(0xffffffff40000000)
#define KERNEL_ISTS UINT64_C(0xffffffff40200000)

#define KERNEL_ISTS_STRIDE UINT64_C(0x20000)

// The stack of each CPU, which the kernel wishes for in its note.
#define KERNEL_STACK_BYTES UINT64_C(0x10000)

// Interrupt stacks: see enum trap_ist. Each has one guard page below it.
#define KERNEL_IST_BYTES UINT64_C(0x4000)

// Placed by kernel.ld. Only the addresses mean something.
extern const char _kernel_start[], _kernel_end[];
extern const char _text_start[], _text_end[];
extern const char _rodata_start[], _rodata_end[];
extern const char _symbols_start[], _symbols_end[]; // in read-only data: kernel/stop/symbols.h
extern char _data_start[], _data_end[];

// The address of a linker symbol as a number.
static inline uint64_t layout_address(const char *symbol) {
    return (uint64_t)(uintptr_t)symbol;
}
