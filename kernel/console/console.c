#include "kernel/console/console.h"

#include "common/x86/cpu.h"
#include "common/x86/uart.h"
#include "kernel/console/screen.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/shootdown.h"

#include <stdbool.h>

static uint32_t owner; // one more than the CPU that writes; 0: none does

// Whoever writes waits for nobody; who wants to may be waited for. A CPU that fails while it writes
// goes on, and so does the only one that runs: the owner may have been stopped. False if there is
// nothing to unlock.
static bool lock(void) {
    if (cpus_started() == 1)
        return false;
    uint32_t self = this_cpu() + 1;
    uint32_t found = 0;
    while (!__atomic_compare_exchange_n(&owner, &found, self, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        if (found == self || cpus_are_stopped())
            return false;
        shootdown_serve();
        cpu_pause();
        found = 0;
    }
    return true;
}

static void unlock(bool is_locked) {
    if (is_locked)
        __atomic_store_n(&owner, 0, __ATOMIC_RELEASE);
}

static void console_write(void *context, const char *text, size_t bytes) {
    (void)context;
    bool is_locked = lock();
    uart_write(text, bytes);
    screen_write(text, bytes);
    unlock(is_locked);
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
