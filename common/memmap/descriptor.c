// What each EFI type and attribute means, as tables and single conditions.
#include "common/memmap/descriptor.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/memmap/region.h"

struct memmap_descriptor memmap_descriptor_read(const struct memmap_efi *efi, uint64_t index) {
    struct raw {
        uint32_t type;
        uint32_t padding;
        uint64_t start;
        uint64_t virt;
        uint64_t pages;
        uint64_t attributes;
    } raw;
    _Static_assert(sizeof(raw) == EFI_DESCRIPTOR_BYTES);
    const unsigned char *map = efi->descriptors;
    __builtin_memcpy(&raw, map + index * efi->stride, sizeof(raw));
    return (struct memmap_descriptor){raw.type, raw.start, raw.pages, raw.attributes};
}

static uint32_t kind_of_type(uint32_t type) {
    static const uint8_t kinds[EFI_TYPES] = {
        [EFI_TYPE_RESERVED] = SLIPWAY_MEM_RESERVED,
        [EFI_TYPE_LOADER_CODE] = SLIPWAY_MEM_LOADER,
        [EFI_TYPE_LOADER_DATA] = SLIPWAY_MEM_LOADER,
        [EFI_TYPE_BOOT_SERVICES_CODE] = SLIPWAY_MEM_BOOT_SERVICES,
        [EFI_TYPE_BOOT_SERVICES_DATA] = SLIPWAY_MEM_BOOT_SERVICES,
        [EFI_TYPE_RUNTIME_CODE] = SLIPWAY_MEM_RUNTIME,
        [EFI_TYPE_RUNTIME_DATA] = SLIPWAY_MEM_RUNTIME,
        [EFI_TYPE_CONVENTIONAL] = SLIPWAY_MEM_USABLE,
        [EFI_TYPE_UNUSABLE] = SLIPWAY_MEM_UNUSABLE,
        [EFI_TYPE_ACPI_RECLAIM] = SLIPWAY_MEM_ACPI_RECLAIM,
        [EFI_TYPE_ACPI_NVS] = SLIPWAY_MEM_ACPI_NVS,
        [EFI_TYPE_MMIO] = SLIPWAY_MEM_MMIO,
        [EFI_TYPE_MMIO_PORTS] = SLIPWAY_MEM_MMIO,
        [EFI_TYPE_PAL_CODE] = SLIPWAY_MEM_RESERVED,
        [EFI_TYPE_PERSISTENT] = SLIPWAY_MEM_PERSISTENT,
        [EFI_TYPE_UNACCEPTED] = SLIPWAY_MEM_UNACCEPTED,
    };
    return type < EFI_TYPES ? kinds[type] : SLIPWAY_MEM_RESERVED;
}

// Usable or reclaimable, as far as the type goes.
static bool is_general_type(uint32_t type) {
    uint32_t kind = kind_of_type(type);
    return kind == SLIPWAY_MEM_USABLE || memmap_is_reclaimable(kind);
}

// A type that is RAM whoever uses it.
static bool is_ram_type(uint32_t type) {
    uint32_t kind = kind_of_type(type);
    return is_general_type(type) || kind == SLIPWAY_MEM_RUNTIME || kind == SLIPWAY_MEM_ACPI_NVS;
}

uint32_t memmap_descriptor_kind(const struct memmap_descriptor *descriptor) {
    uint32_t kind = kind_of_type(descriptor->type);
    if (!is_general_type(descriptor->type))
        return kind;
    if ((descriptor->attributes & EFI_ATTRIBUTE_WB) == 0)
        return SLIPWAY_MEM_RESERVED;
    if ((descriptor->attributes & EFI_ATTRIBUTE_SP) != 0)
        return SLIPWAY_MEM_SOFT_RESERVED;
    if ((descriptor->attributes & EFI_ATTRIBUTE_RUNTIME) != 0)
        return SLIPWAY_MEM_RUNTIME;
    return kind;
}

bool memmap_descriptor_is_direct(const struct memmap_descriptor *descriptor) {
    return is_ram_type(descriptor->type) && (descriptor->attributes & EFI_ATTRIBUTE_WB) != 0;
}

bool memmap_descriptor_end(const struct memmap_descriptor *descriptor, uint64_t *ret_end) {
    uint64_t bytes, end;
    if (descriptor->pages == 0 || mul_overflows(descriptor->pages, FRAME_BYTES, &bytes) ||
        add_overflows(descriptor->start, bytes, &end))
        return false;
    *ret_end = end;
    return true;
}

// Bits that the specification does not define; the ISA field counts only when said to be valid.
static bool has_unknown_attribute(uint64_t attributes) {
    uint64_t known = EFI_ATTRIBUTE_CACHE | EFI_ATTRIBUTE_FLAGS | EFI_ATTRIBUTE_RUNTIME;
    if ((attributes & EFI_ATTRIBUTE_ISA_VALID) != 0)
        known |= EFI_ATTRIBUTE_ISA_VALID | EFI_ATTRIBUTE_ISA;
    return (attributes & ~known) != 0;
}

void memmap_descriptor_count_oddities(const struct memmap_descriptor *descriptor, uint32_t kind,
                                      uint64_t end, uint64_t odd[MEMMAP_ODDITIES]) {
    uint64_t attributes = descriptor->attributes;
    bool is_general = is_general_type(descriptor->type);
    odd[MEMMAP_ODD_UNALIGNED] += !is_aligned(descriptor->start, FRAME_BYTES);
    odd[MEMMAP_ODD_UNKNOWN_TYPE] += descriptor->type >= EFI_TYPES;
    odd[MEMMAP_ODD_UNKNOWN_ATTRIBUTE] += has_unknown_attribute(attributes);
    odd[MEMMAP_ODD_RAM_WITHOUT_WB] +=
        is_ram_type(descriptor->type) && (attributes & EFI_ATTRIBUTE_WB) == 0;
    odd[MEMMAP_ODD_RUNTIME_ON_RAM] += is_general && (attributes & EFI_ATTRIBUTE_RUNTIME) != 0;
    odd[MEMMAP_ODD_SOFT_RESERVED] += is_general && (attributes & EFI_ATTRIBUTE_SP) != 0;
    odd[MEMMAP_ODD_MMIO_UNCACHED] +=
        kind == SLIPWAY_MEM_MMIO && (attributes & EFI_ATTRIBUTE_CACHE) == 0;
    odd[MEMMAP_ODD_FRAME_0] += kind == SLIPWAY_MEM_USABLE && descriptor->start < FRAME_BYTES;
    odd[MEMMAP_ODD_LEGACY_HOLE] += (kind == SLIPWAY_MEM_USABLE || memmap_is_reclaimable(kind)) &&
                                   descriptor->start < MEMMAP_LEGACY_END &&
                                   end > MEMMAP_LEGACY_START;
}
