// The names in a folder of the loader's own volume (UEFI 2.9, 13.5: Read of a directory).
#pragma once

#include "loader/config.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    // Names on FAT have up to 255 characters, of up to 3 bytes each in UTF-8.
    LISTING_NAME_UNITS = 256,
    LISTING_NAME_BYTES = 3 * LISTING_NAME_UNITS + 1,
    // As many as a folder on FAT can have: 2 MiB, 32 bytes each.
    LISTING_NAMES_MAX = 65536,
};

struct listing {
    EFI_FILE *handle;
    uint32_t entries_left; // firmware that never comes to an end is not followed for ever
};

struct listing_entry {
    char storage[LISTING_NAME_BYTES];
    struct config_text name; // UTF-8, in `storage`
    uint64_t bytes;
    bool is_folder;
};

// Opens the folder, with '\' between names. False: there is none that can be opened. Nothing is
// recorded.
[[nodiscard]] bool listing_open(struct listing *ret_listing, const CHAR16 *path);

// The next entry; *ret_status says, if there is none, whether that is the end: EFI_ABORTED if there
// may be more than are followed.
[[nodiscard]] bool listing_next(struct listing *listing, struct listing_entry *ret_entry,
                                EFI_STATUS *ret_status);

void listing_close(struct listing *listing);
