// Volumes other than the loader's own, by the names that paths of the config give them: whatever
// file system the firmware can read. They are listed when the first is asked for, each is opened
// once, and labels are read only where a path has one. Where a volume is missing, the firmware is
// asked to connect its drivers to all devices, once, and looked at again.
#pragma once

#include "loader/volume_name.h"

#include <efi.h>

// A path that names a volume, for messages: as it is shown, and ` (key 'kernel', ...)` or nothing,
// who named it.
struct volume_request {
    const char *path;
    const char *where;
};

// The root of the volume named: one for all its files, which are closed before the next call. It is
// open until volume_close_all at the latest.
// Failures are recorded: there is none, or more than one, or the firmware fails. None of them is
// EFI_NOT_FOUND.
[[nodiscard]] EFI_STATUS volume_find(const struct volume_name *name,
                                     const struct volume_request *request, EFI_FILE **ret_root);

// The device of the volume with this root, which volume_find has returned.
EFI_HANDLE volume_device(const EFI_FILE *root);

// Closes all that is open, and forgets the list.
void volume_close_all(void);

// The label of the volume with this root, at most `capacity` units of UTF-16; returns how many, 0
// if there is none or if it is longer. The root may be useless afterwards: some file systems do not
// know the question, and a handle of which a call has failed may fail for ever.
uint64_t volume_label(EFI_FILE *root, uint16_t *ret_label, uint64_t capacity);
