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

// Adds an owner to the first frame or block of a range. Returns its bytes, 0 if it has too many.
static uint64_t get_first(paddr_t first, uint64_t bytes) {
    (void)bytes;
    enum frames_owners_status status = frames_owners_get(owners(), first);
    if (status == FRAMES_OWNERS_ERR_MANY)
        return 0;
    if (status != FRAMES_OWNERS_OK)
        fail(first, "get an owner", status);
    return begins_with_block(first, bytes) ? BLOCK_BYTES : FRAME_BYTES;
}

static uint64_t put_first(paddr_t first, uint64_t bytes) {
    uint64_t step = begins_with_block(first, bytes) ? BLOCK_BYTES : FRAME_BYTES;
    uint64_t freed;
    enum frames_owners_status status = frames_owners_put(owners(), this_cpu(), first, &freed);
    if (status != FRAMES_OWNERS_OK)
        fail(first, "lose an owner", status);
    return step;
}

// Changes the first frame or block of a range.
static uint64_t change_first(uint64_t (*change)(paddr_t first, uint64_t bytes), paddr_t first,
                             uint64_t bytes) {
    bool may_be_block = is_aligned(first.value, BLOCK_BYTES) && bytes >= BLOCK_BYTES;
    bool were_on = cpu_interrupts_save();
    if (may_be_block)
        lock_blocks();
    uint64_t changed = change(first, bytes);
    if (may_be_block)
        unlock_blocks();
    cpu_interrupts_restore(were_on);
    return changed;
}

bool counted_get(paddr_t first, uint64_t bytes) {
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t more = change_first(get_first, paddr_add(first, done), bytes - done);
        if (more == 0) {
            counted_put(first, done);
            return false;
        }
        done += more;
    }
    return true;
}

void counted_put(paddr_t first, uint64_t bytes) {
    for (uint64_t done = 0; done < bytes;)
        done += change_first(put_first, paddr_add(first, done), bytes - done);
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
