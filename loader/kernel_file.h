// The kernel: read from its file straight into the pages it will run in, checked, relocated.
#pragma once

#include "common/audit/space_rules.h"
#include "loader/config.h"
#include "loader/elf.h"
#include "loader/file.h"
#include "loader/machine_state.h"
#include "loader/protocol/limine_requests.h"
#include "loader/protocol/protocol.h"

#include <efi.h>

#include <stdint.h>

// So many pieces of free memory may make room for an image.
enum { KERNEL_PIECES_MAX = 64 };

// A part of the kernel's file in memory; 0 bytes: there is none.
struct kernel_part {
    uint64_t phys; // a multiple of 8
    uint64_t bytes;
};

// See struct slipway_symbols.
struct kernel_symbols {
    struct kernel_part sections;
    struct kernel_part symbols;
    struct kernel_part section_names;
    struct kernel_part symbol_names;
};

struct kernel {
    enum config_protocol protocol; // CONFIG_PROTOCOL_SLIPWAY or CONFIG_PROTOCOL_LIMINE
    struct elf_header_view header;
    struct elf_image elf;              // its lists stay until the kernel runs
    struct slipway_note_wishes wishes; // the kernel's, or defaults
    bool has_note;                     // the kernel has wishes
    struct space_rules rules;          // of its protocol; not Slipway's: it wishes NOTE_DIRECT
    struct machine_wishes machine;     // by its protocol
    struct limine_requests limine;     // of CONFIG_PROTOCOL_LIMINE
    // Where the image stands, whole: the same pieces by address and, while the firmware's identity
    // mapping is in force, by pointer. Neighbours in the image rise in memory.
    struct slipway_piece pieces[KERNEL_PIECES_MAX];
    struct elf_piece memory[KERNEL_PIECES_MAX];
    uint32_t piece_count;
    uint64_t file_bytes;
    struct kernel_symbols symbols;
    struct kernel_part whole_file; // frame aligned; for a Limine kernel that asks for it
    bool has_digest;
    uint8_t digest[32]; // of the file
};

// Loads the opened kernel into pages of purpose SLIPWAY_RANGE_KERNEL and closes its file. Failures
// are recorded; the file is closed then too, and the pages are freed by firmware_free_all.
[[nodiscard]] EFI_STATUS kernel_load(const struct config *config, struct protocol_file *opened,
                                     struct kernel *ret_kernel);

// Records why the ELF reader refuses the file, and what it is instead unless `origin` is null.
EFI_STATUS kernel_refuse(const struct file *file, const struct elf_error *error,
                         const struct elf_error *origin);
