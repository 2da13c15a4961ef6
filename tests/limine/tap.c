#include "tap.h"
#include "cpu.h"

#include <stdarg.h>
#include <stddef.h>

enum { COM1 = 0x3f8, COM1_INTERRUPTS = 1, COM1_LINE = 3, COM1_STATUS = 5, LINE_EMPTY = 0x20 };
enum { DEBUG_EXIT = 0xf4, EXIT_GOOD = 0x10, EXIT_BAD = 0x11 };
enum { DETAILS_MAX = 4 };

static struct {
    const char *sentence; // of the running check, null before the first
    const char *skipped;  // why there is nothing to check, or null
    bool is_choice;       // of the loader, that there is nothing
    uint64_t parts;
    uint64_t bad_parts;
    uint64_t checks;
    uint64_t failures;
} ledger;

static void print_byte(char byte) {
    while (!(in8(COM1 + COM1_STATUS) & LINE_EMPTY))
        ;
    out8(COM1, (uint8_t)byte);
}

static void print(const char *text) {
    for (; *text; text++) {
        if (*text == '\n')
            print_byte('\r');
        print_byte(*text);
    }
}

static void print_number(uint64_t value, uint64_t base) {
    if (value >= base)
        print_number(value / base, base);
    print_byte("0123456789abcdef"[value % base]);
}

static void print_format(const char *format, va_list values) {
    for (; *format; format++) {
        if (*format != '%') {
            print_byte(*format);
            continue;
        }
        while (*++format == 'l') // the length, of which there is one
            ;
        if (*format == 's') {
            print(va_arg(values, const char *));
        } else {
            if (*format == 'x')
                print("0x");
            print_number(va_arg(values, uint64_t), *format == 'x' ? 16 : 10);
        }
    }
}

void tap_start(void) {
    out8(COM1 + COM1_INTERRUPTS, 0);
    out8(COM1 + COM1_LINE, 0x80);
    out8(COM1, 1); // divisor
    out8(COM1 + COM1_INTERRUPTS, 0);
    out8(COM1 + COM1_LINE, 3);
    print("\nTAP version 13\n");
}

static void report_check(void) {
    if (!ledger.sentence)
        return;
    // A check of nothing proves nothing: a loop that never ran must not look like success.
    bool good = ledger.bad_parts == 0 && (ledger.parts > 0 || ledger.skipped);
    ledger.checks++;
    ledger.failures += !good;
    print(good ? "ok " : "not ok ");
    print_number(ledger.checks, 10);
    print(" - ");
    print(ledger.sentence);
    if (good && ledger.parts == 0) {
        print(ledger.is_choice ? " # SKIP loader's choice: " : " # SKIP ");
        print(ledger.skipped);
    }
    print("\n");
    ledger.sentence = NULL;
}

void tap_check(const char *sentence) {
    report_check();
    ledger.sentence = sentence;
    ledger.skipped = NULL;
    ledger.is_choice = false;
    ledger.parts = 0;
    ledger.bad_parts = 0;
}

void tap_part(bool good, const char *file, int line, const char *condition, const char *format,
              ...) {
    ledger.parts++;
    if (good || ledger.bad_parts++ >= DETAILS_MAX)
        return;
    print("# ");
    print(file);
    print(":");
    print_number((uint64_t)line, 10);
    print(": failed: ");
    print(condition);
    print("; ");
    va_list values;
    va_start(values, format);
    print_format(format, values);
    va_end(values);
    print("\n");
}

void tap_skip(const char *reason) {
    ledger.skipped = reason;
}

void tap_skip_choice(const char *reason) {
    ledger.skipped = reason;
    ledger.is_choice = true;
}

void tap_note(const char *format, ...) {
    print("# note: ");
    va_list values;
    va_start(values, format);
    print_format(format, values);
    va_end(values);
    print("\n");
}

_Noreturn static void end(bool good) {
    out8(DEBUG_EXIT, good ? EXIT_GOOD : EXIT_BAD);
    cpu_halt();
}

void tap_bail_out(const char *format, ...) {
    if (ledger.sentence) {
        print("# in: ");
        print(ledger.sentence);
        print("\n");
    }
    print("Bail out! ");
    va_list values;
    va_start(values, format);
    print_format(format, values);
    va_end(values);
    print("\n");
    end(false);
}

void tap_skip_all(const char *format, ...) {
    print("1..0 # SKIP ");
    va_list values;
    va_start(values, format);
    print_format(format, values);
    va_end(values);
    print("\n");
    end(true);
}

void tap_finish(void) {
    report_check();
    print("1..");
    print_number(ledger.checks, 10);
    print("\n");
    end(ledger.failures == 0);
}
