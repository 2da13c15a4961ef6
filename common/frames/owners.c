// Counts of owners, without locks: each change is one exchange of one entry.
#include "common/frames/owners.h"

#include "common/frames/table.h"

// What a frame's entry says, if it is no count of owners. A run of four frames with two owners, at
// frame 8 (frame 12 is alone, with one owner):
//
//     frame    7      8       9       10      11      12
//     entry    NONE   2       INSIDE  INSIDE  INSIDE  1
//
// A CPU that splits or frees the run exchanges the 2, or the last 1, for BUSY. From then on it
// alone writes the entries of the run, from the last to the first, and others wait (await_count).
enum {
    COUNT_NONE = 0,        // no owner
    COUNT_BUSY = 0xfffe,   // a CPU is splitting or freeing the run that begins here
    COUNT_INSIDE = 0xffff, // belongs to the run that begins at the nearest frame below without this
};
_Static_assert(FRAMES_OWNERS_MAX == COUNT_BUSY - 1);

const char *frames_owners_status_text(enum frames_owners_status status) {
    static const char texts[][40] = {
        [FRAMES_OWNERS_OK] = "done",
        [FRAMES_OWNERS_ERR_ALIGN] = "not aligned",
        [FRAMES_OWNERS_ERR_FOREIGN] = "not a frame of the allocator",
        [FRAMES_OWNERS_ERR_NONE] = "without owners",
        [FRAMES_OWNERS_ERR_INSIDE] = "inside a run",
        [FRAMES_OWNERS_ERR_MANY] = "too many owners",
        [FRAMES_OWNERS_ERR_FREE] = "freed past its owners",
    };
    return (unsigned)status < ARRAY_LEN(texts) ? texts[status] : "unknown";
}

uint64_t frames_owners_bytes(const struct frames *frames) {
    return table_entries(frames) * sizeof(uint16_t);
}

enum frames_status frames_owners_init(struct frames_owners *owners, struct frames *frames,
                                      void *memory, uint64_t bytes) {
    *owners = (struct frames_owners){.frames = frames, .counts = memory};
    if (bytes < frames_owners_bytes(frames) || !is_aligned((uintptr_t)memory, _Alignof(uint16_t)))
        return FRAMES_ERR_METADATA;
    for (uint64_t i = 0; i < table_entries(frames); i++)
        owners->counts[i] = COUNT_NONE;
    return FRAMES_OK;
}

// --- Entries

static uint16_t load(const uint16_t *entry) {
    return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static void store(uint16_t *entry, uint16_t value) {
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

// Writes `next` if the entry still is `value`; true if so. Acquire and release: whatever an owner
// did to the frame before its put is done before another CPU's last put frees the frame.
static bool exchange(uint16_t *entry, uint16_t value, uint16_t next) {
    return __atomic_compare_exchange_n(entry, &value, next, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

// Null if the frame has no slot.
static uint16_t *entry_of(const struct frames_owners *owners, frame_t frame) {
    uint64_t entry = table_entry(owners->frames, frame);
    return entry == NO_ENTRY ? NULL : &owners->counts[entry];
}

static bool is_inside(const struct frames_owners *owners, frame_t frame) {
    const uint16_t *entry = entry_of(owners, frame);
    return entry != NULL && load(entry) == COUNT_INSIDE;
}

// Whether a CPU is splitting or freeing the run that has `frame` inside.
static bool run_is_busy(const struct frames_owners *owners, frame_t frame) {
    ASSERT(frame.value != 0);
    do
        frame.value--;
    while (is_inside(owners, frame));
    const uint16_t *entry = entry_of(owners, frame);
    return entry != NULL && load(entry) == COUNT_BUSY;
}

// What the entry of `frame` says once no CPU is splitting or freeing its run.
static uint16_t await_count(const struct frames_owners *owners, frame_t frame,
                            const uint16_t *entry) {
    for (;;) {
        uint16_t value = load(entry);
        if (value != COUNT_BUSY && value != COUNT_INSIDE)
            return value;
        // The second load is for a split that ends between the first load and run_is_busy:
        //
        //     this CPU                           the CPU that splits
        //     loads the entry: INSIDE
        //                                        writes the entry: 2, then the run's first: 2
        //     run_is_busy: no
        //     loads the entry again: 2, so the frame is inside no longer
        if (value == COUNT_INSIDE && !run_is_busy(owners, frame) && load(entry) == COUNT_INSIDE)
            return value;
        __builtin_ia32_pause();
    }
}

static enum frames_owners_status find(const struct frames_owners *owners, paddr_t first,
                                      uint16_t **ret_entry) {
    if (!is_aligned(first.value, FRAME_BYTES))
        return FRAMES_OWNERS_ERR_ALIGN;
    *ret_entry = entry_of(owners, frame_of(first));
    return *ret_entry != NULL ? FRAMES_OWNERS_OK : FRAMES_OWNERS_ERR_FOREIGN;
}

// What a count becomes; COUNT_NONE if it must not change.
typedef uint16_t (*next_count)(uint16_t count);

// Changes a count; *ret_count is what it was before.
static enum frames_owners_status change(struct frames_owners *owners, paddr_t first,
                                        next_count next, uint16_t *ret_count) {
    uint16_t *entry;
    enum frames_owners_status status = find(owners, first, &entry);
    if (status != FRAMES_OWNERS_OK)
        return status;
    for (;;) {
        uint16_t count = await_count(owners, frame_of(first), entry);
        if (count == COUNT_NONE)
            return FRAMES_OWNERS_ERR_NONE;
        if (count == COUNT_INSIDE)
            return FRAMES_OWNERS_ERR_INSIDE;
        if (next(count) == COUNT_NONE)
            return FRAMES_OWNERS_ERR_MANY;
        if (!exchange(entry, count, next(count)))
            continue;
        *ret_count = count;
        return FRAMES_OWNERS_OK;
    }
}

// --- Runs

// Frames of the run that begins at `first` and is busy: no other CPU changes its entries.
static uint64_t run_frames(const struct frames_owners *owners, frame_t first) {
    ASSERT(load(entry_of(owners, first)) == COUNT_BUSY);
    uint64_t count = 1;
    while (is_inside(owners, frame_add(first, count)))
        count++;
    return count;
}

static bool fill_inside(struct frames *frames, struct frames_arena *arena, const struct part *part,
                        void *counts) {
    uint16_t *entry = (uint16_t *)counts + table_entry_of_part(frames, arena, part);
    for (uint64_t i = 0; i < part->count; i++)
        store(&entry[i], COUNT_INSIDE);
    return true;
}

// Adds the first owner of a run that was just allocated. The count comes last: before it the frames
// behind the first are INSIDE already.
static void own(struct frames_owners *owners, paddr_t first, uint64_t count) {
    ASSERT(count != 0);
    frame_t frame = frame_of(first);
    (void)frames_for_parts(owners->frames, frame_add(frame, 1), count - 1, fill_inside,
                           owners->counts);
    store(entry_of(owners, frame), 1);
}

// Sets the entries of a busy run, from the last to the first. A CPU that meets an INSIDE looks for
// the start of the run, and must find it BUSY for as long as any INSIDE is left.
static void set_all(struct frames_owners *owners, frame_t first, uint64_t count, uint16_t value) {
    ASSERT(count != 0 && load(entry_of(owners, first)) == COUNT_BUSY);
    while (count-- != 0)
        store(entry_of(owners, frame_add(first, count)), value);
}

// --- Calls

enum frames_status frames_owners_alloc(struct frames_owners *owners, unsigned cpu,
                                       enum frames_zone zone, paddr_t *ret_frame) {
    enum frames_status status = frames_alloc(owners->frames, cpu, zone, ret_frame);
    if (status == FRAMES_OK)
        own(owners, *ret_frame, 1);
    return status;
}

enum frames_status frames_owners_alloc_run(struct frames_owners *owners, unsigned cpu,
                                           const struct frames_request *request,
                                           paddr_t *ret_first) {
    enum frames_status status = frames_alloc_run(owners->frames, cpu, request, ret_first);
    if (status == FRAMES_OK)
        own(owners, *ret_first, request->count);
    return status;
}

static uint16_t one_more(uint16_t count) {
    return count == FRAMES_OWNERS_MAX ? COUNT_NONE : (uint16_t)(count + 1);
}

static uint16_t one_less(uint16_t count) {
    return count == 1 ? COUNT_BUSY : (uint16_t)(count - 1);
}

static uint16_t busy(uint16_t count) {
    (void)count;
    return COUNT_BUSY;
}

enum frames_owners_status frames_owners_get(struct frames_owners *owners, paddr_t first) {
    uint16_t count;
    return change(owners, first, one_more, &count);
}

enum frames_owners_status frames_owners_put(struct frames_owners *owners, unsigned cpu,
                                            paddr_t first, uint64_t *ret_freed) {
    uint16_t count;
    enum frames_owners_status status = change(owners, first, one_less, &count);
    if (status != FRAMES_OWNERS_OK)
        return status;
    if (count != 1) {
        *ret_freed = 0;
        return FRAMES_OWNERS_OK;
    }
    // The entries become NONE before the frames are free: once they are free, another CPU may
    // allocate them and write entries of its own.
    uint64_t frames = run_frames(owners, frame_of(first));
    set_all(owners, frame_of(first), frames, COUNT_NONE);
    bool is_single = frames == 1; // which is freed faster
    enum frames_status freed = is_single ? frames_free(owners->frames, cpu, first)
                                         : frames_free_run(owners->frames, cpu, first, frames);
    if (freed != FRAMES_OK)
        return FRAMES_OWNERS_ERR_FREE;
    *ret_freed = frames;
    return FRAMES_OWNERS_OK;
}

enum frames_owners_status frames_owners_split(struct frames_owners *owners, paddr_t first) {
    uint16_t count;
    enum frames_owners_status status = change(owners, first, busy, &count);
    if (status != FRAMES_OWNERS_OK)
        return status;
    frame_t frame = frame_of(first);
    set_all(owners, frame, run_frames(owners, frame), count);
    return FRAMES_OWNERS_OK;
}

unsigned frames_owners_count(const struct frames_owners *owners, paddr_t first) {
    uint16_t *entry;
    if (find(owners, first, &entry) != FRAMES_OWNERS_OK)
        return 0;
    uint16_t count = await_count(owners, frame_of(first), entry);
    return count == COUNT_INSIDE ? 0 : count;
}
