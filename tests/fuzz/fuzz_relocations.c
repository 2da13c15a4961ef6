// Relocations of every kind, with symbols: tables that are patched, in an image in pieces. What is
// refused leaves the image as it was; what is not writes to writable segments alone, outside of its
// tables, and the same whatever the pieces.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"
#include "tests/fuzz/patch.h"

#include <stdlib.h>

// Offsets in the image.
enum {
    TEXT = 0,
    TABLES = 0x100, // read-only
    RELAS = 0x100,
    JMPRELS = 0x180,
    RELRS = 0x1e0,
    SYMBOLS = 0x200,
    STRINGS = 0x280,
    TABLES_END = 0x2c0,
    DATA = 0x300, // behind a hole
    DYNAMIC = 0x300,
    DATA_END = 0x500,
    SEGMENTS = 3,
};

#define BASE SLIPWAY_KERNEL_DEFAULT

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void make_image(uint8_t *image) {
    const struct elf64_rela relas[] = {
        {DATA + 0x100, ELF_R_X86_64_RELATIVE, 0, 0x10}, {DATA + 0x108, ELF_R_X86_64_64, 1, 4},
        {DATA + 0x110, ELF_R_X86_64_GLOB_DAT, 2, 0},    {DATA + 0x118, ELF_R_X86_64_64, 3, 1},
        {DATA + 0x120, ELF_R_X86_64_NONE, 0, 0},
    };
    const struct elf64_rela jmprels[] = {
        {DATA + 0x128, ELF_R_X86_64_JUMP_SLOT, 1, 0},
        {DATA + 0x130, ELF_R_X86_64_JUMP_SLOT, 4, 0},
    };
    const uint64_t relrs[] = {DATA + 0x140, 0x2b, DATA + 0x1f0};
    const struct elf64_symbol symbols[] = {
        {0},
        {.name = 1, .info = ELF_STB_GLOBAL * 16, .section = 1, .value = 0x20},
        {.name = 5, .info = ELF_STB_WEAK * 16},
        {.name = 9, .info = ELF_STB_GLOBAL * 16, .section = ELF_SHN_ABS, .value = 0x99},
        {.name = 13, .info = ELF_STB_WEAK * 16, .section = 2, .value = 0x310},
    };
    const struct elf64_dynamic dynamic[] = {
        {ELF_DT_RELA, RELAS},
        {ELF_DT_RELASZ, sizeof(relas)},
        {ELF_DT_RELAENT, 24},
        {ELF_DT_JMPREL, JMPRELS},
        {ELF_DT_PLTREL, ELF_DT_RELA},
        {ELF_DT_PLTRELSZ, sizeof(jmprels)},
        {ELF_DT_RELR, RELRS},
        {ELF_DT_RELRSZ, sizeof(relrs)},
        {ELF_DT_RELRENT, 8},
        {ELF_DT_SYMTAB, SYMBOLS},
        {ELF_DT_SYMENT, 24},
        {ELF_DT_STRTAB, STRINGS},
        {ELF_DT_STRSZ, 17},
        {ELF_DT_FLAGS, 8},
        {ELF_DT_NULL, 0},
    };
    _Static_assert(RELAS + sizeof(relas) <= JMPRELS && JMPRELS + sizeof(jmprels) <= RELRS);
    _Static_assert(RELRS + sizeof(relrs) <= SYMBOLS && SYMBOLS + sizeof(symbols) <= STRINGS);
    _Static_assert(DYNAMIC + sizeof(dynamic) <= DATA + 0x100);
    memset(image, 0, DATA_END);
    memcpy(image + RELAS, relas, sizeof(relas));
    memcpy(image + JMPRELS, jmprels, sizeof(jmprels));
    memcpy(image + RELRS, relrs, sizeof(relrs));
    memcpy(image + SYMBOLS, symbols, sizeof(symbols));
    memcpy(image + STRINGS, "\0one\0two\0abs\0own", 17);
    memcpy(image + DYNAMIC, dynamic, sizeof(dynamic));
}

static void drop(void *context, const char *text, size_t bytes) {
    *(size_t *)context += bytes + (text[0] == '\0');
}

// A refusal has words, and all that it names can be printed.
static void check_error(const struct elf_error *error) {
    size_t printed = 0;
    struct sink sink = {drop, &printed};
    require(error->status >= ELF_ERR_LIBRARY && error->status < ELF_IS_GZIP);
    for (const char *at = error->name; *at != '\0'; at++)
        require(*at >= ' ' && *at <= '~' && at < error->name + sizeof(error->name) - 1);
    elf_error_print(&sink, error);
    require(printed > 0);
}

// The segments in pieces of `piece_bytes` bytes, each a heap block of its own.
static enum elf_status relocate(const struct elf_image *elf, uint8_t *image, uint64_t piece_bytes,
                                struct elf_error *ret_error) {
    struct elf_piece pieces[DATA_END];
    struct elf_memory memory = {pieces, 0};
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *segment = &elf->segments[i];
        for (uint64_t at = 0; at < segment->mem_bytes; at += piece_bytes) {
            uint64_t size = min_u64(piece_bytes, segment->mem_bytes - at);
            uint8_t *block = malloc(size);
            memcpy(block, image + (segment->virt + at - BASE), size);
            pieces[memory.count++] = (struct elf_piece){segment->virt + at, size, block};
        }
    }
    enum elf_status status = elf_relocate(elf, &memory, ret_error);
    for (uint64_t i = 0; i < memory.count; i++) {
        memcpy(image + (pieces[i].virt - BASE), pieces[i].memory, pieces[i].bytes);
        free(pieces[i].memory);
    }
    return status;
}

// The first byte is the size of a piece, the rest patches.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0)
        return 0;
    struct elf_segment segments[SEGMENTS] = {
        {.virt = BASE + TEXT, .mem_bytes = TABLES - TEXT, .execute = true},
        {.virt = BASE + TABLES, .mem_bytes = TABLES_END - TABLES},
        {.virt = BASE + DATA, .mem_bytes = DATA_END - DATA, .write = true},
    };
    const struct elf_image elf = {
        .type = ELF_TYPE_DYN,
        .slide = BASE,
        .virt_start = BASE,
        .virt_end = BASE + 0x1000,
        .segments = segments,
        .segment_count = SEGMENTS,
        .dynamic_virt = BASE + DYNAMIC,
        .dynamic_bytes = 16 * 16,
    };
    uint8_t before[DATA_END], whole[DATA_END], parts[DATA_END];
    make_image(before);
    patch_apply(data + 1, bytes - 1, before, sizeof(before));
    memcpy(whole, before, sizeof(whole));
    memcpy(parts, before, sizeof(parts));
    struct elf_error error = {0}, same = {0};
    segments[1].write = bytes > 1 && data[1] % 16 == 15; // tables that could change
    enum elf_status status = relocate(&elf, whole, DATA_END, &error);
    require(relocate(&elf, parts, 1 + data[0], &same) == status);
    require(memcmp(whole, parts, sizeof(whole)) == 0);
    require(memcmp(&error, &same, sizeof(error)) == 0);
    require(bytes > 1 || status == ELF_OK); // nothing is patched
    if (status != ELF_OK)
        check_error(&error);
    if (status != ELF_OK || !segments[1].write)
        require(memcmp(whole, before, status != ELF_OK ? DATA_END : DATA) == 0);
    require(memcmp(whole, before, TABLES) == 0);
    return 0;
}
