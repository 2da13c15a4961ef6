// Memory at an address that is the same at every start, in which a kernel's last report outlives a
// reset. Owns the choice of the address; common/crash/crash.h says what may stand there.
//
// Nothing is allocated of the firmware, which would cost more than all the rest: free memory that
// the loader leaves alone is its own once the firmware has left.
#pragma once

#include "common/crash/crash.h"
#include "common/memmap/region.h"

#include <stdbool.h>

enum { CRASH_ROOM_BYTES = 2 * 4096 };

// Of the normalised memory map: the address of memory that is free, or 0. Says in the log and on
// the firmware's console if there is a report, when it was made, and how it begins.
uint64_t crash_room_find(const struct memmap_region *regions, uint64_t count);

// After the exit: the report in the room at `phys`, its text fit to be shown and with a NUL behind
// it, in place; it is no record any more. No text: there is none.
struct crash_found crash_room_take(uint64_t phys);
