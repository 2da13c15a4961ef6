// Where the loader was started from: partition, file system, its own path, and a server if it came
// over the network. Nothing here is required: what the firmware does not tell is left empty.
#pragma once

#include "common/boot/slipway_boot.h"
#include "loader/device_path.h"

#include <stdint.h>

enum {
    // Every firmware's file system has paths and labels that are shorter.
    BOOT_SOURCE_PATH_UNITS = 512,
    BOOT_SOURCE_LABEL_UNITS = 64,
    BOOT_SOURCE_UTF8_MAX = 3, // bytes of a unit
};

struct boot_source {
    struct partition partition;
    bool is_cd;
    bool is_from_server; // there is no volume
    uint8_t server_address[16];
    uint32_t server_kind; // SLIPWAY_SERVER_...
    uint64_t path_bytes;
    uint64_t label_bytes;
    char path[BOOT_SOURCE_PATH_UNITS * BOOT_SOURCE_UTF8_MAX + 1]; // UTF-8
    char label[BOOT_SOURCE_LABEL_UNITS * BOOT_SOURCE_UTF8_MAX + 1];
};

// Fills *ret_source but for the label, after file_open_volume.
void boot_source_find(struct boot_source *ret_source);

// Fills in the label, with the volume of file_open_volume still open. Ask it for nothing more
// afterwards: a question that a file system does not know may leave it useless.
void boot_source_find_label(struct boot_source *source);
