// SLIPWAY_NOTE_SYMBOLS, and wishes that no PT_NOTE lists: what is read of the kernel's file for
// them, and what the kernel finds.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "tests/firmware/setup.h"
#include "tests/unit/support/elf_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    SECTIONS_AT = 0x7000,
    SYMBOLS_AT = 0x5000, // 100 of them
    SYMBOLS_BYTES = 2400,
    NAMES_AT = 0x6000,
    NAMES_BYTES = 1001,
    SECTION_NAMES_AT = 0x6800,
    SECTION_NAMES_BYTES = 33,
    SECTIONS = 4,
};

static uint32_t read_count;

static void count_read([[maybe_unused]] uint64_t bytes) {
    read_count++;
}

// A kernel with symbols, and with these flags in its note, unless they are 0.
static void set_up(uint32_t flags) {
    const struct elf64_shdr sections[] = {
        {.type = ELF_SHT_SYMTAB,
         .offset = SYMBOLS_AT,
         .bytes = SYMBOLS_BYTES,
         .link = 2,
         .entry_bytes = 24},
        {.type = ELF_SHT_STRTAB, .offset = NAMES_AT, .bytes = NAMES_BYTES},
        {.type = ELF_SHT_STRTAB, .offset = SECTION_NAMES_AT, .bytes = SECTION_NAMES_BYTES},
    };
    setup_boot(NULL);
    if (flags != 0)
        setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION, .flags = flags});
    for (uint64_t i = 0; i < ARRAY_LEN(sections); i++)
        elf_parts_add_section(&setup_kernel, SECTIONS_AT, sections[i]);
    setup_kernel.header.names_index = 3;
    ((uint8_t *)&setup_kernel)[NAMES_AT + NAMES_BYTES - 1] = 0;
    ((uint8_t *)&setup_kernel)[SECTION_NAMES_AT + SECTION_NAMES_BYTES - 1] = 0;
    read_count = 0;
    fake.in_read = count_read;
}

static struct elf64_shdr *section(uint32_t index) {
    struct elf64_shdr *sections = (void *)((char *)&setup_kernel + SECTIONS_AT);
    return &sections[index];
}

static const struct slipway_symbols *boot(const struct slipway_boot_info **ret_info) {
    fake_boot();
    *ret_info = setup_expect_kernel();
    return &(*ret_info)->symbols;
}

static void expect_part(const struct slipway_boot_info *info, uint64_t address, uint64_t bytes,
                        uint64_t file_offset) {
    const struct slipway_range *range = setup_find_range(info, SLIPWAY_RANGE_SYMBOLS, 0);
    uint64_t phys = address - info->hhdm_base;
    assert_non_null(range);
    assert_true(phys >= range->start_phys && bytes <= range->bytes &&
                phys - range->start_phys <= range->bytes - bytes);
    assert_memory_equal((const void *)(uintptr_t)phys, (const char *)&setup_kernel + file_offset,
                        bytes);
}

static void expect_sections(const struct slipway_boot_info *info) {
    const struct slipway_symbols *symbols = &info->symbols;
    assert_int_equal(symbols->sections.count, SECTIONS);
    assert_int_equal(symbols->sections.stride, ELF_SECTION_BYTES);
    expect_part(info, symbols->sections.address, SECTIONS * ELF_SECTION_BYTES, SECTIONS_AT);
}

static void expect_no_symbols(const struct slipway_boot_info *info) {
    const struct slipway_symbols *symbols = &info->symbols;
    assert_int_equal(symbols->symbols.count, 0);
    assert_int_equal(symbols->symbols.address, 0);
    assert_int_equal(symbols->symbol_names, 0);
    assert_int_equal(symbols->symbol_names_bytes, 0);
}

static void expect_nothing(const struct slipway_boot_info *info) {
    expect_no_symbols(info);
    assert_int_equal(info->symbols.sections.count, 0);
    assert_int_equal(info->symbols.sections.address, 0);
    assert_int_equal(info->symbols.section_names, 0);
    assert_int_equal(info->symbols.section_names_bytes, 0);
    assert_null(setup_find_range(info, SLIPWAY_RANGE_SYMBOLS, 0));
}

TEST("symbols: a kernel that asks for them finds them as they stand in its file") {
    const struct slipway_boot_info *info;
    set_up(SLIPWAY_NOTE_SYMBOLS);
    const struct slipway_symbols *symbols = boot(&info);
    expect_sections(info);
    assert_int_equal(symbols->section_names_bytes, SECTION_NAMES_BYTES);
    expect_part(info, symbols->section_names, SECTION_NAMES_BYTES, SECTION_NAMES_AT);
    assert_int_equal(symbols->symbols.count, SYMBOLS_BYTES / ELF_SYMBOL_BYTES);
    assert_int_equal(symbols->symbols.stride, ELF_SYMBOL_BYTES);
    expect_part(info, symbols->symbols.address, SYMBOLS_BYTES, SYMBOLS_AT);
    assert_int_equal(symbols->symbol_names_bytes, NAMES_BYTES);
    expect_part(info, symbols->symbol_names, NAMES_BYTES, NAMES_AT);
    assert_int_equal(setup_find_range(info, SLIPWAY_RANGE_SYMBOLS, 0)->bytes, FRAME_BYTES);
    assert_null(setup_find_range(info, SLIPWAY_RANGE_SYMBOLS, 1));
    assert_null(strstr(setup_log(), "symbols"));
}

TEST("symbols: a kernel that does not ask for them costs no read and no page") {
    const struct slipway_boot_info *info;
    set_up(SLIPWAY_NOTE_KEEP_SCREEN);
    boot(&info);
    expect_nothing(info);
    uint32_t reads = read_count, allocations = fake.allocations;
    set_up(SLIPWAY_NOTE_SYMBOLS);
    boot(&info);
    assert_int_equal(fake.allocations, allocations + 1);
    assert_int_equal(read_count, reads + 5); // the headers, and the four parts
}

TEST("symbols: a kernel that has been stripped boots without them, and the log says so") {
    const struct slipway_boot_info *info;
    set_up(SLIPWAY_NOTE_SYMBOLS);
    setup_kernel.header.shdrs_offset = 0;
    boot(&info);
    expect_nothing(info);
    setup_expect_logged(
        "\\kernel.elf: has no section headers and symbols, which its note asks for");
    set_up(SLIPWAY_NOTE_SYMBOLS);
    section(1)->type = ELF_SHT_NOTE;
    boot(&info);
    expect_sections(info);
    expect_no_symbols(info);
    assert_int_equal(info->symbols.section_names_bytes, SECTION_NAMES_BYTES);
    setup_expect_logged("\\kernel.elf: has no symbols, which its note asks for");
}

TEST("symbols: names without a NUL at their end are none, and symbols without names neither") {
    const struct slipway_boot_info *info;
    set_up(SLIPWAY_NOTE_SYMBOLS);
    ((uint8_t *)&setup_kernel)[NAMES_AT + NAMES_BYTES - 1] = 'x';
    boot(&info);
    expect_sections(info);
    expect_no_symbols(info);
    assert_int_equal(info->symbols.section_names_bytes, SECTION_NAMES_BYTES);
    setup_expect_logged("\\kernel.elf: has no symbols, which its note asks for");
    set_up(SLIPWAY_NOTE_SYMBOLS);
    ((uint8_t *)&setup_kernel)[SECTION_NAMES_AT + SECTION_NAMES_BYTES - 1] = 'x';
    boot(&info);
    assert_int_equal(info->symbols.section_names, 0);
    assert_int_equal(info->symbols.section_names_bytes, 0);
    assert_int_equal(info->symbols.symbol_names_bytes, NAMES_BYTES);
}

TEST("symbols: where there is no room for them the boot ends, with their size") {
    set_up(SLIPWAY_NOTE_SYMBOLS);
    section(2)->bytes = MIB(64);
    setup_file("\\kernel.elf")->bytes = MIB(65);
    fake_boot();
    setup_expect_failure("\\kernel.elf: no room for 67111560 bytes of symbols (out of memory)");
}

TEST("symbols: with a digest they come from the bytes that were checked") {
    const struct slipway_boot_info *info;
    set_up(SLIPWAY_NOTE_SYMBOLS);
    fake_add_file("\\slipway.conf", "digest = sha256\n", 16);
    const struct slipway_symbols *symbols = boot(&info);
    expect_part(info, symbols->symbol_names, NAMES_BYTES, NAMES_AT);
}

// ---- Wishes that no PT_NOTE lists

static void put_note(uint64_t at) {
    const struct slipway_note note = {8,
                                      sizeof(struct slipway_note_wishes),
                                      SLIPWAY_NOTE_TYPE,
                                      "Slipway",
                                      {.version = SLIPWAY_BOOT_VERSION, .stack_bytes = KIB(128)}};
    memcpy((char *)&setup_kernel + at, &note, sizeof(note));
}

static void expect_stack(uint64_t bytes, uint32_t reads) {
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->stack_top - info->stack_bottom, bytes);
    assert_int_equal(read_count, reads);
}

TEST("wishes: a section that is a note is read only if it lies in no segment") {
    const uint64_t places[] = {0x2000, 0x7800};
    for (uint64_t i = 0; i < ARRAY_LEN(places); i++) {
        set_up(0);
        put_note(places[i]);
        elf_parts_add_section(&setup_kernel, SECTIONS_AT,
                              (struct elf64_shdr){.type = ELF_SHT_NOTE,
                                                  .offset = places[i],
                                                  .bytes = sizeof(struct slipway_note)});
        expect_stack(KIB(128),
                     3 + (uint32_t)i); // the head, the segments, the section headers
    }
}

TEST("wishes: without section headers they are found in the image, without a read") {
    set_up(0);
    setup_kernel.header.shdrs_offset = 0;
    put_note(0x3104);
    expect_stack(KIB(128), 2);
    set_up(0);
    setup_kernel.header.shdrs_offset = 0;
    put_note(0x3106);
    expect_stack(KIB(64), 2);
}

TEST("wishes: section headers of more than 4 KiB are read to pages, which are given back") {
    set_up(0);
    fake_boot();
    setup_expect_kernel();
    uint64_t pages = fake_allocated_pages();
    uint32_t allocations = fake.allocations;
    for (uint32_t count = 64; count <= 65; count++) {
        set_up(0);
        // Headers of anything, of which none is of a note.
        setup_kernel.header.shdrs_offset = 0x6000;
        setup_kernel.header.shdr_count = (uint16_t)count;
        memset((char *)&setup_kernel + 0x6000, 0, 0x2000);
        fake_boot();
        setup_expect_kernel();
        assert_int_equal(fake.allocations, allocations + (count == 65));
        assert_int_equal(fake_allocated_pages(), pages);
    }
}

TEST("wishes: the kernel of another protocol boots with a note, wherever that is") {
    static const uint64_t limine[] = {UINT64_C(0xc7b1dd30df4c8b88), UINT64_C(0x0a82e883a194f07b)};
    static const char config[] = "protocol = slipway\n";
    set_up(0);
    fake_add_file("\\slipway.conf", config, sizeof(config) - 1);
    memcpy((char *)&setup_kernel + 0x3000, limine, sizeof(limine));
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: no SLIPWAY_KERNEL_NOTE; made for the Limine protocol (its magic is at offset 0x3000): protocol = limine boots such kernels");
    set_up(0);
    memcpy((char *)&setup_kernel + 0x3000, limine, sizeof(limine));
    put_note(0x4000);
    expect_stack(KIB(128), 3);
}
