// The entries of the Boot Loader Specification on the loader's volume: /loader/entries/*.conf and
// /EFI/Linux/*.efi.
#pragma once

#include "loader/config_file.h"

#include <efi.h>

// If the config has `bls = on`: makes what the volume has further entries of read->file, sorted,
// after its sections, and finds the default among them, or else the first that it is a pattern for
// (bls_matches); one that is not there is a line in the log, and the first entry takes its place.
// What stands above the first section is no entry then. A file that is none is a line in the log,
// too, as is one whose name a section has, or that the firmware cannot read. The entries lie in
// pages that stay until the kernel reclaims the loader's ranges. No room is a failure, and
// recorded.
[[nodiscard]] EFI_STATUS bls_files_add(struct config_read *read);
