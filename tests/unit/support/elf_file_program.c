#include "tests/unit/support/elf_file_program.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

struct elf_program *program_make(void) {
    struct elf_program *program = calloc(1, sizeof(*program));
    program->file = elf_file_make_dyn();
    elf_file_add(&program->file, ELF_PT_DYNAMIC, 0x1000 + PROGRAM_DYNAMIC, PROGRAM_DYNAMIC,
                 sizeof(program->dynamic));
    program->strings_bytes = 1;
    program->symbol_count = 1;
    return program;
}

void program_add_dynamic(struct elf_program *program, uint64_t tag, uint64_t value) {
    assert_true(program->dynamic_count < ARRAY_LEN(program->dynamic));
    program->dynamic[program->dynamic_count++] = (struct elf64_dynamic){tag, value};
}

void program_add_rela(struct elf_program *program, uint64_t target, uint32_t type,
                      uint64_t addend) {
    assert_true(program->rela_count < ARRAY_LEN(program->relas));
    program->relas[program->rela_count++] =
        (struct elf64_rela){.target = target, .type = type, .addend = addend};
}

void program_add_table(struct elf_program *program) {
    program_add_dynamic(program, ELF_DT_RELA, PROGRAM_RELAS);
    program_add_dynamic(program, ELF_DT_RELASZ, program->rela_count * sizeof(struct elf64_rela));
    program_add_dynamic(program, ELF_DT_RELAENT, sizeof(struct elf64_rela));
}

void program_add_jmprels(struct elf_program *program) {
    program_add_dynamic(program, ELF_DT_JMPREL, PROGRAM_JMPRELS);
    program_add_dynamic(program, ELF_DT_PLTRELSZ,
                        program->jmprel_count * sizeof(struct elf64_rela));
    program_add_dynamic(program, ELF_DT_PLTREL, ELF_DT_RELA);
}

void program_add_relrs(struct elf_program *program) {
    program_add_dynamic(program, ELF_DT_RELR, PROGRAM_RELRS);
    program_add_dynamic(program, ELF_DT_RELRSZ, program->relr_count * sizeof(uint64_t));
    program_add_dynamic(program, ELF_DT_RELRENT, sizeof(uint64_t));
}

void program_add_symbols(struct elf_program *program) {
    program_add_dynamic(program, ELF_DT_SYMTAB, PROGRAM_SYMBOLS);
    program_add_dynamic(program, ELF_DT_SYMENT, sizeof(struct elf64_symbol));
    program_add_dynamic(program, ELF_DT_STRTAB, PROGRAM_STRINGS);
    program_add_dynamic(program, ELF_DT_STRSZ, program->strings_bytes);
}

uint32_t program_add_symbol(struct elf_program *program, const char *name,
                            struct elf64_symbol symbol) {
    uint64_t bytes = strlen(name) + 1;
    assert_true(program->symbol_count < ARRAY_LEN(program->symbols));
    assert_true(program->strings_bytes + bytes <= sizeof(program->strings));
    symbol.name = (uint32_t)program->strings_bytes;
    memcpy(program->strings + program->strings_bytes, name, bytes);
    program->strings_bytes += bytes;
    program->symbols[program->symbol_count] = symbol;
    return program->symbol_count++;
}

void program_place(struct elf_program *program) {
    uint8_t *file = (uint8_t *)&program->file + 0x1000;
    memcpy(file + PROGRAM_DYNAMIC, program->dynamic, sizeof(program->dynamic));
    memcpy(file + PROGRAM_RELAS, program->relas, sizeof(program->relas));
    memcpy(file + PROGRAM_JMPRELS, program->jmprels, sizeof(program->jmprels));
    memcpy(file + PROGRAM_RELRS, program->relrs, sizeof(program->relrs));
    memcpy(file + PROGRAM_SYMBOLS, program->symbols, sizeof(program->symbols));
    memcpy(file + PROGRAM_STRINGS, program->strings, sizeof(program->strings));
    struct elf_image *image = &program->image;
    struct elf_error error;
    assert_int_equal(elf_file_parse(&program->file, sizeof(program->file), image, &error), ELF_OK);
    program->placed = calloc(1, image->virt_end - image->virt_start);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        memcpy(program->placed + (segment->virt - image->virt_start),
               (const uint8_t *)&program->file + segment->file_offset, segment->file_bytes);
    }
}

void program_destroy(struct elf_program *program) {
    free(program->placed);
    free(program);
}

uint64_t program_word_at(const struct elf_program *program, uint64_t link) {
    uint64_t word;
    memcpy(&word, program->placed + link, sizeof(word));
    return word;
}

// The memory of [virt, virt + bytes) of the image in pieces of `piece_bytes`, each of them a heap
// block of its own, appended to `pieces`.
static uint64_t add_pieces(const struct elf_program *program, uint64_t virt, uint64_t bytes,
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
static void expect_same_in_pieces(const struct elf_program *program, uint64_t piece_bytes,
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

enum elf_status program_relocate(struct elf_program *program, struct elf_error *ret_error) {
    const struct elf_image *image = &program->image;
    uint64_t bytes = image->virt_end - image->virt_start;
    const uint64_t sizes[] = {1, 7, 24, 60, 4096, UINT64_MAX};
    struct elf_program before = *program;
    before.placed = malloc(bytes);
    memcpy(before.placed, program->placed, bytes);
    const struct elf_piece whole = {image->virt_start, bytes, program->placed};
    enum elf_status status = elf_relocate(image, &(struct elf_memory){&whole, 1}, ret_error);
    for (uint64_t i = 0; i < ARRAY_LEN(sizes); i++)
        expect_same_in_pieces(&before, sizes[i], status, program->placed);
    free(before.placed);
    return status;
}

void program_accept(struct elf_program *program) {
    struct elf_error error = {0};
    program_place(program);
    assert_int_equal(program_relocate(program, &error), ELF_OK);
    assert_int_equal(error.status, ELF_OK);
}

void program_refuse(struct elf_program *program, enum elf_status want, const char *text) {
    struct elf_error error = {0};
    program_place(program);
    uint64_t bytes = program->image.virt_end - program->image.virt_start;
    uint8_t *before = malloc(bytes);
    memcpy(before, program->placed, bytes);
    assert_int_equal(program_relocate(program, &error), want);
    elf_file_expect_text(&error, text);
    assert_memory_equal(program->placed, before, bytes);
    free(before);
    program_destroy(program);
}
