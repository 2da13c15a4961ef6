// The pace of reads over models of devices: what is asked for, read by read, and what it costs next
// to the best that a constant chunk could do.
#include "loader/pace.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <string.h>

// Counts of the TSC, as measured in QEMU with `-icount shift=3` under edk2's drivers.
struct device {
    uint64_t call; // a read
    uint64_t mib;  // moving a MiB
    uint64_t walk; // along the clusters of a MiB: those of this read, and of the one before
    uint64_t limit;
    uint64_t beyond; // a MiB of reads larger than the limit, if not 0
};

static const struct device virtio = {480000, 240000, 1760000, 0, 0};
static const struct device ahci = {480000, 9760000, 1760000, 0, 0};
static const struct device nvme = {480000, 1760000, 1760000, 0, 0};
static const struct device usb = {480000, 4000000, 1760000, 0, 0};
static const struct device *const devices[] = {&virtio, &ahci, &nvme, &usb};

static uint64_t cost_of(const struct device *device, uint64_t before, uint64_t bytes) {
    bool is_beyond = device->limit != 0 && bytes > device->limit;
    return device->call + (is_beyond ? device->beyond : device->mib) * bytes / MIB(1) +
           device->walk * (before + bytes) / MIB(1);
}

static uint64_t asked[64];
static uint32_t asked_count;

// Reads a file and returns what that cost; `pace` is null for chunks of a constant size.
static uint64_t read_file(const struct device *device, uint64_t bytes, struct pace *pace,
                          uint64_t chunk) {
    uint64_t sum = 0;
    uint64_t before = 0;
    asked_count = 0;
    for (uint64_t left = bytes; left != 0; left -= before) {
        uint64_t ask = min_u64(left, pace != NULL ? pace->chunk : chunk);
        uint64_t cost = cost_of(device, before, ask);
        if (pace != NULL)
            pace_note(pace, ask, ask, cost);
        asked[asked_count++ % ARRAY_LEN(asked)] = ask;
        sum += cost;
        before = ask;
    }
    return sum;
}

static void expect_asked(const uint64_t *mibs, uint32_t count) {
    assert_int_equal(asked_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(asked[i], mibs[i] * MIB(1));
}

TEST("pace: the first two reads are of 1 MiB, then they double to 4 MiB, then grow by 16") {
    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        struct pace pace = pace_begin();
        read_file(devices[i], MIB(64), &pace, 0);
        expect_asked((uint64_t[]){1, 1, 2, 4, 56}, 5);
        read_file(devices[i], MIB(100), &pace, 0); // the next file of the volume
        expect_asked((uint64_t[]){64, 36}, 2);
    }
}

TEST("pace: 64 MiB cost a sixth more than in the best of chunks at most, and less than in 1 MiB") {
    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        struct pace pace = pace_begin();
        uint64_t cost = read_file(devices[i], MIB(64), &pace, 0);
        uint64_t best = UINT64_MAX;
        for (uint64_t chunk = KIB(64); chunk <= MIB(64); chunk *= 2)
            best = min_u64(best, read_file(devices[i], MIB(64), NULL, chunk));
        assert_true(cost <= best + best / 6);
        assert_true(cost < read_file(devices[i], MIB(64), NULL, MIB(1)));
    }
}

TEST("pace: where larger reads are slower it goes back to the best for good, after one of them") {
    const struct device slow = {480000, 1760000, 1760000, MIB(1), 23000000};
    struct pace pace = pace_begin();
    read_file(&slow, MIB(7), &pace, 0);
    expect_asked((uint64_t[]){1, 1, 2, 1, 1, 1}, 6);
    read_file(&slow, MIB(3), &pace, 0);
    expect_asked((uint64_t[]){1, 1, 1}, 3);
    const struct device slow_later = {480000, 1760000, 1760000, MIB(4), 23000000};
    pace = pace_begin();
    read_file(&slow_later, MIB(82), &pace, 0);
    expect_asked((uint64_t[]){1, 1, 2, 4, 64, 4, 4, 2}, 8);
}

// One read of a chunk that takes so many counts a MiB.
static void note(struct pace *pace, uint64_t cost) {
    pace_note(pace, pace->chunk, pace->chunk, cost * (pace->chunk / MIB(1)));
}

TEST("pace: a read that costs an eighth more than the best is no reason to go back, more is") {
    for (uint64_t more = 0; more < 2; more++) {
        struct pace pace = pace_begin();
        note(&pace, 1);
        note(&pace, 8000);
        note(&pace, 7200);
        note(&pace, 8100 + more);
        assert_int_equal(pace.chunk, more ? MIB(2) : MIB(64));
        assert_int_equal(pace.is_settled, more);
    }
}

TEST("pace: it grows to what should take 10^9 counts, as far as that is known, and to 1 GiB") {
    static const uint64_t costs[][2] = {{1, 1024},      {976562, 1024}, {976563, 512},
                                        {125000000, 8}, {125000001, 4}, {500000000, 2},
                                        {500000001, 1}, {UINT64_MAX, 1}};
    for (size_t i = 0; i < ARRAY_LEN(costs); i++) {
        struct pace pace = pace_begin();
        for (int reads = 0; reads < 6; reads++)
            note(&pace, costs[i][0]);
        assert_int_equal(pace.chunk, MIB(1) * costs[i][1]);
        note(&pace, UINT64_C(1) << 40); // it stays there
        assert_int_equal(pace.chunk, MIB(1) * costs[i][1]);
    }
}

TEST(
    "pace: less than a count a MiB counts as one, and of chunks that cost as much the first is best") {
    struct pace pace = pace_begin();
    note(&pace, 1);
    note(&pace, 1);
    pace_note(&pace, pace.chunk, pace.chunk, 1);
    assert_int_equal(pace.chunk, MIB(4));
    note(&pace, 2);
    assert_int_equal(pace.chunk, MIB(1));
    assert_true(pace.is_settled);
}

TEST("pace: a short read, one of less than a chunk, and one that took no time say nothing") {
    struct pace pace = pace_begin();
    note(&pace, 1000);
    const struct pace before = pace;
    pace_note(&pace, MIB(1), MIB(1) - 1, 5000);
    pace_note(&pace, MIB(1) - 1, MIB(1) - 1, 5000);
    pace_note(&pace, MIB(1), MIB(1), 0);
    assert_memory_equal(&pace, &before, sizeof(pace));
    pace = pace_begin();
    pace_note(&pace, KIB(512), KIB(512), 5000);
    assert_false(pace.has_begun);
}

TEST("pace: after a failure chunks are smaller than what was asked for, and do not grow") {
    struct pace pace = pace_begin();
    note(&pace, 1000);
    note(&pace, 1000);
    assert_true(pace_shrink(&pace, MIB(3))); // the end of a file
    assert_int_equal(pace.chunk, MIB(2));
    note(&pace, 1000);
    assert_int_equal(pace.chunk, MIB(2));
    for (uint64_t left = MIB(2); left > KIB(4); left /= 2) {
        assert_true(pace_shrink(&pace, left));
        assert_int_equal(pace.chunk, left / 2);
    }
    assert_false(pace_shrink(&pace, KIB(4)));
    assert_false(pace_shrink(&pace, 1));
    assert_int_equal(pace.chunk, KIB(4));
    pace = pace_begin();
    assert_true(pace_shrink(&pace, KIB(4) + 1));
    assert_int_equal(pace.chunk, KIB(4));
}
