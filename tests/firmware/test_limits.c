// Limits: as many modules, ranges and bytes as there can be, and one more.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/memmap/memmap.h"
#include "common/x86/regs.h"
#include "loader/enter.h"
#include "loader/firmware.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEMOTED = 16, SPARE_TABLES = 16, REREAD = 3, MODULES = 1000, CPUS = 12 };

static char config[MODULES * 200];

// A config of `count` modules, all the same file, each with a text of `bytes` bytes.
static void write_config(uint32_t count, uint32_t bytes) {
    size_t at = (size_t)snprintf(config, sizeof(config), "cmdline = %0*u\n", (int)bytes + 1, 0);
    for (uint32_t i = 0; i < count; i++)
        at += (size_t)snprintf(config + at, sizeof(config) - at, "module = \\m %0*u\n",
                               (int)bytes + 1, i);
}

static void boot_modules(uint32_t count, uint32_t bytes) {
    write_config(count, bytes);
    setup_boot(config);
    fake_add_file("\\m", setup_module, 5000);
    fake_add_display(0xc0000000, 640, 480);
}

// Below the loader's pages, and above them.
static void demote(uint32_t reading) {
    if (reading == REREAD)
        fake_set_memory(MIB(1), FAKE_ARENA_START - MIB(1), EfiConventionalMemory);
    for (uint64_t i = 1; reading == REREAD && i < DEMOTED; i++)
        fake_add_memory(UINT64_C(0x1000000000) + i * GIB(1), FRAME_BYTES, EfiConventionalMemory);
}

// With all the RAM demoted that can be.
static void boot_demoted(uint32_t flags) {
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION, .flags = flags});
    fake.mtrr_cap = MTRR_CAP_FIXED | DEMOTED;
    for (uint32_t i = 0; i < DEMOTED; i++)
        setup_add_mtrr(i, FAKE_HIGH_PHYS + i * MIB(4), MIB(2), SLIPWAY_MTRR_UC);
    fake.exit_refusals = 1;
    fake_set_memory(MIB(1), FAKE_ARENA_START - MIB(1), EfiReservedMemoryType);
    fake.before_map = demote;
    fake_boot();
}

static void boot_many_modules(uint32_t count) {
    boot_modules(count, 1);
    fake_add_cpu(1); // for the CPUs' memory and a startup page
    boot_demoted(SLIPWAY_NOTE_CPUS);
}

TEST(
    "limits: with any number of modules, and all the RAM that can be demoted, every range is listed") {
    // Without modules, and on both sides of where the list of ranges moves into pages, and again.
    static const uint32_t counts[] = {0,  19, 20, 21, 22, 23, 24,     80,
                                      81, 82, 83, 84, 85, 86, MODULES};
    uint32_t ranges_without = 0;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        boot_many_modules(counts[i]);
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->modules.count, counts[i]);
        assert_int_equal(setup_find_range(info, SLIPWAY_RANGE_MODULE, counts[i]), NULL);
        assert_non_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 2 * DEMOTED - 1));
        if (i == 0) {
            ranges_without = info->ranges.count;
            continue;
        }
        assert_non_null(setup_find_range(info, SLIPWAY_RANGE_MODULE, counts[i] - 1));
        // The list of modules and, from some number on, that of ranges.
        uint32_t more = info->ranges.count - ranges_without - counts[i];
        assert_in_range(more, counts[i] >= 24 ? 2 : 1, counts[i] >= 20 ? 2 : 1);
    }
}

// How many ranges are listed with CPUs and such wishes, and for how many more there is room.
static uint32_t count_ranges(uint32_t flags, uint64_t *ret_room) {
    boot_modules(3, 1);
    for (uint32_t i = 1; i <= CPUS; i++)
        fake_add_cpu(100 + i);
    boot_demoted(flags);
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_non_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 2 * DEMOTED - 1));
    uint64_t capacity = (info->kernel_pieces.address - info->ranges.address) / info->ranges.stride;
    *ret_room = capacity - info->ranges.count;
    return info->ranges.count;
}

TEST("limits: guards of stacks in the direct map come to all of these") {
    // Two of the boot stack, and of the others as many as there are guards and stacks.
    uint64_t room, room_without;
    uint32_t without = count_ranges(SLIPWAY_NOTE_CPUS, &room_without);
    assert_int_equal(count_ranges(SLIPWAY_NOTE_CPUS | SLIPWAY_NOTE_DIRECT, &room),
                     without + 2 + CPUS + 1 + CPUS);
    // The list has not moved, and there are no responses, and no room for a report; three guards
    // cut nothing: they are at the ends of their runs.
    assert_int_equal(room_without, 3);
    assert_int_equal(room, 3 + 3);
}

TEST("limits: with a thousand modules each is what its line says, and a failure gives all back") {
    boot_many_modules(MODULES);
    const struct slipway_boot_info *info = setup_expect_kernel();
    for (uint32_t i = 0; i < MODULES; i++) {
        char want[8];
        const struct slipway_module *module = setup_record(&info->modules, i);
        snprintf(want, sizeof(want), "%02u", i);
        setup_expect_text(&module->cmdline, want);
        assert_int_equal(module->bytes, 5000);
    }
    write_config(MODULES, 1);
    strcat(config, "module = \\none\n");
    setup_boot(config);
    fake_add_file("\\m", setup_module, 5000);
    fake_boot();
    setup_expect_failure("\\none: not found (key 'module', /slipway.conf line 1002)");
}

TEST("limits: texts of every length have room in the hand-over, and are whole") {
    for (uint32_t bytes = 0; bytes < 900; bytes += 13) {
        enum { COUNT = 64 };
        boot_modules(COUNT, bytes);
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        for (uint32_t i = 0; i < COUNT; i++) {
            char want[1000];
            snprintf(want, sizeof(want), "%0*u", (int)bytes + 1, i);
            const struct slipway_module *module = setup_record(&info->modules, i);
            setup_expect_text(&module->cmdline, want);
            setup_expect_text(&module->path, "\\m");
        }
    }
}

// Of the loader: \loader.efi.
static const struct {
    EFI_DEVICE_PATH head;
    CHAR16 name[12];
    EFI_DEVICE_PATH end;
} own_path = {{MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {28, 0}},
              L"\\loader.efi",
              {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {4, 0}}};

// Boots with so many bytes of text for modules, which is the block's last. Where it ends in the
// block, and all the block's bytes.
static void boot_texts(uint64_t bytes, uint64_t *ret_end, uint64_t *ret_total) {
    static char text[1001];
    memset(text, 'x', 1000);
    size_t at = 0;
    for (uint32_t i = 0; i < 5; i++, bytes -= min_u64(bytes, 1000))
        at += (size_t)snprintf(config + at, sizeof(config) - at, "module = \\m %.*s\n",
                               (int)min_u64(bytes, 1000), text);
    setup_boot(config);
    fake_add_file("\\m", setup_module, 5000);
    fake.image_path = &own_path; // texts, too
    fake.label = L"a label";
    fake.label_units = 7;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const struct slipway_module *last = setup_record(&info->modules, 4);
    *ret_end = last->cmdline.address + last->cmdline.bytes + 1 - (uintptr_t)info;
    *ret_total = info->total_bytes;
}

TEST("limits: the hand-over takes one more page when its texts fill the last, and not before") {
    uint64_t end, before, full, more;
    boot_texts(0, &end, &before);
    uint64_t left = before - end;
    assert_true(left < FRAME_BYTES);
    boot_texts(left, &end, &full);
    assert_int_equal(end, full);
    assert_int_equal(full, before);
    boot_texts(left + 1, &end, &more);
    assert_int_equal(more, before + FRAME_BYTES);
}

TEST("limits: the parts of the hand-over follow one another, with nothing between them") {
    boot_modules(3, 1);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->mappings.address, (uintptr_t)info + info->header_bytes);
    assert_int_equal(info->framebuffers.address, info->modules.address + 3 * info->modules.stride);
}

TEST("limits: behind the last region of memory and behind the log's NUL nothing is written") {
    struct slipway_memory fresh;
    boot_modules(3, 1);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    memset(&fresh, fake.fresh, sizeof(fresh));
    uint64_t end = info->memory.address + info->memory.count * sizeof(fresh);
    assert_true(end + sizeof(fresh) <= info->ranges.address); // there is room
    assert_memory_equal((const void *)(uintptr_t)end, &fresh, sizeof(fresh));
    const uint8_t *log = (const uint8_t *)(uintptr_t)info->log.address;
    assert_int_equal(log[info->log.bytes], 0);
    assert_int_equal(log[info->log.bytes + 1], fake.fresh);
}

TEST("limits: when page 0 is given and no other run is left, nothing is allocated and it is said") {
    setup_boot(NULL);
    fake_boot();
    uint64_t second = 0;
    while (fake.kinds[second] != FAKE_ALLOCATE_PAGES)
        second++;
    setup_boot(NULL);
    fake.gives_page_0 = true;
    fake.fail_at = second + 2; // numbers of calls begin at 1
    fake.fail_status = EFI_OUT_OF_RESOURCES;
    fake_boot();
    const char *line;
    setup_expect_return(&line);
    assert_non_null(strstr(line, "no room for "));
    assert_int_equal(fake.status, EFI_OUT_OF_RESOURCES);
}

TEST("limits: sizes near 2^64, and none, are refused without asking the firmware") {
    static const uint64_t sizes[] = {0, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - FRAME_BYTES + 2};
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot(); // which leaves the firmware's tables known
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint64_t calls = fake.calls;
        uint64_t start = 4242;
        EFI_STATUS status =
            firmware_alloc_pages(sizes[i], FRAME_BYTES, SLIPWAY_RANGE_MODULE, &start);
        assert_int_equal(status, EFI_OUT_OF_RESOURCES);
        assert_int_equal(start, 4242);
        assert_int_equal(fake.calls, calls);
    }
    uint64_t start;
    uint64_t calls = fake.calls;
    assert_int_equal(firmware_alloc_pages(UINT64_MAX - FRAME_BYTES + 1, FRAME_BYTES, 1, &start),
                     EFI_OUT_OF_RESOURCES);
    assert_int_equal(fake.calls, calls + 1); // the largest that is asked for
    assert_int_equal(firmware_alloc_pages(UINT64_MAX - MIB(2) + 2, MIB(2), 1, &start),
                     EFI_OUT_OF_RESOURCES);
}

// Allocates runs and gives them back, all at once.
static void allocate_runs(uint64_t runs) {
    uint64_t start, count;
    uint64_t list_pages = 0;
    for (uint64_t i = 0; i < runs; i++) {
        assert_int_equal(firmware_alloc_pages(1, FRAME_BYTES, SLIPWAY_RANGE_MODULE, &start),
                         EFI_SUCCESS);
        const struct firmware_range *ranges = firmware_ranges(&count);
        uint64_t modules = 0;
        uint64_t pages = 0;
        for (uint64_t at = 0; at < count; at++) {
            modules += ranges[at].purpose == SLIPWAY_RANGE_MODULE;
            pages += ranges[at].bytes / FRAME_BYTES;
        }
        assert_int_equal(modules, i + 1);
        assert_true(count - modules <= 1);
        assert_int_equal(fake_allocated_pages(), pages);
        if (pages - modules != list_pages) // twice as large each time
            assert_int_equal(pages - modules, list_pages == 0 ? 1 : 2 * list_pages);
        list_pages = pages - modules;
    }
    assert_int_equal(count, runs + 1);
    firmware_free_all();
    assert_int_equal(fake_allocated_pages(), 0);
    assert_string_equal(fake.breach, "");
}

TEST("limits: the list of runs grows with them, has itself in it, and is given back with them") {
    enum { RUNS = 2000 };
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot(); // which leaves the firmware's tables known
    allocate_runs(RUNS);
    assert_true(fake.allocations < RUNS + 10);
    allocate_runs(50); // with a list as at first
}

TEST("limits: any run can be given back alone, the first of the list too") {
    enum { RUNS = 3 };
    uint64_t starts[RUNS];
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot();
    for (uint64_t freed = 0; freed < RUNS; freed++) {
        for (uint64_t i = 0; i < RUNS; i++)
            assert_int_equal(firmware_alloc_pages(1, FRAME_BYTES, SLIPWAY_RANGE_MODULE, &starts[i]),
                             EFI_SUCCESS);
        firmware_free_pages(starts[freed]);
        assert_int_equal(fake_allocated_pages(), RUNS - 1);
        firmware_free_all();
        assert_int_equal(fake_allocated_pages(), 0);
        assert_string_equal(fake.breach, "");
    }
}

TEST("limits: when the list of runs cannot grow nothing is allocated, and nothing lost") {
    uint64_t start = 4242, count, before;
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot();
    do {
        (void)firmware_ranges(&before);
        fake.refused = FAKE_NONE;
        assert_int_equal(firmware_alloc_pages(1, FRAME_BYTES, 1, &start), EFI_SUCCESS);
        (void)firmware_ranges(&count);
    } while (count == before + 1);
    for (uint64_t i = count; i + 1 < 4096 * 3 / sizeof(struct firmware_range); i++) {
        uint64_t pages = fake_allocated_pages();
        fake.refused = FAKE_ALLOCATE_PAGES;
        fake.fail_status = EFI_OUT_OF_RESOURCES;
        start = 4242;
        assert_int_equal(firmware_alloc_pages(1, FRAME_BYTES, 1, &start), EFI_OUT_OF_RESOURCES);
        assert_int_equal(start, 4242);
        assert_int_equal(fake_allocated_pages(), pages);
        fake.refused = FAKE_NONE;
        assert_int_equal(firmware_alloc_pages(1, FRAME_BYTES, 1, &start), EFI_SUCCESS);
    }
    firmware_free_all();
    assert_int_equal(fake_allocated_pages(), 0);
}

TEST("limits: the last of the firmware's tables is found, and what lies behind it is none") {
    static const EFI_GUID guid = {0x12345678, 0x9abc, 0xdef0, {1, 2, 3, 4, 5, 6, 7, 8}};
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake.tables[0] = (EFI_CONFIGURATION_TABLE){guid, config};
    fake.table_count = 1;
    fake_boot();
    assert_ptr_equal(firmware_table(&guid), config);
    ST->NumberOfTableEntries--;
    assert_null(firmware_table(&guid));
}

// Each hole needs a table of its own: together all the spare ones.
static void punch_holes(uint32_t reading) {
    for (uint64_t i = 0; reading == REREAD && i < SPARE_TABLES; i++)
        fake_add_memory(FAKE_HIGH_PHYS + i * MIB(2), FRAME_BYTES, EfiReservedMemoryType);
}

TEST("limits: the audit has a bit for every table, however many there are, and none is spare") {
    uint32_t tables = 0;
    for (uint32_t gib = 1; gib <= 63; gib++) { // of a framebuffer, each with a table
        setup_boot(NULL);
        fake.has_1g = false;
        fake.exit_refusals = 1;
        fake.before_map = punch_holes;
        fake_add_display(UINT64_C(1) << 40, 1 << 16, gib << 12);
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->framebuffers.count, 1);
        assert_int_equal(info->table_pages, gib == 1 ? info->table_pages : tables + 1);
        tables = info->table_pages;
        // What is left of their run: those of the crossing, and the audit's bits.
        uint64_t end =
            setup_find_range(info, SLIPWAY_RANGE_PAGE_TABLES, 0)->start_phys + tables * FRAME_BYTES;
        uint32_t next = 0;
        while (setup_find_range(info, SLIPWAY_RANGE_LOADER, next)->start_phys != end)
            next++;
        assert_int_equal(setup_find_range(info, SLIPWAY_RANGE_LOADER, next)->bytes,
                         (ENTER_CROSSING_TABLES + 1) * FRAME_BYTES);
    }
}

// What the loader takes for its scratch memory with so many modules, and when the map has so many
// descriptors more. Modules bring none: there are no gaps between runs.
static uint64_t scratch_bytes(uint64_t more, uint32_t modules) {
    static const char want[] = "scratch memory: no room for ";
    const char *found = NULL;
    for (uint64_t call = 1; found == NULL; call++) {
        boot_modules(modules, 1);
        fake.leaves_no_gaps = true;
        for (uint64_t i = 0; i < more; i++)
            fake_add_memory(UINT64_C(0x1000000000) + i * GIB(1), FRAME_BYTES,
                            EfiReservedMemoryType);
        fake.fail_at = call;
        fake.fail_status = EFI_OUT_OF_RESOURCES;
        fake_boot();
        assert_true(call < FAKE_CALLS_RECORDED);
        found = strstr(fake.com1, want);
    }
    return strtoull(found + strlen(want), NULL, 10);
}

TEST("limits: scratch memory has room for a map twice as large, and for all that is claimed") {
    enum { MORE = 8 };
    const uint64_t of_region = sizeof(struct memmap_region) + 2 * sizeof(struct slipway_mapping);
    const uint64_t of_events = 2 * sizeof(uint64_t); // sorted from one array into another
    uint64_t before = scratch_bytes(0, 1);
    assert_int_equal(scratch_bytes(MORE, 1) - before, 2 * MORE * (4 * of_region + 6 * of_events));
    assert_int_equal(scratch_bytes(0, 1 + MORE) - before,
                     MORE * (2 * of_region + 2 * of_events + sizeof(struct memmap_claim)));
}
