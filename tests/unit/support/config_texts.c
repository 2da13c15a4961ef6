#include "tests/unit/support/config_texts.h"

#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

char *config_exact(const char *text, uint64_t bytes) {
    char *copy = malloc(bytes == 0 ? 1 : bytes);
    memcpy(copy, text, bytes);
    return copy;
}

struct config_room config_room_for(uint64_t bytes) {
    static struct config_room room;
    uint64_t size = config_module_bound(bytes) * sizeof(*room.modules);
    free(room.modules);
    free(room.entries);
    room.modules = malloc(size == 0 ? 1 : size);
    room.entries = malloc(config_entry_bound(bytes) * sizeof(*room.entries));
    return room;
}

struct config_file config_accept(const char *text, struct config_room room) {
    struct config_file file;
    struct config_error error = {.line = 4242};
    memset(&file, 0xa5, sizeof(file));
    assert_int_equal(config_parse(text, strlen(text), room, &file, &error), CONFIG_OK);
    assert_int_equal(error.line, 4242);
    return file;
}

void config_refuse_bytes(const char *text, uint64_t bytes, enum config_status want,
                         const char *message) {
    struct config_file file, before;
    struct config_error error = {0};
    memset(&file, 0xa5, sizeof(file));
    before = file;
    char *copy = config_exact(text, bytes);
    assert_int_equal(config_parse(copy, bytes, config_room_for(bytes), &file, &error), want);
    assert_int_equal(error.status, want);
    assert_memory_equal(&file, &before, sizeof(file));
    char printed[2048];
    struct fmt_buffer buffer = fmt_buffer_make(printed, sizeof(printed));
    struct sink sink = fmt_buffer_sink(&buffer);
    config_error_print(&sink, &error);
    assert_string_equal(printed, message);
    free(copy);
}

void config_refuse(const char *text, enum config_status want, const char *message) {
    config_refuse_bytes(text, strlen(text), want, message);
}

void config_expect_text(struct config_text text, const char *want) {
    assert_int_equal(text.bytes, strlen(want));
    assert_memory_equal(text.text, want, text.bytes);
}
