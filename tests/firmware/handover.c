// What the kernel would find: a copy of boot_info that can be read here, and what holds of every
// hand-over.
#include "tests/firmware/handover.h"

#include "common/base/arith.h"
#include "common/boot/boot_check.h"
#include "common/x86/regs.h"
#include "loader/enter.h"
#include "loader/firmware.h"

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

bool setup_is_direct(const struct slipway_boot_info *info) {
    return info->stack_bottom == info->hhdm_base + info->stack_phys;
}

uint32_t setup_count_others(const struct slipway_boot_info *info) {
    return info->cpus.count <= 1 ? 0 : info->cpus.count - 1;
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
    handover_check_memory(&copy.info);
    handover_check_space(&copy.info);
    check_cpu();
    handover_check_crossing(&copy.info);
    handover_check_traps(&copy.info);
    handover_check_cpus(&copy.info);
    return &copy.info;
}
