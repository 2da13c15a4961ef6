// Stands for firmware that knows its displays by EDID, which OVMF does not tell: the first display
// has an active one of two blocks that prefers 1024x768, each further one has a discovered one that
// prefers 800x600. Then it starts the loader.
#include "tests/apps/start.h"
#include "tests/unit/support/edid_block.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static UINT8 large[256];
static UINT8 small[128];
static EFI_EDID_ACTIVE_PROTOCOL active = {sizeof(large), large};
static EFI_EDID_DISCOVERED_PROTOCOL discovered = {sizeof(small), small};

static void make_edid(void) {
    edid_block_make(large, 1024, 768);
    large[126] = 1;
    edid_block_sum(large);
    for (unsigned i = 128; i < sizeof(large); i++)
        large[i] = (UINT8)i;
    edid_block_make(small, 800, 600);
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_GUID display = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_GUID active_id = EFI_EDID_ACTIVE_PROTOCOL_GUID;
    EFI_GUID discovered_id = EFI_EDID_DISCOVERED_PROTOCOL_GUID;
    EFI_HANDLE handles[16];
    UINTN bytes = sizeof(handles);
    make_edid();
    need("displays", services->LocateHandle(ByProtocol, &display, NULL, &bytes, handles));
    for (UINTN i = 0; i < bytes / sizeof(handles[0]); i++) {
        EFI_GUID *id = i == 0 ? &active_id : &discovered_id;
        void *edid = i == 0 ? (void *)&active : (void *)&discovered;
        need("EDID",
             services->InstallProtocolInterface(&handles[i], id, EFI_NATIVE_INTERFACE, edid));
    }
    return services->StartImage(start_load(image, services), NULL, NULL);
}
