// A kernel on Slipway's libraries: it starts the frame allocator over the loader's memory map,
// takes over the loader's page tables, maps two new pages, uses them, and takes them away again.
// One CPU, interrupts off throughout.
#include <slipway/frames.h>
#include <slipway/vmem.h>
#include <slipway_boot.h>

static const struct slipway_boot_info *boot;
static struct frames frames;
static struct vmem space;

// The libraries bring no memory functions.
void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    void *first = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
    return first;
}

void *memset(void *to, int value, size_t bytes) {
    void *first = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
    return first;
}

static void print(const char *text) {
    for (; *text; text++) {
        uint8_t status;
        do
            __asm__ volatile("inb %1, %0" : "=a"(status) : "d"((uint16_t)0x3fd));
        while (!(status & 0x20));
        __asm__ volatile("outb %0, %1" ::"a"(*text), "d"((uint16_t)0x3f8));
    }
}

// QEMU's isa-debug-exit, where there is one.
_Noreturn static void stop(const char *message, const char *reason) {
    print(message);
    print(reason);
    print("\n");
    __asm__ volatile("outb %0, %1" ::"a"((uint8_t)0x10), "d"((uint16_t)0xf4));
    for (;;)
        __asm__ volatile("cli; hlt");
}

// What vmem asks of a kernel. Tables lie in RAM, all of which is in the direct map.
static paddr_t table_alloc(void *context) {
    paddr_t table;
    (void)context;
    return frames_alloc(&frames, 0, FRAMES_ANY, &table) == FRAMES_OK ? table : PADDR_NONE;
}

static void table_free(void *context, paddr_t table) {
    (void)context;
    enum frames_status status = frames_free(&frames, 0, table);
    if (status != FRAMES_OK)
        stop("a table cannot be freed: ", frames_status_text(status));
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    (void)context;
    return (uint64_t *)(boot->hhdm_base + table.value);
}

static const struct vmem_ops ops = {table_alloc, table_free, table_pointer, NULL};

static void flush_execute(void *context, const struct vmem_flush *flush) {
    (void)context;
    for (unsigned i = 0; i < flush->range_count; i++) {
        const struct vmem_flush_range *range = &flush->range[i];
        for (uint64_t at = 0; at < range->bytes; at += vmem_page_bytes(range->page))
            __asm__ volatile("invlpg (%0)" ::"r"(range->virt.value + at) : "memory");
    }
    if (flush->range_count == 0 && !flush->full)
        __asm__ volatile("invlpg (%0)" ::"r"(0UL) : "memory");
    if (flush->full) { // global pages as well: CR4.PGE off and on
        uint64_t cr4;
        __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
        __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 ^ 0x80) : "memory");
        __asm__ volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
    }
}

// Memory that was unmapped, once no CPU can reach it any more.
static void flush_release(void *context, const struct vmem_run *run) {
    (void)context;
    enum frames_status status = frames_free_run(&frames, 0, run->phys, run->bytes / FRAME_BYTES);
    if (status != FRAMES_OK)
        stop("memory cannot be freed: ", frames_status_text(status));
}

static const struct vmem_flush_ops flush_ops = {flush_execute, flush_release};

static void start_frames(void) {
    static struct memmap_region regions[512];
    uint32_t count = boot->memory.count;
    paddr_t phys;
    if (count > sizeof(regions) / sizeof(regions[0]))
        stop("the memory map has too many regions", "");
    for (uint32_t i = 0; i < count; i++) {
        const struct slipway_memory *memory =
            (void *)(boot->memory.address + (uint64_t)i * boot->memory.stride);
        regions[i].start = memory->start_phys;
        regions[i].end = memory->start_phys + memory->bytes;
        regions[i].kind = memory->kind;
        regions[i].direct = memory->in_direct != 0;
    }
    uint64_t bytes = frames_metadata_bytes(regions, count, 1);
    enum frames_status status = frames_place_metadata(regions, count, bytes, &phys);
    if (status == FRAMES_OK)
        status = frames_init(&frames, regions, count, 1, (void *)(boot->hhdm_base + phys.value),
                             bytes, phys);
    if (status != FRAMES_OK)
        stop("the frame allocator does not start: ", frames_status_text(status));
}

static void adopt_tables(void) {
    uint32_t eax = 0x80000008, ebx, ecx, edx;
    uint64_t root;
    struct vmem_cpu cpu;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    cpu.paddr_bits = (uint8_t)eax;
    eax = 0x80000001;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    cpu.has_nx = (edx >> 20 & 1) != 0;
    cpu.has_1g = (edx >> 26 & 1) != 0;
    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    enum vmem_status status = vmem_adopt(&space, &ops, NULL, cpu, boot->paging_levels, root);
    if (status != VMEM_OK)
        stop("the page tables cannot be adopted: ", vmem_status_text(status));
}

static void use_two_pages(void) {
    const struct frames_request two = {.count = 2};
    struct vmem_mapping mapping = {
        .virt = {UINT64_C(0xffffe00000000000)},
        .bytes = 2 * FRAME_BYTES,
        .rights = VMEM_READ | VMEM_WRITE,
        .largest = VMEM_2M,
        .global = true,
    };
    struct vmem_flush flush;
    enum vmem_status status;
    if (frames_alloc_run(&frames, 0, &two, &mapping.phys) != FRAMES_OK)
        stop("no memory", "");
    vmem_flush_begin(&flush, &flush_ops, NULL);
    status = vmem_map(&space, &mapping, &flush);
    vmem_flush_finish(&space, &flush);
    if (status != VMEM_OK)
        stop("two pages cannot be mapped: ", vmem_status_text(status));
    for (uint64_t at = 0; at < mapping.bytes; at += 8)
        *(volatile uint64_t *)(mapping.virt.value + at) = at;
    for (uint64_t at = 0; at < mapping.bytes; at += 8) {
        if (*(volatile uint64_t *)(boot->hhdm_base + mapping.phys.value + at) != at)
            stop("the two pages are not where they were mapped", "");
    }
    vmem_flush_begin(&flush, &flush_ops, NULL);
    status = vmem_unmap(&space, mapping.virt, mapping.bytes, &flush);
    vmem_flush_finish(&space, &flush);
    if (status != VMEM_OK)
        stop("two pages cannot be unmapped: ", vmem_status_text(status));
}

void kernel_start(const struct slipway_boot_info *info);
void kernel_start(const struct slipway_boot_info *info) {
    struct frames_statistics before;
    struct frames_statistics after;
    boot = info;
    start_frames();
    adopt_tables();
    // The table of the upper half stays when what it leads to goes: the first pass makes it.
    use_two_pages();
    frames_get_statistics(&frames, &before);
    use_two_pages();
    frames_get_statistics(&frames, &after);
    if (before.free_frames != after.free_frames || frames_verify(&frames, NULL) != 0)
        stop("frames were lost", "");
    stop("Pages mapped, used and freed: all is well.", "");
}
