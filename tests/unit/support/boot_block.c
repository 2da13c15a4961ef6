#include "tests/unit/support/boot_block.h"

#include <string.h>

#define MIB_1 UINT64_C(0x100000)

static uint64_t address_of(const void *pointer) {
    return (uint64_t)(uintptr_t)pointer;
}

static void fill_mappings(struct slipway_mapping *mappings) {
    const struct slipway_mapping all[BLOCK_MAPS] = {
        [BLOCK_MAP_LOW] = {BLOCK_HHDM, 0, 0xa0000, SLIPWAY_RIGHT_WRITE, SLIPWAY_CACHE_WB,
                           SLIPWAY_MAP_DIRECT},
        [BLOCK_MAP_MAIN] = {BLOCK_HHDM + MIB_1, MIB_1, 31 * MIB_1, SLIPWAY_RIGHT_WRITE,
                            SLIPWAY_CACHE_WB, SLIPWAY_MAP_DIRECT},
        [BLOCK_MAP_ALIAS] = {BLOCK_HHDM + 32 * MIB_1, 32 * MIB_1, MIB_1, 0, SLIPWAY_CACHE_WB,
                             SLIPWAY_MAP_DIRECT},
        [BLOCK_MAP_HIGH] = {BLOCK_HHDM + 33 * MIB_1, 33 * MIB_1, 31 * MIB_1, SLIPWAY_RIGHT_WRITE,
                            SLIPWAY_CACHE_WB, SLIPWAY_MAP_DIRECT},
        [BLOCK_MAP_STACK] = {BLOCK_STACK, 34 * MIB_1, 0x4000, SLIPWAY_RIGHT_WRITE, SLIPWAY_CACHE_WB,
                             SLIPWAY_MAP_STACK},
        [BLOCK_MAP_FRAMEBUFFER] = {BLOCK_FRAME, 0x80000000, 4 * MIB_1, SLIPWAY_RIGHT_WRITE,
                                   SLIPWAY_CACHE_WC, SLIPWAY_MAP_FRAMEBUFFER},
        [BLOCK_MAP_LOADER] = {BLOCK_FRAME + 8 * MIB_1, 34 * MIB_1 + 0x8000, 0x8000,
                              SLIPWAY_RIGHT_EXECUTE, SLIPWAY_CACHE_WB, SLIPWAY_MAP_LOADER},
        [BLOCK_MAP_TEXT] = {BLOCK_IMAGE, 32 * MIB_1, MIB_1, SLIPWAY_RIGHT_EXECUTE, SLIPWAY_CACHE_WB,
                            SLIPWAY_MAP_KERNEL},
        [BLOCK_MAP_DATA] = {BLOCK_IMAGE + MIB_1, 33 * MIB_1, MIB_1, SLIPWAY_RIGHT_WRITE,
                            SLIPWAY_CACHE_WB, SLIPWAY_MAP_KERNEL},
    };
    memcpy(mappings, all, sizeof(all));
}

static void fill_memory(struct slipway_memory *memory) {
    const struct slipway_memory all[BLOCK_MEMS] = {
        [BLOCK_MEM_FIRST] = {0, 0x1000, SLIPWAY_MEM_RESERVED, 1},
        [BLOCK_MEM_LOW] = {0x1000, 0x9f000, SLIPWAY_MEM_USABLE, 1},
        [BLOCK_MEM_HOLE] = {0xa0000, 0x60000, SLIPWAY_MEM_RESERVED, 0},
        [BLOCK_MEM_MAIN] = {MIB_1, 31 * MIB_1, SLIPWAY_MEM_USABLE, 1},
        [BLOCK_MEM_KERNEL] = {32 * MIB_1, 2 * MIB_1, SLIPWAY_MEM_KERNEL, 1},
        [BLOCK_MEM_LOADER] = {34 * MIB_1, 2 * MIB_1, SLIPWAY_MEM_LOADER, 1},
        [BLOCK_MEM_MODULE] = {36 * MIB_1, 4 * MIB_1, SLIPWAY_MEM_MODULE, 1},
        [BLOCK_MEM_TABLES] = {40 * MIB_1, 24 * MIB_1, SLIPWAY_MEM_PAGE_TABLES, 1},
        [BLOCK_MEM_MMIO] = {0xfec00000, 0x1000, SLIPWAY_MEM_MMIO, 0},
    };
    memcpy(memory, all, sizeof(all));
}

static void fill_ranges(struct slipway_range *ranges) {
    const struct slipway_range all[BLOCK_RANGES] = {
        [BLOCK_RANGE_KERNEL] = {32 * MIB_1, 2 * MIB_1, SLIPWAY_RANGE_KERNEL, 0},
        [BLOCK_RANGE_STACK] = {34 * MIB_1, 0x4000, SLIPWAY_RANGE_STACK, 1},
        [BLOCK_RANGE_INFO] = {34 * MIB_1 + 0x4000, 0x4000, SLIPWAY_RANGE_BOOT_INFO, 1},
        [BLOCK_RANGE_LOADER] = {34 * MIB_1 + 0x8000, 0x8000, SLIPWAY_RANGE_LOADER, 1},
        [BLOCK_RANGE_CPUS] = {BLOCK_CPUS, 0x1000, SLIPWAY_RANGE_CPUS, 1},
        [BLOCK_RANGE_MODULE] = {36 * MIB_1, 4 * MIB_1, SLIPWAY_RANGE_MODULE, 1},
        [BLOCK_RANGE_TABLES] = {40 * MIB_1, 24 * MIB_1, SLIPWAY_RANGE_PAGE_TABLES, 0},
    };
    memcpy(ranges, all, sizeof(all));
}

static struct slipway_array array(const void *records, uint32_t count, uint64_t stride) {
    return (struct slipway_array){address_of(records), count, (uint32_t)stride};
}

static void fill_extras(struct boot_block *block) {
    const struct slipway_text text = {address_of(block->text), 4};
    for (unsigned i = 0; i < 2; i++)
        block->modules[i] = (struct slipway_module){.path = text,
                                                    .cmdline = text,
                                                    .address = BLOCK_HHDM + (36 + 2 * i) * MIB_1,
                                                    .bytes = 2 * MIB_1 - 1,
                                                    .digest_kind = SLIPWAY_DIGEST_SHA256};
    block->framebuffers[0] = (struct slipway_framebuffer){
        .address = BLOCK_FRAME + 16, // not page aligned
        .address_phys = 0x80000010,
        .bytes = 4 * MIB_1 - 16,
        .width = 1024,
        .height = 768,
        .pitch = 4096 + 64,
        .format = SLIPWAY_PIXEL_BGRX8888,
        .red_mask = 0xff0000,
        .green_mask = 0xff00,
        .blue_mask = 0xff,
        .edid = address_of(block->edid),
        .edid_bytes = sizeof(block->edid),
        .modes = array(block->modes, 3, sizeof(block->modes[0])),
        .mode = 1,
    };
    block->framebuffers[1] = block->framebuffers[0]; // another output of the same picture
    block->framebuffers[1].edid = block->framebuffers[1].edid_bytes = 0;
    for (uint32_t i = 0; i < 3; i++)
        block->modes[i] = (struct slipway_display_mode){
            .width = 512 * (i + 1),
            .height = 384 * (i + 1),
            .pitch = i == 1 ? 4096 + 64 : 2048 * (i + 1),
            .format = SLIPWAY_PIXEL_BGRX8888,
            .red_mask = 0xff0000,
            .green_mask = 0xff00,
            .blue_mask = 0xff,
        };
    block->stages[0] = (struct slipway_stage){"config", 100, 200, 10};
    block->stages[1] = (struct slipway_stage){"kernel", 200, 300, 20};
    // Two that happen to be neighbours.
    block->pieces[0] = (struct slipway_piece){BLOCK_IMAGE, 32 * MIB_1, MIB_1};
    block->pieces[1] = (struct slipway_piece){BLOCK_IMAGE + MIB_1, 33 * MIB_1, MIB_1};
    memcpy(block->text, "text", 5);
}

static void fill_header(struct boot_block *block) {
    const struct slipway_text text = {address_of(block->text), 4};
    block->info = (struct slipway_boot_info){
        .magic = SLIPWAY_BOOT_MAGIC,
        .version = SLIPWAY_BOOT_VERSION,
        .header_bytes = sizeof(block->info),
        .total_bytes = sizeof(*block),
        .loader_name = text,
        .loader_version = text,
        .hhdm_base = BLOCK_HHDM,
        .window_base = SLIPWAY_WINDOW_BASE,
        .hhdm_end = BLOCK_HHDM + 64 * MIB_1,
        .root_phys = 40 * MIB_1,
        .paging_levels = 4,
        .table_pages = 24 * 256,
        .mappings = array(block->mappings, BLOCK_MAPS, sizeof(block->mappings[0])),
        .memory = array(block->memory, BLOCK_MEMS, sizeof(block->memory[0])),
        .ranges = array(block->ranges, BLOCK_RANGES, sizeof(block->ranges[0])),
        .modules = array(block->modules, 2, sizeof(block->modules[0])),
        .framebuffers = array(block->framebuffers, 2, sizeof(block->framebuffers[0])),
        .stages = array(block->stages, 2, sizeof(block->stages[0])),
        .efi_map = address_of(block->efi_map),
        .efi_map_bytes = sizeof(block->efi_map),
        .efi_map_stride = 48,
        .efi_map_version = 1,
        .kernel_virt = BLOCK_IMAGE,
        .kernel_phys = 32 * MIB_1,
        .kernel_bytes = 2 * MIB_1,
        .kernel_entry = BLOCK_IMAGE + 0x10,
        .kernel_pieces = array(block->pieces, 2, sizeof(block->pieces[0])),
        .kernel_path = text,
        .cmdline = text,
        .stack_bottom = BLOCK_STACK,
        .stack_top = BLOCK_STACK + 0x4000,
        .stack_phys = 34 * MIB_1,
        .rsdp_phys = 35 * MIB_1 + 0x14,
        .rsdp = BLOCK_HHDM + 35 * MIB_1 + 0x14,
        .smbios_phys = 0xf0000, // in the hole: no direct map
        .efi_system_table_phys = 35 * MIB_1,
        .efi_system_table = BLOCK_HHDM + 35 * MIB_1,
        .exit_attempts = 1,
        .log = text,
        .tsc_hz = 1,
        .tsc_method = SLIPWAY_TSC_PM_TIMER,
        .volume_label = text,
        .loader_path = text,
        .choice = {text, SLIPWAY_CHOICE_BY_MENU, 1500},
        .tpm_log = {address_of(block->efi_map), 8, SLIPWAY_TPM_LOG_AGILE, 0},
        .cpus = {BLOCK_HHDM + BLOCK_CPUS, 2, sizeof(struct slipway_cpu)},
    };
}

void boot_block_fill(struct boot_block *block) {
    memset(block, 0, sizeof(*block));
    fill_mappings(block->mappings);
    fill_memory(block->memory);
    fill_ranges(block->ranges);
    fill_extras(block);
    fill_header(block);
}

void boot_block_fill_direct(struct boot_block *block) {
    const uint64_t below = 34 * MIB_1 + 0x10000, stack = below + 0x1000, above = stack + 0x4000;
    const uint64_t rest = above + 0x1000;
    const uint32_t write = SLIPWAY_RIGHT_WRITE;
    boot_block_fill(block);
    struct slipway_mapping *mappings = block->mappings;
    mappings[BLOCK_MAP_HIGH].bytes = below - 33 * MIB_1;
    mappings[BLOCK_DIRECT_MAP_STACK] = (struct slipway_mapping){
        BLOCK_HHDM + stack, stack, 0x4000, write, SLIPWAY_CACHE_WB, SLIPWAY_MAP_DIRECT};
    mappings[BLOCK_DIRECT_MAP_REST] = (struct slipway_mapping){
        BLOCK_HHDM + rest, rest, 64 * MIB_1 - rest, write, SLIPWAY_CACHE_WB, SLIPWAY_MAP_DIRECT};
    mappings[BLOCK_DIRECT_MAP_FRAMEBUFFER] = (struct slipway_mapping){
        BLOCK_HHDM + 0x80000000, 0x80000000, 4 * MIB_1, write, SLIPWAY_CACHE_WC,
        SLIPWAY_MAP_FRAMEBUFFER};
    for (unsigned i = 0; i < 2; i++)
        block->framebuffers[i].address = BLOCK_HHDM + 0x80000010;
    struct slipway_memory *memory = block->memory + BLOCK_MEM_LOADER;
    memory[0] = (struct slipway_memory){below, 0x1000, SLIPWAY_MEM_RESERVED, 0};
    memory[1] = (struct slipway_memory){stack, 0x4000, SLIPWAY_MEM_LOADER, 1};
    memory[2] = (struct slipway_memory){above, 0x1000, SLIPWAY_MEM_RESERVED, 0};
    block->info.memory.count = BLOCK_MEM_LOADER + 3;
    struct slipway_range *ranges = block->ranges;
    ranges[BLOCK_DIRECT_RANGE_BELOW] =
        (struct slipway_range){below, 0x1000, SLIPWAY_RANGE_GUARD, 0};
    ranges[BLOCK_DIRECT_RANGE_STACK] =
        (struct slipway_range){stack, 0x4000, SLIPWAY_RANGE_STACK, 1};
    ranges[BLOCK_DIRECT_RANGE_ABOVE] =
        (struct slipway_range){above, 0x1000, SLIPWAY_RANGE_GUARD, 0};
    block->info.stack_bottom = BLOCK_HHDM + stack;
    block->info.stack_top = BLOCK_HHDM + above;
    block->info.stack_phys = stack;
}

void boot_block_add_symbols(struct boot_block *block) {
    const uint64_t symbols = BLOCK_HHDM + BLOCK_SYMBOLS;
    struct slipway_range *range = &block->ranges[BLOCK_SYMBOLS_RANGE];
    memmove(range + 1, range, (BLOCK_RANGES - BLOCK_SYMBOLS_RANGE) * sizeof(*range));
    *range = (struct slipway_range){BLOCK_SYMBOLS, 0x1000, SLIPWAY_RANGE_SYMBOLS, 1};
    block->info.ranges.count++;
    block->info.symbols = (struct slipway_symbols){
        .sections = {symbols, 4, 64},
        .symbols = {symbols + BLOCK_SYMBOLS_OFFSET, 8, 24},
        .section_names = symbols + BLOCK_SECTION_NAMES_OFFSET,
        .section_names_bytes = 64,
        .symbol_names = symbols + BLOCK_SYMBOL_NAMES_OFFSET,
        .symbol_names_bytes = 100,
    };
}
