// Says on COM1 what the TSC is, and starts \EFI\BOOT\LOADER.EFI of its own volume: for a loader
// whose own report has no such figure. The text counts as the loader's, less than 1000
// instructions.
#include "common/x86/cpu.h"
#include "tests/apps/start.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_HANDLE loader = start_load(image, system->BootServices);
    UINT64 now = cpu_rdtsc();
    serial_text("START ");
    serial_hex(now);
    serial_text("\r\n");
    return system->BootServices->StartImage(loader, NULL, NULL);
}
