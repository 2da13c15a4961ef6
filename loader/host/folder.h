// Files of the host as firmware's file handles, for the loader's file.c.
#pragma once

#include <efi.h>

#include <stdint.h>

// Opens the file or folder that `path`, as utf.h makes it, names in the directory `folder` of the
// host, -1: an empty one. Errors are those of a FAT driver. What the host refuses is told to
// machine_fail besides.
EFI_STATUS folder_open(int folder, const uint16_t *path, EFI_FILE **ret_file);

// A handle for a file that the host has open and the caller keeps open.
EFI_STATUS folder_open_file(int file, EFI_FILE **ret_file);

// Records what the host could not do; the first record stays. See machine_failure.
void machine_fail(const char *what, const char *cause);
