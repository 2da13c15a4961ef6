#include "kernel/bit_tree.h"

#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>

// A tree in exactly the memory that it asks for, beside a plain array that says the same.
static void compare_with_array(struct random *random, uint64_t bits) {
    uint64_t *words = malloc(bit_tree_words(bits) * sizeof(uint64_t));
    bool *array = calloc(bits + 1, sizeof(bool));
    assert_true(words != NULL && array != NULL);
    struct bit_tree tree;
    bit_tree_init(&tree, bits, words);
    for (int step = 0; step < 300 && bits > 0; step++) {
        uint64_t member = random_below(random, bits);
        array[member] = random_below(random, 3) != 0;
        if (array[member])
            bit_tree_insert(&tree, member);
        else
            bit_tree_remove(&tree, member);
        assert_true(bit_tree_is_sound(&tree));

        uint64_t from = random_below(random, bits + 2);
        uint64_t want = from;
        while (want < bits && !array[want])
            want++;
        assert_int_equal(bit_tree_next(&tree, from), want < bits ? want : BIT_TREE_NONE);
        if (from < bits)
            assert_int_equal(bit_tree_contains(&tree, from), array[from]);
    }
    free(array);
    free(words);
}

TEST("bit_tree: sets of every size around the powers of 64 equal a plain array") {
    static const uint64_t sizes[] = {0,   1,   2,    63,   64,   65,   127,    128,
                                     129, 640, 4095, 4096, 4097, 5000, 262144, 262145};
    struct random random = random_start("bit_tree");
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        compare_with_array(&random, sizes[i]);
}

TEST("bit_tree: an empty set has no next member, from anywhere") {
    uint64_t words[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    struct bit_tree tree;
    assert_int_equal(bit_tree_words(65), 3);
    bit_tree_init(&tree, 65, words);
    for (uint64_t from = 0; from < 70; from++)
        assert_int_equal(bit_tree_next(&tree, from), BIT_TREE_NONE);
    assert_int_equal(bit_tree_next(&tree, UINT64_MAX), BIT_TREE_NONE);
}

TEST("bit_tree: levels that disagree are found") {
    uint64_t words[3];
    struct bit_tree tree;
    bit_tree_init(&tree, 65, words);
    bit_tree_insert(&tree, 64);
    assert_true(bit_tree_is_sound(&tree));
    words[0] = 1;
    assert_false(bit_tree_is_sound(&tree));
    words[0] = 0;
    words[1] = 0;
    assert_false(bit_tree_is_sound(&tree));
}
