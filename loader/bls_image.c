// Entries of type 2: unified kernel images, described by their os-release. See bls.h.
#include "common/base/arith.h"
#include "loader/bls_parts.h"
#include "loader/config_text.h"
#include "loader/utf.h"

// Without the quotes around it. What a shell would take out of it besides, backslashes, stays.
static struct config_text unquote(struct config_text text) {
    bool is_quoted = text.bytes >= 2 && (text.text[0] == '"' || text.text[0] == '\'') &&
                     text.text[text.bytes - 1] == text.text[0];
    return is_quoted ? config_cut(text, 1, text.bytes - 1) : text;
}

// A value that can be shown: valid UTF-8 without control characters; else nothing.
static struct config_text clean(struct config_text text) {
    bool is_clean = utf8_find_invalid(text.text, text.bytes) == text.bytes;
    for (uint64_t at = 0; at < text.bytes; at++)
        is_clean &= (unsigned char)text.text[at] >= 0x20 && text.text[at] != 0x7f;
    return is_clean ? text : config_cut(text, 0, 0);
}

// The value of the first of these keys that has one; nothing if none has.
static struct config_text find(struct config_text osrel, const char *const *keys, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        for (struct config_text rest = osrel; rest.bytes != 0;) {
            struct config_text line = config_cut(rest, 0, config_find(rest, '\n'));
            rest = config_cut(rest, min_u64(line.bytes + 1, rest.bytes), rest.bytes);
            uint64_t equals = config_find(line, '=');
            if (equals == line.bytes || !config_text_is(config_cut(line, 0, equals), keys[i]))
                continue;
            struct config_text value = config_trim(config_cut(line, equals + 1, line.bytes));
            value = clean(unquote(value));
            if (value.bytes != 0)
                return value;
        }
    }
    return config_cut(osrel, 0, 0);
}

// A section may be filled up with zeros, and its text end with a line's end.
static struct config_text cut_end(struct config_text text) {
    while (text.bytes != 0 && (unsigned char)text.text[text.bytes - 1] <= ' ')
        text.bytes--;
    return text;
}

// The names and their order are those of sd-boot.
void bls_describe_image(const struct bls_image *image, void *room, struct bls_entry *ret_entry) {
    static const char *const titles[] = {"PRETTY_NAME", "NAME", "IMAGE_ID", "ID"};
    static const char *const versions[] = {"IMAGE_VERSION", "VERSION_ID", "VERSION", "BUILD_ID"};
    static const char *const sort_keys[] = {"IMAGE_ID", "ID"};
    const struct config_text osrel = cut_end(image->osrel);
    struct bls_room_parts parts = bls_make_room(room, image->osrel.bytes);
    *ret_entry = (struct bls_entry){
        .title = find(osrel, titles, ARRAY_LEN(titles)),
        .version = find(osrel, versions, ARRAY_LEN(versions)),
        .sort_key = find(osrel, sort_keys, ARRAY_LEN(sort_keys)),
        .machine_id = config_text_of(""),
        .path = image->path,
        .is_efi = true,
        .cmdline = config_text_of(""),
        .embedded = clean(cut_end(image->cmdline)),
        .initrds = parts.initrds,
    };
    bls_set_name(ret_entry, &parts, image->path);
    if (ret_entry->title.bytes == 0)
        ret_entry->title = ret_entry->name;
}
