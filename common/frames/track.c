// Tracking: who allocated which frame, and when.
//
// The entry of a frame is 0, or 10 bits for the row of the place that allocated it and, above them,
// the last moment before that. One lock covers an allocation together with its entries, and a free
// together with its: without it
//
//     CPU 0                     CPU 1
//     frees the frame
//                               allocates the frame, and remembers its place
//     forgets the frame         (and with it the place of CPU 1)
//
// The lock makes all CPUs take turns, which is what the option costs.
#include "common/frames/track.h"

#include "common/base/fmt.h"
#include "common/frames/table.h"

#ifdef FRAMES_TRACKING

#define PLACE_BITS 10
#define PLACE_MASK ((UINT32_C(1) << PLACE_BITS) - 1)
#define ELSEWHERE  (FRAMES_PLACES_MAX + 1)
_Static_assert(ELSEWHERE <= PLACE_MASK);
_Static_assert(FRAMES_MOMENTS_MAX == UINT32_MAX >> PLACE_BITS);

static uint32_t track_lock; // for `trackers`, what they refer to, and the allocators
static struct frames_track *trackers;

// --- Places

static struct frames_place *places[FRAMES_PLACES_MAX]; // filled from the start, never emptied
static struct frames_place elsewhere = {
    .file = "elsewhere", .function = "too many places", .row = ELSEWHERE};

static int compare_texts(const char *left, const char *right) {
    while (*left != '\0' && *left == *right) {
        left++;
        right++;
    }
    return (unsigned char)*left - (unsigned char)*right;
}

static int compare_places(const struct frames_place *left, const struct frames_place *right) {
    int order = compare_texts(left->file, right->file);
    if (order == 0)
        order = (left->line > right->line) - (left->line < right->line);
    return order != 0 ? order : compare_texts(left->function, right->function);
}

// Enters a place into the first empty row of the table, unless it is there already. That needs no
// lock: a row that is filled stays as it is.
static uint32_t enter_place(struct frames_place *place) {
    for (uint32_t i = 0; i < FRAMES_PLACES_MAX; i++) {
        struct frames_place *entered = NULL;
        if (__atomic_compare_exchange_n(&places[i], &entered, place, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE) ||
            compare_places(entered, place) == 0)
            return i + 1;
    }
    return ELSEWHERE;
}

static uint32_t place_row(struct frames_place *place) {
    uint32_t row = __atomic_load_n(&place->row, __ATOMIC_RELAXED);
    if (row == 0) {
        row = enter_place(place);
        __atomic_store_n(&place->row, row, __ATOMIC_RELAXED);
    }
    return row;
}

// Null if the table has no such row.
static struct frames_place *place_of_row(uint32_t row) {
    ASSERT(row != 0 && row <= ELSEWHERE);
    return row == ELSEWHERE ? &elsewhere : __atomic_load_n(&places[row - 1], __ATOMIC_ACQUIRE);
}

// --- Trackers

uint64_t frames_track_bytes(const struct frames *frames) {
    return table_entries(frames) * sizeof(uint32_t);
}

enum frames_status frames_track_start(struct frames_track *track, const struct frames *frames,
                                      void *memory, uint64_t bytes) {
    if (bytes < frames_track_bytes(frames) || !is_aligned((uintptr_t)memory, _Alignof(uint32_t)))
        return FRAMES_ERR_METADATA;
    *track = (struct frames_track){.frames = frames, .entries = memory};
    for (uint64_t i = 0; i < table_entries(frames); i++)
        track->entries[i] = 0;
    lock_word(&track_lock);
    track->next = trackers;
    trackers = track;
    unlock_word(&track_lock);
    return FRAMES_OK;
}

void frames_track_stop(struct frames_track *track) {
    lock_word(&track_lock);
    struct frames_track **link = &trackers;
    while (*link != NULL && *link != track)
        link = &(*link)->next;
    if (*link != NULL)
        *link = track->next;
    unlock_word(&track_lock);
}

// Under the lock. Null if the allocator is not tracked.
static struct frames_track *tracker_of(const struct frames *frames) {
    ASSERT(track_lock != 0);
    struct frames_track *track = trackers;
    while (track != NULL && track->frames != frames)
        track = track->next;
    return track;
}

// --- Entries

struct filling {
    uint32_t *entries;
    uint32_t value;
};

static bool fill_entries(struct frames *frames, struct frames_arena *arena, const struct part *part,
                         void *argument) {
    const struct filling *filling = argument;
    uint32_t *entry = filling->entries + table_entry_of_part(frames, arena, part);
    for (uint64_t i = 0; i < part->count; i++)
        __atomic_store_n(&entry[i], filling->value, __ATOMIC_RELAXED);
    return true;
}

// Remembers, of frames that were just allocated, this place; null forgets them.
static void remember(struct frames *frames, paddr_t first, uint64_t count,
                     struct frames_place *place) {
    ASSERT(track_lock != 0);
    const struct frames_track *track = tracker_of(frames);
    if (track == NULL)
        return;
    struct filling filling = {.entries = track->entries};
    if (place != NULL)
        filling.value = track->moment << PLACE_BITS | place_row(place);
    (void)frames_for_parts(frames, frame_of(first), count, fill_entries, &filling);
}

// --- The calls. Names in parentheses are the functions, not the macros.

enum frames_status frames_alloc_from(struct frames_place *place, struct frames *frames,
                                     unsigned cpu, enum frames_zone zone, paddr_t *ret_frame) {
    lock_word(&track_lock);
    enum frames_status status = (frames_alloc)(frames, cpu, zone, ret_frame);
    if (status == FRAMES_OK)
        remember(frames, *ret_frame, 1, place);
    unlock_word(&track_lock);
    return status;
}

enum frames_status frames_alloc_run_from(struct frames_place *place, struct frames *frames,
                                         unsigned cpu, const struct frames_request *request,
                                         paddr_t *ret_first) {
    lock_word(&track_lock);
    enum frames_status status = (frames_alloc_run)(frames, cpu, request, ret_first);
    if (status == FRAMES_OK)
        remember(frames, *ret_first, request->count, place);
    unlock_word(&track_lock);
    return status;
}

enum frames_status frames_alloc_at_from(struct frames_place *place, struct frames *frames,
                                        unsigned cpu, paddr_t first, uint64_t count) {
    lock_word(&track_lock);
    enum frames_status status = (frames_alloc_at)(frames, cpu, first, count);
    if (status == FRAMES_OK)
        remember(frames, first, count, place);
    unlock_word(&track_lock);
    return status;
}

enum frames_status frames_track_free(struct frames *frames, unsigned cpu, paddr_t frame) {
    lock_word(&track_lock);
    enum frames_status status = (frames_free)(frames, cpu, frame);
    if (status == FRAMES_OK)
        remember(frames, frame, 1, NULL);
    unlock_word(&track_lock);
    return status;
}

enum frames_status frames_track_free_run(struct frames *frames, unsigned cpu, paddr_t first,
                                         uint64_t count) {
    lock_word(&track_lock);
    enum frames_status status = (frames_free_run)(frames, cpu, first, count);
    if (status == FRAMES_OK)
        remember(frames, first, count, NULL);
    unlock_word(&track_lock);
    return status;
}

enum frames_status frames_owners_alloc_from(struct frames_place *place,
                                            struct frames_owners *owners, unsigned cpu,
                                            enum frames_zone zone, paddr_t *ret_frame) {
    lock_word(&track_lock);
    enum frames_status status = (frames_owners_alloc)(owners, cpu, zone, ret_frame);
    if (status == FRAMES_OK)
        remember(owners->frames, *ret_frame, 1, place);
    unlock_word(&track_lock);
    return status;
}

enum frames_status frames_owners_alloc_run_from(struct frames_place *place,
                                                struct frames_owners *owners, unsigned cpu,
                                                const struct frames_request *request,
                                                paddr_t *ret_first) {
    lock_word(&track_lock);
    enum frames_status status = (frames_owners_alloc_run)(owners, cpu, request, ret_first);
    if (status == FRAMES_OK)
        remember(owners->frames, *ret_first, request->count, place);
    unlock_word(&track_lock);
    return status;
}

enum frames_owners_status frames_track_owners_put(struct frames_owners *owners, unsigned cpu,
                                                  paddr_t first, uint64_t *ret_freed) {
    lock_word(&track_lock);
    enum frames_owners_status status = (frames_owners_put)(owners, cpu, first, ret_freed);
    if (status == FRAMES_OWNERS_OK)
        remember(owners->frames, first, *ret_freed, NULL);
    unlock_word(&track_lock);
    return status;
}

// --- What is still allocated

static uint32_t report_lock; // for frames_place.frames

static uint64_t count_allocated(const struct frames_track *track, struct frames_moment moment) {
    uint64_t allocated = 0;
    elsewhere.frames = 0;
    struct frames_place *place;
    for (uint32_t i = 0; i < FRAMES_PLACES_MAX && (place = place_of_row(i + 1)) != NULL; i++)
        place->frames = 0;
    for (uint64_t i = 0; i < table_entries(track->frames); i++) {
        uint32_t entry = __atomic_load_n(&track->entries[i], __ATOMIC_RELAXED);
        if (entry == 0 || entry >> PLACE_BITS < moment.index)
            continue;
        place_of_row(entry & PLACE_MASK)->frames++;
        allocated++;
    }
    return allocated;
}

// The place that frames_leaks lists first of those whose `frames` is not 0; null if there is none.
static struct frames_place *foremost(void) {
    struct frames_place *best = elsewhere.frames != 0 ? &elsewhere : NULL;
    for (uint32_t i = 0; i < FRAMES_PLACES_MAX; i++) {
        struct frames_place *place = place_of_row(i + 1);
        if (place == NULL)
            break;
        if (place->frames == 0)
            continue;
        if (best == NULL || place->frames > best->frames ||
            (place->frames == best->frames && compare_places(place, best) < 0))
            best = place;
    }
    return best;
}

uint64_t frames_leaks_since(const struct frames *frames, struct frames_moment moment,
                            frames_leak_visit visit, void *context) {
    lock_word(&track_lock);
    const struct frames_track *track = tracker_of(frames);
    unlock_word(&track_lock);
    if (track == NULL)
        return 0;
    lock_word(&report_lock);
    uint64_t allocated = count_allocated(track, moment);
    struct frames_place *place;
    while (visit != NULL && (place = foremost()) != NULL) {
        struct frames_leak leak = {place, place->frames, place->frames * FRAME_BYTES};
        visit(context, &leak);
        place->frames = 0;
    }
    unlock_word(&report_lock);
    return allocated;
}

uint64_t frames_leaks(const struct frames *frames, frames_leak_visit visit, void *context) {
    return frames_leaks_since(frames, FRAMES_MOMENT_START, visit, context);
}

struct frames_moment frames_track_moment(const struct frames *frames) {
    struct frames_moment moment = FRAMES_MOMENT_START;
    lock_word(&track_lock);
    struct frames_track *track = tracker_of(frames);
    if (track != NULL) {
        track->moment += track->moment < FRAMES_MOMENTS_MAX;
        moment.index = track->moment;
    }
    unlock_word(&track_lock);
    return moment;
}

static void print_leak(void *context, const struct frames_leak *leak) {
    fmt_print(context, "%8lu frames, %10lu KiB: %s:%u %s\n", leak->frames, leak->bytes / 1024,
              leak->place->file, leak->place->line, leak->place->function);
}

void frames_leaks_print(const struct frames *frames, struct frames_moment moment,
                        const struct sink *sink) {
    struct sink copy = *sink;
    uint64_t allocated = frames_leaks_since(frames, moment, print_leak, &copy);
    fmt_print(sink, "%8lu frames, %10lu KiB still allocated\n", allocated,
              allocated * FRAME_BYTES / 1024);
}

#endif
