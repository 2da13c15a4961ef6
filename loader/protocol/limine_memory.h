// The memory map as the Limine protocol tells it, and which of its entries a kernel finds in the
// direct map. The planner and the answers ask the same functions, so that what the map promises is
// what the tables map.
//
// Pure. Follows the protocol's text at base revision 6: "Memory Layout at Entry", "Memory Map
// Feature".
#pragma once

#include "common/boot/slipway_boot.h"
#include "common/limine/limine.h"

#include <stdbool.h>
#include <stdint.h>

#define LIMINE_LOW_END (UINT64_C(4) << 30) // up to there, see limine_maps_low

// What memory of a kind, SLIPWAY_MEM_..., is at this base revision: LIMINE_MEMORY_... A kind that
// is not known is reserved.
uint64_t limine_type_of_kind(uint32_t kind, uint64_t base_revision);

// The same of what the loader lists with a purpose, SLIPWAY_RANGE_...: it decides where it lies.
uint64_t limine_type_of_purpose(uint32_t purpose);

// Whether entries of a type are in the direct map.
bool limine_type_is_mapped(uint64_t type, uint64_t base_revision);

// Whether the direct map has all of [0, LIMINE_LOW_END) besides, memory or not.
static inline bool limine_maps_low(uint64_t base_revision) {
    return base_revision <= 2;
}

// Whether all that the direct map has, but the lowest page, is mapped one to one as well.
static inline bool limine_maps_identity(uint64_t base_revision) {
    return base_revision == 0;
}

// What the map is made of, all of it of a finished boot_info, each rising and disjoint but the
// framebuffers, which may overlap and have any order.
struct limine_memory_input {
    const struct slipway_memory *regions;
    const struct slipway_range *ranges;
    const struct slipway_mapping *mappings; // those of SLIPWAY_MAP_FIRMWARE count that lie in the
                                            // direct map: at hhdm_base + their physical address
    const struct slipway_framebuffer *framebuffers;
    uint64_t region_count;
    uint64_t range_count;
    uint64_t mapping_count;
    uint32_t framebuffer_count;
    uint64_t hhdm_base;
    uint64_t base_revision;
};

// So many entries there are at most, with so many mappings of SLIPWAY_MAP_FIRMWARE.
uint64_t limine_memory_bound(uint64_t regions, uint64_t ranges, uint64_t firmware_mappings,
                             uint32_t framebuffers);

// Makes the map: entries in whole frames, rising, disjoint; neighbours that touch differ in type.
// Where sources meet, the first of these decides: a framebuffer; what the loader lists; from base
// revision 4 on, tables of the firmware, if the direct map would not have them otherwise; the
// region. What none of them describes is in no entry. Writes the first `capacity` entries and
// returns how many there are. Linear, times the framebuffers.
uint64_t limine_make_memory(const struct limine_memory_input *input,
                            struct limine_memory_entry *ret_entries, uint64_t capacity);
