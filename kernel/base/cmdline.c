#include "kernel/base/cmdline.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    SHOWN_BYTES_MAX = 60, // of a word that means nothing
    DIGITS_MAX = 4,
};

static const char *const exits[] = {
    [CMDLINE_EXIT_PROMPT] = "prompt",
    [CMDLINE_EXIT_POWEROFF] = "poweroff",
    [CMDLINE_EXIT_DEBUG] = "debug",
};

static const char *const failures[] = {
    [CMDLINE_FAILURE_STOP] = "stop",
    [CMDLINE_FAILURE_REBOOT] = "reboot",
};

static const char *const tests[] = {
    [CMDLINE_TEST_NONE] = "none",
    [CMDLINE_TEST_PANIC] = "panic",
    [CMDLINE_TEST_DOUBLE_ADOPT] = "double-adopt",
    [CMDLINE_TEST_NULL_READ] = "null-read",
    [CMDLINE_TEST_WRITE_TEXT] = "write-text",
    [CMDLINE_TEST_WRITE_TEXT_ALIAS] = "write-text-alias",
    [CMDLINE_TEST_EXEC_DATA] = "exec-data",
    [CMDLINE_TEST_EXEC_DIRECT] = "exec-direct",
    [CMDLINE_TEST_STACK_OVERFLOW] = "stack-overflow",
    [CMDLINE_TEST_GUARD_ABOVE] = "guard-above",
    [CMDLINE_TEST_NONCANONICAL] = "noncanonical",
    [CMDLINE_TEST_INVALID_OPCODE] = "invalid-opcode",
    [CMDLINE_TEST_CPU_FAULT] = "cpu-fault",
    [CMDLINE_TEST_CPU_OVERFLOW] = "cpu-overflow",
    [CMDLINE_TEST_CPU_PANICS] = "cpu-panics",
    [CMDLINE_TEST_CPU_LATE] = "cpu-late",
    [CMDLINE_TEST_SELFTEST_FAILS] = "selftest-fails",
    [CMDLINE_TEST_HEAP_TWICE] = "heap-twice",
};

const char *cmdline_test_name(unsigned test) {
    return test < ARRAY_LEN(tests) ? tests[test] : NULL;
}

enum { KEY_EXIT, KEY_FAILURE, KEY_TEST, KEY_TLB, KEY_NOTE, KEYS };
static const char selftest_word[] = "selftest";

static const struct {
    const char *name;
    const char *const *values; // null: a number, or any text
    unsigned count;            // 0: any text
} keys[KEYS] = {
    [KEY_EXIT] = {"exit=", exits, ARRAY_LEN(exits)},
    [KEY_FAILURE] = {"failure=", failures, ARRAY_LEN(failures)},
    [KEY_TEST] = {"test=", tests, ARRAY_LEN(tests)},
    [KEY_TLB] = {"tlb=", NULL, 1},
    [KEY_NOTE] = {"note=", NULL, 0},
};

// The key that `word` begins with; KEYS if it is none.
static unsigned key_of(const char *word, uint64_t bytes) {
    unsigned key = 0;
    while (key < KEYS) {
        size_t length = strlen(keys[key].name);
        if (bytes >= length && memcmp(word, keys[key].name, length) == 0)
            break;
        key++;
    }
    return key;
}

static bool is_selftest(const char *word, uint64_t bytes) {
    return bytes == strlen(selftest_word) && memcmp(word, selftest_word, bytes) == 0;
}

static bool number_parse(const char *text, uint64_t bytes, unsigned *ret_number) {
    unsigned number = 0;
    if (bytes == 0 || bytes > DIGITS_MAX)
        return false;
    for (uint64_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (unsigned)(text[i] - '0');
    }
    *ret_number = number;
    return true;
}

// Notes which value of its key `word` has. False if it means nothing.
static bool word_apply(unsigned chosen[KEYS], const char *word, uint64_t bytes) {
    unsigned key = key_of(word, bytes);
    if (key == KEYS || keys[key].count == 0)
        return key != KEYS;
    const char *value = word + strlen(keys[key].name);
    size_t length = bytes - strlen(keys[key].name);
    if (keys[key].values == NULL)
        return number_parse(value, length, &chosen[key]);
    for (unsigned i = 0; i < keys[key].count; i++) {
        const char *known = keys[key].values[i];
        if (length == strlen(known) && memcmp(value, known, length) == 0) {
            chosen[key] = i;
            return true;
        }
    }
    return false;
}

struct cmdline cmdline_parse(const char *text, uint64_t bytes) {
    unsigned chosen[KEYS] = {[KEY_EXIT] = CMDLINE_EXIT_PROMPT, [KEY_TEST] = CMDLINE_TEST_NONE};
    struct cmdline cmdline = {0};
    uint64_t at = 0;
    while (at < bytes) {
        uint64_t start = at;
        while (at < bytes && text[at] != ' ')
            at++;
        uint64_t length = at - start;
        if (is_selftest(&text[start], length))
            cmdline.selftest = true;
        else if (length != 0 && !word_apply(chosen, &text[start], length) &&
                 cmdline.unknown == NULL) {
            cmdline.unknown = &text[start];
            cmdline.unknown_bytes = length;
        }
        at++;
    }
    cmdline.exit = (enum cmdline_exit)chosen[KEY_EXIT];
    cmdline.failure = (enum cmdline_failure)chosen[KEY_FAILURE];
    cmdline.test = (enum cmdline_test)chosen[KEY_TEST];
    cmdline.tlb_seconds = chosen[KEY_TLB];
    return cmdline;
}

void cmdline_explain_unknown(const struct cmdline *cmdline, const struct sink *sink) {
    uint64_t shown = min_u64(cmdline->unknown_bytes, SHOWN_BYTES_MAX);
    fmt_print(sink, "unknown option \"%.*s%s\": ", (int)shown, cmdline->unknown,
              shown < cmdline->unknown_bytes ? "..." : "");
    unsigned key = key_of(cmdline->unknown, cmdline->unknown_bytes);
    if (key == KEYS)
        fmt_print(sink, "an option begins with");
    else if (keys[key].values == NULL)
        fmt_print(sink, "%s is a number of seconds, up to 9999", keys[key].name);
    else
        fmt_print(sink, "%s is one of", keys[key].name);
    unsigned count = key == KEYS ? KEYS : keys[key].values == NULL ? 0 : keys[key].count;
    for (unsigned i = 0; i < count; i++)
        fmt_print(sink, "%s %s", i == 0 ? "" : ",",
                  key == KEYS ? keys[i].name : keys[key].values[i]);
    if (key == KEYS)
        fmt_print(sink, ", or is %s", selftest_word);
}
