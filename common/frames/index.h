// Indices of the frame allocator as types: one-field structs, as addresses are
// (common/base/addr.h), so that a slot cannot be passed for a frame. They cost no instruction. A
// count of frames is a bare number, and so is an index that never leaves its arena or its line.
#pragma once

#include "common/base/addr.h"

// A frame: physical address / 4096.
typedef struct frame_index {
    uint64_t value;
} frame_t;

// A slot: the place of a frame's bit in the bitmap. Holes have none, so that slots follow each
// other where frames do not (core.h has the picture).
typedef struct slot_index {
    uint64_t value;
} slot_t;

// A block of the bitmap: slot / 512. Not the address of the block / 2 MiB: holes have none.
typedef struct block_index {
    uint64_t value;
} block_t;

// No such frame, slot, block: the answer of a search that found none. Beyond every other.
#define NO_FRAME ((frame_t){UINT64_MAX})
#define NO_SLOT  ((slot_t){UINT64_MAX})
#define NO_BLOCK ((block_t){UINT64_MAX})

static inline frame_t frame_at(uint64_t index) {
    frame_t frame = {index};
    return frame;
}

static inline slot_t slot_at(uint64_t index) {
    slot_t slot = {index};
    return slot;
}

static inline block_t block_at(uint64_t index) {
    block_t block = {index};
    return block;
}

static inline bool frame_is_none(frame_t frame) {
    return frame.value == UINT64_MAX;
}

static inline bool slot_is_none(slot_t slot) {
    return slot.value == UINT64_MAX;
}

static inline bool block_is_none(block_t block) {
    return block.value == UINT64_MAX;
}

static inline frame_t frame_add(frame_t frame, uint64_t frames) {
    return frame_at(frame.value + frames);
}

static inline slot_t slot_add(slot_t slot, uint64_t slots) {
    return slot_at(slot.value + slots);
}

// The frame of an address.
static inline frame_t frame_of(paddr_t address) {
    return frame_at(address.value >> FRAME_SHIFT);
}

static inline paddr_t frame_address(frame_t frame) {
    return paddr(frame.value << FRAME_SHIFT);
}
