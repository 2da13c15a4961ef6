// Stands for firmware that never lets go of the machine: ExitBootServices refuses every key.
#include "tests/apps/start.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static EFI_STATUS EFIAPI refuse(EFI_HANDLE image, UINTN key) {
    (void)image;
    (void)key;
    return EFI_INVALID_PARAMETER;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_HANDLE loader = start_load(image, system->BootServices);
    system->BootServices->ExitBootServices = refuse;
    return system->BootServices->StartImage(loader, NULL, NULL);
}
