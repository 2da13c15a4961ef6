// Files in the ISO 9660 tree of a disc: ECMA-119 with the longer names of Rock Ridge (IEEE P1282,
// NM) or Joliet, if it has them. Firmware shows of such a disc nothing but the FAT image that it
// boots from (El Torito). Pure: the disc is read by a function of the caller's, may hold anything,
// and is not trusted: every loop is bounded by what has been read.
//
// Names are compared without regard to case, as on FAT; where two differ in nothing else, the one
// that is the same to the letter counts. A version (`;1`) is no part of a name.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    ISO9660_SECTOR_BYTES = 2048,
    ISO9660_SECTIONS_MAX = 16, // of a file, that do not follow each other
};

struct iso9660_disc {
    // Reads `bytes` bytes at `offset`, which are on the disc. False: it has failed.
    bool (*read)(void *context, uint64_t offset, void *to, uint64_t bytes);
    void *context;
    uint64_t bytes;
};

// A directory: where it lies on the disc.
struct iso9660_folder {
    uint64_t offset;
    uint64_t bytes;
    bool is_joliet; // its names are UTF-16, high byte first
};

struct iso9660 {
    struct iso9660_disc disc;
    struct iso9660_folder roots[2]; // of two trees of the same files: the second is Joliet's
    uint32_t root_count;
    uint32_t block_bytes;
    uint32_t skipped_bytes; // at the start of what Rock Ridge has in a record
};

// A file of more than 4 GiB has more than one section (ECMA-119, 6.5.1).
struct iso9660_file {
    uint64_t bytes;
    uint32_t section_count;
    struct {
        uint64_t offset; // on the disc
        uint64_t bytes;
    } sections[ISO9660_SECTIONS_MAX];
};

enum iso9660_status {
    ISO9660_OK,
    ISO9660_ERR_NONE,   // no such tree
    ISO9660_ERR_READ,   // of the disc
    ISO9660_ERR_ABSENT, // no such file
    ISO9660_ERR_FOLDER, // it is one
    ISO9660_ERR_LINK, // a symbolic link, or below one; what Joliet has in its place does not count
    ISO9660_ERR_COMPRESSED,
    ISO9660_ERR_DAMAGED, // what cannot be
    ISO9660_ERR_FORM,    // interleaved, or in too many sections
};

// Finds the trees of the disc, whose context must outlive *ret_iso.
[[nodiscard]] enum iso9660_status iso9660_open(const struct iso9660_disc *disc,
                                               struct iso9660 *ret_iso);

// Finds the file of a path of `bytes` bytes of UTF-8, '/' or '\' between names; "." and ".." are
// folders. On failure *ret_file is untouched.
[[nodiscard]] enum iso9660_status iso9660_find(const struct iso9660 *iso, const char *path,
                                               uint64_t bytes, struct iso9660_file *ret_file);

// Reads `bytes` bytes of the file at `offset`, which it has. False: the disc's read has failed.
[[nodiscard]] bool iso9660_read(const struct iso9660 *iso, const struct iso9660_file *file,
                                uint64_t offset, void *to, uint64_t bytes);

// What a failure means, for people; static text.
const char *iso9660_status_text(enum iso9660_status status);
