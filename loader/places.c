// See places.h.
#include "loader/places.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/assert.h"

// How many lie in [at, end), where nothing is taken, and the first of them.
static uint64_t count_between(const struct places *places, uint64_t at, uint64_t end,
                              uint64_t *ret_first) {
    *ret_first = align_up(at, places->step);
    bool has_wrapped = *ret_first < at;
    if (has_wrapped || *ret_first >= end || end - *ret_first < places->bytes)
        return 0;
    return (end - *ret_first - places->bytes) / places->step + 1;
}

// Counts those before the one of this number, which *ret_place becomes; all, if there is none.
static uint64_t walk(const struct places *places, uint64_t index, uint64_t *ret_place) {
    uint64_t count = 0;
    ASSERT(places->end == 0 || (is_power_of_two(places->step) && places->bytes != 0));
    for (uint64_t at = places->start; at < places->end;) {
        bool is_taken = places->taken.end > at;
        uint64_t end = is_taken ? min_u64(places->taken.start, places->end) : places->end;
        uint64_t first;
        uint64_t here = count_between(places, at, end, &first);
        if (index - count < here) {
            *ret_place = first + (index - count) * places->step;
            return index;
        }
        count += here;
        at = is_taken ? places->taken.end : places->end;
    }
    return count;
}

uint64_t places_count(const struct places *places) {
    uint64_t none;
    return walk(places, UINT64_MAX, &none);
}

uint64_t places_at(const struct places *places, uint64_t index) {
    uint64_t place = 0;
    uint64_t found = walk(places, index, &place);
    ASSERT(found == index);
    (void)found;
    return place;
}

// ---- The image

bool places_image_moves(const struct elf_image *elf) {
    return elf->type == ELF_TYPE_DYN && elf->dynamic_bytes != 0;
}

// The template of thread-local data, if there are bytes in it, keeps its own alignment.
static uint64_t image_step(const struct elf_image *elf) {
    uint64_t tls_align = elf->tls.file_bytes == 0 ? 0 : elf->tls.align;
    return max_u64(max_u64(elf->align, tls_align), PLACES_IMAGE_STEP);
}

uint64_t places_image_base(const struct elf_image *elf) {
    return align_down(elf->virt_start, image_step(elf));
}

struct places places_of_image(const struct elf_image *elf) {
    const uint64_t last = SLIPWAY_KERNEL_DEFAULT + PLACES_IMAGE_BYTES - image_step(elf);
    uint64_t bytes = elf->virt_end - places_image_base(elf);
    return (struct places){
        .start = SLIPWAY_KERNEL_DEFAULT,
        .end = last + min_u64(bytes, SLIPWAY_KERNEL_MAX - last),
        .step = image_step(elf),
        .bytes = bytes,
    };
}

// ---- The direct map

struct places places_of_direct_map(const struct plan_input *plan, uint64_t bytes, unsigned levels,
                                   enum places_direct how) {
    bool is_fine = how == PLACES_DIRECT_FINE;
    ASSERT(plan->window_base >= SLIPWAY_WINDOW_BASE);
    return (struct places){
        .start = is_fine && levels == 5 ? UPPER_HALF_5LEVELS : SLIPWAY_HHDM_BASE,
        .end = SLIPWAY_WINDOW_BASE,
        .step = is_fine ? SLIPWAY_KASLR_ALIGN : SLIPWAY_HHDM_ALIGN,
        .bytes = bytes,
        .taken = {plan->elf->virt_start, plan->elf->virt_end},
    };
}
