#include "kernel/stop/runtime.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "common/memmap/descriptor.h"
#include "common/x86/cpu.h"
#include "kernel/base/boot.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/stop/probe.h"

#include <stdint.h>

// UEFI 2.10 4.2, 4.3, 4.5: what is needed of the tables, by offset.
enum {
    SYSTEM_TABLE_RUNTIME_SERVICES = 88,
    RUNTIME_SERVICES_RESET_SYSTEM = 104,
};
#define SYSTEM_TABLE_SIGNATURE     UINT64_C(0x5453595320494249) // "IBI SYST"
#define RUNTIME_SERVICES_SIGNATURE UINT64_C(0x56524553544e5552) // "RUNTSERV"

typedef void (*reset_system_t)(uint32_t type, uint64_t status, uint64_t data_bytes, void *data)
    __attribute__((ms_abi));

static volatile bool active;

bool runtime_is_active(void) {
    return active;
}

static uint64_t load64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

// One runtime region at its own address. Code is writable as well: firmware keeps its images'
// variables there, and only an optional table says which pages those are. It is the last thing that
// this kernel maps, for code that it must trust anyway. A region that cannot be mapped is left out:
// ResetSystem may not need it, and if it does, its fault is caught.
static void map_identity(const struct memmap_descriptor *descriptor, bool is_ram) {
    bool is_code = descriptor->type == EFI_TYPE_RUNTIME_CODE;
    struct vmem_mapping mapping = {
        .virt = vaddr(descriptor->start),
        .phys = paddr(descriptor->start),
        .bytes = descriptor->pages * FRAME_BYTES,
        .rights = VMEM_READ | VMEM_WRITE | (is_code ? VMEM_EXECUTE : 0u),
        .cache = is_ram ? VMEM_CACHE_WB : VMEM_CACHE_UC,
        .largest = VMEM_2M,
    };
    (void)space_map(&mapping);
}

static void map_regions(const struct slipway_boot_info *info) {
    struct memmap_efi efi = {(const void *)(uintptr_t)info->efi_map, info->efi_map_bytes,
                             info->efi_map_stride};
    for (uint64_t i = 0; i < efi.bytes / efi.stride; i++) {
        struct memmap_descriptor descriptor = memmap_descriptor_read(&efi, i);
        bool runtime =
            descriptor.type == EFI_TYPE_RUNTIME_CODE || descriptor.type == EFI_TYPE_RUNTIME_DATA;
        if (!runtime && !(descriptor.attributes & EFI_ATTRIBUTE_RUNTIME))
            continue;
        // WB on a device's descriptor says what its memory could do, not that it is RAM.
        map_identity(&descriptor, runtime && (descriptor.attributes & EFI_ATTRIBUTE_WB));
    }
}

// Follows a physical address of firmware's tables, now mapped at itself; null if it is not.
static const uint8_t *table_at(uint64_t address, uint64_t signature) {
    bool readable = is_aligned(address, 8) && probe_read(address) && probe_read(address + 127);
    const uint8_t *table = (const uint8_t *)(uintptr_t)address;
    return readable && load64(table) == signature ? table : NULL;
}

const char *runtime_reset_system(enum runtime_reset type) {
    const struct slipway_boot_info *info = boot_info();
    if (info == NULL || space_kernel() == NULL)
        return "the kernel does not own its page tables yet";
    map_regions(info);
    const uint8_t *system = table_at(info->efi_system_table_phys, SYSTEM_TABLE_SIGNATURE);
    if (system == NULL)
        return "there is no EFI system table";
    const uint8_t *services =
        table_at(load64(system + SYSTEM_TABLE_RUNTIME_SERVICES), RUNTIME_SERVICES_SIGNATURE);
    if (services == NULL)
        return "there is no table of runtime services";
    uint64_t address = load64(services + RUNTIME_SERVICES_RESET_SYSTEM);
    if (!probe_read(address))
        return "ResetSystem lies outside the runtime regions";
    reset_system_t reset_system = (reset_system_t)(uintptr_t)address;
    cpu_write_cr0(cpu_read_cr0() & ~(uint64_t)CR0_TS); // firmware may use the FPU
    active = true;
    reset_system((uint32_t)type, 0, 0, NULL);
    active = false;
    return "the firmware's ResetSystem returned";
}
