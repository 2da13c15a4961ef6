#include "kernel/cmdline.h"

#include "tests/unit/support/test.h"

#include <string.h>

static char said[512];

static struct cmdline parse(const char *text) {
    struct fmt_buffer buffer = fmt_buffer_make(said, sizeof(said));
    struct sink sink = fmt_buffer_sink(&buffer);
    return cmdline_parse(text, strlen(text), &sink);
}

TEST("cmdline: nothing means the prompt and no provoked failure") {
    struct cmdline cmdline = parse("");
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_PROMPT);
    assert_int_equal(cmdline.test, CMDLINE_TEST_NONE);
    assert_string_equal(said, "");
}

TEST("cmdline: words are found between any number of spaces, and the later of two counts") {
    struct cmdline cmdline = parse("  exit=prompt   test=null-read exit=debug ");
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_DEBUG);
    assert_int_equal(cmdline.test, CMDLINE_TEST_NULL_READ);
    assert_string_equal(said, "");
    assert_int_equal(parse("exit=poweroff").exit, CMDLINE_EXIT_POWEROFF);
}

TEST("cmdline: tests of several CPUs have words of their own") {
    assert_int_equal(parse("test=absent-cpu").test, CMDLINE_TEST_ABSENT_CPU);
    assert_int_equal(parse("test=cpu-fault").test, CMDLINE_TEST_CPU_FAULT);
    assert_int_equal(parse("test=cpu-overflow").test, CMDLINE_TEST_CPU_OVERFLOW);
    assert_int_equal(parse("test=cpu-panics").test, CMDLINE_TEST_CPU_PANICS);
    assert_int_equal(parse("test=cpu-map").test, CMDLINE_TEST_CPU_MAP);
    assert_string_equal(said, "");
}

TEST("cmdline: unknown words are reported one by one and change nothing") {
    struct cmdline cmdline = parse("exit=never test= exit=debug quiet exit=debugger");
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_DEBUG);
    assert_int_equal(cmdline.test, CMDLINE_TEST_NONE);
    assert_string_equal(said, "command line: unknown option \"exit=never\"\n"
                              "command line: unknown option \"test=\"\n"
                              "command line: unknown option \"quiet\"\n"
                              "command line: unknown option \"exit=debugger\"\n");
}

TEST("cmdline: the text ends where its length says") {
    struct fmt_buffer buffer = fmt_buffer_make(said, sizeof(said));
    struct sink sink = fmt_buffer_sink(&buffer);
    struct cmdline cmdline = cmdline_parse("exit=debugger", strlen("exit=debug"), &sink);
    assert_int_equal(cmdline.exit, CMDLINE_EXIT_DEBUG);
    assert_string_equal(said, "");
}
