// What all checks rest on, read once: base revision, HHDM, memory map, command line.
#pragma once

#include "state.h"

#include <stdbool.h>
#include <stdint.h>

#define PAGE_BYTES UINT64_C(4096)
#define GIB        (UINT64_C(1) << 30)

extern struct boot {
    uint64_t revision; // base revision that the loader follows
    uint64_t hhdm;
    const char *cmdline; // "" if the loader does not tell
    bool is_strict;      // `strict` stands in it: a direct map without X, text and rodata sealed
    int levels;          // of the tables of CR3
    struct state state;  // of the boot CPU
} boot;

// Bounds of the image, from the link script.
extern const char image_start[], image_rodata[], image_data[], image_end[];

// Reads all that; without HHDM and memory map the test ends here. Nothing is looked at closely yet.
void boot_read(void);

// The number behind `name=` in the command line, or `missing`.
uint64_t cmdline_number(const char *name, uint64_t missing);
// The text behind `name=`, ended by blank or 0, or null.
const char *cmdline_find(const char *name);
// Whether the word stands in it, between blanks.
bool cmdline_has(const char *word);

static inline void *direct(uint64_t physical) {
    return (void *)(boot.hhdm + physical);
}

// Whether physical memory or a text is alike.
bool bytes_equal(const void *a, const void *b, uint64_t bytes);
bool text_equal(const char *a, const char *b);
// The sum of the bytes, which is 0 in many tables.
uint8_t sum_bytes(const void *data, uint64_t bytes);
