// Stands for firmware that leaves CPUs with different MTRRs: at the exit the boot CPU gets one more
// variable range than the others, write-through, where nothing is. Starts \EFI\BOOT\LOADER.EFI of
// its own volume. SDM 3A 11.11.
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "tests/apps/start.h"

enum { MTRR_VALID = 1 << 11, MTRR_WRITE_THROUGH = 4 };
#define RANGE_START UINT64_C(0xfd00000000) // 4 KiB that the map calls reserved

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static EFI_EXIT_BOOT_SERVICES exit_boot_services;

static void add_range(void) {
    UINT64 count = cpu_rdmsr(MSR_MTRR_CAP) & MTRR_CAP_VARIABLE;
    for (UINT32 i = 0; i < count; i++) {
        if (cpu_rdmsr(MSR_MTRR_MASK(i)) & MTRR_VALID)
            continue;
        cpu_wrmsr(MSR_MTRR_BASE(i), RANGE_START | MTRR_WRITE_THROUGH);
        cpu_wrmsr(MSR_MTRR_MASK(i), UINT64_C(0xfffffff000) | MTRR_VALID);
        serial_text("MTRR ");
        serial_hex(i);
        serial_text("\r\n");
        return;
    }
    need("a free MTRR", EFI_OUT_OF_RESOURCES);
}

static EFI_STATUS EFIAPI exit_with_range(EFI_HANDLE image, UINTN map_key) {
    EFI_STATUS status = exit_boot_services(image, map_key);
    if (!EFI_ERROR(status))
        add_range();
    return status;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_BOOT_SERVICES *services = system->BootServices;
    exit_boot_services = services->ExitBootServices;
    services->ExitBootServices = exit_with_range;
    EFI_HANDLE loader = start_load(image, services);
    return services->StartImage(loader, NULL, NULL);
}
