// The kernel's command line: that of the config, or in its place that of the load options with
// which the loader was started.
#pragma once

#include "loader/boot_source.h"
#include "loader/config.h"

#include <efi.h>

// Puts the command line of the load options, if they are one, into `config`; it lies in pages that
// stay until the kernel reclaims the loader's ranges. Which it is, and why load options are none,
// is in the log. After file_open_volume. Failures are recorded.
[[nodiscard]] EFI_STATUS cmdline_choose(struct config *config, const struct boot_source *source);
