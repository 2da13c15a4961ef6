// The validator of the hand-over: a block that is in order passes, and each thing that can be wrong
// with it is found, under its own name.
#include "common/boot/boot_check.h"

#include "tests/unit/support/boot_block.h"
#include "tests/unit/support/test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_OFFSET(field) __builtin_offsetof(struct slipway_boot_info, field)
#define MIB_1                UINT64_C(0x100000)

// A good block in a heap block of exactly its size, so that ASan sees a read beyond it.
static struct boot_block *make(void) {
    struct boot_block *block = malloc(sizeof(*block));
    boot_block_fill(block);
    return block;
}

static void check(struct boot_block *block, enum boot_check want, uint64_t want_index, int line) {
    uint64_t index = UINT64_MAX;
    enum boot_check result = boot_check_info(&block->info, &index);
    if (result != want || index != want_index)
        fail_msg("line %d: result %d (%s), index %lu instead of %d, %lu", line, result,
                 boot_check_text(result), index, want, want_index);
    assert_int_equal(boot_check_info(&block->info, NULL), want);
    free(block);
}

// One change to a good block, and what must come of it.
#define EXPECT(result, index, ...)                                                                 \
    do {                                                                                           \
        struct boot_block *b = make();                                                             \
        __VA_ARGS__;                                                                               \
        check(b, result, index, __LINE__);                                                         \
    } while (0)
#define EXPECT_OK(...) EXPECT(BOOT_CHECK_OK, 0, __VA_ARGS__)

// The same of a block as with SLIPWAY_NOTE_DIRECT.
#define EXPECT_DIRECT(result, index, ...)                                                          \
    EXPECT(result, index, boot_block_fill_direct(b); __VA_ARGS__)

TEST("boot_check: a good block is sound") {
    EXPECT_OK((void)0);
}

TEST("boot_check: no block, an odd address, another magic and another version are refused") {
    uint64_t index;
    assert_int_equal(boot_check_info(NULL, &index), BOOT_CHECK_NULL);
    assert_int_equal(index, 0);
    for (uint64_t odd = 0x1001; odd < 0x1008; odd++)
        assert_int_equal(boot_check_info((const void *)odd, NULL), BOOT_CHECK_NULL);
    EXPECT(BOOT_CHECK_MAGIC, 0, b->info.magic ^= 1);
    EXPECT(BOOT_CHECK_MAGIC, 0, b->info.magic ^= UINT64_C(1) << 63);
    EXPECT(BOOT_CHECK_VERSION, 0, b->info.version = 2);
    EXPECT(BOOT_CHECK_VERSION, 0, b->info.version = 0);
}

TEST("boot_check: impossible sizes are refused before anything is read by them") {
    EXPECT(BOOT_CHECK_SIZE, 0, b->info.header_bytes = sizeof(b->info) - 1);
    EXPECT(BOOT_CHECK_SIZE, 0, b->info.header_bytes = 0);
    EXPECT(BOOT_CHECK_SIZE, 0, b->info.header_bytes = UINT32_MAX);
    EXPECT(BOOT_CHECK_SIZE, 0, b->info.total_bytes = sizeof(b->info) - 1);
    EXPECT(BOOT_CHECK_SIZE, 0, b->info.total_bytes = 0);
    EXPECT(BOOT_CHECK_SIZE, 0, b->info.total_bytes = (256 << 20) + 1);
    EXPECT_OK(b->info.total_bytes = 256 << 20); // nothing in it is further behind
    EXPECT(BOOT_CHECK_SIZE, 0, b->info.total_bytes = UINT64_MAX);
    EXPECT(BOOT_CHECK_ARRAY, HEADER_OFFSET(mappings), b->info.total_bytes = b->info.header_bytes);
    // A newer loader's longer header: what follows it moves up.
    EXPECT(BOOT_CHECK_ARRAY, HEADER_OFFSET(mappings), b->info.header_bytes += 8);
}

TEST("boot_check: the header alone is enough to refuse a header") {
    for (uint64_t bytes = 24; bytes < sizeof(struct slipway_boot_info); bytes += 8) {
        void *info = malloc(bytes);
        struct boot_block whole;
        boot_block_fill(&whole);
        whole.info.total_bytes = bytes;
        memcpy(info, &whole, bytes);
        assert_int_equal(boot_check_info(info, NULL), BOOT_CHECK_SIZE);
        free(info);
    }
}

static void check_array(uint64_t offset, uint64_t record_bytes) {
    struct slipway_array *array;
#define ARRAY_OF(b) array = (void *)((char *)(b) + offset)
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b); array->stride = (uint32_t)record_bytes - 8);
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b); array->stride = 0);
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b); array->stride += 4);
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b); array->address += 4);
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b); array->address = 0);
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b); array->address = UINT64_MAX - 7);
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b); array->address = (uint64_t)(uintptr_t)b);
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b);
           array->address = (uint64_t)(uintptr_t)b + sizeof(*b));
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b); array->count = UINT32_MAX);
    EXPECT(BOOT_CHECK_ARRAY, offset, ARRAY_OF(b); array->count = UINT32_MAX;
           array->stride = UINT32_MAX - 7);
#undef ARRAY_OF
}

TEST("boot_check: every array must lie inside the block, with records of full size") {
    check_array(HEADER_OFFSET(mappings), sizeof(struct slipway_mapping));
    check_array(HEADER_OFFSET(memory), sizeof(struct slipway_memory));
    check_array(HEADER_OFFSET(ranges), sizeof(struct slipway_range));
    check_array(HEADER_OFFSET(modules), sizeof(struct slipway_module));
    check_array(HEADER_OFFSET(framebuffers), sizeof(struct slipway_framebuffer));
    check_array(HEADER_OFFSET(stages), sizeof(struct slipway_stage));
}

TEST("boot_check: an array may end exactly where the block ends, and not 8 bytes later") {
    struct slipway_stage *last;
    EXPECT_OK(last = (struct slipway_stage *)(b + 1) - 1; *last = b->stages[1];
              b->info.stages.address = (uint64_t)(uintptr_t)last; b->info.stages.count = 1;
              b->info.loader_name = b->info.loader_version = b->info.kernel_path = b->info.cmdline =
                  b->info.log = b->info.volume_label = b->info.loader_path =
                      (struct slipway_text){0};
              b->info.choice = (struct slipway_choice){0};
              b->info.modules = (struct slipway_array){0}; b->info.efi_map_bytes = 48);
    EXPECT(BOOT_CHECK_ARRAY, HEADER_OFFSET(stages), last = (struct slipway_stage *)(b + 1) - 1;
           b->info.stages.address = (uint64_t)(uintptr_t)last + 8; b->info.stages.count = 1);
}

TEST("boot_check: an empty array has address 0, and any stride") {
    EXPECT_OK(b->info.modules = (struct slipway_array){0});
    EXPECT_OK(b->info.framebuffers = (struct slipway_array){.stride = 1});
    EXPECT(BOOT_CHECK_ARRAY, HEADER_OFFSET(stages), b->info.stages.count = 0);
    EXPECT(BOOT_CHECK_ARRAY, HEADER_OFFSET(framebuffers),
           b->info.framebuffers = (struct slipway_array){.address = 8, .stride = 96});
}

#define TEXT_OF(b) text = (void *)((char *)(b) + offset)
static void check_text_that_is_there(uint64_t offset) {
    struct slipway_text *text;
    EXPECT_OK(TEXT_OF(b); text->bytes = 1; text->address += 3);
    EXPECT(BOOT_CHECK_ARRAY, offset, TEXT_OF(b); text->bytes = 3); // no NUL follows
    EXPECT(BOOT_CHECK_ARRAY, offset, TEXT_OF(b); text->bytes = 16);
    EXPECT(BOOT_CHECK_ARRAY, offset, TEXT_OF(b); text->bytes = UINT64_MAX);
    EXPECT(BOOT_CHECK_ARRAY, offset, TEXT_OF(b); text->address = 0);
    EXPECT(BOOT_CHECK_ARRAY, offset, TEXT_OF(b); text->address = 8; text->bytes = 0);
    EXPECT(BOOT_CHECK_ARRAY, offset, TEXT_OF(b); text->address = (uint64_t)(uintptr_t)b);
}

static void check_text(uint64_t offset) {
    struct slipway_text *text;
    check_text_that_is_there(offset);
    EXPECT_OK(TEXT_OF(b); *text = (struct slipway_text){0});
    EXPECT_OK(TEXT_OF(b); text->address += 4; text->bytes = 0);
}
#undef TEXT_OF

TEST("boot_check: every text must lie inside the block, with its NUL") {
    check_text(HEADER_OFFSET(loader_name));
    check_text(HEADER_OFFSET(loader_version));
    check_text(HEADER_OFFSET(kernel_path));
    check_text(HEADER_OFFSET(cmdline));
    check_text(HEADER_OFFSET(log));
    check_text(HEADER_OFFSET(volume_label));
    check_text(HEADER_OFFSET(loader_path));
    check_text_that_is_there(HEADER_OFFSET(choice.entry));
    EXPECT_OK(memcpy(b->text + 11, "last", 5); b->info.log.address += 11);
    EXPECT(BOOT_CHECK_ARRAY, HEADER_OFFSET(log), memcpy(b->text + 12, "last", 4);
           b->info.log.address += 12); // its NUL would be behind the block
}

TEST("boot_check: the EFI map has a stride of at least 40 and lies inside the block") {
    EXPECT_OK(b->info.efi_map_stride = 40; b->info.efi_map_bytes = 80);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map_stride = 32);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map_stride = 0);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map_stride = 44; b->info.efi_map_bytes = 88);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map_bytes = 95);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map_bytes = 0);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map_bytes = 48 * 1000);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map_bytes = UINT64_MAX - 15);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map = 0);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map += 4);
    EXPECT(BOOT_CHECK_EFI_MAP, 0, b->info.efi_map += 48);
}

TEST("boot_check: levels are 4 or 5") {
    EXPECT_OK(b->info.paging_levels = 5);
    EXPECT(BOOT_CHECK_LEVELS, 0, b->info.paging_levels = 3);
    EXPECT(BOOT_CHECK_LEVELS, 0, b->info.paging_levels = 6);
    EXPECT(BOOT_CHECK_LEVELS, 0, b->info.paging_levels = 0);
}

static void move_direct(struct boot_block *block, uint64_t base) {
    uint64_t by = base - block->info.hhdm_base;
    for (int i = BLOCK_MAP_LOW; i <= BLOCK_MAP_HIGH; i++)
        block->mappings[i].virt += by;
    for (int i = 0; i < 2; i++)
        block->modules[i].address += by;
    block->info.hhdm_base += by;
    block->info.hhdm_end += by;
    block->info.rsdp += by;
    block->info.efi_system_table += by;
    block->info.cpus.address += by;
}

static const struct slipway_kaslr random_image = {SLIPWAY_KASLR_IMAGE, 7, 512, 0};
static const struct slipway_kaslr random_direct = {SLIPWAY_KASLR_DIRECT, 2, 0, 2};

TEST("boot_check: the direct map is aligned, in the upper half, and ends at its last mapping") {
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, b->info.hhdm_base += 0x1000);
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, move_direct(b, SLIPWAY_HHDM_BASE + (UINT64_C(1) << 30)));
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, move_direct(b, SLIPWAY_HHDM_BASE + (UINT64_C(1) << 38)));
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, b->info.hhdm_base = 0; b->info.hhdm_end = 64 * MIB_1);
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, b->info.hhdm_end = b->info.hhdm_base);
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, b->info.hhdm_end = b->info.hhdm_base - 0x1000);
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, b->info.hhdm_end += 1);
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, b->info.hhdm_end += 0x1000);
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0,
           b->info.hhdm_end = SLIPWAY_HHDM_BASE + SLIPWAY_HHDM_MAX_BYTES + 0x1000);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_HIGH, b->info.hhdm_end -= 0x1000);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_LOW, b->info.hhdm_base += UINT64_C(1) << 39;
           b->info.hhdm_end += UINT64_C(1) << 39);
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, move_direct(b, 0xffff7f8000000000));
    EXPECT_OK(move_direct(b, 0xffff7f8000000000); b->info.paging_levels = 5);
    EXPECT_OK(move_direct(b, 0xff00000000000000); b->info.paging_levels = 5);
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, move_direct(b, 0xfeffff8000000000); b->info.paging_levels = 5);
    EXPECT_OK(move_direct(b, SLIPWAY_HHDM_BASE + (UINT64_C(1) << 39)));
    // A random one may lie at any GiB.
    EXPECT_OK(b->info.kaslr = random_direct;
              move_direct(b, SLIPWAY_HHDM_BASE + (UINT64_C(1) << 30)));
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, b->info.kaslr = random_direct;
           move_direct(b, SLIPWAY_HHDM_BASE + (UINT64_C(1) << 29)));
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, b->info.kaslr = random_image;
           move_direct(b, SLIPWAY_HHDM_BASE + (UINT64_C(1) << 30)));
    // As wide as its window, up to the next one.
    EXPECT_OK(b->mappings[BLOCK_MAP_HIGH].bytes = SLIPWAY_HHDM_MAX_BYTES - 33 * MIB_1;
              b->info.hhdm_end = SLIPWAY_WINDOW_BASE);
    // Wider than its window, which only 5 levels have room for.
    EXPECT(BOOT_CHECK_DIRECT_MAP, 0, move_direct(b, 0xff00000000000000); b->info.paging_levels = 5;
           b->mappings[BLOCK_MAP_HIGH].bytes += SLIPWAY_HHDM_MAX_BYTES;
           b->info.hhdm_end += SLIPWAY_HHDM_MAX_BYTES);
}

TEST("boot_check: direct map, window and kernel keep apart") {
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_STACK, b->info.window_base = 0);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_STACK, b->info.window_base += (UINT64_C(1) << 39));
    EXPECT_OK(b->info.window_base -= UINT64_C(1) << 39);
    EXPECT(BOOT_CHECK_PLACES, 0, b->info.window_base -= 0x1000);
    // The window down to the direct map's end.
    EXPECT_OK(b->mappings[BLOCK_MAP_HIGH].bytes =
                  SLIPWAY_HHDM_MAX_BYTES - 33 * MIB_1 - (UINT64_C(1) << 39);
              b->info.hhdm_end = SLIPWAY_WINDOW_BASE - (UINT64_C(1) << 39);
              b->info.window_base -= (UINT64_C(1) << 39));
    EXPECT(BOOT_CHECK_PLACES, 0,
           b->mappings[BLOCK_MAP_HIGH].bytes = SLIPWAY_HHDM_MAX_BYTES - 33 * MIB_1;
           b->info.hhdm_end = SLIPWAY_WINDOW_BASE; b->info.window_base -= (UINT64_C(1) << 39));
}

TEST("boot_check: a direct map may be of one mapping") {
    EXPECT_OK(b->mappings[BLOCK_MAP_LOW].bytes = 64 * MIB_1; b->info.mappings.count -= 3;
              memmove(b->mappings + 1, b->mappings + BLOCK_MAP_STACK,
                      (BLOCK_MAPS - BLOCK_MAP_STACK) * sizeof(b->mappings[0]));
              // What stands behind the list is none of it.
              b->mappings[BLOCK_MAPS - 3] = b->mappings[0];
              b->mappings[BLOCK_MAPS - 3].bytes /= 2);
}

TEST("boot_check: the manifest is sorted, disjoint, aligned and inside the upper half") {
    for (unsigned i = 0; i < BLOCK_MAPS; i++) {
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].virt += 1);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].virt &= 0x7fffffffffff);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].virt = UINT64_MAX - 0xfff);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].phys += 1);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].phys = UINT64_C(1) << 52);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].bytes = 0);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].bytes -= 1);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].bytes = -b->mappings[i].virt);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].bytes = -UINT64_C(0x1000));
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].rights = 3);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].rights |= 4);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].rights |= 0x80000000);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].cache = 1);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].purpose = 0);
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i].purpose = 7);
    }
    for (unsigned i = 1; i < BLOCK_MAPS; i++)
        EXPECT(BOOT_CHECK_MAPPINGS, i, b->mappings[i] = b->mappings[i - 1]);
    EXPECT(BOOT_CHECK_MAPPINGS, 2, struct slipway_mapping swap = b->mappings[1];
           b->mappings[1] = b->mappings[2]; b->mappings[2] = swap);
    EXPECT(BOOT_CHECK_MAPPINGS, 1, b->mappings[0].bytes = MIB_1 + 0x1000); // by one page
}

TEST("boot_check: every mapping is what the contract says for its purpose") {
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_LOW,
           b->mappings[BLOCK_MAP_LOW].rights = SLIPWAY_RIGHT_EXECUTE);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_LOW, b->mappings[BLOCK_MAP_LOW].cache = SLIPWAY_CACHE_WC);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_MAIN, b->mappings[BLOCK_MAP_MAIN].phys += 0x1000);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_STACK, b->mappings[BLOCK_MAP_STACK].rights = 0);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_STACK,
           b->mappings[BLOCK_MAP_STACK].rights = SLIPWAY_RIGHT_EXECUTE);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_STACK,
           b->mappings[BLOCK_MAP_STACK].cache = SLIPWAY_CACHE_WC);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_STACK,
           b->mappings[BLOCK_MAP_STACK].virt = SLIPWAY_WINDOW_BASE - 0x1000);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_FRAMEBUFFER,
           b->mappings[BLOCK_MAP_FRAMEBUFFER].cache = SLIPWAY_CACHE_WB);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_FRAMEBUFFER,
           b->mappings[BLOCK_MAP_FRAMEBUFFER].rights = 0);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_LOADER,
           b->mappings[BLOCK_MAP_LOADER].virt = SLIPWAY_WINDOW_END - 0x1000);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_TEXT,
           b->mappings[BLOCK_MAP_TEXT].virt = SLIPWAY_KERNEL_MIN - 0x1000);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_DATA,
           b->mappings[BLOCK_MAP_DATA].cache = SLIPWAY_CACHE_WC);
}

TEST("boot_check: physical addresses have 52 bits, all of which may be used") {
    const uint64_t bytes = 4 * MIB_1;
    const uint64_t places[] = {UINT64_C(1) << 51, (UINT64_C(1) << 52) - bytes};
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_OK(b->mappings[BLOCK_MAP_FRAMEBUFFER].phys = places[i];
                  b->framebuffers[0].address_phys = places[i] + 16; b->info.framebuffers.count = 1);
    }
}

TEST("boot_check: the memory map is sorted, disjoint, aligned, of known kinds, and merged") {
    for (unsigned i = 0; i < BLOCK_MEMS; i++) {
        EXPECT(BOOT_CHECK_MEMORY, i, b->memory[i].start_phys += 1);
        EXPECT(BOOT_CHECK_MEMORY, i, b->memory[i].bytes = 0);
        EXPECT(BOOT_CHECK_MEMORY, i, b->memory[i].bytes += 1);
        EXPECT(BOOT_CHECK_MEMORY, i, b->memory[i].bytes = -UINT64_C(0x1000);
               b->memory[i].start_phys += 0x1000);
        EXPECT(BOOT_CHECK_MEMORY, i, b->memory[i].kind = 0);
        EXPECT(BOOT_CHECK_MEMORY, i, b->memory[i].kind = SLIPWAY_MEM_KINDS);
        EXPECT(BOOT_CHECK_MEMORY, i, b->memory[i].in_direct = 2);
    }
    for (unsigned i = 1; i < BLOCK_MEMS; i++)
        EXPECT(BOOT_CHECK_MEMORY, i, b->memory[i] = b->memory[i - 1]);
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_MODULE,
           b->memory[BLOCK_MEM_MODULE].kind = SLIPWAY_MEM_LOADER);
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_MODULE, b->memory[BLOCK_MEM_MODULE].start_phys -= 0x1000);
}

TEST("boot_check: usable memory is in the direct map, and never frame 0 or the legacy hole") {
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_MAIN, b->memory[BLOCK_MEM_MAIN].in_direct = 0);
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_FIRST,
           b->memory[BLOCK_MEM_FIRST].kind = SLIPWAY_MEM_USABLE);
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_MMIO, b->memory[BLOCK_MEM_MMIO].in_direct = 1);
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_HOLE, b->memory[BLOCK_MEM_HOLE].in_direct = 1);
    // The manifest maps the hole, but the map must not call it usable.
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_HOLE, b->mappings[BLOCK_MAP_LOW].bytes = MIB_1;
           b->memory[BLOCK_MEM_HOLE].in_direct = 1;
           b->memory[BLOCK_MEM_HOLE].kind = SLIPWAY_MEM_USABLE);
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_MAIN, b->mappings[BLOCK_MAP_MAIN].bytes -= 0x1000);
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_MAIN, b->mappings[BLOCK_MAP_MAIN].virt += 0x1000;
           b->mappings[BLOCK_MAP_MAIN].phys += 0x1000; b->mappings[BLOCK_MAP_MAIN].bytes -= 0x1000);
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_TABLES, b->memory[BLOCK_MEM_TABLES].bytes += 0x1000);
    // What stands behind the manifest maps nothing.
    EXPECT(BOOT_CHECK_MEMORY, BLOCK_MEM_KERNEL, b->info.mappings.count = BLOCK_MAP_HIGH;
           b->info.hhdm_end -= 31 * MIB_1);
}

TEST("boot_check: the loader's ranges are sorted, disjoint, aligned and of known purpose") {
    for (unsigned i = 0; i < BLOCK_RANGES; i++) {
        EXPECT(BOOT_CHECK_RANGES, i, b->ranges[i].start_phys += 1);
        EXPECT(BOOT_CHECK_RANGES, i, b->ranges[i].bytes = 0);
        EXPECT(BOOT_CHECK_RANGES, i, b->ranges[i].bytes += 1);
        EXPECT(BOOT_CHECK_RANGES, i, b->ranges[i].bytes = UINT64_C(1) << 52);
        EXPECT(BOOT_CHECK_RANGES, i, b->ranges[i].purpose = 0);
        EXPECT(BOOT_CHECK_RANGES, i, b->ranges[i].purpose = SLIPWAY_RANGE_CRASH + 1);
        EXPECT(BOOT_CHECK_RANGES, i, b->ranges[i].reclaimable = 2);
    }
    for (unsigned i = 1; i < BLOCK_RANGES; i++)
        EXPECT(BOOT_CHECK_RANGES, i, b->ranges[i] = b->ranges[i - 1]);
    EXPECT(BOOT_CHECK_RANGES, BLOCK_RANGE_KERNEL, b->ranges[BLOCK_RANGE_KERNEL].reclaimable = 1);
    EXPECT(BOOT_CHECK_RANGES, BLOCK_RANGE_TABLES, b->ranges[BLOCK_RANGE_TABLES].reclaimable = 1);
    EXPECT(BOOT_CHECK_RANGES, BLOCK_RANGE_INFO,
           b->ranges[BLOCK_RANGE_INFO].purpose = SLIPWAY_RANGE_DEMOTED);
    EXPECT_OK(b->ranges[BLOCK_RANGE_INFO].reclaimable = 0);
    EXPECT_OK(b->ranges[BLOCK_RANGE_MODULE].reclaimable = 0);
}

// Puts a range before all others, in place of two that nothing else asks for.
static void put_first(struct boot_block *block, struct slipway_range range) {
    block->ranges[3] = block->ranges[BLOCK_RANGE_CPUS];
    block->ranges[4] = block->ranges[BLOCK_RANGE_MODULE];
    block->ranges[5] = block->ranges[BLOCK_RANGE_TABLES];
    block->ranges[2] = block->ranges[BLOCK_RANGE_STACK];
    block->ranges[1] = block->ranges[BLOCK_RANGE_KERNEL];
    block->ranges[0] = range;
    block->info.ranges.count = 6;
}

TEST(
    "boot_check: a range of the loader may begin at 0, but not in the first region if that is usable") {
    EXPECT_OK(put_first(b, (struct slipway_range){0, 0x1000, SLIPWAY_RANGE_LOADER, 1}));
    EXPECT(BOOT_CHECK_RANGES, 0, b->info.memory.count--;
           memmove(b->memory, b->memory + 1, (BLOCK_MEMS - 1) * sizeof(b->memory[0]));
           put_first(b, (struct slipway_range){0x2000, 0x1000, SLIPWAY_RANGE_LOADER, 1}));
}

TEST("boot_check: a range of the loader that is given as usable memory too is refused") {
    for (unsigned i = BLOCK_MEM_KERNEL; i <= BLOCK_MEM_TABLES; i++) {
        const unsigned ranges[] = {BLOCK_RANGE_KERNEL, BLOCK_RANGE_STACK, BLOCK_RANGE_MODULE,
                                   BLOCK_RANGE_TABLES};
        EXPECT(BOOT_CHECK_RANGES, ranges[i - BLOCK_MEM_KERNEL],
               b->memory[i].kind = SLIPWAY_MEM_USABLE;
               b->memory[BLOCK_MEM_MAIN].bytes -= 0x1000); // or it would be unmerged
    }
    EXPECT(BOOT_CHECK_RANGES, BLOCK_RANGE_KERNEL,
           b->ranges[BLOCK_RANGE_KERNEL].start_phys -= 0x1000;
           b->ranges[BLOCK_RANGE_KERNEL].bytes += 0x1000);
    // A region behind the list is none of it.
    EXPECT_OK(b->info.memory.count--; b->memory[BLOCK_MEM_MMIO] = b->memory[BLOCK_MEM_TABLES];
              b->memory[BLOCK_MEM_MMIO].kind = SLIPWAY_MEM_USABLE);
    // The last range in a region, of which the others are clear.
    EXPECT(BOOT_CHECK_RANGES, BLOCK_RANGE_LOADER, b->memory[BLOCK_MEM_LOADER].bytes = 0x8000;
           b->memory[BLOCK_MEM_MODULE] =
               (struct slipway_memory){34 * MIB_1 + 0x8000, 0x8000, SLIPWAY_MEM_USABLE, 1});
}

TEST("boot_check: the image is one piece, claimed, and all kernel mappings are of it") {
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_virt += 1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_digest_kind = 2);
    EXPECT_OK(b->info.kernel_digest_kind = SLIPWAY_DIGEST_SHA256);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_virt += 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_virt -= 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_phys += 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_phys = UINT64_C(1) << 52);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_bytes = 0);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_bytes -= 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_bytes += 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_bytes = UINT64_MAX - 0xfff);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->mappings[BLOCK_MAP_DATA].phys -= 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->mappings[BLOCK_MAP_DATA].virt += MIB_1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->mappings[BLOCK_MAP_DATA].virt += 4 * MIB_1;
           b->mappings[BLOCK_MAP_DATA].phys += 4 * MIB_1); // beyond its end, in step
    EXPECT(BOOT_CHECK_KERNEL, 0, b->ranges[BLOCK_RANGE_KERNEL].purpose = SLIPWAY_RANGE_MODULE);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->ranges[BLOCK_RANGE_KERNEL].bytes -= 0x1000);
    // Mapped as far as addresses go, which is not to its end.
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.mappings.count--;
           b->info.kernel_virt = b->mappings[BLOCK_MAP_TEXT].virt = SLIPWAY_KERNEL_MAX - MIB_1;
           b->info.kernel_entry = b->info.kernel_virt + 0x10);
    // A mapping behind the list is none of it.
    EXPECT_OK(b->info.mappings.count--; b->mappings[BLOCK_MAP_DATA].phys += 0x1000);
}

TEST("boot_check: the image's pieces are the whole image, in order, claimed and mapped") {
    EXPECT_OK(b->info.kernel_pieces.count = 1; b->pieces[0].bytes = 2 * MIB_1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_pieces.count = 1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_pieces.count = 0;
           b->info.kernel_pieces.address = 0);
    EXPECT(BOOT_CHECK_ARRAY, offsetof(struct slipway_boot_info, kernel_pieces),
           b->info.kernel_pieces.stride -= 8);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->pieces[0].virt += 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->pieces[1].virt -= 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->pieces[0].bytes -= 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->pieces[1].bytes += 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->pieces[1].bytes -= 1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->pieces[1].phys -= 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->pieces[1].phys += 0x1000);
    // Elsewhere, both claimed: a neighbour in the image need be none in memory.
    EXPECT_OK(
        b->ranges[BLOCK_RANGE_KERNEL].start_phys -= MIB_1; b->memory[BLOCK_MEM_MAIN].bytes -= MIB_1;
        b->memory[BLOCK_MEM_KERNEL].start_phys -= MIB_1; b->memory[BLOCK_MEM_KERNEL].bytes += MIB_1;
        b->ranges[BLOCK_RANGE_KERNEL].bytes += MIB_1; b->info.kernel_phys -= MIB_1;
        b->pieces[0].phys -= MIB_1; b->mappings[BLOCK_MAP_TEXT].phys -= MIB_1);
    // In falling order.
    EXPECT(BOOT_CHECK_KERNEL, 0, b->pieces[0].phys += MIB_1; b->pieces[1].phys -= MIB_1;
           b->info.kernel_phys += MIB_1; b->mappings[BLOCK_MAP_TEXT].phys += MIB_1;
           b->mappings[BLOCK_MAP_DATA].phys -= MIB_1);
    // A mapping that begins behind the last piece, and one that goes on in the next.
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_pieces.count = 1; b->info.kernel_bytes = MIB_1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->mappings[BLOCK_MAP_TEXT].bytes += 0x1000;
           b->mappings[BLOCK_MAP_DATA].bytes -= 0x1000; b->mappings[BLOCK_MAP_DATA].virt += 0x1000;
           b->mappings[BLOCK_MAP_DATA].phys += 0x1000);
}

TEST("boot_check: the entry point is in an executable kernel mapping") {
    EXPECT_OK(b->info.kernel_entry = BLOCK_IMAGE + MIB_1 - 1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_entry = BLOCK_IMAGE + MIB_1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_entry = BLOCK_IMAGE - 1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_entry = 0);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.kernel_entry = BLOCK_FRAME + 8 * MIB_1); // the loader's
}

TEST("boot_check: the stack is a mapping of its own between two guard pages") {
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.stack_bottom += 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.stack_bottom += 8);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.stack_bottom = 0);
    EXPECT(BOOT_CHECK_KERNEL, 0, // the loader's view of the same memory
           struct slipway_mapping *loader = &b->mappings[BLOCK_MAP_LOADER];
           loader->phys = 34 * MIB_1; loader->bytes = 0x4000; b->info.stack_bottom = loader->virt;
           b->info.stack_top = loader->virt + 0x4000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.stack_top -= 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.stack_top += 8);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.stack_bottom = BLOCK_FRAME;
           b->info.stack_top = BLOCK_FRAME + 4 * MIB_1);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->ranges[BLOCK_RANGE_STACK].bytes -= 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->ranges[BLOCK_RANGE_STACK].purpose = SLIPWAY_RANGE_LOADER);
    // Something mapped right above, and right below.
    EXPECT(BOOT_CHECK_KERNEL, 0, b->mappings[BLOCK_MAP_FRAMEBUFFER].virt = BLOCK_STACK + 0x4000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->mappings[BLOCK_MAP_LOADER].virt = BLOCK_STACK + 5 * MIB_1;
           b->info.stack_bottom = b->mappings[BLOCK_MAP_FRAMEBUFFER].virt = BLOCK_STACK + MIB_1;
           struct slipway_mapping stack = b->mappings[BLOCK_MAP_STACK];
           b->mappings[BLOCK_MAP_STACK] = b->mappings[BLOCK_MAP_FRAMEBUFFER];
           stack.virt = BLOCK_STACK + 5 * MIB_1; b->mappings[BLOCK_MAP_FRAMEBUFFER] = stack;
           b->mappings[BLOCK_MAP_LOADER].virt = BLOCK_STACK + 6 * MIB_1;
           b->info.stack_bottom = stack.virt; b->info.stack_top = stack.virt + stack.bytes);
}

TEST("boot_check: a stack may be in the direct map, between two guards that are listed") {
    EXPECT_DIRECT(BOOT_CHECK_OK, 0, (void)0);
    const unsigned guards[] = {BLOCK_DIRECT_RANGE_BELOW, BLOCK_DIRECT_RANGE_ABOVE};
    for (unsigned i = 0; i < 2; i++) {
        struct slipway_range *guard;
        EXPECT_DIRECT(BOOT_CHECK_KERNEL, 0, b->ranges[guards[i]].purpose = SLIPWAY_RANGE_LOADER);
        EXPECT_DIRECT(BOOT_CHECK_RANGES, guards[i], b->ranges[guards[i]].reclaimable = 1);
        EXPECT_DIRECT(BOOT_CHECK_RANGES, guards[i], guard = &b->ranges[guards[i]];
                      guard->start_phys -= i == 0 ? 0x1000 : 0; guard->bytes = 0x2000);
    }
    // Mapped, from below and from above.
    EXPECT_DIRECT(BOOT_CHECK_RANGES, BLOCK_DIRECT_RANGE_BELOW,
                  b->mappings[BLOCK_MAP_HIGH].bytes += 0x1000);
    EXPECT_DIRECT(BOOT_CHECK_RANGES, BLOCK_DIRECT_RANGE_ABOVE,
                  struct slipway_mapping *rest = &b->mappings[BLOCK_DIRECT_MAP_REST];
                  rest->virt -= 0x1000; rest->phys -= 0x1000; rest->bytes += 0x1000);
    EXPECT_DIRECT(BOOT_CHECK_KERNEL, 0, b->mappings[BLOCK_DIRECT_MAP_STACK].rights = 0);
    EXPECT_DIRECT(BOOT_CHECK_KERNEL, 0, b->info.stack_phys += 0x1000);
    EXPECT_DIRECT(BOOT_CHECK_KERNEL, 0, b->info.stack_bottom += 0x1000);
    EXPECT_DIRECT(BOOT_CHECK_KERNEL, 0, b->info.stack_top -= 0x1000);
    EXPECT_DIRECT(BOOT_CHECK_KERNEL, 0,
                  b->ranges[BLOCK_DIRECT_RANGE_STACK].purpose = SLIPWAY_RANGE_LOADER);
}

TEST("boot_check: a framebuffer in the direct map is at its physical address, in the map's room") {
    const unsigned screen = BLOCK_DIRECT_MAP_FRAMEBUFFER;
    EXPECT_DIRECT(BOOT_CHECK_MAPPINGS, screen, b->mappings[screen].virt += 0x1000);
    EXPECT_DIRECT(BOOT_CHECK_MAPPINGS, screen, b->mappings[screen].phys += 0x1000);
    EXPECT_DIRECT(BOOT_CHECK_MAPPINGS, screen, b->mappings[screen].rights = 0);
    EXPECT_DIRECT(BOOT_CHECK_MAPPINGS, screen, b->mappings[screen].cache = SLIPWAY_CACHE_WB);
    // The window begins 2^46 above the default base. Behind that nothing can be told from it.
    const uint64_t room = SLIPWAY_HHDM_MAX_BYTES;
    const uint64_t bytes = 4 * MIB_1;
    EXPECT_DIRECT(BOOT_CHECK_OK, 0, struct slipway_mapping *mapping = &b->mappings[screen];
                  mapping->phys = room - bytes; mapping->virt = BLOCK_HHDM + room - bytes;
                  b->framebuffers[0].address = mapping->virt + 16;
                  b->framebuffers[0].address_phys = mapping->phys + 16;
                  b->info.framebuffers.count = 1);
    EXPECT_DIRECT(BOOT_CHECK_MAPPINGS, screen,
                  struct slipway_mapping *mapping = &b->mappings[screen];
                  mapping->phys = room - 0x1000; mapping->virt = BLOCK_HHDM + room - 0x1000);
    EXPECT_DIRECT(BOOT_CHECK_FRAMEBUFFERS, 1, b->framebuffers[1].address += 0x1000);
}

TEST("boot_check: the root is a claimed page table, and there are not more tables than claimed") {
    EXPECT_OK(b->info.root_phys += 0x1000);
    EXPECT_OK(b->info.table_pages = 1);
    EXPECT(BOOT_CHECK_TABLES, 0, b->info.root_phys += 8);
    EXPECT(BOOT_CHECK_TABLES, 0, b->info.root_phys -= 0x1000);
    EXPECT(BOOT_CHECK_TABLES, 0, b->info.root_phys = 64 * MIB_1);
    EXPECT(BOOT_CHECK_TABLES, 0, b->info.table_pages = 0);
    EXPECT(BOOT_CHECK_TABLES, 0, b->info.table_pages += 1);
    EXPECT_OK(b->info.table_pages += 1;
              put_first(b, (struct slipway_range){0, 0x1000, SLIPWAY_RANGE_PAGE_TABLES, 0}));
    // A range behind the list is none of it.
    EXPECT(BOOT_CHECK_TABLES, 0, b->ranges[BLOCK_RANGE_TABLES].bytes -= 0x1000;
           put_first(b, (struct slipway_range){0, 0x1000, SLIPWAY_RANGE_LOADER, 1});
           b->ranges[5] =
               (struct slipway_range){64 * MIB_1 - 0x1000, 0x1000, SLIPWAY_RANGE_PAGE_TABLES, 0});
    EXPECT(BOOT_CHECK_TABLES, 0, b->ranges[BLOCK_RANGE_TABLES].purpose = SLIPWAY_RANGE_LOADER);
}

TEST("boot_check: modules lie in the direct map and in their ranges, with texts in the block") {
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_OK(b->modules[i].bytes = 0; b->modules[i].address = 0);
        EXPECT_OK(b->modules[i].bytes += 1);
        EXPECT_OK(b->modules[i].digest_kind = SLIPWAY_DIGEST_NONE);
        EXPECT(BOOT_CHECK_MODULES, i, b->modules[i].address += 8);
        EXPECT(BOOT_CHECK_MODULES, i, b->modules[i].address -= 3 * MIB_1);
        EXPECT(BOOT_CHECK_MODULES, i, b->modules[i].address -= BLOCK_HHDM);
        EXPECT(BOOT_CHECK_MODULES, i, b->modules[i].bytes += 4 * MIB_1);
        EXPECT(BOOT_CHECK_MODULES, i, b->modules[i].bytes = UINT64_MAX);
        EXPECT(BOOT_CHECK_MODULES, i, b->modules[i].digest_kind = 2);
        EXPECT(BOOT_CHECK_MODULES, i, b->modules[i].path.bytes = 16);
        EXPECT(BOOT_CHECK_MODULES, i, b->modules[i].path.address = 8);
        EXPECT(BOOT_CHECK_MODULES, i, b->modules[i].cmdline.bytes = 3);
    }
}

TEST("boot_check: a module may lie in two ranges, and not in one behind the list") {
    const uint64_t at = 36 * MIB_1;
    EXPECT_OK(b->ranges[3] = b->ranges[BLOCK_RANGE_CPUS];
              b->ranges[4] = (struct slipway_range){at, MIB_1, SLIPWAY_RANGE_MODULE, 1};
              b->ranges[5].start_phys += MIB_1; b->ranges[5].bytes -= MIB_1);
    EXPECT(BOOT_CHECK_MODULES, 0, b->info.ranges.count = 5; b->info.table_pages = 1;
           b->ranges[BLOCK_RANGE_INFO].purpose = SLIPWAY_RANGE_PAGE_TABLES;
           b->ranges[BLOCK_RANGE_INFO].reclaimable = 0;
           b->info.root_phys = b->ranges[BLOCK_RANGE_INFO].start_phys);
}

TEST("boot_check: a module outside the direct map is refused, whoever claims it") {
    EXPECT(BOOT_CHECK_MODULES, 0, b->ranges[5] = b->ranges[6];
           b->ranges[6] = (struct slipway_range){0xfec00000, 0x1000, SLIPWAY_RANGE_MODULE, 1};
           b->modules[0].address = BLOCK_HHDM + 0xfec00000; b->modules[0].bytes = 0x1000);
}

TEST("boot_check: a framebuffer is mapped for itself, and as large as its picture") {
#define SCREEN b->framebuffers[0]
// In its mode, too. The second screen is of the same mode.
#define SET(field, value)                                                                          \
    SCREEN.field = b->framebuffers[1].field = b->modes[SCREEN.mode].field = (value)
    EXPECT_OK(SET(format, SLIPWAY_PIXEL_MASKS));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 1, b->framebuffers[1].width = 0);
    EXPECT_OK(SET(height, (uint32_t)(SCREEN.bytes / SCREEN.pitch)));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(height, (uint32_t)(SCREEN.bytes / SCREEN.pitch) + 1));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.address += 4);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.address = 0);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.address_phys -= 4);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.bytes += 1);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.bytes = UINT64_MAX);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(width, 0));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(width, UINT32_MAX));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(height, 0));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(height, UINT32_MAX); SET(pitch, UINT32_MAX));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(pitch, 4095));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(format, 3));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(red_mask, 0));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(green_mask, 0));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(blue_mask, 0));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(red_mask, 0xff8000));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(blue_mask, 0x100ff));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SET(blue_mask, 0x1ff));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.address = BLOCK_STACK;
           SCREEN.address_phys = 34 * MIB_1; SET(width, 1); SET(height, 1); SET(pitch, 4);
           SCREEN.bytes = 4); // mapped, but not for it
#undef SET
}

TEST("boot_check: a framebuffer is of the mode that it says is set") {
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.mode = 0);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.mode = 3); // behind the list
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 1, b->framebuffers[1].mode = UINT32_MAX);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.width--);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.height--);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.pitch -= 4);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.format = SLIPWAY_PIXEL_MASKS);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.red_mask |= 0x1000000);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.green_mask |= 0x1000000);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.blue_mask |= 0x1000000);
    EXPECT_OK(b->modes[1].reserved = SCREEN.reserved = 7; b->framebuffers[1].reserved = 8);
}

TEST("boot_check: every mode is sound, and their list lies in the block") {
    EXPECT_OK(b->modes[2].format = SLIPWAY_PIXEL_MASKS);
    EXPECT_OK(SCREEN.modes.count = 2);
    EXPECT_OK(SCREEN.modes.count = 1; SCREEN.mode = 0;
              SCREEN.modes.address += sizeof(struct slipway_display_mode));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, b->modes[0].width = 0);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, b->modes[2].height = 0);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, b->modes[2].red_mask = 0);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.modes = (struct slipway_array){0}; SCREEN.mode = 0);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.modes.stride = 24);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.modes.address += 4);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.modes.address = (uint64_t)(uintptr_t)(b + 1));
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.modes.address = (uint64_t)(uintptr_t)b);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.modes.count = UINT32_MAX);
}

TEST("boot_check: EDID lies in the block, and is no larger than EDID can be") {
    EXPECT_OK(SCREEN.edid = SCREEN.edid_bytes = 0);
    EXPECT_OK(SCREEN.edid += 1; SCREEN.edid_bytes = 1);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.edid = 0);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.edid_bytes = 0);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.edid = (uint64_t)(uintptr_t)b);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.edid = (uint64_t)(uintptr_t)(b + 1) - 127);
    EXPECT(BOOT_CHECK_FRAMEBUFFERS, 0, SCREEN.edid_bytes = UINT64_MAX);
    // In a block that has so much room behind itself.
    for (uint64_t more = 0; more < 2; more++) {
        struct boot_block *b = calloc(1, sizeof(*b) + 32769);
        boot_block_fill(b);
        b->info.total_bytes += 32769;
        SCREEN.edid = (uint64_t)(uintptr_t)(b + 1);
        SCREEN.edid_bytes = 32768 + more;
        check(b, more == 0 ? BOOT_CHECK_OK : BOOT_CHECK_FRAMEBUFFERS, 0, __LINE__);
    }
#undef SCREEN
}

TEST("boot_check: stages have names and run forwards") {
    EXPECT_OK(b->stages[0].tsc_end = 100);
    EXPECT_OK(b->stages[0].tsc_start = 0);
    EXPECT_OK(b->stages[1].tsc_start = 100); // inside the other
    EXPECT_OK(memcpy(b->stages[1].name, "fifteen letters", 16));
    EXPECT(BOOT_CHECK_STAGES, 0, b->stages[0].tsc_end = 99);
    EXPECT(BOOT_CHECK_STAGES, 1, b->stages[1].tsc_start = 99);
    EXPECT(BOOT_CHECK_STAGES, 1, b->stages[1].name[0] = '\0');
    EXPECT(BOOT_CHECK_STAGES, 1, memset(b->stages[1].name, 'x', 16));
}

TEST("boot_check: firmware tables are at their physical addresses in the direct map, or absent") {
#define CHECK_TABLE(field, field_phys)                                                             \
    EXPECT_OK(b->info.field = 0);                                                                  \
    EXPECT_OK(b->info.field = b->info.field_phys = 0);                                             \
    EXPECT_OK(b->info.field_phys = 64 * MIB_1 - 1;                                                 \
              b->info.field = BLOCK_HHDM + b->info.field_phys);                                    \
    EXPECT(BOOT_CHECK_FIRMWARE, 0, b->info.field_phys = 35 * MIB_1;                                \
           b->info.field = BLOCK_HHDM + 35 * MIB_1 + 8);                                           \
    EXPECT(BOOT_CHECK_FIRMWARE, 0, b->info.field_phys = 0; b->info.field = BLOCK_HHDM);            \
    EXPECT(BOOT_CHECK_FIRMWARE, 0, b->info.field_phys = b->info.field = 35 * MIB_1);               \
    EXPECT(BOOT_CHECK_FIRMWARE, 0, b->info.field_phys = 64 * MIB_1;                                \
           b->info.field = BLOCK_HHDM + 64 * MIB_1)
    CHECK_TABLE(rsdp, rsdp_phys);
    CHECK_TABLE(smbios, smbios_phys);
    CHECK_TABLE(efi_system_table, efi_system_table_phys);
#undef CHECK_TABLE
    EXPECT(BOOT_CHECK_FIRMWARE, 0, b->info.rsdp = BLOCK_FRAME; // mapped, but not by the direct map
           b->info.rsdp_phys = BLOCK_FRAME - BLOCK_HHDM);
}

// The loader's mapping becomes one of the page in the legacy hole where the SMBIOS tables are.
static struct slipway_mapping *put_firmware(struct boot_block *b) {
    struct slipway_mapping *mapping = &b->mappings[BLOCK_MAP_LOADER];
    *mapping = (struct slipway_mapping){mapping->virt,       0xf0000, 0x1000, 0, SLIPWAY_CACHE_WB,
                                        SLIPWAY_MAP_FIRMWARE};
    b->info.smbios = mapping->virt;
    return mapping;
}

TEST(
    "boot_check: firmware tables outside the direct map are read-only, in the window, at their places") {
    EXPECT_OK(put_firmware(b));
    EXPECT_OK(put_firmware(b)->cache = SLIPWAY_CACHE_UC);
    EXPECT_OK(put_firmware(b); b->info.smbios += 0xfff; b->info.smbios_phys += 0xfff);
    EXPECT_OK(put_firmware(b); b->info.smbios = 0);
    EXPECT(BOOT_CHECK_FIRMWARE, 0, put_firmware(b); b->info.smbios++);
    EXPECT(BOOT_CHECK_FIRMWARE, 0, put_firmware(b); b->info.smbios_phys--);
    EXPECT(BOOT_CHECK_FIRMWARE, 0, put_firmware(b)->phys += 0x1000);
    EXPECT(BOOT_CHECK_FIRMWARE, 0, put_firmware(b); b->info.smbios += 0x1000;
           b->info.smbios_phys += 0x1000);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_LOADER, put_firmware(b)->rights = SLIPWAY_RIGHT_WRITE);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_LOADER, put_firmware(b)->rights = SLIPWAY_RIGHT_EXECUTE);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_LOADER, put_firmware(b)->cache = SLIPWAY_CACHE_WC);
    EXPECT(BOOT_CHECK_MAPPINGS, BLOCK_MAP_LOADER, put_firmware(b)->virt = SLIPWAY_WINDOW_END);
}

TEST("boot_check: the records of CPUs are whole lines in the direct map, in their range, or none") {
    EXPECT_OK(b->info.cpus = (struct slipway_array){0});
    EXPECT_OK(b->info.cpus.count = 0; b->info.cpus.address = 0);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.count = 0);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.address = 0);
    EXPECT_OK(b->info.cpus.count = 64);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.count = 65);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.count = UINT32_MAX);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.count = b->info.cpus.stride = UINT32_MAX);
    EXPECT_OK(b->info.cpus.stride = 128; b->info.cpus.count = 32);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.stride = 128; b->info.cpus.count = 33);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.stride = 0);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.stride = 32);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.stride = 96);
    EXPECT_OK(b->info.cpus.address += 64);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.address += 32);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.address -= 64);
    EXPECT(BOOT_CHECK_CPUS, 0, b->info.cpus.address = BLOCK_CPUS);
    EXPECT(BOOT_CHECK_CPUS, 0, b->ranges[BLOCK_RANGE_CPUS].purpose = SLIPWAY_RANGE_LOADER);
    EXPECT_OK(b->ranges[BLOCK_RANGE_CPUS].reclaimable = 0);
    EXPECT(BOOT_CHECK_CPUS, 0, // claimed, and not in the direct map
           put_first(b, (struct slipway_range){0xa0000, 0x1000, SLIPWAY_RANGE_CPUS, 1});
           b->info.cpus.address = BLOCK_HHDM + 0xa0000);
}

TEST("boot_check: the local APIC is in a mode that there is") {
    EXPECT_OK(b->info.apic_mode = SLIPWAY_APIC_NONE);
    EXPECT_OK(b->info.apic_mode = SLIPWAY_APIC_XAPIC);
    EXPECT_OK(b->info.apic_mode = SLIPWAY_APIC_X2APIC);
    EXPECT(BOOT_CHECK_APIC, 0, b->info.apic_mode = SLIPWAY_APIC_X2APIC + 1);
    EXPECT(BOOT_CHECK_APIC, 0, b->info.apic_mode = UINT32_MAX);
}

TEST("boot_check: the stack is where its physical address says") {
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.stack_phys += 0x1000);
    EXPECT(BOOT_CHECK_KERNEL, 0, b->info.stack_phys = 0);
}

// Sets all four fields of thread-local data.
static void set_tls(struct boot_block *b, uint64_t address, uint64_t file_bytes, uint64_t bytes,
                    uint64_t align) {
    b->info.tls_address = address;
    b->info.tls_file_bytes = file_bytes;
    b->info.tls_bytes = bytes;
    b->info.tls_align = align;
}

TEST("boot_check: thread-local data has its template in the image, or is none") {
    const uint64_t end = BLOCK_IMAGE + 2 * MIB_1;
    EXPECT_OK(set_tls(b, BLOCK_IMAGE + 0x40, 0x10, 0x80, 0x40));
    EXPECT_OK(set_tls(b, BLOCK_IMAGE, 2 * MIB_1, 2 * MIB_1, 1));
    EXPECT_OK(set_tls(b, end - 1, 1, 100 * MIB_1, 1));
    EXPECT_OK(set_tls(b, 0, 0, 1, 64));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, 1, 0, 0, 0));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, 0, 1, 0, 0));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, 0, 0, 0, 1));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, 0, 0, 1, 0));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, 0, 0, 1, 3));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, BLOCK_IMAGE, 0, 1, 1));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, 0, 1, 1, 1));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, BLOCK_IMAGE, 0x11, 0x10, 1));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, BLOCK_IMAGE + 0x20, 0x10, 0x80, 0x40));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, BLOCK_IMAGE - 1, 1, 1, 1));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, end, 1, 1, 1));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, end - 1, 2, 2, 1));
    EXPECT(BOOT_CHECK_KERNEL, 0, set_tls(b, BLOCK_IMAGE, UINT64_MAX, UINT64_MAX, 1));
}

TEST("boot_check: facts are of known kinds, and a frequency has a method") {
    for (uint32_t method = SLIPWAY_TSC_CPUID; method <= SLIPWAY_TSC_PM_TIMER; method++)
        EXPECT_OK(b->info.tsc_method = method);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tsc_method = SLIPWAY_TSC_PM_TIMER + 1);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tsc_method = SLIPWAY_TSC_UNKNOWN);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tsc_hz = 0);
    EXPECT_OK(b->info.tsc_hz = 0; b->info.tsc_method = SLIPWAY_TSC_UNKNOWN);
    for (uint32_t sources = 0; sources < 16; sources++)
        EXPECT_OK(b->info.entropy_sources = sources);
    for (unsigned bit = 4; bit < 32; bit++)
        EXPECT(BOOT_CHECK_FACTS, 0, b->info.entropy_sources = 1U << bit);
    for (uint32_t kind = 0; kind < 10; kind++) {
        EXPECT(kind <= SLIPWAY_PARTITION_GPT ? BOOT_CHECK_OK : BOOT_CHECK_FACTS, 0,
               b->info.partition_id_kind = kind);
        bool is_server = kind == SLIPWAY_SERVER_NONE || kind == 4 || kind == 6;
        EXPECT(is_server ? BOOT_CHECK_OK : BOOT_CHECK_FACTS, 0, b->info.server_kind = kind);
    }
}

static void refuse_kaslr(struct slipway_kaslr kaslr) {
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.kaslr = kaslr);
}

TEST("boot_check: what is random is one of several places, and comes of a known source") {
    for (uint32_t sources = 1; sources < 8; sources++)
        EXPECT_OK(b->info.kaslr = random_image; b->info.kaslr.sources = sources);
    EXPECT_OK(b->info.kaslr = random_direct);
    EXPECT_OK(b->info.kaslr = ((struct slipway_kaslr){3, 1, 2, 65535}));
    refuse_kaslr((struct slipway_kaslr){0, 1, 0, 0});
    refuse_kaslr((struct slipway_kaslr){1, 0, 512, 0});
    refuse_kaslr((struct slipway_kaslr){1, 8, 512, 0}); // time
    refuse_kaslr((struct slipway_kaslr){1, 9, 512, 0});
    refuse_kaslr((struct slipway_kaslr){1, 1, 1, 0});
    refuse_kaslr((struct slipway_kaslr){1, 1, 512, 2});
    refuse_kaslr((struct slipway_kaslr){2, 1, 0, 1});
    refuse_kaslr((struct slipway_kaslr){2, 1, 2, 2});
    refuse_kaslr((struct slipway_kaslr){0, 0, 2, 0});
    refuse_kaslr((struct slipway_kaslr){7, 1, 2, 2});
}

TEST("boot_check: an entry was chosen by something, and nothing where there is none") {
    for (uint32_t by = 0; by < 8; by++) {
        bool is_by = by >= SLIPWAY_CHOICE_BY_DEFAULT && by <= SLIPWAY_CHOICE_BY_TIMEOUT;
        EXPECT(is_by ? BOOT_CHECK_OK : BOOT_CHECK_FACTS, 0, b->info.choice.by = by);
        EXPECT(by == SLIPWAY_CHOICE_NONE ? BOOT_CHECK_OK : BOOT_CHECK_FACTS, 0,
               b->info.choice.entry.bytes = b->info.choice.entry.address = 0;
               b->info.choice.by = by);
    }
}

TEST("boot_check: the TPM's log has a format and lies in the block, or there are no events") {
    EXPECT_OK(b->info.tpm_log = (struct slipway_tpm_log){0});
    EXPECT_OK(b->info.tpm_log.truncated = 1);
    EXPECT_OK(b->info.tpm_log.bytes = b->info.tpm_log.address = 0);
    EXPECT_OK(b->info.tpm_log.format = SLIPWAY_TPM_LOG_SHA1);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tpm_log.format = SLIPWAY_TPM_LOG_AGILE + 1);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tpm_log.format = SLIPWAY_TPM_LOG_NONE);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tpm_log.truncated = 2);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tpm_log = (struct slipway_tpm_log){.truncated = 1});
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tpm_log.bytes = 0);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tpm_log.address = 0);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tpm_log.address = (uint64_t)(uintptr_t)b);
    uint64_t left;
    EXPECT_OK(left = (uint64_t)(uintptr_t)(b + 1) - b->info.tpm_log.address;
              b->info.tpm_log.bytes = left);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tpm_log.bytes = left + 1);
    EXPECT(BOOT_CHECK_FACTS, 0, b->info.tpm_log.bytes = UINT64_MAX);
}

TEST("boot_check: symbols, sections and names lie in their range, and symbols have names") {
#define SYMBOLS(result, change)                                                                    \
    EXPECT(result, 0, struct slipway_symbols *symbols = &b->info.symbols;                          \
           boot_block_add_symbols(b); change)
    SYMBOLS(BOOT_CHECK_OK, (void)symbols);
    SYMBOLS(BOOT_CHECK_OK, *symbols = (struct slipway_symbols){0});
    SYMBOLS(BOOT_CHECK_OK, symbols->sections = (struct slipway_array){0});
    SYMBOLS(BOOT_CHECK_OK, symbols->section_names = symbols->section_names_bytes = 0);
    SYMBOLS(BOOT_CHECK_OK, symbols->sections.stride = 72);
    SYMBOLS(BOOT_CHECK_OK, symbols->symbol_names_bytes = 0x1000 - BLOCK_SYMBOL_NAMES_OFFSET);
    SYMBOLS(BOOT_CHECK_SYMBOLS,
            symbols->symbol_names_bytes = 0x1000 - BLOCK_SYMBOL_NAMES_OFFSET + 1);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbol_names_bytes = UINT64_MAX);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbol_names_bytes = 0);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbol_names_bytes = symbols->symbol_names = 0);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbols = (struct slipway_array){0});
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbols.count = 0);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbols.stride = 16);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbols.stride = 28);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbols.count = UINT32_MAX);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbols.address += 1);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->symbols.address = (uint64_t)(uintptr_t)b);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->sections.stride = 56);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->sections.address -= 8);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->sections.count = 65);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->section_names = 0);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->section_names_bytes = 0);
    SYMBOLS(BOOT_CHECK_SYMBOLS, symbols->section_names = BLOCK_SYMBOLS);
    SYMBOLS(BOOT_CHECK_SYMBOLS,
            symbols->section_names_bytes = 0x1000 - BLOCK_SECTION_NAMES_OFFSET + 1);
    SYMBOLS(BOOT_CHECK_SYMBOLS, b->ranges[BLOCK_SYMBOLS_RANGE].purpose = SLIPWAY_RANGE_LOADER;
            (void)symbols);
#undef SYMBOLS
}

TEST("boot_check: the room for a report lies in its range, and the report in the room") {
#define CRASH(result, change)                                                                      \
    EXPECT(result, 0, boot_block_add_symbols(b); b->info.symbols = (struct slipway_symbols){0};    \
           b->ranges[BLOCK_SYMBOLS_RANGE].purpose = SLIPWAY_RANGE_CRASH;                           \
           b->info.crash_room = BLOCK_HHDM + BLOCK_SYMBOLS; b->info.crash_room_bytes = 0x1000;     \
           struct slipway_text *report = &b->info.crash_report;                                    \
           *report = (struct slipway_text){BLOCK_HHDM + BLOCK_SYMBOLS + 32, 100}; change)
    CRASH(BOOT_CHECK_OK, (void)report);
    CRASH(BOOT_CHECK_OK, *report = (struct slipway_text){0});
    CRASH(BOOT_CHECK_OK, report->bytes = 0x1000 - 33);
    CRASH(BOOT_CHECK_CRASH, report->bytes = 0x1000 - 32);
    CRASH(BOOT_CHECK_CRASH, report->bytes = UINT64_MAX);
    CRASH(BOOT_CHECK_CRASH, report->bytes = 0);
    CRASH(BOOT_CHECK_CRASH, report->address = 0);
    CRASH(BOOT_CHECK_CRASH, report->address = b->info.crash_room - 1);
    CRASH(BOOT_CHECK_CRASH, report->address = b->info.crash_room + 0x1000);
    CRASH(BOOT_CHECK_CRASH, b->info.crash_room = 0; (void)report);
    CRASH(BOOT_CHECK_CRASH, b->info.crash_room += 0x1000; report->address += 0x1000);
    CRASH(BOOT_CHECK_CRASH, b->info.crash_room += 8; (void)report);
    CRASH(BOOT_CHECK_CRASH, b->info.crash_room_bytes = 0; (void)report);
    CRASH(BOOT_CHECK_CRASH, b->info.crash_room = b->info.crash_room_bytes = 0; (void)report);
    CRASH(BOOT_CHECK_OK, b->info.crash_room = b->info.crash_room_bytes = 0;
          *report = (struct slipway_text){0});
    CRASH(BOOT_CHECK_CRASH, b->info.crash_room_bytes = 0x2000; (void)report);
    CRASH(BOOT_CHECK_CRASH, b->info.crash_room_bytes = UINT64_MAX; (void)report);
    CRASH(BOOT_CHECK_CRASH, b->ranges[BLOCK_SYMBOLS_RANGE].purpose = SLIPWAY_RANGE_LOADER;
          (void)report);
#undef CRASH
}

// No change of the block, however wild, may make the check read outside it, or never end.
TEST("boot_check: every word of the block, whatever it is changed to, is checked within bounds") {
    const uint64_t changes[] = {0,
                                1,
                                UINT64_MAX,
                                0x8000000080000000,
                                0x0000000100000001,
                                0x00000000ffffffff,
                                0xffffffff00000000};
    struct boot_block *block = malloc(sizeof(*block));
    uint64_t refused = 0;
    for (uint64_t at = 0; at < sizeof(*block); at += 8) {
        for (unsigned how = 0; how < 2 * sizeof(changes) / sizeof(changes[0]); how++) {
            boot_block_fill(block);
            uint64_t *word = (uint64_t *)block + at / 8;
            *word = how % 2 == 0 ? changes[how / 2] : *word ^ changes[how / 2];
            refused += boot_check_info(&block->info, NULL) != BOOT_CHECK_OK;
        }
    }
    free(block);
    assert_true(refused > 1000); // or the loop changes nothing
}

TEST("boot_check: every bit of the header, flipped, is checked within bounds") {
    struct boot_block *block = malloc(sizeof(*block));
    uint64_t refused = 0;
    for (uint64_t bit = 0; bit < 8 * sizeof(block->info); bit++) {
        boot_block_fill(block);
        ((uint8_t *)block)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused += boot_check_info(&block->info, NULL) != BOOT_CHECK_OK;
    }
    free(block);
    assert_true(refused > 1000);
}

TEST("boot_check: every result has words of its own") {
    for (unsigned i = 0; i <= BOOT_CHECK_CRASH; i++) {
        assert_non_null(boot_check_text((enum boot_check)i));
        for (unsigned other = 0; other < i; other++)
            assert_string_not_equal(boot_check_text((enum boot_check)i),
                                    boot_check_text((enum boot_check)other));
    }
    assert_string_equal(boot_check_text((enum boot_check)(BOOT_CHECK_CRASH + 1)), "unknown");
    assert_string_equal(boot_check_text((enum boot_check) - 1), "unknown");
}
