// Sets of frames as lists of runs: those that a memory map has, by the model, and those that an
// allocator has handed out.
#pragma once

#include "tests/unit/support/memmap_model.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>

// Frames [first, end).
struct frame_run {
    uint64_t first, end;
};

// Memory from malloc.
struct frame_runs {
    struct frame_run *list;
    uint64_t count, capacity;
};

static inline void frame_runs_free(struct frame_runs *runs) {
    free(runs->list);
    *runs = (struct frame_runs){0};
}

static inline void frame_runs_add(struct frame_runs *runs, uint64_t first, uint64_t end) {
    if (runs->count == runs->capacity) {
        runs->capacity = 2 * runs->capacity + 64;
        runs->list = realloc(runs->list, runs->capacity * sizeof(*runs->list));
        assert_non_null(runs->list);
    }
    runs->list[runs->count++] = (struct frame_run){first, end};
}

static inline uint64_t frame_runs_sum(const struct frame_runs *runs) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < runs->count; i++)
        sum += runs->list[i].end - runs->list[i].first;
    return sum;
}

static inline int frame_run_compare(const void *a, const void *b) {
    const struct frame_run *left = a, *right = b;
    return (left->first > right->first) - (left->first < right->first);
}

// Sorts the list and joins what touches. A frame that is in it twice is a failure.
static inline void frame_runs_join(struct frame_runs *runs) {
    if (runs->count == 0)
        return;
    qsort(runs->list, runs->count, sizeof(*runs->list), frame_run_compare);
    struct frame_run *last = runs->list;
    for (uint64_t i = 1; i < runs->count; i++) {
        const struct frame_run *run = &runs->list[i];
        if (run->first < last->end)
            fail_msg("frame 0x%lx is there twice", run->first);
        if (run->first == last->end)
            last->end = run->end;
        else
            *++last = *run;
    }
    runs->count = (uint64_t)(last - runs->list) + 1;
}

// --- The frames of a memory map

static inline int frame_edge_compare(const void *a, const void *b) {
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static inline int frame_descriptor_compare(const void *a, const void *b) {
    const struct model_descriptor *left = a, *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

// The descriptors that count, rising, and for each the highest end of it and those before.
struct frame_edges {
    struct model_descriptor *descriptors;
    uint64_t *highest_end;
    uint64_t count;
    uint64_t *edges; // addresses of frames at which something may change, rising
    uint64_t edge_count;
};

static inline struct frame_edges frame_edges_of(const struct model_descriptor *descriptors,
                                                uint64_t count, uint64_t limit) {
    struct frame_edges edges = {.descriptors = malloc((count + 1) * sizeof(*descriptors)),
                                .highest_end = malloc((count + 1) * sizeof(uint64_t)),
                                .edges = malloc((4 * count + 5) * sizeof(uint64_t))};
    assert_true(edges.descriptors != NULL && edges.highest_end != NULL && edges.edges != NULL);
    uint64_t end;
    for (uint64_t i = 0; i < count; i++)
        if (model_reach(&descriptors[i], limit, &end))
            edges.descriptors[edges.count++] = descriptors[i];
    qsort(edges.descriptors, edges.count, sizeof(*descriptors), frame_descriptor_compare);
    for (uint64_t i = 0; i < edges.count; i++) {
        (void)model_reach(&edges.descriptors[i], limit, &end);
        uint64_t before = i == 0 ? 0 : edges.highest_end[i - 1];
        edges.highest_end[i] = end > before ? end : before;
        const uint64_t bounds[] = {edges.descriptors[i].start & ~UINT64_C(0xfff),
                                   end & ~UINT64_C(0xfff)};
        for (unsigned bound = 0; bound < 2; bound++) {
            edges.edges[edges.edge_count++] = bounds[bound];
            edges.edges[edges.edge_count++] = bounds[bound] + 0x1000;
        }
    }
    const uint64_t fixed[] = {0, 0x1000, 0xa0000, 0x100000, limit};
    for (unsigned i = 0; i < 5; i++)
        edges.edges[edges.edge_count++] = fixed[i];
    qsort(edges.edges, edges.edge_count, sizeof(uint64_t), frame_edge_compare);
    return edges;
}

// The frames whose kind is in `kinds` (bit k: kind k), joined. Between two edges nothing changes:
// the model is asked once for each, with the descriptors that may touch the frame there.
static inline struct frame_runs frame_runs_of_map(const struct model_descriptor *descriptors,
                                                  uint64_t count, uint64_t limit, uint32_t kinds) {
    struct frame_edges edges = frame_edges_of(descriptors, count, limit);
    struct frame_runs runs = {0};
    uint64_t from = 0, to = 0;
    for (uint64_t i = 0; i + 1 < edges.edge_count; i++) {
        uint64_t at = edges.edges[i];
        if (at == edges.edges[i + 1] || at >= limit)
            continue;
        while (from < edges.count && edges.highest_end[from] <= at)
            from++;
        to = to > from ? to : from;
        while (to < edges.count && edges.descriptors[to].start < at + 0x1000)
            to++;
        struct model_frame frame =
            model_frame(edges.descriptors + from, to - from, NULL, 0, limit, at);
        if ((kinds >> frame.kind & 1) != 0)
            frame_runs_add(&runs, at / 0x1000, edges.edges[i + 1] / 0x1000);
    }
    frame_runs_join(&runs);
    free(edges.descriptors);
    free(edges.highest_end);
    free(edges.edges);
    return runs;
}
