// Where address spaces get their memory from: objects, counted frames, page tables. One place, so
// that a test can refuse any one request.
#pragma once

#include "common/base/addr.h"

#include <stdbool.h>
#include <stdint.h>

// An object of `bytes` bytes of the heap, with any contents; null: no memory.
void *supply_object(uint64_t bytes);

// A frame of counted.h: zeroed, or a copy of another; and a zeroed block. PADDR_NONE: no memory.
paddr_t supply_frame(void);
paddr_t supply_copy(paddr_t source);
paddr_t supply_block(void);

// A frame for a page table, with any contents; PADDR_NONE: no memory.
paddr_t supply_table(void);
void supply_free_table(paddr_t table);

// Asked by whoever gets memory elsewhere: whether this request is to fail.
bool supply_refuses(void);

// --- For the self-test

// Refuses one request, after `count` more have been answered; UINT64_MAX: none.
void supply_refuse(uint64_t count);

// Whether that request has come.
bool supply_has_refused(void);
