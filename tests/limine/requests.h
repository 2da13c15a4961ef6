// The requests in the kernel's image, and what sets the kernels of limine.mk apart.
#pragma once

#include "common/limine/limine.h"

#include <stdbool.h>
#include <stdint.h>

// In the response field of a request that the loader must not answer.
#define UNTOUCHED UINT64_C(0x6465686375746e75)

#define WANTED_STACK_BYTES   UINT64_C(0x30000)
#define SMALLEST_STACK_BYTES UINT64_C(0x10000)
#define WANTED_ENTROPY       UINT64_C(16)
#define HIGH_REVISION        UINT64_C(1000) // of a request: higher than any loader knows

// Which kernel this is.
struct variant {
    uint64_t revision; // base revision asked for: 0 without a tag too
    bool has_tag;
    bool has_markers;
    bool has_section;  // .limine_reqs
    bool has_outside;  // requests and tags outside the markers
    bool is_read_only; // the requests' segment
    bool is_rwx;       // all segments are one
    bool asks_entry;   // for requested_entry
    bool asks_stack;   // for WANTED_STACK_BYTES
    bool asks_paging;
    bool asks_5_levels;
    bool asks_x2apic;
    bool asks_compressed; // for a module that is
};
extern const struct variant variant;

// A request with as many fields behind its head as any has.
struct request {
    struct limine_request head;
    uint64_t fields[3];
};

// By kind. One that this kernel does not make has an id of zeros.
extern volatile struct request requests[LIMINE_REQUEST_KINDS];
// An id that nobody knows, and one for another CPU: the hart ID of RISC-V.
extern volatile struct request unknown_request, foreign_request;
// At an address that is 4 more than a multiple of 8: no request.
struct unaligned {
    uint32_t unused;
    struct limine_request request;
} __attribute__((packed));
extern volatile struct unaligned unaligned;

extern volatile uint64_t base_tag[3];
// Before the marker of the start, and behind that of the end: as those that count, and ignored.
extern volatile struct request request_before, request_after;
extern volatile uint64_t tag_before[3], tag_after[3];

// Whether this kernel makes such a request.
bool request_is_made(enum limine_request_kind kind);
// The response's address, or 0.
uint64_t response_address(enum limine_request_kind kind);
// The response, or null.
const void *response_of(enum limine_request_kind kind);

// The internal modules that are asked for, in this order: the second is not there and not required,
// the third is the first by its digest. The fourth is for one kernel alone.
#define INTERNAL_PATH     "internal.mod"
#define INTERNAL_STRING   "text of the internal module"
#define MISSING_PATH      "missing.mod"
#define DIGESTED_STRING   "the same, and its digest"
#define COMPRESSED_PATH   "internal.gz"
#define COMPRESSED_STRING "the same, compressed"
