// What the plan's files share: a manifest that is being made, and the parts of the kernel's image.
#pragma once

#include "common/base/arith.h"
#include "loader/plan.h"

enum { PLAN_BOOT_GUARDS = 2 }; // below and above the boot stack

struct plan_manifest {
    struct slipway_mapping *mappings;
    uint64_t count;
    uint64_t capacity;
};

// Appends a mapping, or makes the last one longer where the two could be one. They rise.
void plan_append(struct plan_manifest *manifest, struct slipway_mapping mapping);

// A framebuffer, or a part of it. `more_purpose` is added to its purpose.
void plan_append_framebuffer(struct plan_manifest *manifest, uint64_t virt, uint64_t phys,
                             uint64_t bytes, uint32_t rights, uint16_t more_purpose);

// A run of the kernel's pages, as far as it lies in one piece.
struct plan_part {
    uint64_t virt;
    uint64_t phys;
    uint64_t bytes;
    uint32_t rights;
};

// Where the next part begins: in this run and in this piece. Parts rise, as both lists do.
struct plan_parts {
    uint32_t run;
    uint32_t piece;
};

// The next part, or false.
bool plan_peek_part(const struct plan_input *input, struct plan_parts *parts,
                    struct plan_part *ret_part);

// To the part after this one, which peek_part gave.
void plan_pass_part(const struct plan_input *input, struct plan_parts *parts,
                    const struct plan_part *part);

// plan_direct.c: the direct map, and the same pages mapped one to one, but for page 0: a null
// pointer leads nowhere.
void plan_append_direct_map(struct plan_manifest *manifest, const struct plan_input *input);
void plan_append_identity(struct plan_manifest *manifest, const struct plan_input *input);

// What of a region the rules want, where it begins: up to its end, to 4 GiB, or nothing.
uint64_t plan_wanted_end(const struct space_rules *rules, const struct memmap_region *region);

// Whether the firmware's tables are in the direct map.
bool plan_has_tables(const struct plan_input *input);
