// The machine that loadcheck gives to the loader's own files: the boot services that these call
// until kernel and modules stand in their pages, on the host. RAM is what the host gives when it is
// touched; the volume is a folder. Names there are found as FAT has them, in upper or lower case
// (ASCII), and paths of more than 255 characters are refused as edk2's FAT driver refuses them.
//
// It takes the place of loader/console.c, entropy.c, progress.c, timeline.c, volume.c and
// common/x86/uart.c: nothing is shown, nothing is random, and there is no other volume than the
// folder.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct machine_setup {
    uint64_t ram_bytes; // what the loader can allocate in all
    int folder;         // a directory, the loader's volume; -1: an empty one
};

// Starts the loader's files anew: firmware_init, log_init, file_open_volume. False: the reason is
// recorded (log_failure).
[[nodiscard]] bool machine_start(const struct machine_setup *setup);

// While `file` is not -1 every path leads to this file, which stays open.
void machine_put_file(int file);

// Whether the volume has a file or folder of this name, with '\' between the names.
bool machine_has(const char *path);

// What the host could not do, and the loader then takes for a fault of the machine; empty if there
// is nothing.
const char *machine_failure(void);

// Frees all that the loader's files have allocated since machine_start.
void machine_stop(void);
