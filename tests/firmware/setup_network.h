// Boots over the network, and from a disc, over the fake firmware.
#pragma once

#include "tests/firmware/setup.h"

// What the firmware knows of the network; its packets name the server 10.0.2.2 and the boot file.
extern EFI_PXE_BASE_CODE_MODE setup_pxe;

// The machine of setup_boot, but that it came from a server which has the files, called what they
// are below `root`, and the boot file `root` + `boot_file`. The boot device has no file system.
void setup_network(const char *config, const char *root, const char *boot_file);

// The file on the server of this name.
struct fake_file *setup_served(const char *name);
