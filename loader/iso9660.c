// See iso9660.h.
#include "loader/iso9660.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/iso9660_internal.h"

enum {
    // Volume descriptors, a sector each (ECMA-119, 8).
    DESCRIPTORS_FIRST = 16,
    DESCRIPTORS_MAX = 64, // that are looked at
    DESCRIPTOR_TYPE = 0,
    DESCRIPTOR_ID = 1,
    DESCRIPTOR_ESCAPES = 88, // of a supplementary one: Joliet's, if it is that
    DESCRIPTOR_BLOCK_BYTES = 128,
    DESCRIPTOR_ROOT = 156, // a record
    TYPE_PRIMARY = 1,
    TYPE_SUPPLEMENTARY = 2,
    TYPE_END = 255,

    // A larger directory would be one of more than a hundred thousand files.
    FOLDER_BYTES_MAX = 16 << 20,
};

// Goes through a directory, a sector at a time.
struct walk {
    const struct iso9660 *iso;
    struct iso9660_folder folder;
    uint64_t at; // of the next record
    uint64_t loaded_at;
    bool is_loaded;
    uint8_t sector[ISO9660_SECTOR_BYTES];
};

uint32_t iso9660_read_32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

bool iso9660_is_on_disc(const struct iso9660 *iso, uint64_t offset, uint64_t bytes) {
    return offset <= iso->disc.bytes && bytes <= iso->disc.bytes - offset;
}

enum iso9660_status iso9660_read_disc(const struct iso9660 *iso, uint64_t offset, void *to,
                                      uint64_t bytes) {
    if (!iso9660_is_on_disc(iso, offset, bytes))
        return ISO9660_ERR_DAMAGED;
    return iso->disc.read(iso->disc.context, offset, to, bytes) ? ISO9660_OK : ISO9660_ERR_READ;
}

static uint64_t start_of(const struct iso9660 *iso, const uint8_t *record) {
    return ((uint64_t)iso9660_read_32(record + RECORD_BLOCK) + record[RECORD_XATTR_BLOCKS]) *
           iso->block_bytes;
}

// The directory that a record is of.
static enum iso9660_status folder_of(const struct iso9660 *iso, const uint8_t *record,
                                     bool is_joliet, struct iso9660_folder *ret_folder) {
    struct iso9660_folder folder = {.offset = start_of(iso, record),
                                    .bytes = iso9660_read_32(record + RECORD_BYTES),
                                    .is_joliet = is_joliet};
    if (folder.bytes > FOLDER_BYTES_MAX || !iso9660_is_on_disc(iso, folder.offset, folder.bytes))
        return ISO9660_ERR_DAMAGED;
    *ret_folder = folder;
    return ISO9660_OK;
}

// ---- Directories

// The next record, which lasts until the next call. ISO9660_ERR_ABSENT: there is none.
static enum iso9660_status next_record(struct walk *walk, const uint8_t **ret_record) {
    while (walk->at < walk->folder.bytes) {
        uint64_t start = align_down(walk->at, ISO9660_SECTOR_BYTES);
        uint64_t bytes = min_u64(walk->folder.bytes - start, ISO9660_SECTOR_BYTES);
        if (!walk->is_loaded || walk->loaded_at != start) {
            enum iso9660_status status =
                iso9660_read_disc(walk->iso, walk->folder.offset + start, walk->sector, bytes);
            if (status != ISO9660_OK)
                return status;
            walk->loaded_at = start;
            walk->is_loaded = true;
        }
        const uint8_t *record = walk->sector + (walk->at - start);
        uint64_t left = bytes - (walk->at - start);
        if (record[0] == 0) { // no record goes across a sector's end
            walk->at = start + ISO9660_SECTOR_BYTES;
            continue;
        }
        if (record[0] > left || record[0] < RECORD_BYTES_LEAST || record[RECORD_NAME_BYTES] == 0 ||
            RECORD_NAME + record[RECORD_NAME_BYTES] > record[0])
            return ISO9660_ERR_DAMAGED;
        walk->at += record[0];
        *ret_record = record;
        return ISO9660_OK;
    }
    return ISO9660_ERR_ABSENT;
}

// Leaves the walk at the record of this name.
static enum iso9660_status find_name(struct walk *walk, const char *wanted, uint64_t bytes) {
    enum iso9660_match best = ISO9660_MATCH_NONE;
    uint64_t best_at = 0;
    enum iso9660_status status = ISO9660_OK;
    walk->at = 0;
    walk->is_loaded = false;
    while (status == ISO9660_OK && best != ISO9660_MATCH_EXACT) {
        const uint8_t *record;
        enum iso9660_match found = ISO9660_MATCH_NONE;
        status = next_record(walk, &record);
        if (status == ISO9660_OK)
            status = iso9660_match_name(walk->iso, walk->folder.is_joliet, record, wanted, bytes,
                                        &found);
        if (status == ISO9660_OK && found > best) {
            best = found;
            best_at = walk->at - record[0];
        }
    }
    walk->at = best_at;
    return status == ISO9660_ERR_ABSENT && best != ISO9660_MATCH_NONE ? ISO9660_OK : status;
}

static enum iso9660_status enter(struct walk *walk, const uint8_t *record) {
    return folder_of(walk->iso, record, walk->folder.is_joliet, &walk->folder);
}

// A folder that is too deep for ECMA-119 (6.8.2.1: eight levels) lies elsewhere, and a record of a
// file stands for it. How large it is its own first record says.
static enum iso9660_status enter_moved(struct walk *walk, const uint8_t *record) {
    uint8_t self[RECORD_BYTES_LEAST];
    struct iso9660_ridge ridge = {0};
    enum iso9660_status status = ISO9660_OK;
    if (!walk->folder.is_joliet)
        status = iso9660_find_ridge(walk->iso, record, &ridge);
    if (status == ISO9660_OK && ridge.is_link)
        status = ISO9660_ERR_LINK;
    if (status == ISO9660_OK && ridge.folder_block == 0)
        status = ISO9660_ERR_ABSENT; // it is a file
    if (status == ISO9660_OK)
        status = iso9660_read_disc(walk->iso, (uint64_t)ridge.folder_block * walk->iso->block_bytes,
                                   self, sizeof(self));
    if (status != ISO9660_OK)
        return status;
    bool is_folder = self[RECORD_FLAGS] & RECORD_FLAG_FOLDER && self[RECORD_NAME_BYTES] == 1 &&
                     self[RECORD_NAME] == RECORD_NAME_SELF;
    return is_folder ? enter(walk, self) : ISO9660_ERR_DAMAGED;
}

// ---- The trees

static enum iso9660_status add_root(struct iso9660 *iso, const uint8_t *record, bool is_joliet) {
    enum iso9660_status status = folder_of(iso, record, is_joliet, &iso->roots[iso->root_count]);
    iso->root_count += status == ISO9660_OK;
    return status;
}

// "%/@", "%/C" and "%/E": UCS-2 of level 1, 2 and 3.
static bool is_joliet(const uint8_t *descriptor) {
    const uint8_t *escapes = descriptor + DESCRIPTOR_ESCAPES;
    return memcmp(escapes, "%/", 2) == 0 &&
           (escapes[2] == '@' || escapes[2] == 'C' || escapes[2] == 'E');
}

static enum iso9660_status add_descriptor(struct iso9660 *iso, const uint8_t *descriptor) {
    const uint8_t *root = descriptor + DESCRIPTOR_ROOT;
    unsigned type = descriptor[DESCRIPTOR_TYPE];
    if (type == TYPE_SUPPLEMENTARY && iso->root_count == 1 && is_joliet(descriptor))
        return add_root(iso, root, true);
    if (type != TYPE_PRIMARY || iso->root_count != 0)
        return ISO9660_OK;
    iso->block_bytes = iso9660_read_32(descriptor + DESCRIPTOR_BLOCK_BYTES) & UINT16_MAX;
    if (iso->block_bytes != ISO9660_SECTOR_BYTES && iso->block_bytes != ISO9660_SECTOR_BYTES / 2 &&
        iso->block_bytes != ISO9660_SECTOR_BYTES / 4)
        return ISO9660_ERR_DAMAGED;
    return add_root(iso, root, false);
}

// What of each record is not Rock Ridge's, as the root's first record says (SUSP 5.3).
static enum iso9660_status find_skipped(struct iso9660 *iso) {
    static const uint8_t sp[] = {'S', 'P', 7, 1, 0xbe, 0xef};
    enum { SP_AT = RECORD_NAME + 1, SP_SKIPPED = sizeof(sp), XA_BYTES = 14 };
    struct walk walk = {.iso = iso, .folder = iso->roots[0]};
    const uint8_t *record;
    enum iso9660_status status = next_record(&walk, &record);
    if (status != ISO9660_OK)
        return status == ISO9660_ERR_ABSENT ? ISO9660_ERR_DAMAGED : status;
    for (unsigned at = SP_AT; at <= SP_AT + XA_BYTES; at += XA_BYTES) {
        if (record[0] > at + SP_SKIPPED && memcmp(record + at, sp, sizeof(sp)) == 0)
            iso->skipped_bytes = record[at + SP_SKIPPED];
    }
    return ISO9660_OK;
}

enum iso9660_status iso9660_open(const struct iso9660_disc *disc, struct iso9660 *ret_iso) {
    struct iso9660 iso = {.disc = *disc};
    uint8_t sector[ISO9660_SECTOR_BYTES];
    enum iso9660_status status = ISO9660_OK;
    for (uint64_t i = 0; i < DESCRIPTORS_MAX && status == ISO9660_OK; i++) {
        uint64_t offset = (DESCRIPTORS_FIRST + i) * ISO9660_SECTOR_BYTES;
        if (!iso9660_is_on_disc(&iso, offset, sizeof(sector)))
            break;
        status = iso9660_read_disc(&iso, offset, sector, sizeof(sector));
        if (status != ISO9660_OK || memcmp(sector + DESCRIPTOR_ID, "CD001", 5) != 0 ||
            sector[DESCRIPTOR_TYPE] == TYPE_END)
            break;
        status = add_descriptor(&iso, sector);
    }
    if (status == ISO9660_OK)
        status = iso.root_count == 0 ? ISO9660_ERR_NONE : find_skipped(&iso);
    if (status == ISO9660_OK)
        *ret_iso = iso;
    return status;
}

// ---- Files

static enum iso9660_status add_section(const struct iso9660 *iso, const uint8_t *record,
                                       struct iso9660_file *file) {
    uint64_t offset = start_of(iso, record);
    uint64_t bytes = iso9660_read_32(record + RECORD_BYTES);
    uint32_t last = file->section_count - 1; // if there is one
    if (record[RECORD_UNIT] != 0 || record[RECORD_GAP] != 0)
        return ISO9660_ERR_FORM;
    if (!iso9660_is_on_disc(iso, offset, bytes))
        return ISO9660_ERR_DAMAGED;
    file->bytes += bytes;
    if (file->section_count != 0 &&
        offset == file->sections[last].offset + file->sections[last].bytes) {
        file->sections[last].bytes += bytes;
        return ISO9660_OK;
    }
    if (file->section_count == ISO9660_SECTIONS_MAX)
        return ISO9660_ERR_FORM;
    file->sections[file->section_count].offset = offset;
    file->sections[file->section_count++].bytes = bytes;
    return ISO9660_OK;
}

// The file whose first record the walk has come to.
static enum iso9660_status collect(struct walk *walk, struct iso9660_file *ret_file) {
    struct iso9660_file file = {0};
    struct iso9660_ridge ridge = {0};
    const uint8_t *record;
    do {
        enum iso9660_status status = next_record(walk, &record);
        if (status != ISO9660_OK)
            return status == ISO9660_ERR_ABSENT ? ISO9660_ERR_DAMAGED : status;
        if (record[RECORD_FLAGS] & RECORD_FLAG_FOLDER)
            return ISO9660_ERR_FOLDER;
        if (!walk->folder.is_joliet)
            status = iso9660_find_ridge(walk->iso, record, &ridge);
        if (status == ISO9660_OK && ridge.is_link)
            status = ISO9660_ERR_LINK;
        if (status == ISO9660_OK && ridge.folder_block != 0)
            status = ISO9660_ERR_FOLDER;
        if (status == ISO9660_OK && ridge.is_compressed)
            status = ISO9660_ERR_COMPRESSED;
        if (status == ISO9660_OK)
            status = add_section(walk->iso, record, &file);
        if (status != ISO9660_OK)
            return status;
    } while (record[RECORD_FLAGS] & RECORD_FLAG_CONTINUES);
    *ret_file = file;
    return ISO9660_OK;
}

static bool is_separator(char c) {
    return c == '/' || c == '\\';
}

static enum iso9660_status find_from(struct walk *walk, const char *path, uint64_t bytes,
                                     struct iso9660_file *ret_file) {
    enum iso9660_status status = ISO9660_ERR_FOLDER; // the root is one
    uint64_t at = 0;
    for (;;) {
        while (at < bytes && is_separator(path[at]))
            at++;
        uint64_t start = at;
        while (at < bytes && !is_separator(path[at]))
            at++;
        if (at == start)
            return status == ISO9660_OK ? collect(walk, ret_file) : status;
        if (at - start == 1 && path[start] == '.')
            continue;
        if (status == ISO9660_OK) { // the name before is to be a folder
            const uint8_t *record;
            status = next_record(walk, &record);
            if (status == ISO9660_OK)
                status = record[RECORD_FLAGS] & RECORD_FLAG_FOLDER ? enter(walk, record)
                                                                   : enter_moved(walk, record);
            if (status != ISO9660_OK)
                return status;
        }
        status = find_name(walk, path + start, at - start);
        if (status != ISO9660_OK)
            return status;
    }
}

enum iso9660_status iso9660_find(const struct iso9660 *iso, const char *path, uint64_t bytes,
                                 struct iso9660_file *ret_file) {
    struct walk walk = {.iso = iso};
    enum iso9660_status status = ISO9660_ERR_ABSENT;
    for (uint32_t i = 0; i < iso->root_count && status == ISO9660_ERR_ABSENT; i++) {
        walk.folder = iso->roots[i];
        status = find_from(&walk, path, bytes, ret_file);
    }
    return status;
}

bool iso9660_read(const struct iso9660 *iso, const struct iso9660_file *file, uint64_t offset,
                  void *to, uint64_t bytes) {
    char *next = to;
    for (uint32_t i = 0; i < file->section_count && bytes != 0; i++) {
        if (offset >= file->sections[i].bytes) {
            offset -= file->sections[i].bytes;
            continue;
        }
        uint64_t part = min_u64(bytes, file->sections[i].bytes - offset);
        if (!iso->disc.read(iso->disc.context, file->sections[i].offset + offset, next, part))
            return false;
        next += part;
        bytes -= part;
        offset = 0;
    }
    return true;
}

const char *iso9660_status_text(enum iso9660_status status) {
    switch (status) {
    case ISO9660_OK:
        return "no error";
    case ISO9660_ERR_NONE:
        return "no ISO 9660 tree";
    case ISO9660_ERR_READ:
        return "the disc cannot be read";
    case ISO9660_ERR_ABSENT:
        return "not found";
    case ISO9660_ERR_FOLDER:
        return "is a directory";
    case ISO9660_ERR_LINK:
        return "leads through a symbolic link: name what that leads to";
    case ISO9660_ERR_COMPRESSED:
        return "is compressed on the disc (zisofs): write it as it is";
    case ISO9660_ERR_DAMAGED:
        return "the disc's ISO 9660 tree is damaged";
    case ISO9660_ERR_FORM:
        return "is interleaved, or in more than 16 sections: write the disc anew";
    }
    return "unknown";
}
