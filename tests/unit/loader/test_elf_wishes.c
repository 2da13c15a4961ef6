// Where the kernel's wishes are found: in a PT_NOTE, in a section that is a note, in the image; in
// this order, and nowhere else. And the section headers that lead to them.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/elf_parts.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum {
    TEXT_AT = 0x1000,   // of the file; 0x800 bytes
    RODATA_AT = 0x2000, // of the file; 0x400 bytes
    DATA_AT = 0x3000,   // 0x1800 bytes
    BEYOND_AT = 0x7000, // in no segment
    SECTIONS_AT = 0x6000,
};

static void put_note(struct elf_file *file, uint64_t at, uint64_t stack_bytes) {
    const struct slipway_note note = {
        8,
        sizeof(struct slipway_note_wishes),
        SLIPWAY_NOTE_TYPE,
        "Slipway",
        {.version = SLIPWAY_BOOT_VERSION, .stack_bytes = stack_bytes}};
    memcpy((uint8_t *)file + at, &note, sizeof(note));
}

static void list_note(struct elf_file *file, uint64_t at) {
    elf_file_add(file, ELF_PT_NOTE, at, ELF_FILE_BASE, sizeof(struct slipway_note));
}

static void add_section_of_note(struct elf_file *file, uint64_t at, uint64_t bytes) {
    elf_parts_add_section(file, SECTIONS_AT,
                          (struct elf64_shdr){.type = ELF_SHT_NOTE, .offset = at, .bytes = bytes});
}

// What was found: the stack that the wishes ask for, 0 without wishes. The image stands in pieces
// of `piece_bytes`, far from each other; 0: in one.
static uint64_t find_in_pieces(const struct elf_file *file, uint64_t piece_bytes,
                               struct elf_parts_reads *ret_reads) {
    struct elf_parts parts;
    struct slipway_note_wishes wishes = {0};
    struct elf_error error;
    bool found = false;
    elf_parts_begin(&parts, file, piece_bytes);
    enum elf_status status = elf_find_wishes(&parts.header, &parts.image, &parts.memory,
                                             &parts.reader, &wishes, &found, &error);
    assert_int_equal(status, ELF_OK);
    assert_int_equal(found, wishes.version == SLIPWAY_BOOT_VERSION);
    if (ret_reads != NULL)
        *ret_reads = parts.reads;
    elf_parts_end(&parts);
    return wishes.stack_bytes;
}

static uint64_t find(const struct elf_file *file) {
    return find_in_pieces(file, 0, NULL);
}

// In these words, unless `text` is null.
static void refuse(const struct elf_file *file, enum elf_status want, const char *text) {
    struct elf_parts parts;
    struct slipway_note_wishes wishes = {0};
    struct elf_error error;
    bool found = false;
    elf_parts_begin(&parts, file, 0);
    enum elf_status status = elf_find_wishes(&parts.header, &parts.image, &parts.memory,
                                             &parts.reader, &wishes, &found, &error);
    assert_int_equal(status, want);
    if (text != NULL)
        elf_file_expect_text(&error, text);
    elf_parts_end(&parts);
}

TEST("elf wishes: a PT_NOTE goes before a section, a section before the image") {
    struct elf_parts_reads reads;
    struct elf_file file = elf_file_make();
    put_note(&file, DATA_AT + 0x100, 0x1000);
    assert_int_equal(find_in_pieces(&file, 0, &reads), 0x1000);
    assert_int_equal(reads.count, 0); // there are no section headers
    put_note(&file, BEYOND_AT, 0x2000);
    add_section_of_note(&file, BEYOND_AT, sizeof(struct slipway_note));
    assert_int_equal(find_in_pieces(&file, 0, &reads), 0x2000);
    assert_int_equal(reads.count, 2); // the headers, and the section
    put_note(&file, RODATA_AT + 0x100, 0x3000);
    list_note(&file, RODATA_AT + 0x100);
    assert_int_equal(find_in_pieces(&file, 0, &reads), 0x3000);
    assert_int_equal(reads.count, 0);
}

TEST(
    "elf wishes: a listed note is read where it lies in one piece of any segment, else once more") {
    struct elf_parts_reads reads;
    struct elf_file file = elf_file_make();
    put_note(&file, TEXT_AT + 0x100, 0x1000);
    list_note(&file, TEXT_AT + 0x100);
    assert_int_equal(find_in_pieces(&file, 0, &reads), 0x1000);
    assert_int_equal(reads.count, 0);
    for (uint64_t at = DATA_AT + 0xfc0; at <= DATA_AT + 0x1000; at += 4) {
        file = elf_file_make();
        put_note(&file, at, 0x1000);
        list_note(&file, at);
        bool is_cut = at > DATA_AT + 0x1000 - sizeof(struct slipway_note) && at < DATA_AT + 0x1000;
        assert_int_equal(find_in_pieces(&file, 0x1000, &reads), 0x1000);
        assert_int_equal(reads.count, is_cut);
    }
}

TEST("elf wishes: what stands behind the list of segments is not looked at") {
    struct elf_parts parts;
    struct slipway_note_wishes wishes = {0};
    struct elf_error error;
    bool found = false;
    struct elf_file file = elf_file_make();
    put_note(&file, BEYOND_AT, 0x1000);
    list_note(&file, BEYOND_AT); // so the list has room for one segment more
    elf_parts_begin(&parts, &file, 0);
    parts.image.segments[parts.image.segment_count] =
        (struct elf_segment){.virt = parts.image.virt_start,
                             .file_offset = BEYOND_AT,
                             .file_bytes = 0x100,
                             .mem_bytes = 0x100};
    assert_int_equal(elf_find_wishes(&parts.header, &parts.image, &parts.memory, &parts.reader,
                                     &wishes, &found, &error),
                     ELF_OK);
    assert_int_equal(wishes.stack_bytes, 0x1000);
    assert_int_equal(parts.reads.count, 1);
    elf_parts_end(&parts);
}

TEST("elf wishes: without any nothing is found, and one read of section headers has told so") {
    struct elf_parts_reads reads;
    struct elf_file file = elf_file_make();
    assert_int_equal(find_in_pieces(&file, 0, &reads), 0);
    assert_int_equal(reads.count, 0);
    add_section_of_note(&file, RODATA_AT, 0x40);
    put_note(&file, BEYOND_AT, 0x1000);
    list_note(&file, RODATA_AT + 0x100);
    assert_int_equal(find_in_pieces(&file, 0, &reads), 0);
    assert_int_equal(reads.count, 1);
    assert_int_equal(reads.last.file_offset, SECTIONS_AT);
    assert_int_equal(reads.last.bytes, ELF_SECTION_BYTES * 2);
}

TEST("elf wishes: a note that ends a segment or lies in no piece alone is read where it is") {
    struct elf_parts_reads reads;
    for (uint64_t at = 0x2fc0; at <= 0x3000; at += 4) {
        struct elf_file file = elf_file_make();
        file.phdrs[ELF_FILE_RODATA].file_bytes = file.phdrs[ELF_FILE_RODATA].mem_bytes = 0x1000;
        put_note(&file, at, 0x1000);
        list_note(&file, at);
        bool is_cut = at > 0x3000 - sizeof(struct slipway_note) && at < 0x3000;
        assert_int_equal(find_in_pieces(&file, 0, &reads), 0x1000);
        assert_int_equal(reads.count, is_cut);
        assert_int_equal(find_in_pieces(&file, 0x20, &reads), 0x1000);
        assert_int_equal(reads.count, 1);
    }
}

TEST(
    "elf wishes: notes in sections are looked at wherever they lie, the headers read again after") {
    struct elf_parts_reads reads;
    struct elf_file file = elf_file_make();
    add_section_of_note(&file, BEYOND_AT, 0x20); // another's
    add_section_of_note(&file, RODATA_AT, 0x20);
    add_section_of_note(&file, BEYOND_AT + 0x80, 0x100);
    put_note(&file, BEYOND_AT + 0xc0, 0x1000);
    assert_int_equal(find_in_pieces(&file, 0, &reads), 0x1000);
    assert_int_equal(reads.count, 4); // the headers, a section, the headers, a section
    struct elf64_shdr *first = (void *)((uint8_t *)&file + SECTIONS_AT);
    *first = (struct elf64_shdr){.type = ELF_SHT_NOTE, .offset = BEYOND_AT + 0x800, .bytes = 0x40};
    memset((uint8_t *)&file + BEYOND_AT + 0xc0, 0, sizeof(struct slipway_note));
    put_note(&file, BEYOND_AT + 0x800, 0x2000); // where there should be none
    assert_int_equal(find(&file), 0x2000);
}

TEST("elf wishes: sections of another type, empty ones and those outside of the file are none") {
    const struct elf64_shdr sections[] = {
        {.type = ELF_SHT_NOTE + 1, .offset = BEYOND_AT, .bytes = 0x100},
        {.type = ELF_SHT_NOTE, .offset = BEYOND_AT, .bytes = 0},
        {.type = ELF_SHT_NOTE, .offset = BEYOND_AT, .bytes = 0x1001},
        {.type = ELF_SHT_NOTE, .offset = BEYOND_AT, .bytes = UINT64_MAX},
        {.type = ELF_SHT_NOTE, .offset = 0x8001, .bytes = 1},
        {.type = ELF_SHT_NOTE, .offset = UINT64_MAX, .bytes = 0x100},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(sections); i++) {
        struct elf_parts_reads reads;
        struct elf_file file = elf_file_make();
        put_note(&file, BEYOND_AT, 0x1000);
        elf_parts_add_section(&file, SECTIONS_AT, sections[i]);
        assert_int_equal(find_in_pieces(&file, 0, &reads), 0);
        assert_int_equal(reads.count, 1);
        add_section_of_note(&file, BEYOND_AT, 0x1000); // to the file's end
        assert_int_equal(find(&file), 0x1000);
    }
}

TEST("elf wishes: in the image they are found at every multiple of 4, in whatever pieces it is") {
    for (uint64_t at = DATA_AT; at <= DATA_AT + 0x60; at++) {
        struct elf_file file = elf_file_make();
        put_note(&file, at, 0x1000);
        uint64_t want = at % 4 == 0 ? 0x1000 : 0;
        const uint64_t pieces[] = {0, 4, 8, 16, 20, 64};
        for (uint64_t i = 0; i < ARRAY_LEN(pieces); i++)
            assert_int_equal(find_in_pieces(&file, pieces[i], NULL), want);
    }
}

TEST("elf wishes: in the image they lie in what the file has of one segment, to its end") {
    const uint64_t end = DATA_AT + 0x1800;
    const uint64_t starts[] = {TEXT_AT, RODATA_AT, DATA_AT};
    for (uint64_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct elf_file file = elf_file_make();
        put_note(&file, starts[i], 0x1000);
        assert_int_equal(find(&file), 0x1000);
    }
    for (uint64_t at = end - 64; at < end + 8; at += 4) {
        struct elf_file file = elf_file_make();
        put_note(&file, at, 0x1000);
        bool is_whole = at + sizeof(struct slipway_note) <= end;
        if (is_whole || at + 20 > end)
            assert_int_equal(find(&file), is_whole ? 0x1000 : 0);
        else
            refuse(&file, ELF_ERR_NOTE_TRUNCATED, NULL);
    }
    for (uint64_t at = DATA_AT - 24; at <= DATA_AT; at += 4) {
        struct elf_file file = elf_file_make();
        put_note(&file, at, 0x1000);
        assert_int_equal(find(&file), at == DATA_AT ? 0x1000 : 0);
    }
    // Where segments touch, a note in two of them is none.
    for (uint64_t at = DATA_AT - 56; at < DATA_AT; at += 4) {
        struct elf_file file = elf_file_make();
        file.phdrs[ELF_FILE_RODATA].file_bytes = file.phdrs[ELF_FILE_RODATA].mem_bytes = 0x1000;
        put_note(&file, at, 0x1000);
        if (at + 20 > DATA_AT)
            assert_int_equal(find(&file), 0);
        else
            refuse(&file, ELF_ERR_NOTE_TRUNCATED, NULL);
    }
    // A segment need not begin at a multiple of 4.
    for (uint64_t by = 0; by < 8; by++) {
        struct elf_file file = elf_file_make();
        struct elf64_phdr *data = &file.phdrs[ELF_FILE_DATA];
        data->offset += by;
        data->virt += by;
        data->file_bytes -= by;
        put_note(&file, DATA_AT + 8, 0x1000);
        assert_int_equal(find(&file), 0x1000);
    }
}

TEST("elf wishes: in the image every byte that is known of a note must be right") {
    for (uint64_t i = 0; i < 20; i++) {
        struct elf_file file = elf_file_make();
        put_note(&file, DATA_AT + 0x24, 0x1000);
        if (i / 4 == 1)
            continue; // how many bytes the wishes have
        ((uint8_t *)&file)[DATA_AT + 0x24 + i]++;
        assert_int_equal(find(&file), 0);
    }
}

TEST("elf wishes: names alone, however many, do not hide the note") {
    struct elf_file file = elf_file_make();
    for (uint64_t at = DATA_AT; at < DATA_AT + 0x1000; at += 4)
        memcpy((uint8_t *)&file + at, "Slip", 4);
    for (uint64_t at = DATA_AT + 0x804; at <= DATA_AT + 0x808; at += 4) {
        struct elf_file with_note = file;
        put_note(&with_note, at, 0x1000);
        assert_int_equal(find(&with_note), 0x1000);
    }
}

TEST("elf wishes: twice in one place is refused, twice in two places is not") {
    struct elf_file file = elf_file_make();
    put_note(&file, RODATA_AT, 0x1000);
    put_note(&file, DATA_AT, 0x2000);
    refuse(&file, ELF_ERR_NOTE_TWICE, "a second Slipway note (at byte 0 of its 60 bytes of notes)");
    struct elf_file with_sections = file;
    add_section_of_note(&with_sections, RODATA_AT, 0x40);
    assert_int_equal(find(&with_sections), 0x1000);
    add_section_of_note(&with_sections, DATA_AT, 0x40);
    refuse(&with_sections, ELF_ERR_NOTE_TWICE,
           "a second Slipway note (at byte 0 of its 64 bytes of notes)");
    list_note(&with_sections, DATA_AT);
    assert_int_equal(find(&with_sections), 0x2000);
    list_note(&with_sections, RODATA_AT);
    refuse(&with_sections, ELF_ERR_NOTE_TWICE,
           "a second Slipway note (at byte 0 of its 60 bytes of notes)");
}

TEST("elf wishes: what cannot be granted is refused wherever it was found") {
    for (int place = 0; place < 3; place++) {
        struct elf_file file = elf_file_make();
        put_note(&file, DATA_AT, 0x1001);
        if (place == 1)
            add_section_of_note(&file, DATA_AT, 0x40);
        if (place == 2)
            list_note(&file, DATA_AT);
        refuse(
            &file, ELF_ERR_NOTE_STACK,
            "the Slipway note asks for a stack of 4097 bytes, not a multiple of 4 KiB up to 16 MiB");
    }
}

TEST("elf wishes: a note of a header to come is taken if what is unknown is 0") {
    for (uint32_t more = 0; more <= 400; more += 8) {
        struct elf_file file = elf_file_make();
        put_note(&file, DATA_AT, 0x1000);
        uint8_t *note = (uint8_t *)&file + DATA_AT;
        const uint32_t bytes = sizeof(struct slipway_note_wishes) + more;
        memcpy(note + 4, &bytes, sizeof(bytes));
        memset(note + sizeof(struct slipway_note), 0, more);
        assert_int_equal(find(&file), 0x1000);
        if (more == 0)
            continue;
        note[sizeof(struct slipway_note) + more - 1] = 1;
        refuse(&file, ELF_ERR_NOTE_UNKNOWN, NULL);
    }
    for (uint32_t bytes = 512; bytes <= 513; bytes++) { // of a note in the image, at most
        struct elf_file file = elf_file_make();
        put_note(&file, DATA_AT, 0x1000);
        uint8_t *note = (uint8_t *)&file + DATA_AT;
        const uint32_t desc_bytes =
            bytes - (uint32_t) __builtin_offsetof(struct slipway_note, wishes);
        memcpy(note + 4, &desc_bytes, sizeof(desc_bytes));
        memset(note + sizeof(struct slipway_note), 0, bytes - sizeof(struct slipway_note));
        if (bytes == 512)
            assert_int_equal(find(&file), 0x1000);
        else
            refuse(&file, ELF_ERR_NOTE_TRUNCATED, NULL);
    }
}

TEST("elf wishes: whichever read fails, the search ends with its range") {
    for (uint64_t failing = 1; failing <= 4; failing++) {
        struct elf_parts parts;
        struct slipway_note_wishes wishes = {.version = 42};
        struct elf_error error;
        bool found = false;
        struct elf_file file = elf_file_make();
        add_section_of_note(&file, BEYOND_AT, 0x20);
        add_section_of_note(&file, BEYOND_AT + 0x80, 0x40);
        put_note(&file, DATA_AT, 0x1000);
        elf_parts_begin(&parts, &file, 0);
        parts.reads.fail_at = failing;
        assert_int_equal(elf_find_wishes(&parts.header, &parts.image, &parts.memory, &parts.reader,
                                         &wishes, &found, &error),
                         ELF_ERR_READ);
        assert_int_equal(parts.reads.count, failing);
        assert_int_equal(error.a, parts.reads.last.file_offset);
        assert_int_equal(error.b, parts.reads.last.bytes);
        assert_int_equal(wishes.version, 42);
        assert_false(found);
        elf_parts_end(&parts);
    }
}
