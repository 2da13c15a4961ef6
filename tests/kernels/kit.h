// The contract kernels' tiny runtime: text on COM1, a ledger of checks in the form of the Test
// Anything Protocol, and the end of the machine through QEMU's isa-debug-exit at port 0xf4.
#pragma once

#include "slipway_boot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES UINT64_C(4096)

// The hand-over, as found in RDI.
extern const struct slipway_boot_info *boot;

void kit_print(const char *text);
void kit_print_hex(uint64_t value);

// A line `fact NAME 0xVALUE` for the test that reads the serial port.
void kit_fact(const char *name, uint64_t value);
// A line `text NAME VALUE`.
void kit_text(const char *name, struct slipway_text text);

// Starts a check: one sentence that will be reported as `ok` or `not ok` when the next starts.
void check_begin(const char *sentence);
// Reports the running check, before another CPU makes checks.
void check_flush(void);
// Part of the running check; prints where it failed and what was found.
void check_that(bool good, const char *condition, const char *file, int line, uint64_t found);
#define CHECK(condition, found)   check_that((condition), #condition, __FILE__, __LINE__, (found))
#define CHECK_FAILED(what, found) check_that(false, what, __FILE__, __LINE__, (found))
#define CHECK_EQUAL(found, right) CHECK((found) == (right), (found))

// Reports the last check and the totals, then ends QEMU: status 33 if all was well, else 35.
_Noreturn void check_finish(void);

// True if the command line holds `word`, between blanks.
bool kit_cmdline_has(const char *word);

// The i-th record of an array, by the array's stride.
static inline const void *kit_record(struct slipway_array array, uint32_t index) {
    return (const char *)array.address + (uint64_t)index * array.stride;
}

// Pointer to physical memory, through the direct map.
static inline void *kit_direct(uint64_t phys) {
    return (void *)(boot->hhdm_base + phys);
}

void *memset(void *target, int byte, size_t bytes);
void *memcpy(void *restrict target, const void *restrict source, size_t bytes);
