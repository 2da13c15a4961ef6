// A kernel that may lie anywhere, and the sources of random numbers that decide where.
#pragma once

#include "tests/firmware/setup.h"

enum {
    SETUP_SOURCES = 7,      // SLIPWAY_ENTROPY_..., all that there are
    SETUP_SOURCE_WORDS = 8, // that each gives at a time
};

#define SETUP_DYNAMIC   UINT64_C(0x2010) // link address of the kernel's dynamic section,
#define SETUP_RELOCATED UINT64_C(0x2200) // and of its only word that is relocated,
#define SETUP_ADDEND    0x1234           // by this

// How many words the CPU's sources have given since they were added, and whether they are all the
// same.
extern uint64_t setup_words_given;
extern bool setup_sources_are_stuck;

// The machine of setup_boot with all sources, from this seed on, and a kernel that is ET_DYN with
// one relocation and has these wishes.
void setup_kaslr(const char *config, struct slipway_note_wishes wishes, uint64_t seed);

// These sources and no others.
void setup_add_sources(uint32_t sources, uint64_t seed);

// Writes to the kernel's file at a link address.
void setup_put(uint64_t link, const void *data, uint64_t bytes);
