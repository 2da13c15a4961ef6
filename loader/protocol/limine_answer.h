// The responses of the Limine protocol, made of a finished boot_info: its facts, in that protocol's
// words. Owns their layout in a block of memory, and which request gets one. Does not own: the
// facts, the requests (limine_requests.h), the machine that the responses describe.
//
// Pure. Follows the protocol's text at base revision 6: "Feature List", "File Structure".
//
// What is answered, beside the plain facts:
//
//   RSDP, SMBIOS, EFI_SYSTEM_TABLE  where the protocol says virtual: the address in the direct map,
//                     if the manifest has it; else there is no response
//   FRAMEBUFFER       revision 1, with modes; none without a screen
//   MODULE            revision 1: internal modules, not decompressed. Those of boot_info in their
//                     order; the loader lists internal ones first. None without any
//   MP                the CPUs of boot_info without those that are absent; none without CPUs
//   ENTROPY           SHA-256 of boot_info's entropy and a counter, 4 words each, so the entropy
//                     itself is in no response; LIMINE_ENTROPY_WORDS_MAX at most
//   KEEP_IOMMU        only if the loader has kept them
//   DATE_AT_BOOT, TSC_FREQUENCY, TPM_EVENT_LOG, EXECUTABLE_FILE  none where there is no such fact
//   DTB, FLANTERM     never: there is no device tree, and the loader draws no terminal
#pragma once

#include "common/boot/slipway_boot.h"
#include "loader/elf.h"
#include "loader/protocol/limine_memory.h"
#include "loader/protocol/limine_requests.h"

#include <stdbool.h>
#include <stdint.h>

enum { LIMINE_ENTROPY_WORDS_MAX = 4096 };

// So much may have to be said, as far as it is known before the exit.
struct limine_capacity {
    uint64_t memory_entries; // limine_memory_bound
    uint32_t cpus;           // records in boot_info
    uint32_t framebuffers;
    uint64_t modes; // of all framebuffers
    uint32_t modules;
    uint64_t path_bytes; // of the kernel's path and all modules', without NULs
};

// Bytes of a block that all responses fit in.
uint64_t limine_answer_bytes(const struct limine_requests *requests,
                             const struct limine_capacity *capacity);

// Where the limine_mp_info of a CPU lies: record `index` of boot_info's `cpus`, absent ones
// included, of which no list tells. Known before the block is filled. A parked CPU waits until
// goto_address there is not 0: where it looks before limine_answer there must be zeroes. The
// rest of the block may hold anything.
static inline uint64_t limine_mp_info_phys(uint64_t block_phys, uint32_t index) {
    return block_phys + index * sizeof(struct limine_mp_info);
}

// What boot_info lacks. 0: there is none.
struct limine_facts {
    uint64_t file_phys; // the kernel's file, whole, as it was read: frame aligned
    uint64_t file_bytes;
    uint64_t smbios_32_phys; // entry points: of SMBIOS 2,
    uint64_t smbios_64_phys; // and of SMBIOS 3
    uint64_t tsc_now;        // TSC at about the hand-over
    bool keeps_iommu;        // IOMMUs are as the firmware left them
    bool is_from_cd;         // the loader's own volume is on one
    bool is_from_server;     // it has none: its files are the server's, that info names
};

struct limine_answer_input {
    const struct limine_requests *requests;
    const struct slipway_boot_info *info; // finished; as a pointer that is valid now
    struct limine_facts facts;
    // The image with the requests, still writable, in one piece. Pages that the kernel finds
    // read-only are written here.
    const struct elf_memory *image;
    // The block: limine_answer_bytes bytes of memory that the kernel may reclaim, in the direct
    // map; a multiple of 8.
    uint64_t block_phys;
    uint64_t block_bytes;
    // Physical address p is now at pointer p + memory_offset, modulo 2^64: 0 in the loader, whose
    // memory is mapped one to one. Only the block and what boot_info leads to in the direct map is
    // reached by it.
    uint64_t memory_offset;
};

struct limine_answer {
    uint64_t bytes;                           // used of the block
    uint64_t responses[LIMINE_REQUEST_KINDS]; // address in the direct map; 0: none was given
};

// Writes all responses into the block and, when all are there, their addresses into the requests.
// The tag is limine_answer_base's. Fails by LIMINE_ERR_ROOM alone, if the block is too small for
// what boot_info has; the requests are untouched then. What boot_info's entropy has become is no
// secret from who reads boot_info: the caller wipes it there, if no one else is to have it.
[[nodiscard]] enum limine_status limine_answer(const struct limine_answer_input *input,
                                               struct limine_answer *ret_answer,
                                               struct limine_error *ret_error);
