#include "common/frames/bit_tree.h"

#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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
        assert_int_equal(bit_tree_scan(&tree, from, UINT64_MAX),
                         want < bits ? want : BIT_TREE_NONE);
        uint64_t end = random_below(random, bits + 2);
        assert_int_equal(bit_tree_scan(&tree, from, end),
                         want < bits && want < end ? want : BIT_TREE_NONE);
        assert_int_equal(bit_tree_scan(&tree, from, from), BIT_TREE_NONE);
        assert_int_equal(bit_tree_scan(&tree, from / 64 * 64, from / 64 * 64), BIT_TREE_NONE);
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

TEST("bit_tree: a set needs a word for 64 numbers, and one for 64 of those") {
    static const uint64_t sizes[][2] = {{0, 1},     {1, 1},     {2, 1},        {63, 1},
                                        {64, 1},    {65, 3},    {640, 11},     {4032, 64},
                                        {4096, 65}, {4097, 68}, {262144, 4161}};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_equal(bit_tree_words(sizes[i][0]), sizes[i][1]);
}

TEST("bit_tree: an empty set has no next member, from anywhere") {
    uint64_t words[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    struct bit_tree tree;
    assert_int_equal(bit_tree_words(65), 3);
    bit_tree_init(&tree, 65, words);
    for (uint64_t from = 0; from < 70; from++) {
        assert_int_equal(bit_tree_next(&tree, from), BIT_TREE_NONE);
        assert_int_equal(bit_tree_scan(&tree, from, UINT64_MAX), BIT_TREE_NONE);
    }
    assert_int_equal(bit_tree_next(&tree, UINT64_MAX), BIT_TREE_NONE);
    assert_int_equal(bit_tree_scan(&tree, UINT64_MAX, UINT64_MAX), BIT_TREE_NONE);
}

TEST("bit_tree: a scan finds what the levels above do not know yet, or still know") {
    uint64_t words[3 + 1];
    struct bit_tree tree;
    bit_tree_init(&tree, 192, words);
    words[2] = UINT64_C(1) << 5; // as in the middle of an insertion
    assert_int_equal(bit_tree_next(&tree, 0), BIT_TREE_NONE);
    assert_int_equal(bit_tree_scan(&tree, 0, UINT64_MAX), 133);
    assert_int_equal(bit_tree_scan(&tree, 133, UINT64_MAX), 133);
    assert_int_equal(bit_tree_scan(&tree, 134, UINT64_MAX), BIT_TREE_NONE);
    bit_tree_insert(&tree, 70);
    words[1] = 0; // and of a removal
    assert_int_equal(bit_tree_next(&tree, 0), BIT_TREE_NONE);
    assert_int_equal(bit_tree_scan(&tree, 0, UINT64_MAX), 133);
}

// --- Several threads, each with members of its own ---

enum { THREADS = 2, MEMBERS = 64 * 64 + 7, ROUNDS = 250000, CHANGES = 3 };

struct changer {
    struct bit_tree *tree;
    unsigned number;
    atomic_uint *arrived; // threads, in all rounds
    struct random random;
    bool is_in[MEMBERS]; // its members: those that are its number modulo THREADS
    bool is_wrong;
    pthread_t thread;
};

static void meet(struct changer *changer) {
    unsigned all = atomic_fetch_add(changer->arrived, 1) / THREADS * THREADS + THREADS;
    for (unsigned spins = 0; (int)(atomic_load(changer->arrived) - all) < 0; spins++)
        if (spins > 1000)
            sched_yield();
}

// Inserts and removes; few members, so that words and levels become empty all the time.
static void change(struct changer *changer) {
    static const uint64_t near[] = {4096, 4096, 4096, 64};
    for (unsigned i = 0; i < CHANGES; i++) {
        uint64_t member = near[random_below(&changer->random, 4)] + changer->number;
        bool is_in = !changer->is_in[member];
        changer->is_in[member] = is_in;
        if (is_in)
            bit_tree_insert(changer->tree, member);
        else
            bit_tree_remove(changer->tree, member);
        changer->is_wrong |= bit_tree_contains(changer->tree, member) != is_in ||
                             (bit_tree_scan(changer->tree, member, UINT64_MAX) == member) != is_in;
        uint64_t next = bit_tree_next(changer->tree, member); // may be late, but not wild
        changer->is_wrong |= next != BIT_TREE_NONE && (next < member || next >= MEMBERS);
    }
}

// All change the set at once, and then look at it while nobody does.
static void *change_and_check(void *argument) {
    struct changer *changer = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        meet(changer);
        change(changer);
        meet(changer);
        changer->is_wrong |= !bit_tree_is_sound(changer->tree);
    }
    return NULL;
}

TEST("bit_tree: the levels agree whenever threads that changed it at once are done") {
    struct random random = random_start("bit_tree threads");
    uint64_t *words = malloc(bit_tree_words(MEMBERS) * sizeof(uint64_t));
    struct changer *changers = calloc(THREADS, sizeof(*changers));
    assert_true(words != NULL && changers != NULL);
    struct bit_tree tree;
    atomic_uint arrived = 0;
    bit_tree_init(&tree, MEMBERS, words);
    assert_int_equal(tree.levels, 3);
    for (unsigned i = 0; i < THREADS; i++) {
        changers[i].tree = &tree;
        changers[i].number = i;
        changers[i].arrived = &arrived;
        changers[i].random = (struct random){random_next(&random)};
        assert_int_equal(pthread_create(&changers[i].thread, NULL, change_and_check, &changers[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(changers[i].thread, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_false(changers[i].is_wrong);
    for (uint64_t member = 0; member < MEMBERS; member++)
        assert_int_equal(bit_tree_contains(&tree, member),
                         changers[member % THREADS].is_in[member]);
    free(changers);
    free(words);
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
