// Files on the volume that the loader was started from. Reads go straight to their destination, and
// a read that gives less than the file's size promised is an error, never a success.
#pragma once

#include <efi.h>

#include <stdint.h>

enum { FILE_NAME_MAX = 256 };

struct file {
    EFI_FILE *handle;
    uint64_t bytes;               // size when opened
    uint64_t chunk;               // bytes of one firmware read at most
    uint64_t chunk_max;           // to which the chunk may grow: less once a read failed
    char name[FILE_NAME_MAX];     // as in messages: UTF-8, without leading separators
    uint16_t path[FILE_NAME_MAX]; // UCS-2, as the firmware wants it
};

// Opens the volume of the loader's own image. Call once before the others; close with
// file_close_volume. Failures are recorded (log_fail).
[[nodiscard]] EFI_STATUS file_open_volume(void);

void file_close_volume(void);

// Opens `path` (UTF-8, `bytes` bytes, '/' or '\' between names) for reading. EFI_NOT_FOUND is
// returned without a recorded failure, so that the caller may go on without the file; all else is
// recorded. On failure nothing is open, but file->name is set for messages.
[[nodiscard]] EFI_STATUS file_open(struct file *file, const char *path, uint64_t bytes);

// Reads exactly `bytes` bytes at `offset` to `destination`. Starts with 1 MiB at a time and doubles
// it while reads succeed. Where the firmware fails, the file is opened again and the piece halved
// for good, down to 4 KiB: some firmware fails on large reads, some is slow on small ones. Failures
// are recorded, naming file, offset, bytes wanted and got.
[[nodiscard]] EFI_STATUS file_read(struct file *file, uint64_t offset, void *destination,
                                   uint64_t bytes);

void file_close(struct file *file);
