// What the files of the address spaces share: a space as it is, and the lock around each change.
#pragma once

#include "kernel/memory/counted.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/shootdown.h"
#include "kernel/process/user_space.h"

struct user_space {
    struct vmem tables;
    struct tlb_space tlb;
    struct areas areas;
    uint64_t table_count;    // of the lower half, and the root
    struct user_space *next; // in the list of all spaces
};

// Begins a change, with an empty record; ends it. What was unmapped loses an owner when all CPUs
// have forgotten it: after the end, or in space_flush.
//
// Other CPUs may use what was there before until then, and may make changes of their own from the
// end on. A change that rests on no CPU using what was there is flushed before its end.
void space_change_begin(struct user_space *space, struct vmem_flush *flush);
void space_change_end(struct user_space *space, struct vmem_flush *flush);

// As space_change_begin, of the space with the lowest number from `id` on. Null: there is none, and
// no change has begun.
struct user_space *space_change_begin_from(uint64_t id, struct vmem_flush *flush);

// Flushes what has been changed so far.
static inline void space_flush(const struct user_space *space, struct vmem_flush *flush) {
    vmem_flush_finish(&space->tables, flush);
}

// --- Between begin and end

// Checks a range of user memory, and rights that an area can have.
[[nodiscard]] enum user_space_status space_check_range(const struct user_space *space,
                                                       vaddr_t start, uint64_t bytes);
[[nodiscard]] enum user_space_status space_check_rights(unsigned rights);

// Room for `more` areas. False: no memory.
[[nodiscard]] bool space_make_room(struct user_space *space, uint32_t more);

// Rights of a leaf that shows memory of an area. Memory that is not the area's alone, and is to be
// copied when it is written, cannot be written.
unsigned space_leaf_rights(const struct area *area, bool is_alone);

// The first run of what is mapped in [from, end). False: nothing is.
bool space_find_run(const struct user_space *space, uint64_t from, uint64_t end,
                    struct vmem_run *ret_run);

// Makes the 2 MiB leaf that `address` is in 512 small ones, if it is in one, and a block of frames
// 512 counted ones. False: no memory.
[[nodiscard]] bool space_split_leaf(struct user_space *space, uint64_t address,
                                    struct vmem_flush *flush);

// Changes the rights of whole leaves, which needs no memory.
void space_set_rights(struct user_space *space, uint64_t start, uint64_t bytes, unsigned rights,
                      struct vmem_flush *flush);

// Makes large leaves of small ones that have become whole 2 MiB parts of the area again, each frame
// owned alone, as far as the parts have to do with the range.
void space_merge_parts(struct user_space *space, const struct area *area, uint64_t start,
                       uint64_t end, struct vmem_flush *flush);

// --- Shared objects

void shared_get(struct shared *shared);
uint64_t shared_bytes(const struct shared *shared);

// The frame that is `offset` bytes from the object's start.
paddr_t shared_frame(const struct shared *shared, uint64_t offset);
