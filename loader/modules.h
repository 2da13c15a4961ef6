// Modules: files that the kernel asked for in the config, each read into pages of its own.
#pragma once

#include "common/boot/slipway_boot.h"
#include "loader/config.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

struct module {
    const struct config_module *config;
    uint64_t phys; // 0 for an empty file
    uint64_t bytes;
    bool has_digest;
    uint8_t digest[32];
};

// Loads the modules of `config`: those of 2 MiB or more to a multiple of 2 MiB, above 4 GiB where
// there is room. It must outlive them. *ret_bytes: of all files. Failures are recorded; the pages
// are freed by firmware_free_all.
[[nodiscard]] EFI_STATUS modules_load(const struct config *config, uint64_t *ret_bytes);

// The modules loaded: config->module_count of them, in pages of the loader's.
const struct module *modules_loaded(void);
