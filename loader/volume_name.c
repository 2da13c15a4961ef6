// See volume_name.h.
#include "loader/volume_name.h"

#include "common/base/mem.h"
#include "common/boot/slipway_boot.h"

// The bytes of a GUID and of a disk's signature in the order in which text has them, ended by
// END_OF_BYTES: the first three fields of a GUID are little-endian numbers (UEFI 2.9, appendix A).
enum { DASH = -1, END_OF_BYTES = -2 };
static const signed char guid_order[] = {3, 2, 1,    0,  DASH, 5,  4,  DASH, 7,  6,           DASH,
                                         8, 9, DASH, 10, 11,   12, 13, 14,   15, END_OF_BYTES};
static const signed char signature_order[] = {3, 2, 1, 0, DASH, END_OF_BYTES};

static bool begins(struct config_text text, const char *start) {
    uint64_t bytes = strlen(start);
    return text.bytes >= bytes && memcmp(text.text, start, bytes) == 0;
}

static bool is_separator(char c) {
    return c == '/' || c == '\\';
}

// A hexadecimal digit's value; 16 if it is none.
static unsigned digit(char c) {
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 16;
}

static bool take_byte(struct config_text *text, uint8_t *ret_byte) {
    if (text->bytes < 2 || digit(text->text[0]) == 16 || digit(text->text[1]) == 16)
        return false;
    *ret_byte = (uint8_t)(digit(text->text[0]) << 4 | digit(text->text[1]));
    *text = (struct config_text){text->text + 2, text->bytes - 2};
    return true;
}

static bool take_bytes(struct config_text *text, const signed char *order, uint8_t *ret_bytes) {
    for (; *order != END_OF_BYTES; order++) {
        if (*order != DASH) {
            if (!take_byte(text, &ret_bytes[*order]))
                return false;
        } else if (begins(*text, "-")) {
            *text = (struct config_text){text->text + 1, text->bytes - 1};
        } else {
            return false;
        }
    }
    return true;
}

static bool parse_partition(struct config_text text, struct partition *ret_partition) {
    struct partition partition = {.id_kind = SLIPWAY_PARTITION_GPT};
    struct config_text left = text;
    uint8_t number = 0;
    if (take_bytes(&left, guid_order, partition.id) && left.bytes == 0) {
        *ret_partition = partition;
        return true;
    }
    partition = (struct partition){.id_kind = SLIPWAY_PARTITION_MBR};
    left = text;
    if (!take_bytes(&left, signature_order, partition.id) || !take_byte(&left, &number) ||
        left.bytes != 0 || number == 0)
        return false;
    partition.number = number;
    *ret_partition = partition;
    return true;
}

// Cuts `text` before the first ')' that a separator follows: a label may have others.
static enum volume_name_status cut_name(struct config_text text, struct config_text *ret_inner,
                                        struct config_text *ret_rest) {
    enum volume_name_status status = VOLUME_NAME_ERR_CLOSE;
    for (uint64_t at = 0; at < text.bytes; at++) {
        if (text.text[at] != ')')
            continue;
        status = VOLUME_NAME_ERR_SEPARATOR;
        if (at + 1 == text.bytes || !is_separator(text.text[at + 1]))
            continue;
        *ret_inner = (struct config_text){text.text, at};
        *ret_rest = (struct config_text){text.text + at + 1, text.bytes - at - 1};
        return VOLUME_NAME_OK;
    }
    return status;
}

enum volume_name_status volume_name_parse(struct config_text path, struct volume_name *ret_name,
                                          struct config_text *ret_rest) {
    static const char guid[] = "guid(";
    static const char label[] = "label(";
    bool is_label = begins(path, label);
    if (!is_label && !begins(path, guid)) {
        *ret_name = (struct volume_name){.kind = VOLUME_OWN};
        *ret_rest = path;
        return VOLUME_NAME_OK;
    }
    uint64_t start = is_label ? sizeof(label) - 1 : sizeof(guid) - 1;
    struct config_text inner, rest;
    enum volume_name_status status =
        cut_name((struct config_text){path.text + start, path.bytes - start}, &inner, &rest);
    if (status != VOLUME_NAME_OK)
        return status;
    struct volume_name name = {.kind = is_label ? VOLUME_LABEL : VOLUME_PARTITION};
    if (is_label && inner.bytes == 0)
        return VOLUME_NAME_ERR_LABEL;
    if (!is_label && !parse_partition(inner, &name.partition))
        return VOLUME_NAME_ERR_GUID;
    if (is_label)
        name.label = inner;
    *ret_name = name;
    *ret_rest = rest;
    return VOLUME_NAME_OK;
}

const char *volume_name_status_text(enum volume_name_status status) {
    switch (status) {
    case VOLUME_NAME_OK:
        return "no error";
    case VOLUME_NAME_ERR_GUID:
        return "not a partition's GUID, guid(xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx)/path, nor an MBR's signature and number, guid(xxxxxxxx-nn)/path, all in hexadecimal";
    case VOLUME_NAME_ERR_LABEL:
        return "no label between the parentheses: label(NAME)/path";
    case VOLUME_NAME_ERR_CLOSE:
        return "no closing parenthesis: guid(PARTUUID)/path or label(NAME)/path";
    case VOLUME_NAME_ERR_SEPARATOR:
        return "no separator after the parenthesis: guid(PARTUUID)/path or label(NAME)/path";
    }
    return "unknown";
}

bool volume_name_is_partition(const struct volume_name *name, const struct partition *partition) {
    const struct partition *wanted = &name->partition;
    return name->kind == VOLUME_PARTITION && wanted->id_kind == partition->id_kind &&
           memcmp(wanted->id, partition->id, sizeof(wanted->id)) == 0 &&
           (wanted->id_kind == SLIPWAY_PARTITION_GPT || wanted->number == partition->number);
}

void volume_name_print_partition(const struct sink *sink, const struct partition *partition) {
    bool is_gpt = partition->id_kind == SLIPWAY_PARTITION_GPT;
    const signed char *order = is_gpt ? guid_order : signature_order;
    fmt_print(sink, "guid(");
    for (; *order != END_OF_BYTES; order++) {
        if (*order == DASH)
            fmt_print(sink, "-");
        else
            fmt_print(sink, "%02x", partition->id[*order]);
    }
    if (!is_gpt)
        fmt_print(sink, "%02x", partition->number);
    fmt_print(sink, ")");
}
