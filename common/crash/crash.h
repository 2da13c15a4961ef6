// A failure's report in memory that outlives a reset (struct slipway_crash in slipway_boot.h): how
// a kernel leaves one, and what a start after it may believe of what it finds. Pure.
//
// Between the two the machine was without power, or the firmware has used the memory, or another
// kernel has: so a record is taken for one only if its checksum is right, and even then its text is
// anybody's, to be copied by crash_copy_text.
#pragma once

#include "common/base/fmt.h"
#include "common/boot/slipway_boot.h"

#include <stdbool.h>
#include <stdint.h>

// --- To leave one

struct crash_writer {
    struct slipway_crash *room; // null: there is none, and nothing is written
    uint64_t room_bytes;
    uint64_t text_hash;
};

// Begins a record in `room`, in the place of any other. `room_bytes` is more than the structure's.
// `time`: seconds since 1970, or 0.
struct crash_writer crash_begin(void *room, uint64_t room_bytes, int64_t time);

// Appends text; what the room has no place for is left out. After each call the record is whole: a
// report that fails in its middle is there up to that.
void crash_append(struct crash_writer *writer, const char *text, uint64_t bytes);

// --- To find one

struct crash_found {
    const char *text;
    uint64_t text_bytes; // at least 1
    int64_t time;
};

// True if there is a record; then *ret_found is its text, in place. Reads nothing outside of
// `room_bytes`.
[[nodiscard]] bool crash_find(const void *room, uint64_t room_bytes, struct crash_found *ret_found);

// Makes what is there no record.
void crash_erase(void *room);

// Copies `bytes` bytes. What is neither printable ASCII nor a newline becomes '?', so that the copy
// can be shown on any terminal.
void crash_copy_text(char *ret_copy, const char *text, uint64_t bytes);

// "on 2024-02-29 12:34:56 UTC", or "at a time that is not known" of 0 and of what is no year of
// four digits.
void crash_print_time(const struct sink *sink, int64_t time);
