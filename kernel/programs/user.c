#include "kernel/programs/user.h"

#include <stdarg.h>

enum { LINE_BYTES = SLIPWAY_PRINT_MAX, DIGITS = 20, DECIMAL = 10, HEXADECIMAL = 16 };

struct line {
    char text[LINE_BYTES];
    size_t bytes;
};

static void put(struct line *line, char byte) {
    if (line->bytes < LINE_BYTES)
        line->text[line->bytes++] = byte;
}

static void put_text(struct line *line, const char *text) {
    while (*text != '\0')
        put(line, *text++);
}

static void put_number(struct line *line, uint64_t value, unsigned base) {
    char digits[DIGITS];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count != 0)
        put(line, digits[--count]);
}

static void put_signed(struct line *line, int64_t value) {
    if (value < 0)
        put(line, '-');
    put_number(line, value < 0 ? -(uint64_t)value : (uint64_t)value, DECIMAL);
}

void user_print(const char *format, ...) {
    struct line line = {.bytes = 0};
    va_list arguments;
    va_start(arguments, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(&line, *format);
            continue;
        }
        bool is_long = *++format == 'l';
        if (is_long)
            format++;
        if (*format == 's')
            put_text(&line, va_arg(arguments, const char *));
        else if (*format == 'd')
            put_signed(&line, is_long ? va_arg(arguments, long) : va_arg(arguments, int));
        else
            put_number(&line,
                       is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned),
                       *format == 'x' ? HEXADECIMAL : DECIMAL);
    }
    va_end(arguments);
    (void)user_call(SLIPWAY_PRINT, (uint64_t)line.text, line.bytes, 0);
}

void user_check(bool holds, const char *what) {
    if (holds)
        return;
    user_print("process %ld: it does not hold that %s\n", user_pid(), what);
    user_exit(1);
}

int user_try(void (*task)(uint64_t argument), uint64_t argument) {
    int64_t child = user_fork();
    user_check(child >= 0, "a child can be made");
    if (child == 0) {
        task(argument);
        user_exit(0);
    }
    int status = -1;
    user_check(user_wait(child, &status) == child, "a child can be waited for");
    return status;
}
