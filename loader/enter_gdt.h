// The GDT that a CPU enters a kernel with, in the layout of the kernel's protocol.
#pragma once

#include "common/x86/trap.h"
#include "loader/machine_state.h"

#include <stdint.h>

// Selectors of the Limine boot protocol. Below them are segments for 16-bit and 32-bit code, as the
// protocol lists them; the TSS is behind what it lists.
enum { LIMINE_CS = 0x28, LIMINE_DS = 0x30, LIMINE_TSS = 0x38 };

// Room for the GDT of any protocol.
union enter_gdt {
    struct trap_gdt slipway;
    uint64_t limine[(LIMINE_TSS + 16) / 8];
};

// What a CPU loads with it.
struct enter_selectors {
    uint16_t code;
    uint16_t data;
    uint16_t task;
};

struct enter_selectors enter_selectors_of(enum machine_state state);

// Fills the GDT and returns its limit, the offset of the last byte. `tss_address`: where the TSS
// will be reached; MACHINE_LIMINE_STRICT has a TSS of base 0 and limit 0 instead, since no other
// way leads to such a task register (a null selector is no TSS: SDM 2A, LTR).
uint16_t enter_gdt_fill(union enter_gdt *gdt, enum machine_state state, uint64_t tss_address);
