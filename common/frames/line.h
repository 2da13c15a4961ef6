// Lines: the 512 bits of a 2 MiB block, a bit for each of its frames, in one cache line. The
// allocator's own. Knows nothing of what a bit means. Words are read and written whole, since a CPU
// may look at a line that another changes.
#pragma once

#include "common/base/arith.h"
#include "common/base/assert.h"

#include <stdbool.h>
#include <stdint.h>

#define BLOCK_FRAMES 512 // frames of a 2 MiB block
#define BLOCK_WORDS  8   // its bitmap: one cache line
#define LINE_BYTES   64
_Static_assert(BLOCK_WORDS * 64 == BLOCK_FRAMES && BLOCK_WORDS * 8 == LINE_BYTES);

enum bit { BIT_CLEAR, BIT_SET };

// The part of a run that lies in one block.
struct part {
    unsigned block;  // of its arena
    uint64_t offset; // of its first bit in the block's line
    uint64_t count;
};

static inline uint64_t word_load(const uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void word_store(uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

// The bits of a word from `offset` on, `count` of them, both within the word.
static inline uint64_t word_mask(uint64_t offset, uint64_t count) {
    ASSERT(count != 0 && offset + count <= 64);
    return (count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1) << offset;
}

static inline void line_write(uint64_t *line, const struct part *part, enum bit bit) {
    ASSERT(part->count != 0 && part->offset + part->count <= BLOCK_FRAMES);
    uint64_t end = part->offset + part->count;
    for (uint64_t at = part->offset; at < end;) {
        uint64_t bits = min_u64(64 - at % 64, end - at);
        uint64_t mask = word_mask(at % 64, bits);
        uint64_t word = word_load(&line[at / 64]);
        word_store(&line[at / 64], bit == BIT_SET ? word | mask : word & ~mask);
        at += bits;
    }
}

// The first bit at or after `offset` that is `bit`; BLOCK_FRAMES if there is none.
static inline uint64_t line_find(const uint64_t *line, uint64_t offset, enum bit bit) {
    while (offset < BLOCK_FRAMES) {
        uint64_t word = word_load(&line[offset / 64]);
        uint64_t rest = (bit == BIT_SET ? word : ~word) >> offset % 64;
        if (rest != 0)
            return offset + (uint64_t)__builtin_ctzll(rest);
        offset = (offset / 64 + 1) * 64;
    }
    return BLOCK_FRAMES;
}

static inline bool line_has(const uint64_t *line, const struct part *part, enum bit bit) {
    ASSERT(part->count != 0 && part->offset + part->count <= BLOCK_FRAMES);
    return line_find(line, part->offset, bit) < part->offset + part->count;
}

// The highest bit of every byte of a word that is 0xff, found in all bytes at once as the bytes
// that are 0 in the inverse (Hacker's Delight, 6-1). The lowest bit set is right; above it there
// may be bits of other bytes, so that the result is good for "is there any" and "where is the
// first". A run of at least 15 ones fills a byte, wherever the run begins.
static inline uint64_t word_full_bytes(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    return (~word - ones) & word & ones << 7;
}

#define FULL_BYTES_RUN 15

// The bits of `word` at which a run of `count` ones begins, 1 to 64, when `next` follows the word.
// A run of length a + b begins where one of length a begins and, a bits on, one of length b: so the
// length doubles with each step (Hacker's Delight, 6-2).
static inline uint64_t word_run_starts(uint64_t word, uint64_t next, uint64_t count) {
    ASSERT(count != 0 && count <= 64);
    for (uint64_t length = 1; length < count && word != 0;) {
        uint64_t step = min_u64(length, count - length);
        word &= word >> step | next << (64 - step);
        next &= next >> step;
        length += step;
    }
    return word;
}

// The bits of a word whose index is a multiple of `align`, a power of two up to 64.
static inline uint64_t word_aligned_bits(uint64_t align) {
    ASSERT(is_power_of_two(align) && align <= 64);
    static const uint64_t bits[] = {
        UINT64_MAX,
        UINT64_C(0x5555555555555555),
        UINT64_C(0x1111111111111111),
        UINT64_C(0x0101010101010101),
        UINT64_C(0x0001000100010001),
        UINT64_C(0x0000000100000001),
        UINT64_C(0x0000000000000001),
    };
    return bits[__builtin_ctzll(align)];
}

// The bits of word i of a line, a multiple of `align`, at which a run of `count` ones begins that
// ends in the same line; both at most 64.
static inline uint64_t line_run_starts(const uint64_t *line, unsigned i, uint64_t count,
                                       uint64_t align) {
    uint64_t word = word_load(&line[i]);
    uint64_t next = i + 1 < BLOCK_WORDS ? word_load(&line[i + 1]) : 0;
    if (word == UINT64_MAX) // the common case: a run begins with bit 0, and callers use the lowest
        return 1;
    return word_run_starts(word, next, count) & word_aligned_bits(align);
}

// Whether any word of a line has a byte in which all bits are set.
static inline bool line_has_full_byte(const uint64_t *line) {
    uint64_t seen = 0;
    for (unsigned i = 0; i < BLOCK_WORDS; i += 4)
        seen |= word_full_bytes(word_load(&line[i])) | word_full_bytes(word_load(&line[i + 1])) |
                word_full_bytes(word_load(&line[i + 2])) | word_full_bytes(word_load(&line[i + 3]));
    return seen != 0;
}

// The first bit at or after word `from` at which a run of `count` ones begins, at a multiple of
// `align`, that ends in the line; BLOCK_FRAMES if there is none.
static inline uint64_t line_find_run(const uint64_t *line, unsigned from, uint64_t count,
                                     uint64_t align) {
    ASSERT(from < BLOCK_WORDS);
    if (count >= FULL_BYTES_RUN && !line_has_full_byte(line))
        return BLOCK_FRAMES;
    for (unsigned i = from; i < BLOCK_WORDS; i++) {
        uint64_t word = word_load(&line[i]);
        if (word == 0 || (count >= FULL_BYTES_RUN && word_full_bytes(word) == 0))
            continue;
        // A long run shows by its full byte, which may lie in the word behind the one where it
        // begins.
        unsigned first = i > from && count >= FULL_BYTES_RUN ? i - 1 : i;
        for (unsigned at = first; at <= i; at++) {
            uint64_t starts = line_run_starts(line, at, count, align);
            if (starts != 0)
                return at * UINT64_C(64) + (uint64_t)__builtin_ctzll(starts);
        }
    }
    return BLOCK_FRAMES;
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
        set += popcount(word_load(&line[i]));
    return set;
}
