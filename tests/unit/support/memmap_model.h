// The memory map policy once more, frame by frame and descriptor by descriptor, as slow and as
// plain as it reads: what memmap_normalise is held against. Shares no code with it.
#pragma once

#include "common/memmap/memmap.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct model_descriptor {
    uint32_t type;
    uint64_t start;
    uint64_t pages;
    uint64_t attributes;
};

// A frame that is absent has kind 0.
struct model_frame {
    uint32_t kind;
    bool direct;
};

enum model_class { MODEL_USABLE, MODEL_RECLAIMABLE, MODEL_OTHER };

static inline bool model_has(const struct model_descriptor *d, uint64_t attribute) {
    return (d->attributes & attribute) == attribute;
}

#define MODEL_WB      UINT64_C(0x8)
#define MODEL_SP      UINT64_C(0x40000)
#define MODEL_RUNTIME (UINT64_C(1) << 63)

static inline enum model_class model_class(const struct model_descriptor *d) {
    bool is_general =
        model_has(d, MODEL_WB) && !model_has(d, MODEL_SP) && !model_has(d, MODEL_RUNTIME);
    if (is_general && d->type == 7)
        return MODEL_USABLE;
    if (is_general && ((d->type >= 1 && d->type <= 4) || d->type == 9))
        return MODEL_RECLAIMABLE;
    return MODEL_OTHER;
}

static inline uint32_t model_kind(const struct model_descriptor *d) {
    bool is_ram = d->type == 7 || (d->type >= 1 && d->type <= 4) || d->type == 9;
    if (is_ram && !model_has(d, MODEL_WB))
        return SLIPWAY_MEM_RESERVED;
    if (is_ram && model_has(d, MODEL_SP))
        return SLIPWAY_MEM_SOFT_RESERVED;
    if (is_ram && model_has(d, MODEL_RUNTIME))
        return SLIPWAY_MEM_RUNTIME;
    if (d->type == 7)
        return SLIPWAY_MEM_USABLE;
    if (d->type == 1 || d->type == 2)
        return SLIPWAY_MEM_LOADER;
    if (d->type == 3 || d->type == 4)
        return SLIPWAY_MEM_BOOT_SERVICES;
    if (d->type == 5 || d->type == 6)
        return SLIPWAY_MEM_RUNTIME;
    if (d->type == 8)
        return SLIPWAY_MEM_UNUSABLE;
    if (d->type == 9)
        return SLIPWAY_MEM_ACPI_RECLAIM;
    if (d->type == 10)
        return SLIPWAY_MEM_ACPI_NVS;
    if (d->type == 11 || d->type == 12)
        return SLIPWAY_MEM_MMIO;
    if (d->type == 14)
        return SLIPWAY_MEM_PERSISTENT;
    if (d->type == 15)
        return SLIPWAY_MEM_UNACCEPTED;
    return SLIPWAY_MEM_RESERVED;
}

static inline bool model_is_direct(const struct model_descriptor *d) {
    bool is_ram = (d->type >= 1 && d->type <= 7) || d->type == 9 || d->type == 10;
    return is_ram && model_has(d, MODEL_WB);
}

enum model_reach { MODEL_IGNORED, MODEL_CUT_OFF, MODEL_COVERS };

// What a descriptor says of the bytes from its start to *ret_end.
static inline enum model_reach model_reach(const struct model_descriptor *d, uint64_t limit,
                                           uint64_t *ret_end) {
    if (d->pages == 0 || d->pages > UINT64_MAX / 4096 || d->start + d->pages * 4096 < d->start)
        return MODEL_IGNORED;
    *ret_end = d->start + d->pages * 4096;
    if (*ret_end <= limit)
        return MODEL_COVERS;
    *ret_end = limit;
    return model_class(d) == MODEL_OTHER ? MODEL_COVERS : MODEL_CUT_OFF;
}

// What the frame at `address` is, claims included.
static inline struct model_frame model_frame(const struct model_descriptor *descriptors,
                                             uint64_t count, const struct memmap_claim *claims,
                                             uint64_t claim_count, uint64_t limit,
                                             uint64_t address) {
    bool touched[3] = {false}, whole[3] = {false};
    bool is_touched = false, direct_whole = false, other_touches = false;
    uint32_t worst = 0, claimed = 0;
    for (uint64_t i = 0; i < count; i++) {
        const struct model_descriptor *d = &descriptors[i];
        uint64_t end;
        enum model_reach reach = model_reach(d, limit, &end);
        if (reach == MODEL_IGNORED || d->start >= address + 4096 || end <= address)
            continue;
        if (reach == MODEL_CUT_OFF) {
            claimed = model_kind(d) > claimed ? model_kind(d) : claimed;
            continue;
        }
        bool is_whole = d->start <= address && end >= address + 4096;
        is_touched = true;
        touched[model_class(d)] = true;
        whole[model_class(d)] |= is_whole;
        worst = model_kind(d) > worst ? model_kind(d) : worst;
        direct_whole |= model_is_direct(d) && is_whole;
        other_touches |= !model_is_direct(d);
    }
    struct model_frame frame = {0};
    if (!is_touched)
        return frame;
    bool is_usable = whole[MODEL_USABLE] && !touched[MODEL_RECLAIMABLE] && !touched[MODEL_OTHER];
    bool is_reclaimable = whole[MODEL_RECLAIMABLE] && !touched[MODEL_OTHER];
    bool is_general = worst <= SLIPWAY_MEM_ACPI_RECLAIM;
    frame.kind = is_usable || is_reclaimable || !is_general ? worst : SLIPWAY_MEM_RESERVED;
    frame.kind = claimed > frame.kind ? claimed : frame.kind;
    frame.direct = direct_whole && !other_touches;
    for (uint64_t i = 0; i < claim_count; i++) {
        bool is_claimed = claims[i].start <= address && address - claims[i].start < claims[i].bytes;
        if (is_claimed && claims[i].kind > frame.kind)
            frame.kind = claims[i].kind;
        if (is_claimed && claims[i].kind > SLIPWAY_MEM_PAGE_TABLES)
            frame.direct = false;
    }
    bool is_legacy = address == 0 || (address >= 0xa0000 && address < 0x100000);
    if (is_legacy && frame.kind < SLIPWAY_MEM_RESERVED)
        frame.kind = SLIPWAY_MEM_RESERVED;
    return frame;
}

// Writes a descriptor as firmware would, `stride` bytes apart.
static inline void model_store(unsigned char *map, uint64_t index, uint64_t stride,
                               const struct model_descriptor *d) {
    unsigned char *at = map + index * stride;
    memset(at, 0xa5, stride);
    memcpy(at, &d->type, 4);
    memcpy(at + 8, &d->start, 8);
    memcpy(at + 24, &d->pages, 8);
    memcpy(at + 32, &d->attributes, 8);
}

static inline struct model_descriptor model_load(const unsigned char *map, uint64_t index,
                                                 uint64_t stride) {
    const unsigned char *at = map + index * stride;
    struct model_descriptor d;
    memcpy(&d.type, at, 4);
    memcpy(&d.start, at + 8, 8);
    memcpy(&d.pages, at + 24, 8);
    memcpy(&d.attributes, at + 32, 8);
    return d;
}
