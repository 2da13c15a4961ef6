#include "kernel/memory/memory.h"

#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "kernel/base/panic.h"
#include "kernel/base/this_cpu.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory_state.h"

struct kernel_memory kernel_memory;

const struct memory_facts *memory_facts(void) {
    return &kernel_memory.facts;
}

#ifdef FRAMES_TRACKING

struct frames_moment memory_moment(void) {
    bool were_on = cpu_interrupts_save();
    struct frames_moment moment = frames_track_moment(&kernel_memory.allocator);
    cpu_interrupts_restore(were_on);
    return moment;
}

uint64_t memory_leaks_since(struct frames_moment moment, const struct sink *sink) {
    bool were_on = cpu_interrupts_save();
    uint64_t leaks = frames_leaks_since(&kernel_memory.allocator, moment, NULL, NULL);
    if (leaks != 0)
        frames_leaks_print(&kernel_memory.allocator, moment, sink);
    cpu_interrupts_restore(were_on);
    return leaks;
}

#endif

uint64_t memory_reclaim_boot_services(void) {
    uint64_t gained = 0;
    bool were_on = cpu_interrupts_save();
    enum frames_status status =
        frames_reclaim(&kernel_memory.allocator, kernel_memory.facts.regions,
                       kernel_memory.facts.region_count, SLIPWAY_MEM_BOOT_SERVICES, &gained);
    cpu_interrupts_restore(were_on);
    if (status != FRAMES_OK)
        panic("reclaiming boot services memory: %s", frames_status_text(status));
    return gained;
}

enum frames_status memory_alloc_from(struct frames_place *place, enum frames_zone zone,
                                     paddr_t *ret_frame) {
    bool were_on = cpu_interrupts_save();
    enum frames_status status =
        frames_alloc_from(place, &kernel_memory.allocator, this_cpu(), zone, ret_frame);
    cpu_interrupts_restore(were_on);
    return status;
}

enum frames_status memory_alloc_run_from(struct frames_place *place,
                                         const struct frames_request *request, paddr_t *ret_first) {
    bool were_on = cpu_interrupts_save();
    enum frames_status status =
        frames_alloc_run_from(place, &kernel_memory.allocator, this_cpu(), request, ret_first);
    cpu_interrupts_restore(were_on);
    return status;
}

enum frames_status memory_alloc_at_from(struct frames_place *place, paddr_t first, uint64_t count) {
    bool were_on = cpu_interrupts_save();
    enum frames_status status =
        frames_alloc_at_from(place, &kernel_memory.allocator, this_cpu(), first, count);
    cpu_interrupts_restore(were_on);
    return status;
}

void *memory_frame_bytes(paddr_t frame) {
    void *bytes = space_pointer(frame, FRAME_BYTES);
    if (bytes == NULL)
        panic("frame 0x%lx was allocated and is not in the direct map", frame.value);
    return bytes;
}

// Frame by frame: neighbours may lie in parts of the direct map that are records of their own.
void memory_zero(paddr_t first, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        memset(memory_frame_bytes(paddr_add(first, i * FRAME_BYTES)), 0, FRAME_BYTES);
}

enum frames_status memory_alloc_zeroed_from(struct frames_place *place, enum frames_zone zone,
                                            paddr_t *ret_frame) {
    enum frames_status status = memory_alloc_from(place, zone, ret_frame);
    if (status == FRAMES_OK)
        memory_zero(*ret_frame, 1);
    return status;
}

enum frames_status memory_alloc_run_zeroed_from(struct frames_place *place,
                                                const struct frames_request *request,
                                                paddr_t *ret_first) {
    enum frames_status status = memory_alloc_run_from(place, request, ret_first);
    if (status == FRAMES_OK)
        memory_zero(*ret_first, request->count);
    return status;
}

enum frames_status memory_free(paddr_t frame) {
    bool were_on = cpu_interrupts_save();
    enum frames_status status = frames_free(&kernel_memory.allocator, this_cpu(), frame);
    cpu_interrupts_restore(were_on);
    return status;
}

enum frames_status memory_free_run(paddr_t first, uint64_t count) {
    bool were_on = cpu_interrupts_save();
    enum frames_status status = frames_free_run(&kernel_memory.allocator, this_cpu(), first, count);
    cpu_interrupts_restore(were_on);
    return status;
}

void memory_get_statistics(struct frames_statistics *ret_statistics) {
    bool were_on = cpu_interrupts_save();
    frames_get_statistics(&kernel_memory.allocator, ret_statistics);
    cpu_interrupts_restore(were_on);
}

void memory_visit_blocks(frames_see_block see, void *context) {
    frames_visit_blocks(&kernel_memory.allocator, see, context);
}

uint64_t memory_free_frames(void) {
    struct frames_statistics now;
    memory_get_statistics(&now);
    return now.free_frames;
}

uint64_t memory_verify(const struct sink *sink) {
    bool were_on = cpu_interrupts_save();
    uint64_t wrong = frames_verify(&kernel_memory.allocator, sink);
    cpu_interrupts_restore(were_on);
    return wrong;
}
