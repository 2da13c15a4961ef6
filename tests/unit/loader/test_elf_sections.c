// Section headers, and the symbols that they lead to: what is in order is found, anything else is
// as if there were none.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/elf_parts.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum {
    SECTIONS_AT = 0x6000,
    SYMBOLS_AT = 0x5000, // three
    NAMES_AT = 0x5100,
    SECTION_NAMES_AT = 0x5200,
    SYMTAB = 1, // sections
    STRTAB = 2,
    SHSTRTAB = 3,
};

static struct elf_file make(void) {
    const struct elf64_shdr sections[] = {
        {.type = ELF_SHT_SYMTAB, .offset = SYMBOLS_AT, .bytes = 72, .link = 2, .entry_bytes = 24},
        {.type = ELF_SHT_STRTAB, .offset = NAMES_AT, .bytes = 33},
        {.type = ELF_SHT_STRTAB, .offset = SECTION_NAMES_AT, .bytes = 17},
    };
    struct elf_file file = elf_file_make();
    for (uint64_t i = 0; i < ARRAY_LEN(sections); i++)
        elf_parts_add_section(&file, SECTIONS_AT, sections[i]);
    file.header.names_index = SHSTRTAB;
    return file;
}

static struct elf64_shdr *section(struct elf_file *file, uint32_t index) {
    struct elf64_shdr *sections = (void *)((uint8_t *)file + SECTIONS_AT);
    return &sections[index];
}

static struct elf_symbols find(const struct elf_file *file) {
    struct elf_parts parts;
    struct elf_symbols symbols;
    struct elf_error error;
    elf_parts_begin(&parts, file, 0);
    assert_int_equal(elf_find_symbols(&parts.header, &parts.reader, &symbols, &error), ELF_OK);
    elf_parts_end(&parts);
    return symbols;
}

static struct elf_sections find_sections(const struct elf_file *file) {
    struct elf_parts parts;
    struct elf_sections sections;
    struct elf_error error;
    elf_parts_begin(&parts, file, 0);
    assert_int_equal(elf_find_sections(&parts.header, &parts.reader, &sections, &error), ELF_OK);
    elf_parts_end(&parts);
    return sections;
}

static void expect_range(struct elf_range range, uint64_t offset, uint64_t bytes) {
    assert_int_equal(range.file_offset, offset);
    assert_int_equal(range.bytes, bytes);
}

static const struct elf_symbols nothing;

static void expect_nothing(const struct elf_file *file) {
    struct elf_symbols symbols = find(file);
    struct elf_sections sections = find_sections(file);
    assert_memory_equal(&symbols, &nothing, sizeof(symbols));
    assert_int_equal(sections.count, 0);
    assert_int_equal(sections.names_index, 0);
    expect_range(sections.headers, 0, 0);
}

static void expect_no_symbols(const struct elf_file *file) {
    struct elf_symbols symbols = find(file);
    expect_range(symbols.sections, SECTIONS_AT, 4 * ELF_SECTION_BYTES);
    expect_range(symbols.section_names, SECTION_NAMES_AT, 17);
    expect_range(symbols.symbols, 0, 0);
    expect_range(symbols.symbol_names, 0, 0);
}

TEST("elf sections: headers, symbols and their names are found") {
    struct elf_file file = make();
    struct elf_symbols symbols = find(&file);
    expect_range(symbols.sections, SECTIONS_AT, 4 * ELF_SECTION_BYTES);
    expect_range(symbols.section_names, SECTION_NAMES_AT, 17);
    expect_range(symbols.symbols, SYMBOLS_AT, 72);
    expect_range(symbols.symbol_names, NAMES_AT, 33);
}

TEST("elf sections: without headers, or with some that are not in order, there are none") {
    struct elf_file file = elf_file_make();
    expect_nothing(&file);
    const uint64_t offsets[] = {0, 0x8000 - 4 * ELF_SECTION_BYTES + 1, 0x8000, UINT64_MAX};
    for (uint64_t i = 0; i < ARRAY_LEN(offsets); i++) {
        file = make();
        file.header.shdrs_offset = offsets[i];
        expect_nothing(&file);
    }
    const uint16_t sizes[] = {0, 63, 65, 128, UINT16_MAX};
    for (uint64_t i = 0; i < ARRAY_LEN(sizes); i++) {
        file = make();
        file.header.shdr_bytes = sizes[i];
        expect_nothing(&file);
    }
    file = make();
    file.header.shdr_count = 0x2000 / ELF_SECTION_BYTES + 1;
    expect_nothing(&file);
    file.header.shdr_count--; // to the file's end
    assert_int_equal(find_sections(&file).count, 0x2000 / ELF_SECTION_BYTES);
}

TEST("elf sections: a number that the header has no room for stands in the first of them") {
    struct elf_file file = make();
    file.header.shdr_count = 0;
    section(&file, 0)->bytes = 4;
    section(&file, 0)->link = STRTAB;
    struct elf_sections sections = find_sections(&file);
    assert_int_equal(sections.count, 4);
    assert_int_equal(sections.names_index, SHSTRTAB);
    file.header.names_index = ELF_SHN_XINDEX;
    assert_int_equal(find_sections(&file).names_index, STRTAB);
    file.header.shdr_count = 4;
    section(&file, 0)->bytes = 3; // which does not count then
    assert_int_equal(find_sections(&file).count, 4);
    assert_int_equal(find_sections(&file).names_index, STRTAB);
    section(&file, 0)->link = 4;
    assert_int_equal(find_sections(&file).names_index, 0);
    const uint64_t counts[] = {
        0, 129, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX, UINT64_C(1) << 58 | 4};
    file.header.shdr_count = 0;
    for (uint64_t i = 0; i < ARRAY_LEN(counts); i++) {
        section(&file, 0)->bytes = counts[i];
        expect_nothing(&file);
    }
    section(&file, 0)->bytes = 128; // to the file's end
    assert_int_equal(find_sections(&file).count, 128);
}

static const void *read_first(void *context, uint64_t offset, uint64_t bytes, const char *what) {
    assert_int_equal(offset, sizeof(struct elf64_header));
    assert_int_equal(bytes, ELF_SECTION_BYTES);
    assert_non_null(what);
    return context;
}

TEST("elf sections: 2^32 - 1 are the most that there are, in however large a file") {
    for (uint64_t more = 0; more < 2; more++) {
        struct elf64_shdr first = {.bytes = UINT32_MAX + more};
        const struct elf_header_view header = {.shdrs_offset = sizeof(struct elf64_header),
                                               .shdr_bytes = ELF_SECTION_BYTES};
        const struct elf_reader reader = {read_first, &first, UINT64_MAX};
        struct elf_sections sections;
        struct elf_error error;
        assert_int_equal(elf_find_sections(&header, &reader, &sections, &error), ELF_OK);
        assert_int_equal(sections.count, more == 0 ? UINT32_MAX : 0);
    }
}

TEST("elf sections: names of sections are those of the section that the header names") {
    struct elf_file file = make();
    const uint16_t indices[] = {0, SYMTAB, 4, 0xfffe};
    for (uint64_t i = 0; i < ARRAY_LEN(indices); i++) {
        file.header.names_index = indices[i];
        struct elf_symbols symbols = find(&file);
        expect_range(symbols.section_names, 0, 0);
        expect_range(symbols.symbols, SYMBOLS_AT, 72);
    }
}

TEST("elf sections: symbols of another size, outside of the file or without names are none") {
    const struct elf64_shdr wrong[] = {
        {.type = 11, .offset = SYMBOLS_AT, .bytes = 72, .link = 2, .entry_bytes = 24}, // SHT_DYNSYM
        {.type = ELF_SHT_SYMTAB, .offset = SYMBOLS_AT, .bytes = 0, .link = 2, .entry_bytes = 24},
        {.type = ELF_SHT_SYMTAB, .offset = SYMBOLS_AT, .bytes = 71, .link = 2, .entry_bytes = 24},
        {.type = ELF_SHT_SYMTAB, .offset = SYMBOLS_AT, .bytes = 72, .link = 2, .entry_bytes = 0},
        {.type = ELF_SHT_SYMTAB, .offset = SYMBOLS_AT, .bytes = 72, .link = 2, .entry_bytes = 36},
        {.type = ELF_SHT_SYMTAB, .offset = SYMBOLS_AT, .bytes = 72, .link = 1, .entry_bytes = 24},
        {.type = ELF_SHT_SYMTAB, .offset = SYMBOLS_AT, .bytes = 72, .link = 4, .entry_bytes = 24},
        {.type = ELF_SHT_SYMTAB, .offset = 0x8000 - 71, .bytes = 72, .link = 2, .entry_bytes = 24},
        {.type = ELF_SHT_SYMTAB,
         .offset = SYMBOLS_AT,
         .bytes = UINT64_MAX - 15,
         .link = 2,
         .entry_bytes = 24},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct elf_file file = make();
        *section(&file, SYMTAB) = wrong[i];
        expect_no_symbols(&file);
    }
    struct elf_file file = make();
    section(&file, STRTAB)->bytes = 0x8000 - NAMES_AT + 1;
    expect_no_symbols(&file);
    section(&file, STRTAB)->bytes--;
    expect_range(find(&file).symbol_names, NAMES_AT, 0x8000 - NAMES_AT);
}

TEST("elf sections: of two tables of symbols the first that is in order counts") {
    struct elf_file file = make();
    struct elf64_shdr second = *section(&file, SYMTAB);
    second.offset = SYMBOLS_AT + 24;
    second.bytes = 48;
    elf_parts_add_section(&file, SECTIONS_AT, second);
    expect_range(find(&file).symbols, SYMBOLS_AT, 72);
    section(&file, SYMTAB)->bytes = 71;
    expect_range(find(&file).symbols, SYMBOLS_AT + 24, 48);
    *section(&file, 0) = second; // where there should be none
    section(&file, 0)->bytes = 24;
    expect_range(find(&file).symbols, SYMBOLS_AT + 24, 24);
}

TEST("elf sections: whichever read fails, the result is untouched") {
    for (uint64_t failing = 1; failing <= 3; failing++) {
        struct elf_parts parts;
        struct elf_symbols symbols, before;
        struct elf_error error = {0};
        struct elf_file file = make();
        file.header.shdr_count = 0;
        section(&file, 0)->bytes = 4;
        memset(&symbols, 0xa5, sizeof(symbols));
        before = symbols;
        elf_parts_begin(&parts, &file, 0);
        parts.reads.fail_at = failing;
        enum elf_status status = elf_find_symbols(&parts.header, &parts.reader, &symbols, &error);
        if (failing <= 2) {
            assert_int_equal(status, ELF_ERR_READ);
            assert_int_equal(error.a, SECTIONS_AT);
            assert_int_equal(error.b, ELF_SECTION_BYTES * (failing == 1 ? 1 : 4));
            assert_memory_equal(&symbols, &before, sizeof(symbols));
        } else {
            assert_int_equal(status, ELF_OK);
            assert_int_equal(parts.reads.count, 2);
        }
        elf_parts_end(&parts);
    }
}
