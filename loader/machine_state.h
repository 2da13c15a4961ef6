// What a kernel's protocol says of the machine at its entry: registers, descriptor tables,
// interrupt controllers. One value says it to all that make the machine so: enter.c, cpus.c,
// quiet.c. All zero is what common/boot/slipway_boot.h says.
#pragma once

#include <stdbool.h>

enum machine_state {
    MACHINE_SLIPWAY,
    // The Limine boot protocol. CR0, CR4 and EFER are what its text says from base revision 5 on,
    // at every revision: no loader of that protocol has ever left other values, and kernels rely on
    // them.
    MACHINE_LIMINE,        // base revisions 0 to 4: the loader's IDT is there and reports faults
    MACHINE_LIMINE_STRICT, // 5 and 6: no IDT, no TSS, and local APICs as the text says
};

// The state of a base revision of the Limine boot protocol.
static inline enum machine_state machine_state_of_limine(unsigned revision) {
    return revision >= 5 ? MACHINE_LIMINE_STRICT : MACHINE_LIMINE;
}

enum machine_apic_mode {
    MACHINE_APIC_AS_FOUND,
    MACHINE_APIC_XAPIC,  // a machine that cannot be in this mode is refused
    MACHINE_APIC_X2APIC, // if the CPU has it, else xAPIC
};

struct machine_wishes {
    enum machine_state state;
    enum machine_apic_mode apic_mode; // of all CPUs, for a kernel that asks for CPUs
    bool keeps_iommus;                // they stay as the firmware has left them
};
