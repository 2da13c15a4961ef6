// Relocations by symbols, in both tables, and packed ones.
#include "tests/unit/support/elf_file_program.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum {
    GLOBAL_OBJECT = ELF_STB_GLOBAL * 16 + ELF_STT_OBJECT,
    GLOBAL_NONE = ELF_STB_GLOBAL * 16,
    WEAK_NONE = ELF_STB_WEAK * 16,
    SECTION = 5, // any
};

static void add(struct elf_program *program, uint64_t target, uint32_t type, uint32_t symbol,
                uint64_t addend) {
    program_add_rela(program, target, type, addend);
    program->relas[program->rela_count - 1].symbol = symbol;
}

static void add_jmprel(struct elf_program *program, uint64_t target, uint32_t type,
                       uint32_t symbol) {
    program->jmprels[program->jmprel_count++] =
        (struct elf64_rela){.target = target, .type = type, .symbol = symbol, .addend = 77};
}

TEST("elf symbols: 64 is symbol + addend, GLOB_DAT and JUMP_SLOT the symbol, slid with the image") {
    struct elf_program *program = program_make();
    uint32_t own = program_add_symbol(
        program, "own", (struct elf64_symbol){.info = GLOBAL_OBJECT, .section = 5, .value = 0x123});
    uint32_t fixed = program_add_symbol(
        program, "fixed",
        (struct elf64_symbol){.info = GLOBAL_OBJECT, .section = ELF_SHN_ABS, .value = 0x456});
    uint32_t far = program_add_symbol(
        program, "far",
        (struct elf64_symbol){.info = GLOBAL_OBJECT, .section = 0xffff, .value = 0x789});
    uint32_t weak = program_add_symbol(program, "weak", (struct elf64_symbol){.info = WEAK_NONE});
    uint32_t weak_any =
        program_add_symbol(program, "weak_any", (struct elf64_symbol){.info = WEAK_NONE + 15});
    uint32_t weak_own = program_add_symbol(
        program, "weak_own", (struct elf64_symbol){.info = WEAK_NONE, .section = 1, .value = 9});
    const struct {
        uint32_t type, symbol;
        uint64_t addend, want;
    } cases[] = {
        {ELF_R_X86_64_64, own, 0x10, SLIPWAY_KERNEL_DEFAULT + 0x133},
        {ELF_R_X86_64_64, own, UINT64_MAX, SLIPWAY_KERNEL_DEFAULT + 0x122},
        {ELF_R_X86_64_GLOB_DAT, own, 0x10, SLIPWAY_KERNEL_DEFAULT + 0x123},
        {ELF_R_X86_64_JUMP_SLOT, own, 0x10, SLIPWAY_KERNEL_DEFAULT + 0x123},
        {ELF_R_X86_64_64, fixed, 1, 0x457},
        {ELF_R_X86_64_GLOB_DAT, fixed, 1, 0x456},
        {ELF_R_X86_64_GLOB_DAT, far, 0, SLIPWAY_KERNEL_DEFAULT + 0x789},
        {ELF_R_X86_64_64, weak, 3, 3},
        {ELF_R_X86_64_64, weak_any, 3, 3},
        {ELF_R_X86_64_GLOB_DAT, weak, 3, 0},
        {ELF_R_X86_64_64, weak_own, 3, SLIPWAY_KERNEL_DEFAULT + 12},
        {ELF_R_X86_64_64, 0, 0x20, 0x20},                                // STN_UNDEF
        {ELF_R_X86_64_RELATIVE, 7, 0x30, SLIPWAY_KERNEL_DEFAULT + 0x30}, // whatever symbol it names
    };
    for (uint64_t i = 0; i < ARRAY_LEN(cases); i++)
        add(program, PROGRAM_TARGET + 8 * i, cases[i].type, cases[i].symbol, cases[i].addend);
    add_jmprel(program, PROGRAM_TARGET + 0x100, ELF_R_X86_64_JUMP_SLOT, own);
    add_jmprel(program, PROGRAM_TARGET + 0x108, ELF_R_X86_64_RELATIVE, 0);
    program_add_table(program);
    program_add_jmprels(program);
    program_add_symbols(program);
    program_place(program);
    uint64_t bytes = program->image.virt_end - program->image.virt_start;
    uint8_t *want = malloc(bytes);
    memcpy(want, program->placed, bytes);
    for (uint64_t i = 0; i < ARRAY_LEN(cases); i++)
        memcpy(want + PROGRAM_TARGET + 8 * i, &cases[i].want, 8);
    const uint64_t jumps[] = {SLIPWAY_KERNEL_DEFAULT + 0x123, SLIPWAY_KERNEL_DEFAULT + 77};
    memcpy(want + PROGRAM_TARGET + 0x100, jumps, sizeof(jumps));
    struct elf_error error;
    assert_int_equal(program_relocate(program, &error), ELF_OK);
    assert_memory_equal(program->placed, want, bytes);
    free(want);
    program_destroy(program);
}

static void refuse_symbol(const char *name, struct elf64_symbol symbol, enum elf_status status,
                          const char *text) {
    struct elf_program *program = program_make();
    uint32_t number = program_add_symbol(program, name, symbol);
    add(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 0, 1);
    add(program, PROGRAM_TARGET + 8, ELF_R_X86_64_GLOB_DAT, number, 0);
    program_add_table(program);
    program_add_symbols(program);
    program_refuse(program, status, text);
}

TEST("elf symbols: an undefined one that is not weak is refused by name") {
    refuse_symbol(
        "missing", (struct elf64_symbol){.info = GLOBAL_NONE}, ELF_ERR_SYMBOL_UNDEFINED,
        "relocation 1 of DT_RELA: symbol missing is undefined; link what defines it, or declare it weak");
    struct elf_program *program = program_make();
    add_jmprel(program, PROGRAM_TARGET, ELF_R_X86_64_JUMP_SLOT,
               program_add_symbol(program, "call", (struct elf64_symbol){.info = GLOBAL_NONE}));
    program_add_jmprels(program);
    program_add_symbols(program);
    program_refuse(
        program, ELF_ERR_SYMBOL_UNDEFINED,
        "relocation 0 of DT_JMPREL: symbol call is undefined; link what defines it, or declare it weak");
}

TEST("elf symbols: functions to be resolved, thread-local and common ones are refused by name") {
    refuse_symbol(
        "chosen",
        (struct elf64_symbol){.info = 16 + ELF_STT_GNU_IFUNC, .section = SECTION, .value = 1},
        ELF_ERR_SYMBOL_TYPE,
        "relocation 1 of DT_RELA: symbol chosen is of type STT_GNU_IFUNC, which is not supported; no resolver runs before the kernel: compile without ifunc");
    refuse_symbol(
        "own", (struct elf64_symbol){.info = 16 + ELF_STT_TLS, .section = SECTION},
        ELF_ERR_SYMBOL_TYPE,
        "relocation 1 of DT_RELA: symbol own is of type STT_TLS, which is not supported; compile with -ftls-model=local-exec");
    refuse_symbol(
        "shared", (struct elf64_symbol){.info = GLOBAL_OBJECT, .section = ELF_SHN_COMMON},
        ELF_ERR_SYMBOL_COMMON,
        "relocation 1 of DT_RELA: symbol shared has no memory (SHN_COMMON); link with -d");
}

TEST("elf symbols: of a name what has room and can be printed is shown") {
    static const char begin[] = "relocation 1 of DT_RELA: symbol ";
    static const char end[] = " is undefined; link what defines it, or declare it weak";
    char name[101], text[300];
    for (int i = 0; i < 100; i++)
        name[i] = (char)('a' + i % 26);
    name[100] = '\0';
    const struct elf64_symbol undefined = {.info = GLOBAL_NONE};
    strcpy(text, begin);
    strncat(text, name, 79);
    strcat(text, end);
    refuse_symbol(name, undefined, ELF_ERR_SYMBOL_UNDEFINED, text);
    refuse_symbol(
        "a\n\x7f\x80\xff z~", undefined, ELF_ERR_SYMBOL_UNDEFINED,
        "relocation 1 of DT_RELA: symbol a???? z~ is undefined; link what defines it, or declare it weak");
    refuse_symbol(
        "", undefined, ELF_ERR_SYMBOL_UNDEFINED,
        "relocation 1 of DT_RELA: symbol without a name is undefined; link what defines it, or declare it weak");
}

TEST("elf symbols: a name that begins or ends outside of DT_STRTAB is cut off there") {
    static const struct {
        uint64_t at, bytes;
        uint32_t name;
        const char *want;
    } cases[] = {
        {PROGRAM_STRINGS, 4, 1, "mis"},
        {PROGRAM_STRINGS, 9, 1, "missing"},
        {PROGRAM_STRINGS, 9, 7, "g"},
        {PROGRAM_STRINGS, 9, 9, "without a name"},
        {PROGRAM_STRINGS, 9, UINT32_MAX, "without a name"},
        {PROGRAM_STRINGS, 0x81, 1, "without a name"}, // the segment ends before it does
        {0x9000, 9, 1, "without a name"},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct elf_program *program = program_make();
        char text[120];
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(
            &sink,
            "relocation 0 of DT_RELA: symbol %s is undefined; link what defines it, or declare it weak",
            cases[i].want);
        uint32_t number =
            program_add_symbol(program, "missing", (struct elf64_symbol){.info = GLOBAL_NONE});
        program->symbols[number].name = cases[i].name;
        add(program, PROGRAM_TARGET, ELF_R_X86_64_64, number, 0);
        program_add_table(program);
        program_add_symbols(program);
        program->dynamic[program->dynamic_count - 2].value = cases[i].at;
        program->dynamic[program->dynamic_count - 1].value = cases[i].bytes;
        program_refuse(program, ELF_ERR_SYMBOL_UNDEFINED, text);
    }
}

TEST("elf symbols: a library is named, the first of several") {
    struct elf_program *program = program_make();
    program_add_symbol(program, "libm.so.6", (struct elf64_symbol){0});
    program_add_symbol(program, "libc.so.6", (struct elf64_symbol){0});
    program_add_dynamic(program, ELF_DT_NEEDED, 1);
    program_add_dynamic(program, ELF_DT_NEEDED, 11);
    program_add_symbols(program);
    program_refuse(program, ELF_ERR_LIBRARY,
                   "needs the shared library libm.so.6 (DT_NEEDED); link statically");
}

// The segment ends at 0x1400.
TEST("elf symbols: one that is not in the table, or in none, is refused") {
    static const struct {
        uint64_t at, each;
        uint32_t number;
        bool is_there;
    } cases[] = {
        {0x1400 - 24, 24, 1, false},     {0x1400 - 48, 24, 1, true}, {0x1400 - 71, 24, 2, false},
        {0x1400 - 72, 24, 2, true},      {0x1400, 24, 1, false},     {0x1400 - 23, 24, 1, false},
        {0x9000, 24, 1, false},          {0x1390, 16, 1, false},     {0x1390, 0, 1, false},
        {0x1000, 24, UINT32_MAX, false},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct elf_program *program = program_make();
        char text[120];
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink, "relocation 0 of DT_RELA: symbol %u is not in a symbol table (DT_SYMTAB)",
                  cases[i].number);
        add(program, PROGRAM_TARGET, ELF_R_X86_64_64, cases[i].number, 0);
        memset(program->strings, 0x11, sizeof(program->strings)); // defined symbols, if any
        program_add_table(program);
        program_add_dynamic(program, ELF_DT_SYMTAB, cases[i].at);
        program_add_dynamic(program, ELF_DT_SYMENT, cases[i].each);
        if (cases[i].is_there) {
            program_accept(program);
            program_destroy(program);
        } else {
            program_refuse(program, ELF_ERR_SYMBOL_NONE, text);
        }
    }
    struct elf_program *program = program_make();
    add(program, PROGRAM_TARGET, ELF_R_X86_64_64, 1, 0);
    program_add_table(program);
    program_refuse(program, ELF_ERR_SYMBOL_NONE,
                   "relocation 0 of DT_RELA: symbol 1 is not in a symbol table (DT_SYMTAB)");
}

TEST("elf symbols: a target among the symbols that relocations name is refused, beside them not") {
    enum { SYMBOLS = 0x3000 }; // in the data, which is writable
    const uint64_t targets[] = {SYMBOLS - 8,  SYMBOLS - 7,  SYMBOLS,
                                SYMBOLS + 65, SYMBOLS + 71, SYMBOLS + 72};
    for (uint64_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct elf_program *program = program_make();
        const struct elf64_symbol symbols[3] = {{0}, {.section = 1}, {.section = 1, .value = 4}};
        memcpy((uint8_t *)&program->file + 0x1000 + SYMBOLS, symbols, sizeof(symbols));
        add(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 0, 1);
        add(program, targets[i], ELF_R_X86_64_RELATIVE, 0, 5);
        add(program, PROGRAM_TARGET + 8, ELF_R_X86_64_64, 1, 3);
        add(program, PROGRAM_TARGET + 16, ELF_R_X86_64_64, 2, 3);
        program_add_table(program);
        program_add_dynamic(program, ELF_DT_SYMTAB, SYMBOLS);
        program_add_dynamic(program, ELF_DT_SYMENT, 24);
        if (i == 0 || i == ARRAY_LEN(targets) - 1) {
            program_accept(program);
            assert_int_equal(program_word_at(program, targets[i]), SLIPWAY_KERNEL_DEFAULT + 5);
            assert_int_equal(program_word_at(program, PROGRAM_TARGET + 16),
                             SLIPWAY_KERNEL_DEFAULT + 7);
            program_destroy(program);
            continue;
        }
        char text[120];
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink,
                  "relocation 1 of DT_RELA: target 0x%lx lies in a table that the relocations need",
                  targets[i]);
        program_refuse(program, ELF_ERR_RELOCATION_SELF, text);
    }
}

// ---- Packed ones

// Words of the image that DT_RELR slides, each once.
static void expect_slid(struct elf_program *program, const uint64_t *links, uint64_t count) {
    program_place(program);
    uint64_t bytes = program->image.virt_end - program->image.virt_start;
    uint8_t *want = malloc(bytes);
    memcpy(want, program->placed, bytes);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t word = program_word_at(program, links[i]) + program->image.slide;
        memcpy(want + links[i], &word, sizeof(word));
    }
    struct elf_error error;
    assert_int_equal(program_relocate(program, &error), ELF_OK);
    assert_memory_equal(program->placed, want, bytes);
    free(want);
    program_destroy(program);
}

TEST("elf RELR: an address is a word, a bitmap the 63 words behind those before") {
    const uint64_t at = PROGRAM_TARGET;
    struct elf_program *program = program_make();
    const uint64_t relrs[] = {
        at,                    // and so on from at + 8
        1,                     // none of 63
        5,                     // the second of the next ones: at + 8 + 63 * 8 + 8
        1 | UINT64_C(1) << 63, // the last of the next
        3,                     // the first of the next
        at + 0x1002,           // may be anywhere even
        7,
    };
    memcpy(program->relrs, relrs, sizeof(relrs));
    program->relr_count = ARRAY_LEN(relrs);
    program_add_relrs(program);
    const uint64_t links[] = {at,
                              at + 8 + 63 * 8 + 8,
                              at + 8 + 2 * 63 * 8 + 62 * 8,
                              at + 8 + 3 * 63 * 8,
                              at + 0x1002,
                              at + 0x100a,
                              at + 0x1012};
    expect_slid(program, links, ARRAY_LEN(links));
}

TEST("elf RELR: stands beside DT_RELA and DT_JMPREL") {
    struct elf_program *program = program_make();
    add(program, PROGRAM_TARGET, ELF_R_X86_64_RELATIVE, 0, 1);
    add_jmprel(program, PROGRAM_TARGET + 8, ELF_R_X86_64_RELATIVE, 0);
    program->relrs[0] = PROGRAM_TARGET + 16;
    program->relr_count = 1;
    program_add_relrs(program);
    program_add_jmprels(program);
    program_add_table(program);
    program_place(program);
    uint64_t before = program_word_at(program, PROGRAM_TARGET + 16);
    struct elf_error error;
    assert_int_equal(program_relocate(program, &error), ELF_OK);
    assert_int_equal(program_word_at(program, PROGRAM_TARGET), SLIPWAY_KERNEL_DEFAULT + 1);
    assert_int_equal(program_word_at(program, PROGRAM_TARGET + 8), SLIPWAY_KERNEL_DEFAULT + 77);
    assert_int_equal(program_word_at(program, PROGRAM_TARGET + 16),
                     before + SLIPWAY_KERNEL_DEFAULT);
    program_destroy(program);
}

TEST("elf RELR: a bitmap without an address and targets that cannot be are refused") {
    static const struct {
        uint64_t relrs[2];
        enum elf_status status;
        const char *text;
    } cases[] = {
        {{3, PROGRAM_TARGET},
         ELF_ERR_RELOCATION_BITMAP,
         "relocation 0 of DT_RELR is a bitmap, and no address comes before it"},
        {{PROGRAM_TARGET, 0x4ffa},
         ELF_ERR_RELOCATION_TARGET,
         "relocation 1 of DT_RELR: target 0x4ffa lies in no segment"},
        {{0x4ff0, 5},
         ELF_ERR_RELOCATION_TARGET,
         "relocation 1 of DT_RELR: target 0x5000 lies in no segment"},
        {{PROGRAM_TARGET, 0x100},
         ELF_ERR_RELOCATION_READ_ONLY,
         "relocation 1 of DT_RELR: target 0x100 lies in segment 0, which is not writable"},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct elf_program *program = program_make();
        memcpy(program->relrs, cases[i].relrs, sizeof(cases[i].relrs));
        program->relr_count = 2;
        program_add_relrs(program);
        program_refuse(program, cases[i].status, cases[i].text);
    }
}

TEST("elf RELR: a word that ends a byte behind an odd segment is refused") {
    struct elf_program *program = program_make();
    program->file.phdrs[2].mem_bytes--; // to 0x4fff
    program->relrs[0] = PROGRAM_TARGET;
    program->relrs[1] = 0x4ff8;
    program->relr_count = 2;
    program_add_relrs(program);
    program_refuse(program, ELF_ERR_RELOCATION_TARGET,
                   "relocation 1 of DT_RELR: target 0x4ff8 lies in no segment");
}

TEST("elf RELR: malformed tables of each kind are refused by name") {
    static const struct {
        struct elf64_dynamic entries[3];
        const char *text;
    } cases[] = {
        {{{ELF_DT_RELR, 0x1240}, {ELF_DT_RELRSZ, 8}, {ELF_DT_RELRENT, 16}},
         "DT_RELR, 8 bytes at 0x1240 in entries of 16, is malformed or lies in no single segment"},
        {{{ELF_DT_RELR, 0x1240}, {ELF_DT_RELRSZ, 9}, {ELF_DT_RELRENT, 8}},
         "DT_RELR, 9 bytes at 0x1240 in entries of 8, is malformed or lies in no single segment"},
        {{{ELF_DT_RELR, 0x13fc}, {ELF_DT_RELRSZ, 8}, {ELF_DT_RELRENT, 8}},
         "DT_RELR, 8 bytes at 0x13fc in entries of 8, is malformed or lies in no single segment"},
        {{{ELF_DT_JMPREL, 0x1180}, {ELF_DT_PLTRELSZ, 23}, {ELF_DT_PLTREL, ELF_DT_RELA}},
         "DT_JMPREL, 23 bytes at 0x1180 in entries of 24, is malformed or lies in no single segment"},
        {{{ELF_DT_PLTRELSZ, 24}},
         "DT_JMPREL, 24 bytes at 0x0 in entries of 24, is malformed or lies in no single segment"},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct elf_program *program = program_make();
        for (uint64_t entry = 0; entry < 3; entry++)
            if (cases[i].entries[entry].tag != 0)
                program_add_dynamic(program, cases[i].entries[entry].tag,
                                    cases[i].entries[entry].value);
        program_refuse(program, ELF_ERR_RELOCATION_TABLE, cases[i].text);
    }
}
