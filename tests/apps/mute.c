// Starts \EFI\BOOT\LOADER.EFI of its own volume on firmware without console and keyboard, and says
// on COM1 what came of it. The firmware's drivers leave the serial ports: they would go on reading
// from COM1.
#include "tests/apps/start.h"

enum { EXIT_RETURNED = 0x21, PORTS_MAX = 8 };

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_GUID serial_io = SERIAL_IO_PROTOCOL;
    EFI_HANDLE ports[PORTS_MAX];
    UINTN bytes = sizeof(ports);
    need("serial ports", services->LocateHandle(ByProtocol, &serial_io, NULL, &bytes, ports));
    for (UINTN i = 0; i < bytes / sizeof(ports[0]); i++)
        need("port of its driver", services->DisconnectController(ports[i], NULL, NULL));
    EFI_HANDLE loader = start_load(image, services);
    system->ConOut = NULL;
    system->ConIn = NULL;
    EFI_STATUS status = services->StartImage(loader, NULL, NULL);
    serial_text("LOADER RETURNED ");
    serial_hex(status);
    serial_text("\r\n");
    machine_exit(EXIT_RETURNED);
    return status;
}
