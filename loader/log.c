#include "loader/log.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/x86/uart.h"
#include "loader/firmware.h"

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
    uart_init();
}

void log_set_level(enum config_log level) {
    log_level = level;
}

// True when the firmware's console is most likely a terminal on COM1, where all that is printed
// appears already: there is a COM1, and no graphics output.
static bool firmware_console_is_serial_only(void) {
    if (firmware_paused || BS == NULL)
        return true;
    static const EFI_GUID gop = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    void *interface;
    EFI_GUID guid = gop; // LocateProtocol takes a pointer to non-const
    return uart_present() && EFI_ERROR(BS->LocateProtocol(&guid, NULL, &interface));
}

static void print_on_firmware(const char *text, size_t bytes) {
    if (firmware_paused || ST == NULL || ST->ConOut == NULL)
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

// A failure goes to the firmware's console whatever that is: it may be another serial port, or the
// network.
static void print_line(enum config_log level, const char *text, size_t bytes) {
    uart_write(text, bytes);
    if (level == CONFIG_LOG_QUIET || !firmware_console_is_serial_only())
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
        print_line(level, storage, line.used);
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

const char *log_status_text(EFI_STATUS status) {
    static const struct {
        EFI_STATUS status;
        char text[24];
    } texts[] = {
        {EFI_LOAD_ERROR, "load error"},
        {EFI_INVALID_PARAMETER, "invalid parameter"},
        {EFI_UNSUPPORTED, "unsupported"},
        {EFI_BUFFER_TOO_SMALL, "buffer too small"},
        {EFI_NOT_READY, "not ready"},
        {EFI_DEVICE_ERROR, "device error"},
        {EFI_OUT_OF_RESOURCES, "out of memory"},
        {EFI_VOLUME_CORRUPTED, "volume corrupted"},
        {EFI_NO_MEDIA, "no medium"},
        {EFI_MEDIA_CHANGED, "medium changed"},
        {EFI_NOT_FOUND, "not found"},
        {EFI_ACCESS_DENIED, "access denied"},
        {EFI_NO_MAPPING, "no mapping"},
        {EFI_TIMEOUT, "timeout"},
        {EFI_ABORTED, "aborted"},
        {EFI_SECURITY_VIOLATION, "security violation"},
        {EFI_CRC_ERROR, "CRC error"},
        {EFI_END_OF_FILE, "end of file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].status == status)
            return texts[i].text;
    }
    return "firmware error";
}
