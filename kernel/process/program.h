// Programs: what a module has to be to run as a process. Pure: host tests run the same file.
//
// A program is an ELF64 file of type ET_EXEC for x86-64 (ELF specification, System V ABI AMD64
// supplement): linked at fixed addresses, with nothing to relocate and nobody to interpret it.
// Anything else is refused, with the reason: a file that is damaged, a segment both writable and
// executable, segments that share a page, an entry outside of the text.
#pragma once

#include <stdint.h>

enum {
    PROGRAM_SEGMENTS_MAX = 8,
    PROGRAM_HEADERS_MAX = 16,
    PROGRAM_PAGE_BYTES = 4096,
};

// Where segments may lie: not in the first 64 KiB, so that a null pointer with an index faults, and
// below the stack.
#define PROGRAM_MIN UINT64_C(0x10000)
#define PROGRAM_MAX UINT64_C(0x700000000000)

#define PROGRAM_WRITE   1u
#define PROGRAM_EXECUTE 2u

// One that is loaded: whole pages, of which `file_bytes` bytes from `address` on come from the
// file, at `offset`, and all others are 0.
struct program_segment {
    uint64_t start;
    uint64_t bytes;
    uint64_t address;
    uint64_t offset;
    uint64_t file_bytes;
    unsigned rights; // PROGRAM_WRITE or PROGRAM_EXECUTE or neither; it can be read
};

struct program {
    uint64_t entry;
    unsigned segment_count;
    struct program_segment segment[PROGRAM_SEGMENTS_MAX]; // in rising order
};

enum program_status {
    PROGRAM_OK,
    PROGRAM_ERR_NOT_ELF,
    PROGRAM_ERR_KIND,
    PROGRAM_ERR_HEADERS,
    PROGRAM_ERR_HEADER_KIND,
    PROGRAM_ERR_DYNAMIC,
    PROGRAM_ERR_STACK,
    PROGRAM_ERR_MANY,
    PROGRAM_ERR_FILE,
    PROGRAM_ERR_RIGHTS,
    PROGRAM_ERR_ADDRESS,
    PROGRAM_ERR_ORDER,
    PROGRAM_ERR_NOTHING,
    PROGRAM_ERR_ENTRY,
};

const char *program_status_text(enum program_status status);

// Reads `bytes` bytes of a file. On an error *ret_program is untouched.
[[nodiscard]] enum program_status program_read(const uint8_t *file, uint64_t bytes,
                                               struct program *ret_program);
