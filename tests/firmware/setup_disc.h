// Boots from a disc: an ISO 9660 tree around the loader's volume, over the fake firmware.
#pragma once

#include "tests/firmware/setup.h"

enum {
    SETUP_SECTOR = 2048,
    SETUP_SECTORS = 256,
    SETUP_DISC_ROOT = 20,  // the sector of the root's records,
    SETUP_DISC_FILES = 24, // and that of the first file
};

// The disc, which a test may spoil.
extern uint8_t setup_disc_image[SETUP_SECTORS * SETUP_SECTOR];

// A number in both orders of bytes, as in ISO 9660.
void setup_put_32(uint8_t *at, uint64_t value);

// The machine of setup_boot, but that its volume has nothing but this config, if any, on a disc
// that has another one, if any, a kernel and two modules, \INITRD.IMG and \EMPTY.
void setup_disc(const char *on_volume, const char *on_disc);
