// Functions and lines of the kernel's text, for backtraces: the reader of a table that
// scripts/make-symbols writes from the linked kernel, and with which the kernel is linked once
// more. Pure: host tests run the same file.
//
// The table is part of the image, so that it is there for a fault in the first line, too, whoever
// has loaded the kernel; and it is all that a backtrace needs of symbols and debug information, of
// which it has a thirtieth of the size.
//
// Numbers have seven bits a byte, lowest first; the top bit says that more follow. In a step the
// lowest bit is the sign: 2n is n, 2n - 1 is -n. Texts end with a NUL. First come the names of
// files, then an empty text; then, in rising order of addresses, from the start of text on:
//
//     number  how far the address is from the one before, times 2, and 1 if a function begins
//     of a function: its name, and as a number which file it is in, from 0
//     step    from the line before to the line of what begins there; 0 is no line
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct symbols_place {
    const char *function;
    const char *file;
    uint64_t line; // 0: none is known
};

// The place of the instruction `offset` bytes behind the start of text, by the table in [table,
// end). False if it is before the first function, and of a table that is empty, as it is when the
// kernel is linked for the first time, or cut off; *ret_place is then untouched.
bool symbols_find(const uint8_t *table, const uint8_t *end, uint64_t offset,
                  struct symbols_place *ret_place);
