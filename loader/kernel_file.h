// The kernel: read from its file straight into the pages it will run in, checked, relocated.
#pragma once

#include "loader/config.h"
#include "loader/elf.h"

#include <efi.h>

#include <stdint.h>

struct kernel {
    struct elf_image elf;
    struct slipway_note_wishes wishes; // defaults filled in where the kernel has none
    bool has_note;                     // some of them are the kernel's
    uint64_t phys;                     // of elf.virt_start
    uint64_t file_bytes;
};

// Loads the kernel that `config` names. The image's pages are taken for SLIPWAY_RANGE_KERNEL.
// Failures are recorded; what was taken stays with firmware_free_all.
[[nodiscard]] EFI_STATUS kernel_load(const struct config *config, struct kernel *ret_kernel);
