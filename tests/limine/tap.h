// What the kernel says on COM1, in the form of the Test Anything Protocol, and the end of the
// machine through QEMU's isa-debug-exit at port 0xf4.
//
// A check is a sentence with parts. It is `ok` if it has parts and all are right; `ok ... # SKIP`
// if it has none and says why. Lines of details stand before the line that they explain.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Sets COM1 to 115200 baud, 8N1.
void tap_start(void);

// Starts a check: one sentence, reported when the next starts.
void tap_check(const char *sentence);

// Part of the running check. What is said of a part that is wrong: where, the condition, and
// `format` with %s, %lu (decimal) and %lx.
void tap_part(bool good, const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
#define EXPECT(condition, ...) tap_part((condition), __FILE__, __LINE__, #condition, __VA_ARGS__)

// The running check has nothing to look at, for this reason.
void tap_skip(const char *reason);
// The same, where the protocol leaves it to the loader.
void tap_skip_choice(const char *reason);

// A line `# note: ...` about what the protocol leaves open.
void tap_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Ends the test where it is: `Bail out! ...`.
_Noreturn void tap_bail_out(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Nothing was checked, for this reason, and the machine ends well: `1..0 # SKIP ...`.
_Noreturn void tap_skip_all(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Reports the last check and the plan, then ends QEMU: status 33 if all was well, else 35.
_Noreturn void tap_finish(void);
