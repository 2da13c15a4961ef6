// Starts an EFI application or Linux, and comes back when it does.
#pragma once

#include "loader/config.h"
#include "loader/protocol/image.h"

#include <efi.h>

// Loads the image from its bytes, whose pages are freed then, and starts it: with the command line
// of `config` in its load options, the path of its file on its device, the modules as initrd if it
// is Linux, and COM1, console and watchdog as a boot option finds them. The volumes are closed
// before. Returns what the image has returned, with nothing left of it; an error is recorded, as is
// every other failure.
[[nodiscard]] EFI_STATUS efi_run(const struct config *config, struct image *image);
