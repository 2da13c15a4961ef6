// A page that its owner changes while others use it, and what each access to it has to find.
//
// The owner says in `state` what is true before and after each change, and that it changes in
// between. Who reads or writes the page looks at `state` before and after. If that is the same and
// nothing changes, the access has to find just that: the last change has returned, so no CPU may
// have anything older. Else it may find what was before or what comes, but never memory that has
// been released: that is poisoned, and looked at again some time later, so that neither a read nor
// a write of it is missed.
#pragma once

#include "common/vmem/vmem.h"
#include "kernel/base/this_cpu.h"
#include "kernel/memory/shootdown.h"

#include <stdint.h>

enum {
    PAGES_OF_EACH = 4,
    OWNERS_MAX = 2 * CPUS_MAX, // on each CPU the running code, and an interrupt
    RELEASED_MAX = 8,
};

// Where pages are: in the kernel half, if both are null, or in the lower half of a space.
struct page_space {
    struct vmem *tables;
    struct tlb_space *tlb;
};

struct page {
    uint64_t state;
    uint64_t virt;
    const struct page_space *space;
    struct page_owner *owner;
};

// Who owns pages, and uses those of all others. Each is used in one place at a time.
struct page_owner {
    unsigned number;
    uint64_t random;
    uint64_t changes, accesses, faults, naps, written;
    struct page pages[PAGES_OF_EACH];
    paddr_t released[RELEASED_MAX]; // poisoned, not yet free; or PADDR_NONE
    unsigned released_next;
};

// Starts the owner of this number, whose pages are absent. Page i is in spaces[i].
void page_owner_start(struct page_owner *owner, unsigned number, const struct page_space *spaces);

// A random number below `limit`.
unsigned page_owner_choose(struct page_owner *owner, unsigned limit);

// Maps, replaces, protects or unmaps one of its pages.
void page_owner_change(struct page_owner *owner);

// Reads and writes a page of somebody; panics if that is wrong. It is in the kernel half or in the
// space that this CPU runs in.
void page_use(struct page_owner *owner, const struct page *page);

// Unmaps all its pages and frees what it has released.
void page_owner_end(struct page_owner *owner);
