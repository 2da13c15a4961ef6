// What the kernel would find: a copy of boot_info that can be read here, and what holds of every
// hand-over.
#include "common/base/arith.h"
#include "common/boot/boot_check.h"
#include "common/vmem/vmem.h"
#include "common/x86/regs.h"
#include "tests/firmware/setup.h"

#include <string.h>

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
    uint64_t hhdm_base = align_down(fake.cpu.boot_info, GIB(512)); // the arena is below 4 GiB
    const struct slipway_boot_info *block =
        (const struct slipway_boot_info *)(uintptr_t)(fake.cpu.boot_info - hhdm_base);
    assert_int_equal(block->hhdm_base, hhdm_base);
    assert_true(block->total_bytes <= sizeof(copy));
    memcpy(&copy, block, block->total_bytes);
    to_copy = (uintptr_t)&copy - fake.cpu.boot_info;
    struct slipway_boot_info *info = &copy.info;
    info->efi_map += to_copy;
    struct slipway_array *const arrays[] = {&info->mappings, &info->memory,       &info->ranges,
                                            &info->modules,  &info->framebuffers, &info->stages};
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++)
        move_array(arrays[i]);
    struct slipway_text *const texts[] = {&info->loader_name, &info->loader_version,
                                          &info->kernel_path, &info->cmdline, &info->log};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        move_text(texts[i]);
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

// Tables lie in the arena, and nothing of it that is not the loader's can be read.
static uint64_t *table_pointer(void *context, paddr_t table) {
    (void)context;
    bool in_arena = table.value >= FAKE_ARENA_START && table.value < FAKE_ARENA_END;
    return in_arena ? (uint64_t *)(uintptr_t)table.value : NULL;
}

static const struct vmem_ops ops = {
    .table_alloc = no_table,
    .table_free = keep_table,
    .table_pointer = table_pointer,
};

static bool count_identical(void *argument, const struct vmem_run *run) {
    uint64_t *bytes = argument;
    if (run->virt.value - copy.info.hhdm_base == run->phys.value && run->cache == VMEM_CACHE_WB &&
        !(run->rights & VMEM_EXECUTE))
        *bytes += run->bytes;
    return true;
}

// All that a kernel may come to use is mapped, and is what the firmware's last map says it is.
static void check_memory(const struct vmem *space, const struct slipway_memory *memory) {
    if (memory->kind > SLIPWAY_MEM_ACPI_RECLAIM)
        return;
    uint64_t mapped = 0;
    assert_int_equal(vmem_walk(space, vaddr(copy.info.hhdm_base + memory->start_phys),
                               memory->bytes, count_identical, &mapped),
                     VMEM_OK);
    assert_int_equal(mapped, memory->bytes);
    uint64_t end = memory->start_phys + memory->bytes;
    for (uint64_t at = memory->start_phys; at < end;) {
        struct fake_memory found;
        assert_true(fake_find_memory(at, &found));
        if (memory->kind == SLIPWAY_MEM_USABLE)
            assert_int_equal(found.type, EfiConventionalMemory);
        at = found.end;
    }
}

static void check_space(void) {
    struct vmem space;
    const struct vmem_cpu cpu = {(uint8_t)fake.paddr_bits, .has_nx = true, .has_1g = fake.has_1g};
    assert_int_equal(vmem_adopt(&space, &ops, NULL, cpu, fake.paging_levels, fake.cpu.root),
                     VMEM_OK);
    for (uint32_t i = 0; i < copy.info.memory.count; i++)
        check_memory(&space, setup_record(&copy.info.memory, i));
    struct vmem_translation translation;
    assert_int_equal(vmem_translate(&space, vaddr(copy.info.kernel_entry), &translation), VMEM_OK);
    assert_int_equal(translation.phys.value - copy.info.kernel_phys,
                     copy.info.kernel_entry - copy.info.kernel_virt);
    assert_int_equal(translation.rights, VMEM_READ | VMEM_EXECUTE);
}

static void check_cpu(void) {
    const struct enter_cpu *cpu = &fake.cpu;
    assert_int_equal(cpu->root, copy.info.root_phys);
    assert_int_equal(cpu->entry, copy.info.kernel_entry);
    assert_int_equal(cpu->stack_top, copy.info.stack_top);
    assert_int_equal(cpu->pat, SLIPWAY_PAT);
    assert_int_equal(cpu->cr0, 0x80010033);
    assert_int_equal(cpu->efer, 0xd00);
    assert_int_equal(cpu->cr4, CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_SMEP |
                                   CR4_UMIP | (fake.has_mce ? CR4_MCE : 0) |
                                   (fake.paging_levels == 5 ? CR4_LA57 : 0));
    assert_true(fake.interrupts_are_off);
    assert_int_equal(fake.pic_masks[0], 0xff);
    assert_int_equal(fake.pic_masks[1], 0xff);
    const char *crossing = (const char *)(uintptr_t)cpu->crossing_root;
    const char *root = (const char *)(uintptr_t)cpu->root;
    assert_memory_equal(crossing + 2048, root + 2048, 2048);
}

const struct slipway_boot_info *setup_expect_kernel(void) {
    if (fake.end == FAKE_RETURNED || fake.end == FAKE_STOPPED)
        fail_msg("no boot: %s", fake.com1);
    assert_string_equal(fake.breach, "");
    assert_int_equal(fake.open_handles, 0);
    assert_true(fake.exited);
    take_copy();
    uint64_t index;
    enum boot_check result = boot_check_info(&copy.info, &index);
    if (result != BOOT_CHECK_OK)
        fail_msg("boot_info: %s (%lu)", boot_check_text(result), index);
    assert_int_equal(copy.info.exit_attempts, fake.exits);
    check_space();
    check_cpu();
    return &copy.info;
}
