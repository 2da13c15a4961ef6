// The kernel's command line: words separated by spaces, `key=value` but for one. Pure: host tests
// run the same file.
//
//   exit=prompt     answer on COM1 after the report (default)
//   exit=poweroff   power off after the report
//   exit=debug      write to QEMU's isa-debug-exit device after the report: QEMU ends with status
//                   33, or 35 after a panic or a fault
//   failure=stop    a panic or a fault leaves the machine standing there (default), but for
//   exit=debug failure=reboot  it resets the machine, by the chipset: the next start has the report
//   test=NAME       after the report, provoke a failure on purpose: see cmdline.c for the names
//   tlb=SECONDS     how long all CPUs change what others use, for the self-test: up to 9999;
//                   without it a moment
//   selftest        run all of the self-test, tell it in TAP and end, in place of the report: QEMU
//                   with status 33 or 35 if it has the isa-debug-exit device, else as exit= says;
//                   with test=NAME that failure is the first to happen
//   note=TEXT       nothing: like all of the command line it stands in the report
//
// A word that means nothing is a mistake, and who made it may wait for what never comes. So it ends
// the boot like any failure, by a panic that says what would be right: with exit=debug QEMU ends
// with status 35, else, with exit=poweroff too, the machine stops and the message stays in sight.
#pragma once

#include "common/base/fmt.h"

#include <stdbool.h>
#include <stdint.h>

enum cmdline_exit {
    CMDLINE_EXIT_PROMPT,
    CMDLINE_EXIT_POWEROFF,
    CMDLINE_EXIT_DEBUG,
};

enum cmdline_failure {
    CMDLINE_FAILURE_STOP,
    CMDLINE_FAILURE_REBOOT,
};

enum cmdline_test {
    CMDLINE_TEST_NONE,
    CMDLINE_TEST_PANIC,
    CMDLINE_TEST_DOUBLE_ADOPT,
    CMDLINE_TEST_NULL_READ,
    CMDLINE_TEST_WRITE_TEXT,
    CMDLINE_TEST_WRITE_TEXT_ALIAS,
    CMDLINE_TEST_EXEC_DATA,
    CMDLINE_TEST_EXEC_DIRECT,
    CMDLINE_TEST_STACK_OVERFLOW,
    CMDLINE_TEST_GUARD_ABOVE,
    CMDLINE_TEST_NONCANONICAL,
    CMDLINE_TEST_INVALID_OPCODE,
    CMDLINE_TEST_CPU_FAULT,
    CMDLINE_TEST_CPU_OVERFLOW,
    CMDLINE_TEST_CPU_PANICS,
    CMDLINE_TEST_CPU_LATE,
    CMDLINE_TEST_SELFTEST_FAILS,
    CMDLINE_TEST_HEAP_TWICE,
};

struct cmdline {
    enum cmdline_exit exit;
    enum cmdline_failure failure;
    enum cmdline_test test;
    unsigned tlb_seconds; // 0: it does not say
    bool selftest;
    const char *unknown;    // the first word in the text that means nothing; null: there is none
    uint64_t unknown_bytes; // its length
};

// The word of test=; null behind the last.
const char *cmdline_test_name(unsigned test);

// Parses `bytes` bytes of text, to its end. Of two words with one key the later counts.
struct cmdline cmdline_parse(const char *text, uint64_t bytes);

// Says what the unknown word is, and what would be right in its place: below CMDLINE_REFUSAL_MAX
// bytes, without a newline.
#define CMDLINE_REFUSAL_MAX 512
void cmdline_explain_unknown(const struct cmdline *cmdline, const struct sink *sink);
