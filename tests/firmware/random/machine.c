// A machine at random: CPU, COM1, console, and the memory map, which may be as odd as it likes as
// long as the loader has room.
#include "tests/firmware/random/boot.h"

#include "common/memmap/memmap.h"

#define PAGES(bytes) ((bytes) / FRAME_BYTES)

static void make_cpu(struct boot *boot) {
    static const unsigned widths[] = {32, 33, 36, 39, 40, 42, 46, 48, 48, 52};
    fake.paging_levels = boot_chance(boot, 30) ? 5 : 4;
    fake.has_la57 = fake.paging_levels == 5 || boot_chance(boot, 50);
    fake.paddr_bits = widths[boot_below(boot, ARRAY_LEN(widths))];
    fake.has_1g = boot_chance(boot, 50);
    fake.has_cet = boot_chance(boot, 50);
    fake.has_pm_timer = boot_chance(boot, 80);
    boot_tell(boot, "%u levels%s, %u physical bits%s%s%s, ", fake.paging_levels,
              fake.has_la57 ? " of 5" : "", fake.paddr_bits, fake.has_1g ? ", 1 GiB pages" : "",
              fake.has_cet ? ", CET" : "", fake.has_pm_timer ? "" : ", no timer");
}

static void make_consoles(struct boot *boot) {
    fake.has_uart = boot_chance(boot, 85);
    fake.uart_is_stuck = boot_chance(boot, 5);
    fake.has_console = boot_chance(boot, 85);
    fake.console_is_com1 = fake.has_console && boot_chance(boot, 30);
    fake.has_keyboard = boot_chance(boot, 90);
    fake.keys_before = (uint32_t)boot_below(boot, 4);
    fake.key_at_stall = fake.has_keyboard ? (uint32_t)boot_below(boot, 10) : 0;
    fake.com1_busy = (uint32_t)boot_below(boot, 100);
    fake.com1_busy_a_byte = (uint32_t)boot_below(boot, 4);
    fake.com1_has_fifos = boot_chance(boot, 50);
    for (uint32_t i = 0; i < 8; i++) {
        bool is_plain = i == 1 || i == 3 || i == 4; // IER, LCR without its divisor bit, MCR
        fake.com1_registers[i] = is_plain ? (uint8_t)boot_below(boot, 0x20) : 0;
        boot->com1_registers[i] = fake.com1_registers[i];
    }
    for (uint32_t i = 0; i < 2; i++)
        boot->com1_divisor[i] = fake.com1_divisor[i] = (uint8_t)boot_below(boot, 256);
    boot_tell(boot, "%s, %s, ",
              !fake.has_uart       ? "no COM1"
              : fake.uart_is_stuck ? "COM1 is stuck"
                                   : "COM1",
              fake.has_console ? "console" : "no console");
}

static void make_firmware(struct boot *boot) {
    static const EFI_TPL levels[] = {TPL_APPLICATION, TPL_APPLICATION, TPL_CALLBACK, TPL_NOTIFY};
    fake.tpl = boot->tpl = levels[boot_below(boot, ARRAY_LEN(levels))];
    fake.stride = 40 + 8 * (boot_chance(boot, 80) ? boot_below(boot, 3) : boot_below(boot, 20));
    fake.probe_hides_stride = boot_chance(boot, 20);
    fake.map_order = boot_chance(boot, 50) ? random_next(&boot->random) : 0;
    fake.gives_page_0 = boot_chance(boot, 20) ? 1 + (uint32_t)boot_below(boot, 12) : 0;
    fake.ram_attributes = boot_chance(boot, 20) ? EFI_MEMORY_XP | EFI_MEMORY_UCE : 0;
    const uint64_t reserved = FAKE_ARENA_START + 0x80000;
    if (boot_chance(boot, 40)) { // the end of RAM and of reserved memory, too
        fake.smbios = reserved + 8 * boot_below(boot, 0x800) - 0x1000;
        fake.structures = reserved + 0x10000 + boot_below(boot, 0x10000);
        boot_tell(boot, "SMBIOS at 0x%lx and 0x%lx, ", fake.smbios, fake.structures);
    }
    boot_tell(boot, "TPL %lu, stride %lu%s%s, ", fake.tpl, fake.stride,
              fake.probe_hides_stride ? " not told" : "", fake.map_order != 0 ? ", shuffled" : "");
    if (fake.gives_page_0 != 0)
        boot_tell(boot, "allocation %u is page 0, ", fake.gives_page_0);
}

// ---- The memory map

static uint32_t random_type(struct boot *boot) {
    static const uint32_t ram[] = {1, 2, 3, 4, 5, 6, 7, 7, 7, 9, 10};
    static const uint32_t unknown[] = {16, 0x70000000, 0x80000001, UINT32_MAX};
    if (boot_chance(boot, 60))
        return ram[boot_below(boot, ARRAY_LEN(ram))];
    return boot_chance(boot, 80) ? (uint32_t)boot_below(boot, 16) : unknown[boot_below(boot, 4)];
}

static uint64_t random_attributes(struct boot *boot) {
    const uint64_t usual = EFI_MEMORY_UC | EFI_MEMORY_WC | EFI_MEMORY_WT | EFI_MEMORY_WB;
    const uint64_t odd[] = {0,
                            EFI_MEMORY_UC,
                            usual | EFI_MEMORY_RUNTIME,
                            usual | 0x40000, // SP
                            usual | EFI_MEMORY_XP | EFI_MEMORY_RP,
                            random_next(&boot->random)};
    return boot_chance(boot, 70) ? usual : odd[boot_below(boot, ARRAY_LEN(odd))];
}

static uint64_t random_address(struct boot *boot, uint64_t start, uint64_t bytes) {
    return start + boot_below(boot, PAGES(bytes)) * FRAME_BYTES;
}

// Where the loader holds nothing, and no display lies.
static EFI_MEMORY_DESCRIPTOR random_place(struct boot *boot, uint64_t last_end) {
    uint64_t pages = 1 + boot_below(boot, boot_chance(boot, 50) ? 4 : 2048);
    uint64_t high = UINT64_C(1) << (40 + boot_below(boot, 13));
    switch (boot_below(boot, 8)) {
    case 0:
        return (EFI_MEMORY_DESCRIPTOR){.PhysicalStart = random_address(boot, high, GIB(1)),
                                       .NumberOfPages = pages << boot_below(boot, 12)};
    case 1: // around the RAM below 1 MiB that is there
        if (boot_chance(boot, 50))
            return (EFI_MEMORY_DESCRIPTOR){
                .PhysicalStart = random_address(boot, FAKE_LOW_END, MIB(1) - FAKE_LOW_END),
                .NumberOfPages = 1 + boot_below(boot, 100)};
        pages = 1 + boot_below(boot, 100);
        return (EFI_MEMORY_DESCRIPTOR){
            .PhysicalStart = random_address(boot, 0, FAKE_LOW_START - (pages - 1) * FRAME_BYTES),
            .NumberOfPages = pages};
    case 2: // below the arena
        return (EFI_MEMORY_DESCRIPTOR){.PhysicalStart = random_address(boot, MIB(1), MIB(240)),
                                       .NumberOfPages = pages};
    case 3:
        return (EFI_MEMORY_DESCRIPTOR){.PhysicalStart =
                                           random_address(boot, FAKE_HIGH_PHYS, MIB(768)),
                                       .NumberOfPages = pages};
    case 4: // in pages of the arena that are free, and low enough to stay so
        return (EFI_MEMORY_DESCRIPTOR){
            .PhysicalStart = random_address(boot, FAKE_ARENA_START + 0x130000, 0x100000),
            .NumberOfPages = 1 + boot_below(boot, 0x80)};
    case 5: // ends nowhere, or holds nothing
        return (EFI_MEMORY_DESCRIPTOR){
            .PhysicalStart = UINT64_MAX - FRAME_BYTES * boot_below(boot, 100) + 1 - FRAME_BYTES,
            .NumberOfPages = boot_chance(boot, 50) ? 0 : UINT64_MAX >> boot_below(boot, 12)};
    case 6:
        return (EFI_MEMORY_DESCRIPTOR){.PhysicalStart = last_end, .NumberOfPages = pages};
    default:
        return (EFI_MEMORY_DESCRIPTOR){.PhysicalStart = random_address(boot, GIB(8), GIB(48)),
                                       .NumberOfPages = pages};
    }
}

static void add_descriptors(struct boot *boot, uint64_t count) {
    uint64_t last_end = GIB(7);
    for (uint64_t i = 0; i < count; i++) {
        EFI_MEMORY_DESCRIPTOR descriptor = random_place(boot, last_end);
        descriptor.Type = random_type(boot);
        descriptor.Attribute = random_attributes(boot);
        if (boot_chance(boot, 10))
            descriptor.PhysicalStart += boot_below(boot, FRAME_BYTES);
        uint64_t end = descriptor.PhysicalStart + descriptor.NumberOfPages * FRAME_BYTES;
        bool is_far = descriptor.PhysicalStart >= GIB(7) && end > descriptor.PhysicalStart;
        if (is_far && end < UINT64_C(1) << 51)
            last_end = end;
        fake_add_descriptor(&descriptor);
        if (end > boot->ram_end && end > descriptor.PhysicalStart)
            boot->ram_end = end;
    }
}

static void retype_low_pages(struct boot *boot) {
    for (uint64_t left = boot_below(boot, 8); left != 0; left--) {
        uint64_t start = random_address(boot, FAKE_ARENA_START + 0x130000, 0x1a0000);
        EFI_MEMORY_TYPE type = (EFI_MEMORY_TYPE)boot_below(boot, 15);
        fake_set_memory(start, FRAME_BYTES * (1 + boot_below(boot, 30)), type);
    }
}

static void make_memory(struct boot *boot) {
    static const uint64_t bounds[] = {1, 5, 5, 5, 12, 12, 30, 30, 100, 300};
    uint64_t limit = min_u64(SLIPWAY_HHDM_MAX_BYTES, UINT64_C(1) << fake.paddr_bits);
    uint64_t count = boot_below(boot, bounds[boot_below(boot, ARRAY_LEN(bounds))]);
    boot->ram_end = MIB(1) << 20;
    add_descriptors(boot, count);
    boot->ram_end = min_u64(boot->ram_end, limit);
    boot->pages -= 2 * count;
    if (boot_chance(boot, 30))
        retype_low_pages(boot);
    boot_tell(boot, "%lu odd descriptors; ", count);
}

void boot_make_machine(struct boot *boot) {
    make_cpu(boot);
    make_consoles(boot);
    make_firmware(boot);
    make_memory(boot);
    fake.time.Second = (uint8_t)boot_below(boot, 60);
}
