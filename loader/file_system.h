// A file on a file system of the firmware's (UEFI 2.9, 13.5), with what firmware gets wrong of
// sizes and handles. For file.c, which names the file and its volume first.
#pragma once

#include "loader/file.h"

#include <efi.h>

#include <stdint.h>

// Opens file->path on file->volume, for the first time or again: a handle of which a call has
// failed may fail for ever. On failure nothing is open. Nothing is recorded.
[[nodiscard]] EFI_STATUS file_system_reopen(struct file *file);

// Finds file->bytes, of the open file. Failures are recorded, none of which is EFI_NOT_FOUND.
[[nodiscard]] EFI_STATUS file_system_find_size(struct file *file);

// One read of the firmware's, of *bytes bytes; *bytes is what it says it gave. A position or read
// that fails leaves a handle that cannot be trusted. Nothing is recorded.
[[nodiscard]] EFI_STATUS file_system_read(struct file *file, uint64_t offset, void *destination,
                                          UINTN *bytes);

// Closes it if it is open.
void file_system_close(struct file *file);
