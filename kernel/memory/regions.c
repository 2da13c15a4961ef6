#include "kernel/memory/regions.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "kernel/base/boot_record.h"

void regions_claim(const struct slipway_array *ranges, struct memmap_claim *claims) {
    for (uint64_t i = 0; i < ranges->count; i++) {
        const struct slipway_range *range = boot_record(ranges, i);
        claims[i] = (struct memmap_claim){
            .start = range->start_phys,
            .bytes = range->bytes,
            .kind = memmap_kind_of_purpose(range->purpose),
        };
    }
}

bool regions_find_room(const struct slipway_array *memory, uint64_t bytes, uint64_t *ret_phys) {
    for (uint64_t i = memory->count; i-- != 0;) {
        const struct slipway_memory *region = boot_record(memory, i);
        if (region->kind != SLIPWAY_MEM_USABLE || !region->in_direct)
            continue;
        uint64_t end = region->start_phys + region->bytes;
        if (region->bytes >= bytes && end - bytes >= MIB(1)) {
            *ret_phys = end - bytes;
            return true;
        }
    }
    return false;
}

uint64_t regions_count_differences(const struct memmap_region *regions, uint64_t count,
                                   const struct slipway_array *memory) {
    uint64_t ours = 0;
    uint64_t theirs = 0;
    uint64_t differences = 0;
    while (ours < count && theirs < memory->count) {
        const struct memmap_region *region = &regions[ours];
        const struct slipway_memory *other = boot_record(memory, theirs);
        if (region->start == other->start_phys) {
            bool same = region->end - region->start == other->bytes && region->kind == other->kind;
            differences += !same;
            ours++;
            theirs++;
        } else {
            differences++;
            if (region->start < other->start_phys)
                ours++;
            else
                theirs++;
        }
    }
    return differences + (count - ours) + (memory->count - theirs);
}
