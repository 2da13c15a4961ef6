// The loader once more, with a kernel whose protocol wants another state of the machine.
#include "tests/firmware/setup.h"

#define efi_main    machine_main
#define kernel_load machine_kernel_load
#include "loader/main.c"
#undef kernel_load

// The loader's: kernel_file.h has declared the other, by the name above.
EFI_STATUS kernel_load(const struct config *from, struct protocol_file *opened,
                       struct kernel *ret_kernel);

EFI_STATUS machine_kernel_load(const struct config *from, struct protocol_file *opened,
                               struct kernel *ret_kernel) {
    EFI_STATUS status = kernel_load(from, opened, ret_kernel);
    ret_kernel->machine = setup_machine;
    return status;
}

void setup_machine_boot(void) {
    fake.loader = machine_main;
    fake_boot();
}
