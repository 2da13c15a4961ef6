// Frames with several owners: a count of owners for each frame, or one for a whole run, above the
// frame allocator. An owner that shares a frame gets it, an owner that no longer needs it puts it,
// and the last put frees it. Optional: the allocator knows nothing of it. The reference kernel
// counts the memory of processes so.
//
// Owns the array of counts, which the caller supplies. A frame that was allocated here is freed by
// frames_owners_put alone; a frame that was allocated by frames_alloc has no count.
//
// Cost: two bytes for each 4 KiB frame of the blocks that exist, 1 KiB for 2 MiB. Nothing for
// holes, and nothing at all for a kernel that does not start it.
//
// A run has one count, that of its first frame, until it is split. The frames behind the first have
// no count, and calls that name one of them are refused. A call that is refused changes nothing.
//
// Several CPUs: every call but frames_owners_init may be made on all CPUs at once, as calls of the
// allocator may: nothing else on that CPU enters before it returns. When two CPUs put the last two
// references, one of them frees the frame, after everything that both did to its memory.
#pragma once

#include "common/frames/frames.h"

enum frames_owners_status {
    FRAMES_OWNERS_OK,
    FRAMES_OWNERS_ERR_ALIGN,   // no frame's address
    FRAMES_OWNERS_ERR_FOREIGN, // a frame that the allocator does not know
    FRAMES_OWNERS_ERR_NONE,    // a frame without owners: free, or not allocated here
    FRAMES_OWNERS_ERR_INSIDE,  // a frame of a run that is not split, and not its first
    FRAMES_OWNERS_ERR_MANY,    // FRAMES_OWNERS_MAX owners already
    FRAMES_OWNERS_ERR_FREE,    // a frame, or one of its run, was freed past its owners
};

const char *frames_owners_status_text(enum frames_owners_status status);

#define FRAMES_OWNERS_MAX 65533

// The fields are the implementation's own.
struct frames_owners {
    struct frames *frames;
    uint16_t *counts; // of each frame that has a slot, in the order of table.h
};

// Bytes that the counts need; the allocator has been started.
uint64_t frames_owners_bytes(const struct frames *frames);

// Starts with no frame owned. `memory`, `bytes` bytes that are aligned as uint16_t is, stays the
// module's for good; its first frames_owners_bytes() are used, their contents do not matter. Frames
// that are reclaimed later have their counts already. Error: FRAMES_ERR_METADATA, too few bytes or
// not aligned; `owners` is then unusable.
[[nodiscard]] enum frames_status frames_owners_init(struct frames_owners *owners,
                                                    struct frames *frames, void *memory,
                                                    uint64_t bytes);

// Allocates one frame with one owner. Errors: those of frames_alloc.
[[nodiscard]] enum frames_status frames_owners_alloc(struct frames_owners *owners, unsigned cpu,
                                                     enum frames_zone zone, paddr_t *ret_frame);

// Allocates a run with one owner for all of it. Errors: those of frames_alloc_run.
[[nodiscard]] enum frames_status frames_owners_alloc_run(struct frames_owners *owners, unsigned cpu,
                                                         const struct frames_request *request,
                                                         paddr_t *ret_first);

// Adds an owner, such as another address space, to a frame, or to the run that begins with it. The
// caller is an owner itself, or knows that one stays until the call returns. Errors: ALIGN,
// FOREIGN, NONE, INSIDE, MANY.
[[nodiscard]] enum frames_owners_status frames_owners_get(struct frames_owners *owners,
                                                          paddr_t first);

// Takes an owner away; the last put frees the frame or the run. *ret_freed: how many frames it
// freed, 0 while there are owners. Errors: ALIGN, FOREIGN, NONE, INSIDE, and FREE, if the allocator
// refused to free the frames: then they have no owners. On an error *ret_freed is untouched.
[[nodiscard]] enum frames_owners_status
frames_owners_put(struct frames_owners *owners, unsigned cpu, paddr_t first, uint64_t *ret_freed);

// Splits a run into single frames, each with a count that begins as the run's: an owner of the run
// owns every frame of it now, and puts them one by one. A single frame stays what it is. Errors:
// ALIGN, FOREIGN, NONE, INSIDE.
[[nodiscard]] enum frames_owners_status frames_owners_split(struct frames_owners *owners,
                                                            paddr_t first);

// How many owners a frame has, or the run that begins with it; 0 for every other frame.
unsigned frames_owners_count(const struct frames_owners *owners, paddr_t first);
