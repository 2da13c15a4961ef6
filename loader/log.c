#include "loader/log.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/base/mem.h"
#include "common/x86/uart.h"
#include "loader/firmware.h"

enum {
    LOG_BYTES = 8192,
    LINE_BYTES = 512,
};

static char log_storage[LOG_BYTES];
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
    uart_init();
}

void log_set_level(enum config_log level) {
    log_level = level;
}

// True when the firmware's console is only a terminal on a serial port: then what is printed on
// COM1 would appear there twice. A graphics output tells the other case.
static bool firmware_console_is_serial_only(void) {
    static const EFI_GUID gop = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    void *interface;
    EFI_GUID guid = gop; // LocateProtocol takes a pointer to non-const
    return uart_present() && EFI_ERROR(BS->LocateProtocol(&guid, NULL, &interface));
}

static void print_on_firmware(const char *text, size_t bytes) {
    if (firmware_paused || ST == NULL || ST->ConOut == NULL || firmware_console_is_serial_only())
        return;
    CHAR16 wide[64];
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n')
            wide[used++] = L'\r';
        wide[used++] = (unsigned char)text[i] < 0x80 ? (CHAR16)text[i] : L'?';
        if (used >= ARRAY_LEN(wide) - 2 || i + 1 == bytes) {
            wide[used] = 0;
            ST->ConOut->OutputString(ST->ConOut, wide);
            used = 0;
        }
    }
}

static void print_line(const char *text, size_t bytes) {
    uart_write(text, bytes);
    print_on_firmware(text, bytes);
}

void log_line(enum config_log level, const char *format, ...) {
    char storage[LINE_BYTES];
    struct fmt_buffer line = fmt_buffer_make(storage, sizeof(storage) - 1);
    struct sink sink = fmt_buffer_sink(&line);
    va_list arguments;
    va_start(arguments, format);
    fmt_print(&sink, "slipway: ");
    fmt_vprint(&sink, format, arguments);
    va_end(arguments);
    storage[line.used++] = '\n';
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

void log_print_failure(void) {
    log_line(CONFIG_LOG_QUIET, "%.*s", (int)failure.used, failure.text);
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

const char *log_status_text(EFI_STATUS status) {
    if (status == EFI_NOT_FOUND)
        return "not found";
    if (status == EFI_OUT_OF_RESOURCES)
        return "out of memory";
    if (status == EFI_BUFFER_TOO_SMALL)
        return "buffer too small";
    if (status == EFI_DEVICE_ERROR)
        return "device error";
    if (status == EFI_VOLUME_CORRUPTED)
        return "volume corrupted";
    if (status == EFI_NO_MEDIA || status == EFI_MEDIA_CHANGED)
        return "medium gone";
    if (status == EFI_INVALID_PARAMETER)
        return "invalid parameter";
    if (status == EFI_ACCESS_DENIED)
        return "access denied";
    if (status == EFI_UNSUPPORTED)
        return "unsupported";
    return "firmware error";
}
