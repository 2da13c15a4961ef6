// The address spaces of processes. Each has the kernel half that all spaces share and a lower half
// of its own: a list of areas, ranges with one purpose, whose memory comes when it is touched.
//
// Owns the spaces, their tables and areas, and how many owners each frame of user memory has.
// Frames are zeroed before a process sees them. They go back after the last CPU has forgotten them.
//
// Every call may be made on every CPU at any time, with interrupts on or off; not in an NMI, in a
// machine check, nor between space_begin and space_end (kernel/memory/kernel_space.h), whose lock
// each call takes. A call that returns an error has changed nothing that a process can see, and
// lost no memory; a large page may have been split.
//
// Addresses and sizes are multiples of 4 KiB. The first and the last page of the lower half are
// never mapped: a null pointer faults, and no instruction that ends at the end of user memory
// leads to a non-canonical address.
#pragma once

#include "common/vmem/vmem.h"
#include "kernel/process/areas.h"

#include <stdbool.h>
#include <stdint.h>

enum user_space_status {
    USER_SPACE_OK,
    USER_SPACE_ERR_RANGE,     // empty, not aligned, or not all in the usable lower half
    USER_SPACE_ERR_TAKEN,     // there is an area already
    USER_SPACE_ERR_NONE,      // there is no area
    USER_SPACE_ERR_GUARD,     // the fault is in a guard area
    USER_SPACE_ERR_RIGHTS,    // the area forbids the access; or rights that no area can have
    USER_SPACE_ERR_NO_MEMORY, // frames, tables or heap are exhausted, a frame has 65533 owners, or
                              // a space has USER_AREAS_MAX areas
};

// A few words on `status`, for people; static text.
const char *user_space_status_text(enum user_space_status status);

struct user_space;

// More areas a space cannot have: each that is added or removed moves those behind it.
#define USER_AREAS_MAX 4096

// Makes a space without areas. Error: NO_MEMORY; *ret_space is then untouched.
[[nodiscard]] enum user_space_status user_space_create(struct user_space **ret_space);

// Ends a space in which no CPU runs and of which nobody else knows any more. Null is fine.
void user_space_destroy(struct user_space *space);

// Makes a child that has what its parent has: anonymous memory is copied when one of them writes
// it, shared memory stays shared. Error: NO_MEMORY; *ret_child is then untouched.
[[nodiscard]] enum user_space_status user_space_clone(struct user_space *parent,
                                                      struct user_space **ret_child);

// Runs this CPU in a space from now on; null: the kernel's.
void user_space_load(struct user_space *space);

// --- Areas. Rights are those of vmem.h without VMEM_USER: 0, or VMEM_READ with VMEM_WRITE or
// VMEM_EXECUTE, never both. An area without rights keeps its memory, which ring 3 cannot touch.

// Adds an anonymous or a guard area. Errors: RANGE, RIGHTS (another kind, too), TAKEN, NO_MEMORY.
[[nodiscard]] enum user_space_status user_space_map(struct user_space *space, vaddr_t start,
                                                    uint64_t bytes, unsigned rights,
                                                    enum user_area_kind kind);

// Removes all areas and memory from the range, and cuts areas that stick out; holes are skipped. A
// range that cuts no area and no large page can always be removed.
// Errors: RANGE, NO_MEMORY.
[[nodiscard]] enum user_space_status user_space_unmap(struct user_space *space, vaddr_t start,
                                                      uint64_t bytes);

// Changes the rights of all that lies in the range, and cuts areas that stick out. Errors: RANGE,
// RIGHTS, NONE (some of the range is in no area), NO_MEMORY.
[[nodiscard]] enum user_space_status user_space_protect(struct user_space *space, vaddr_t start,
                                                        uint64_t bytes, unsigned rights);

// --- Shared memory. An object lives until its maker has put it and no area shows it any more.

// Makes an object of `bytes` zeroed bytes, a multiple of 4 KiB. Errors: RANGE, NO_MEMORY;
// *ret_shared is then untouched.
[[nodiscard]] enum user_space_status shared_create(uint64_t bytes, struct shared **ret_shared);

// The maker needs it no more.
void shared_put(struct shared *shared);

// Adds an area that shows the first `bytes` bytes of the object. Errors: RANGE (longer than the
// object, too), RIGHTS, TAKEN, NO_MEMORY.
[[nodiscard]] enum user_space_status user_space_share(struct user_space *space, vaddr_t start,
                                                      uint64_t bytes, unsigned rights,
                                                      struct shared *shared);

// --- Faults

// Gives an access that faulted at `address` what it is missing; `error` is the page fault's error
// code, of which PF_WRITE and PF_FETCH count. OK: try the instruction again. Errors: NONE, GUARD,
// RIGHTS, NO_MEMORY.
[[nodiscard]] enum user_space_status user_space_fault(struct user_space *space, uint64_t address,
                                                      uint64_t error);

// Whether all of [address, address + bytes) lies in areas that have these rights. For the kernel's
// own accesses: in an area without rights they do not fault.
bool user_space_allows(struct user_space *space, uint64_t address, uint64_t bytes, unsigned rights);

// --- What there is

// A number that no other space has, or had.
uint64_t user_space_id(const struct user_space *space);

// What an address translates to now. False if nothing is mapped there.
bool user_space_translate(struct user_space *space, uint64_t address,
                          struct vmem_translation *ret_translation);
