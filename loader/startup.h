/* The startup page: where CPUs come into long mode from a mode without paging. The other CPUs do,
 * from real mode; and the boot CPU, where the kernel's tables have more levels or fewer than the
 * firmware's. Shared by C and assembler. */
#pragma once

/* Offsets in struct startup_orders. */
#define STARTUP_GDT          0
#define STARTUP_TO_PROTECTED 16
#define STARTUP_TO_LONG      24
#define STARTUP_ROOT         32
#define STARTUP_CR0          36
#define STARTUP_CR4          40
#define STARTUP_EFER         44
#define STARTUP_PAT          48
#define STARTUP_OTHERS       56
#define STARTUP_BOOT         72
#define STARTUP_ORDERS_BYTES 88

/* Offsets in struct startup_target. */
#define STARTUP_ENTRY    0
#define STARTUP_ARGUMENT 8

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/* Selectors: SDM 3A 3.4.2. */
struct startup_far_pointer {
    uint32_t offset;
    uint16_t selector;
} __attribute__((packed));

/* Where a CPU goes on in long mode, and with what in RDI. */
struct startup_target {
    uint64_t entry;
    uint64_t argument;
};

/* What the page's code reads. */
struct startup_orders {
    uint16_t gdt_limit;
    uint64_t gdt_base;
    uint8_t unused0[6];
    struct startup_far_pointer to_protected;
    uint8_t unused1[2];
    struct startup_far_pointer to_long;
    uint8_t unused2[2];
    uint32_t root; /* of tables that map the page at its physical address, and the targets */
    uint32_t cr0;
    uint32_t cr4;
    uint32_t efer;
    uint64_t pat;
    struct startup_target others;
    struct startup_target boot;
} __attribute__((packed));

#define STARTUP_READS(field, offset)                                                               \
    _Static_assert(offsetof(struct startup_orders, field) == (offset),                             \
                   "startup.S reads " #field " at " #offset)
STARTUP_READS(gdt_limit, STARTUP_GDT);
STARTUP_READS(to_protected, STARTUP_TO_PROTECTED);
STARTUP_READS(to_long, STARTUP_TO_LONG);
STARTUP_READS(root, STARTUP_ROOT);
STARTUP_READS(cr0, STARTUP_CR0);
STARTUP_READS(cr4, STARTUP_CR4);
STARTUP_READS(efer, STARTUP_EFER);
STARTUP_READS(pat, STARTUP_PAT);
STARTUP_READS(others, STARTUP_OTHERS);
STARTUP_READS(boot, STARTUP_BOOT);
_Static_assert(sizeof(struct startup_orders) == STARTUP_ORDERS_BYTES, "startup.S reserves these");
_Static_assert(offsetof(struct startup_target, entry) == STARTUP_ENTRY &&
                   offsetof(struct startup_target, argument) == STARTUP_ARGUMENT,
               "startup.S reads them there");

/* What differs from boot to boot. */
struct startup {
    uint64_t
        page; /* its physical address: below 4 GiB, and below 1 MiB if other CPUs start there */
    uint64_t root; /* below 4 GiB */
    uint64_t cr4;  /* with it CPUs come into long mode */
    struct startup_target others;
    struct startup_target boot;
};

/* Writes the page, whole. */
void startup_write(const struct startup *startup);

/* Where the boot CPU enters the page, in long mode, at the page's physical address and with
 * interrupts off. */
uint64_t startup_boot_entry(uint64_t page);

#endif
