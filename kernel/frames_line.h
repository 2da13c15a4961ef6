// Lines: the 512 bits of a 2 MiB block, a bit for each of its frames, in one cache line. frames.c's
// own; what a bit says is its business.
#pragma once

#include "common/base/arith.h"

#include <stdbool.h>
#include <stdint.h>

#define BLOCK_FRAMES 512 // frames of a 2 MiB block
#define BLOCK_WORDS  8   // its bitmap: one cache line
#define LINE_BYTES   64
_Static_assert(BLOCK_WORDS * 64 == BLOCK_FRAMES && BLOCK_WORDS * 8 == LINE_BYTES);

enum bit { BIT_CLEAR, BIT_SET };

// The part of a run of slots that lies in one block.
struct part {
    uint64_t block;
    uint64_t offset; // of its first bit in the block's line
    uint64_t count;
};

// The part that [slot, end) begins with.
static inline struct part first_part(uint64_t slot, uint64_t end) {
    uint64_t offset = slot % BLOCK_FRAMES;
    return (struct part){slot / BLOCK_FRAMES, offset, min_u64(BLOCK_FRAMES - offset, end - slot)};
}

// The bits of a word from `offset` on, `count` of them, both within the word.
static inline uint64_t word_mask(uint64_t offset, uint64_t count) {
    return (count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1) << offset;
}

static inline void line_write(uint64_t *line, const struct part *part, enum bit bit) {
    uint64_t end = part->offset + part->count;
    for (uint64_t at = part->offset; at < end;) {
        uint64_t bits = min_u64(64 - at % 64, end - at);
        uint64_t mask = word_mask(at % 64, bits);
        line[at / 64] = bit == BIT_SET ? line[at / 64] | mask : line[at / 64] & ~mask;
        at += bits;
    }
}

// The first bit at or after `offset` that is `bit`; BLOCK_FRAMES if there is none.
static inline uint64_t line_find(const uint64_t *line, uint64_t offset, enum bit bit) {
    while (offset < BLOCK_FRAMES) {
        uint64_t word = bit == BIT_SET ? line[offset / 64] : ~line[offset / 64];
        uint64_t rest = word >> offset % 64;
        if (rest != 0)
            return offset + (uint64_t)__builtin_ctzll(rest);
        offset = (offset / 64 + 1) * 64;
    }
    return BLOCK_FRAMES;
}

static inline bool line_has(const uint64_t *line, const struct part *part, enum bit bit) {
    return line_find(line, part->offset, bit) < part->offset + part->count;
}

// Bits set in a word: pairs, nibbles and bytes are added up side by side, and the bytes by a
// multiplication (Hacker's Delight, 5-1). The compiler's builtin would want a library here.
static inline uint64_t popcount(uint64_t word) {
    word -= word >> 1 & UINT64_C(0x5555555555555555);
    word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
    word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return word * UINT64_C(0x0101010101010101) >> 56;
}

static inline uint64_t line_population(const uint64_t *line) {
    uint64_t set = 0;
    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        set += popcount(line[i]);
    return set;
}
