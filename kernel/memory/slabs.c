#include "kernel/memory/slabs.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/assert.h"

#include <stdbool.h>
#include <stddef.h>

// What a frame's first word says. Freed frames lose it, so that none is mistaken for a slab.
#define MAGIC_SLAB     UINT64_C(0x736c6162206f6620)
#define MAGIC_RUN      UINT64_C(0x72756e206f662031)
#define MAGIC_FREE_RUN UINT64_C(0x667265652072756e)
#define MARK_FREE      UINT64_C(0x6672656520697421)

struct slabs_header {
    uint64_t magic;
    uint64_t frames;     // of a run
    uint32_t reciprocal; // of the size of an object, see is_multiple
    uint16_t end;        // behind the last object, from the first on
    uint8_t class;
    // The rest of a slab changes under the lock of its class.
    uint32_t inside;           // objects that are in the slab
    uint32_t count;            // that it has
    struct slabs_object *free; // those inside
    struct slabs_header *next, *previous;
};
_Static_assert(sizeof(struct slabs_header) <= SLABS_HEADER_BYTES, "the header has its place");
_Static_assert(sizeof(struct slabs_object) <= SLABS_ALIGN, "a free object fits into any");

enum { ROOM = FRAME_BYTES - SLABS_HEADER_BYTES, LIMIT_MIN = 8, LIMIT_MAX = 64 };

// Up to 256 bytes in small steps, then those of which a slab holds one less each.
static const uint16_t class_bytes[SLABS_CLASSES] = {16,  32,  48,   64,   80,
                                                    96,  112, 128,  144,  160,
                                                    176, 192, 224,  256,  288,
                                                    336, 400, 448,  496,  576,
                                                    672, 800, 1008, 1344, SLABS_SMALL_MAX};

// ---- Locks

static void lock_class(struct slabs_class *class) {
    while (__atomic_exchange_n(&class->lock, 1, __ATOMIC_ACQUIRE) != 0)
        while (__atomic_load_n(&class->lock, __ATOMIC_RELAXED) != 0)
            __builtin_ia32_pause();
}

static void unlock_class(struct slabs_class *class) {
    __atomic_store_n(&class->lock, 0, __ATOMIC_RELEASE);
}

// ---- Addresses

static struct slabs_header *header_of(const void *object) {
    return (struct slabs_header *)align_down((uintptr_t)object, FRAME_BYTES);
}

static uint32_t reciprocal_of(uint32_t bytes) {
    return UINT32_MAX / bytes + 1;
}

// Whether `offset`, below 2^16, is a multiple of the size: without a division (Lemire, Kaser, Kurz:
// Faster remainder by direct computation, 2019).
static bool is_multiple(uint32_t offset, uint32_t reciprocal) {
    return offset * reciprocal < reciprocal;
}

// An address in the header wraps, and is beyond the end.
static bool is_object_of(const struct slabs_header *slab, const void *object) {
    uint32_t offset = (uint32_t)((uintptr_t)object % FRAME_BYTES) - SLABS_HEADER_BYTES;
    return offset < slab->end && is_multiple(offset, slab->reciprocal);
}

static uint64_t mark_of(const struct slabs_object *object) {
    return MARK_FREE ^ (uintptr_t)object;
}

// ---- Lists of CPUs

static void *pop(struct slabs_list *list) {
    struct slabs_object *object = list->first;
    ASSERT(list->count != 0);
    list->first = object->next;
    list->count--;
    object->mark = 0;
    return object;
}

static void push(struct slabs_list *list, struct slabs_object *object) {
    object->next = list->first;
    list->first = object;
    list->count++;
}

// ---- Slabs, under the lock of their class

static void link_slab(struct slabs_class *class, struct slabs_header *slab) {
    slab->previous = NULL;
    slab->next = class->partial;
    if (slab->next != NULL)
        slab->next->previous = slab;
    class->partial = slab;
}

static void unlink_slab(struct slabs_class *class, struct slabs_header *slab) {
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        class->partial = slab->next;
}

static void put_object(struct slabs_header *slab, struct slabs_object *object) {
    object->next = slab->free;
    object->mark = mark_of(object);
    slab->free = object;
    slab->inside++;
}

// A new slab of the class, with all its objects; null: there is no frame.
static struct slabs_header *make_slab(struct slabs *slabs, unsigned number) {
    struct slabs_class *class = &slabs->classes[number];
    struct slabs_header *slab = slabs->ops.alloc(slabs->ops.context, 1);
    if (slab == NULL)
        return NULL;
    uint32_t count = ROOM / class->bytes;
    *slab = (struct slabs_header){
        .magic = MAGIC_SLAB,
        .reciprocal = reciprocal_of(class->bytes),
        .end = (uint16_t)(count * class->bytes),
        .class = (uint8_t)number,
        .count = count,
    };
    uint8_t *first = (uint8_t *)slab + SLABS_HEADER_BYTES;
    for (uint32_t i = 0; i < count; i++) // the last on top: a CPU's list turns some of them round
        put_object(slab, (struct slabs_object *)(void *)(first + (uint64_t)i * class->bytes));
    class->slabs++;
    link_slab(class, slab);
    return slab;
}

// Moves objects of one slab to the list, as many as are there of `wanted`.
static void take_from(struct slabs_class *class, struct slabs_header *slab, struct slabs_list *list,
                      uint32_t wanted) {
    for (; wanted != 0 && slab->inside != 0; wanted--) {
        struct slabs_object *object = slab->free;
        slab->free = object->next;
        slab->inside--;
        class->outside++;
        push(list, object);
    }
    if (slab->inside == 0)
        unlink_slab(class, slab);
}

// Half of what the list may hold; fewer rather than a new slab.
static void refill(struct slabs *slabs, unsigned number, struct slabs_list *list) {
    struct slabs_class *class = &slabs->classes[number];
    uint32_t wanted = list->limit / 2;
    lock_class(class);
    while (list->count < wanted) {
        struct slabs_header *slab = class->partial;
        if (slab == NULL && list->count == 0)
            slab = make_slab(slabs, number);
        if (slab == NULL)
            break;
        take_from(class, slab, list, wanted - list->count);
    }
    unlock_class(class);
}

// Puts an object into its slab. Returns the slab if that is whole now, and in no list any more.
static struct slabs_header *put_back(struct slabs_class *class, struct slabs_object *object) {
    struct slabs_header *slab = header_of(object);
    ASSERT(slab->magic == MAGIC_SLAB && slab->inside < slab->count);
    if (slab->inside == 0)
        link_slab(class, slab);
    put_object(slab, object);
    class->outside--;
    if (slab->inside != slab->count)
        return NULL;
    unlink_slab(class, slab);
    class->slabs--;
    slab->magic = 0;
    return slab;
}

// Moves objects back to slabs until the list has no more than `kept`. Frames are freed without the
// lock.
static void shorten(struct slabs *slabs, unsigned number, struct slabs_list *list, uint32_t kept) {
    struct slabs_class *class = &slabs->classes[number];
    struct slabs_header *whole = NULL;
    lock_class(class);
    while (list->count > kept) {
        struct slabs_object *object = list->first;
        list->first = object->next;
        list->count--;
        struct slabs_header *slab = put_back(class, object);
        if (slab != NULL) {
            slab->next = whole;
            whole = slab;
        }
    }
    unlock_class(class);
    while (whole != NULL) {
        struct slabs_header *slab = whole;
        whole = slab->next;
        slabs->ops.free(slabs->ops.context, slab, 1);
    }
}

void slabs_trim(struct slabs *slabs, unsigned cpu) {
    for (unsigned number = 0; number < SLABS_CLASSES; number++)
        shorten(slabs, number, &slabs->cpus[cpu].lists[number], 0);
}

// ---- Runs

[[gnu::noinline]] static void *alloc_run(struct slabs *slabs, uint64_t bytes) {
    if (bytes > SLABS_BYTES_MAX)
        return NULL;
    uint64_t frames = align_up(SLABS_HEADER_BYTES + bytes, FRAME_BYTES) / FRAME_BYTES;
    struct slabs_header *run = slabs->ops.alloc(slabs->ops.context, frames);
    if (run == NULL)
        return NULL;
    run->magic = MAGIC_RUN;
    run->frames = frames;
    __atomic_fetch_add(&slabs->runs, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&slabs->run_frames, frames, __ATOMIC_RELAXED);
    return (uint8_t *)run + SLABS_HEADER_BYTES;
}

// Of two CPUs that free a run at once, one changes its first word.
[[gnu::noinline]] static enum slabs_status free_run(struct slabs *slabs, struct slabs_header *run,
                                                    const void *object) {
    uint64_t magic = MAGIC_RUN;
    if ((uintptr_t)object % FRAME_BYTES != SLABS_HEADER_BYTES)
        return SLABS_ERR_WILD;
    if (!__atomic_compare_exchange_n(&run->magic, &magic, MAGIC_FREE_RUN, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
        return magic == MAGIC_FREE_RUN ? SLABS_ERR_FREE : SLABS_ERR_WILD;
    __atomic_fetch_sub(&slabs->runs, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&slabs->run_frames, run->frames, __ATOMIC_RELAXED);
    slabs->ops.free(slabs->ops.context, run, run->frames);
    return SLABS_OK;
}

// ---- Calls

void slabs_init(struct slabs *slabs, const struct slabs_ops *ops, uint64_t start, uint64_t bytes) {
    *slabs = (struct slabs){.ops = *ops, .start = start, .bytes = bytes};
    unsigned number = 0;
    for (unsigned size = 0; size < ARRAY_LEN(slabs->class_of); size++) {
        number += size * SLABS_ALIGN > class_bytes[number];
        slabs->class_of[size] = (uint8_t)number;
    }
    for (number = 0; number < SLABS_CLASSES; number++) {
        uint64_t limit = min_u64(max_u64(FRAME_BYTES / class_bytes[number], LIMIT_MIN), LIMIT_MAX);
        slabs->classes[number].bytes = class_bytes[number];
        for (unsigned cpu = 0; cpu < SLABS_CPUS_MAX; cpu++)
            slabs->cpus[cpu].lists[number].limit = (uint32_t)limit;
    }
}

// Seldom: not in the way of what is done often.
[[gnu::noinline]] static void *alloc_slowly(struct slabs *slabs, unsigned number,
                                            struct slabs_list *list) {
    refill(slabs, number, list);
    return list->first == NULL ? NULL : pop(list);
}

void *slabs_alloc(struct slabs *slabs, unsigned cpu, uint64_t bytes) {
    ASSERT(cpu < SLABS_CPUS_MAX);
    if (bytes > SLABS_SMALL_MAX)
        return alloc_run(slabs, bytes);
    unsigned number = slabs->class_of[(bytes + SLABS_ALIGN - 1) / SLABS_ALIGN];
    struct slabs_list *list = &slabs->cpus[cpu].lists[number];
    if (list->first == NULL)
        return alloc_slowly(slabs, number, list);
    return pop(list);
}

[[gnu::noinline]] static void shorten_slowly(struct slabs *slabs, unsigned number,
                                             struct slabs_list *list) {
    shorten(slabs, number, list, list->limit / 2);
}

enum slabs_status slabs_free(struct slabs *slabs, unsigned cpu, void *object) {
    ASSERT(cpu < SLABS_CPUS_MAX);
    if ((uintptr_t)object - slabs->start >= slabs->bytes)
        return SLABS_ERR_WILD;
    struct slabs_header *slab = header_of(object);
    if (slab->magic != MAGIC_SLAB)
        return free_run(slabs, slab, object);
    if (!is_object_of(slab, object))
        return SLABS_ERR_WILD;
    struct slabs_object *freed = object;
    uint64_t mark = mark_of(freed);
    if (freed->mark == mark)
        return SLABS_ERR_FREE;
    freed->mark = mark;
    unsigned number = slab->class;
    struct slabs_list *list = &slabs->cpus[cpu].lists[number];
    push(list, freed);
    if (list->count > list->limit)
        shorten_slowly(slabs, number, list);
    return SLABS_OK;
}

enum slabs_status slabs_find(const struct slabs *slabs, const void *object, uint64_t *ret_bytes) {
    if ((uintptr_t)object - slabs->start >= slabs->bytes)
        return SLABS_ERR_WILD;
    const struct slabs_header *header = header_of(object);
    uint64_t magic = __atomic_load_n(&header->magic, __ATOMIC_RELAXED);
    if (magic == MAGIC_SLAB && is_object_of(header, object))
        *ret_bytes = slabs->classes[header->class].bytes;
    else if (magic == MAGIC_RUN && (uintptr_t)object % FRAME_BYTES == SLABS_HEADER_BYTES)
        *ret_bytes = header->frames * FRAME_BYTES - SLABS_HEADER_BYTES;
    else
        return magic == MAGIC_FREE_RUN ? SLABS_ERR_FREE : SLABS_ERR_WILD;
    return SLABS_OK;
}

void slabs_get_statistics(struct slabs *slabs, struct slabs_statistics *ret_statistics) {
    uint64_t runs = __atomic_load_n(&slabs->runs, __ATOMIC_RELAXED);
    uint64_t frames = __atomic_load_n(&slabs->run_frames, __ATOMIC_RELAXED);
    struct slabs_statistics sum = {
        .objects = runs,
        .bytes = frames * FRAME_BYTES - runs * SLABS_HEADER_BYTES,
        .frames = frames,
    };
    for (unsigned number = 0; number < SLABS_CLASSES; number++) {
        struct slabs_class *class = &slabs->classes[number];
        uint64_t at_hand = 0;
        lock_class(class);
        for (unsigned cpu = 0; cpu < SLABS_CPUS_MAX; cpu++)
            at_hand += __atomic_load_n(&slabs->cpus[cpu].lists[number].count, __ATOMIC_RELAXED);
        uint64_t objects = class->outside - at_hand;
        sum.frames += class->slabs;
        unlock_class(class);
        sum.at_hand += at_hand;
        sum.objects += objects;
        sum.bytes += objects * class->bytes;
    }
    *ret_statistics = sum;
}
