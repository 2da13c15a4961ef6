// See room.h.
#include "loader/room.h"

#include "common/base/addr.h"
#include "common/base/arith.h"

// Whether the memory of a descriptor is free for any use, and then its end.
static bool is_free(const struct memmap_descriptor *descriptor, uint64_t *ret_end) {
    const uint64_t wanted = EFI_ATTRIBUTE_WB;
    return descriptor->type == EFI_TYPE_CONVENTIONAL &&
           (descriptor->attributes & (wanted | EFI_ATTRIBUTE_SP)) == wanted &&
           memmap_descriptor_end(descriptor, ret_end);
}

struct room room_find(const struct memmap_efi *map, uint64_t bytes, uint64_t align,
                      uint64_t floor) {
    struct room room = {0};
    for (uint64_t i = 0; i < map->bytes / map->stride; i++) {
        struct memmap_descriptor descriptor = memmap_descriptor_read(map, i);
        uint64_t end;
        if (!is_free(&descriptor, &end))
            continue;
        room.largest_bytes = max_u64(room.largest_bytes, end - descriptor.start);
        uint64_t least = max_u64(descriptor.start, floor);
        if (end < bytes || align_down(end - bytes, align) < least)
            continue;
        room.start = max_u64(room.start, align_down(end - bytes, align));
    }
    return room;
}

// Inserts a run among the `count` largest ones so far, which fall in size. Returns their number.
static uint32_t insert_by_size(struct room_run *runs, uint32_t count, uint32_t capacity,
                               struct room_run run) {
    bool is_full = count == capacity;
    uint32_t at = is_full ? count - 1 : count;
    if (is_full && runs[at].bytes >= run.bytes)
        return count;
    for (; at != 0 && runs[at - 1].bytes < run.bytes; at--)
        runs[at] = runs[at - 1];
    runs[at] = run;
    return is_full ? count : count + 1;
}

static void sort_by_start(struct room_run *runs, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        struct room_run moving = runs[i];
        uint32_t to = i;
        for (; to != 0 && runs[to - 1].start > moving.start; to--)
            runs[to] = runs[to - 1];
        runs[to] = moving;
    }
}

uint32_t room_split(const struct memmap_efi *map, uint64_t bytes, uint64_t align,
                    struct room_run *ret_runs, uint32_t capacity, uint64_t *ret_bytes) {
    uint32_t count = 0;
    for (uint64_t i = 0; i < map->bytes / map->stride; i++) {
        struct memmap_descriptor descriptor = memmap_descriptor_read(map, i);
        uint64_t end;
        if (!is_free(&descriptor, &end))
            continue;
        if (end > PHYS_END)
            continue;
        uint64_t start = align_up(max_u64(descriptor.start, MIB(1)), align);
        end = align_down(end, align);
        if (start < end)
            count =
                insert_by_size(ret_runs, count, capacity, (struct room_run){start, end - start});
    }
    uint32_t taken = 0;
    *ret_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (*ret_bytes < bytes)
            taken++;
        *ret_bytes += ret_runs[i].bytes;
    }
    if (*ret_bytes < bytes)
        return 0;
    uint64_t left = bytes;
    for (uint32_t i = 0; i < taken; i++) {
        ret_runs[i].bytes = min_u64(ret_runs[i].bytes, left);
        left -= ret_runs[i].bytes;
    }
    sort_by_start(ret_runs, taken);
    return taken;
}
