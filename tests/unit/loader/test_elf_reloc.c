// Relocation of placed images: all or nothing, and nothing outside a writable segment.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DYNAMIC_AT = 0x2000, // link addresses, in the data segment
    TABLE_AT = 0x1000,   // in the read-only data
    TARGET_AT = 0x2800,
};

// A static PIE as a linker would make it, and its image in memory: a heap block of exactly its
// size.
struct program {
    struct elf_file file;
    struct elf64_rela relas[16];
    uint64_t rela_count;
    struct elf64_dynamic dynamic[8];
    uint64_t dynamic_count;
    struct elf_image image;
    uint8_t *placed;
};

static void add_dynamic(struct program *program, uint64_t tag, uint64_t value) {
    program->dynamic[program->dynamic_count++] = (struct elf64_dynamic){tag, value};
}

static void add_rela(struct program *program, uint64_t target, uint32_t type, uint64_t addend) {
    program->relas[program->rela_count++] =
        (struct elf64_rela){.target = target, .type = type, .addend = addend};
}

static struct program *make(void) {
    struct program *program = calloc(1, sizeof(*program));
    program->file = elf_file_make_dyn();
    elf_file_add(&program->file, ELF_PT_DYNAMIC, 0x3000, DYNAMIC_AT, 8 * 16);
    return program;
}

// The usual three entries for all relocations that were added.
static void add_table(struct program *program) {
    add_dynamic(program, ELF_DT_RELA, TABLE_AT);
    add_dynamic(program, ELF_DT_RELASZ, program->rela_count * sizeof(struct elf64_rela));
    add_dynamic(program, ELF_DT_RELAENT, sizeof(struct elf64_rela));
}

// Writes tables into the file, parses it, and places the image as the loader does.
static void place(struct program *program) {
    uint8_t *file = (uint8_t *)&program->file;
    memcpy(file + 0x1000 + DYNAMIC_AT, program->dynamic, sizeof(program->dynamic));
    memcpy(file + 0x1000 + TABLE_AT, program->relas, sizeof(program->relas));
    struct elf_image *image = &program->image;
    struct elf_error error;
    assert_int_equal(elf_file_parse(&program->file, sizeof(program->file), image, &error), ELF_OK);
    program->placed = calloc(1, image->virt_end - image->virt_start);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        memcpy(program->placed + (segment->virt - image->virt_start), file + segment->file_offset,
               segment->file_bytes);
    }
}

static void destroy(struct program *program) {
    free(program->placed);
    free(program);
}

static uint64_t word_at(const struct program *program, uint64_t link) {
    uint64_t word;
    memcpy(&word, program->placed + link, sizeof(word));
    return word;
}

// The memory of [virt, virt + bytes) of the image in pieces of `piece_bytes`, each of them a heap
// block of its own, appended to `pieces`.
static uint64_t add_pieces(const struct program *program, uint64_t virt, uint64_t bytes,
                           uint64_t piece_bytes, struct elf_piece *pieces) {
    uint64_t count = 0;
    for (uint64_t at = 0; at < bytes; at += piece_bytes) {
        uint64_t size = min_u64(piece_bytes, bytes - at);
        uint8_t *memory = malloc(size);
        memcpy(memory, program->placed + (virt + at - program->image.virt_start), size);
        pieces[count++] = (struct elf_piece){virt + at, size, memory};
    }
    return count;
}

// The same image relocated in pieces: each segment by itself, without the holes between them.
static void expect_same_in_pieces(const struct program *program, uint64_t piece_bytes,
                                  enum elf_status want_status, const uint8_t *want) {
    const struct elf_image *image = &program->image;
    uint64_t bytes = image->virt_end - image->virt_start;
    struct elf_piece *pieces = malloc(bytes * sizeof(*pieces));
    struct elf_memory memory = {pieces, 0};
    struct elf_error error;
    for (uint32_t i = 0; i < image->segment_count; i++)
        memory.count += add_pieces(program, image->segments[i].virt, image->segments[i].mem_bytes,
                                   piece_bytes, pieces + memory.count);
    assert_int_equal(elf_relocate(image, &memory, &error), want_status);
    for (uint64_t i = 0; i < memory.count; i++) {
        const struct elf_piece *piece = &pieces[i];
        assert_memory_equal(piece->memory, want + (piece->virt - image->virt_start), piece->bytes);
        free(piece->memory);
    }
    free(pieces);
}

// Relocates the image in one piece, and asserts that in pieces the same comes of it.
static enum elf_status relocate(struct program *program, struct elf_error *ret_error) {
    const struct elf_image *image = &program->image;
    uint64_t bytes = image->virt_end - image->virt_start;
    const uint64_t sizes[] = {1, 7, 24, 60, 4096, UINT64_MAX};
    struct program before = *program;
    before.placed = malloc(bytes);
    memcpy(before.placed, program->placed, bytes);
    const struct elf_piece whole = {image->virt_start, bytes, program->placed};
    enum elf_status status = elf_relocate(image, &(struct elf_memory){&whole, 1}, ret_error);
    for (uint64_t i = 0; i < ARRAY_LEN(sizes); i++)
        expect_same_in_pieces(&before, sizes[i], status, program->placed);
    free(before.placed);
    return status;
}

static void accept(struct program *program) {
    struct elf_error error = {0};
    place(program);
    assert_int_equal(relocate(program, &error), ELF_OK);
    assert_int_equal(error.status, ELF_OK);
}

// Also asserts that no byte of the image changed.
static void refuse(struct program *program, enum elf_status want, const char *text) {
    struct elf_error error = {0};
    place(program);
    uint64_t bytes = program->image.virt_end - program->image.virt_start;
    uint8_t *before = malloc(bytes);
    memcpy(before, program->placed, bytes);
    assert_int_equal(relocate(program, &error), want);
    elf_file_expect_text(&error, text);
    assert_memory_equal(program->placed, before, bytes);
    free(before);
    destroy(program);
}

TEST("elf relocate: every RELATIVE becomes slide + addend, and no other byte changes") {
    struct program *program = make();
    add_rela(program, TARGET_AT, ELF_R_X86_64_RELATIVE, 0x1234);
    add_rela(program, 0x77, ELF_R_X86_64_NONE, 0x5555);         // says nothing, wherever it points
    add_rela(program, TARGET_AT + 9, ELF_R_X86_64_RELATIVE, 0); // unaligned
    add_rela(program, 0x4ff8, ELF_R_X86_64_RELATIVE, UINT64_MAX); // last of the zeroed memory
    add_table(program);
    place(program);
    uint64_t bytes = program->image.virt_end - program->image.virt_start;
    uint8_t *want = malloc(bytes);
    memcpy(want, program->placed, bytes);
    uint64_t values[] = {SLIPWAY_KERNEL_DEFAULT + 0x1234, SLIPWAY_KERNEL_DEFAULT,
                         SLIPWAY_KERNEL_DEFAULT - 1};
    memcpy(want + TARGET_AT, &values[0], 8);
    memcpy(want + TARGET_AT + 9, &values[1], 8);
    memcpy(want + 0x4ff8, &values[2], 8);
    struct elf_error error;
    assert_int_equal(relocate(program, &error), ELF_OK);
    assert_memory_equal(program->placed, want, bytes);
    free(want);
    destroy(program);
}

TEST("elf relocate: an image without relocations is left alone") {
    struct program *program = make();
    accept(program); // an empty dynamic section
    destroy(program);

    program = make();
    program->file.header.phdr_count--; // none at all
    accept(program);
    assert_int_equal(program->image.dynamic_bytes, 0);
    destroy(program);

    program = make();
    add_table(program); // of no entries
    accept(program);
    destroy(program);
}

TEST("elf relocate: the dynamic section ends at DT_NULL or at its size, whichever comes first") {
    struct program *program = make();
    add_rela(program, TARGET_AT, ELF_R_X86_64_RELATIVE, 1);
    add_dynamic(program, ELF_DT_NULL, 0);
    add_table(program); // never seen
    accept(program);
    assert_int_not_equal(word_at(program, TARGET_AT), SLIPWAY_KERNEL_DEFAULT + 1);
    destroy(program);

    program = make();
    add_rela(program, TARGET_AT, ELF_R_X86_64_RELATIVE, 1);
    program->file.phdrs[3].mem_bytes = 7 * sizeof(struct elf64_dynamic);
    while (program->dynamic_count < 4)
        add_dynamic(program, 0x6ffffffb, 1); // DT_FLAGS_1, of no concern
    add_table(program);                      // fills it to its last byte
    add_dynamic(program, ELF_DT_NEEDED, 1);  // behind it
    accept(program);
    assert_int_equal(word_at(program, TARGET_AT), SLIPWAY_KERNEL_DEFAULT + 1);
    destroy(program);

    program = make();
    program->file.phdrs[3].mem_bytes = 15; // less than one entry
    add_dynamic(program, ELF_DT_NEEDED, 1);
    accept(program);
    destroy(program);
}

TEST("elf relocate: an unknown type is refused by name and number, before anything is written") {
    struct program *program = make();
    add_rela(program, TARGET_AT, ELF_R_X86_64_RELATIVE, 1);
    add_rela(program, TARGET_AT + 8, 6, 0);
    add_table(program);
    refuse(program, ELF_ERR_RELOCATION_TYPE,
           "relocation 1: type 6 (R_X86_64_GLOB_DAT) is not supported");
    program = make();
    add_rela(program, TARGET_AT, 77, 0);
    add_table(program);
    refuse(program, ELF_ERR_RELOCATION_TYPE, "relocation 0: type 77 (unknown) is not supported");
}

TEST("elf relocate: a target outside the segments is refused") {
    const uint64_t targets[] = {0x4ff9, 0x800, 0x7f9, 0xffffffff00000000, 0x80000000};
    const char *texts[] = {
        "relocation 1: target 0x4ff9 lies in no segment",
        "relocation 1: target 0x800 lies in no segment",
        "relocation 1: target 0x7f9 lies in no segment",
        "relocation 1: target 0xffffffff00000000 lies in no segment",
        "relocation 1: target 0x80000000 lies in no segment",
    };
    for (int i = 0; i < 5; i++) {
        struct program *program = make();
        add_rela(program, TARGET_AT, ELF_R_X86_64_RELATIVE, 1);
        add_rela(program, targets[i], ELF_R_X86_64_RELATIVE, 0);
        add_table(program);
        refuse(program, ELF_ERR_RELOCATION_TARGET, texts[i]);
    }
}

TEST("elf relocate: a target between many segments is refused") {
    struct program *program = make();
    struct elf_file *file = &program->file;
    elf_file_add(file, ELF_PT_GNU_RELRO, 0x3000, 0x2000, 0x1000);
    while (file->header.phdr_count < 60)
        elf_file_add(file, ELF_PT_LOAD, 0x1000, UINT64_C(0x1000) * (file->header.phdr_count + 8),
                     16);
    add_rela(program, 0xd010, ELF_R_X86_64_RELATIVE, 0);
    add_table(program);
    refuse(program, ELF_ERR_RELOCATION_TARGET, "relocation 0: target 0xd010 lies in no segment");
}

TEST("elf relocate: a target in text or read-only data is refused") {
    struct program *program = make();
    add_rela(program, TARGET_AT, ELF_R_X86_64_RELATIVE, 1);
    add_rela(program, 0x7f8, ELF_R_X86_64_RELATIVE, 0);
    add_table(program);
    refuse(program, ELF_ERR_RELOCATION_READ_ONLY,
           "relocation 1: target 0x7f8 lies in segment 0, which is not writable");
    program = make();
    add_rela(program, 0x1300, ELF_R_X86_64_RELATIVE, 0);
    add_table(program);
    refuse(program, ELF_ERR_RELOCATION_READ_ONLY,
           "relocation 0: target 0x1300 lies in segment 1, which is not writable");
}

// With its table in writable memory a relocation could rewrite the ones after it, once checked.
TEST("elf relocate: a target in the relocation table is refused, next to it accepted") {
    const uint64_t table = 0x3000;
    const uint64_t targets[] = {table - 8, table - 7, table, table + 40, table + 47, table + 48};
    for (int i = 0; i < 6; i++) {
        struct program *program = make();
        struct elf64_rela relas[2] = {{targets[i], ELF_R_X86_64_RELATIVE, 0, 5},
                                      {TARGET_AT, ELF_R_X86_64_RELATIVE, 0, 6}};
        memcpy((uint8_t *)&program->file + 0x1000 + table, relas, sizeof(relas));
        add_dynamic(program, ELF_DT_RELA, table);
        add_dynamic(program, ELF_DT_RELASZ, sizeof(relas));
        add_dynamic(program, ELF_DT_RELAENT, sizeof(relas[0]));
        if (i == 0 || i == 5) {
            accept(program);
            assert_int_equal(word_at(program, targets[i]), SLIPWAY_KERNEL_DEFAULT + 5);
            assert_int_equal(word_at(program, TARGET_AT), SLIPWAY_KERNEL_DEFAULT + 6);
            destroy(program);
            continue;
        }
        char text[80];
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink, "relocation 0: target 0x%lx lies in the relocation table", targets[i]);
        refuse(program, ELF_ERR_RELOCATION_SELF, text);
    }
}

TEST("elf relocate: other kinds of relocation, libraries and text relocations are refused") {
    const struct {
        uint64_t tag, value;
        enum elf_status status;
        const char *text;
    } cases[] = {
        {ELF_DT_REL, 0x1000, ELF_ERR_RELOCATION_KIND, "relocation kind DT_REL is not supported"},
        {ELF_DT_RELR, 0x1000, ELF_ERR_RELOCATION_KIND, "relocation kind DT_RELR is not supported"},
        {ELF_DT_JMPREL, 0x1000, ELF_ERR_RELOCATION_KIND,
         "relocation kind DT_JMPREL is not supported"},
        {ELF_DT_NEEDED, 1, ELF_ERR_LIBRARY, "needs a shared library (DT_NEEDED); link statically"},
        {ELF_DT_TEXTREL, 0, ELF_ERR_TEXT_RELOCATIONS,
         "has text relocations (DT_TEXTREL); compile with -fpie"},
        {ELF_DT_FLAGS, 0xc, ELF_ERR_TEXT_RELOCATIONS,
         "has text relocations (DT_TEXTREL); compile with -fpie"},
    };
    for (int i = 0; i < 6; i++) {
        struct program *program = make();
        add_rela(program, TARGET_AT, ELF_R_X86_64_RELATIVE, 1);
        add_table(program);
        add_dynamic(program, cases[i].tag, cases[i].value);
        refuse(program, cases[i].status, cases[i].text);
    }
    struct program *program = make();
    add_dynamic(program, ELF_DT_FLAGS, 8); // DF_BIND_NOW
    accept(program);
    destroy(program);
}

TEST("elf relocate: a malformed table is refused") {
    const struct {
        uint64_t at, bytes, entry_bytes;
        const char *text;
    } cases[] = {
        {TABLE_AT, 24, 16,
         "the relocation table, 24 bytes at 0x1000 in entries of 16, is malformed or in no segment"},
        {TABLE_AT, 25, 24,
         "the relocation table, 25 bytes at 0x1000 in entries of 24, is malformed or in no segment"},
        {TABLE_AT, 24, 0,
         "the relocation table, 24 bytes at 0x1000 in entries of 0, is malformed or in no segment"},
        {0x13f0, 24, 24,
         "the relocation table, 24 bytes at 0x13f0 in entries of 24, is malformed or in no segment"},
        {0x1400, 0, 24, // where the segment ends
         "the relocation table, 0 bytes at 0x1400 in entries of 24, is malformed or in no segment"},
        {0x9000, 24, 24,
         "the relocation table, 24 bytes at 0x9000 in entries of 24, is malformed or in no segment"},
        {TABLE_AT, 24 * (UINT64_MAX / 24), 24,
         "the relocation table, 18446744073709551600 bytes at 0x1000 in entries of 24, is malformed or in no segment"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct program *program = make();
        add_dynamic(program, ELF_DT_RELA, cases[i].at);
        add_dynamic(program, ELF_DT_RELASZ, cases[i].bytes);
        add_dynamic(program, ELF_DT_RELAENT, cases[i].entry_bytes);
        refuse(program, ELF_ERR_RELOCATION_TABLE, cases[i].text);
    }
    struct program *program = make(); // a size without a table
    add_dynamic(program, ELF_DT_RELASZ, 24);
    add_dynamic(program, ELF_DT_RELAENT, 24);
    refuse(program, ELF_ERR_RELOCATION_TABLE,
           "the relocation table, 24 bytes at 0x0 in entries of 24, is malformed or in no segment");
}

TEST("reloc: every relocation that is known and not done is named") {
    static const struct {
        uint64_t type;
        const char *name;
    } types[] = {
        {1, "R_X86_64_64"},       {2, "R_X86_64_PC32"},       {5, "R_X86_64_COPY"},
        {6, "R_X86_64_GLOB_DAT"}, {7, "R_X86_64_JUMP_SLOT"},  {10, "R_X86_64_32"},
        {11, "R_X86_64_32S"},     {16, "R_X86_64_DTPMOD64"},  {17, "R_X86_64_DTPOFF64"},
        {18, "R_X86_64_TPOFF64"}, {37, "R_X86_64_IRELATIVE"}, {3, "unknown"},
        {UINT64_MAX, "unknown"},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        char want[100];
        struct elf_error error = {
            .status = ELF_ERR_RELOCATION_TYPE, .index = 3, .a = types[i].type};
        snprintf(want, sizeof(want), "relocation 3: type %lu (%s) is not supported", types[i].type,
                 types[i].name);
        elf_file_expect_text(&error, want);
    }
}
