#include "kernel/memory/guarded.h"

#include "common/base/addr.h"
#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

// What stands before an object, and behind it.
struct header {
    uint64_t state; // LIVE or FREE, with the address; else nobody has had it yet
    uint64_t bytes;
    struct heap_place *allocated, *freed;
};

enum {
    LINKS_BYTES = sizeof(struct slabs_object),
    REDZONE_BYTES = 16, // at least, on either side
    BEFORE_BYTES = LINKS_BYTES + sizeof(struct header) + REDZONE_BYTES,
    FILL_REDZONE = 0xBD,
    FILL_FREE = 0xDF,
    FILL_FRESH = 0xF5,
};
_Static_assert(BEFORE_BYTES % SLABS_ALIGN == 0, "an object is aligned as those of slabs.h are");

#define STATE_LIVE  UINT64_C(0x6576696c6576696c)
#define STATE_FREE  UINT64_C(0x6565726665657266)
#define STATE_FRESH (UINT64_C(0x0101010101010101) * FILL_FRESH)

// An object, taken apart.
struct view {
    struct header *header;
    uint8_t *object;
    uint8_t *end; // of the redzone behind it
};

static struct view view_of(void *raw, uint64_t raw_bytes) {
    uint8_t *bytes = raw;
    return (struct view){
        .header = (struct header *)(void *)(bytes + LINKS_BYTES),
        .object = bytes + BEFORE_BYTES,
        .end = bytes + raw_bytes,
    };
}

static uint64_t state_of(const struct view *view, uint64_t state) {
    return state ^ (uintptr_t)view->object;
}

static struct guarded_finding found(enum guarded_kind kind, const struct view *view) {
    return (struct guarded_finding){
        .kind = kind,
        .object = view->object,
        .bytes = view->header->bytes,
        .allocated = view->header->allocated,
        .freed = view->header->freed,
    };
}

// True if all bytes in [start, end) are `value`; else notes the first that is not.
static bool is_filled(const struct view *view, const uint8_t *start, const uint8_t *end,
                      uint8_t value, struct guarded_finding *finding) {
    for (const uint8_t *at = start; at < end; at++) {
        if (*at != value) {
            finding->offset = at - view->object;
            finding->value = *at;
            return false;
        }
    }
    return true;
}

static void fill(uint8_t *start, const uint8_t *end, uint8_t value) {
    memset(start, value, (size_t)(end - start));
}

// ---- Places

static void count(struct guarded *guarded, struct heap_place *place, uint64_t bytes) {
    if (__atomic_exchange_n(&place->is_known, 1, __ATOMIC_RELAXED) == 0) {
        place->next = __atomic_load_n(&guarded->places, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&guarded->places, &place->next, place, false,
                                            __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            continue;
    }
    __atomic_fetch_add(&place->objects, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&place->bytes, bytes, __ATOMIC_RELAXED);
}

static void uncount(struct heap_place *place, uint64_t bytes) {
    __atomic_fetch_sub(&place->objects, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&place->bytes, bytes, __ATOMIC_RELAXED);
}

void guarded_mark(struct guarded *guarded) {
    struct heap_place *place = __atomic_load_n(&guarded->places, __ATOMIC_ACQUIRE);
    for (; place != NULL; place = place->next) {
        place->marked_objects = __atomic_load_n(&place->objects, __ATOMIC_RELAXED);
        place->marked_bytes = __atomic_load_n(&place->bytes, __ATOMIC_RELAXED);
    }
}

static uint64_t leaks_of(const struct heap_place *place) {
    uint64_t objects = __atomic_load_n(&place->objects, __ATOMIC_RELAXED);
    return objects > place->marked_objects ? objects - place->marked_objects : 0;
}

static bool is_before(const struct heap_place *a, const struct heap_place *b) {
    uint64_t of_a = leaks_of(a), of_b = leaks_of(b);
    return of_a > of_b || (of_a == of_b && (uintptr_t)a < (uintptr_t)b);
}

// The first place behind `last` in the order of the report; with a null pointer the first of all.
static const struct heap_place *next_place(const struct guarded *guarded,
                                           const struct heap_place *last) {
    const struct heap_place *next = NULL;
    const struct heap_place *place = __atomic_load_n(&guarded->places, __ATOMIC_ACQUIRE);
    for (; place != NULL; place = place->next) {
        if ((last == NULL || is_before(last, place)) && (next == NULL || is_before(place, next)))
            next = place;
    }
    return next;
}

uint64_t guarded_leaks(const struct guarded *guarded, const struct sink *sink) {
    uint64_t sum = 0;
    const struct heap_place *place = NULL;
    while ((place = next_place(guarded, place)) != NULL && leaks_of(place) != 0) {
        sum += leaks_of(place);
        if (sink != NULL)
            fmt_print(sink, "  %lu object%s, %lu bytes: %s:%u %s\n", leaks_of(place),
                      leaks_of(place) == 1 ? "" : "s",
                      __atomic_load_n(&place->bytes, __ATOMIC_RELAXED) - place->marked_bytes,
                      place->file, place->line, place->function);
    }
    return sum;
}

// ---- Calls

// So that what comes out of a frame is known.
static void *alloc_fresh(void *context, uint64_t frames) {
    const struct slabs_ops *ops = context;
    void *first = ops->alloc(ops->context, frames);
    if (first != NULL)
        memset(first, FILL_FRESH, frames * FRAME_BYTES);
    return first;
}

static void free_fresh(void *context, void *first, uint64_t frames) {
    const struct slabs_ops *ops = context;
    ops->free(ops->context, first, frames);
}

void guarded_init(struct guarded *guarded, const struct slabs_ops *ops, uint64_t start,
                  uint64_t bytes) {
    guarded->ops = *ops;
    guarded->places = NULL;
    struct slabs_ops fresh = {alloc_fresh, free_fresh, &guarded->ops};
    slabs_init(&guarded->slabs, &fresh, start, bytes);
}

// What was written to an object while nobody had it.
static struct guarded_finding check_free(const struct view *view) {
    const uint8_t *start = (const uint8_t *)(view->header + 1);
    struct guarded_finding finding = {0};
    if (view->header->state == state_of(view, STATE_FREE)) {
        if (!is_filled(view, start, view->end, FILL_FREE, &finding)) {
            struct guarded_finding whole = found(GUARDED_WRITTEN_FREE, view);
            whole.offset = finding.offset;
            whole.value = finding.value;
            return whole;
        }
    } else if (!is_filled(view, (const uint8_t *)view->header, view->end, FILL_FRESH, &finding)) {
        finding.kind = GUARDED_WRITTEN_FRESH;
        finding.object = view->object;
    }
    return finding;
}

void *guarded_alloc(struct guarded *guarded, unsigned cpu, struct heap_place *place, uint64_t bytes,
                    struct guarded_finding *ret_finding) {
    *ret_finding = (struct guarded_finding){0};
    if (bytes > SLABS_BYTES_MAX)
        return NULL;
    uint64_t raw_bytes = 0;
    void *raw = slabs_alloc(&guarded->slabs, cpu, BEFORE_BYTES + bytes + REDZONE_BYTES);
    if (raw == NULL || slabs_find(&guarded->slabs, raw, &raw_bytes) != SLABS_OK)
        return NULL;
    struct view view = view_of(raw, raw_bytes);
    *ret_finding = check_free(&view);
    if (ret_finding->kind != GUARDED_OK)
        return NULL;
    *view.header = (struct header){.bytes = bytes, .allocated = place};
    fill((uint8_t *)(view.header + 1), view.object, FILL_REDZONE);
    fill(view.object, view.object + bytes, FILL_FRESH);
    fill(view.object + bytes, view.end, FILL_REDZONE);
    view.header->state = state_of(&view, STATE_LIVE);
    count(guarded, place, bytes);
    return view.object;
}

// What is wrong with an object that is to be freed. `view` is of one that slabs.h knows.
static struct guarded_finding check_live(const struct view *view) {
    if (view->header->state == state_of(view, STATE_FREE))
        return found(GUARDED_TWICE, view);
    if (view->header->state == STATE_FRESH)
        return (struct guarded_finding){.kind = GUARDED_WILD, .object = view->object};
    const uint8_t *redzone = (const uint8_t *)(view->header + 1);
    if (view->header->state != state_of(view, STATE_LIVE))
        return (struct guarded_finding){.kind = GUARDED_WRITTEN_BELOW,
                                        .object = view->object,
                                        .offset = (const uint8_t *)view->header - view->object,
                                        .value = *(const uint8_t *)view->header};
    struct guarded_finding finding = found(GUARDED_OK, view);
    if (!is_filled(view, redzone, view->object, FILL_REDZONE, &finding))
        finding.kind = GUARDED_WRITTEN_BELOW;
    else if (!is_filled(view, view->object + view->header->bytes, view->end, FILL_REDZONE,
                        &finding))
        finding.kind = GUARDED_WRITTEN_ABOVE;
    return finding;
}

void guarded_free(struct guarded *guarded, unsigned cpu, struct heap_place *place, void *object,
                  struct guarded_finding *ret_finding) {
    uint8_t *raw = (uint8_t *)((uintptr_t)object - BEFORE_BYTES);
    uint64_t raw_bytes = 0;
    *ret_finding = (struct guarded_finding){.kind = GUARDED_WILD, .object = object};
    enum slabs_status status = slabs_find(&guarded->slabs, raw, &raw_bytes);
    if (status == SLABS_ERR_WILD)
        return;
    struct view view = view_of(raw, raw_bytes);
    *ret_finding = check_live(&view);
    if (status == SLABS_ERR_FREE) // and its frames may be another's
        ret_finding->kind = GUARDED_TWICE;
    if (ret_finding->kind != GUARDED_OK)
        return;
    uncount(view.header->allocated, view.header->bytes);
    view.header->freed = place;
    fill((uint8_t *)(view.header + 1), view.end, FILL_FREE);
    view.header->state = state_of(&view, STATE_FREE);
    if (slabs_free(&guarded->slabs, cpu, raw) != SLABS_OK)
        ret_finding->kind = GUARDED_TWICE;
}

// ---- For people

static void explain_place(const char *what, const struct heap_place *place,
                          const struct sink *sink) {
    if (place != NULL)
        fmt_print(sink, ", %s at %s:%u (%s)", what, place->file, place->line, place->function);
}

static const char *kind_text(enum guarded_kind kind) {
    static const char texts[][48] = {
        [GUARDED_OK] = "nothing is wrong",
        [GUARDED_WILD] = "it is freed and was never allocated",
        [GUARDED_TWICE] = "it is freed twice",
        [GUARDED_WRITTEN_BELOW] = "something was written before it",
        [GUARDED_WRITTEN_ABOVE] = "something was written behind it",
        [GUARDED_WRITTEN_FREE] = "it was written after it was freed",
        [GUARDED_WRITTEN_FRESH] = "it was written while nobody had it",
    };
    return texts[kind];
}

void guarded_explain(const struct guarded_finding *finding, const struct heap_place *place,
                     const struct sink *sink) {
    fmt_print(sink, "object 0x%lx", (uint64_t)(uintptr_t)finding->object);
    if (finding->allocated != NULL)
        fmt_print(sink, " of %lu bytes", finding->bytes);
    fmt_print(sink, ": %s", kind_text(finding->kind));
    if (finding->kind >= GUARDED_WRITTEN_BELOW) {
        bool is_below = finding->offset < 0;
        fmt_print(sink, ", first at byte %s%lu, 0x%02x", is_below ? "-" : "",
                  (uint64_t)(is_below ? -finding->offset : finding->offset), finding->value);
    }
    explain_place("allocated", finding->allocated, sink);
    explain_place("freed", finding->freed, sink);
    explain_place("found", place, sink);
}
