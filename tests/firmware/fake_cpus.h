// CPUs of the fake machine, and registers that each has.
#pragma once

#include "common/x86/mtrr.h"

#include <stdbool.h>
#include <stdint.h>

#define FAKE_CPUS_MAX  40
#define FAKE_MTRRS_MAX 40 // variable ranges

// Registers of a CPU that the loader writes, or reads to make another CPU's alike.
struct fake_registers {
    uint64_t cr0;
    uint64_t cr4;
    uint64_t apic_base;
    uint64_t s_cet;
    uint64_t mtrr_default;
    uint64_t mtrr_fixed[MTRR_FIXED];
    uint64_t mtrr_variable[FAKE_MTRRS_MAX][2]; // base and mask
};

// A CPU but the one that boots. Where it gets to depends on the local APIC's commands.
struct fake_cpu {
    uint32_t apic_id;
    uint32_t processor_id;
    bool is_unlisted;     // by the MADT
    uint32_t comes_at;    // the STARTUP of this number, from 1, starts it; 0: none does
    uint64_t comes_after; // the TSC's counts from there to where it can be parked
    bool waits;           // for STARTUP, since the firmware left it so
    bool latches;         // a STARTUP that it did not wait for, and takes it after INIT
    struct fake_registers registers;

    // ---- Seen
    enum {
        FAKE_CPU_IDLE,       // in the firmware
        FAKE_CPU_WAITS,      // after INIT, for STARTUP
        FAKE_CPU_ON_ITS_WAY, // will come when the TSC is at `due`
        FAKE_CPU_PARKED,
        FAKE_CPU_STOPPED, // too late, or not listed
    } state;
    bool has_stopped; // when it came
    uint32_t inits;
    uint32_t startups; // since the last INIT
    bool has_latched;
    uint64_t due;
    uint32_t noted_as; // not listed: which of those it is, from 1, by when it came
};

// Appends a CPU with this APIC ID that comes at once, and another processor ID; the MADT is there.
struct fake_cpu *fake_add_cpu(uint32_t apic_id);
