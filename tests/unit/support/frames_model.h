// What a frame allocator has to do, told naively: one byte for each frame of the regions, and none
// of the allocator's numbers but those of its zones.
#pragma once

#include "common/base/arith.h"
#include "common/frames/frames.h"
#include "common/memmap/memmap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Of a frame. MODEL_GAP stands between frames that do not follow each other in memory, so that
// neighbours in the array are neighbours there.
enum { MODEL_USED, MODEL_FREE, MODEL_FOREIGN, MODEL_METADATA, MODEL_GAP };

enum { MODEL_MAX = 1 << 17, MODEL_BLOCKS_MAX = 1 << 10 };

struct model_block {
    uint64_t first, end; // index
    uint64_t free;
    enum frames_zone zone;
};

struct model {
    uint64_t count; // of the arrays: frames and gaps
    uint8_t state[MODEL_MAX];
    uint8_t kind[MODEL_MAX];
    uint64_t number[MODEL_MAX]; // of the frame
    uint16_t block_of[MODEL_MAX];
    struct model_block blocks[MODEL_BLOCKS_MAX]; // 2 MiB each, but cut at 1 MiB
    unsigned block_count;
    uint64_t total, used, peak, refusals;
    uint64_t zone_total[FRAMES_ZONES], zone_free[FRAMES_ZONES];
};

static inline enum frames_zone model_zone(uint64_t number) {
    return number < 0x100      ? FRAMES_BELOW_1M
           : number < 0x1000   ? FRAMES_BELOW_16M
           : number < 0x100000 ? FRAMES_BELOW_4G
                               : FRAMES_ABOVE_4G;
}

static inline bool model_is_managed(uint8_t state) {
    return state == MODEL_USED || state == MODEL_FREE || state == MODEL_METADATA;
}

// Sets what a frame is, and all that counts it.
static inline void model_set(struct model *model, uint64_t index, uint8_t state) {
    uint8_t was = model->state[index];
    enum frames_zone zone = model_zone(model->number[index]);
    model->state[index] = state;
    model->total += (uint64_t)model_is_managed(state) - (uint64_t)model_is_managed(was);
    model->zone_total[zone] += (uint64_t)model_is_managed(state) - (uint64_t)model_is_managed(was);
    model->zone_free[zone] += (uint64_t)(state == MODEL_FREE) - (uint64_t)(was == MODEL_FREE);
    model->blocks[model->block_of[index]].free +=
        (uint64_t)(state == MODEL_FREE) - (uint64_t)(was == MODEL_FREE);
    bool is_used = state == MODEL_USED || state == MODEL_METADATA;
    bool was_used = was == MODEL_USED || was == MODEL_METADATA;
    model->used += (uint64_t)is_used - (uint64_t)was_used;
    model->peak = max_u64(model->peak, model->used);
}

static inline void model_set_run(struct model *model, uint64_t index, uint64_t count,
                                 uint8_t state) {
    for (uint64_t i = 0; i < count; i++)
        model_set(model, index + i, state);
}

static inline struct model_block *model_last_block(struct model *model) {
    return model->block_count == 0 ? NULL : &model->blocks[model->block_count - 1];
}

// Appends a frame, behind a gap if it does not follow the last one.
static inline void model_append(struct model *model, uint64_t number, uint32_t kind,
                                uint8_t state) {
    uint64_t last = model->count != 0 ? model->number[model->count - 1] : UINT64_MAX - 1;
    if (model->count + 2 > MODEL_MAX)
        abort();
    if (last + 1 != number) {
        model->state[model->count] = MODEL_GAP;
        model->number[model->count++] = UINT64_MAX - 1;
    }
    uint64_t at = model->count++;
    struct model_block *block = model_last_block(model);
    if (block == NULL || model->number[block->first] / FRAMES_PER_2M != number / FRAMES_PER_2M ||
        block->zone != model_zone(number)) {
        if (model->block_count == MODEL_BLOCKS_MAX)
            abort();
        block = &model->blocks[model->block_count++];
        *block = (struct model_block){.first = at, .zone = model_zone(number)};
    }
    block->end = at + 1;
    model->block_of[at] = (uint16_t)(block - model->blocks);
    model->number[at] = number;
    model->kind[at] = (uint8_t)kind;
    model->state[at] = MODEL_GAP; // which is nothing
    model_set(model, at, state);
}

// The state that frames of a kind have at first.
static inline uint8_t model_first_state(uint32_t kind) {
    if (kind == SLIPWAY_MEM_USABLE)
        return MODEL_FREE;
    return memmap_is_reclaimable(kind) ? MODEL_FOREIGN : MODEL_USED;
}

static inline void model_make(struct model *model, const struct memmap_region *regions,
                              uint64_t count, paddr_t metadata, uint64_t metadata_bytes) {
    model->count = model->total = model->used = model->refusals = 0;
    model->block_count = 0;
    memset(model->zone_total, 0, sizeof(model->zone_total));
    memset(model->zone_free, 0, sizeof(model->zone_free));
    for (uint64_t i = 0; i < count; i++) {
        const struct memmap_region *region = &regions[i];
        if (region->kind > SLIPWAY_MEM_PAGE_TABLES) // never managed
            continue;
        for (uint64_t at = region->start; at < region->end; at += FRAME_BYTES) {
            bool is_metadata = at >= metadata.value && at - metadata.value < metadata_bytes;
            model_append(model, at / FRAME_BYTES, region->kind,
                         is_metadata ? MODEL_METADATA : model_first_state(region->kind));
        }
    }
    model->state[model->count] = MODEL_GAP;
    model->peak = model->used;
}

// The index of a frame; model->count if it has none.
static inline uint64_t model_index(const struct model *model, uint64_t number) {
    unsigned low = 0, high = model->block_count;
    while (high - low > 1) { // the last block that begins at or below it
        unsigned middle = low + (high - low) / 2;
        if (model->number[model->blocks[middle].first] <= number)
            low = middle;
        else
            high = middle;
    }
    for (uint64_t i = model->blocks[low].first; i < model->blocks[low].end; i++)
        if (model->number[i] == number && model->state[i] != MODEL_GAP)
            return i;
    return model->count;
}

// --- What the answer must be

// Of a call that gives back, or asks for, these frames: which have to be in the state `wanted`.
static inline enum frames_status model_judge(const struct model *model, uint64_t address,
                                             uint64_t count, uint8_t wanted) {
    uint64_t number = address / FRAME_BYTES;
    if (address % FRAME_BYTES != 0)
        return FRAMES_ERR_ALIGN;
    if (count == 0 || count > UINT64_MAX / FRAME_BYTES - number)
        return FRAMES_ERR_COUNT;
    uint64_t index = model_index(model, number);
    enum frames_status otherwise = wanted == MODEL_USED ? FRAMES_ERR_FREE : FRAMES_ERR_USED;
    enum frames_status status = FRAMES_OK;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t state = index + i < model->count ? model->state[index + i] : MODEL_GAP;
        if (state != MODEL_USED && state != MODEL_FREE)
            return FRAMES_ERR_FOREIGN;
        if (state != wanted)
            status = otherwise;
    }
    return status;
}

// A request as the model takes it: align is not 0, and the run ends at or below frame `end`.
struct model_request {
    uint64_t count, align, end;
};

// The index of the highest run of free frames in [low, high) of the array that would do: NOTHING
// that begins above it does. model->count if there is none.
static inline uint64_t model_find(const struct model *model, uint64_t low, uint64_t high,
                                  const struct model_request *request) {
    while (high > low) {
        while (high > low && model->state[high - 1] != MODEL_FREE)
            high--;
        uint64_t end = high, start = high;
        while (start > low && model->state[start - 1] == MODEL_FREE)
            start--;
        high = start;
        if (start == end)
            break;
        uint64_t first = model->number[start];
        uint64_t stop = min_u64(model->number[end - 1] + 1, request->end);
        if (stop < first || stop - first < request->count)
            continue;
        uint64_t place = align_down(stop - request->count, request->align);
        if (place >= first)
            return start + (place - first);
    }
    return model->count;
}

// Whether a run of these frames would do.
static inline bool model_fits(const struct model *model, uint64_t number,
                              const struct model_request *request) {
    uint64_t index = model_index(model, number);
    if (number % request->align != 0 || number + request->count > request->end ||
        request->count > model->count - index)
        return false;
    for (uint64_t i = 0; i < request->count; i++)
        if (model->state[index + i] != MODEL_FREE)
            return false;
    return true;
}

// Whether some partly used block of the zone has such a run in it.
static inline bool model_has_partial(const struct model *model, enum frames_zone zone,
                                     const struct model_request *request) {
    for (unsigned i = 0; i < model->block_count; i++) {
        const struct model_block *block = &model->blocks[i];
        if (block->zone == zone && block->free != 0 && block->free != FRAMES_PER_2M &&
            model_find(model, block->first, block->end, request) != model->count)
            return true;
    }
    return false;
}

static inline uint64_t model_reclaim(struct model *model, uint32_t kind) {
    uint64_t added = 0;
    for (uint64_t i = 0; i < model->count; i++) {
        if (model->kind[i] != kind || model->state[i] != MODEL_FOREIGN)
            continue;
        model_set(model, i, MODEL_FREE);
        added++;
    }
    return added;
}

// --- What the statistics must be

struct model_free {
    uint64_t longest, blocks_2m;
};

static inline struct model_free model_count_free(const struct model *model) {
    struct model_free free = {0};
    uint64_t run = 0, in_block = 0;
    for (uint64_t i = 0; i < model->count; i++) {
        bool is_free = model->state[i] == MODEL_FREE;
        run = is_free ? run + 1 : 0;
        in_block = !is_free                                ? 0
                   : model->number[i] % FRAMES_PER_2M == 0 ? 1
                                                           : in_block + (in_block != 0);
        free.blocks_2m += in_block == FRAMES_PER_2M;
        free.longest = max_u64(free.longest, run);
    }
    return free;
}
