/* What enter.S reads: the values of the CPU's registers in the kernel's world. Shared by C and
 * assembler. */
#pragma once

#define ENTER_CROSSING_ROOT 0
#define ENTER_ROOT          8
#define ENTER_SLIDE         16
#define ENTER_CR0           24
#define ENTER_CR4           32
#define ENTER_EFER          40
#define ENTER_PAT           48
#define ENTER_GDT           56
#define ENTER_IDT           64
#define ENTER_STACK_TOP     72
#define ENTER_BOOT_INFO     80
#define ENTER_ENTRY         88
#define ENTER_STARTUP       96
#define ENTER_CROSSING_CR4  104
#define ENTER_SELECTORS     112
#define ENTER_CLEARS        120

#define ENTER_BYTES 248

/* Offsets in struct enter_selectors. */
#define SELECTORS_CODE 0
#define SELECTORS_DATA 2
#define SELECTORS_TASK 4

#define ENTER_CLEARS_MAX 7 // of all framebuffers

#ifndef __ASSEMBLER__
#include "loader/enter_gdt.h"

#include <stddef.h>
#include <stdint.h>

// Memory that is cleared before the kernel is entered.
struct enter_clear {
    uint64_t address; // in the kernel half
    uint64_t bytes;
};

struct enter_cpu {
    uint64_t crossing_root;
    uint64_t root;
    uint64_t slide; // address of this image in the kernel half minus its address now
    uint64_t cr0;
    uint64_t cr4;
    uint64_t efer;
    uint64_t pat;
    uint64_t gdt; // kernel-half addresses of the operands of LGDT and LIDT
    uint64_t idt;
    uint64_t stack_top;
    uint64_t boot_info; // the argument of `entry`, which may be another: see enter_target
    uint64_t entry;
    uint64_t startup;      // where the boot CPU enters the startup page; 0: it does not
    uint64_t crossing_cr4; // without PGE, SMEP and SMAP, and with the firmware's LA57
    struct enter_selectors selectors;
    uint16_t unused;
    struct enter_clear clears[ENTER_CLEARS_MAX + 1]; // behind the last is one of 0 bytes
};

#define ENTER_READS(field, offset)                                                                 \
    _Static_assert(offsetof(struct enter_cpu, field) == (offset),                                  \
                   "enter.S reads " #field " at " #offset)
ENTER_READS(crossing_root, ENTER_CROSSING_ROOT);
ENTER_READS(root, ENTER_ROOT);
ENTER_READS(slide, ENTER_SLIDE);
ENTER_READS(cr0, ENTER_CR0);
ENTER_READS(cr4, ENTER_CR4);
ENTER_READS(efer, ENTER_EFER);
ENTER_READS(pat, ENTER_PAT);
ENTER_READS(gdt, ENTER_GDT);
ENTER_READS(idt, ENTER_IDT);
ENTER_READS(stack_top, ENTER_STACK_TOP);
ENTER_READS(boot_info, ENTER_BOOT_INFO);
ENTER_READS(entry, ENTER_ENTRY);
ENTER_READS(startup, ENTER_STARTUP);
ENTER_READS(crossing_cr4, ENTER_CROSSING_CR4);
ENTER_READS(selectors, ENTER_SELECTORS);
ENTER_READS(clears, ENTER_CLEARS);
_Static_assert(offsetof(struct enter_selectors, code) == SELECTORS_CODE &&
                   offsetof(struct enter_selectors, data) == SELECTORS_DATA &&
                   offsetof(struct enter_selectors, task) == SELECTORS_TASK,
               "enter.S reads them there");
_Static_assert(sizeof(struct enter_cpu) == ENTER_BYTES, "others count on it");

// The page of this code runs one to one while CR3 changes.
extern const char enter_switch_start[];
extern const char enter_switch_end[];

// Never returns. `cpu` lies in the loader's image.
[[gnu::noreturn]] void enter_switch(const struct enter_cpu *cpu);

// The second half of the way, in the kernel half, under tables that map the loader's image there:
// the kernel's root, CR0 and CR4, GDT, TSS and IDT, then enter_jump. RDI is `cpu`, in that half.
extern const char enter_loaded[];

// The end of the way: stack, registers, and the jump to `entry` with `boot_info` in RDI.
[[gnu::noreturn]] void enter_jump(const struct enter_cpu *cpu);
#endif
