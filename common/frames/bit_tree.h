// A set of indices from 0 to bits - 1 that finds its next member without a scan: a bitmap, and
// above every 64 words of a level one word that says which of them are not 0, up to a single word.
//
//     level 2  |1|                           bit n: word n of level 1 is not 0
//     level 1  |101|                         bit n: word n of level 0 is not 0
//     level 0  |0100..| |0000..| |0001..|    the bitmap: members 1 and 131
//
// Insert, remove and find cost one step a level, and there is a level for every factor of 64.
//
// Owns no memory: the caller supplies bit_tree_words() words.
//
// Several CPUs: members come and go at any moment, each member by one CPU at a time. The bitmap is
// always right. The levels above may lag behind while a call is under way: a caller that must not
// miss a member asks bit_tree_scan once more when bit_tree_next has found none.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BIT_TREE_LEVELS 8 // 64^8 members: more than there are frames in 2^52 bytes
#define BIT_TREE_NONE   UINT64_MAX

struct bit_tree {
    uint64_t bits;
    unsigned levels;
    uint64_t *level[BIT_TREE_LEVELS]; // level 0 is the bitmap
};

static inline uint64_t bit_tree_words_of_level(uint64_t bits) {
    return bits / 64 + (bits % 64 != 0);
}

// Words of memory that a set of indices below `bits` needs.
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

static inline uint64_t bit_tree_load(const uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline bool bit_tree_contains(const struct bit_tree *tree, uint64_t member) {
    return (bit_tree_load(&tree->level[0][member / 64]) >> member % 64 & 1) != 0;
}

// Carries a change upwards: brings the bit for word `index` of level - 1 up to date in `level`, at
// least 1, and goes on above as long as a word became 0 or ceased to be. A CPU that makes a word 0,
// or other than 0, calls this afterwards. The bit is right in the end because each CPU reads the
// word again after it wrote the bit, and all accesses have one order for all CPUs:
//
//     CPU 0, removes the last member      CPU 1, inserts a member of the same word
//     word = 0
//     reads the word: 0
//                                         word = 2
//                                         reads the word: 2
//                                         bit = 1
//                                         reads the word again: not 0 as before, done
//     bit = 0                             (wrong for a moment: a member that bit_tree_next misses)
//     reads the word again: 2, not 0
//     bit = 1                             (right)
//     reads the word again: not 0, done
//
// Whoever writes the bit last reads the word after that, and no other CPU has then changed the word
// without a write of the bit still to come.
static inline void bit_tree_propagate(const struct bit_tree *tree, unsigned level, uint64_t index) {
    for (bool has_changed = true; level < tree->levels && has_changed; level++) {
        const uint64_t *below = &tree->level[level - 1][index];
        uint64_t *word = &tree->level[level][index / 64];
        uint64_t bit = UINT64_C(1) << index % 64;
        bool is_in;
        has_changed = false; // `word` became 0 or ceased to be: the level above has to follow
        do {
            is_in = bit_tree_load(below) != 0;
            if (is_in)
                has_changed |= __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) == 0;
            else
                has_changed |= __atomic_and_fetch(word, ~bit, __ATOMIC_SEQ_CST) == 0;
        } while ((bit_tree_load(below) != 0) != is_in);
        index /= 64;
    }
}

static inline void bit_tree_insert(struct bit_tree *tree, uint64_t member) {
    uint64_t bit = UINT64_C(1) << member % 64;
    if (__atomic_fetch_or(&tree->level[0][member / 64], bit, __ATOMIC_SEQ_CST) == 0)
        bit_tree_propagate(tree, 1, member / 64);
}

static inline void bit_tree_remove(struct bit_tree *tree, uint64_t member) {
    uint64_t bit = UINT64_C(1) << member % 64;
    if (__atomic_and_fetch(&tree->level[0][member / 64], ~bit, __ATOMIC_SEQ_CST) == 0)
        bit_tree_propagate(tree, 1, member / 64);
}

// The lowest member that is at least `from`, whatever `from` is; BIT_TREE_NONE if there is none.
static inline uint64_t bit_tree_next(const struct bit_tree *tree, uint64_t from) {
    uint64_t bits = tree->bits;
    unsigned level = 0;
    for (;;) {
        if (level == tree->levels || from >= bits)
            return BIT_TREE_NONE;
        uint64_t rest = bit_tree_load(&tree->level[level][from / 64]) >> from % 64;
        if (rest == 0) { // nothing more in this word: up, to the words behind it
            from = from / 64 + 1;
            bits = bit_tree_words_of_level(bits);
            level++;
            continue;
        }
        from += (uint64_t)__builtin_ctzll(rest);
        if (level == 0)
            return from;
        // Down to the word that the bit stands for. If another CPU has emptied that word meanwhile,
        // the search goes up again behind it.
        from *= 64;
        level--;
        bits = tree->bits;
        for (unsigned below = 0; below < level; below++)
            bits = bit_tree_words_of_level(bits);
    }
}

// The lowest member in [from, end), by the bitmap alone; BIT_TREE_NONE if there is none. Right at
// any moment, and one step for every 64 indices.
static inline uint64_t bit_tree_scan(const struct bit_tree *tree, uint64_t from, uint64_t end) {
    if (end > tree->bits)
        end = tree->bits;
    if (from >= end)
        return BIT_TREE_NONE;
    uint64_t word = from / 64, last = (end - 1) / 64;
    uint64_t rest = bit_tree_load(&tree->level[0][word]) >> from % 64 << from % 64;
    while (rest == 0) {
        if (word == last)
            return BIT_TREE_NONE;
        rest = bit_tree_load(&tree->level[0][++word]);
    }
    uint64_t member = word * 64 + (uint64_t)__builtin_ctzll(rest);
    return member < end ? member : BIT_TREE_NONE;
}

// Self-check, while nobody changes the set: true if every level says of the one below which of its
// words are not 0.
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
