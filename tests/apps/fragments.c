// Makes the firmware's memory map a thousand descriptors longer and starts \EFI\BOOT\LOADER.EFI of
// its own volume: of a run of pages every second one is freed. What is left of them is free memory
// between pages of EfiBootServicesData.
#include "common/base/addr.h"
#include "tests/apps/start.h"

enum { PAGES = 1000 };

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_HANDLE loader = start_load(image, services);
    EFI_PHYSICAL_ADDRESS start;
    need("a run of pages",
         services->AllocatePages(AllocateAnyPages, EfiBootServicesData, PAGES, &start));
    for (UINTN page = 0; page < PAGES; page += 2)
        need("a page of the run", services->FreePages(start + page * FRAME_BYTES, 1));
    return services->StartImage(loader, NULL, NULL);
}
