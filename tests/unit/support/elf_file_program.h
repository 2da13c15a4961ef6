// Position-independent kernels as a linker would make them, with tables of relocations and symbols,
// and their images in memory.
#pragma once

#include "tests/unit/support/elf_file.h"

enum {
    PROGRAM_RELAS = 0x1000, // link addresses, in the read-only data
    PROGRAM_JMPRELS = 0x1180,
    PROGRAM_RELRS = 0x1240,
    PROGRAM_SYMBOLS = 0x12c0,
    PROGRAM_STRINGS = 0x1380, // to its end
    PROGRAM_DYNAMIC = 0x2000, // in the data
    PROGRAM_TARGET = 0x2800,
};

struct elf_program {
    struct elf_file file; // linked at 0: its program header 3 is PT_DYNAMIC
    struct elf64_rela relas[16];
    uint64_t rela_count;
    struct elf64_rela jmprels[8];
    uint64_t jmprel_count;
    uint64_t relrs[16];
    uint64_t relr_count;
    struct elf64_symbol symbols[8]; // the first is none
    uint32_t symbol_count;
    char strings[0x80];
    uint64_t strings_bytes;
    struct elf64_dynamic dynamic[24];
    uint64_t dynamic_count;
    struct elf_image image;
    uint8_t *placed; // a heap block of exactly its size
};

struct elf_program *program_make(void);
void program_destroy(struct elf_program *program);

void program_add_dynamic(struct elf_program *program, uint64_t tag, uint64_t value);
void program_add_rela(struct elf_program *program, uint64_t target, uint32_t type, uint64_t addend);

// Returns the symbol's number.
uint32_t program_add_symbol(struct elf_program *program, const char *name,
                            struct elf64_symbol symbol);

// The usual entries of the dynamic section for all that was added of a kind.
void program_add_table(struct elf_program *program);
void program_add_jmprels(struct elf_program *program);
void program_add_relrs(struct elf_program *program);
void program_add_symbols(struct elf_program *program);

// Writes tables into the file, parses it, and places the image as the loader does.
void program_place(struct elf_program *program);

uint64_t program_word_at(const struct elf_program *program, uint64_t link);

// Relocates the placed image in one piece, and asserts that in pieces the same comes of it.
enum elf_status program_relocate(struct elf_program *program, struct elf_error *ret_error);

// Place the image and relocate it; where it is refused, no byte of it changes, and the program is
// destroyed.
void program_accept(struct elf_program *program);
void program_refuse(struct elf_program *program, enum elf_status want, const char *text);
