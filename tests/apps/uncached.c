// Stands for firmware whose MTRRs leave a part of RAM uncached: 64 KiB in the middle of the largest
// free range below 4 GiB, so that 2 MiB of RAM are of two types. Says on COM1 where, and starts
// \EFI\BOOT\LOADER.EFI of its own volume. SDM 3A 11.11.
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "tests/apps/start.h"

enum { MTRR_VALID = 1 << 11, MAP_BYTES_MAX = 65536 };
#define PART_BYTES UINT64_C(0x10000)

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static UINT64 find_middle(EFI_BOOT_SERVICES *services) {
    static UINT64 map[MAP_BYTES_MAX / sizeof(UINT64)];
    UINTN bytes = sizeof(map), key, stride;
    UINT32 version;
    need("GetMemoryMap",
         services->GetMemoryMap(&bytes, (EFI_MEMORY_DESCRIPTOR *)map, &key, &stride, &version));
    UINT64 most = 0, middle = 0;
    for (UINTN at = 0; at < bytes; at += stride) {
        const EFI_MEMORY_DESCRIPTOR *d = (const void *)((const char *)map + at);
        if (d->Type != EfiConventionalMemory || d->NumberOfPages <= most ||
            d->PhysicalStart > UINT32_MAX)
            continue;
        most = d->NumberOfPages;
        middle = d->PhysicalStart + most / 2 * 4096;
    }
    return middle & ~(PART_BYTES - 1);
}

static void make_uncached(UINT64 start) {
    UINT64 count = cpu_rdmsr(MSR_MTRR_CAP) & MTRR_CAP_VARIABLE;
    for (UINT32 i = 0; i < count; i++) {
        if (cpu_rdmsr(MSR_MTRR_MASK(i)) & MTRR_VALID)
            continue;
        cpu_wrmsr(MSR_MTRR_BASE(i), start);
        cpu_wrmsr(MSR_MTRR_MASK(i), (UINT64_C(0xffffff0000) & ~(PART_BYTES - 1)) | MTRR_VALID);
        return;
    }
    need("a free MTRR", EFI_OUT_OF_RESOURCES);
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    UINT64 start = find_middle(system->BootServices);
    make_uncached(start);
    serial_text("UNCACHED ");
    serial_hex(start);
    serial_text("\r\n");
    EFI_HANDLE loader = start_load(image, system->BootServices);
    return system->BootServices->StartImage(loader, NULL, NULL);
}
