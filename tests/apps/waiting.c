// Where the snapshots of machines are taken (tests/boot/snapshots.py): the firmware starts it as
// QEMU's -kernel, before it looks for disks. It says that it is there, waits until it finds itself
// in a machine that was restored, and returns: the firmware forgets it and goes on to the disks of
// that machine.
//
// Its channel is a debug console, which has no state to be saved: what is read there says QEMU's
// command line. COM1 stays as the firmware left it.
#include "tests/apps/start.h"

enum { DEBUG_CONSOLE = 0xe9, WAIT = 'w', POLL_MICROSECONDS = 100 };

// QEMU takes a file as -kernel only if Linux's header and four sectors of setup code fit into it.
[[gnu::used]] static const UINT8 room[5 * 512] = {1};

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_GUID block_io_id = BLOCK_IO_PROTOCOL;
    void *disk;
    (void)image;
    // A disk that the firmware knew already would be another one afterwards.
    if (system->BootServices->LocateProtocol(&block_io_id, NULL, &disk) != EFI_NOT_FOUND)
        need("no disk before the snapshot", EFI_ALREADY_STARTED);
    port_write(DEBUG_CONSOLE, WAIT);
    while (port_read(DEBUG_CONSOLE) == WAIT)
        system->BootServices->Stall(POLL_MICROSECONDS);
    return EFI_SUCCESS;
}
