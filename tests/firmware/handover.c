// What the kernel would find: a copy of boot_info that can be read here, and what holds of every
// hand-over.
#include "common/base/arith.h"
#include "common/boot/boot_check.h"
#include "common/vmem/vmem.h"
#include "common/x86/regs.h"
#include "common/x86/trap.h"
#include "loader/cpus.h"
#include "loader/enter.h"
#include "loader/firmware.h"
#include "loader/park.h"
#include "loader/startup.h"
#include "tests/firmware/setup.h"
#include "tests/unit/support/memmap_model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static union {
    struct slipway_boot_info info;
    char bytes[4 << 20];
} copy;

static uint64_t to_copy; // what to add to an address in the block to get there in the copy

static void move_text(struct slipway_text *text) {
    text->address += to_copy;
}

static void move_array(struct slipway_array *array) {
    array->address += array->count == 0 ? 0 : to_copy; // an empty one has address 0
}

// The block is self-contained: only the addresses of its texts and arrays point into it.
static void take_copy(void) {
    uint64_t hhdm_base = align_down(fake.cpu.boot_info, GIB(1)); // the arena is below 1 GiB
    const struct slipway_boot_info *block =
        (const struct slipway_boot_info *)(uintptr_t)(fake.cpu.boot_info - hhdm_base);
    assert_int_equal(block->hhdm_base, hhdm_base);
    assert_true(block->total_bytes <= sizeof(copy));
    memcpy(&copy, block, block->total_bytes);
    to_copy = (uintptr_t)&copy - fake.cpu.boot_info;
    struct slipway_boot_info *info = &copy.info;
    info->efi_map += to_copy;
    struct slipway_array *const arrays[] = {&info->mappings, &info->memory,       &info->ranges,
                                            &info->modules,  &info->framebuffers, &info->stages,
                                            &info->mtrrs,    &info->kernel_pieces};
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++)
        move_array(arrays[i]);
    info->tpm_log.address += info->tpm_log.bytes == 0 ? 0 : to_copy;
    struct slipway_text *const texts[] = {
        &info->loader_name, &info->loader_version, &info->kernel_path, &info->cmdline,
        &info->log,         &info->volume_label,   &info->loader_path, &info->choice.entry};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        move_text(texts[i]);
    struct slipway_framebuffer *screens =
        (struct slipway_framebuffer *)(uintptr_t)info->framebuffers.address;
    for (uint32_t i = 0; i < info->framebuffers.count; i++) {
        screens[i].edid += screens[i].edid == 0 ? 0 : to_copy;
        move_array(&screens[i].modes);
    }
    struct slipway_module *modules = (struct slipway_module *)(uintptr_t)info->modules.address;
    for (uint32_t i = 0; i < info->modules.count; i++) {
        move_text(&modules[i].path);
        move_text(&modules[i].cmdline);
    }
}

static paddr_t no_table(void *context) {
    (void)context;
    return PADDR_NONE;
}

static void keep_table(void *context, paddr_t table) {
    (void)context;
    (void)table;
}

// Tables lie in RAM that is there, and nothing of it that is not the loader's can be read.
static uint64_t *table_pointer(void *context, paddr_t table) {
    (void)context;
    bool is_there = (table.value >= FAKE_ARENA_START && table.value < FAKE_ARENA_END) ||
                    (table.value >= FAKE_LOW_START && table.value < FAKE_LOW_END);
    return is_there ? (uint64_t *)(uintptr_t)table.value : NULL;
}

static const struct vmem_ops ops = {
    .table_alloc = no_table,
    .table_free = keep_table,
    .table_pointer = table_pointer,
};

// ---- The page tables: what the manifest says, no more and no less

struct found {
    const struct slipway_mapping *mapping;
    uint64_t bytes; // mapped as it says
};

static bool count_as_listed(void *argument, const struct vmem_run *run) {
    struct found *found = argument;
    const struct slipway_mapping *mapping = found->mapping;
    unsigned rights = VMEM_READ | (mapping->rights & SLIPWAY_RIGHT_WRITE ? VMEM_WRITE : 0U) |
                      (mapping->rights & SLIPWAY_RIGHT_EXECUTE ? VMEM_EXECUTE : 0U);
    bool is_same = run->virt.value - mapping->virt == run->phys.value - mapping->phys;
    if (is_same && run->rights == rights && run->cache == (enum vmem_cache)mapping->cache &&
        run->global)
        found->bytes += run->bytes;
    return true;
}

static bool count_bytes(void *argument, const struct vmem_run *run) {
    *(uint64_t *)argument += run->bytes;
    return true;
}

static void check_mapped(const struct vmem *space) {
    uint64_t listed = 0;
    uint64_t mapped = 0;
    for (uint32_t i = 0; i < copy.info.mappings.count; i++) {
        struct found found = {setup_record(&copy.info.mappings, i), 0};
        const struct slipway_mapping *mapping = found.mapping;
        assert_int_equal(
            vmem_walk(space, vaddr(mapping->virt), mapping->bytes, count_as_listed, &found),
            VMEM_OK);
        assert_int_equal(found.bytes, mapping->bytes);
        listed += mapping->bytes;
    }
    assert_int_equal(vmem_walk(space, vaddr(0), 0, count_bytes, &mapped), VMEM_OK);
    assert_int_equal(mapped, listed);
}

bool setup_is_direct(const struct slipway_boot_info *info) {
    return info->stack_bottom == info->hhdm_base + info->stack_phys;
}

uint32_t setup_count_others(const struct slipway_boot_info *info) {
    return info->cpus.count <= 1 ? 0 : info->cpus.count - 1;
}

// What is mapped with another cache type than RAM must not be RAM.
static void check_framebuffer(const struct slipway_framebuffer *framebuffer) {
    uint64_t in_direct = copy.info.hhdm_base + framebuffer->address_phys;
    assert_int_equal(framebuffer->address == in_direct, setup_is_direct(&copy.info));
    for (uint32_t i = 0; i < copy.info.memory.count; i++) {
        const struct slipway_memory *memory = setup_record(&copy.info.memory, i);
        bool is_apart = framebuffer->address_phys >= memory->start_phys + memory->bytes ||
                        framebuffer->address_phys + framebuffer->bytes <= memory->start_phys;
        assert_true(is_apart || !memory->in_direct);
    }
}

static bool count_writable(void *argument, const struct vmem_run *run) {
    bool is_identical = run->virt.value - copy.info.hhdm_base == run->phys.value;
    if (is_identical && run->rights == (VMEM_READ | VMEM_WRITE) && run->cache == VMEM_CACHE_WB)
        *(uint64_t *)argument += run->bytes;
    return true;
}

static bool count_write_back(void *argument, const struct vmem_run *run) {
    return run->cache != VMEM_CACHE_WB || count_bytes(argument, run);
}

// A frame below and one above each stack, in the direct map if the kernel wishes, that is not
// mapped there. Those of other CPUs are looked at with their stacks.
static void check_guards(const struct vmem *space) {
    const struct slipway_boot_info *info = &copy.info;
    uint32_t others = setup_count_others(info);
    uint32_t guards = 0, beside_stack = 0;
    const struct slipway_range *guard;
    for (; (guard = setup_find_range(info, SLIPWAY_RANGE_GUARD, guards)) != NULL; guards++) {
        struct vmem_translation translation;
        uint64_t virt = info->hhdm_base + guard->start_phys;
        assert_int_equal(guard->bytes, FRAME_BYTES);
        assert_int_equal(vmem_translate(space, vaddr(virt), &translation), VMEM_ERR_NOT_MAPPED);
        beside_stack += virt == info->stack_bottom - FRAME_BYTES || virt == info->stack_top;
    }
    bool is_direct = setup_is_direct(info);
    assert_int_equal(beside_stack, is_direct ? 2 : 0);
    assert_int_equal(guards, !is_direct ? 0 : others == 0 ? 2 : 2 + others + 1);
}

// All that a kernel may come to use is in the direct map, and nothing is there that is no RAM.
static void check_direct_map(const struct vmem *space) {
    uint64_t direct = 0;
    uint64_t mapped = 0;
    for (uint32_t i = 0; i < copy.info.memory.count; i++) {
        const struct slipway_memory *memory = setup_record(&copy.info.memory, i);
        uint64_t writable = 0;
        direct += memory->in_direct ? memory->bytes : 0;
        if (memory->kind > SLIPWAY_MEM_PAGE_TABLES || memory->kind == SLIPWAY_MEM_KERNEL)
            continue;
        assert_int_equal(vmem_walk(space, vaddr(copy.info.hhdm_base + memory->start_phys),
                                   memory->bytes, count_writable, &writable),
                         VMEM_OK);
        assert_int_equal(writable, memory->bytes);
    }
    uint64_t window = copy.info.hhdm_end - copy.info.hhdm_base;
    assert_int_equal(
        vmem_walk(space, vaddr(copy.info.hhdm_base), window, count_write_back, &mapped), VMEM_OK);
    assert_int_equal(mapped, direct);
}

// Of the kernel's tables.
static unsigned kernel_levels(void) {
    return fake.cpu.cr4 & CR4_LA57 ? 5 : 4;
}

static void adopt(struct vmem *ret_space, uint64_t root) {
    const struct vmem_cpu cpu = {(uint8_t)fake.paddr_bits, .has_nx = true, .has_1g = fake.has_1g};
    assert_int_equal(vmem_adopt(ret_space, &ops, NULL, cpu, kernel_levels(), root), VMEM_OK);
}

void setup_adopt_space(struct vmem *ret_space) {
    adopt(ret_space, fake.cpu.root);
}

// A table of the firmware's that lies in the arena, where the firmware maps it, can be read.
static void check_firmware_table(const struct vmem *space, uint64_t address, uint64_t phys) {
    struct vmem_translation translation;
    if (phys >= FAKE_ARENA_START && phys < FAKE_ARENA_END)
        assert_true(address != 0);
    if (address == 0)
        return;
    assert_int_equal(vmem_translate(space, vaddr(address), &translation), VMEM_OK);
    assert_int_equal(translation.phys.value, phys);
    assert_false(translation.rights & VMEM_EXECUTE);
}

static void check_firmware_tables(const struct vmem *space) {
    check_firmware_table(space, copy.info.rsdp, copy.info.rsdp_phys);
    check_firmware_table(space, copy.info.smbios, copy.info.smbios_phys);
    check_firmware_table(space, copy.info.efi_system_table, copy.info.efi_system_table_phys);
    for (uint32_t i = 0; i < copy.info.mappings.count; i++) {
        const struct slipway_mapping *mapping = setup_record(&copy.info.mappings, i);
        if (mapping->purpose == SLIPWAY_MAP_FIRMWARE)
            assert_int_equal(mapping->rights, 0);
    }
}

uint64_t setup_image_phys(const struct slipway_boot_info *info, uint64_t virt) {
    for (uint32_t i = 0; i < info->kernel_pieces.count; i++) {
        const struct slipway_piece *piece = setup_record(&info->kernel_pieces, i);
        if (virt >= piece->virt && virt - piece->virt < piece->bytes)
            return piece->phys + (virt - piece->virt);
    }
    fail_msg("0x%lx lies in no piece of the image", virt);
    return 0;
}

static void check_space(void) {
    struct vmem space;
    setup_adopt_space(&space);
    check_firmware_tables(&space);
    check_mapped(&space);
    check_direct_map(&space);
    check_guards(&space);
    for (uint32_t i = 0; i < copy.info.framebuffers.count; i++)
        check_framebuffer(setup_record(&copy.info.framebuffers, i));
    struct vmem_translation translation;
    assert_int_equal(vmem_translate(&space, vaddr(copy.info.kernel_entry), &translation), VMEM_OK);
    assert_int_equal(translation.phys.value, setup_image_phys(&copy.info, copy.info.kernel_entry));
    assert_int_equal(translation.rights, VMEM_READ | VMEM_EXECUTE);
}

// ---- The memory map: what the model makes of the firmware's last map and of the loader's ranges

enum {
    DESCRIPTORS_MAX = 4096,
    CLAIMS_MAX = 2048,
    EDGES_MAX = 4 * DESCRIPTORS_MAX + 2 * CLAIMS_MAX,
};

static struct model_descriptor descriptors[DESCRIPTORS_MAX];
static struct memmap_claim claims[CLAIMS_MAX];
static uint64_t edges[EDGES_MAX]; // frame-aligned addresses where something starts or ends
static uint64_t edge_count;

static void add_edges(uint64_t start, uint64_t end) {
    assert_true(edge_count + 4 <= EDGES_MAX);
    edges[edge_count++] = align_down(start, FRAME_BYTES);
    edges[edge_count++] = align_down(end, FRAME_BYTES);
    if (!is_aligned(start, FRAME_BYTES)) {
        edges[edge_count++] = align_down(start, FRAME_BYTES) + FRAME_BYTES;
        edges[edge_count++] = align_down(end, FRAME_BYTES) + FRAME_BYTES;
    }
}

static int compare_edges(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t load_map(uint64_t limit) {
    const struct slipway_boot_info *info = &copy.info;
    uint64_t count = info->efi_map_bytes / info->efi_map_stride;
    const unsigned char *map = (const unsigned char *)(uintptr_t)info->efi_map;
    assert_true(count <= DESCRIPTORS_MAX);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t end;
        descriptors[i] = model_load(map, i, info->efi_map_stride);
        if (model_reach(&descriptors[i], limit, &end) && descriptors[i].start < end)
            add_edges(descriptors[i].start, end);
    }
    return count;
}

static uint64_t load_claims(void) {
    for (uint32_t i = 0; i < copy.info.ranges.count; i++) {
        const struct slipway_range *range = setup_record(&copy.info.ranges, i);
        assert_true(i < CLAIMS_MAX);
        claims[i] = (struct memmap_claim){range->start_phys, range->bytes,
                                          memmap_kind_of_purpose(range->purpose)};
        add_edges(range->start_phys, range->start_phys + range->bytes);
    }
    return copy.info.ranges.count;
}

// The region that holds `address`; the frames are asked for in rising order. Kind 0: none.
static struct slipway_memory region_at(uint64_t address, uint32_t *at) {
    for (; *at < copy.info.memory.count; ++*at) {
        const struct slipway_memory *memory = setup_record(&copy.info.memory, *at);
        if (address < memory->start_phys)
            break;
        if (address - memory->start_phys < memory->bytes)
            return *memory;
    }
    return (struct slipway_memory){0};
}

static void check_memory(void) {
    uint64_t limit = min_u64(SLIPWAY_HHDM_MAX_BYTES, UINT64_C(1) << fake.paddr_bits);
    edge_count = 0;
    add_edges(0, FRAME_BYTES);
    add_edges(MEMMAP_LEGACY_START, MEMMAP_LEGACY_END);
    uint64_t count = load_map(limit);
    uint64_t claim_count = load_claims();
    for (uint32_t i = 0; i < copy.info.memory.count; i++) {
        const struct slipway_memory *memory = setup_record(&copy.info.memory, i);
        add_edges(memory->start_phys, memory->start_phys + memory->bytes);
    }
    qsort(edges, edge_count, sizeof(edges[0]), compare_edges);
    uint32_t at = 0;
    for (uint64_t i = 0; i < edge_count; i++) {
        if (i != 0 && edges[i] == edges[i - 1])
            continue;
        struct model_frame want =
            model_frame(descriptors, count, claims, claim_count, limit, edges[i]);
        struct slipway_memory got = region_at(edges[i], &at);
        if (got.kind != want.kind || got.in_direct != want.direct)
            fail_msg("memory at 0x%lx is of kind %u, direct %u, instead of %u, %d", edges[i],
                     got.kind, got.in_direct, want.kind, want.direct);
    }
}

// The ranges are all that the loader holds, and its image; and free memory that is for a report.
static void check_ranges(void) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < copy.info.ranges.count; i++) {
        const struct slipway_range *range = setup_record(&copy.info.ranges, i);
        bool is_held =
            range->purpose != SLIPWAY_RANGE_DEMOTED && range->purpose != SLIPWAY_RANGE_CRASH;
        bytes += is_held ? range->bytes : 0;
        assert_int_equal(range->reclaimable, range->purpose != SLIPWAY_RANGE_KERNEL &&
                                                 range->purpose != SLIPWAY_RANGE_PAGE_TABLES &&
                                                 range->purpose != SLIPWAY_RANGE_DEMOTED &&
                                                 range->purpose != SLIPWAY_RANGE_GUARD);
    }
    assert_int_equal(bytes, fake_allocated_pages() * FRAME_BYTES +
                                align_up(FAKE_IMAGE_BYTES, FRAME_BYTES));
}

static void check_cpu(void) {
    const struct enter_cpu *cpu = &fake.cpu;
    assert_int_equal(cpu->root, copy.info.root_phys);
    assert_int_equal(cpu->entry, copy.info.kernel_entry);
    assert_int_equal(cpu->stack_top, copy.info.stack_top);
    assert_int_equal(cpu->pat, SLIPWAY_PAT);
    assert_int_equal(cpu->efer, 0xd00);
    bool is_slipway = setup_machine.state == MACHINE_SLIPWAY;
    uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_SMEP | CR4_UMIP |
                   (fake.has_mce ? CR4_MCE : 0);
    assert_int_equal(cpu->crossing_cr4, (cr4 & ~(uint64_t)(CR4_PGE | CR4_SMEP)) |
                                            (fake.paging_levels == 5 ? CR4_LA57 : 0));
    cr4 = is_slipway ? cr4 : 0x20;
    assert_int_equal(cpu->cr0, is_slipway ? 0x80010033 : 0x80010011);
    assert_int_equal(cpu->cr4, cr4 | (copy.info.paging_levels == 5 ? 0x1000 : 0));
    assert_int_equal(cpu->selectors.code, is_slipway ? 0x08 : 0x28);
    assert_int_equal(cpu->selectors.data, is_slipway ? 0x10 : 0x30);
    assert_int_equal(cpu->selectors.task, is_slipway ? 0x18 : 0x38);
    assert_true(fake.interrupts_are_off);
    assert_int_equal(fake.pic_masks[0], 0xff);
    assert_int_equal(fake.pic_masks[1], 0xff);
    assert_int_equal(fake.pit_control, is_slipway ? 0x30 : 0);
}

// ---- The way to the kernel: the tables of the crossing and the startup page

// The run of the startup page and the crossing's tables, where there is need of one; or null.
static const struct slipway_range *find_startup(void) {
    const struct slipway_range *range;
    for (uint32_t i = 0; (range = setup_find_range(&copy.info, SLIPWAY_RANGE_LOADER, i)); i++) {
        if (fake.cpu.crossing_root == range->start_phys + FRAME_BYTES)
            return range;
    }
    return NULL;
}

// Whole, but for what the orders hold for other CPUs, which these have followed if there are any.
static void check_startup_page(uint64_t page) {
    static _Alignas(FRAME_BYTES) uint8_t found[FRAME_BYTES];
    uint8_t *bytes = (uint8_t *)(uintptr_t)page;
    const struct startup startup = {
        .page = page,
        .root = fake.cpu.crossing_root,
        .cr4 = CR4_PAE | (kernel_levels() == 5 ? CR4_LA57 : 0),
        .others = cpus_startup_target(fake.cpu.slide),
        .boot = {(uintptr_t)enter_loaded + fake.cpu.slide, fake.cpu_address + fake.cpu.slide},
    };
    memcpy(found, bytes, sizeof(found));
    assert_int_equal(mprotect(bytes, FRAME_BYTES, PROT_READ | PROT_WRITE), 0); // it is code
    startup_write(&startup);
    assert_memory_equal(found, bytes, sizeof(found));
    assert_int_equal(startup.others.entry, (uintptr_t)park_find + fake.cpu.slide);
    if (fake.others_entry != 0) {
        assert_int_equal(fake.others_entry, startup.others.entry);
        assert_int_equal(fake.others_argument, startup.others.argument);
    }
    uint64_t limit = setup_count_others(&copy.info) != 0 ? MIB(1) : GIB(4);
    assert_int_equal(fake.code_limit, limit - 1);
    assert_true(page + FRAME_BYTES <= limit && fake.cpu.crossing_root < GIB(4));
}

static void check_at_itself(const struct vmem *crossing, uint64_t address, unsigned rights,
                            enum vmem_cache cache) {
    struct vmem_translation translation;
    assert_int_equal(vmem_translate(crossing, vaddr(address), &translation), VMEM_OK);
    assert_int_equal(translation.phys.value, address);
    assert_int_equal(translation.rights, VMEM_READ | rights);
    assert_int_equal(vmem_translation_cache(&translation), cache);
}

// The kernel's upper half, and of the lower one, one to one, the page of the switch and the startup
// page alone. There is a startup page only where there is need of it.
static void check_crossing(void) {
    const char *crossing_root = (const char *)(uintptr_t)fake.cpu.crossing_root;
    const char *root = (const char *)(uintptr_t)fake.cpu.root;
    bool changes_levels = kernel_levels() != fake.paging_levels;
    bool has_startup = changes_levels || setup_count_others(&copy.info) != 0;
    const struct slipway_range *startup = find_startup();
    struct vmem crossing;
    uint64_t mapped = 0;
    bool has_apic = setup_machine.state == MACHINE_LIMINE_STRICT && fake.has_apic &&
                    setup_count_others(&copy.info) != 0;
    uint64_t half = UINT64_C(1) << (9 * kernel_levels() + 11);
    assert_memory_equal(crossing_root + 2048, root + 2048, 2048);
    adopt(&crossing, fake.cpu.crossing_root);
    assert_int_equal(vmem_walk(&crossing, vaddr(0), half, count_bytes, &mapped), VMEM_OK);
    assert_int_equal(mapped, (1U + has_startup + has_apic) * FRAME_BYTES);
    if (has_apic)
        check_at_itself(&crossing, FAKE_LAPIC_PHYS, VMEM_WRITE, VMEM_CACHE_UC);
    check_at_itself(&crossing, align_down((uintptr_t)enter_switch_start, FRAME_BYTES), VMEM_EXECUTE,
                    VMEM_CACHE_WB);
    if (!has_startup) {
        assert_int_equal(fake.cpu.startup, 0);
        assert_int_equal(fake.code_limit, 0);
        return;
    }
    assert_non_null(startup);
    uint64_t page = startup->start_phys;
    check_at_itself(&crossing, page, VMEM_EXECUTE, VMEM_CACHE_WB);
    check_startup_page(page);
    assert_int_equal(fake.cpu.startup, changes_levels ? startup_boot_entry(page) : 0);
}

// ---- GDT, TSS and IDT, which lie in the loader's image

enum { FAULT_STACK_BYTES = 8192 };

// From image.S.
extern const char ImageBase[];

// What the kernel finds at `address`.
static const void *at_home(uint64_t address) {
    return (const void *)(uintptr_t)(address - fake.cpu.slide);
}

// From tables and stacks that the CPU uses to where it finds them.
static uint64_t tables_slide(void) {
    return setup_is_direct(&copy.info) ? copy.info.hhdm_base : fake.cpu.slide;
}

static const void *at_table(uint64_t address) {
    return (const void *)(uintptr_t)(address - tables_slide());
}

static void check_slide(void) {
    uint32_t i = 0;
    const struct slipway_mapping *mapping;
    do
        mapping = setup_record(&copy.info.mappings, i++);
    while (mapping->purpose != SLIPWAY_MAP_LOADER);
    assert_int_equal((uintptr_t)ImageBase + fake.cpu.slide, mapping->virt);
}

// The stacks of faults are 8 KiB each, side by side: all of that can be written here.
static void check_tss(const struct trap_tss *tss) {
    struct trap_tss want = {.iomap_base = sizeof(want)};
    char *bottom = (char *)(uintptr_t)at_table(tss->ist[0]) - FAULT_STACK_BYTES;
    assert_true(is_aligned((uintptr_t)bottom, 16));
    memset(bottom, 0xcc, TRAP_IST_COUNT * FAULT_STACK_BYTES);
    for (unsigned i = 0; i < TRAP_IST_COUNT; i++)
        want.ist[i] = (uintptr_t)bottom + tables_slide() + (i + 1) * FAULT_STACK_BYTES;
    assert_memory_equal(tss, &want, sizeof(want));
}

static void check_idt(void) {
    static struct trap_gate idt[TRAP_VECTORS];
    const struct trap_table_pointer *pointer = at_home(fake.cpu.idt);
    if (setup_machine.state == MACHINE_LIMINE_STRICT) {
        assert_int_equal(pointer->limit, 0);
        assert_int_equal(pointer->base, 0);
        return;
    }
    assert_int_equal(pointer->limit, sizeof(idt) - 1);
    trap_idt_fill(idt, (uintptr_t)trap_stubs + fake.cpu.slide,
                  setup_machine.state == MACHINE_SLIPWAY ? 0x08 : 0x28);
    assert_memory_equal(at_table(pointer->base), idt, sizeof(idt));
    assert_int_equal(copy.info.idt_phys, (uintptr_t)at_table(pointer->base));
}

// The words that stand before the TSS, by the protocol's text: null, and segments of 16, 32 and 64
// bits, each for code and data. Slipway's are those of 64 bits alone.
static uint64_t check_segments(const uint64_t *gdt, uint16_t limit) {
    static const uint64_t segments[] = {0,
                                        0x00009b000000ffff,
                                        0x000093000000ffff,
                                        0x00cf9b000000ffff,
                                        0x00cf93000000ffff,
                                        0x00af9b000000ffff,
                                        0x00cf93000000ffff};
    bool is_slipway = setup_machine.state == MACHINE_SLIPWAY;
    uint64_t count = is_slipway ? 3 : ARRAY_LEN(segments);
    assert_int_equal(limit, (count + 2) * 8 - 1);
    assert_int_equal(gdt[0], 0);
    assert_memory_equal(gdt + 1, segments + (is_slipway ? 5 : 1), (count - 1) * 8);
    return count;
}

uint64_t setup_check_gdt(const void *gdt, uint16_t limit) {
    const uint64_t *tss = (const uint64_t *)gdt + check_segments(gdt, limit);
    if (setup_machine.state == MACHINE_LIMINE_STRICT) {
        assert_int_equal(tss[0], 0x0000890000000000);
        assert_int_equal(tss[1], 0);
        return 0;
    }
    assert_int_equal(tss[0] & 0x00ffff000000ffff, 0x0000890000000067);
    assert_int_equal(tss[1] >> 32, 0);
    return tss[1] << 32 | tss[0] >> 56 << 24 | (tss[0] >> 16 & 0xffffff);
}

static void check_traps(void) {
    check_idt();
    const struct trap_table_pointer *pointer = at_home(fake.cpu.gdt);
    const void *gdt = at_table(pointer->base);
    uint64_t tss = setup_check_gdt(gdt, pointer->limit);
    assert_int_equal(copy.info.gdt_phys, (uintptr_t)gdt);
    if (setup_machine.state == MACHINE_LIMINE_STRICT)
        return;
    assert_int_equal(copy.info.tss_phys, (uintptr_t)at_table(tss));
    check_tss(at_table(tss));
}

const struct slipway_boot_info *setup_expect_kernel(void) {
    if (fake.end == FAKE_RETURNED || fake.end == FAKE_STOPPED)
        fail_msg("no boot: %s", fake.com1);
    setup_expect_no_breach();
    assert_true(fake.exited);
    assert_null(BS); // a late use faults
    assert_null(ST);
    take_copy();
    uint64_t index;
    enum boot_check result = boot_check_info(&copy.info, &index);
    if (result != BOOT_CHECK_OK)
        fail_msg("boot_info: %s (%lu)", boot_check_text(result), index);
    assert_int_equal(copy.info.exit_attempts, fake.exits);
    assert_true(fake_is_map((const void *)(uintptr_t)copy.info.efi_map, copy.info.efi_map_bytes));
    check_memory();
    check_ranges();
    check_space();
    check_cpu();
    check_crossing();
    check_slide();
    check_traps();
    setup_check_cpus(&copy.info);
    return &copy.info;
}
