// The load options with which the loader was started, if they are text.
#pragma once

#include "loader/boot_source.h"
#include "loader/config.h"

#include <efi.h>

// *ret_text: the text, in pages that stay until the kernel reclaims the loader's ranges; nothing if
// there is none. Which it is, and why load options are none, is in the log. After file_open_volume.
// Failures are recorded.
[[nodiscard]] EFI_STATUS cmdline_read(const struct boot_source *source,
                                      struct config_text *ret_text);
