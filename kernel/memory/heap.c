#include "kernel/memory/heap.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "kernel/base/boot.h"
#include "kernel/base/panic.h"
#include "kernel/base/this_cpu.h"
#include "kernel/memory/guarded.h"
#include "kernel/memory/memory.h"

#include <stddef.h>

_Static_assert(CPUS_MAX == SLABS_CPUS_MAX, "each CPU has its lists");

static void *alloc_frames(void *context, uint64_t count) {
    (void)context;
    struct frames_request request = {.count = count};
    paddr_t first;
    enum frames_status status =
        count == 1 ? memory_alloc(FRAMES_ANY, &first) : memory_alloc_run(&request, &first);
    return status == FRAMES_OK ? memory_frame_bytes(first) : NULL;
}

static void free_frames(void *context, void *first, uint64_t count) {
    (void)context;
    paddr_t frame = paddr((uint64_t)(uintptr_t)first - boot_info()->hhdm_base);
    enum frames_status status = count == 1 ? memory_free(frame) : memory_free_run(frame, count);
    if (status != FRAMES_OK)
        panic("heap: %lu frames at 0x%lx do not go back: %s", count, frame.value,
              frames_status_text(status));
}

static const struct slabs_ops frames_ops = {alloc_frames, free_frames, NULL};

#ifdef SLIPWAY_DEBUG

static struct guarded guarded;

static struct slabs *slabs_here(void) {
    return &guarded.slabs;
}

static void init(uint64_t start, uint64_t bytes) {
    guarded_init(&guarded, &frames_ops, start, bytes);
}

static void judge(const struct guarded_finding *finding, const struct heap_place *place) {
    if (finding->kind == GUARDED_OK)
        return;
    char text[512];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    guarded_explain(finding, place, &sink);
    panic("heap: %s", text);
}

static void *alloc_here(struct heap_place *place, uint64_t bytes) {
    ASSERT(!cpu_interrupts_are_on());
    struct guarded_finding finding;
    void *object = guarded_alloc(&guarded, this_cpu(), place, bytes, &finding);
    judge(&finding, place);
    return object;
}

static void free_here(struct heap_place *place, void *object) {
    ASSERT(!cpu_interrupts_are_on());
    struct guarded_finding finding;
    guarded_free(&guarded, this_cpu(), place, object, &finding);
    judge(&finding, place);
}

void heap_mark(void) {
    guarded_mark(&guarded);
}

uint64_t heap_leaks(const struct sink *sink) {
    return guarded_leaks(&guarded, sink);
}

#else

static struct slabs slabs;

static struct slabs *slabs_here(void) {
    return &slabs;
}

static void init(uint64_t start, uint64_t bytes) {
    slabs_init(&slabs, &frames_ops, start, bytes);
}

static void *alloc_here(struct heap_place *place, uint64_t bytes) {
    (void)place;
    return slabs_alloc(&slabs, this_cpu(), bytes);
}

static void free_here(struct heap_place *place, void *object) {
    (void)place;
    enum slabs_status status = slabs_free(&slabs, this_cpu(), object);
    if (status != SLABS_OK)
        panic("heap: 0x%lx is freed and is %s", (uint64_t)(uintptr_t)object,
              status == SLABS_ERR_FREE ? "free already" : "no object");
}

#endif

void heap_start(void) {
    const struct slipway_boot_info *info = boot_info();
    init(info->hhdm_base, info->hhdm_end - info->hhdm_base);
}

void *heap_alloc_from(struct heap_place *place, uint64_t bytes) {
    bool were_on = cpu_interrupts_save();
    void *object = alloc_here(place, bytes);
    cpu_interrupts_restore(were_on);
    return object;
}

void *heap_alloc_zeroed_from(struct heap_place *place, uint64_t bytes) {
    void *object = heap_alloc_from(place, bytes);
    if (object != NULL)
        memset(object, 0, bytes);
    return object;
}

void heap_free_from(struct heap_place *place, void *object) {
    if (object == NULL)
        return;
    bool were_on = cpu_interrupts_save();
    free_here(place, object);
    cpu_interrupts_restore(were_on);
}

void heap_trim(void) {
    bool were_on = cpu_interrupts_save();
    slabs_trim(slabs_here(), this_cpu());
    cpu_interrupts_restore(were_on);
}

struct heap_statistics heap_statistics(void) {
    struct slabs_statistics now;
    bool were_on = cpu_interrupts_save();
    slabs_get_statistics(slabs_here(), &now);
    cpu_interrupts_restore(were_on);
    return (struct heap_statistics){
        .objects = now.objects, .bytes = now.bytes, .frames = now.frames};
}
