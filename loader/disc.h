// Files in the ISO 9660 tree beside the volume that the loader was started from: of a CD whose boot
// image (El Torito) that volume is, or of a disk that such a disc's image was written to. The whole
// disc is the device before the volume's in the device path.
#pragma once

#include "loader/file.h"

#include <efi.h>

#include <stdint.h>

// The loader's own volume is on this device. Forgets what was found before. Nothing is called.
void disc_set_device(EFI_HANDLE device);

// Opens the file of file->path: finds file->bytes and file->on_disc. The first call looks for the
// tree. EFI_NOT_FOUND, which is not recorded: there is no tree, or no such file. All other failures
// are recorded.
[[nodiscard]] EFI_STATUS disc_open(struct file *file);

// Reads `bytes` bytes at `offset`, which the file has. Nothing is recorded.
[[nodiscard]] EFI_STATUS disc_read(const struct file *file, uint64_t offset, void *destination,
                                   uint64_t bytes);
