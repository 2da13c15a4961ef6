// An EFI application that boots a kernel with the parts of Slipway's loader that are a library:
// \kernel.elf of its own volume is read, its address space is planned, built and audited, the
// firmware is left, and the kernel is entered with the application's own hand-over.
#include "handover.h"

#include <efi.h>
#include <efilib.h>
#include <slipway/boot.h>

enum { LEVELS = 4, STACK_BYTES = 64 << 10 };
enum { MAP_BYTES = 64 << 10, DESCRIPTORS = MAP_BYTES / EFI_DESCRIPTOR_BYTES, CLAIMS = 2 };
enum { TABLES = 512 }; // for some 100 GiB of RAM, in pages of 2 MiB, and 4 for the crossing

static struct elf_image elf;
static struct elf_error error;
static struct slipway_piece piece; // the kernel's image is in one piece
static struct plan_input plan = {
    .elf = &elf, .pieces = &piece, .piece_count = 1, .stack_bytes = STACK_BYTES};
static struct memmap_region *regions;
static struct handover *handover;
static uint8_t *map, *scratch;
static uint64_t region_room, scratch_bytes, tables, tables_used;

int memcmp(const void *left, const void *right, size_t bytes) { // the others are gnu-efi's
    return (int)CompareMem(left, right, bytes);
}

static void write_text(void *, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        Print(L"%c", (CHAR16)text[i]);
}
static const struct sink console = {write_text, NULL};

// Back to the firmware, which is there until ExitBootServices has succeeded.
static void require(bool is_good, const char *problem) {
    if (is_good)
        return;
    if (error.status != ELF_OK)
        elf_error_print(&console, &error);
    Print(L" (required: %a)\n", problem);
    Exit(EFI_LOAD_ERROR, 0, NULL);
}

static void *alloc(uint64_t bytes) {
    EFI_PHYSICAL_ADDRESS start = 0;
    UINTN pages = EFI_SIZE_TO_PAGES(bytes);
    require(!EFI_ERROR(BS->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, &start)),
            "memory");
    return (void *)start;
}

static const uint8_t *read_file(EFI_HANDLE own_image, uint64_t *ret_bytes) {
    EFI_LOADED_IMAGE *self;
    EFI_FILE_HANDLE file;
    BS->HandleProtocol(own_image, &LoadedImageProtocol, (void **)&self);
    EFI_FILE_HANDLE root = LibOpenRoot(self->DeviceHandle);
    require(!EFI_ERROR(root->Open(root, &file, L"\\kernel.elf", EFI_FILE_MODE_READ, 0)),
            "\\kernel.elf");
    UINTN bytes = *ret_bytes = LibFileInfo(file)->FileSize;
    uint8_t *contents = alloc(bytes);
    require(!EFI_ERROR(file->Read(file, &bytes, contents)) && bytes == *ret_bytes, "a whole read");
    return contents;
}

static void load_kernel(EFI_HANDLE own_image) {
    struct elf_header_view header;
    uint64_t bytes;
    const uint8_t *file = read_file(own_image, &bytes);
    require(elf_parse_header(file, bytes, bytes, &header, &error) == ELF_OK, "a kernel");
    void *lists = alloc(elf_lists_bytes(header.phdr_count));
    const uint8_t *phdrs = file + header.phdrs_offset;
    require(elf_parse_segments(&header, phdrs, bytes, lists, &elf, &error) == ELF_OK, "a kernel");
    bytes = elf.virt_end - elf.virt_start;
    const struct elf_piece whole = {elf.virt_start, bytes,
                                    __builtin_memset(alloc(bytes), 0, bytes)};
    const struct elf_memory image = {&whole, 1};
    for (const struct elf_segment *at = elf.segments; at < elf.segments + elf.segment_count; at++)
        elf_write_memory(&image, at->virt, file + at->file_offset, at->file_bytes);
    require(elf_relocate(&elf, &image, &error) == ELF_OK, "a kernel");
    piece = (struct slipway_piece){elf.virt_start, (uint64_t)whole.memory, bytes};
}

// The firmware maps all memory one to one, so that an address is a pointer. No table is freed.
static paddr_t table_alloc(void *) {
    return tables_used == TABLES ? PADDR_NONE : paddr(tables + tables_used++ * FRAME_BYTES);
}

static uint64_t *table_pointer(void *, paddr_t table) {
    return (uint64_t *)table.value;
}

static const struct vmem_ops ops = {.table_alloc = table_alloc, .table_pointer = table_pointer};

// From the firmware's tables to the kernel's, by those at `crossing`, which map this at both
// places: with EFER.NXE and CR0.WP, and CR4.PGE off, so that no page is global yet.
__attribute__((visibility("hidden"))) void enter(uint64_t crossing, uint64_t root, uint64_t slide,
                                                 uint64_t stack_top, uint64_t entry,
                                                 uint64_t argument);
__asm__(".balign 128; enter: cli; mov %rdx, %r10; mov %rcx, %rsp; mov $0xc0000080, %ecx\n"
        "rdmsr; or $0x800, %eax; wrmsr; mov %cr0, %rax; or $0x10000, %rax; mov %rax, %cr0\n"
        "mov %cr4, %rax; and $~0x80, %rax; mov %rax, %cr4\n"
        "mov %rdi, %cr3; lea 1f(%rip), %rax; add %r10, %rax; jmp *%rax\n"
        "1: mov %rsi, %cr3; mov %r9, %rdi; push $0; jmp *%r8");

// All memory that it takes, before the memory map is read for the last time.
static void prepare(void) {
    plan.stack_phys = (uint64_t)alloc(STACK_BYTES);
    plan.window_base = plan_choose_window(&elf);
    // Of this application the kernel's tables have the page of `enter`.
    plan.loader.phys = (uint64_t)enter & ~(FRAME_BYTES - 1);
    plan.loader.bytes = plan.loader.text_end = FRAME_BYTES;
    region_room = memmap_region_bound(DESCRIPTORS, CLAIMS);
    scratch_bytes = memmap_scratch_bytes(DESCRIPTORS, CLAIMS);
    plan.regions = regions = alloc(region_room * sizeof(*regions));
    uint64_t mappings = plan_mapping_bound(&plan, region_room);
    handover = alloc(sizeof(*handover) + mappings * sizeof(handover->mappings[0]));
    map = alloc(MAP_BYTES);
    scratch = alloc(scratch_bytes);
    tables = (uint64_t)alloc(TABLES * FRAME_BYTES);
}

// The space for the memory map as it is now. Returns the map's key.
static UINTN build_space(struct vmem_cpu cpu, struct vmem *space) {
    UINTN bytes = MAP_BYTES, key, stride;
    UINT32 version;
    require(!EFI_ERROR(BS->GetMemoryMap(&bytes, (void *)map, &key, &stride, &version)),
            "a memory map");
    const struct memmap_claim claims[CLAIMS] = {
        {piece.phys, piece.bytes, SLIPWAY_MEM_KERNEL},
        {tables, TABLES * FRAME_BYTES, SLIPWAY_MEM_PAGE_TABLES}};
    const struct memmap_input input = {
        {map, bytes, stride}, claims, CLAIMS, SLIPWAY_HHDM_MAX_BYTES};
    struct memmap_report report;
    require(memmap_normalise(&input, scratch, scratch_bytes, regions, region_room,
                             &plan.region_count, &report) == MEMMAP_OK,
            "a memory map in order");
    plan.hhdm_base = handover->hhdm_base =
        plan_choose_direct_map(&plan, 0, report.direct_end, LEVELS);
    handover->mapping_count = plan_make_manifest(&plan, handover->mappings);
    const struct plan_list list = {handover->mappings, handover->mapping_count, false, NULL};
    struct vmem_plan counted;
    uint64_t index;
    tables_used = 0;
    require(plan_count_tables(&list, cpu, LEVELS, &counted, &index) == VMEM_OK &&
                counted.tables <= TABLES - LEVELS &&
                vmem_new(space, &ops, NULL, cpu, LEVELS) == VMEM_OK &&
                plan_build_tables(space, &list, &index) == VMEM_OK,
            "page tables");
    const struct slipway_range range = {tables, counted.tables * FRAME_BYTES,
                                        SLIPWAY_RANGE_PAGE_TABLES, 0};
    const uint64_t stack = plan_stack_bottom(&plan);
    const struct audit_input audit = {.space = space,
                                      .hhdm_base = plan.hhdm_base,
                                      .hhdm_room = plan_direct_map_room(&plan),
                                      .mappings = list.mappings,
                                      .mapping_count = list.count,
                                      .ranges = &range,
                                      .range_count = 1,
                                      .regions = regions,
                                      .region_count = plan.region_count,
                                      .report = &report,
                                      .stack_bottom = stack,
                                      .stack_top = stack + STACK_BYTES,
                                      .boot_info = plan.hhdm_base + (uint64_t)handover,
                                      .boot_info_bytes = sizeof(*handover),
                                      .kernel_entry = elf.entry,
                                      .tables_planned = counted.tables,
                                      .scratch = scratch,
                                      .scratch_bytes = scratch_bytes};
    require(audit_run(&audit, &console) == 0, "an audit without a violation");
    return key;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    uint32_t eax = 0x80000008, ebx, ecx, edx;
    struct vmem space, crossing;
    struct vmem_flush flush;
    uint64_t cr4;
    InitializeLib(image, system);
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    const struct vmem_cpu cpu = {.paddr_bits = (uint8_t)eax, .has_nx = true};
    __asm__("mov %%cr4, %0" : "=r"(cr4));
    require((cr4 & 0x1000) == 0, "paging with 4 levels"); // CR4.LA57
    load_kernel(image);
    prepare();
    // The map may change in between.
    while (EFI_ERROR(BS->ExitBootServices(image, build_space(cpu, &space))))
        ;
    const uint64_t code = plan.loader.phys;
    const struct vmem_mapping itself = {
        vaddr(code),   paddr(code), FRAME_BYTES, VMEM_READ | VMEM_EXECUTE,
        VMEM_CACHE_WB, VMEM_4K,     false,       false};
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    if (vmem_clone(&space, &crossing) == VMEM_OK && vmem_map(&crossing, &itself, &flush) == VMEM_OK)
        enter(crossing.root.value, space.root.value, plan_loader_virt(&plan) - code,
              plan_stack_bottom(&plan) + STACK_BYTES, elf.entry,
              plan.hhdm_base + (uint64_t)handover);
    return EFI_LOAD_ERROR;
}
