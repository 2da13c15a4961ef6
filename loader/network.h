// Files from the server that the loader came from over the network, by the firmware's PXE base code
// protocol (UEFI 2.9, 24.3), which speaks TFTP: a file is read whole, once, and from its start.
//
// Blocks are as large as a frame of Ethernet takes, if the server agrees. How many of them it sends
// before it waits (RFC 7440) no caller can say: edk2 asks for what it was built with, 4 by default.
// Nor can a caller say how long to wait for an answer, and which port to ask.
#pragma once

#include "loader/file.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

struct network_server {
    uint32_t kind; // SLIPWAY_SERVER_...
    uint8_t address[16];
};

// Looks for the protocol on this device, and for the server in the packets that it has kept: the
// newest that names one. Forgets what an earlier call has found. Nothing is recorded.
void network_find(EFI_HANDLE device);

// The server that was found; its kind may be SLIPWAY_SERVER_NONE.
const struct network_server *network_server(void);

// Whether there is a server to read files from.
bool network_has_files(void);

// The loader's own file, with '\' before and between names, from the folder on the server that all
// paths begin in (netboot_root_bytes); without a NUL. Returns the units, 0 if the packets name no
// file or if they are more than `capacity`, at least NETBOOT_FILE_MAX.
uint64_t network_own_path(uint16_t *ret_units, uint64_t capacity);

// Asks the server for the size of the file of file->path, and sets file->name to its URL. From a
// server that does not tell sizes the file is read at once, to file->pages. EFI_NOT_FOUND is
// returned without a recorded failure, all others are recorded.
[[nodiscard]] EFI_STATUS network_open(struct file *file);

// Reads the whole file to `destination`. What lasts is shown (progress.h). Failures are recorded:
// of the server, and a file that has another size than the server has said.
[[nodiscard]] EFI_STATUS network_read(struct file *file, void *destination);
