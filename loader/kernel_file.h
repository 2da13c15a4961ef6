// The kernel: read from its file straight into the pages it will run in, checked, relocated.
#pragma once

#include "loader/config.h"
#include "loader/elf.h"

#include <efi.h>

#include <stdint.h>

struct kernel {
    struct elf_image elf;              // its lists stay until the kernel runs
    struct slipway_note_wishes wishes; // the kernel's, or defaults
    bool has_note;                     // the kernel has wishes
    uint64_t phys;                     // of elf.virt_start
    uint64_t file_bytes;
    bool has_digest;
    uint8_t digest[32]; // of the file
};

// Loads the kernel that `config` names into pages of purpose SLIPWAY_RANGE_KERNEL. Failures are
// recorded; the pages are freed by firmware_free_all.
[[nodiscard]] EFI_STATUS kernel_load(const struct config *config, struct kernel *ret_kernel);
