// See config_file.h.
#include "loader/config_file.h"

#include "common/base/arith.h"
#include "loader/config_text.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/log.h"

#define NAME "slipway.conf"

enum { FAILURE_BYTES_MAX = 512 };

// The file that is read, as messages name it.
static struct file file;

// Why a default is used, for messages.
enum silence { SILENCE_ABSENT, SILENCE_EMPTY, SILENCE_UNNAMED };
static enum silence silence;

// In place of the config: no text: nothing is.
static struct config_text instead;

void config_file_turn_to(struct config_text path) {
    instead = path;
}

const char *config_file_where(const char *key, uint32_t line) {
    static char text[FILE_NAME_MAX + 80];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    const struct config_text path = config_fit(instead, FILE_NAME_MAX);
    if (instead.text != NULL && line != 0)
        fmt_print(&sink, " (%.*s line %u)", (int)path.bytes, path.text, line);
    else if (instead.text != NULL)
        return ""; // the file is named by itself
    else if (line != 0)
        fmt_print(&sink, " (key '%s', %s line %u)", key, file.name, line);
    else if (silence == SILENCE_ABSENT)
        fmt_print(&sink, " (the default %s: there is no " NAME ")", key);
    else
        fmt_print(&sink, " (the default %s: %s %s)", key, file.name,
                  silence == SILENCE_EMPTY ? "is empty" : "names none");
    return text;
}

static EFI_STATUS fail(const struct config_error *error) {
    char text[FAILURE_BYTES_MAX];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    config_error_print(&sink, error);
    return log_fail(EFI_LOAD_ERROR, "%s: %s", file.name, text);
}

// One run of pages: the text, and what it may name.
static EFI_STATUS alloc_room(struct config_read *read, char **ret_text) {
    uint64_t start;
    uint64_t text = align_up(file.bytes, _Alignof(struct config_module));
    uint64_t modules = config_module_bound(file.bytes) * sizeof(struct config_module);
    uint64_t entries = config_entry_bound(file.bytes) * sizeof(struct config_entry);
    uint64_t bytes = text + modules + entries;
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "%s: no room for %lu bytes (%s)", file.name, bytes,
                        log_status_text(status));
    *ret_text = firmware_pointer(start);
    read->room.modules = firmware_pointer(start + text);
    read->room.entries = firmware_pointer(start + text + modules);
    return EFI_SUCCESS;
}

// A file that is too large is refused by its size, unread.
static EFI_STATUS parse(struct config_read *read) {
    struct config_error error;
    char *text = NULL;
    if (file.bytes != 0 && file.bytes <= CONFIG_FILE_MAX_BYTES) {
        EFI_STATUS status = alloc_room(read, &text);
        if (!EFI_ERROR(status))
            status = file_read(&file, 0, text, file.bytes);
        if (EFI_ERROR(status))
            return status;
    }
    if (config_parse(text, file.bytes, read->room, &read->file, &error) != CONFIG_OK)
        return fail(&error);
    return EFI_SUCCESS;
}

EFI_STATUS config_file_fail_entry(const struct config_read *read, const char *what,
                                  struct config_text name) {
    const struct config_error error = {
        .status = CONFIG_ERR_NO_ENTRY,
        .text = name,
        .entries = read->file.entries,
        .entry_count = read->file.entry_count,
    };
    char text[FAILURE_BYTES_MAX];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    config_error_print(&sink, &error);
    return log_fail(EFI_NOT_FOUND, "%s: in %s %s", what, file.name, text);
}

// Of the loader's path, what is before its last separator; nothing if that is the root, or if it
// has a character that no path of a config can have.
static uint64_t folder_bytes(const struct boot_source *source) {
    uint64_t folder = 0;
    for (uint64_t at = 0; at < source->path_bytes; at++) {
        if ((uint8_t)source->path[at] >= 0xf0) // above U+FFFF
            return 0;
        if (source->path[at] == '\\')
            folder = at;
    }
    return folder;
}

// In the loader's own folder: EFI_NOT_FOUND also if that is the root. The path is written with '/',
// as messages will have it.
static EFI_STATUS open_beside(const struct boot_source *source, enum file_source from) {
    static char path[sizeof(source->path) + sizeof("/" NAME)];
    uint64_t bytes = folder_bytes(source);
    if (bytes == 0)
        return EFI_NOT_FOUND;
    struct fmt_buffer buffer = fmt_buffer_make(path, sizeof(path));
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, "%s%.*s/" NAME, source->path[0] == '\\' ? "" : "/", (int)bytes, source->path);
    for (uint64_t at = 0; at < buffer.used; at++) {
        if (path[at] == '\\')
            path[at] = '/';
    }
    return file_open_on(from, &file, (struct config_text){path, buffer.used}, "");
}

static EFI_STATUS open_from(const struct boot_source *source, enum file_source from) {
    static const char root[] = "/" NAME;
    EFI_STATUS status = open_beside(source, from);
    if (status != EFI_NOT_FOUND)
        return status;
    return file_open_on(from, &file, (struct config_text){root, sizeof(root) - 1}, "");
}

EFI_STATUS config_file_read(const struct boot_source *source, struct config_read *ret_read) {
    *ret_read = (struct config_read){
        .file = {.config = config_default(), .timeout = CONFIG_TIMEOUT_DEFAULT}};
    EFI_STATUS status = EFI_NOT_FOUND;
    for (enum file_source from = 0; status == EFI_NOT_FOUND && from < FILE_SOURCES; from++)
        status = open_from(source, from);
    ret_read->bytes = file.bytes;
    silence = SILENCE_ABSENT;
    instead = (struct config_text){0};
    if (status == EFI_NOT_FOUND)
        return EFI_SUCCESS;
    if (EFI_ERROR(status))
        return status;
    silence = file.bytes == 0 ? SILENCE_EMPTY : SILENCE_UNNAMED;
    status = parse(ret_read);
    file_close(&file);
    return status;
}

void config_file_log(void) {
    if (silence == SILENCE_ABSENT)
        log_line(CONFIG_LOG_INFO, NAME ": not found, defaults hold");
    else if (silence == SILENCE_EMPTY)
        log_line(CONFIG_LOG_INFO, "config %s: is empty, defaults hold", file.name);
    else
        log_line(CONFIG_LOG_INFO, "config %s: %lu bytes", file.name, file.bytes);
}
