// What the files of the ISO 9660 reader share.
#pragma once

#include "loader/iso9660.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    // A record of a directory (9.1).
    RECORD_XATTR_BLOCKS = 1, // before the contents
    RECORD_BLOCK = 2,
    RECORD_BYTES = 10,
    RECORD_FLAGS = 25,
    RECORD_UNIT = 26, // interleaved: so many blocks, and then so large a gap
    RECORD_GAP = 27,
    RECORD_NAME_BYTES = 32,
    RECORD_NAME = 33,
    RECORD_BYTES_LEAST = 34,
    RECORD_FLAG_FOLDER = 2,
    RECORD_FLAG_ASSOCIATED = 4, // not the file of this name
    RECORD_FLAG_CONTINUES = 0x80,
    RECORD_NAME_SELF = 0, // a name of one byte
    RECORD_NAME_PARENT = 1,
};

// How a record's name is the one that is wanted.
enum iso9660_match { ISO9660_MATCH_NONE, ISO9660_MATCH_CASELESS, ISO9660_MATCH_EXACT };

// A number of a descriptor or record: the low byte first. The same follows with the high byte
// first.
uint32_t iso9660_read_32(const uint8_t *at);

// Whether the disc has these bytes.
bool iso9660_is_on_disc(const struct iso9660 *iso, uint64_t offset, uint64_t bytes);

// Reads bytes that the disc is said to have; ISO9660_ERR_DAMAGED if it has not.
[[nodiscard]] enum iso9660_status iso9660_read_disc(const struct iso9660 *iso, uint64_t offset,
                                                    void *to, uint64_t bytes);

// The name of a record, which is in order, against one name of a path. That of an associated file
// is nobody's.
[[nodiscard]] enum iso9660_status iso9660_match_name(const struct iso9660 *iso, bool is_joliet,
                                                     const uint8_t *record, const char *wanted,
                                                     uint64_t bytes, enum iso9660_match *ret_match);

// What Rock Ridge says of a record besides its name.
struct iso9660_ridge {
    bool is_link;       // a symbolic link
    bool is_compressed; // the contents: zisofs
    // CL: no file but a folder, which lies there, since so deep in the tree none may be; 0: it does
    // not say so.
    uint32_t folder_block;
};

[[nodiscard]] enum iso9660_status iso9660_find_ridge(const struct iso9660 *iso,
                                                     const uint8_t *record,
                                                     struct iso9660_ridge *ret_ridge);
