// The frame allocator by itself: started over a memory map of three regions, a frame, a run, and
// all of it freed. The same file is compiled for a kernel and, with main, for a host: the allocator
// never touches the frames that it allocates.
#include <slipway/frames.h>

#include <stdbool.h>

// Sorted, disjoint, frame aligned. Of a kernel's, `direct` says what it can reach by its direct
// map.
static const struct memmap_region regions[] = {
    {.start = 0x1000, .end = 0x9f000, .kind = SLIPWAY_MEM_USABLE, .direct = true},
    {.start = 0x100000, .end = 0x4000000, .kind = SLIPWAY_MEM_USABLE, .direct = true},
    {.start = 0x4000000, .end = 0x4100000, .kind = SLIPWAY_MEM_KERNEL, .direct = true},
};
enum { REGIONS = sizeof(regions) / sizeof(regions[0]), CPUS = 2, THIS_CPU = 0 };

// A kernel has its metadata where frames_place_metadata puts it. This array is no memory of the
// regions, but the allocator believes that it is.
static _Alignas(4096) unsigned char metadata[64 * 1024];

// How many frames are free at the end, and were when it began; 0: something failed.
uint64_t example_frames(void);
uint64_t example_frames(void) {
    static struct frames frames;
    struct frames_statistics before;
    struct frames_statistics after;
    paddr_t metadata_phys;
    paddr_t frame;
    paddr_t run;
    uint64_t bytes = frames_metadata_bytes(regions, REGIONS, CPUS);
    if (bytes == 0 || bytes > sizeof(metadata) ||
        frames_place_metadata(regions, REGIONS, bytes, &metadata_phys) != FRAMES_OK ||
        frames_init(&frames, regions, REGIONS, CPUS, metadata, bytes, metadata_phys) != FRAMES_OK)
        return 0;
    frames_get_statistics(&frames, &before);

    // A kernel has interrupts off from before a call until after it, and says on which CPU it runs.
    const struct frames_request dma = {.count = 16, .align = 16, .below = 0x1000000};
    if (frames_alloc(&frames, THIS_CPU, FRAMES_ANY, &frame) != FRAMES_OK ||
        frames_alloc_run(&frames, THIS_CPU, &dma, &run) != FRAMES_OK ||
        run.value % (16 * FRAME_BYTES) != 0 || run.value + 16 * FRAME_BYTES > dma.below)
        return 0;

    // What is not allocated is refused, and nothing changes.
    if (frames_free(&frames, THIS_CPU, paddr(0x2000000)) != FRAMES_ERR_FREE ||
        frames_free(&frames, THIS_CPU, paddr(0x80000000)) != FRAMES_ERR_FOREIGN)
        return 0;

    bool is_free = frames_free_run(&frames, THIS_CPU, run, dma.count) == FRAMES_OK &&
                   frames_free(&frames, THIS_CPU, frame) == FRAMES_OK;
    frames_get_statistics(&frames, &after);
    bool is_sound = frames_verify(&frames, NULL) == 0;
    return is_free && is_sound && after.free_frames == before.free_frames ? after.free_frames : 0;
}

#if __STDC_HOSTED__
#include <stdio.h>

int main(void) {
    uint64_t free_frames = example_frames();
    printf("%llu frames are free\n", (unsigned long long)free_frames);
    return free_frames == 0 ? 1 : 0;
}
#endif
