// The firmware's memory map: read with the firmware's stride, into a buffer with room to grow, and
// normalised into regions. The buffer is part of boot_info: the last map read is handed over as it
// is.
#pragma once

#include "common/memmap/memmap.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

struct memory_map {
    // Memory of the caller.
    void *buffer;
    uint64_t buffer_bytes;
    struct memmap_region *regions;
    uint64_t region_capacity;
    void *scratch;
    uint64_t scratch_bytes;
    uint64_t limit; // end of addressable memory

    // The last map read.
    uint64_t bytes;
    uint64_t stride;
    uint32_t version;
    UINTN key;

    // Its normal form.
    uint64_t region_count;
    struct memmap_report report;
};

// How many descriptors to have room for: twice as many as there are now, and 64 more. The map grows
// with every allocation, and after a failed ExitBootServices no more room can be allocated.
// *ret_stride is the firmware's. Failures are recorded.
[[nodiscard]] EFI_STATUS memory_map_probe(uint64_t *ret_descriptors, uint64_t *ret_stride);

// Reads the map into the buffer. Errors are not recorded; EFI_BUFFER_TOO_SMALL: the map has
// outgrown the buffer.
[[nodiscard]] EFI_STATUS memory_map_read(struct memory_map *map);

// Reads the map into pages of its own, which start at *ret_phys and are the caller's to free.
// Errors are not recorded, and leave nothing behind: it cannot be read, or is larger than 64 KiB.
[[nodiscard]] EFI_STATUS memory_map_read_apart(struct memmap_efi *ret_map, uint64_t *ret_phys);

// Normalises the map that was read. Touches no firmware. Errors are those of memmap_normalise.
[[nodiscard]] enum memmap_status memory_map_normalise(struct memory_map *map,
                                                      const struct memmap_claim *claims,
                                                      uint64_t claim_count);

// True if a byte of [start, start + bytes) is RAM, as the direct map has it, in the normalised map.
bool memory_map_has_ram(const struct memory_map *map, uint64_t start, uint64_t bytes);
