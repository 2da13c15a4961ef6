#include "kernel/base/cmdline.h"

#include "tests/unit/support/test.h"

#include <string.h>

static struct cmdline parse_all(const char *text) {
    return cmdline_parse(text, strlen(text));
}

// A text without a mistake.
static struct cmdline parse(const char *text) {
    struct cmdline cmdline = parse_all(text);
    assert_null(cmdline.unknown);
    return cmdline;
}

static void expect_refusal(const char *text, const char *expected) {
    char said[CMDLINE_REFUSAL_MAX];
    struct fmt_buffer buffer = fmt_buffer_make(said, sizeof(said));
    struct sink sink = fmt_buffer_sink(&buffer);
    struct cmdline cmdline = parse_all(text);
    assert_non_null(cmdline.unknown);
    cmdline_explain_unknown(&cmdline, &sink);
    assert_string_equal(said, expected);
    assert_int_equal(buffer.dropped, 0);
}

TEST("cmdline: nothing means the prompt and no provoked failure") {
    struct cmdline cmdline = parse("");
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_PROMPT);
    assert_int_equal(cmdline.test, CMDLINE_TEST_NONE);
}

TEST("cmdline: words are found between any number of spaces, and the later of two counts") {
    struct cmdline cmdline = parse("  exit=prompt   test=null-read exit=debug ");
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_DEBUG);
    assert_int_equal(cmdline.test, CMDLINE_TEST_NULL_READ);
    assert_int_equal(parse("exit=poweroff").exit, CMDLINE_EXIT_POWEROFF);
}

TEST("cmdline: a failure stops the machine unless it is to reset it") {
    assert_int_equal(parse("exit=debug").failure, CMDLINE_FAILURE_STOP);
    assert_int_equal(parse("failure=reboot").failure, CMDLINE_FAILURE_REBOOT);
    assert_int_equal(parse("failure=reboot failure=stop").failure, CMDLINE_FAILURE_STOP);
    expect_refusal("failure=", "unknown option \"failure=\": failure= is one of stop, reboot");
}

TEST("cmdline: tests of several CPUs have words of their own") {
    assert_int_equal(parse("test=cpu-fault").test, CMDLINE_TEST_CPU_FAULT);
    assert_int_equal(parse("test=cpu-overflow").test, CMDLINE_TEST_CPU_OVERFLOW);
    assert_int_equal(parse("test=cpu-panics").test, CMDLINE_TEST_CPU_PANICS);
    assert_int_equal(parse("test=cpu-late").test, CMDLINE_TEST_CPU_LATE);
}

TEST("cmdline: a number of seconds has one to four digits and nothing else") {
    assert_int_equal(parse("exit=debug").tlb_seconds, 0);
    assert_int_equal(parse("tlb=0").tlb_seconds, 0);
    assert_int_equal(parse("tlb=90").tlb_seconds, 90);
    assert_int_equal(parse("tlb=1 tlb=9999").tlb_seconds, 9999);
    static const char *const wrong[] = {"tlb=", "tlb=10000", "tlb=-1", "tlb=2s", "tlb=:", "tlb=/"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char expected[CMDLINE_REFUSAL_MAX] = "unknown option \"";
        strcat(strcat(expected, wrong[i]), "\": tlb= is a number of seconds, up to 9999");
        expect_refusal(wrong[i], expected);
        assert_int_equal(parse_all(wrong[i]).tlb_seconds, 0);
    }
}

TEST("cmdline: the self-test is asked for by a word without a value, beside any others") {
    assert_false(parse("exit=debug note=selftest").selftest);
    struct cmdline cmdline = parse("exit=poweroff selftest test=panic tlb=3");
    assert_true(cmdline.selftest);
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_POWEROFF);
    assert_int_equal(cmdline.test, CMDLINE_TEST_PANIC);
    assert_int_equal(cmdline.tlb_seconds, 3);
    static const char *const wrong[] = {"selftest=", "selftests", "selftes", "xselftest"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(parse_all(wrong[i]).selftest);
        assert_ptr_equal(parse_all(wrong[i]).unknown, wrong[i]);
    }
}

TEST("cmdline: a note is any text without a space, and changes nothing") {
    struct cmdline cmdline = parse("note= note=exit=debug exit=poweroff note=\"\xc3\xa4");
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_POWEROFF);
    assert_int_equal(cmdline.test, CMDLINE_TEST_NONE);
}

TEST("cmdline: an unknown word changes nothing, and words after it count") {
    static const char text[] = "exit=never test= exit=debug exit=debugger exit test=panic";
    struct cmdline cmdline = parse_all(text);
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_DEBUG);
    assert_int_equal(cmdline.test, CMDLINE_TEST_PANIC);
    assert_ptr_equal(cmdline.unknown, text);
    assert_int_equal(cmdline.unknown_bytes, strlen("exit=never"));
}

TEST("cmdline: the first unknown word is named, with what would be right in its place") {
    expect_refusal(
        "exit=debug quiet exit=never",
        "unknown option \"quiet\": an option begins with exit=, failure=, test=, tlb=, note=, or is "
        "selftest");
    expect_refusal("exit=never quiet",
                   "unknown option \"exit=never\": exit= is one of prompt, poweroff, debug");
    expect_refusal(
        "exit",
        "unknown option \"exit\": an option begins with exit=, failure=, test=, tlb=, note=, or is "
        "selftest");
    expect_refusal("exit=", "unknown option \"exit=\": exit= is one of prompt, poweroff, debug");
}

TEST("cmdline: the longest refusal says that the word is longer, and names all tests") {
    expect_refusal(
        "test=555555555566666666667777777777888888888899999999990000000000",
        "unknown option \"test=5555555555666666666677777777778888888888999999999900000...\":"
        " test= is one of none, panic, double-adopt, null-read, write-text,"
        " write-text-alias, exec-data, exec-direct, stack-overflow, guard-above,"
        " noncanonical, invalid-opcode, cpu-fault, cpu-overflow, cpu-panics,"
        " cpu-late, selftest-fails, heap-twice");
}

TEST("cmdline: the text ends where its length says") {
    struct cmdline cmdline = cmdline_parse("exit=debugger", strlen("exit=debug"));
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_DEBUG);
    assert_null(cmdline.unknown);
}
