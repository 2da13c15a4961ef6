#include "kernel/base/units.h"

#include "common/base/arith.h"

#include "tests/unit/support/test.h"

static void expect(uint64_t bytes, const char *want) {
    char storage[UNITS_BYTES_MAX];
    assert_string_equal(units_bytes(storage, bytes), want);
}

TEST("units: sizes are exact without a decimal, and rounded down with one") {
    expect(0, "0 B");
    expect(1023, "1023 B");
    expect(1024, "1 KiB");
    expect(1025, "1.0 KiB");
    expect(KIB(640), "640 KiB");
    expect(MIB(1) - 1, "1023.9 KiB");
    expect(MIB(127) + KIB(512), "127.5 MiB");
    expect(GIB(64), "64 GiB");
    expect(TIB(11) + GIB(256), "11.2 TiB");
    expect(UINT64_MAX, "15.9 EiB");
}

static void expect_percent(uint64_t part, uint64_t whole, const char *want) {
    char storage[UNITS_PERCENT_MAX];
    assert_string_equal(units_percent(storage, part, whole), want);
}

TEST("units: percent are rounded down to one decimal, and of nothing everything is none") {
    expect_percent(0, 0, "0.0%");
    expect_percent(0, 1, "0.0%");
    expect_percent(1, 1, "100.0%");
    expect_percent(1, 2, "50.0%");
    expect_percent(1, 3, "33.3%");
    expect_percent(2, 3, "66.6%");
    expect_percent(1, 1000, "0.1%");
    expect_percent(1, 1001, "0.0%");
    expect_percent(999999, 1000000, "99.9%");
    expect_percent(129174, 129274, "99.9%");
}

TEST("units: percent of all frames that can be, and of more, do not overflow") {
    uint64_t frames = UINT64_C(1) << 52;
    expect_percent(frames, frames, "100.0%");
    expect_percent(frames - 1, frames, "99.9%");
    expect_percent(frames / 8, frames, "12.5%");
    expect_percent(1, frames, "0.0%");
    expect_percent(UNITS_PERCENT_WHOLE_MAX, UNITS_PERCENT_WHOLE_MAX, "100.0%");
    expect_percent(UNITS_PERCENT_WHOLE_MAX - 1, UNITS_PERCENT_WHOLE_MAX, "99.9%");
}

TEST("units: microseconds are right for every clock and do not overflow") {
    assert_int_equal(units_microseconds(0, 1), 0);
    assert_int_equal(units_microseconds(2300, 2300000000), 1);
    assert_int_equal(units_microseconds(2299, 2300000000), 0);
    assert_int_equal(units_microseconds(UINT64_C(5000000000) * 86400, 5000000000),
                     UINT64_C(86400000000));
    assert_int_equal(units_microseconds(UINT64_MAX, 1000000), UINT64_MAX);
}
