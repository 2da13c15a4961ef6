// What holds of every boot.
#include "common/hash/sha256.h"
#include "tests/firmware/random/boot.h"

#include <string.h>

static bool is_failing(uint64_t number) {
    return number == fake.fail_at || (fake.fails_on && number > fake.fail_at) ||
           (enum fake_call)fake.kinds[number - 1] == fake.refused;
}

// Whether a call of this kind failed.
static bool has_failed(enum fake_call kind) {
    for (uint64_t number = 1; number <= fake.calls; number++) {
        if ((enum fake_call)fake.kinds[number - 1] == kind && is_failing(number))
            return true;
    }
    return false;
}

static bool was_called(enum fake_call kind) {
    return memchr(fake.kinds, (int)kind, fake.calls) != NULL;
}

// Whether a call failed that the loader cannot do without.
static bool has_failed_call(const struct boot *boot) {
    static const enum fake_call needed[] = {
        FAKE_ALLOCATE_PAGES, FAKE_GET_MEMORY_MAP, FAKE_EXIT,           FAKE_HANDLE_PROTOCOL,
        FAKE_OPEN_VOLUME,    FAKE_OPEN,           FAKE_READ,           FAKE_SET_POSITION,
        FAKE_GET_POSITION,   FAKE_GET_ATTRIBUTES, FAKE_SET_ATTRIBUTES, FAKE_CLEAR_ATTRIBUTES,
        FAKE_MTFTP};
    bool failed = (boot->kernel.wishes.flags & SLIPWAY_NOTE_FRAMEBUFFER) != 0 &&
                  has_failed(FAKE_LOCATE_HANDLE);
    failed |= boot->has_odd_size && has_failed(FAKE_GET_INFO);
    for (uint32_t i = 0; i < ARRAY_LEN(needed); i++)
        failed |= has_failed(needed[i]);
    return failed;
}

// Whether the kernel may have come up without what the config says.
static bool has_lost_config(const struct boot *boot) {
    return boot->has_lies || (has_failed(FAKE_OPEN) && fake.fail_status == EFI_NOT_FOUND);
}

// ---- A boot into the kernel

struct page_check {
    const struct boot *boot;
    const struct slipway_boot_info *info;
    uint64_t pages; // seen
};

static bool check_run(void *argument, const struct vmem_run *run) {
    struct page_check *check = argument;
    uint64_t offset = run->virt.value - check->info->kernel_virt;
    assert_int_equal(run->phys.value, setup_image_phys(check->info, run->virt.value));
    for (uint64_t at = 0; at < run->bytes; at += FRAME_BYTES) {
        unsigned want = boot_kernel_rights[(offset + at) / FRAME_BYTES];
        if (run->rights != want)
            fail_msg("page %lu of the kernel has the rights %u, not %u",
                     (offset + at) / FRAME_BYTES, run->rights, want);
        check->pages++;
    }
    return true;
}

static void check_image(const struct boot *boot, const struct slipway_boot_info *info) {
    const struct boot_kernel *kernel = &boot->kernel;
    assert_int_equal(info->kernel_virt, kernel->virt);
    assert_int_equal(info->kernel_bytes, kernel->pages * FRAME_BYTES);
    assert_int_equal(info->kernel_slide, kernel->slide);
    assert_int_equal(info->kernel_entry, kernel->entry);
    if (info->kernel_bytes >= MIB(2) && is_aligned(kernel->virt, MIB(2)))
        assert_true(is_aligned(info->kernel_phys, MIB(2)));
    for (uint64_t i = 0; i < info->kernel_bytes; i += FRAME_BYTES) {
        const void *page = (const void *)(uintptr_t)setup_image_phys(info, info->kernel_virt + i);
        if (memcmp(page, boot_kernel_image + i, FRAME_BYTES) != 0)
            assert_memory_equal(page, boot_kernel_image + i, FRAME_BYTES);
    }
    struct vmem space;
    struct page_check check = {boot, info, 0};
    uint64_t filled = 0;
    for (uint64_t i = 0; i < kernel->pages; i++)
        filled += boot_kernel_rights[i] != 0;
    setup_adopt_space(&space);
    assert_int_equal(
        vmem_walk(&space, vaddr(info->kernel_virt), info->kernel_bytes, check_run, &check),
        VMEM_OK);
    assert_int_equal(check.pages, filled);
}

static bool meets(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end) {
    return a < b_end && b < a_end;
}

// Only what may lie at random does, and where it may. From here on the kernel is expected there.
static void check_kaslr(struct boot *boot, const struct slipway_boot_info *info) {
    const struct slipway_note_wishes *wishes = &boot->kernel.wishes;
    uint64_t slide = info->kernel_slide;
    bool has_image = (info->kaslr.moved & SLIPWAY_KASLR_IMAGE) != 0;
    bool has_direct = (info->kaslr.moved & SLIPWAY_KASLR_DIRECT) != 0;
    assert_true((wishes->flags & SLIPWAY_NOTE_KASLR) != 0 || info->kaslr.moved == 0);
    assert_true(wishes->hhdm_base == 0 || !has_direct);
    assert_true(has_image || slide == boot->kernel.slide);
    if (has_image) {
        assert_true(is_aligned(slide - boot->kernel.slide, MIB(2)));
        assert_true(info->kernel_virt >= SLIPWAY_KERNEL_DEFAULT &&
                    info->kernel_virt - SLIPWAY_KERNEL_DEFAULT < GIB(1));
        boot_move_kernel(boot, slide);
    }
}

// Direct map and window are where they are always, unless the kernel is there.
static void check_places(const struct boot *boot, const struct slipway_boot_info *info) {
    uint64_t kernel_end = info->kernel_virt + info->kernel_bytes;
    uint64_t wish = boot->kernel.wishes.hhdm_base;
    uint64_t direct_bytes = info->hhdm_end - info->hhdm_base;
    uint64_t base = wish != 0 ? wish : SLIPWAY_HHDM_BASE;
    bool window_is_free =
        !meets(info->kernel_virt, kernel_end, SLIPWAY_WINDOW_BASE, SLIPWAY_WINDOW_END);
    assert_int_equal(info->window_base == SLIPWAY_WINDOW_BASE, window_is_free);
    if (info->kaslr.moved & SLIPWAY_KASLR_DIRECT)
        assert_true(is_aligned(info->hhdm_base, GIB(1)) && info->hhdm_end < SLIPWAY_WINDOW_BASE);
    else
        assert_int_equal(info->hhdm_base == base,
                         !meets(info->kernel_virt, kernel_end, base, base + direct_bytes));
    assert_false(meets(info->kernel_virt, kernel_end, info->window_base,
                       info->window_base + SLIPWAY_WINDOW_BYTES));
    assert_false(meets(info->kernel_virt, kernel_end, info->hhdm_base, info->hhdm_end));
    assert_false(meets(info->hhdm_base, info->hhdm_end, info->window_base,
                       info->window_base + SLIPWAY_WINDOW_BYTES));
}

static void check_wishes(const struct boot *boot, const struct slipway_boot_info *info) {
    assert_int_equal(info->stack_top - info->stack_bottom, boot->kernel.wishes.stack_bytes);
    check_places(boot, info);
    assert_int_equal(setup_is_direct(info), (boot->kernel.wishes.flags & SLIPWAY_NOTE_DIRECT) != 0);
    uint32_t wish = boot->kernel.wishes.paging_levels;
    assert_int_equal(info->paging_levels, wish != 0 ? wish : fake.paging_levels);
}

static void check_module(const struct boot *boot, const struct slipway_boot_info *info,
                         uint32_t index) {
    const struct boot_module *want = &boot->modules[index];
    const struct slipway_module *module = setup_record(&info->modules, index);
    setup_expect_text(&module->path, want->path);
    setup_expect_text(&module->cmdline, want->cmdline);
    assert_int_equal(module->bytes, want->bytes);
    assert_int_equal(module->digest_kind,
                     boot->has_digests ? SLIPWAY_DIGEST_SHA256 : SLIPWAY_DIGEST_NONE);
    uint8_t digest[32] = {0};
    if (boot->has_digests)
        sha256(want->contents, want->bytes, digest);
    assert_memory_equal(module->digest, digest, sizeof(digest));
    if (want->bytes == 0) {
        assert_int_equal(module->address, 0);
        return;
    }
    static const uint8_t zeros[FRAME_BYTES];
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)(module->address - info->hhdm_base);
    if (memcmp(bytes, want->contents, want->bytes) != 0)
        assert_memory_equal(bytes, want->contents, want->bytes);
    uint64_t tail = align_up(want->bytes, FRAME_BYTES) - want->bytes;
    assert_memory_equal(bytes + want->bytes, zeros, tail);
    if (want->bytes >= MIB(2))
        assert_true(is_aligned((uintptr_t)bytes, MIB(2)));
}

static void check_files(const struct boot *boot, const struct slipway_boot_info *info) {
    setup_expect_text(&info->kernel_path, boot->kernel_path);
    setup_expect_text(&info->cmdline, boot->cmdline);
    assert_int_equal(info->kernel_file_bytes, boot->kernel.file_bytes);
    assert_int_equal(info->modules.count, boot->module_count);
    for (uint32_t i = 0; i < boot->module_count; i++)
        check_module(boot, info, i);
}

static void check_framebuffers(const struct boot *boot, const struct slipway_boot_info *info) {
    assert_int_equal(info->framebuffers.count, boot->framebuffer_count);
    for (uint32_t i = 0; i < boot->framebuffer_count; i++) {
        struct slipway_framebuffer got;
        memcpy(&got, setup_record(&info->framebuffers, i), sizeof(got));
        assert_int_equal(got.address % FRAME_BYTES, got.address_phys % FRAME_BYTES);
        assert_true(got.bytes >= boot->framebuffers[i].bytes);
        assert_true(got.bytes < boot->framebuffers[i].bytes + FRAME_BYTES);
        got.address = 0; // checked with the mappings
        got.bytes = boot->framebuffers[i].bytes;
        assert_int_equal(got.edid_bytes, boot->framebuffers[i].edid_bytes);
        got.edid = 0;
        assert_int_equal(got.modes.count, boot->framebuffers[i].modes.count);
        got.modes = boot->framebuffers[i].modes;
        got.mode = 0; // checked with the hand-over
        assert_memory_equal(&got, &boot->framebuffers[i], sizeof(got));
    }
}

static void check_clears(const struct boot *boot, const struct slipway_boot_info *info) {
    bool keeps_screen =
        boot->keeps_screen || (boot->kernel.wishes.flags & SLIPWAY_NOTE_KEEP_SCREEN) != 0;
    uint32_t count = keeps_screen ? 0 : info->framebuffers.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct slipway_framebuffer *framebuffer = setup_record(&info->framebuffers, i);
        assert_int_equal(fake.cpu.clears[i].address, framebuffer->address);
        assert_int_equal(fake.cpu.clears[i].bytes,
                         (uint64_t)framebuffer->pitch * framebuffer->height);
    }
    assert_int_equal(fake.cpu.clears[count].bytes, 0);
}

static void check_kernel(struct boot *boot) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_false(boot->must_fail);
    assert_int_equal(fake.s_cet_was_cleared, fake.has_cet);
    if (fake.exits == 1) // before that there were more tables to be had
        assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 0));
    if (!boot->kernel.is_scrambled) {
        check_kaslr(boot, info);
        check_image(boot, info);
        check_wishes(boot, info);
        boot_check_cpus(boot, info);
    }
    if (!has_lost_config(boot)) {
        assert_false(boot->files_must_fail);
        check_files(boot, info);
        if (!boot->kernel.is_scrambled)
            check_clears(boot, info);
    }
    bool has_lost_resolution = boot->resolution != NULL && has_lost_config(boot);
    if (!has_failed(FAKE_LOCATE_HANDLE) && !has_failed(FAKE_HANDLE_PROTOCOL) &&
        !has_failed(FAKE_QUERY_MODE) && !has_failed(FAKE_SET_MODE) && !has_lost_resolution)
        check_framebuffers(boot, info);
}

// ---- A boot that ends in a message

// Whole lines, each of the loader's; one alone if the config does not ask for more, and on a
// console one that says what is waited for.
static void check_lines(const struct boot *boot, const char *text, size_t bytes, bool waits) {
    static const char name[] = "slipway: ";
    uint32_t lines = 0;
    while (*text != '\0') {
        const char *end = strchr(text, '\n');
        if (end == NULL && bytes == FAKE_TEXT_BYTES - 1)
            break; // more than the fake keeps
        if (end == NULL || strncmp(text, name, strlen(name)) != 0 || end == text + strlen(name))
            fail_msg("not a line of the loader's: '%s'", text);
        bool is_key = waits && end[1] == '\0' && strncmp(text, "slipway: press a key", 20) == 0;
        text = end + 1;
        lines += !is_key;
        waits &= !is_key;
    }
    assert_false(waits);
    bool is_quiet = strcmp(boot->log, "quiet") == 0 && !boot->has_lies;
    assert_true(lines == 1 || (lines > 1 && !is_quiet));
}

static void check_message(const struct boot *boot) {
    bool is_shown = fake.has_console && !has_failed(FAKE_OUTPUT) && fake.end == FAKE_RETURNED;
    bool is_one = fake.console_is_com1 && !has_failed(FAKE_LOCATE_HANDLE) &&
                  !has_failed(FAKE_HANDLE_PROTOCOL);
    if (fake.has_uart && !fake.uart_is_stuck && !fake.console_is_com1)
        check_lines(boot, fake.com1, fake.com1_bytes, false);
    if (is_shown)
        check_lines(boot, fake.console, fake.console_bytes, true);
    if (is_shown && is_one && fake.has_uart && !was_called(FAKE_SET_MODE)) // it silences one
        assert_string_equal(fake.com1, fake.console);
    if (is_shown && fake.key_at_stall == 0 && !has_failed(FAKE_READ_KEY))
        assert_int_equal(fake.stalled_us, 10000000);
}

static void check_stop(const struct boot *boot) {
    assert_true(fake.exits != 0);
    if (!boot->may_stop)
        fail_msg("stopped without a reason: %s", fake.com1);
}

static void check_return(const struct boot *boot) {
    bool has_reason = boot->may_fail || boot->must_fail || boot->files_must_fail;
    if (!has_reason && !has_failed_call(boot))
        fail_msg("gave up without a reason: %s%s", fake.com1, fake.console);
    assert_true(EFI_ERROR(fake.status));
    assert_int_equal(fake_allocated_pages(), 0);
    assert_int_equal(fake.tpl, boot->tpl);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(fake.com1_registers[i], boot->com1_registers[i]);
    assert_memory_equal(fake.com1_divisor, boot->com1_divisor, sizeof(boot->com1_divisor));
}

void boot_check(struct boot *boot) {
    assert_string_equal(fake.breach, "");
    assert_int_equal(fake.open_handles, 0);
    assert_int_equal(fake.pools, 0);
    if (fake.end == FAKE_ENTERED) {
        check_kernel(boot);
        return;
    }
    check_message(boot);
    if (fake.end == FAKE_STOPPED)
        check_stop(boot);
    else
        check_return(boot);
}
