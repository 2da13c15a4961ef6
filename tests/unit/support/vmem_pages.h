// The naive model of the random test: one record for each 4 KiB page, in windows of 2 GiB that lie
// where levels, halves and the address space end. Spaces have lower halves of their own and share
// the upper one.
#pragma once

#include "tests/unit/support/vmem_memory.h"

#define PAGES_SPACES  3
#define PAGES_WINDOWS 4 // 0 and 1 in the lower half, 2 and 3 in the upper
#define PAGES_WINDOW  UINT64_C(0x80000)

// A record: 0 if absent.
#define PAGES_PRESENT     (UINT64_C(1) << 63)
#define PAGES_PHYS        UINT64_C(0x000000ffffffffff) // page
#define PAGES_RIGHTS_AT   40
#define PAGES_CACHE_AT    44
#define PAGES_GLOBAL_AT   47
#define PAGES_RIGHTS_MASK (UINT64_C(0xf) << PAGES_RIGHTS_AT)
#define PAGES_CACHE_MASK  (UINT64_C(0x7) << PAGES_CACHE_AT)

struct pages_window {
    uint64_t first;     // page
    uint64_t *record;   // PAGES_WINDOW of them
    uint64_t low, high; // only records in [low, high) have ever been in use
};

struct pages_model {
    unsigned levels;
    bool is_live[PAGES_SPACES];
    struct pages_window window[PAGES_SPACES][PAGES_WINDOWS]; // of the upper half only in space 0
};

static inline void pages_make(struct pages_model *model, unsigned levels) {
    const uint64_t top = UINT64_C(1) << 52;
    const uint64_t half = UINT64_C(1) << (9 * levels - 1);
    // Astride the boundary of the highest level; the end of the half; its start; the top.
    const uint64_t first[PAGES_WINDOWS] = {(UINT64_C(1) << 9 * (levels - 1)) - PAGES_WINDOW / 2,
                                           half - PAGES_WINDOW, top - half, top - PAGES_WINDOW};
    model->levels = levels;
    for (unsigned space = 0; space < PAGES_SPACES; space++)
        for (unsigned i = 0; i < (space == 0 ? PAGES_WINDOWS : 2); i++)
            model->window[space][i] =
                (struct pages_window){first[i], calloc(PAGES_WINDOW, 8), PAGES_WINDOW, 0};
}

static inline void pages_destroy(struct pages_model *model) {
    for (unsigned space = 0; space < PAGES_SPACES; space++)
        for (unsigned i = 0; i < PAGES_WINDOWS; i++)
            free(model->window[space][i].record);
}

static inline struct pages_window *pages_window(struct pages_model *model, unsigned space,
                                                unsigned window) {
    return &model->window[window < 2 ? space : 0][window];
}

static inline void pages_clear(struct pages_window *window) {
    if (window->low < window->high)
        memset(window->record + window->low, 0, (window->high - window->low) * 8);
    window->low = PAGES_WINDOW;
    window->high = 0;
}

static inline void pages_use(struct pages_window *window, uint64_t at, uint64_t count) {
    window->low = at < window->low ? at : window->low;
    window->high = at + count > window->high ? at + count : window->high;
}

static inline uint64_t pages_count(const struct pages_window *window, uint64_t at, uint64_t count) {
    uint64_t present = 0;
    uint64_t end = at + count < window->high ? at + count : window->high;
    for (uint64_t i = at > window->low ? at : window->low; i < end; i++)
        present += window->record[i] >> 63;
    return present;
}

static inline uint64_t pages_make_record(const struct vmem_mapping *mapping) {
    return PAGES_PRESENT | mapping->phys.value >> 12 |
           (uint64_t)mapping->rights << PAGES_RIGHTS_AT |
           (uint64_t)mapping->cache << PAGES_CACHE_AT |
           (uint64_t)mapping->global << PAGES_GLOBAL_AT;
}

static inline void pages_map(struct pages_window *window, uint64_t at, uint64_t count,
                             uint64_t record) {
    pages_use(window, at, count);
    for (uint64_t i = 0; i < count; i++)
        window->record[at + i] = record + i;
}

static inline void pages_unmap(struct pages_window *window, uint64_t at, uint64_t count) {
    if (at <= window->low && at + count >= window->high)
        pages_clear(window);
    else
        memset(window->record + at, 0, count * 8);
}

static inline void pages_edit(struct pages_window *window, uint64_t at, uint64_t count,
                              uint64_t clear, uint64_t set) {
    for (uint64_t i = at; i < at + count; i++)
        window->record[i] = (window->record[i] & ~clear) | set;
}

// Whether the space translates the page as its record says.
static inline bool pages_matches(const struct vmem *space, const struct pages_window *window,
                                 uint64_t at) {
    struct vmem_translation got;
    enum vmem_status status = vmem_translate(space, vaddr((window->first + at) << 12), &got);
    uint64_t record = window->record[at];
    if (record == 0)
        return status == VMEM_ERR_NOT_MAPPED;
    struct vmem_mapping mapping = {.phys = got.phys,
                                   .rights = got.rights,
                                   .cache = vmem_translation_cache(&got),
                                   .global = vmem_translation_is_global(&got)};
    return status == VMEM_OK && pages_make_record(&mapping) == record;
}

// Whether the run is what the records of its pages say.
static inline bool pages_have_run(const struct pages_window *window, const struct vmem_run *run) {
    uint64_t at = (run->virt.value >> 12) - window->first;
    uint64_t count = run->bytes >> 12;
    if (at >= PAGES_WINDOW || count > PAGES_WINDOW - at)
        return false;
    struct vmem_mapping mapping = {
        .phys = run->phys, .rights = run->rights, .cache = run->cache, .global = run->global};
    uint64_t record = pages_make_record(&mapping);
    for (uint64_t i = 0; i < count; i++)
        if (window->record[at + i] != record + i)
            return false;
    return true;
}
