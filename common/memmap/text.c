// Names of kinds and oddities.
#include "common/memmap/memmap.h"

// Arrays of characters, not of pointers: nothing here needs a relocation.

const char *memmap_kind_text(uint32_t kind) {
    static const char names[SLIPWAY_MEM_KINDS][16] = {
        [0] = "unknown",
        [SLIPWAY_MEM_USABLE] = "usable",
        [SLIPWAY_MEM_BOOT_SERVICES] = "boot services",
        [SLIPWAY_MEM_LOADER] = "loader",
        [SLIPWAY_MEM_ACPI_RECLAIM] = "ACPI reclaim",
        [SLIPWAY_MEM_MODULE] = "module",
        [SLIPWAY_MEM_KERNEL] = "kernel",
        [SLIPWAY_MEM_PAGE_TABLES] = "page tables",
        [SLIPWAY_MEM_ACPI_NVS] = "ACPI NVS",
        [SLIPWAY_MEM_RUNTIME] = "runtime",
        [SLIPWAY_MEM_SOFT_RESERVED] = "soft reserved",
        [SLIPWAY_MEM_PERSISTENT] = "persistent",
        [SLIPWAY_MEM_UNACCEPTED] = "unaccepted",
        [SLIPWAY_MEM_RESERVED] = "reserved",
        [SLIPWAY_MEM_UNUSABLE] = "unusable",
        [SLIPWAY_MEM_MMIO] = "MMIO",
    };
    return names[kind < SLIPWAY_MEM_KINDS ? kind : 0];
}

const char *memmap_oddity_text(enum memmap_oddity oddity) {
    static const char names[MEMMAP_ODDITIES][20] = {
        [MEMMAP_ODD_ZERO_PAGES] = "zero-pages",
        [MEMMAP_ODD_WRAPS] = "wraps",
        [MEMMAP_ODD_BEYOND_LIMIT] = "beyond-limit",
        [MEMMAP_ODD_UNALIGNED] = "unaligned",
        [MEMMAP_ODD_UNSORTED] = "unsorted",
        [MEMMAP_ODD_OVERLAP] = "overlap",
        [MEMMAP_ODD_FRAME_0] = "frame-0",
        [MEMMAP_ODD_LEGACY_HOLE] = "legacy-hole",
        [MEMMAP_ODD_UNKNOWN_TYPE] = "unknown-type",
        [MEMMAP_ODD_UNKNOWN_ATTRIBUTE] = "unknown-attribute",
        [MEMMAP_ODD_RAM_WITHOUT_WB] = "ram-without-wb",
        [MEMMAP_ODD_RUNTIME_ON_RAM] = "runtime-on-ram",
        [MEMMAP_ODD_SOFT_RESERVED] = "soft-reserved",
        [MEMMAP_ODD_MMIO_UNCACHED] = "mmio-uncached",
        [MEMMAP_ODD_UNMERGED] = "unmerged",
        [MEMMAP_ODD_EMPTY] = "empty",
    };
    return (unsigned)oddity < MEMMAP_ODDITIES ? names[oddity] : "unknown";
}
