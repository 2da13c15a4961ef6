// Boots that succeed: what the kernel is told and finds.
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <string.h>

TEST("a good boot ends in the kernel, with a sound boot_info") {
    setup_boot(SETUP_CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->loader_name, "Slipway");
    setup_expect_text(&info->kernel_path, "\\kernel.elf");
    setup_expect_text(&info->cmdline, "root=ram0 verbose");
    assert_int_equal(info->kernel_virt, ELF_FILE_BASE);
    assert_int_equal(info->kernel_entry, ELF_FILE_BASE + 0x10);
    assert_int_equal(info->kernel_bytes, 0x5000);
    assert_int_equal(info->kernel_file_bytes, sizeof(struct elf_file));
    assert_int_equal(info->kernel_slide, 0);
    assert_int_equal(info->exit_attempts, 1);
    assert_int_equal(info->paging_levels, 4);
    assert_int_equal(info->efi_map_stride, 48);
    assert_int_equal(info->stack_top - info->stack_bottom, 65536);
}

TEST("the timeline has every stage, in order, between the loader's entry and the exit") {
    static const char *const names[] = {"console", "config", "kernel", "modules",
                                        "devices", "plan",   "tables", "exit"};
    setup_boot(SETUP_CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    uint64_t previous_end = info->tsc_loader_entry;
    assert_true(previous_end != 0);
    size_t found = 0;
    for (uint32_t i = 0; i < info->stages.count; i++) {
        const struct slipway_stage *stage = setup_record(&info->stages, i);
        assert_true(stage->tsc_start > previous_end);
        previous_end = stage->tsc_end;
        found += found < ARRAY_LEN(names) && strcmp(stage->name, names[found]) == 0;
        if (strcmp(stage->name, "kernel") == 0)
            assert_int_equal(stage->bytes, sizeof(struct elf_file));
        if (strcmp(stage->name, "modules") == 0)
            assert_int_equal(stage->bytes, SETUP_MODULE_BYTES);
    }
    assert_int_equal(found, ARRAY_LEN(names));
    assert_in_range(info->tsc_exit_done, info->tsc_loader_entry, previous_end);
}

TEST("the last map is handed over as the firmware gave it") {
    setup_boot(SETUP_CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const char *at = (const char *)(uintptr_t)info->efi_map;
    uint64_t conventional = 0;
    for (uint64_t i = 0; i < info->efi_map_bytes / info->efi_map_stride; i++) {
        EFI_MEMORY_DESCRIPTOR descriptor;
        memcpy(&descriptor, at + i * info->efi_map_stride, sizeof(descriptor));
        if (descriptor.Type == EfiConventionalMemory)
            conventional += descriptor.NumberOfPages * 4096;
    }
    assert_int_equal(info->efi_map_version, EFI_MEMORY_DESCRIPTOR_VERSION);
    assert_int_equal(conventional, fake_count_memory(EfiConventionalMemory));
}

TEST("every page that the loader holds is in a range with a purpose") {
    setup_boot(SETUP_CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    uint64_t listed = 0;
    for (uint32_t i = 0; i < info->ranges.count; i++)
        listed += ((const struct slipway_range *)setup_record(&info->ranges, i))->bytes;
    assert_int_equal(listed, fake_allocated_pages() * 4096 + align_up(FAKE_IMAGE_BYTES, 4096));
    const struct slipway_range *tables = setup_find_range(info, SLIPWAY_RANGE_PAGE_TABLES, 0);
    assert_int_equal(tables->bytes, info->table_pages * UINT64_C(4096));
}

TEST("a boot leaves nothing behind that the next one could trip over") {
    for (int i = 0; i < 3; i++) {
        setup_boot(SETUP_CONFIG);
        setup_file("\\kernel.elf")->is_directory = i == 1;
        fake_boot();
        if (i == 1)
            setup_expect_failure(
                "\\kernel.elf: is a directory (the default kernel: /slipway.conf names "
                "none)");
        else
            setup_expect_kernel();
    }
}

TEST("every stage of a boot is handed over, with its name and the bytes that it was about") {
    setup_boot(SETUP_CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const uint64_t tables = (uint64_t)info->table_pages * FRAME_BYTES;
    const struct {
        const char *name;
        uint64_t bytes;
    } want[] = {
        {"console", 0},
        {"config", strlen(SETUP_CONFIG)},
        {"kernel", sizeof(struct elf_file)},
        {"modules", SETUP_MODULE_BYTES},
        {"devices", 0},
        {"plan", info->efi_map_bytes},
        {"tables", tables},
        {"map", info->efi_map_bytes},
        {"audit", tables},
        {"exit", 0},
    };
    assert_int_equal(info->stages.count, sizeof(want) / sizeof(want[0]));
    for (uint32_t i = 0; i < info->stages.count; i++) {
        const struct slipway_stage *stage = setup_record(&info->stages, i);
        assert_string_equal(stage->name, want[i].name);
        // The loader's own pages are cut out of the firmware's map after the plan.
        if (strcmp(want[i].name, "plan") != 0)
            assert_int_equal(stage->bytes, want[i].bytes);
    }
}
