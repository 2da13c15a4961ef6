// See memory_map.h.
#include "loader/memory_map.h"

#include "loader/firmware.h"
#include "loader/log.h"

enum {
    DESCRIPTOR_BYTES_MIN = 40,
    DESCRIPTORS_EXTRA = 64,
    APART_BYTES = 64 << 10,
    // No machine has a larger map: 64 MiB of descriptors.
    MAP_BYTES_MAX = 64 << 20,
};

EFI_STATUS memory_map_probe(uint64_t *ret_descriptors, uint64_t *ret_stride) {
    UINTN bytes = 0;
    UINTN key;
    UINTN stride = sizeof(EFI_MEMORY_DESCRIPTOR); // some firmware does not set it on this call
    UINT32 version = 0;
    EFI_STATUS status = BS->GetMemoryMap(&bytes, NULL, &key, &stride, &version);
    if (status != EFI_BUFFER_TOO_SMALL)
        return log_fail(EFI_ERROR(status) ? status : EFI_DEVICE_ERROR,
                        "memory map: the firmware does not tell its size (%s)",
                        log_status_text(status));
    if (stride < DESCRIPTOR_BYTES_MIN || stride % 8 != 0 || bytes > MAP_BYTES_MAX)
        return log_fail(EFI_UNSUPPORTED, "memory map: descriptors of %lu bytes, %lu bytes in all",
                        (uint64_t)stride, (uint64_t)bytes);
    if (version != EFI_MEMORY_DESCRIPTOR_VERSION)
        log_line(CONFIG_LOG_INFO, "memory map: descriptors of version %u, read as version 1",
                 version);
    *ret_descriptors = bytes / stride * 2 + DESCRIPTORS_EXTRA;
    *ret_stride = stride;
    return EFI_SUCCESS;
}

EFI_STATUS memory_map_read(struct memory_map *map) {
    UINTN bytes = map->buffer_bytes; // the capacity, anew on every call: the firmware overwrites it
    UINTN stride = sizeof(EFI_MEMORY_DESCRIPTOR);
    UINTN key;
    UINT32 version = 0;
    EFI_STATUS status = BS->GetMemoryMap(&bytes, map->buffer, &key, &stride, &version);
    if (EFI_ERROR(status))
        return status;
    if (bytes > map->buffer_bytes)
        return EFI_BUFFER_TOO_SMALL;
    map->bytes = bytes;
    map->stride = stride;
    map->version = version;
    map->key = key;
    return EFI_SUCCESS;
}

EFI_STATUS memory_map_read_apart(struct memmap_efi *ret_map, uint64_t *ret_phys) {
    struct memory_map map = {.buffer_bytes = APART_BYTES};
    uint64_t phys;
    EFI_STATUS status =
        firmware_alloc_pages(map.buffer_bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &phys);
    if (EFI_ERROR(status))
        return status;
    map.buffer = firmware_pointer(phys);
    status = memory_map_read(&map);
    if (!EFI_ERROR(status) && map.stride < DESCRIPTOR_BYTES_MIN)
        status = EFI_UNSUPPORTED;
    if (EFI_ERROR(status)) {
        firmware_free_pages(phys);
        return status;
    }
    *ret_map = (struct memmap_efi){map.buffer, map.bytes, map.stride};
    *ret_phys = phys;
    return EFI_SUCCESS;
}

enum memmap_status memory_map_normalise(struct memory_map *map, const struct memmap_claim *claims,
                                        uint64_t claim_count) {
    const struct memmap_input input = {
        .efi = {.descriptors = map->buffer, .bytes = map->bytes, .stride = map->stride},
        .claims = claims,
        .claim_count = claim_count,
        .limit = map->limit,
    };
    return memmap_normalise(&input, map->scratch, map->scratch_bytes, map->regions,
                            map->region_capacity, &map->region_count, &map->report);
}

bool memory_map_has_ram(const struct memory_map *map, uint64_t start, uint64_t bytes) {
    for (uint64_t i = 0; i < map->region_count; i++) {
        const struct memmap_region *region = &map->regions[i];
        if (region->direct && region->start < start + bytes && start < region->end)
            return true;
    }
    return false;
}
