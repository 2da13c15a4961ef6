// The way out of the boot services: stale keys, and memory maps that change under the loader.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/memmap/memmap.h"
#include "tests/firmware/picture.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCATTER_PHYS  UINT64_C(0x1000000000) // 64 GiB: nothing is there
#define SPARE_TABLES  16                     // of the loader's pool
#define DEMOTED_MAX   16                     // ranges of RAM that the loader can demote
#define READING_PLAN  1                      // of the map: for the plan,
#define READING_FIRST 2                      // before the first ExitBootServices,
#define READING_AGAIN 3                      // and after it
#define MISFIT        "memory map: the last one does not fit the page tables: "

// What the hooks do, and when.
static uint32_t when;
static uint32_t how_many;

static void hook(void (*before_map)(uint32_t), uint32_t reading, uint32_t count) {
    fake.before_map = before_map;
    when = reading;
    how_many = count;
}

static void boot_refused(uint32_t refusals) {
    setup_boot(SETUP_CONFIG);
    fake.exit_refusals = refusals;
    fake_boot();
}

// All conventional memory, less the page that is never usable.
static void expect_all_usable(const struct slipway_boot_info *info) {
    assert_int_equal(setup_count_kind(info, SLIPWAY_MEM_USABLE),
                     fake_count_memory(EfiConventionalMemory) - FRAME_BYTES);
    assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 0));
}

TEST("ExitBootServices may find a stale key 1, 2, 17 or 127 times") {
    static const uint32_t refusals[] = {1, 2, 17, 127};
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        boot_refused(refusals[i]);
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->exit_attempts, refusals[i] + 1);
        expect_all_usable(info);
    }
}

TEST("when ExitBootServices fails for ever the machine stops with a message") {
    boot_refused(UINT32_MAX);
    setup_expect_stop("ExitBootServices failed 128 times");
    assert_int_equal(fake.exits, 128);
    assert_string_equal(fake.console, "");
}

// RAM turns up where a framebuffer is: it would be mapped with two cache types.
static void put_ram_under_display(uint32_t reading) {
    if (reading == READING_AGAIN)
        fake_add_memory(0x60000000, 0x200000, EfiConventionalMemory);
}

TEST("every attempt is audited: what is wrong with the second map stops the machine") {
    setup_boot(NULL);
    uint32_t *pixels = picture_map(0x60000000, 640, 480);
    fake.exit_refusals = 1;
    fake.before_map = put_ram_under_display;
    fake_boot();
    assert_int_equal(fake.end, FAKE_STOPPED);
    assert_int_equal(fake.exits, 1);
    assert_string_equal(fake.breach, "");
    assert_non_null(strstr(fake.com1, "slipway: audit: "));
    picture_unmap(pixels, 640, 480);
}

TEST("a TSC that steps back makes no stage that ends before it starts") {
    setup_boot(SETUP_CONFIG);
    fake.tsc_steps_back = true;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel(); // boot_check looks at the stages
    assert_true(info->stages.count >= 8);
    assert_true(info->tsc_exit_done >= info->tsc_loader_entry);
}

TEST("a loader that is started above TPL_APPLICATION leaves from TPL_APPLICATION") {
    setup_boot(NULL);
    fake.tpl = TPL_CALLBACK;
    fake_boot();
    setup_expect_kernel();
    assert_true(fake.watchdog_is_off);
}

TEST("descriptors of 40, 48 and 56 bytes, told or not by the probe, make no difference") {
    for (uint64_t stride = 40; stride <= 56; stride += 8) {
        for (int hidden = 0; hidden < 2; hidden++) {
            setup_boot(NULL);
            fake.stride = stride;
            fake.probe_hides_stride = hidden;
            fake_boot();
            const struct slipway_boot_info *info = setup_expect_kernel();
            assert_int_equal(info->efi_map_stride, stride);
            expect_all_usable(info);
        }
    }
}

TEST("five paging levels are kept, by the tables and by the switch") {
    setup_boot(NULL);
    fake.paging_levels = 5;
    fake_boot();
    assert_int_equal(setup_expect_kernel()->paging_levels, 5);
}

TEST("page 0, when the firmware gives it, goes back and is not used") {
    setup_boot(SETUP_CONFIG);
    fake.gives_page_0 = true;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    for (uint32_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = setup_record(&info->ranges, i);
        assert_true(range->start_phys >= FAKE_ARENA_START);
    }
    const struct slipway_memory *lowest = setup_record(&info->memory, 0);
    assert_int_equal(lowest->kind, SLIPWAY_MEM_RESERVED);
    assert_int_equal(lowest->bytes, FRAME_BYTES);
}

TEST("descriptors of an impossible size are refused") {
    static const uint64_t strides[] = {8, 32, 44};
    for (size_t i = 0; i < ARRAY_LEN(strides); i++) {
        setup_boot(NULL);
        fake.stride = strides[i];
        fake_boot();
        const char *line;
        setup_expect_return(&line);
        assert_non_null(strstr(line, "memory map: descriptors of "));
    }
}

// What the loader says of a map with so many descriptors more, each of `stride` bytes.
static const char *refusal_of_map(uint64_t more, uint64_t stride) {
    setup_boot(NULL);
    for (uint64_t i = 0; i < more; i++)
        fake_add_memory(SCATTER_PHYS + 2 * i * FRAME_BYTES, FRAME_BYTES, EfiReservedMemoryType);
    fake.stride = stride;
    fake_boot();
    const char *line;
    setup_expect_return(&line);
    return line;
}

TEST("a map of 64 MiB is the largest that is believed") {
    static const char says[] = "memory map: descriptors of 67108864 bytes, ";
    const char *line = refusal_of_map(0, MIB(64));
    assert_memory_equal(line, says, strlen(says));
    uint64_t count = strtoull(line + strlen(says), NULL, 10) / MIB(64);
    assert_in_range(count, 1, 64);
    assert_non_null(strstr(refusal_of_map(64 - count, MIB(1)), "no room for ")); // for its copy
    assert_non_null(strstr(refusal_of_map(64 - count, MIB(1) + 8), "memory map: descriptors of "));
}

TEST("firmware that does not tell the size of its map is asked no further") {
    setup_boot(NULL);
    fake.refused = FAKE_GET_MEMORY_MAP;
    fake.fail_status = EFI_UNSUPPORTED;
    fake_boot();
    setup_expect_failure("memory map: the firmware does not tell its size (unsupported)");
    assert_int_equal(fake.status, EFI_UNSUPPORTED);
}

TEST("descriptors of another version are spoken of") {
    for (int hidden = 0; hidden < 2; hidden++) {
        setup_boot("log = info\n");
        fake.probe_hides_stride = hidden;
        fake_boot();
        setup_expect_kernel();
        const char *line = "memory map: descriptors of version 0, read as version 1\n";
        assert_int_equal(strstr(fake.com1, line) != NULL, hidden);
        assert_int_equal(strstr(fake.com1, "descriptors of version") != NULL, hidden);
    }
}

TEST("a map of two thousand descriptors, in any order, is handed over whole") {
    setup_boot(NULL);
    for (uint32_t i = 0; i < 2000; i++)
        fake_add_memory(SCATTER_PHYS + (i * 7 % 2000) * MIB(1), FRAME_BYTES, EfiBootServicesData);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_true(info->efi_map_bytes / info->efi_map_stride > 2000);
    assert_int_equal(setup_count_kind(info, SLIPWAY_MEM_BOOT_SERVICES),
                     fake_count_memory(EfiBootServicesCode) +
                         fake_count_memory(EfiBootServicesData));
    expect_all_usable(info);
}

// ---- Maps that grow

static void add_descriptors(uint32_t reading) {
    for (uint32_t i = 0; reading == when && i < how_many; i++)
        fake_add_memory(SCATTER_PHYS + i * MIB(1), FRAME_BYTES, EfiReservedMemoryType);
}

TEST("a map that grows by sixty descriptors at any time still fits") {
    for (uint32_t reading = READING_PLAN; reading <= READING_AGAIN; reading++) {
        setup_boot(NULL);
        fake.exit_refusals = 1;
        hook(add_descriptors, reading, 60);
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_true(info->efi_map_bytes / info->efi_map_stride > 60);
        assert_int_equal(info->exit_attempts, 2);
        expect_all_usable(info);
    }
}

TEST("a map that outgrows its buffer before the exit ends the boot, after it the machine") {
    static const char plan[] = "memory map: cannot read it (buffer too small)";
    static const char last[] = "memory map: cannot read the last one (buffer too small)";
    for (uint32_t reading = READING_PLAN; reading <= READING_AGAIN; reading++) {
        setup_boot(NULL);
        fake.exit_refusals = 1;
        hook(add_descriptors, reading, 1000);
        fake_boot();
        if (reading == READING_AGAIN)
            setup_expect_stop(last);
        else
            setup_expect_failure(reading == READING_PLAN ? plan : last);
    }
}

// Descriptors that are too small, from a reading on.
static void spoil_stride(uint32_t reading) {
    fake.stride = reading >= when ? how_many : fake.stride;
}

TEST("a last map whose descriptors make no sense is refused with their numbers") {
    for (uint32_t reading = READING_FIRST; reading <= READING_AGAIN; reading++) {
        int error;
        uint64_t bytes, stride;
        setup_boot(NULL);
        fake.exit_refusals = 1;
        hook(spoil_stride, reading, 32);
        fake_boot();
        assert_string_equal(fake.breach, "");
        assert_int_equal(fake.end, reading == READING_AGAIN ? FAKE_STOPPED : FAKE_RETURNED);
        assert_int_equal(
            sscanf(
                fake.com1,
                "slipway: memory map: cannot normalise the last one (error %d, %lu bytes, stride %lu)",
                &error, &bytes, &stride),
            3);
        assert_int_equal(error, MEMMAP_ERR_STRIDE);
        assert_int_equal(stride, 32);
        assert_true(bytes != 0 && bytes % 32 == 0);
    }
}

// ---- RAM that comes and goes

// Each range needs two tables of its own.
static void add_scattered_ram(uint32_t reading) {
    for (uint32_t i = 0; reading == when && i < how_many; i++)
        fake_add_memory(SCATTER_PHYS + i * GIB(1), FRAME_BYTES, EfiConventionalMemory);
}

// Each hole needs a table of its own.
static void punch_holes(uint32_t reading) {
    for (uint32_t i = 0; reading == when && i < how_many; i++) {
        fake_add_memory(FAKE_HIGH_PHYS + MIB(2) * (i + 1), FRAME_BYTES, EfiReservedMemoryType);
        fake_change_map_key();
    }
}

static const struct slipway_boot_info *boot_changed(void (*change)(uint32_t), uint32_t reading,
                                                    uint32_t count) {
    setup_boot(SETUP_CONFIG "log = debug\n");
    fake.exit_refusals = 1;
    hook(change, reading, count);
    fake_boot();
    return setup_expect_kernel();
}

TEST("RAM that appears before the exit is mapped and usable, with spare tables and without") {
    static const uint32_t counts[] = {1, SPARE_TABLES / 2 - 1, SPARE_TABLES, 60};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        expect_all_usable(boot_changed(add_scattered_ram, READING_FIRST, counts[i]));
}

TEST("RAM that appears after a refused exit is usable as far as the spare tables reach") {
    expect_all_usable(boot_changed(add_scattered_ram, READING_AGAIN, 3));
}

TEST("RAM that appears after a refused exit, beyond the spare tables, is demoted") {
    const uint32_t count = SPARE_TABLES * 3 / 4;
    const struct slipway_boot_info *info = boot_changed(add_scattered_ram, READING_AGAIN, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct slipway_range *range = setup_find_range(info, SLIPWAY_RANGE_DEMOTED, i);
        assert_non_null(range);
        assert_int_equal(range->start_phys, SCATTER_PHYS + i * GIB(1));
        assert_int_equal(range->bytes, FRAME_BYTES);
    }
    assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, count));
    assert_int_equal(setup_count_kind(info, SLIPWAY_MEM_USABLE),
                     fake_count_memory(EfiConventionalMemory) - (count + 1) * FRAME_BYTES);
    assert_non_null(strstr((const char *)(uintptr_t)info->log.address,
                           "RAM at 0x1000000000, 4096 bytes, appeared too late: not usable"));
}

TEST("more RAM than can be demoted stops the machine") {
    setup_boot(NULL);
    fake.exit_refusals = 1;
    hook(add_scattered_ram, READING_AGAIN, DEMOTED_MAX + 1);
    fake_boot();
    setup_expect_stop(
        MISFIT "17 ranges of RAM appeared, more than 16, and 31 frames are too few for 49 tables");
}

TEST("RAM that goes before the exit is not mapped, with spare tables and without") {
    static const uint32_t counts[] = {1, SPARE_TABLES, 60};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        const struct slipway_boot_info *info = boot_changed(punch_holes, READING_FIRST, counts[i]);
        assert_int_equal(setup_count_kind(info, SLIPWAY_MEM_USABLE),
                         fake_count_memory(EfiConventionalMemory) - (counts[i] + 1) * FRAME_BYTES);
    }
}

TEST("RAM that goes after a refused exit is not mapped as far as the spare tables reach") {
    const struct slipway_boot_info *info = boot_changed(punch_holes, READING_AGAIN, 5);
    assert_int_equal(setup_count_kind(info, SLIPWAY_MEM_USABLE),
                     fake_count_memory(EfiConventionalMemory) - 6 * FRAME_BYTES);
}

// The first hole splits a leaf of 1 GiB and one of 2 MiB.
TEST("RAM that goes after a refused exit may need the last spare table, and no more") {
    boot_changed(punch_holes, READING_AGAIN, SPARE_TABLES - 1);
    setup_boot(NULL);
    fake.exit_refusals = 1;
    hook(punch_holes, READING_AGAIN, SPARE_TABLES);
    fake_boot();
    setup_expect_stop(
        MISFIT
        "they map [0x100200000, 0x100201000), which is no longer RAM, and 31 frames are too few for 32 tables");
}

TEST("RAM that goes after a refused exit, beyond the spare tables, stops the machine") {
    setup_boot(NULL);
    fake.exit_refusals = 1;
    hook(punch_holes, READING_AGAIN, 3 * SPARE_TABLES);
    fake_boot();
    setup_expect_stop(
        MISFIT
        "they map [0x100200000, 0x100201000), which is no longer RAM, and 31 frames are too few for 64 tables");
}

// More RAM before every look at the map, each time beyond the spare tables.
static void add_ram_always(uint32_t reading) {
    for (uint32_t i = 0; i < SPARE_TABLES && reading >= READING_FIRST; i++)
        fake_add_memory(SCATTER_PHYS * reading + i * GIB(1), FRAME_BYTES, EfiConventionalMemory);
}

TEST("RAM that appears before every look at the map is followed four times, then demoted") {
    setup_boot(NULL);
    fake.before_map = add_ram_always;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->exit_attempts, 1);
    assert_int_equal(fake.readings, READING_FIRST + 4);
    assert_non_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, SPARE_TABLES - 1));
    assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, SPARE_TABLES));
}

// ---- What firmware does inside ExitBootServices

static void accept_memory(uint32_t attempt) {
    if (attempt == 1)
        fake_set_memory(FAKE_HIGH_PHYS, FAKE_HIGH_BYTES, EfiConventionalMemory);
}

TEST("memory that the firmware accepts inside ExitBootServices is mapped and usable") {
    for (int has_1g = 0; has_1g < 2; has_1g++) {
        setup_boot(NULL);
        fake.has_1g = has_1g;
        fake_set_memory(FAKE_HIGH_PHYS, FAKE_HIGH_BYTES, (EFI_MEMORY_TYPE)15); // unaccepted
        fake.in_exit = accept_memory;
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->exit_attempts, 2);
        assert_int_equal(info->hhdm_end, info->hhdm_base + FAKE_HIGH_PHYS + FAKE_HIGH_BYTES);
        expect_all_usable(info);
    }
}

static void take_memory(uint32_t attempt) {
    if (attempt == 1)
        fake_set_memory(FAKE_ARENA_START + MIB(12), MIB(3), EfiReservedMemoryType);
}

TEST("RAM that the firmware takes inside ExitBootServices is not mapped") {
    setup_boot(NULL);
    fake.in_exit = take_memory;
    fake_boot();
    expect_all_usable(setup_expect_kernel());
}
