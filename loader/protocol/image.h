// A file that the firmware starts, an EFI application or Linux: read whole, checked, and refused
// where the firmware could not start it or it would not get what the config has for it.
#pragma once

#include "loader/config.h"
#include "loader/file.h"
#include "loader/protocol/pe.h"
#include "loader/protocol/protocol.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

struct image {
    enum config_protocol protocol; // CONFIG_PROTOCOL_EFI or CONFIG_PROTOCOL_LINUX
    struct file file;              // closed; name, path and size stay
    EFI_HANDLE device;             // that the file's volume is on
    uint64_t phys;                 // where the file's bytes are
    struct pe pe;
    struct linux_header header; // of CONFIG_PROTOCOL_LINUX; points into the file's bytes
    bool has_digest;
    uint8_t digest[32]; // of the file
};

// Reads the opened file, of config->protocol, into pages of the loader's, which firmware_free_all
// frees, and closes it. With a digest the bytes that have it are those that are started. Failures
// are recorded; the file is closed then too.
[[nodiscard]] EFI_STATUS image_load(const struct config *config, const struct protocol_file *opened,
                                    struct image *ret_image);
