/* Where entry.S puts what it finds in the CPU. Shared by C and assembler. */
#pragma once

#define ENTRY_RFLAGS    (16 * 8)
#define ENTRY_RETURN    (17 * 8)
#define ENTRY_SELECTORS (18 * 8)
#define ENTRY_BYTES     (19 * 8)

#ifndef __ASSEMBLER__

#include <stdint.h>

/* The numbers of general registers in instruction encodings (SDM 2A 2.1.5). */
enum entry_register {
    ENTRY_RAX,
    ENTRY_RCX,
    ENTRY_RDX,
    ENTRY_RBX,
    ENTRY_RSP,
    ENTRY_RBP,
    ENTRY_RSI,
    ENTRY_RDI
};

struct entry_state {
    uint64_t registers[16]; /* by number; RSP as it was at the first instruction */
    uint64_t rflags;
    uint64_t return_address; /* what RSP pointed to */
    uint8_t selectors[8];    /* CS, DS, SS, ES, FS, GS */
};

_Static_assert(sizeof(struct entry_state) == ENTRY_BYTES, "entry.S writes this layout");

extern struct entry_state entry_state;

#endif
