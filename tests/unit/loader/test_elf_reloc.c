// Relocation of placed images: all or nothing, and nothing outside a writable segment.
#include "tests/unit/support/elf_file_program.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TEST("elf relocate: every RELATIVE becomes slide + addend, and no other byte changes") {
    struct elf_program *program = program_make();
    program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 0x1234);
    program_add_rela(program, 0x77, ELF_R_X86_64_NONE, 0x5555); // says nothing, wherever it points
    program_add_rela(program, PROGRAM_TARGET + 9, ELF_R_X86_64_RELATIVE, 0); // unaligned
    program_add_rela(program, 0x4ff8, ELF_R_X86_64_RELATIVE,
                     UINT64_MAX); // last of the zeroed memory
    program_add_table(program);
    program_place(program);
    uint64_t bytes = program->image.virt_end - program->image.virt_start;
    uint8_t *want = malloc(bytes);
    memcpy(want, program->placed, bytes);
    uint64_t values[] = {SLIPWAY_KERNEL_DEFAULT + 0x1234, SLIPWAY_KERNEL_DEFAULT,
                         SLIPWAY_KERNEL_DEFAULT - 1};
    memcpy(want + PROGRAM_TARGET, &values[0], 8);
    memcpy(want + PROGRAM_TARGET + 9, &values[1], 8);
    memcpy(want + 0x4ff8, &values[2], 8);
    struct elf_error error;
    assert_int_equal(program_relocate(program, &error), ELF_OK);
    assert_memory_equal(program->placed, want, bytes);
    free(want);
    program_destroy(program);
}

TEST("elf relocate: an image without relocations is left alone") {
    struct elf_program *program = program_make();
    program_accept(program); // an empty dynamic section
    program_destroy(program);

    program = program_make();
    program->file.header.phdr_count--; // none at all
    program_accept(program);
    assert_int_equal(program->image.dynamic_bytes, 0);
    program_destroy(program);

    program = program_make(); // of tags that are of no concern, whatever their values
    static const uint64_t tags[] = {12, 37, 38, 39, 63, 64, 71, UINT64_MAX};
    for (uint64_t i = 0; i < ARRAY_LEN(tags); i++)
        program_add_dynamic(program, tags[i], UINT64_MAX);
    program_accept(program);
    program_destroy(program);

    program = program_make();
    program_add_table(program); // of no entries
    program_accept(program);
    program_destroy(program);
}

TEST("elf relocate: the dynamic section ends at DT_NULL or at its size, whichever comes first") {
    struct elf_program *program = program_make();
    program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 1);
    program_add_dynamic(program, ELF_DT_NULL, 0);
    program_add_table(program); // never seen
    program_accept(program);
    assert_int_not_equal(program_word_at(program, PROGRAM_TARGET), SLIPWAY_KERNEL_DEFAULT + 1);
    program_destroy(program);

    program = program_make();
    program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 1);
    program->file.phdrs[3].mem_bytes = 7 * sizeof(struct elf64_dynamic);
    while (program->dynamic_count < 4)
        program_add_dynamic(program, 0x6ffffffb, 1); // DT_FLAGS_1, of no concern
    program_add_table(program);                      // fills it to its last byte
    program_add_dynamic(program, ELF_DT_NEEDED, 1);  // behind it
    program_accept(program);
    assert_int_equal(program_word_at(program, PROGRAM_TARGET), SLIPWAY_KERNEL_DEFAULT + 1);
    program_destroy(program);

    program = program_make();
    program->file.phdrs[3].mem_bytes = 15; // less than one entry
    program_add_dynamic(program, ELF_DT_NEEDED, 1);
    program_accept(program);
    program_destroy(program);
}

TEST("elf relocate: an unknown type is refused by name and number, before anything is written") {
    struct elf_program *program = program_make();
    program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 1);
    program_add_rela(program, PROGRAM_TARGET + 8, 37, 0);
    program_add_table(program);
    program_refuse(
        program, ELF_ERR_RELOCATION_TYPE,
        "relocation 1 of DT_RELA: type 37 (R_X86_64_IRELATIVE) is not supported; no resolver runs before the kernel: compile without ifunc");
    program = program_make();
    program_add_rela(program, PROGRAM_TARGET, 77, 0);
    program_add_table(program);
    program_refuse(program, ELF_ERR_RELOCATION_TYPE,
                   "relocation 0 of DT_RELA: type 77 (unknown) is not supported");
}

TEST("elf relocate: a target outside the segments is refused") {
    const uint64_t targets[] = {0x4ff9, 0x800, 0x7f9, 0xffffffff00000000, 0x80000000};
    const char *texts[] = {
        "relocation 1 of DT_RELA: target 0x4ff9 lies in no segment",
        "relocation 1 of DT_RELA: target 0x800 lies in no segment",
        "relocation 1 of DT_RELA: target 0x7f9 lies in no segment",
        "relocation 1 of DT_RELA: target 0xffffffff00000000 lies in no segment",
        "relocation 1 of DT_RELA: target 0x80000000 lies in no segment",
    };
    for (int i = 0; i < 5; i++) {
        struct elf_program *program = program_make();
        program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 1);
        program_add_rela(program, targets[i], ELF_R_X86_64_RELATIVE, 0);
        program_add_table(program);
        program_refuse(program, ELF_ERR_RELOCATION_TARGET, texts[i]);
    }
}

TEST("elf relocate: a target between many segments is refused") {
    struct elf_program *program = program_make();
    struct elf_file *file = &program->file;
    elf_file_add(file, ELF_PT_GNU_RELRO, 0x3000, 0x2000, 0x1000);
    while (file->header.phdr_count < 60)
        elf_file_add(file, ELF_PT_LOAD, 0x1000, UINT64_C(0x1000) * (file->header.phdr_count + 8),
                     16);
    program_add_rela(program, 0xd010, ELF_R_X86_64_RELATIVE, 0);
    program_add_table(program);
    program_refuse(program, ELF_ERR_RELOCATION_TARGET,
                   "relocation 0 of DT_RELA: target 0xd010 lies in no segment");
}

TEST(
    "elf relocate: by rules that say so, a target in text is written, and DT_TEXTREL no obstacle") {
    struct elf_program *program = program_make();
    struct elf_error error;
    program_add_rela(program, 0x100, ELF_R_X86_64_RELATIVE, 0x1234);
    program_add_dynamic(program, ELF_DT_TEXTREL, 0);
    program_add_table(program);
    program_place(program);
    program->image.relocates_all = true;
    assert_int_equal(program_relocate(program, &error), ELF_OK);
    assert_int_equal(program_word_at(program, 0x100), SLIPWAY_KERNEL_DEFAULT + 0x1234);
    program_destroy(program);
}

TEST("elf relocate: a target in text or read-only data is refused") {
    struct elf_program *program = program_make();
    program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 1);
    program_add_rela(program, 0x7f8, ELF_R_X86_64_RELATIVE, 0);
    program_add_table(program);
    program_refuse(
        program, ELF_ERR_RELOCATION_READ_ONLY,
        "relocation 1 of DT_RELA: target 0x7f8 lies in segment 0, which is not writable");
    program = program_make();
    program_add_rela(program, 0x1300, ELF_R_X86_64_RELATIVE, 0);
    program_add_table(program);
    program_refuse(
        program, ELF_ERR_RELOCATION_READ_ONLY,
        "relocation 0 of DT_RELA: target 0x1300 lies in segment 1, which is not writable");
}

// With its table in writable memory a relocation could rewrite the ones after it, once checked.
TEST("elf relocate: a target in a table of relocations is refused, next to it accepted") {
    const uint64_t table = 0x3000;
    const uint64_t targets[] = {table - 8, table - 7, table, table + 40, table + 47, table + 48};
    for (int i = 0; i < 6; i++) {
        struct elf_program *program = program_make();
        struct elf64_rela relas[2] = {{targets[i], ELF_R_X86_64_RELATIVE, 0, 5},
                                      {PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 0, 6}};
        memcpy((uint8_t *)&program->file + 0x1000 + table, relas, sizeof(relas));
        program_add_dynamic(program, ELF_DT_RELA, table);
        program_add_dynamic(program, ELF_DT_RELASZ, sizeof(relas));
        program_add_dynamic(program, ELF_DT_RELAENT, sizeof(relas[0]));
        if (i == 0 || i == 5) {
            program_accept(program);
            assert_int_equal(program_word_at(program, targets[i]), SLIPWAY_KERNEL_DEFAULT + 5);
            assert_int_equal(program_word_at(program, PROGRAM_TARGET), SLIPWAY_KERNEL_DEFAULT + 6);
            program_destroy(program);
            continue;
        }
        char text[120];
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink,
                  "relocation 0 of DT_RELA: target 0x%lx lies in a table that the relocations need",
                  targets[i]);
        program_refuse(program, ELF_ERR_RELOCATION_SELF, text);
    }
}

static void refuse_second(struct elf_program *program, enum elf_status want, const char *what) {
    char text[120];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, "relocation 1 of DT_RELA: target 0x%lx %s", program->relas[1].target, what);
    program_refuse(program, want, text);
}

TEST("elf relocate: a table of the other kinds is no target, after one that lies beside it") {
    const uint64_t table = 0x2400; // in the data
    for (int packed = 0; packed < 2; packed++) {
        struct elf_program *program = program_make();
        const uint64_t bytes = packed ? sizeof(uint64_t) : sizeof(struct elf64_rela);
        program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 1);
        program_add_rela(program, table, ELF_R_X86_64_RELATIVE, 1);
        program_add_table(program);
        program_add_dynamic(program, packed ? ELF_DT_RELR : ELF_DT_JMPREL, table);
        program_add_dynamic(program, packed ? ELF_DT_RELRSZ : ELF_DT_PLTRELSZ, bytes);
        if (packed)
            program_add_dynamic(program, ELF_DT_RELRENT, bytes);
        refuse_second(program, ELF_ERR_RELOCATION_SELF,
                      "lies in a table that the relocations need");
    }
}

TEST("elf relocate: symbols that nobody uses may be a target") {
    struct elf_program *program = program_make();
    program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 1);
    program_add_table(program);
    program_add_dynamic(program, ELF_DT_SYMTAB, PROGRAM_TARGET + 4);
    program_add_dynamic(program, ELF_DT_SYMENT, sizeof(struct elf64_symbol));
    program_accept(program);
    assert_int_equal(program_word_at(program, PROGRAM_TARGET), SLIPWAY_KERNEL_DEFAULT + 1);
    program_destroy(program);
}

TEST("elf relocate: a target twice as far as the image is slid, to either side, is none") {
    const uint64_t targets[] = {
        PROGRAM_TARGET + 2 * SLIPWAY_KERNEL_DEFAULT,
        UINT64_C(0) + PROGRAM_TARGET - 2 * PROGRAM_DYNAMIC - 2 * SLIPWAY_KERNEL_DEFAULT,
    };
    for (int i = 0; i < 2; i++) {
        struct elf_program *program = program_make();
        program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 1);
        program_add_rela(program, targets[i], ELF_R_X86_64_RELATIVE, 1);
        program_add_table(program);
        refuse_second(program, ELF_ERR_RELOCATION_TARGET, "lies in no segment");
    }
}

TEST("elf relocate: other kinds of relocation, libraries and text relocations are refused") {
    const struct {
        uint64_t tag, value;
        enum elf_status status;
        const char *text;
    } cases[] = {
        {ELF_DT_REL, 0x1000, ELF_ERR_RELOCATION_KIND, "relocation kind DT_REL is not supported"},
        {ELF_DT_ANDROID_REL, 0, ELF_ERR_RELOCATION_KIND,
         "relocation kind DT_ANDROID_REL is not supported; link with --pack-dyn-relocs=relr alone"},
        {ELF_DT_ANDROID_RELA, 0x1000, ELF_ERR_RELOCATION_KIND,
         "relocation kind DT_ANDROID_RELA is not supported; link with --pack-dyn-relocs=relr alone"},
        {ELF_DT_ANDROID_RELR, 0x1000, ELF_ERR_RELOCATION_KIND,
         "relocation kind DT_ANDROID_RELR is not supported; link with --pack-dyn-relocs=relr alone"},
        {ELF_DT_PLTREL, ELF_DT_REL, ELF_ERR_RELOCATION_KIND,
         "relocation kind DT_REL is not supported"},
        {ELF_DT_NEEDED, 1, ELF_ERR_LIBRARY,
         "needs the shared library without a name (DT_NEEDED); link statically"},
        {ELF_DT_TEXTREL, 0, ELF_ERR_TEXT_RELOCATIONS,
         "has text relocations (DT_TEXTREL); compile with -fpie"},
        {ELF_DT_FLAGS, 0xc, ELF_ERR_TEXT_RELOCATIONS,
         "has text relocations (DT_TEXTREL); compile with -fpie"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct elf_program *program = program_make();
        program_add_rela(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 1);
        program_add_table(program);
        program_add_dynamic(program, cases[i].tag, cases[i].value);
        program_refuse(program, cases[i].status, cases[i].text);
    }
    struct elf_program *program = program_make();
    program_add_dynamic(program, ELF_DT_FLAGS, 8); // DF_BIND_NOW
    program_accept(program);
    program_destroy(program);
}

TEST("elf relocate: a malformed table is refused") {
    const struct {
        uint64_t at, bytes, entry_bytes;
        const char *text;
    } cases[] = {
        {PROGRAM_RELAS, 24, 16,
         "DT_RELA, 24 bytes at 0x1000 in entries of 16, is malformed or lies in no single segment"},
        {PROGRAM_RELAS, 25, 24,
         "DT_RELA, 25 bytes at 0x1000 in entries of 24, is malformed or lies in no single segment"},
        {PROGRAM_RELAS, 24, 0,
         "DT_RELA, 24 bytes at 0x1000 in entries of 0, is malformed or lies in no single segment"},
        {0x13f0, 24, 24,
         "DT_RELA, 24 bytes at 0x13f0 in entries of 24, is malformed or lies in no single segment"},
        {0x9000, 24, 24,
         "DT_RELA, 24 bytes at 0x9000 in entries of 24, is malformed or lies in no single segment"},
        {PROGRAM_RELAS, 24 * (UINT64_MAX / 24), 24,
         "DT_RELA, 18446744073709551600 bytes at 0x1000 in entries of 24, is malformed or lies in no single segment"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct elf_program *program = program_make();
        program_add_dynamic(program, ELF_DT_RELA, cases[i].at);
        program_add_dynamic(program, ELF_DT_RELASZ, cases[i].bytes);
        program_add_dynamic(program, ELF_DT_RELAENT, cases[i].entry_bytes);
        program_refuse(program, ELF_ERR_RELOCATION_TABLE, cases[i].text);
    }
    struct elf_program *program = program_make(); // a size without a table
    program_add_dynamic(program, ELF_DT_RELASZ, 24);
    program_add_dynamic(program, ELF_DT_RELAENT, 24);
    program_refuse(
        program, ELF_ERR_RELOCATION_TABLE,
        "DT_RELA, 24 bytes at 0x0 in entries of 24, is malformed or lies in no single segment");
}

TEST("elf relocate: an empty table is none, wherever it lies") {
    struct elf_program *program = program_make();
    program_add_dynamic(program, ELF_DT_RELA, 0x9000);
    program_add_dynamic(program, ELF_DT_RELASZ, 0);
    program_add_dynamic(program, ELF_DT_JMPREL, 1);
    program_accept(program);
    program_destroy(program);
}

#define PIE "; compile with -fpie"
#define TLS "; compile with -ftls-model=local-exec"

TEST("elf relocate: every type that is not done is named, with what to do about it") {
    static const struct {
        uint32_t type;
        const char *name;
        const char *remedy;
    } types[] = {
        {2, "R_X86_64_PC32", PIE},
        {5, "R_X86_64_COPY", "; there is no library to copy from: compile with -fpie"},
        {10, "R_X86_64_32", PIE},
        {11, "R_X86_64_32S", PIE},
        {16, "R_X86_64_DTPMOD64", TLS},
        {17, "R_X86_64_DTPOFF64", TLS},
        {18, "R_X86_64_TPOFF64", TLS},
        {36, "R_X86_64_TLSDESC", TLS},
        {37, "R_X86_64_IRELATIVE", "; no resolver runs before the kernel: compile without ifunc"},
        {3, "unknown", ""},
        {38, "unknown", ""},
        {UINT32_MAX, "unknown", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char want[200];
        struct elf_program *program = program_make();
        program_add_rela(program, PROGRAM_TARGET, types[i].type, 1);
        program_add_table(program);
        snprintf(want, sizeof(want), "relocation 0 of DT_RELA: type %u (%s) is not supported%s",
                 types[i].type, types[i].name, types[i].remedy);
        program_refuse(program, ELF_ERR_RELOCATION_TYPE, want);
    }
}
