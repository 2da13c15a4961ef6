// The controllers of the fake machine: a local APIC, I/O APICs, an HPET and IOMMUs, in the state
// that firmware at its worst leaves them in, and ACPI tables that list them. They do what their
// manuals say, as far as the loader uses them.
//
// A test calls hardware_make after fake_reset, changes what is to be special, and hardware_list
// before the boot.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    HARDWARE_IO_APICS = 3,
    HARDWARE_PINS = 120,
    HARDWARE_HPET_TIMERS = 24, // as many as have room
    HARDWARE_UNITS = 2,        // IOMMUs of a kind
};

#define HARDWARE_LOCAL_APIC UINT64_C(0xfee00000)
#define HARDWARE_HPET       UINT64_C(0xfed00000)
#define HARDWARE_AMD        UINT64_C(0xfeb80000)

struct hardware {
    // The local APIC: by the number of its register, a sixteenth of its place in the page.
    uint64_t apic_base;
    bool is_stuck_off; // APIC_BASE keeps its enable bit clear
    uint32_t local[0x60];
    bool in_service[256];
    uint32_t ends;           // of interrupts, written
    uint32_t ends_too_early; // entries of I/O APICs that were not masked by then

    struct hardware_io_apic {
        uint64_t phys;
        uint32_t version;
        uint32_t select;
        uint32_t entries[HARDWARE_PINS]; // the low half of each
    } io[HARDWARE_IO_APICS];

    struct {
        uint64_t phys;
        uint32_t capabilities;
        uint32_t configuration;
        uint32_t timers[HARDWARE_HPET_TIMERS];
        uint32_t writes;
    } hpet;

    struct hardware_vtd {
        uint64_t phys;
        uint32_t capability;
        uint32_t status;
        uint32_t sticks; // bits of the status that do not go off
        uint32_t going;  // and those that are about to
        uint32_t looks;  // at the status, meanwhile
        uint32_t protected_memory;
        bool protection_sticks;
        uint32_t protection_writes;
        uint32_t queue_head, queue_tail; // the head moves to the tail, a step a look
        bool queue_sticks;
        uint32_t commands[8];
        uint32_t command_count;
    } vtd[HARDWARE_UNITS];

    struct hardware_amd {
        uint64_t phys;
        uint32_t control;
        bool sticks;
        uint32_t commands[8];
        uint32_t command_count;
    } amd;

    uint64_t absent; // a read of this page gives all ones
    uint32_t accesses;
};

extern struct hardware hardware;

// Makes the machine, and makes it the fake's.
void hardware_make(void);

// Makes MADT, HPET, DMAR and IVRS, with the addresses that stand in `hardware` now.
void hardware_list(void);

// The table with this signature, which a test may spoil; hardware_sum makes its checksum right.
uint8_t *hardware_table(const char *signature);
void hardware_sum(const char *signature);
