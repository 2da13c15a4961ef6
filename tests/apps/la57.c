// Stands for firmware that runs with 5 paging levels: puts a root of its own above the firmware's
// page tables, turns CR4.LA57 on, says on COM1 what CR4 and CR3 are then, and starts
// \EFI\BOOT\LOADER.EFI of its own volume under 5 levels.
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "tests/apps/start.h"

enum {
    PAGE_BYTES = 4096,
    ENTRY_PRESENT = 1 << 0,
    ENTRY_WRITE = 1 << 1,
};

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

// la57.S: changes both at once. What CR3 names, this image and the stack lie below 4 GiB.
void la57_switch(UINT64 cr3, UINT64 cr4);

static EFI_EXIT_BOOT_SERVICES exit_boot_services;
static UINT64 root_4_levels, root_5_levels;

static void use_4_levels(void) {
    la57_switch(root_4_levels, cpu_read_cr4() & ~(UINT64)CR4_LA57);
}

static void use_5_levels(void) {
    la57_switch(root_5_levels, cpu_read_cr4() | CR4_LA57);
}

// The firmware wakes its other CPUs to send them to their last place, with the BSP's CR4 and with
// the CR3 that they have always had: so it finds the levels that it knows.
static EFI_STATUS EFIAPI exit_with_4_levels(EFI_HANDLE image, UINTN map_key) {
    use_4_levels();
    EFI_STATUS status = exit_boot_services(image, map_key);
    use_5_levels();
    return status;
}

static void make_5_levels(EFI_BOOT_SERVICES *services) {
    EFI_PHYSICAL_ADDRESS root = UINT32_MAX;
    need("AllocatePages",
         services->AllocatePages(AllocateMaxAddress, EfiBootServicesData, 1, &root));
    services->SetMem((void *)root, PAGE_BYTES, 0);
    root_4_levels = cpu_read_cr3();
    root_5_levels = root;
    *(UINT64 *)root = (root_4_levels & CR3_ROOT) | ENTRY_PRESENT | ENTRY_WRITE;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_BOOT_SERVICES *services = system->BootServices;
    if (!(cpu_cpuid(7, 0).ecx & CPUID_7_ECX_LA57) || cpu_read_cr4() & CR4_LA57)
        need("a CPU with 5 levels that runs with 4", EFI_UNSUPPORTED);
    if (((UINT64)la57_switch | (UINT64)&services) > UINT32_MAX)
        need("image and stack below 4 GiB", EFI_UNSUPPORTED);
    make_5_levels(services);
    use_5_levels();
    serial_text("LA57 cr4=");
    serial_hex(cpu_read_cr4());
    serial_text(" cr3=");
    serial_hex(cpu_read_cr3());
    serial_text("\r\n");
    exit_boot_services = services->ExitBootServices;
    services->ExitBootServices = exit_with_4_levels;
    EFI_HANDLE loader = start_load(image, services);
    return services->StartImage(loader, NULL, NULL);
}
