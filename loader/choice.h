// Which entry of the config is booted, and with which command line: by the load options, by people
// in the menu, or because it is the default.
#pragma once

#include "loader/boot_source.h"
#include "loader/config_file.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

struct choice {
    struct config_text entry; // its name; nothing if the config has no entries
    uint32_t by;              // SLIPWAY_CHOICE_...
    uint32_t menu_ms;         // that the menu waited
    bool is_left;             // nothing is booted: people go back to the firmware
};

// Adds what the volume has to the entries (bls_files.h), and chooses by the load options, else by
// the menu, else the default. Load options that name an entry begin with `entry=NAME` or, for a
// name with blanks, `entry="NAME"`; what follows, or all that they are where they name none, is the
// command line in place of the config's, also in the menu. With one entry, or none, nobody is
// asked. What was chosen, and by what, is in the log. If ret_choice->is_left, *ret_config is
// untouched. After file_open_volume. Failures are recorded.
[[nodiscard]] EFI_STATUS choice_make(struct config_read *read, const struct boot_source *source,
                                     struct config *ret_config, struct choice *ret_choice);
