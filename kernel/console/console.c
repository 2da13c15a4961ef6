#include "kernel/console/console.h"

#include "common/x86/uart.h"
#include "kernel/console/screen.h"

static void console_write(void *context, const char *text, size_t bytes) {
    (void)context;
    uart_write(text, bytes);
    screen_write(text, bytes);
}

static void serial_write(void *context, const char *text, size_t bytes) {
    (void)context;
    uart_write(text, bytes);
}

static const struct sink both = {.write = console_write};
static const struct sink serial = {.write = serial_write};

void console_start(void) {
    (void)uart_init(); // no UART: uart_write drops what it gets, and the screen remains
}

const struct sink *console_sink(void) {
    return &both;
}

const struct sink *console_serial(void) {
    return &serial;
}

void console_print(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fmt_vprint(&both, format, arguments);
    va_end(arguments);
}

void console_heading(const char *text) {
    screen_set_colour(SCREEN_HEADING);
    console_print("%s\n", text);
    screen_set_colour(SCREEN_TEXT);
}
