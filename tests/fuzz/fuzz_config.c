// slipway.conf of anything: parsed, or refused with a line that exists. Paths are then converted
// for the firmware.
#include "loader/config.h"
#include "loader/utf.h"
#include "loader/volume_name.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

// Of a message, which is text.
static void count(void *context, const char *text, size_t bytes) {
    require(utf8_find_invalid(text, bytes) == bytes);
    for (size_t i = 0; i < bytes; i++)
        require(text[i] != '\n' && text[i] != '\0');
    *(size_t *)context += bytes;
}

static void check_error(const struct config_error *error, const uint8_t *data, size_t bytes) {
    uint32_t lines = 1;
    for (size_t i = 0; i < bytes; i++)
        lines += data[i] == '\n';
    size_t printed = 0;
    struct sink sink = {count, &printed};
    require(error->status != CONFIG_OK && error->line <= lines);
    require(error->line != 0 && error->column != 0 && error->column <= bytes);
    require(error->first_line < error->line || error->first_line == 0);
    config_error_print(&sink, error);
    require(printed > 0);
}

// Valid, without control characters.
static void check_characters(struct config_text text) {
    require(utf8_find_invalid(text.text, text.bytes) == text.bytes);
    for (uint64_t i = 0; i < text.bytes; i++) {
        unsigned char byte = (unsigned char)text.text[i];
        require(byte != 0x7f && (byte >= ' ' || byte == '\t'));
    }
}

static bool is_blank_at(struct config_text text, uint64_t at) {
    return text.text[at] == ' ' || text.text[at] == '\t';
}

// One with a blank at its edge was written in quotes.
static void check_text(struct config_text text) {
    check_characters(text);
    if (text.bytes != 0 && (is_blank_at(text, 0) || is_blank_at(text, text.bytes - 1)))
        require(text.text[-1] == '"' && text.text[text.bytes] == '"');
}

// One with a blank at its edge, or in a module's, was written in quotes.
static void check_path(struct config_text path) {
    uint16_t units[64];
    struct volume_name name;
    struct config_text rest;
    check_characters(path);
    require(path.bytes > 0);
    if (volume_name_parse(path, &name, &rest) == VOLUME_NAME_OK) {
        require(rest.text + rest.bytes == path.text + path.bytes);
        require(name.kind == VOLUME_OWN ? rest.bytes == path.bytes : rest.bytes + 7 <= path.bytes);
        if (name.kind == VOLUME_PARTITION)
            require(volume_name_is_partition(&name, &name.partition));
    }
    if (utf_path_convert(path.text, path.bytes, units, 64) != UTF_OK)
        return;
    require(units[0] == '\\');
    for (int i = 0; units[i] != 0; i++)
        require(units[i] != '/' && !(units[i] == '\\' && units[i + 1] == '\\'));
}

static void check_config(const struct config *config, uint64_t bound) {
    check_path(config->kernel);
    check_text(config->cmdline);
    require(config->module_count <= bound);
    bool has_size = config->resolution == CONFIG_RESOLUTION_SIZE;
    require(config->resolution <= CONFIG_RESOLUTION_SIZE);
    require(config->width <= 65535 && config->height <= 65535);
    require((config->width != 0) == has_size && (config->height != 0) == has_size);
    for (uint32_t i = 0; i < config->module_count; i++) {
        const struct config_module *module = &config->modules[i];
        check_path(module->path);
        check_text(module->cmdline);
        require(module->digest.line == 0 || module->digest.line > module->line);
    }
}

static void check_entry(const struct config_entry *entry) {
    check_text(entry->title);
    check_characters(entry->name);
    require(entry->name.bytes != 0 && entry->title.bytes != 0 && entry->line != 0);
    for (uint64_t i = 0; i < entry->name.bytes; i++)
        require(strchr(" \t\"[]=", entry->name.text[i]) == NULL);
}

static void check_file(const struct config_file *file, struct config_room room, size_t bytes) {
    uint64_t bound = config_module_bound(bytes);
    check_config(&file->config, bound);
    require(file->entry_count <= config_entry_bound(bytes));
    require(file->entry_count == 0 || file->default_entry < file->entry_count);
    for (uint32_t i = 0; i < file->entry_count; i++) {
        const struct config_entry *entry = &file->entries[i];
        check_entry(entry);
        require(config_find_entry(file, entry->name) == entry);
        struct config config = config_of_entry(file, entry, room);
        check_config(&config, bound);
        require(config.module_count >= file->config.module_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct config_file file;
    struct config_error error = {0};
    struct config_room room = {
        .modules = malloc(config_module_bound(bytes) * sizeof(*room.modules) + 1),
        .entries = malloc(config_entry_bound(bytes) * sizeof(*room.entries)),
    };
    if (config_parse((const char *)data, bytes, room, &file, &error) != CONFIG_OK)
        check_error(&error, data, bytes);
    else
        check_file(&file, room, bytes);
    free(room.modules);
    free(room.entries);
    return 0;
}
