#include "kit.h"
#include "cpu.h"

enum { COM1 = 0x3f8, COM1_LINE_STATUS = COM1 + 5, LINE_EMPTY = 0x20 };
enum { DEBUG_EXIT = 0xf4, EXIT_GOOD = 0x10, EXIT_BAD = 0x11 };
enum { DETAILS_MAX = 4 };

const struct slipway_boot_info *boot;

static struct {
    const char *sentence; // of the running check, null before the first
    uint64_t parts;       // that it consisted of
    uint64_t bad_parts;
    uint64_t checks;
    uint64_t failures;
} ledger;

static void print_byte(char byte) {
    while (!(in8(COM1_LINE_STATUS) & LINE_EMPTY))
        ;
    out8(COM1, (uint8_t)byte);
}

void kit_print(const char *text) {
    for (; *text; text++) {
        if (*text == '\n')
            print_byte('\r');
        print_byte(*text);
    }
}

void kit_print_hex(uint64_t value) {
    int digits = 1;
    while (digits < 16 && value >> (4 * digits))
        digits++;
    kit_print("0x");
    while (digits-- > 0)
        print_byte("0123456789abcdef"[value >> (4 * digits) & 15]);
}

static void print_decimal(uint64_t value) {
    if (value >= 10)
        print_decimal(value / 10);
    print_byte((char)('0' + value % 10));
}

void kit_fact(const char *name, uint64_t value) {
    kit_print("fact ");
    kit_print(name);
    kit_print(" ");
    kit_print_hex(value);
    kit_print("\n");
}

void kit_text(const char *name, struct slipway_text text) {
    kit_print("text ");
    kit_print(name);
    kit_print(" ");
    for (uint64_t i = 0; i < text.bytes; i++)
        print_byte(((const char *)text.address)[i]);
    kit_print("\n");
}

static void report_check(void) {
    if (!ledger.sentence)
        return;
    // A check of nothing proves nothing: a loop that never ran must not look like success.
    bool good = ledger.parts > 0 && ledger.bad_parts == 0;
    ledger.checks++;
    ledger.failures += !good;
    kit_print(good ? "ok - " : "not ok - ");
    kit_print(ledger.sentence);
    kit_print("\n");
    ledger.sentence = NULL;
}

void check_begin(const char *sentence) {
    report_check();
    ledger.sentence = sentence;
    ledger.parts = 0;
    ledger.bad_parts = 0;
}

void check_flush(void) {
    report_check();
}

void check_that(bool good, const char *condition, const char *file, int line, uint64_t found) {
    ledger.parts++;
    if (good || ledger.bad_parts++ >= DETAILS_MAX)
        return;
    kit_print("# ");
    kit_print(file);
    kit_print(":");
    print_decimal((uint64_t)line);
    kit_print(": failed: ");
    kit_print(condition);
    kit_print("; found ");
    kit_print_hex(found);
    kit_print("\n");
}

void check_finish(void) {
    report_check();
    kit_fact("checks", ledger.checks);
    kit_fact("failures", ledger.failures);
    kit_print(ledger.failures ? "KERNEL TEST FAILED\n" : "KERNEL TEST PASSED\n");
    out8(DEBUG_EXIT, ledger.failures ? EXIT_BAD : EXIT_GOOD);
    for (;;)
        __asm__ volatile("cli; hlt" ::: "memory");
}

bool kit_cmdline_has(const char *word) {
    const char *text = (const char *)boot->cmdline.address;
    const char *end = text + boot->cmdline.bytes;
    while (text < end) {
        const char *w = word;
        while (text < end && *w && *text == *w)
            text++, w++;
        if (!*w && (text == end || *text == ' '))
            return true;
        while (text < end && *text != ' ')
            text++;
        while (text < end && *text == ' ')
            text++;
    }
    return false;
}

void *memset(void *target, int byte, size_t bytes) {
    void *at = target;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(byte) : "memory");
    return target;
}

void *memcpy(void *restrict target, const void *restrict source, size_t bytes) {
    void *at = target;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(source), "+c"(bytes)::"memory");
    return target;
}
