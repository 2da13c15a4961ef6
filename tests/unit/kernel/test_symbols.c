#include "kernel/stop/symbols.h"

#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

// Two files; from 0x10 on a function of the second, with lines 300, 299 and none; from 0x200 on one
// of the first.
// clang-format off
static const uint8_t table[] = {
    'a', '.', 'c', 0, 'b', '.', 'c', 0, 0,
    0x10 << 1 | 1, 'o', 'n', 'e', 0, 1, 0xd8, 0x04,  // 300 * 2
    4 << 1, 1,                                       // 0x14
    0x84, 0x02, 0xd5, 0x04,                          // 0x96: 0x82 * 2; -299
    0xd5, 0x05, 't', 'w', 'o', 0, 0, 14,             // 0x200: 0x16a * 2 + 1
};
// clang-format on

static void expect(uint64_t offset, const char *function, const char *file, uint64_t line) {
    struct symbols_place place;
    assert_true(symbols_find(table, table + sizeof(table), offset, &place));
    assert_string_equal(place.function, function);
    assert_string_equal(place.file, file);
    assert_int_equal(place.line, line);
}

static void expect_none(const uint8_t *start, const uint8_t *end, uint64_t offset) {
    struct symbols_place place = {.line = 7};
    assert_false(symbols_find(start, end, offset, &place));
    assert_true(place.line == 7 && place.function == NULL && place.file == NULL);
}

TEST("symbols: a place is that of the last row before it or at it") {
    expect_none(table, table + sizeof(table), 0);
    expect_none(table, table + sizeof(table), 0xf);
    expect(0x10, "one", "b.c", 300);
    expect(0x13, "one", "b.c", 300);
    expect(0x14, "one", "b.c", 299);
    expect(0x95, "one", "b.c", 299);
    expect(0x96, "one", "b.c", 0);
    expect(0x1ff, "one", "b.c", 0);
    expect(0x200, "two", "a.c", 7);
    expect(UINT64_MAX, "two", "a.c", 7);
}

TEST("symbols: a table that is empty has no place") {
    expect_none(table, table, 0x10);
    expect_none((const uint8_t *)"", (const uint8_t *)"" + 1, 0x10);
}

TEST("symbols: of a table that is cut off the rows count that are whole") {
    const size_t first_row = 9 + 8, second = first_row + 2, third = second + 4;
    for (size_t bytes = 0; bytes < sizeof(table); bytes++) {
        uint8_t *copy = malloc(bytes + 1); // so that the sanitizer sees a read beyond
        assert_non_null(copy);
        uint8_t *start = copy + 1;
        memcpy(start, table, bytes);
        struct symbols_place place = {0};
        bool found = symbols_find(start, start + bytes, 0x200, &place);
        assert_int_equal(found, bytes >= first_row);
        if (found)
            assert_int_equal(place.line, bytes >= third ? 0 : bytes >= second ? 299 : 300);
        free(copy);
    }
}

TEST("symbols: a number that does not end, and a file that is not there, do no harm") {
    static const uint8_t endless[] = {'a',  0,    0,    0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                      0x80, 0x80, 0x80, 0x80, 1,    'f',  0,    0,    2};
    expect_none(endless, endless + sizeof(endless), 5);
    static const uint8_t no_file[] = {'a', 0, 0, 1, 'f', 0, 9, 2};
    struct symbols_place place;
    assert_true(symbols_find(no_file, no_file + sizeof(no_file), 0, &place));
    assert_string_equal(place.file, "");
}
