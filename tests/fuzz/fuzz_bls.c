// A file of any bytes as an entry of the Boot Loader Specification, and as an os-release: what
// comes of it is text within its memory, and the order of entries is one.
#include "loader/bls.h"
#include "loader/utf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_text(struct config_text text) {
    require(utf8_find_invalid(text.text, text.bytes) == text.bytes);
    for (uint64_t i = 0; i < text.bytes; i++)
        require((unsigned char)text.text[i] >= ' ' || text.text[i] == '\t');
}

static void check(const struct bls_entry *entry) {
    const struct config base = {0};
    struct config config = bls_config(entry, &base);
    require(entry->title.bytes != 0 && entry->name.bytes != 0 && config.kernel.bytes != 0);
    check_text(entry->title);
    check_text(entry->embedded);
    check_text(entry->version);
    check_text(entry->sort_key);
    check_text(entry->machine_id);
    check_text(entry->ignored);
    check_text(config.kernel);
    check_text(config.cmdline);
    for (uint32_t i = 0; i < config.module_count; i++) {
        require(config.modules[i].path.bytes != 0 && config.modules[i].line != 0);
        check_text(config.modules[i].path);
    }
}

static void discard(void *context, const char *text, size_t bytes) {
    (void)context;
    check_text((struct config_text){text, bytes});
}

static void check_order(const struct bls_entry *one, const struct bls_entry *other) {
    int order = bls_compare_versions(one->version, other->version);
    int reverse = bls_compare_versions(other->version, one->version);
    require((order < 0) == (reverse > 0) && (order == 0) == (reverse == 0));
    struct bls_entry ways[2][2] = {{*one, *other}, {*other, *one}};
    ways[0][1].name = ways[1][0].name = (struct config_text){"z", 1}; // no two are the same
    bls_sort(ways[0], 2);
    bls_sort(ways[1], 2);
    require(ways[0][0].name.bytes == ways[1][0].name.bytes);
}

// A text is for itself, and what begins and ends as a name does is for it.
static void check_pattern(struct config_text text) {
    uint64_t half = text.bytes / 2;
    while (half != 0 && utf8_find_invalid(text.text, half) != half)
        half--;
    const struct config_text pattern = {text.text, half};
    const struct config_text name = {text.text + half, text.bytes - half};
    char *around = malloc(text.bytes + 1);
    memcpy(around, text.text, half);
    around[half] = '*';
    memcpy(around + half + 1, name.text, name.bytes);
    (void)bls_matches(pattern, name);
    require(bls_matches((struct config_text){around, text.bytes + 1}, text));
    free(around);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const char path[] = "/loader/entries/a+3-1.conf";
    const struct config_text name = {path, sizeof(path) - 1};
    struct config_text text = {(const char *)data, bytes};
    struct bls_entry entry, image;
    struct bls_error error = {0};
    void *rooms[2] = {malloc(bls_room(name.bytes, bytes)), malloc(bls_room(name.bytes, bytes))};
    bls_describe_image(&(struct bls_image){name, text, text}, rooms[0], &image);
    check(&image);
    enum bls_status status = bls_parse(name, text, rooms[1], &entry, &error);
    require(status == error.status);
    if (status == BLS_OK) {
        check(&entry);
        check_order(&entry, &image);
    } else {
        const struct sink sink = {.write = discard};
        bls_error_print(&sink, &error);
    }
    bool is_text = utf8_find_invalid(text.text, bytes) == bytes && memchr(data, 0, bytes) == NULL;
    if (is_text && bytes != 0 && bytes < 1000)
        check_pattern(text);
    free(rooms[0]);
    free(rooms[1]);
    return 0;
}
