// A sorted array: a space has few areas, and looks for one at every fault.
#include "kernel/process/areas.h"

#include "common/base/assert.h"
#include "common/base/mem.h"

#include <stddef.h>

uint32_t areas_from(const struct areas *areas, uint64_t address) {
    uint32_t low = 0;
    uint32_t high = areas->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (areas->list[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct area *areas_find(const struct areas *areas, uint64_t address) {
    uint32_t index = areas_from(areas, address);
    bool is_there = index < areas->count && areas->list[index].start <= address;
    return is_there ? &areas->list[index] : NULL;
}

bool areas_are_absent(const struct areas *areas, uint64_t start, uint64_t end) {
    uint32_t index = areas_from(areas, start);
    return index == areas->count || areas->list[index].start >= end;
}

bool areas_are_whole(const struct areas *areas, uint64_t start, uint64_t end) {
    for (uint32_t i = areas_from(areas, start); start < end; i++) {
        if (i == areas->count || areas->list[i].start > start)
            return false;
        start = areas->list[i].end;
    }
    return true;
}

struct area *areas_move(struct areas *areas, struct area *list, uint32_t capacity) {
    ASSERT(capacity > areas->capacity);
    struct area *old = areas->list;
    if (areas->count != 0)
        memcpy(list, old, areas->count * sizeof(*list));
    areas->list = list;
    areas->capacity = capacity;
    return old;
}

// Makes room for an area at `index`.
static struct area *open_gap(struct areas *areas, uint32_t index) {
    ASSERT(areas_have_room(areas, 1) && index <= areas->count);
    struct area *gap = &areas->list[index];
    memmove(gap + 1, gap, (areas->count - index) * sizeof(*gap));
    areas->count++;
    return gap;
}

void areas_insert(struct areas *areas, const struct area *area) {
    ASSERT(area->start < area->end && areas_are_absent(areas, area->start, area->end));
    *open_gap(areas, areas_from(areas, area->start)) = *area;
}

const struct area *areas_cut(struct areas *areas, uint64_t address) {
    uint32_t index = areas_from(areas, address);
    if (index == areas->count || areas->list[index].start >= address)
        return NULL;
    struct area *second = open_gap(areas, index + 1);
    struct area *first = second - 1;
    *second = *first;
    second->start = first->end = address;
    if (second->shared != NULL)
        second->offset += address - first->start;
    return second;
}

void areas_remove(struct areas *areas, uint32_t index, uint32_t count) {
    ASSERT(index <= areas->count && count <= areas->count - index);
    struct area *gone = &areas->list[index];
    memmove(gone, gone + count, (areas->count - index - count) * sizeof(*gone));
    areas->count -= count;
}

bool areas_join(struct areas *areas, uint32_t index) {
    if (index + 1 >= areas->count)
        return false;
    struct area *first = &areas->list[index];
    const struct area *second = first + 1;
    uint64_t offset = first->shared == NULL ? 0 : first->offset + (first->end - first->start);
    if (first->end != second->start || first->kind != second->kind ||
        first->rights != second->rights || first->shared != second->shared ||
        second->offset != offset)
        return false;
    first->end = second->end;
    first->idle_harvests =
        second->idle_harvests < first->idle_harvests ? second->idle_harvests : first->idle_harvests;
    areas_remove(areas, index + 1, 1);
    return true;
}
