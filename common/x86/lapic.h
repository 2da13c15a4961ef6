// The local APIC of the CPU that calls: its registers, in either mode, and commands to other CPUs.
//
// Intel SDM 3A chapter 10: registers table 10-1, x2APIC 10.12, interrupt command register 10.6.1.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Registers by their place in the page. The MSR of one is 0x800 plus a sixteenth of that.
enum {
    LAPIC_ID = 0x20,
    LAPIC_TASK_PRIORITY = 0x80,
    LAPIC_END_OF_INTERRUPT = 0xB0,
    LAPIC_SPURIOUS = 0xF0,
    LAPIC_IN_SERVICE = 0x100, // the first of eight, a bit for each vector
    LAPIC_COMMAND = 0x300,
    LAPIC_COMMAND_HIGH = 0x310, // of the page alone
    LAPIC_TIMER = 0x320,
    LAPIC_LINT0 = 0x350,
    LAPIC_INITIAL_COUNT = 0x380,
    LAPIC_CURRENT_COUNT = 0x390,
    LAPIC_DIVIDE = 0x3E0,
    LAPIC_STEP = 0x10, // from one to the next
};

// Commands: physical destination, edge, level "assert" (figure 10-12).
enum {
    LAPIC_SEND_FIXED = 0x4000, // and the vector
    LAPIC_SEND_NMI = 0x4400,
    LAPIC_SEND_INIT = 0x4500,
    LAPIC_SEND_STARTUP = 0x4600,  // and the number of a page below 1 MiB
    LAPIC_ALL_OTHERS = 0x3 << 18, // with it the destination is every CPU but this one
};

// IDs from here on are out of reach without x2APIC: this one means all.
#define LAPIC_XAPIC_ID_ALL UINT32_C(0xFF)

struct lapic {
    bool is_x2apic;
    uint64_t page; // where its registers are mapped, uncached; unused with x2APIC
};

// Where its registers are by physical address, and the mode; false if there is none that is on.
bool lapic_find(struct lapic *ret_lapic);

uint32_t lapic_read(const struct lapic *lapic, unsigned reg);
void lapic_write(const struct lapic *lapic, unsigned reg, uint32_t value);

// Its ID, by which other CPUs reach it.
uint32_t lapic_id(const struct lapic *lapic);

// The ID as CPUID tells it (SDM 2A, CPUID): usable without a local APIC too.
uint32_t lapic_id_by_cpuid(void);

// True if a CPU of this ID can be reached in the mode.
bool lapic_can_reach(const struct lapic *lapic, uint32_t id);

// Sends a command to the CPU of this ID, after all that was stored before. Waits until the one
// before is on its way, for a bounded time.
void lapic_send(const struct lapic *lapic, uint32_t id, uint32_t command);
