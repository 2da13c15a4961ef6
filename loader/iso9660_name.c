// Names of an ISO 9660 tree: see iso9660_internal.h.
#include "loader/iso9660_internal.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/utf.h"

enum {
    NAME_MAX = 255,     // bytes, of Rock Ridge
    JOLIET_UNITS = 111, // that a record, of up to 255 bytes, has room for
};

struct name {
    uint64_t bytes;
    char text[3 * JOLIET_UNITS + 1];
};

// What Rock Ridge says of a record (SUSP 5, RRIP 4.1).
struct ridge_read {
    struct name name;
    struct iso9660_ridge ridge;
    uint64_t next_offset; // where there is more
    uint64_t next_bytes;  // 0: nowhere
};

static void add_name(struct name *name, const uint8_t *text, uint64_t bytes) {
    bytes = min_u64(bytes, NAME_MAX - name->bytes);
    memcpy(name->text + name->bytes, text, bytes);
    name->bytes += bytes;
}

static void read_ridge(const struct iso9660 *iso, const uint8_t *area, uint64_t bytes,
                       struct ridge_read *ridge) {
    enum { HEAD = 4, NM_TEXT = 5, CL_BYTES = 12, CE_BYTES = 28 };
    ridge->next_bytes = 0;
    while (bytes >= HEAD && area[2] >= HEAD && area[2] <= bytes) {
        uint64_t length = area[2];
        if (memcmp(area, "NM", 2) == 0 && length >= NM_TEXT)
            add_name(&ridge->name, area + NM_TEXT, length - NM_TEXT);
        if (memcmp(area, "SL", 2) == 0)
            ridge->ridge.is_link = true;
        if (memcmp(area, "ZF", 2) == 0)
            ridge->ridge.is_compressed = true;
        if (memcmp(area, "CL", 2) == 0 && length >= CL_BYTES)
            ridge->ridge.folder_block = iso9660_read_32(area + 4);
        if (memcmp(area, "CE", 2) == 0 && length >= CE_BYTES) {
            ridge->next_offset =
                (uint64_t)iso9660_read_32(area + 4) * iso->block_bytes + iso9660_read_32(area + 12);
            ridge->next_bytes = iso9660_read_32(area + 20);
        }
        area += length;
        bytes -= length;
    }
}

// The area behind a record's name, and those that it leads to: a few, each in a sector.
static enum iso9660_status find_ridge(const struct iso9660 *iso, const uint8_t *record,
                                      struct ridge_read *ret_ridge) {
    enum { AREAS_MAX = 8 };
    uint8_t more[ISO9660_SECTOR_BYTES];
    uint64_t start = RECORD_NAME + align_up(record[RECORD_NAME_BYTES] + UINT64_C(1), 2) - 1;
    start = min_u64(start + iso->skipped_bytes, record[0]);
    ret_ridge->name.bytes = 0;
    ret_ridge->ridge = (struct iso9660_ridge){0};
    read_ridge(iso, record + start, record[0] - start, ret_ridge);
    for (unsigned i = 0; i < AREAS_MAX && ret_ridge->next_bytes != 0; i++) {
        uint64_t bytes = min_u64(ret_ridge->next_bytes, sizeof(more));
        enum iso9660_status status = iso9660_read_disc(iso, ret_ridge->next_offset, more, bytes);
        if (status != ISO9660_OK)
            return status;
        read_ridge(iso, more, bytes, ret_ridge);
    }
    return ISO9660_OK;
}

static void read_joliet(const uint8_t *text, uint64_t bytes, struct name *ret_name) {
    uint16_t units[JOLIET_UNITS];
    uint64_t count = min_u64(bytes / 2, ARRAY_LEN(units));
    for (uint64_t i = 0; i < count; i++)
        units[i] = (uint16_t)(text[2 * i] << 8 | text[2 * i + 1]);
    ret_name->bytes = utf8_from_utf16(units, count, ret_name->text);
}

// Without the version, and without the dot of an empty extension.
static void cut_version(struct name *name) {
    uint64_t at = 0;
    while (at < name->bytes && name->text[at] != ';')
        at++;
    name->bytes = at;
    if (at != 0 && name->text[at - 1] == '.')
        name->bytes--;
}

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static enum iso9660_match match(const struct name *name, const char *wanted, uint64_t bytes) {
    enum iso9660_match found = ISO9660_MATCH_EXACT;
    if (name->bytes != bytes)
        return ISO9660_MATCH_NONE;
    for (uint64_t i = 0; i < bytes; i++) {
        if (lower(name->text[i]) != lower(wanted[i]))
            return ISO9660_MATCH_NONE;
        if (name->text[i] != wanted[i])
            found = ISO9660_MATCH_CASELESS;
    }
    return found;
}

static bool is_special(const uint8_t *record, unsigned name) {
    return record[RECORD_NAME_BYTES] == 1 && record[RECORD_NAME] == name;
}

// Rock Ridge's name takes the place of the record's own.
static enum iso9660_status name_of(const struct iso9660 *iso, bool is_joliet, const uint8_t *record,
                                   struct name *ret_name) {
    const uint8_t *text = record + RECORD_NAME;
    struct ridge_read ridge = {.name.bytes = 0};
    enum iso9660_status status = ISO9660_OK;
    ret_name->bytes = 0;
    if (is_joliet)
        read_joliet(text, record[RECORD_NAME_BYTES], ret_name);
    else
        status = find_ridge(iso, record, &ridge);
    if (ridge.name.bytes != 0) {
        *ret_name = ridge.name;
        return status;
    }
    if (!is_joliet)
        add_name(ret_name, text, record[RECORD_NAME_BYTES]);
    cut_version(ret_name);
    return status;
}

enum iso9660_status iso9660_match_name(const struct iso9660 *iso, bool is_joliet,
                                       const uint8_t *record, const char *wanted, uint64_t bytes,
                                       enum iso9660_match *ret_match) {
    struct name name;
    bool is_parent = bytes == 2 && memcmp(wanted, "..", 2) == 0;
    *ret_match = is_parent && is_special(record, RECORD_NAME_PARENT) ? ISO9660_MATCH_EXACT
                                                                     : ISO9660_MATCH_NONE;
    if (is_parent || is_special(record, RECORD_NAME_SELF) ||
        is_special(record, RECORD_NAME_PARENT) || (record[RECORD_FLAGS] & RECORD_FLAG_ASSOCIATED))
        return ISO9660_OK;
    enum iso9660_status status = name_of(iso, is_joliet, record, &name);
    if (status == ISO9660_OK)
        *ret_match = match(&name, wanted, bytes);
    return status;
}

enum iso9660_status iso9660_find_ridge(const struct iso9660 *iso, const uint8_t *record,
                                       struct iso9660_ridge *ret_ridge) {
    struct ridge_read read;
    enum iso9660_status status = find_ridge(iso, record, &read);
    if (status == ISO9660_OK)
        *ret_ridge = read.ridge;
    return status;
}
