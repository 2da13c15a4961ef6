// See choice.h.
#include "loader/choice.h"

#include "loader/cmdline.h"
#include "loader/config_text.h"
#include "loader/log.h"

static const char prefix[] = "entry=";

// Cuts `entry=NAME` from the beginning of the load options. False: there is none.
static bool cut_name(struct config_text *options, struct config_text *ret_name) {
    uint64_t length = sizeof(prefix) - 1;
    if (options->bytes < length || !config_text_is(config_cut(*options, 0, length), prefix))
        return false;
    struct config_text rest = config_cut(*options, length, options->bytes);
    uint64_t end = config_find(rest, ' ');
    *ret_name = config_cut(rest, 0, end);
    *options = config_trim(config_cut(rest, end, rest.bytes));
    return true;
}

static EFI_STATUS choose(const struct config_read *read, struct config_text *options,
                         const struct config_entry **ret_entry) {
    const struct config_file *file = &read->file;
    struct config_text name;
    const char *by = "the default";
    *ret_entry = &file->entries[file->default_entry];
    if (file->entry_count == 0)
        return EFI_SUCCESS;
    if (cut_name(options, &name)) {
        by = "load options";
        *ret_entry = config_find_entry(file, name);
        if (*ret_entry == NULL)
            return config_file_fail_entry(read, by, name);
    }
    log_line(CONFIG_LOG_INFO, "entry %.*s: by %s", (int)(*ret_entry)->name.bytes,
             (*ret_entry)->name.text, by);
    return EFI_SUCCESS;
}

EFI_STATUS choice_make(const struct config_read *read, const struct boot_source *source,
                       struct config *ret_config) {
    const struct config_entry *entry;
    struct config_text options;
    log_set_level(read->file.config.log);
    config_file_log();
    EFI_STATUS status = cmdline_read(source, &options);
    if (!EFI_ERROR(status))
        status = choose(read, &options, &entry);
    if (EFI_ERROR(status))
        return status;
    *ret_config = config_of_entry(&read->file, entry, read->room);
    log_set_level(ret_config->log);
    if (options.bytes != 0)
        ret_config->cmdline = options;
    return EFI_SUCCESS;
}
