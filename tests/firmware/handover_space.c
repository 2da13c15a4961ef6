// The page tables of a hand-over: what the manifest says, no more and no less.
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "tests/firmware/handover.h"

static const struct slipway_boot_info *info;

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

unsigned handover_levels(void) {
    return fake.cpu.cr4 & CR4_LA57 ? 5 : 4;
}

void handover_adopt(struct vmem *ret_space, uint64_t root) {
    const struct vmem_cpu cpu = {(uint8_t)fake.paddr_bits, .has_nx = true, .has_1g = fake.has_1g};
    assert_int_equal(vmem_adopt(ret_space, &ops, NULL, cpu, handover_levels(), root), VMEM_OK);
}

void setup_adopt_space(struct vmem *ret_space) {
    handover_adopt(ret_space, fake.cpu.root);
}

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

bool handover_count_bytes(void *argument, const struct vmem_run *run) {
    *(uint64_t *)argument += run->bytes;
    return true;
}

static void check_mapped(const struct vmem *space) {
    uint64_t listed = 0;
    uint64_t mapped = 0;
    for (uint32_t i = 0; i < info->mappings.count; i++) {
        struct found found = {setup_record(&info->mappings, i), 0};
        const struct slipway_mapping *mapping = found.mapping;
        assert_int_equal(
            vmem_walk(space, vaddr(mapping->virt), mapping->bytes, count_as_listed, &found),
            VMEM_OK);
        assert_int_equal(found.bytes, mapping->bytes);
        listed += mapping->bytes;
    }
    assert_int_equal(vmem_walk(space, vaddr(0), 0, handover_count_bytes, &mapped), VMEM_OK);
    assert_int_equal(mapped, listed);
}

// What is mapped with another cache type than RAM must not be RAM.
static void check_framebuffer(const struct slipway_framebuffer *framebuffer) {
    uint64_t in_direct = info->hhdm_base + framebuffer->address_phys;
    assert_int_equal(framebuffer->address == in_direct, setup_is_direct(info));
    for (uint32_t i = 0; i < info->memory.count; i++) {
        const struct slipway_memory *memory = setup_record(&info->memory, i);
        bool is_apart = framebuffer->address_phys >= memory->start_phys + memory->bytes ||
                        framebuffer->address_phys + framebuffer->bytes <= memory->start_phys;
        assert_true(is_apart || !memory->in_direct);
    }
}

static bool count_writable(void *argument, const struct vmem_run *run) {
    bool is_identical = run->virt.value - info->hhdm_base == run->phys.value;
    if (is_identical && run->rights == (VMEM_READ | VMEM_WRITE) && run->cache == VMEM_CACHE_WB)
        *(uint64_t *)argument += run->bytes;
    return true;
}

static bool count_write_back(void *argument, const struct vmem_run *run) {
    return run->cache != VMEM_CACHE_WB || handover_count_bytes(argument, run);
}

// A frame below and one above each stack, in the direct map if the kernel wishes, that is not
// mapped there. Those of other CPUs are looked at with their stacks.
static void check_guards(const struct vmem *space) {
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
    for (uint32_t i = 0; i < info->memory.count; i++) {
        const struct slipway_memory *memory = setup_record(&info->memory, i);
        uint64_t writable = 0;
        direct += memory->in_direct ? memory->bytes : 0;
        if (memory->kind > SLIPWAY_MEM_PAGE_TABLES || memory->kind == SLIPWAY_MEM_KERNEL)
            continue;
        assert_int_equal(vmem_walk(space, vaddr(info->hhdm_base + memory->start_phys),
                                   memory->bytes, count_writable, &writable),
                         VMEM_OK);
        assert_int_equal(writable, memory->bytes);
    }
    uint64_t window = info->hhdm_end - info->hhdm_base;
    assert_int_equal(vmem_walk(space, vaddr(info->hhdm_base), window, count_write_back, &mapped),
                     VMEM_OK);
    assert_int_equal(mapped, direct);
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
    check_firmware_table(space, info->rsdp, info->rsdp_phys);
    check_firmware_table(space, info->smbios, info->smbios_phys);
    check_firmware_table(space, info->efi_system_table, info->efi_system_table_phys);
    for (uint32_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *mapping = setup_record(&info->mappings, i);
        if (mapping->purpose == SLIPWAY_MAP_FIRMWARE)
            assert_int_equal(mapping->rights, 0);
    }
}

void handover_check_space(const struct slipway_boot_info *copy) {
    info = copy;
    struct vmem space;
    setup_adopt_space(&space);
    check_firmware_tables(&space);
    check_mapped(&space);
    check_direct_map(&space);
    check_guards(&space);
    for (uint32_t i = 0; i < info->framebuffers.count; i++)
        check_framebuffer(setup_record(&info->framebuffers, i));
    struct vmem_translation translation;
    assert_int_equal(vmem_translate(&space, vaddr(info->kernel_entry), &translation), VMEM_OK);
    assert_int_equal(translation.phys.value, setup_image_phys(info, info->kernel_entry));
    assert_int_equal(translation.rights, VMEM_READ | VMEM_EXECUTE);
}
