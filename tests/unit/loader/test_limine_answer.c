// The responses of the Limine protocol, made of a boot_info in memory of the test's: what each
// says, where it lies, and which requests get none.
#include "loader/protocol/limine_answer.h"

#include "common/base/arith.h"
#include "common/hash/sha256.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

#define HHDM     SLIPWAY_HHDM_BASE
#define IMAGE    SLIPWAY_KERNEL_DEFAULT
#define MEMORY   UINT64_C(0x12345000) // physical, of what the test allocates
#define PAGE     UINT64_C(4096)
#define NO_REPLY UINT64_C(0x1111)

enum { MEMORY_BYTES = 65536, REQUEST_BYTES = 0x40 };

// A machine whose memory is one block of the host's, from MEMORY on. The responses have another,
// behind a gap, which has exactly their size.
struct world {
    uint8_t *memory;
    uint64_t used;
    struct slipway_boot_info *info;
    struct limine_requests requests;
    uint64_t image_words[LIMINE_REQUEST_KINDS * REQUEST_BYTES / 8];
    struct elf_piece piece;
    struct elf_memory image;
    struct limine_answer_input input;
    struct limine_answer answer;
    uint8_t *block; // of the responses: where the input's block is
};

static void *allocate(struct world *world, uint64_t bytes, uint64_t *ret_address) {
    *ret_address = HHDM + MEMORY + world->used;
    void *memory = world->memory + world->used;
    world->used += align_up(bytes, 8);
    assert_true(world->used <= MEMORY_BYTES);
    return memory;
}

static struct slipway_text text(struct world *world, const char *words) {
    struct slipway_text result = {.bytes = strlen(words)};
    memcpy(allocate(world, result.bytes + 1, &result.address), words, result.bytes + 1);
    return result;
}

static struct slipway_array array(struct world *world, const void *records, uint32_t count,
                                  uint64_t stride) {
    struct slipway_array result = {.count = count, .stride = (uint32_t)stride};
    if (count != 0)
        memcpy(allocate(world, count * stride, &result.address), records, count * stride);
    return result;
}

#define ARRAY(world, records) array(world, records, ARRAY_LEN(records), sizeof((records)[0]))

// A kernel that asks for everything, and a machine that has nothing but a command line.
static void begin(struct world *world, uint64_t base_revision) {
    uint64_t address;
    memset(world, 0, sizeof(*world));
    world->memory = calloc(1, MEMORY_BYTES);
    world->info = allocate(world, sizeof(*world->info), &address);
    world->info->hhdm_base = HHDM;
    world->info->loader_name = text(world, "Slipway");
    world->info->loader_version = text(world, "0.1.0");
    world->info->kernel_path = text(world, "\\boot\\kernel.elf");
    world->info->cmdline = text(world, "verbose");
    world->requests.base_revision = base_revision;
    for (uint64_t i = 0; i < LIMINE_REQUEST_KINDS; i++) {
        world->requests.found[i].virt = IMAGE + i * REQUEST_BYTES;
        world->image_words[(i * REQUEST_BYTES + 0x28) / 8] = NO_REPLY;
    }
    world->piece =
        (struct elf_piece){IMAGE, sizeof(world->image_words), (uint8_t *)world->image_words};
    world->image = (struct elf_memory){&world->piece, 1};
    world->input = (struct limine_answer_input){
        .requests = &world->requests,
        .info = world->info,
        .image = &world->image,
        .memory_offset = (uint64_t)(uintptr_t)world->memory - MEMORY,
    };
}

static void end(struct world *world) {
    free(world->memory);
}

static const void *find(const struct world *world, uint64_t address) {
    return world->memory + (address == 0 ? 0 : address - HHDM - MEMORY);
}

// Room for what boot_info has, as the loader reckons it before it knows the map.
static struct limine_capacity capacity_of(const struct world *world) {
    const struct slipway_boot_info *info = world->info;
    struct limine_capacity capacity = {
        .memory_entries = limine_memory_bound(info->memory.count, info->ranges.count,
                                              info->mappings.count, info->framebuffers.count),
        .cpus = info->cpus.count,
        .framebuffers = info->framebuffers.count,
        .modules = info->modules.count,
        .path_bytes = info->kernel_path.bytes,
    };
    const struct slipway_framebuffer *framebuffers = find(world, info->framebuffers.address);
    for (uint32_t i = 0; i < info->framebuffers.count; i++)
        capacity.modes += framebuffers[i].modes.count;
    const struct slipway_module *modules = find(world, info->modules.address);
    for (uint32_t i = 0; i < info->modules.count; i++)
        capacity.path_bytes += modules[i].path.bytes;
    return capacity;
}

static enum limine_status answer_in(struct world *world, uint64_t bytes) {
    struct limine_error error = {.status = LIMINE_OK};
    uint64_t address;
    world->used = align_up(world->used, 16) + 8; // a multiple of 8 alone
    world->block = allocate(world, bytes, &address);
    memset(world->block, 0xcc, MEMORY_BYTES - world->used + align_up(bytes, 8));
    world->input.block_phys = address - HHDM;
    world->input.block_bytes = bytes;
    enum limine_status status = limine_answer(&world->input, &world->answer, &error);
    assert_int_equal(error.status, status);
    assert_int_equal(error.a, status == LIMINE_OK ? 0 : bytes);
    for (uint64_t at = world->used; at < MEMORY_BYTES; at++)
        assert_int_equal(world->memory[at], 0xcc);
    return status;
}

static void answer(struct world *world) {
    struct limine_capacity capacity = capacity_of(world);
    assert_int_equal(answer_in(world, limine_answer_bytes(&world->requests, &capacity)), LIMINE_OK);
    assert_true(world->answer.bytes <= world->input.block_bytes);
}

// `bytes` bytes at an address in the direct map, all in the block of responses.
static const void *in_block(const struct world *world, uint64_t address, uint64_t bytes) {
    uint64_t at = address - HHDM - world->input.block_phys;
    assert_true(at < world->answer.bytes && bytes <= world->answer.bytes - at);
    return world->block + at;
}

// The response of a request, as the kernel finds it; null: none.
static const void *response(const struct world *world, enum limine_request_kind kind,
                            uint64_t bytes) {
    uint64_t address = world->image_words[(kind * (uint64_t)REQUEST_BYTES + 0x28) / 8];
    assert_int_equal(world->answer.responses[kind], address == NO_REPLY ? 0 : address);
    if (address == NO_REPLY)
        return NULL;
    assert_int_equal(address % 8, 0);
    return in_block(world, address, bytes);
}

static void expect_none(const struct world *world, enum limine_request_kind kind) {
    assert_null(response(world, kind, 0));
}

static void expect_words(const struct world *world, enum limine_request_kind kind,
                         const uint64_t *words, uint64_t count) {
    const uint64_t *got = response(world, kind, count * 8);
    assert_non_null(got);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(got[i], words[i]);
}

#define EXPECT(world, kind, ...)                                                                   \
    expect_words(world, kind, (const uint64_t[]){__VA_ARGS__},                                     \
                 sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void expect_text(const struct world *world, uint64_t address, const char *want) {
    uint64_t at = address - HHDM - MEMORY;
    assert_true(at < world->used);
    assert_string_equal((const char *)world->memory + at, want);
}

// Structure `index` of the list that a response leads to.
static const void *item(const struct world *world, enum limine_request_kind kind, uint64_t index,
                        uint64_t bytes) {
    const struct limine_list_response *list = response(world, kind, sizeof(*list));
    assert_non_null(list);
    assert_true(index < list->count);
    const uint64_t *addresses = in_block(world, list->list, list->count * 8);
    assert_int_equal(addresses[index] % 8, 0);
    return in_block(world, addresses[index], bytes);
}

// ---- Facts

TEST("limine answer: the loader's and the kernel's facts are what boot_info has") {
    struct world world;
    begin(&world, 6);
    struct slipway_boot_info *info = world.info;
    info->kernel_phys = 0x2000000;
    info->kernel_virt = IMAGE;
    info->paging_levels = 4;
    info->boot_time = -5;
    info->tsc_hz = 3000000000;
    info->efi_map = HHDM + 0x5000;
    info->efi_map_bytes = 480;
    info->efi_map_stride = 48;
    info->efi_map_version = 1;
    info->tpm_log = (struct slipway_tpm_log){HHDM + 0x6000, 77, SLIPWAY_TPM_LOG_AGILE, 0};
    answer(&world);
    EXPECT(&world, LIMINE_BOOTLOADER_INFO, 0, info->loader_name.address,
           info->loader_version.address);
    EXPECT(&world, LIMINE_EXECUTABLE_CMDLINE, 0, info->cmdline.address);
    EXPECT(&world, LIMINE_FIRMWARE_TYPE, 0, 2);
    EXPECT(&world, LIMINE_STACK_SIZE, 0);
    EXPECT(&world, LIMINE_ENTRY_POINT, 0);
    EXPECT(&world, LIMINE_HHDM, 0, HHDM);
    EXPECT(&world, LIMINE_PAGING_MODE, 0, 0);
    EXPECT(&world, LIMINE_EXECUTABLE_ADDRESS, 0, 0x2000000, IMAGE);
    EXPECT(&world, LIMINE_DATE_AT_BOOT, 0, (uint64_t)-5);
    EXPECT(&world, LIMINE_TSC_FREQUENCY, 0, 3000000000);
    EXPECT(&world, LIMINE_EFI_MEMMAP, 0, HHDM + 0x5000, 480, 48, 1);
    EXPECT(&world, LIMINE_TPM_EVENT_LOG, 0, 2, 77, HHDM + 0x6000);
    end(&world);
}

TEST("limine answer: what the machine has not, or nobody has, stays without a response") {
    const enum limine_request_kind none[] = {
        LIMINE_FRAMEBUFFER,
        LIMINE_MP,
        LIMINE_EXECUTABLE_FILE,
        LIMINE_MODULE,
        LIMINE_RSDP,
        LIMINE_SMBIOS,
        LIMINE_EFI_SYSTEM_TABLE,
        LIMINE_TPM_EVENT_LOG,
        LIMINE_DATE_AT_BOOT,
        LIMINE_TSC_FREQUENCY,
        LIMINE_BOOTLOADER_PERFORMANCE,
        LIMINE_DTB,
        LIMINE_FLANTERM,
        LIMINE_KEEP_IOMMU,
    };
    struct world world;
    begin(&world, 6);
    answer(&world);
    uint64_t left = 0;
    for (uint64_t i = 0; i < ARRAY_LEN(none); i++)
        expect_none(&world, none[i]);
    for (uint64_t i = 0; i < LIMINE_REQUEST_KINDS; i++)
        left += world.answer.responses[i] != 0;
    assert_int_equal(left, LIMINE_REQUEST_KINDS - ARRAY_LEN(none));
    end(&world);
}

TEST("limine answer: who does not ask is not answered") {
    struct world world;
    begin(&world, 6);
    memset(world.requests.found, 0, sizeof(world.requests.found));
    uint64_t before[ARRAY_LEN(world.image_words)];
    memcpy(before, world.image_words, sizeof(before));
    answer(&world);
    assert_memory_equal(world.image_words, before, sizeof(before));
    for (uint64_t i = 0; i < LIMINE_REQUEST_KINDS; i++)
        assert_int_equal(world.answer.responses[i], 0);
    end(&world);
}

TEST("limine answer: a response's address goes to its request and to nothing else") {
    struct world world;
    begin(&world, 6);
    answer(&world);
    for (uint64_t i = 0; i < ARRAY_LEN(world.image_words); i++)
        if (i % (REQUEST_BYTES / 8) != 0x28 / 8)
            assert_int_equal(world.image_words[i], 0);
    end(&world);
}

TEST("limine answer: 5 levels are mode 1, and IOMMUs that are kept are said to be") {
    struct world world;
    begin(&world, 6);
    world.info->paging_levels = 5;
    world.input.facts.keeps_iommu = true;
    answer(&world);
    EXPECT(&world, LIMINE_PAGING_MODE, 0, 1);
    EXPECT(&world, LIMINE_KEEP_IOMMU, 0);
    end(&world);
}

TEST("limine answer: an empty text has an address, too") {
    struct world world;
    begin(&world, 6);
    world.info->cmdline = world.info->kernel_path = (struct slipway_text){0, 0};
    world.input.facts.file_phys = PAGE;
    answer(&world);
    const struct limine_value_response *value =
        response(&world, LIMINE_EXECUTABLE_FILE, sizeof(*value));
    const struct limine_file *file = in_block(&world, value->value, sizeof(*file));
    expect_text(&world, file->path, "/");
    const struct limine_value_response *cmdline =
        response(&world, LIMINE_EXECUTABLE_CMDLINE, sizeof(*cmdline));
    assert_string_equal(in_block(&world, cmdline->value, 1), "");
    end(&world);
}

// ---- Tables of the firmware

TEST("limine answer: tables are virtual or physical by base revision, and virtual where mapped") {
    for (uint64_t revision = 0; revision <= 6; revision++) {
        for (int is_mapped = 0; is_mapped <= 1; is_mapped++) {
            // Of the tables at 0x9010 and 0x9018 only the first's page is mapped at its place.
            const struct slipway_mapping mappings[] = {
                {HHDM, 0, 0x8000, 0, 0, SLIPWAY_MAP_DIRECT},
                {HHDM + 0x9000, 0x9000, is_mapped != 0 ? 0x11 : 0x10, 0, 0, SLIPWAY_MAP_FIRMWARE},
                {SLIPWAY_WINDOW_BASE, 0xa000, 0x1000, 0, 0, SLIPWAY_MAP_FIRMWARE},
            };
            struct world world;
            begin(&world, revision);
            world.info->mappings = ARRAY(&world, mappings);
            world.info->rsdp_phys = 0x9010;
            world.info->efi_system_table_phys = 0x9010;
            world.input.facts.smbios_32_phys = 0xa000;
            world.input.facts.smbios_64_phys = 0x9010;
            answer(&world);
            bool physical = revision == 3 || revision == 4;
            if (revision == 3)
                EXPECT(&world, LIMINE_RSDP, 0, 0x9010);
            else if (is_mapped != 0)
                EXPECT(&world, LIMINE_RSDP, 0, HHDM + 0x9010);
            else
                expect_none(&world, LIMINE_RSDP);
            if (physical) {
                EXPECT(&world, LIMINE_EFI_SYSTEM_TABLE, 0, 0x9010);
                EXPECT(&world, LIMINE_SMBIOS, 0, 0xa000, 0x9010);
            } else if (is_mapped != 0) {
                EXPECT(&world, LIMINE_EFI_SYSTEM_TABLE, 0, HHDM + 0x9010);
                EXPECT(&world, LIMINE_SMBIOS, 0, 0, HHDM + 0x9010);
            } else {
                expect_none(&world, LIMINE_EFI_SYSTEM_TABLE);
                expect_none(&world, LIMINE_SMBIOS);
            }
            end(&world);
        }
    }
}

TEST("limine answer: of SMBIOS one entry point will do") {
    struct world world;
    const struct slipway_mapping mapping[] = {{HHDM, 0, 0x10000, 0, 0, SLIPWAY_MAP_DIRECT}};
    begin(&world, 5);
    world.info->mappings = ARRAY(&world, mapping);
    world.input.facts.smbios_32_phys = 0xffff;
    answer(&world);
    EXPECT(&world, LIMINE_SMBIOS, 0, HHDM + 0xffff, 0);
    end(&world);
}

// ---- Times

TEST("limine answer: times are microseconds by the TSC, and the reset what the firmware says") {
    struct world world;
    begin(&world, 6);
    world.info->tsc_hz = 2000000000;
    world.info->tsc_loader_entry = 3000000999; // 1.5 s
    world.input.facts.tsc_now = UINT64_MAX;
    answer(&world);
    EXPECT(&world, LIMINE_BOOTLOADER_PERFORMANCE, 0, 0, 1500000, UINT64_C(9223372036854775));
    end(&world);
    const uint64_t running[][2] = {
        {1000, 1499999}, {999, 0}, {1499999999, 1}, {1500000000, 0}, {9000000000, 0}};
    for (uint64_t i = 0; i < ARRAY_LEN(running); i++) {
        begin(&world, 6);
        world.info->tsc_hz = 2000000000;
        world.info->tsc_loader_entry = 3000000000;
        world.input.facts.tsc_now = 4000000000;
        world.info->firmware_times.loader_start = running[i][0];
        answer(&world);
        EXPECT(&world, LIMINE_BOOTLOADER_PERFORMANCE, 0, running[i][1], 1500000, 2000000);
        end(&world);
    }
}

// ---- Framebuffers

static const struct slipway_display_mode modes[] = {
    {1024, 768, 4096 + 64, SLIPWAY_PIXEL_BGRX8888, 0xff0000, 0xff00, 0xff, 0},
    {640, 480, 2560, SLIPWAY_PIXEL_MASKS, 0x7c00, 0x3e0, 0, 0},
};

TEST("limine answer: a framebuffer has its masks, its EDID, and a list of its modes") {
    struct world world;
    begin(&world, 6);
    struct slipway_framebuffer framebuffers[2] = {
        {
            .address = SLIPWAY_WINDOW_BASE,
            .address_phys = 0x80000010,
            .bytes = 0x300000,
            .width = 1024,
            .height = 768,
            .pitch = 4096 + 64,
            .format = SLIPWAY_PIXEL_BGRX8888,
            .red_mask = 0xff0000,
            .green_mask = 0xff00,
            .blue_mask = 0xff,
            .edid = HHDM + 0x7000,
            .edid_bytes = 128,
            .modes = ARRAY(&world, modes),
        },
        {.address_phys = 0x90000000, .bytes = 1, .red_mask = 0xffc00000, .green_mask = 0x80000000},
    };
    world.info->framebuffers = ARRAY(&world, framebuffers);
    answer(&world);
    const struct limine_list_response *list = response(&world, LIMINE_FRAMEBUFFER, sizeof(*list));
    assert_int_equal(list->revision, 1);
    assert_int_equal(list->count, 2);
    const struct limine_framebuffer *got = item(&world, LIMINE_FRAMEBUFFER, 0, sizeof(*got));
    const struct limine_framebuffer want = {.address = HHDM + 0x80000010,
                                            .width = 1024,
                                            .height = 768,
                                            .pitch = 4096 + 64,
                                            .bits_per_pixel = 32,
                                            .memory_model = 1,
                                            .red_size = 8,
                                            .red_shift = 16,
                                            .green_size = 8,
                                            .green_shift = 8,
                                            .blue_size = 8,
                                            .blue_shift = 0,
                                            .edid_bytes = 128,
                                            .edid = HHDM + 0x7000,
                                            .mode_count = 2,
                                            .modes = got->modes};
    assert_memory_equal(got, &want, sizeof(want));
    const uint64_t *list_of_modes = in_block(&world, got->modes, 16);
    const struct limine_video_mode want_modes[] = {
        {.pitch = 4096 + 64,
         .width = 1024,
         .height = 768,
         .bits_per_pixel = 32,
         .memory_model = 1,
         .red_size = 8,
         .red_shift = 16,
         .green_size = 8,
         .green_shift = 8,
         .blue_size = 8},
        {.pitch = 2560,
         .width = 640,
         .height = 480,
         .bits_per_pixel = 32,
         .memory_model = 1,
         .red_size = 5,
         .red_shift = 10,
         .green_size = 5,
         .green_shift = 5},
    };
    for (uint64_t i = 0; i < 2; i++)
        assert_memory_equal(in_block(&world, list_of_modes[i], sizeof(want_modes[i])),
                            &want_modes[i], sizeof(want_modes[i]));
    got = item(&world, LIMINE_FRAMEBUFFER, 1, sizeof(*got));
    assert_int_equal(got->address, HHDM + 0x90000000);
    assert_int_equal(got->red_size, 10);
    assert_int_equal(got->red_shift, 22);
    assert_int_equal(got->green_size, 1);
    assert_int_equal(got->green_shift, 31);
    assert_int_equal(got->mode_count, 0);
    assert_int_equal(got->modes, 0);
    end(&world);
}

// ---- Files

static const uint8_t gpt[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};

static void begin_with_modules(struct world *world, const char *const *paths, uint32_t count) {
    begin(world, 6);
    struct slipway_module modules[16] = {0};
    for (uint32_t i = 0; i < count; i++)
        modules[i] = (struct slipway_module){.path = text(world, paths[i]),
                                             .cmdline = text(world, "words"),
                                             .address = i == 1 ? 0 : HHDM + (i + 1) * PAGE,
                                             .bytes = i == 1 ? 0 : 100 + i};
    world->info->modules = array(world, modules, count, sizeof(modules[0]));
    world->info->partition_id_kind = SLIPWAY_PARTITION_GPT;
    memcpy(world->info->partition_id, gpt, sizeof(gpt));
    world->info->partition_number = 3;
}

static const struct limine_file *module(const struct world *world, uint64_t index) {
    return item(world, LIMINE_MODULE, index, sizeof(struct limine_file));
}

TEST("limine answer: a path is one from the root of its volume, with single slashes") {
    const char *const paths[][2] = {
        {"initrd", "/initrd"},
        {"\\a\\b", "/a/b"},
        {"/a//b\\\\/c", "/a/b/c"},
        {"", "/"},
        {"//", "/"},
        {"a/", "/a/"},
        {"guid(c12a7328-f81f-11d2-ba4b-00a0c93ec93b)/x y", "/x y"},
        {"guid(deadbeef-02)\\x", "/x"},
        {"label(ROOT)/x/y", "/x/y"},
        {"/label(ROOT)/x", "/label(ROOT)/x"},
        {"label(", "/label("}, // no file has it
    };
    const char *names[ARRAY_LEN(paths)];
    for (uint64_t i = 0; i < ARRAY_LEN(paths); i++)
        names[i] = paths[i][0];
    struct world world;
    begin_with_modules(&world, names, ARRAY_LEN(paths));
    answer(&world);
    for (uint64_t i = 0; i < ARRAY_LEN(paths); i++)
        expect_text(&world, module(&world, i)->path, paths[i][1]);
    end(&world);
}

TEST("limine answer: a module is what boot_info has of it, in its order") {
    const char *const paths[] = {"/a", "/empty", "/b"};
    struct world world;
    begin_with_modules(&world, paths, 3);
    answer(&world);
    const struct limine_list_response *list = response(&world, LIMINE_MODULE, sizeof(*list));
    assert_int_equal(list->revision, 1);
    assert_int_equal(list->count, 3);
    for (uint64_t i = 0; i < 3; i++) {
        const struct limine_file *file = module(&world, i);
        struct limine_file want = {
            .address = HHDM + (i + 1) * PAGE,
            .bytes = 100 + i,
            .path = file->path,
            .string = file->string,
            .partition = 3,
        };
        memcpy(&want.gpt_partition, gpt, sizeof(gpt));
        if (i == 1) { // an address where there is something
            want.bytes = 0;
            want.address = align_down(HHDM + world.input.block_phys, PAGE);
        }
        assert_memory_equal(file, &want, sizeof(want));
        expect_text(&world, file->path, paths[i]);
        expect_text(&world, file->string, "words");
    }
    end(&world);
}

TEST("limine answer: a file's volume is the loader's, or the one that its path names") {
    const struct limine_uuid own = {
        0xc12a7328, 0xf81f, 0x11d2, {0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}};
    const struct limine_uuid other = {
        0x01234567, 0x89ab, 0xcdef, {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77}};
    const struct limine_uuid none = {0};
    const char *const paths[] = {"/own", "guid(01234567-89ab-cdef-0011-223344556677)/x",
                                 "guid(deadbeef-02)/x", "label(ROOT)/x"};
    const struct {
        uint32_t partition, mbr;
        const struct limine_uuid *gpt;
    } want[] = {{3, 0, &own}, {0, 0, &other}, {2, 0xdeadbeef, &none}, {0, 0, &none}};
    struct world world;
    begin_with_modules(&world, paths, ARRAY_LEN(paths));
    answer(&world);
    for (uint64_t i = 0; i < ARRAY_LEN(paths); i++) {
        const struct limine_file *file = module(&world, i);
        assert_int_equal(file->partition, want[i].partition);
        assert_int_equal(file->mbr_disk_id, want[i].mbr);
        assert_memory_equal(&file->gpt_partition, want[i].gpt, sizeof(none));
        assert_int_equal(file->media, LIMINE_MEDIA_GENERIC);
    }
    end(&world);
    begin_with_modules(&world, paths, ARRAY_LEN(paths));
    world.input.facts.is_from_cd = true;
    answer(&world);
    for (uint64_t i = 0; i < ARRAY_LEN(paths); i++) // what others there are nobody has asked
        assert_int_equal(module(&world, i)->media,
                         i == 0 ? LIMINE_MEDIA_OPTICAL : LIMINE_MEDIA_GENERIC);
    end(&world);
    begin_with_modules(&world, paths, 1);
    world.info->partition_id_kind = SLIPWAY_PARTITION_MBR;
    answer(&world);
    assert_int_equal(module(&world, 0)->mbr_disk_id, 0xc12a7328);
    assert_memory_equal(&module(&world, 0)->gpt_partition, &none, sizeof(none));
    end(&world);
    begin_with_modules(&world, paths, 1);
    world.info->partition_id_kind = SLIPWAY_PARTITION_NONE;
    world.info->partition_number = 0;
    answer(&world);
    assert_int_equal(module(&world, 0)->partition, 0);
    assert_memory_equal(&module(&world, 0)->gpt_partition, &none, sizeof(none));
    end(&world);
}

TEST("limine answer: a file of the loader's server says which that is, and other files do not") {
    static const uint8_t address[4] = {10, 0, 2, 2};
    static const uint8_t nothing[4];
    const char *const paths[] = {"/own", "label(ROOT)/x"};
    for (unsigned kind = SLIPWAY_SERVER_IPV4; kind <= SLIPWAY_SERVER_IPV6; kind += 2) {
        struct world world;
        begin_with_modules(&world, paths, ARRAY_LEN(paths));
        world.input.facts.is_from_server = true;
        world.info->server_kind = kind;
        memcpy(world.info->server_address, address, sizeof(address));
        answer(&world);
        for (uint64_t i = 0; i < ARRAY_LEN(paths); i++) {
            const struct limine_file *file = module(&world, i);
            bool is_told = i == 0 && kind == SLIPWAY_SERVER_IPV4;
            assert_int_equal(file->media, i == 0 ? LIMINE_MEDIA_TFTP : LIMINE_MEDIA_GENERIC);
            assert_memory_equal(file->tftp_ipv4, is_told ? address : nothing, sizeof(address));
            assert_int_equal(file->tftp_port, is_told ? 69 : 0);
        }
        end(&world);
    }
}

TEST("limine answer: the kernel's file has the command line that EXECUTABLE_CMDLINE has") {
    struct world world;
    begin(&world, 6);
    world.input.facts.file_phys = 0x7654000;
    world.input.facts.file_bytes = 4321;
    answer(&world);
    const struct limine_value_response *value =
        response(&world, LIMINE_EXECUTABLE_FILE, sizeof(*value));
    const struct limine_file *file = in_block(&world, value->value, sizeof(*file));
    const struct limine_file want = {.address = HHDM + 0x7654000,
                                     .bytes = 4321,
                                     .path = file->path,
                                     .string = world.info->cmdline.address};
    assert_int_equal(value->revision, 0);
    assert_memory_equal(file, &want, sizeof(want));
    expect_text(&world, file->path, "/boot/kernel.elf");
    expect_text(&world, file->string, "verbose");
    EXPECT(&world, LIMINE_EXECUTABLE_CMDLINE, 0, file->string);
    end(&world);
}

// ---- CPUs

static const struct slipway_cpu cpus[] = {
    {.entry = 9, .argument = 9, .processor_id = 10, .apic_id = 0x100, .state = SLIPWAY_CPU_PARKED},
    {.processor_id = 11, .apic_id = 0x101, .state = SLIPWAY_CPU_ABSENT},
    {.processor_id = 12, .apic_id = 0x102, .state = SLIPWAY_CPU_BOOT},
    {.processor_id = 13, .apic_id = 0x103, .state = SLIPWAY_CPU_PARKED},
};

TEST("limine answer: the CPUs that are there are listed, each at the place that is its own") {
    const uint32_t present[] = {0, 2, 3};
    for (uint32_t mode = SLIPWAY_APIC_NONE; mode <= SLIPWAY_APIC_X2APIC; mode++) {
        struct world world;
        begin(&world, 6);
        world.info->cpus = ARRAY(&world, cpus);
        world.info->apic_mode = mode;
        answer(&world);
        const struct limine_mp_response *mp = response(&world, LIMINE_MP, sizeof(*mp));
        assert_int_equal(mp->revision, 0);
        assert_int_equal(mp->flags, mode == SLIPWAY_APIC_X2APIC);
        assert_int_equal(mp->boot_lapic_id, 0x102);
        assert_int_equal(mp->count, 3);
        const uint64_t *list = in_block(&world, mp->list, 3 * 8);
        for (uint64_t i = 0; i < 3; i++) {
            const struct limine_mp_info want = {.processor_id = 10 + present[i],
                                                .lapic_id = 0x100 + present[i]};
            assert_int_equal(list[i],
                             HHDM + limine_mp_info_phys(world.input.block_phys, present[i]));
            assert_memory_equal(in_block(&world, list[i], sizeof(want)), &want, sizeof(want));
        }
        end(&world);
    }
}

TEST("limine answer: the places of CPUs do not depend on what is asked for") {
    struct world world;
    begin(&world, 6);
    memset(world.requests.found, 0, sizeof(world.requests.found));
    world.info->cpus = ARRAY(&world, cpus);
    answer(&world);
    for (uint32_t i = 0; i < ARRAY_LEN(cpus); i++) {
        uint64_t phys = limine_mp_info_phys(world.input.block_phys, i);
        const struct limine_mp_info *info = in_block(&world, HHDM + phys, sizeof(*info));
        assert_int_equal(info->lapic_id, cpus[i].apic_id);
        assert_int_equal(info->goto_address, 0);
    }
    end(&world);
}

// ---- Memory and random numbers

TEST("limine answer: the memory map is the one of limine_make_memory, by base revision") {
    const struct slipway_memory memory[] = {
        {0, PAGE, SLIPWAY_MEM_RESERVED, 1},
        {PAGE, 8 * PAGE, SLIPWAY_MEM_USABLE, 1},
        {0x9000, PAGE, SLIPWAY_MEM_RESERVED, 0},
        {0xa000, PAGE, SLIPWAY_MEM_RUNTIME, 1},
    };
    const struct slipway_range ranges[] = {{2 * PAGE, PAGE, SLIPWAY_RANGE_STACK, 1}};
    const struct slipway_mapping mappings[] = {
        {HHDM + 0x9000, 0x9000, PAGE, 0, 0, SLIPWAY_MAP_FIRMWARE}};
    const struct slipway_framebuffer framebuffers[] = {{.address_phys = 0x80000000, .bytes = PAGE}};
    for (uint64_t revision = 0; revision <= 6; revision++) {
        struct world world;
        begin(&world, revision);
        world.info->memory = ARRAY(&world, memory);
        world.info->ranges = ARRAY(&world, ranges);
        world.info->mappings = ARRAY(&world, mappings);
        world.info->framebuffers = ARRAY(&world, framebuffers);
        answer(&world);
        const uint64_t table = revision >= 4 ? 8 : 1, runtime = revision >= 5 ? 8 : 1;
        const struct limine_memory_entry want[] = {
            {0, PAGE, 1},          {PAGE, PAGE, 0},
            {2 * PAGE, PAGE, 5},   {3 * PAGE, 6 * PAGE, 0},
            {0x9000, PAGE, table}, {0xa000, PAGE, runtime},
            {0x80000000, PAGE, 7},
        };
        const struct limine_list_response *list = response(&world, LIMINE_MEMMAP, sizeof(*list));
        assert_int_equal(list->revision, 0);
        if (table == runtime) { // one entry
            assert_int_equal(list->count, ARRAY_LEN(want) - 1);
        } else {
            assert_int_equal(list->count, ARRAY_LEN(want));
            for (uint64_t i = 0; i < ARRAY_LEN(want); i++)
                assert_memory_equal(item(&world, LIMINE_MEMMAP, i, sizeof(want[i])), &want[i],
                                    sizeof(want[i]));
        }
        const struct limine_memory_entry *last =
            item(&world, LIMINE_MEMMAP, list->count - 1, sizeof(*last));
        assert_memory_equal(last, &want[ARRAY_LEN(want) - 1], sizeof(*last));
        end(&world);
    }
}

TEST("limine answer: random words are SHA-256 of the entropy and a counter, as many as asked for") {
    const uint64_t counts[][2] = {
        {0, 0}, {1, 1}, {4, 4}, {5, 5}, {4095, 4095}, {4096, 4096}, {UINT64_MAX, 4096}};
    for (uint64_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct world world;
        begin(&world, 6);
        world.requests.entropy_count = counts[i][0];
        for (uint8_t byte = 0; byte < 64; byte++)
            world.info->entropy[byte] = (uint8_t)(byte * 7 + i);
        answer(&world);
        const struct limine_list_response *list = response(&world, LIMINE_ENTROPY, sizeof(*list));
        assert_int_equal(list->revision, 0);
        assert_int_equal(list->count, counts[i][1]);
        assert_int_equal(list->list == 0, list->count == 0);
        const uint64_t *words =
            list->count == 0 ? NULL : in_block(&world, list->list, list->count * 8);
        for (uint64_t at = 0; at < list->count; at++) {
            uint8_t message[72];
            uint64_t digest[4], number = at / 4;
            memcpy(message, world.info->entropy, 64);
            memcpy(message + 64, &number, 8);
            sha256(message, sizeof(message), (uint8_t *)digest);
            assert_int_equal(words[at], digest[at % 4]);
        }
        end(&world);
    }
}

// ---- Room

static void begin_full(struct world *world) {
    const char *const paths[] = {"a", "bb", "ccc"};
    const struct slipway_memory memory[] = {{PAGE, PAGE, SLIPWAY_MEM_USABLE, 1},
                                            {3 * PAGE, PAGE, SLIPWAY_MEM_USABLE, 1}};
    begin_with_modules(world, paths, 3);
    const struct slipway_framebuffer framebuffers[] = {
        {.address_phys = 0x80000000, .bytes = PAGE, .modes = ARRAY(world, modes)},
        {.address_phys = 0x90000000, .bytes = PAGE, .modes = ARRAY(world, modes)},
    };
    world->info->framebuffers = ARRAY(world, framebuffers);
    world->info->memory = ARRAY(world, memory);
    world->info->cpus = ARRAY(world, cpus);
    world->info->boot_time = 1;
    world->info->tsc_hz = 1;
    world->info->tpm_log.format = SLIPWAY_TPM_LOG_SHA1;
    world->info->rsdp_phys = world->info->efi_system_table_phys = 1;
    world->requests.base_revision = 3;
    world->requests.entropy_count = 9;
    world->input.facts = (struct limine_facts){PAGE, 1, 1, 1, 1, true, true, true};
}

TEST("limine answer: a block that is too small is refused before anything is written") {
    struct world world;
    begin_full(&world);
    const uint64_t image_at_start = world.image_words[5];
    answer(&world);
    uint64_t need = world.answer.bytes;
    end(&world);
    bool was_enough = false;
    for (uint64_t bytes = 0; !was_enough; bytes += 8) {
        begin_full(&world);
        was_enough = answer_in(&world, bytes) == LIMINE_OK;
        if (was_enough) {
            assert_true(bytes >= need);
        } else {
            for (uint64_t at = 0; at < bytes; at++)
                assert_int_equal(world.block[at], 0xcc);
            for (uint64_t i = 0; i < LIMINE_REQUEST_KINDS; i++)
                assert_int_equal(world.image_words[i * REQUEST_BYTES / 8 + 5], image_at_start);
        }
        end(&world);
    }
}

TEST("limine answer: every request that is answered ever is answered at once, in its room") {
    struct world world;
    begin_full(&world);
    answer(&world);
    for (enum limine_request_kind kind = 0; kind < LIMINE_REQUEST_KINDS; kind++)
        assert_int_equal(world.answer.responses[kind] == 0,
                         kind == LIMINE_DTB || kind == LIMINE_FLANTERM);
    // What is left of the room: responses are smaller than the largest one, and paths are short.
    assert_true(world.input.block_bytes - world.answer.bytes < 1024);
    end(&world);
}

// So many records that no part of the room makes up for another.
static void begin_many(struct world *world) {
    enum { MANY = 48, MODULES = 2 * MANY };
    struct slipway_framebuffer framebuffers[MANY] = {0};
    struct slipway_module module_records[MODULES] = {0};
    struct slipway_memory memory[MANY];
    struct slipway_cpu cpu_records[MANY];
    begin(world, 6);
    const struct slipway_array list_of_modes = ARRAY(world, modes);
    const struct slipway_text path = text(world, "abcdefghi");
    for (uint32_t i = 0; i < MANY; i++) {
        framebuffers[i] = (struct slipway_framebuffer){.modes = list_of_modes};
        memory[i] = (struct slipway_memory){(2 * i + 1) * PAGE, PAGE, SLIPWAY_MEM_USABLE, 1};
        cpu_records[i] = (struct slipway_cpu){.state = SLIPWAY_CPU_BOOT};
    }
    for (uint32_t i = 0; i < MODULES; i++)
        module_records[i] = (struct slipway_module){.path = path, .cmdline = path};
    world->info->framebuffers = ARRAY(world, framebuffers);
    world->info->modules = ARRAY(world, module_records);
    world->info->memory = ARRAY(world, memory);
    world->info->cpus = ARRAY(world, cpu_records);
}

TEST("limine answer: each part of the room is reckoned, and no more than that is used") {
    struct world world;
    uint64_t bytes = 0;
    enum limine_status status = LIMINE_ERR_ROOM;
    for (; status != LIMINE_OK; bytes += 256) {
        begin_many(&world);
        status = answer_in(&world, bytes);
        if (status == LIMINE_OK)
            assert_true(bytes - world.answer.bytes < 1400);
        end(&world);
    }
}
