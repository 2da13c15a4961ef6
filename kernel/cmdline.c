#include "kernel/cmdline.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

static const struct {
    const char *word;
    enum cmdline_exit exit;
} exits[] = {
    {"exit=prompt", CMDLINE_EXIT_PROMPT},
    {"exit=poweroff", CMDLINE_EXIT_POWEROFF},
    {"exit=debug", CMDLINE_EXIT_DEBUG},
};

static const struct {
    const char *word;
    enum cmdline_test test;
} tests[] = {
    {"test=panic", CMDLINE_TEST_PANIC},
    {"test=double-adopt", CMDLINE_TEST_DOUBLE_ADOPT},
    {"test=null-read", CMDLINE_TEST_NULL_READ},
    {"test=write-text", CMDLINE_TEST_WRITE_TEXT},
    {"test=write-text-alias", CMDLINE_TEST_WRITE_TEXT_ALIAS},
    {"test=exec-data", CMDLINE_TEST_EXEC_DATA},
    {"test=exec-direct", CMDLINE_TEST_EXEC_DIRECT},
    {"test=stack-overflow", CMDLINE_TEST_STACK_OVERFLOW},
    {"test=guard-above", CMDLINE_TEST_GUARD_ABOVE},
    {"test=noncanonical", CMDLINE_TEST_NONCANONICAL},
    {"test=invalid-opcode", CMDLINE_TEST_INVALID_OPCODE},
    {"test=absent-cpu", CMDLINE_TEST_ABSENT_CPU},
    {"test=cpu-fault", CMDLINE_TEST_CPU_FAULT},
    {"test=cpu-overflow", CMDLINE_TEST_CPU_OVERFLOW},
    {"test=cpu-panics", CMDLINE_TEST_CPU_PANICS},
    {"test=cpu-map", CMDLINE_TEST_CPU_MAP},
};

static bool word_is(const char *word, uint64_t bytes, const char *expected) {
    return bytes == strlen(expected) && memcmp(word, expected, bytes) == 0;
}

static bool word_apply(struct cmdline *cmdline, const char *word, uint64_t bytes) {
    for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
        if (word_is(word, bytes, exits[i].word)) {
            cmdline->exit = exits[i].exit;
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
        if (word_is(word, bytes, tests[i].word)) {
            cmdline->test = tests[i].test;
            return true;
        }
    }
    return false;
}

struct cmdline cmdline_parse(const char *text, uint64_t bytes, const struct sink *sink) {
    struct cmdline cmdline = {.exit = CMDLINE_EXIT_PROMPT, .test = CMDLINE_TEST_NONE};
    uint64_t at = 0;
    while (at < bytes) {
        uint64_t start = at;
        while (at < bytes && text[at] != ' ')
            at++;
        uint64_t length = at - start;
        if (length != 0 && !word_apply(&cmdline, &text[start], length))
            fmt_print(sink, "command line: unknown option \"%.*s\"\n", (int)min_u64(length, 200),
                      &text[start]);
        at++;
    }
    return cmdline;
}
