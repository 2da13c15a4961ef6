// What a kernel asks for by the Limine boot protocol: whether it does, the requests in its image,
// and the tag with the base revision. Owns: which of them count, and that nothing outside of the
// image is read, whatever they say. Does not own: the answers (limine_answer.h).
//
// Pure. Follows the protocol's text at base revision 6: "Requests Delimiters", "Limine Requests
// Section", "Base Revisions", "Features". Layouts: common/limine/limine.h.
//
// A function that takes `ret_error` fills it when it fails, and leaves its other results untouched.
#pragma once

#include "common/base/fmt.h"
#include "common/limine/limine.h"
#include "loader/config.h"
#include "loader/elf.h"

#include <stdbool.h>
#include <stdint.h>

#define LIMINE_STACK_MIN_BYTES (UINT64_C(64) << 10) // a kernel has so much without asking,
#define LIMINE_STACK_MAX_BYTES (UINT64_C(1) << 30)  // and may ask for so much

enum {
    LIMINE_HASH_DIGITS = 128,      // of the BLAKE2b digest at the end of a path
    LIMINE_TEXT_MAX_BYTES = 65536, // of an internal module's texts, each with its NUL
};

// Each with the numbers of its message: see struct limine_error. Addresses are run addresses.
enum limine_status {
    LIMINE_OK,
    LIMINE_ERR_TAG_TWICE, // a: address, b: of the first
    LIMINE_ERR_TAG_CUT,   // a: address, b: end of the image
    LIMINE_ERR_TWICE,     // kind; a: address, b: of the first
    LIMINE_ERR_CUT,       // kind; a: address, b: bytes, c: end of the image
    LIMINE_ERR_SECTION,   // a: address, b: bytes, image: [c, d)
    LIMINE_ERR_POINTER,   // index in the section; a: address, image: [c, d)
    LIMINE_ERR_STACK,     // a: address of the request, b: bytes, c: the most that there can be
    LIMINE_ERR_ENTRY,     // a: address of the request, b: entry
    LIMINE_ERR_PAGING,    // a: address of the request, b: lowest mode, c: highest, d: the CPU's
    LIMINE_ERR_MODULES,   // a: address of the list, b: its addresses, image: [c, d)
    LIMINE_ERR_MODULE,    // index; a: address, image: [c, d)
    LIMINE_ERR_PATH,      // index; a: address, b: LIMINE_TEXT_MAX_BYTES, image: [c, d)
    LIMINE_ERR_STRING,    // index; the same
    LIMINE_ERR_UTF8,      // index; a: address of the byte, b: the byte
    LIMINE_ERR_ROOM,      // a: bytes of the block; limine_answer alone
};

// Why a kernel was refused.
struct limine_error {
    enum limine_status status;
    enum limine_request_kind kind;
    uint64_t index; // of an internal module or pointer
    uint64_t a, b, c, d;
};

// Writes the reason, without a file name before it or a newline after it.
void limine_error_print(const struct sink *sink, const struct limine_error *error);

// The protocol's name of a request, as "MODULE"; static text.
const char *limine_request_name(enum limine_request_kind kind);

// Whether a kernel is made for this protocol: the file's bytes of its segments have, at a run
// address that is a multiple of 8, a request, a start marker or a tag. *ret_virt, only if so: where
// the first one is. `memory` has every byte of every segment, in any number of pieces, each of
// which begins and ends at a multiple of 8. Before relocation or after.
bool limine_has_requests(const struct elf_image *image, const struct elf_memory *memory,
                         uint64_t *ret_virt);

// A request that counts.
struct limine_found {
    uint64_t virt;     // run address; 0: not asked for
    uint64_t revision; // as the kernel says it, which may be one to come
};

// All that a kernel asks for.
struct limine_requests {
    uint64_t tag;           // run address; 0: there is none
    uint64_t asked;         // base revision that the kernel asks for; 0 without a tag
    uint64_t base_revision; // that it gets: the same, or LIMINE_BASE_REVISION_MAX if that is less
    bool is_list;           // the requests are those that section .limine_reqs lists
    struct limine_found found[LIMINE_REQUEST_KINDS];
    uint64_t unknown;      // requests with other ids, which stay without a response,
    uint64_t unknown_virt; // and the first one's address; 0 without any

    // What requests say besides, or what holds without them.
    uint64_t stack_bytes;    // of every CPU's stack: whole pages, LIMINE_STACK_MIN_BYTES or more
    uint64_t entry;          // in an executable segment; 0: that of the file
    uint64_t paging_mode;    // LIMINE_PAGING_..., or one to come: preferred,
    uint64_t paging_max;     // the highest that will do,
    uint64_t paging_min;     // and the lowest
    uint64_t mp_flags;       // known ones alone
    uint64_t internal_count; // internal modules; see limine_read_module
    uint64_t internals;      // run address of the list of their addresses, all in the image
    uint64_t entropy_count;  // words
};

// True if the kernel has this request.
static inline bool limine_asks(const struct limine_requests *requests,
                               enum limine_request_kind kind) {
    return requests->found[kind].virt != 0;
}

// The section .limine_reqs, by its header, unchecked. 0 bytes: the kernel has none.
struct limine_section {
    uint64_t virt; // link address
    uint64_t bytes;
};

// Finds the requests of an image that is relocated and stands in `memory` in one piece, which is
// [image->virt_start, image->virt_end).
//
// The search goes from the lowest segment up, at multiples of 8, through the file's bytes of every
// segment. A start marker makes it forget what came before, an end marker ends it, at every base
// revision: where markers are hints they may be followed. So two requests of one kind, or two tags,
// are an error only where both count. With base revision 0, a `section` takes the search's place:
// it lists addresses of requests, up to the first that is 0, and requests outside of it count no
// more. An address in the list where no request stands counts as one that is unknown.
//
// A request that the loader knows must lie in the image as far as its revision reaches. What a
// request asks for that no machine can have is an error, too: a stack of more than
// LIMINE_STACK_MAX_BYTES, an entry outside of executable segments, a list of internal modules that
// does not lie in the image. Flags that are not known are left out.
//
// Linear in the image and the section. Nothing is written.
[[nodiscard]] enum limine_status limine_find_requests(const struct elf_image *image,
                                                      const struct elf_memory *memory,
                                                      const struct limine_section *section,
                                                      struct limine_requests *ret_requests,
                                                      struct limine_error *ret_error);

// Paging levels by the request, 4 or 5: the preferred ones if the CPU has them and the request's
// bounds allow them, else the nearest that both have. Fails by LIMINE_ERR_PAGING if there are none.
[[nodiscard]] enum limine_status limine_choose_levels(const struct limine_requests *requests,
                                                      bool cpu_has_5_levels, unsigned *ret_levels,
                                                      struct limine_error *ret_error);

// An internal module. The texts are UTF-8 and lie in the image's memory.
struct limine_module {
    struct config_text path;   // relative to the kernel's folder; without the digest
    struct config_text digest; // LIMINE_HASH_DIGITS hexadecimal digits, BLAKE2b; or empty
    struct config_text string; // command line
    bool is_required;          // else a file that is not there is passed over
    bool is_compressed; // by gzip; a loader whose response has revision 1 does not decompress it
};

// Reads internal module `index`, below requests->internal_count. `image` and `memory` are those of
// limine_find_requests. Fails if a part of it does not lie in the image: an address, a text's NUL;
// or if a text is not UTF-8 or too long. A module without a string has an empty one.
[[nodiscard]] enum limine_status limine_read_module(const struct limine_requests *requests,
                                                    const struct elf_image *image,
                                                    const struct elf_memory *memory, uint64_t index,
                                                    struct limine_module *ret_module,
                                                    struct limine_error *ret_error);

// Writes into the tag what became of it: which base revision is used and, if that is the one the
// kernel asks for, 0 for its number. Nothing without a tag. `memory` is that of
// limine_find_requests, still writable.
void limine_answer_base(const struct limine_requests *requests, const struct elf_memory *memory);
