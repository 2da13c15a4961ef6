// A set of numbers from 0 to bits - 1 that finds its next member without a scan: a bitmap, and
// above every 64 words of it one word that says which of them are not 0, and so on up to a single
// word. Insert, remove and find cost one step a level, and there is a level for every factor of 64.
//
// Owns no memory: the caller gives bit_tree_words() words.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BIT_TREE_LEVELS 8 // 64^8 members: more than there are frames in 2^52 bytes
#define BIT_TREE_NONE   UINT64_MAX

struct bit_tree {
    uint64_t *level[BIT_TREE_LEVELS]; // level 0 is the bitmap
    unsigned levels;
    uint64_t bits;
};

static inline uint64_t bit_tree_words_of_level(uint64_t bits) {
    return bits / 64 + (bits % 64 != 0);
}

// Words of memory that a set of numbers below `bits` needs.
static inline uint64_t bit_tree_words(uint64_t bits) {
    uint64_t words = 0;
    while (bits > 1) {
        bits = bit_tree_words_of_level(bits);
        words += bits;
    }
    return words == 0 ? 1 : words;
}

// Makes the empty set over `words`, whose contents do not matter; they stay the tree's.
static inline void bit_tree_init(struct bit_tree *tree, uint64_t bits, uint64_t *words) {
    uint64_t total = bit_tree_words(bits);
    for (uint64_t i = 0; i < total; i++)
        words[i] = 0;
    tree->levels = 0;
    tree->bits = bits;
    do {
        bits = bit_tree_words_of_level(bits);
        tree->level[tree->levels++] = words;
        words += bits;
    } while (bits > 1);
}

static inline bool bit_tree_contains(const struct bit_tree *tree, uint64_t member) {
    return (tree->level[0][member / 64] >> member % 64 & 1) != 0;
}

static inline void bit_tree_insert(struct bit_tree *tree, uint64_t member) {
    for (unsigned level = 0; level < tree->levels; level++) {
        uint64_t *word = &tree->level[level][member / 64];
        uint64_t before = *word;
        *word = before | UINT64_C(1) << member % 64;
        if (before != 0)
            return; // the levels above say so already
        member /= 64;
    }
}

static inline void bit_tree_remove(struct bit_tree *tree, uint64_t member) {
    for (unsigned level = 0; level < tree->levels; level++) {
        uint64_t *word = &tree->level[level][member / 64];
        *word &= ~(UINT64_C(1) << member % 64);
        if (*word != 0)
            return;
        member /= 64;
    }
}

// The lowest member that is at least `from`, whatever `from` is; BIT_TREE_NONE if there is none.
static inline uint64_t bit_tree_next(const struct bit_tree *tree, uint64_t from) {
    uint64_t bits = tree->bits;
    unsigned level = 0;
    // Up, until the rest of a word has a member.
    for (;; level++) {
        if (level == tree->levels || from >= bits)
            return BIT_TREE_NONE;
        uint64_t rest = tree->level[level][from / 64] >> from % 64;
        if (rest != 0) {
            from += (uint64_t)__builtin_ctzll(rest);
            break;
        }
        from = from / 64 + 1;
        bits = bit_tree_words_of_level(bits);
    }
    // Down again, along the first members.
    for (; level > 0; level--)
        from = from * 64 + (uint64_t)__builtin_ctzll(tree->level[level - 1][from]);
    return from;
}

// Self-check: true if every level says of the one below which of its words are not 0.
static inline bool bit_tree_is_sound(const struct bit_tree *tree) {
    uint64_t words = bit_tree_words_of_level(tree->bits);
    for (unsigned level = 0; level + 1 < tree->levels; level++) {
        for (uint64_t i = 0; i < words; i++) {
            bool said = (tree->level[level + 1][i / 64] >> i % 64 & 1) != 0;
            if (said != (tree->level[level][i] != 0))
                return false;
        }
        words = bit_tree_words_of_level(words);
    }
    return true;
}
