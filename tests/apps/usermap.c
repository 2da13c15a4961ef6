// Stands for firmware that maps its memory as user pages: allows the user all that the firmware's
// page tables map, says how many entries that were, and starts \EFI\BOOT\LOADER.EFI of its own
// volume under them.
#include "tests/apps/start.h"
#include "tests/apps/tables.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_HANDLE loader = start_load(image, system->BootServices);
    // Last: what the firmware mapped for the loader is included.
    UINT64 changed = tables_change_all((struct tables_change){.set = TABLES_USER});
    serial_text("USERMAP ENTRIES ");
    serial_hex(changed);
    serial_text("\r\n");
    return system->BootServices->StartImage(loader, NULL, NULL);
}
