// The counts of owners. A frame's count is changed without a lock. What a lock is for:
//
//     this CPU puts a block                another CPU splits it, for its own space
//     finds one count for 512 frames
//                                          gives each of the 512 frames that count
//     puts the first frame
//
// The other 511 frames would have an owner for good. So who splits, and who has found a block and
// changes its count, does that under one lock. A frame that is no block never becomes one, so that
// all others need none.
#include "kernel/memory/counted.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "kernel/base/panic.h"
#include "kernel/base/this_cpu.h"
#include "kernel/memory/memory_state.h"

static bool blocks_are_locked;

// Nobody waits for another CPU while he has the lock.
static void lock_blocks(void) {
    while (__atomic_exchange_n(&blocks_are_locked, true, __ATOMIC_ACQUIRE))
        cpu_pause();
}

static void unlock_blocks(void) {
    __atomic_store_n(&blocks_are_locked, false, __ATOMIC_RELEASE);
}

static struct frames_owners *owners(void) {
    return &kernel_memory.owners;
}

// ---- Allocation

enum frames_status counted_alloc_zeroed_from(struct frames_place *place, paddr_t *ret_frame) {
    bool were_on = cpu_interrupts_save();
    enum frames_status status =
        frames_owners_alloc_from(place, owners(), this_cpu(), FRAMES_ANY, ret_frame);
    cpu_interrupts_restore(were_on);
    if (status == FRAMES_OK)
        memset(memory_frame_bytes(*ret_frame), 0, FRAME_BYTES);
    return status;
}

enum frames_status counted_alloc_block_zeroed_from(struct frames_place *place, paddr_t *ret_block) {
    static const struct frames_request block = {.count = FRAMES_PER_2M, .align = FRAMES_PER_2M};
    bool were_on = cpu_interrupts_save();
    enum frames_status status =
        frames_owners_alloc_run_from(place, owners(), this_cpu(), &block, ret_block);
    cpu_interrupts_restore(were_on);
    if (status == FRAMES_OK)
        memory_zero(*ret_block, FRAMES_PER_2M);
    return status;
}

enum frames_status counted_alloc_copy_from(struct frames_place *place, paddr_t source,
                                           paddr_t *ret_frame) {
    bool were_on = cpu_interrupts_save();
    enum frames_status status =
        frames_owners_alloc_from(place, owners(), this_cpu(), FRAMES_ANY, ret_frame);
    cpu_interrupts_restore(were_on);
    if (status == FRAMES_OK)
        memcpy(memory_frame_bytes(*ret_frame), memory_frame_bytes(source), FRAME_BYTES);
    return status;
}

// ---- Ranges

// Whether a range begins with a block, whose frames behind the first have no counts. All other
// frames of the range have some, since the caller owns them.
static bool begins_with_block(paddr_t first, uint64_t bytes) {
    return is_aligned(first.value, BLOCK_BYTES) && bytes >= BLOCK_BYTES &&
           frames_owners_count(owners(), paddr_add(first, FRAME_BYTES)) == 0;
}

[[gnu::noreturn]] static void fail(paddr_t frame, const char *what,
                                   enum frames_owners_status status) {
    panic("frame 0x%lx cannot %s: %s", frame.value, what, frames_owners_status_text(status));
}

// Whether a range begins with a block: then with the lock, until unlock_blocks.
static bool lock_block(paddr_t first, uint64_t bytes) {
    if (!is_aligned(first.value, BLOCK_BYTES) || bytes < BLOCK_BYTES)
        return false;
    lock_blocks();
    if (begins_with_block(first, bytes))
        return true;
    unlock_blocks();
    return false;
}

static bool get(paddr_t first) {
    enum frames_owners_status status = frames_owners_get(owners(), first);
    if (status != FRAMES_OWNERS_OK && status != FRAMES_OWNERS_ERR_MANY)
        fail(first, "get an owner", status);
    return status == FRAMES_OWNERS_OK;
}

static void put(paddr_t first) {
    uint64_t freed;
    enum frames_owners_status status = frames_owners_put(owners(), this_cpu(), first, &freed);
    if (status != FRAMES_OWNERS_OK)
        fail(first, "lose an owner", status);
}

// Up to the next place where a block can begin: so long are interrupts off.
static uint64_t part_of(paddr_t first, uint64_t bytes) {
    return min_u64(bytes, BLOCK_BYTES - (first.value & (BLOCK_BYTES - 1)));
}

// Adds an owner to all frames of a part, or to its block. Returns the bytes that got one.
static uint64_t get_part(paddr_t first, uint64_t bytes) {
    if (lock_block(first, bytes)) {
        bool is_done = get(first);
        unlock_blocks();
        return is_done ? bytes : 0;
    }
    uint64_t done = 0;
    while (done < bytes && get(paddr_add(first, done)))
        done += FRAME_BYTES;
    return done;
}

static void put_part(paddr_t first, uint64_t bytes) {
    if (lock_block(first, bytes)) {
        put(first);
        unlock_blocks();
        return;
    }
    for (uint64_t done = 0; done < bytes; done += FRAME_BYTES)
        put(paddr_add(first, done));
}

bool counted_get(paddr_t first, uint64_t bytes) {
    uint64_t part;
    for (uint64_t done = 0; done < bytes; done += part) {
        paddr_t at = paddr_add(first, done);
        part = part_of(at, bytes - done);
        bool were_on = cpu_interrupts_save();
        uint64_t got = get_part(at, part);
        cpu_interrupts_restore(were_on);
        if (got != part) {
            counted_put(first, done + got);
            return false;
        }
    }
    return true;
}

void counted_put(paddr_t first, uint64_t bytes) {
    uint64_t part;
    for (uint64_t done = 0; done < bytes; done += part) {
        paddr_t at = paddr_add(first, done);
        part = part_of(at, bytes - done);
        bool were_on = cpu_interrupts_save();
        put_part(at, part);
        cpu_interrupts_restore(were_on);
    }
}

void counted_split(paddr_t block) {
    bool were_on = cpu_interrupts_save();
    lock_blocks();
    enum frames_owners_status status = frames_owners_split(owners(), block);
    unlock_blocks();
    cpu_interrupts_restore(were_on);
    if (status != FRAMES_OWNERS_OK)
        fail(block, "be split", status);
}

uint64_t counted_alike(paddr_t first, uint64_t bytes, bool *ret_alone) {
    uint64_t done = 0;
    while (done < bytes) {
        paddr_t at = paddr_add(first, done);
        unsigned count = frames_owners_count(owners(), at);
        if (done == 0)
            *ret_alone = count == 1;
        else if ((count == 1) != *ret_alone)
            break;
        done += begins_with_block(at, bytes - done) ? BLOCK_BYTES : FRAME_BYTES;
    }
    return done;
}
