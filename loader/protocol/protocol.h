// Which protocol the kernel's file is booted by: what the config's `protocol` says or, without it,
// what the file is made for. ELF files go to kernel_file.h, which tells a Slipway kernel from one
// of another protocol by what is in it; PE files go to image.h.
#pragma once

#include "common/base/fmt.h"
#include "loader/config.h"
#include "loader/file.h"
#include "loader/protocol/pe.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

// The kernel's file, open, and its first bytes: one read that holds the headers of nearly every
// file.
struct protocol_file {
    struct file file;
    uint64_t head_bytes;
    uint8_t head[PE_HEAD_BYTES];
};

// Opens the kernel's file and reads its first bytes. Unless config->protocol is set it is set for a
// PE file: to CONFIG_PROTOCOL_LINUX if it has Linux's header, else to CONFIG_PROTOCOL_EFI. For an
// ELF file, and for one of less than four bytes, it stays as it is. kernel_load or image_load
// close the file. Failures are recorded: of the firmware, and a file that is neither ELF nor PE;
// then nothing is open. After file_open_volume.
[[nodiscard]] EFI_STATUS protocol_open(struct config *config, struct protocol_file *ret_opened);

// True if the firmware starts the file: EFI applications and Linux.
bool protocol_is_image(enum config_protocol protocol);

// Writes what a file is that begins with these bytes, as messages have it: `an ELF file`.
void protocol_print_found(const struct sink *sink, const void *head, uint64_t bytes);
