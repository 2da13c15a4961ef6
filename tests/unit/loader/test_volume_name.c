#include "loader/volume_name.h"

#include "common/boot/slipway_boot.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

#define GUID "01234567-89ab-cdef-0123-456789ABCDEF"

static const uint8_t guid_bytes[16] = {0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd,
                                       0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

// Of a path in memory of exactly its size.
static enum volume_name_status parse(const char *path, struct volume_name *ret_name,
                                     char *ret_rest) {
    uint64_t bytes = strlen(path);
    struct config_text rest = {"untouched", 9};
    struct volume_name before;
    memset(ret_name, 0xa5, sizeof(*ret_name));
    before = *ret_name;
    char *copy = malloc(bytes + 1);
    memcpy(copy + 1, path, bytes);
    enum volume_name_status status =
        volume_name_parse((struct config_text){copy + 1, bytes}, ret_name, &rest);
    memcpy(ret_rest, rest.text, rest.bytes);
    ret_rest[rest.bytes] = '\0';
    if (status != VOLUME_NAME_OK) {
        assert_memory_equal(ret_name, &before, sizeof(before));
        assert_string_equal(ret_rest, "untouched");
    } else if (ret_name->kind == VOLUME_LABEL) { // into the copy
        assert_ptr_equal(ret_name->label.text, copy + 1 + 6);
    }
    free(copy);
    return status;
}

static struct volume_name accept(const char *path, enum volume_kind kind, const char *want_rest) {
    struct volume_name name;
    char rest[200];
    assert_int_equal(parse(path, &name, rest), VOLUME_NAME_OK);
    assert_int_equal(name.kind, kind);
    assert_string_equal(rest, want_rest);
    return name;
}

static void refuse(const char *path, enum volume_name_status want) {
    struct volume_name name;
    char rest[200];
    enum volume_name_status status = parse(path, &name, rest);
    if (status != want)
        fail_msg("'%s' gives %d, not %d", path, (int)status, (int)want);
}

TEST("volume name: a path that does not begin like another is on the loader's own volume") {
    static const char *const paths[] = {"",       "/kernel",   "guid",    "label/x", "/guid(x)/k",
                                        "Guid(/", "a/label(x", "\\guid(", "guid)/x", " label(x)/"};
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        accept(paths[i], VOLUME_OWN, paths[i]);
}

TEST("volume name: the GUID of a GPT's partition has its first fields little-endian") {
    struct volume_name name = accept("guid(" GUID ")/boot/k", VOLUME_PARTITION, "/boot/k");
    assert_int_equal(name.partition.id_kind, SLIPWAY_PARTITION_GPT);
    assert_memory_equal(name.partition.id, guid_bytes, 16);
    accept("guid(" GUID ")\\boot", VOLUME_PARTITION, "\\boot");
    accept("guid(" GUID ")/", VOLUME_PARTITION, "/");
}

TEST("volume name: the signature of an MBR and the number are hexadecimal") {
    struct volume_name name = accept("guid(deadBEEF-1a)/k", VOLUME_PARTITION, "/k");
    static const uint8_t signature[16] = {0xef, 0xbe, 0xad, 0xde};
    assert_int_equal(name.partition.id_kind, SLIPWAY_PARTITION_MBR);
    assert_memory_equal(name.partition.id, signature, 16);
    assert_int_equal(name.partition.number, 0x1a);
}

TEST("volume name: a label ends at the first parenthesis that a separator follows") {
    struct volume_name name = accept("label(my (old) disk)/k", VOLUME_LABEL, "/k");
    assert_int_equal(name.label.bytes, 13);
    name = accept("label(a)b)\\c)/d", VOLUME_LABEL, "\\c)/d");
    assert_int_equal(name.label.bytes, 3);
    name = accept("label(a/b)/c", VOLUME_LABEL, "/c");
    assert_int_equal(name.label.bytes, 3);
}

TEST("volume name: what begins like one and is none is refused, by what is wrong") {
    refuse("guid(", VOLUME_NAME_ERR_CLOSE);
    refuse("guid(" GUID "/k", VOLUME_NAME_ERR_CLOSE);
    refuse("label(x", VOLUME_NAME_ERR_CLOSE);
    refuse("guid(" GUID ")", VOLUME_NAME_ERR_SEPARATOR);
    refuse("guid(" GUID ")k", VOLUME_NAME_ERR_SEPARATOR);
    refuse("label(x)y", VOLUME_NAME_ERR_SEPARATOR);
    refuse("label()/k", VOLUME_NAME_ERR_LABEL);
    static const char *const guids[] = {
        "",
        "xyz",
        "01234567-89ab-cdef-0123-456789ABCDE",
        GUID "0",
        GUID " ",
        " " GUID,
        "{" GUID "}",
        "0123456789abcdef0123456789ABCDEF",
        "01234567-89ab-cdef-0123_456789ABCDEF",
        "01234567-89ab-cdef0-123-456789ABCDEF",
        "0123456g-89ab-cdef-0123-456789ABCDEF",
        "0123456/-89ab-cdef-0123-456789ABCDEF",
        "0123456:-89ab-cdef-0123-456789ABCDEF",
        "0123456`-89ab-cdef-0123-456789ABCDEF",
        "0123456@-89ab-cdef-0123-456789ABCDEF",
        "deadbeef-",
        "deadbeef-0",
        "deadbeef-00",
        "deadbeef-001",
        "deadbeef-g1",
        "deadbeef01",
        "deadbee-01",
        "deadbe-01",
        "01234567-89ab-cdef-0123-456789ABCD",
    };
    for (unsigned i = 0; i < sizeof(guids) / sizeof(guids[0]); i++) {
        char path[80] = "guid(";
        strcat(path, guids[i]);
        strcat(path, ")/k");
        refuse(path, VOLUME_NAME_ERR_GUID);
    }
    for (int status = VOLUME_NAME_OK; status <= VOLUME_NAME_ERR_SEPARATOR; status++)
        assert_string_not_equal(volume_name_status_text((enum volume_name_status)status),
                                "unknown");
}

TEST("volume name: a partition is printed as it is parsed, and is the one that it names alone") {
    static const char *const paths[] = {"guid(01234567-89ab-cdef-0123-456789abcdef)/",
                                        "guid(11234567-89ab-cdef-0123-456789abcdef)/",
                                        "guid(01234567-89ab-cdef-0123-456789abcdee)/",
                                        "guid(01234567-01)/",
                                        "guid(01234567-02)/",
                                        "guid(01234568-01)/"};
    for (unsigned i = 0; i < 6; i++) {
        struct volume_name name = accept(paths[i], VOLUME_PARTITION, "/");
        char text[80];
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        volume_name_print_partition(&sink, &name.partition);
        assert_int_equal(buffer.used, strlen(paths[i]) - 1);
        assert_memory_equal(text, paths[i], buffer.used);
        for (unsigned other = 0; other < 6; other++) {
            struct partition found = accept(paths[other], VOLUME_PARTITION, "/").partition;
            if (found.id_kind == SLIPWAY_PARTITION_GPT)
                found.number = 7; // which the firmware knows
            assert_int_equal(volume_name_is_partition(&name, &found), i == other);
            found.id_kind = SLIPWAY_PARTITION_NONE;
            assert_false(volume_name_is_partition(&name, &found));
        }
    }
    struct volume_name label = accept("label(x)/", VOLUME_LABEL, "/");
    assert_false(volume_name_is_partition(&label, &label.partition));
}
