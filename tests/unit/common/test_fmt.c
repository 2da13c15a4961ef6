#include "common/base/fmt.h"

#include "tests/unit/support/test.h"

static void expect(const char *want, const char *format, ...) {
    char storage[128];
    struct fmt_buffer buffer = fmt_buffer_make(storage, sizeof(storage));
    struct sink sink = fmt_buffer_sink(&buffer);
    va_list arguments;
    va_start(arguments, format);
    fmt_vprint(&sink, format, arguments);
    va_end(arguments);
    assert_string_equal(storage, want);
    assert_int_equal(buffer.dropped, 0);
}

TEST("fmt: numbers of every width and sign come out as printf writes them") {
    expect("0 -1 -2147483648 4294967295", "%d %d %d %u", 0, -1, INT32_MIN, UINT32_MAX);
    expect("-9223372036854775808", "%ld", INT64_MIN);
    expect("18446744073709551615 ffffffffffffffff", "%lu %lx", UINT64_MAX, UINT64_MAX);
    expect("7", "%zu", (size_t)7);
}

TEST("fmt: width, zero and left padding apply to numbers and text") {
    expect("   42|42   |00042|-0042", "%5d|%-5d|%05d|%05d", 42, 42, 42, -42);
    expect("000000000000beef", "%016lx", 0xbeefUL);
    expect("  ab|ab  |c|100%", "%4s|%-4s|%c|100%%", "ab", "ab", 'c');
    expect("abc|ab", "%.*s|%.*s", 3, "abcdef", 5, "ab");
}

static void print_twice(const struct sink *sink, char what, const void *context) {
    fmt_print(sink, "%c%c%s", what, what, (const char *)context);
}

TEST("fmt: in a template a character behind $ is printed by the caller, all else as it is") {
    char storage[32];
    struct fmt_buffer buffer = fmt_buffer_make(storage, sizeof(storage));
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_template(&sink, "$a b%s$$$c", print_twice, "!");
    assert_string_equal(storage, "aa! b%s$$!cc!");
}

TEST("fmt: a full buffer keeps what fits, terminates it and counts the rest") {
    char storage[5];
    struct fmt_buffer buffer = fmt_buffer_make(storage, sizeof(storage));
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, "%s", "abcdefg");
    assert_string_equal(storage, "abcd");
    assert_int_equal(buffer.used, 4);
    assert_int_equal(buffer.dropped, 3);
}

TEST("fmt: a buffer without room keeps nothing and counts all") {
    struct fmt_buffer buffer = fmt_buffer_make(NULL, 0);
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, "%s", "abc");
    assert_int_equal(buffer.used, 0);
    assert_int_equal(buffer.dropped, 3);
}
