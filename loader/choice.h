// Which entry of the config is booted, and with which command line.
#pragma once

#include "loader/boot_source.h"
#include "loader/config_file.h"

#include <efi.h>

// Chooses by the load options, else the default. Load options that name an entry begin with
// `entry=NAME`; what follows, or all that they are where the config has no entries, is the command
// line in place of the config's. What was chosen, and by what, is in the log. After
// file_open_volume. Failures are recorded.
[[nodiscard]] EFI_STATUS choice_make(const struct config_read *read,
                                     const struct boot_source *source, struct config *ret_config);
