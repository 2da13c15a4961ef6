// See log.h.
#include "loader/log.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/x86/uart.h"
#include "loader/console.h"

enum {
    LINE_BYTES = 512,
};

static char log_storage[LOG_BYTES_MAX + 1];
static struct fmt_buffer log_buffer;
static char failure_storage[LINE_BYTES];
static struct fmt_buffer failure;
static enum config_log log_level;
static bool firmware_paused;

void log_init(void) {
    log_buffer = fmt_buffer_make(log_storage, sizeof(log_storage));
    failure = fmt_buffer_make(failure_storage, sizeof(failure_storage));
    log_level = CONFIG_LOG_QUIET;
    firmware_paused = false;
    log_begin();
}

void log_begin(void) {
    console_init();
    uart_init();
}

void log_set_level(enum config_log level) {
    log_level = level;
}

// Once on COM1, and once on each of the firmware's other consoles.
static void print_line(const char *text, size_t bytes) {
    if (firmware_paused) {
        uart_write(text, bytes);
        return;
    }
    if (!console_is_on_com1())
        uart_write(text, bytes);
    console_write(text, bytes);
}

void log_line(enum config_log level, const char *format, ...) {
    char storage[LINE_BYTES];
    struct fmt_buffer line = fmt_buffer_make(storage, sizeof(storage));
    struct sink sink = fmt_buffer_sink(&line);
    va_list arguments;
    va_start(arguments, format);
    fmt_print(&sink, "slipway: ");
    fmt_vprint(&sink, format, arguments);
    va_end(arguments);
    storage[line.used++] = '\n'; // in place of the NUL
    struct sink log = fmt_buffer_sink(&log_buffer);
    log.write(log.context, storage, line.used);
    if (log_level >= level)
        print_line(storage, line.used);
}

EFI_STATUS log_fail(EFI_STATUS status, const char *format, ...) {
    if (failure.used == 0) {
        struct sink sink = fmt_buffer_sink(&failure);
        va_list arguments;
        va_start(arguments, format);
        fmt_vprint(&sink, format, arguments);
        va_end(arguments);
    }
    return status;
}

void log_forgive(enum config_log level) {
    log_line(level, "%.*s", (int)failure.used, failure.text);
    failure = fmt_buffer_make(failure_storage, sizeof(failure_storage));
}

void log_print_failure(void) {
    log_line(CONFIG_LOG_QUIET, "%.*s", (int)failure.used, failure.text);
}

const char *log_failure(void) {
    return failure.text;
}

void log_end(void) {
    uart_restore();
}

const char *log_text(size_t *ret_bytes) {
    *ret_bytes = log_buffer.used;
    return log_buffer.text;
}

void log_pause_firmware(void) {
    firmware_paused = true;
}

void log_resume_firmware(void) {
    firmware_paused = false;
}

// UEFI 2.9, appendix D; static text in the order of the numbers.
const char *log_status_text(EFI_STATUS status) {
    static const char texts[][24] = {
        "",
        "load error",
        "invalid parameter",
        "unsupported",
        "bad buffer size",
        "buffer too small",
        "not ready",
        "device error",
        "write protected",
        "out of memory",
        "volume corrupted",
        "volume full",
        "no medium",
        "medium changed",
        "not found",
        "access denied",
        "no response",
        "no mapping",
        "timeout",
        "not started",
        "already started",
        "aborted",
        "ICMP error",
        "TFTP error",
        "protocol error",
        "incompatible version",
        "security violation",
        "CRC error",
        "end of medium",
        "",
        "",
        "end of file",
        "invalid language",
        "compromised data",
        "address conflict",
        "HTTP error",
    };
    static char unknown[32];
    uint64_t number = status ^ EFIERR(0);
    if (number < ARRAY_LEN(texts) && texts[number][0] != '\0')
        return texts[number];
    struct fmt_buffer buffer = fmt_buffer_make(unknown, sizeof(unknown));
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, "status 0x%lx", status);
    return unknown;
}
