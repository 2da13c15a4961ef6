// Stands for the firmware's next boot option: says that it was reached, and ends the machine.
#include "tests/apps/serial.h"

enum { EXIT_NEXT = 0x21 };

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    (void)image;
    (void)system;
    serial_text("NEXT BOOT OPTION REACHED\r\n");
    machine_exit(EXIT_NEXT);
}
