// The areas of one address space: a sorted array of disjoint ranges. Pure: host tests run the same
// file.
//
// Owns nothing: the caller supplies the memory of the array, and knows how many owners a shared
// object has. Addresses are multiples of 4 KiB.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum user_area_kind {
    USER_AREA_ANONYMOUS, // zeroed memory, on first touch
    USER_AREA_GUARD,     // never any memory, whatever its rights
    USER_AREA_SHARED,    // the memory of an object
};

struct shared;

// [start, end).
struct area {
    uint64_t start, end;
    enum user_area_kind kind;
    unsigned rights;        // those of vmem.h, without VMEM_USER
    struct shared *shared;  // null unless it is of that kind
    uint64_t offset;        // where in the object the area begins, in bytes; else 0
    unsigned idle_harvests; // since one of its pages was accessed
};

struct areas {
    struct area *list;
    uint32_t count;
    uint32_t capacity;
};

// The index of the first area that ends above `address`; `count` if there is none.
uint32_t areas_from(const struct areas *areas, uint64_t address);

// The area in which `address` is; null: in none.
const struct area *areas_find(const struct areas *areas, uint64_t address);

// Whether no area has any of [start, end); whether areas have all of it.
bool areas_are_absent(const struct areas *areas, uint64_t start, uint64_t end);
bool areas_are_whole(const struct areas *areas, uint64_t start, uint64_t end);

// The array has room for `more` areas.
static inline bool areas_have_room(const struct areas *areas, uint32_t more) {
    return areas->capacity - areas->count >= more;
}

// Moves the areas to an array of `capacity` areas, which is larger than the old one. Returns the
// old array, which is the caller's again.
struct area *areas_move(struct areas *areas, struct area *list, uint32_t capacity);

// Adds an area where none is. There is room.
void areas_insert(struct areas *areas, const struct area *area);

// Cuts the area that has `address` inside in two, if there is one; there is room. Returns the
// second of them; null if none was cut.
const struct area *areas_cut(struct areas *areas, uint64_t address);

// Removes `count` areas from this index on.
void areas_remove(struct areas *areas, uint32_t index, uint32_t count);

// Makes the area of this index and the one behind it one, if they continue each other and are
// alike but for their idle harvests, of which the fewer count. True if so: an object has an area
// less then.
bool areas_join(struct areas *areas, uint32_t index);
