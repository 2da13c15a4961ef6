// See config_file.h.
#include "loader/config_file.h"

#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/log.h"

#define NAME "slipway.conf"

// Why a default is used, for messages.
static const char *silence;

const char *config_file_where(const char *key, uint32_t line) {
    static char text[80];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    if (line == 0)
        fmt_print(&sink, " (the default %s: %s)", key, silence);
    else
        fmt_print(&sink, " (key '%s', " NAME " line %u)", key, line);
    return text;
}

static EFI_STATUS fail(const struct file *file, const struct config_error *error) {
    char text[256];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    config_error_print(&sink, error);
    return log_fail(EFI_LOAD_ERROR, "%s: %s", file->name, text);
}

static EFI_STATUS parse(struct file *file, struct config *ret_config) {
    struct config_error error;
    uint64_t start = 0;
    // A file that is too large is refused by its size, unread.
    uint64_t bytes = file->bytes <= CONFIG_FILE_MAX_BYTES ? file->bytes : 0;
    if (bytes != 0) {
        EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &start);
        if (EFI_ERROR(status))
            return log_fail(status, "%s: no room for %lu bytes (%s)", file->name, bytes,
                            log_status_text(status));
        status = file_read(file, 0, firmware_pointer(start), bytes);
        if (EFI_ERROR(status))
            return status;
    }
    if (config_parse(firmware_pointer(start), file->bytes, ret_config, &error) != CONFIG_OK)
        return fail(file, &error);
    return EFI_SUCCESS;
}

EFI_STATUS config_file_read(struct config *ret_config, uint64_t *ret_bytes) {
    static struct file file;
    *ret_config = config_default();
    EFI_STATUS status = file_open(&file, (struct config_text){NAME, sizeof(NAME) - 1}, "");
    *ret_bytes = file.bytes;
    if (status == EFI_NOT_FOUND) {
        silence = "there is no " NAME;
        log_line(CONFIG_LOG_INFO, NAME ": not found, defaults hold");
        return EFI_SUCCESS;
    }
    if (EFI_ERROR(status))
        return status;
    silence = file.bytes == 0 ? NAME " is empty" : NAME " names none";
    if (file.bytes == 0)
        log_line(CONFIG_LOG_INFO, NAME ": is empty, defaults hold");
    status = parse(&file, ret_config);
    file_close(&file);
    return status;
}
