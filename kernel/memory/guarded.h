// Objects of slabs.h with all that finds who misuses them, for the debug build. Pure.
//
//     | links | header | redzone |    object    | redzone ...  |    what slabs.h calls an object
//     0       16       48        64             64 + bytes     its end
//
// The header says how many bytes were asked for, which place in the source allocated the object,
// and which one freed it. The redzones have a byte of their own; the one behind the object goes on
// to the end, up to the next object. A free object has another byte from the first redzone to its
// end, and memory that nobody has had yet a third. So what is written beside an object is found
// when it is freed, and what is written to a free one when it is allocated again. An object is
// found to be freed twice until it is allocated again.
//
// The first 16 bytes are those in which slabs.h keeps its links while the object is free.
#pragma once

#include "common/base/fmt.h"
#include "kernel/memory/heap_place.h"
#include "kernel/memory/slabs.h"

#include <stdint.h>

enum guarded_kind {
    GUARDED_OK,
    GUARDED_WILD,          // freed, and is no object that anybody has allocated
    GUARDED_TWICE,         // freed, and is free already
    GUARDED_WRITTEN_BELOW, // freed; something was written before its first byte
    GUARDED_WRITTEN_ABOVE, // freed; something was written behind its last byte
    GUARDED_WRITTEN_FREE,  // written after it was freed; found when it is allocated again
    GUARDED_WRITTEN_FRESH, // the same of memory that nobody has had yet, or whose header is gone
};

// What was found, of which object. What is not known is 0 or null.
struct guarded_finding {
    enum guarded_kind kind;
    const void *object;
    uint64_t bytes;                             // as they were asked for
    const struct heap_place *allocated, *freed; // where
    int64_t offset; // of the first byte that was written, from the first of the object
    uint8_t value;  // that it has
};

// The fields are the implementation's own.
struct guarded {
    struct slabs slabs;
    struct slabs_ops ops;      // of the caller
    struct heap_place *places; // that have ever allocated
};

// As the functions of slabs.h that have these names, with their rules. What is found is told by
// *ret_finding, which is set in any case. Then guarded_alloc returns null, and neither has changed
// anything that others use, but the object that was found is lost.
void guarded_init(struct guarded *guarded, const struct slabs_ops *ops, uint64_t start,
                  uint64_t bytes);
void *guarded_alloc(struct guarded *guarded, unsigned cpu, struct heap_place *place, uint64_t bytes,
                    struct guarded_finding *ret_finding);
void guarded_free(struct guarded *guarded, unsigned cpu, struct heap_place *place, void *object,
                  struct guarded_finding *ret_finding);

// For people, without a newline: what happened to which object, and where it was allocated and
// freed. `place` is where that was found.
void guarded_explain(const struct guarded_finding *finding, const struct heap_place *place,
                     const struct sink *sink);

// --- Leaks: what was allocated and not freed, by place

// From now on only what is allocated later is a leak.
void guarded_mark(struct guarded *guarded);

// How many objects are leaks. Where a place has freed more than it has allocated since the mark it
// counts as none. `sink`, unless null, gets a line for each place, by falling count of objects.
uint64_t guarded_leaks(const struct guarded *guarded, const struct sink *sink);
