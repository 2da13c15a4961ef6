/* Where the other CPUs wait: code that runs on them, in the kernel's half, from the end of the
 * startup page until the kernel releases them. Shared by C and assembler. */
#pragma once

#include "loader/enter_cpu.h"

/* Offsets in struct park_table. */
#define PARK_AREAS        0
#define PARK_AREA_COUNT   8
#define PARK_UNLISTED     12
#define PARK_UNLISTED_IDS 16

/* In struct park_area: behind its struct enter_cpu. */
#define PARK_AREA_APIC_ID ENTER_BYTES
#define PARK_AREA_BYTES   36864

#define PARK_UNLISTED_MAX 16

#ifndef __ASSEMBLER__

#include "common/acpi/madt.h"
#include "common/boot/slipway_boot.h"
#include "common/x86/mtrr.h"
#include "common/x86/trap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PARK_FAULT_STACK_BYTES = 8192 };

/* What all of them need. It lies in the loader's image; every address in it is one of the kernel's
 * half. */
struct park_table {
    uint64_t areas; /* struct park_area, one for each CPU that may come */
    uint32_t area_count;
    uint32_t unlisted;                        /* CPUs that came and have no area, */
    uint32_t unlisted_ids[PARK_UNLISTED_MAX]; /* the first of them by their local APICs */
    bool has_cet;
    uint64_t apic_base; /* IA32_APIC_BASE of the boot CPU: its mode is theirs */
    uint64_t apic_page; /* the local APICs', which the crossing's tables map; 0: they do not */
    enum machine_state state;
    struct mtrr_state mtrrs;
};

/* What one of them has for itself, in whole pages. */
struct park_area {
    struct enter_cpu cpu; /* first into park_wait, then into the kernel */
    uint32_t apic_id;
    struct slipway_cpu *record; /* both as addresses of the kernel's half */
    struct park_table *table;
    /* The word by which the kernel releases this CPU: the entry's address, or 0 until then. And
     * what the entry finds in RDI. Addresses of the kernel's half; the boot CPU may change them
     * until the kernel runs (cpus_watch). */
    uint64_t *released_at;
    uint64_t argument;
    uint8_t lints[MADT_LINTS];
    union enter_gdt gdt;
    struct trap_tss tss;
    struct trap_table_pointer gdt_pointer;
    _Alignas(4096) char fault_stacks[TRAP_IST_COUNT][PARK_FAULT_STACK_BYTES];
};

_Static_assert(offsetof(struct park_table, areas) == PARK_AREAS &&
                   offsetof(struct park_table, area_count) == PARK_AREA_COUNT &&
                   offsetof(struct park_table, unlisted) == PARK_UNLISTED &&
                   offsetof(struct park_table, unlisted_ids) == PARK_UNLISTED_IDS &&
                   offsetof(struct park_area, apic_id) == PARK_AREA_APIC_ID &&
                   sizeof(struct park_area) == PARK_AREA_BYTES,
               "park.S reads them there");

/* Where the startup page leads: finds the area of this CPU and goes to enter_loaded with it. RDI:
 * the table. A CPU without an area is noted and stops. */
extern const char park_find[];

/* On a CPU that has come through enter_loaded: says that it is there, waits to be released, and
 * enters the kernel. */
[[gnu::noreturn]] void park_wait(struct park_area *area);

#endif
