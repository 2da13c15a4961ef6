// See firmware_pages.h.
#include "loader/firmware_pages.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

static uint64_t bytes_of(const struct plan_firmware *range) {
    return range->end - range->start;
}

bool firmware_pages_add(struct firmware_pages *pages, uint64_t phys, uint64_t bytes) {
    if (bytes == 0)
        return true;
    if (bytes > pages->limit || phys > pages->limit - bytes)
        return false;
    struct plan_firmware *ranges = pages->ranges;
    struct plan_firmware range = {align_down(phys, FRAME_BYTES),
                                  align_up(phys + bytes, FRAME_BYTES), SLIPWAY_CACHE_WB};
    // Those from `first` up to `end` touch the new one, which takes their place.
    uint32_t first = 0;
    while (first < pages->count && ranges[first].end < range.start)
        first++;
    uint32_t end = first;
    uint64_t replaced_bytes = 0;
    for (; end < pages->count && ranges[end].start <= range.end; end++) {
        replaced_bytes += bytes_of(&ranges[end]);
        range.start = min_u64(range.start, ranges[end].start);
        range.end = max_u64(range.end, ranges[end].end);
    }
    uint64_t all_bytes = pages->bytes - replaced_bytes + bytes_of(&range);
    bool is_one_more = first == end;
    if ((is_one_more && pages->count == PLAN_FIRMWARE_MAX) || all_bytes > PLAN_FIRMWARE_BYTES_MAX)
        return false;
    memmove(ranges + first + 1, ranges + end, (pages->count - end) * sizeof(*ranges));
    ranges[first] = range;
    pages->count = pages->count + 1 - (end - first);
    pages->bytes = all_bytes;
    return true;
}

// ---- Cache types

// What is true of a frame, and of all that follow it up to `end`.
struct frame {
    uint64_t start;
    uint64_t end;
    bool is_write_back;
    bool is_other;
    bool is_framebuffer;
};

// The frame's run ends at `edge` at the latest.
static void cut(struct frame *frame, uint64_t edge) {
    if (edge > frame->start)
        frame->end = min_u64(frame->end, edge);
}

// A descriptor need not be frame aligned: then it holds parts of two frames.
static void apply_descriptor(struct frame *frame, const struct memmap_descriptor *descriptor) {
    uint64_t end;
    if (!memmap_descriptor_end(descriptor, &end))
        return;
    const uint64_t edges[] = {align_down(descriptor->start, FRAME_BYTES),
                              align_down(end, FRAME_BYTES)};
    bool is_whole_frames = is_aligned(descriptor->start, FRAME_BYTES);
    for (unsigned i = 0; i < ARRAY_LEN(edges); i++) {
        cut(frame, edges[i]);
        if (!is_whole_frames)
            cut(frame, edges[i] + FRAME_BYTES);
    }
    if (descriptor->start >= frame->start + FRAME_BYTES || end <= frame->start)
        return;
    bool is_device = descriptor->type == EFI_TYPE_MMIO || descriptor->type == EFI_TYPE_MMIO_PORTS;
    if (is_device || (descriptor->attributes & EFI_ATTRIBUTE_WB) == 0)
        frame->is_other = true;
    else if (descriptor->start <= frame->start && end >= frame->start + FRAME_BYTES)
        frame->is_write_back = true;
}

static void apply_framebuffer(struct frame *frame, const struct slipway_framebuffer *framebuffer) {
    uint64_t start = align_down(framebuffer->address_phys, FRAME_BYTES);
    uint64_t end = start + framebuffer->bytes; // whole pages
    cut(frame, start);
    cut(frame, end);
    frame->is_framebuffer |= start <= frame->start && frame->start < end;
}

static struct frame look_at(const struct firmware_memory *memory, uint64_t start, uint64_t end) {
    struct frame frame = {.start = start, .end = end};
    for (uint64_t i = 0; i < memory->efi.bytes / memory->efi.stride; i++) {
        struct memmap_descriptor descriptor = memmap_descriptor_read(&memory->efi, i);
        apply_descriptor(&frame, &descriptor);
    }
    for (uint32_t i = 0; i < memory->framebuffer_count; i++)
        apply_framebuffer(&frame, &memory->framebuffers[i]);
    return frame;
}

// RAM needs no look at all descriptors, and most tables lie there.
static bool is_ram(const struct firmware_memory *memory, const struct plan_firmware *range) {
    for (uint64_t i = 0; i < memory->region_count; i++) {
        const struct memmap_region *region = &memory->regions[i];
        if (region->direct && region->start <= range->start && range->end <= region->end)
            return true;
    }
    return false;
}

// Appends, or makes the last range longer. False if there is no room.
static bool append(struct firmware_pages *pages, struct plan_firmware range) {
    struct plan_firmware *last = pages->count == 0 ? NULL : &pages->ranges[pages->count - 1];
    bool goes_on = last != NULL && last->end == range.start && last->cache == range.cache;
    if (!goes_on && pages->count == PLAN_FIRMWARE_MAX)
        return false;
    if (goes_on)
        last->end = range.end;
    else
        pages->ranges[pages->count++] = range;
    pages->bytes += bytes_of(&range);
    return true;
}

static uint64_t append_range(struct firmware_pages *pages, const struct firmware_memory *memory,
                             struct plan_firmware range) {
    uint64_t left_out = 0;
    if (is_ram(memory, &range))
        return append(pages, range) ? 0 : bytes_of(&range);
    for (uint64_t at = range.start; at < range.end;) {
        struct frame frame = look_at(memory, at, range.end);
        bool is_write_back = frame.is_write_back && !frame.is_other;
        const struct plan_firmware part = {at, frame.end,
                                           is_write_back ? SLIPWAY_CACHE_WB : SLIPWAY_CACHE_UC};
        if (!frame.is_framebuffer && !append(pages, part))
            left_out += frame.end - at;
        at = frame.end;
    }
    return left_out;
}

uint64_t firmware_pages_set_cache(struct firmware_pages *pages,
                                  const struct firmware_memory *memory) {
    const struct firmware_pages before = *pages;
    uint64_t left_out = 0;
    pages->count = 0;
    pages->bytes = 0;
    for (uint32_t i = 0; i < before.count; i++)
        left_out += append_range(pages, memory, before.ranges[i]);
    return left_out;
}
