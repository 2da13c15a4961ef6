// See room.h.
#include "loader/room.h"

#include "common/base/arith.h"

struct room room_find(const struct memmap_efi *map, uint64_t bytes, uint64_t align,
                      uint64_t floor) {
    struct room room = {0};
    for (uint64_t i = 0; i < map->bytes / map->stride; i++) {
        struct memmap_descriptor descriptor = memmap_descriptor_read(map, i);
        uint64_t end;
        uint64_t wanted = EFI_ATTRIBUTE_WB;
        if (descriptor.type != EFI_TYPE_CONVENTIONAL ||
            (descriptor.attributes & (wanted | EFI_ATTRIBUTE_SP)) != wanted ||
            !memmap_descriptor_end(&descriptor, &end))
            continue;
        room.largest_bytes = max_u64(room.largest_bytes, end - descriptor.start);
        uint64_t least = max_u64(descriptor.start, floor);
        if (end < bytes || align_down(end - bytes, align) < least)
            continue;
        room.start = max_u64(room.start, align_down(end - bytes, align));
    }
    return room;
}
