// Where kernel and direct map may lie when their places are random: every address at which one of
// them is whole, at a multiple of its step, and clear of what is there already. Pure.
#pragma once

#include "loader/elf.h"
#include "loader/plan.h"

#include <stdint.h>

// Of the image: so many bytes from SLIPWAY_KERNEL_DEFAULT on may hold its lowest address. The code
// model `kernel` reaches 2 GiB (x86-64 psABI 3.5.1).
#define PLACES_IMAGE_BYTES (UINT64_C(1) << 30)
// Its step, unless its segments or its thread-local data are aligned to more: so large leaves stay
// as large.
#define PLACES_IMAGE_STEP (UINT64_C(2) << 20)

// Places in [start, end) for `bytes` bytes: the multiples of `step`, a power of two, from which on
// so many bytes are below `end` and none of them is taken. All zero: there are none.
struct places {
    uint64_t start;
    uint64_t end;
    uint64_t step;
    uint64_t bytes;          // not 0
    struct plan_range taken; // virtual addresses
};

uint64_t places_count(const struct places *places);

// The place of this number, by rising addresses; `index` is below places_count.
uint64_t places_at(const struct places *places, uint64_t index);

// Whether the image runs at any place: it is ET_DYN and has a PT_DYNAMIC, without which nobody can
// tell what is to be relocated.
bool places_image_moves(const struct elf_image *elf);

// Places of the image that moves, each for its virt_start rounded down to a multiple of the step:
// elf_slide by the difference of two of them keeps its alignment. None: it is too large.
struct places places_of_image(const struct elf_image *elf);

// Where the image is among them, or would be.
uint64_t places_image_base(const struct elf_image *elf);

// How far a direct map is free.
enum places_direct {
    PLACES_DIRECT_COARSE, // where a note could ask for it: multiples of SLIPWAY_HHDM_ALIGN
    PLACES_DIRECT_FINE, // multiples of SLIPWAY_KASLR_ALIGN, in all of the upper half with 5 levels
};

// Places for a direct map of `bytes` bytes: below SLIPWAY_WINDOW_BASE, where no window is, and
// clear of the image, of which `plan` tells. Its hhdm_base is not looked at.
struct places places_of_direct_map(const struct plan_input *plan, uint64_t bytes, unsigned levels,
                                   enum places_direct how);
