// Kernels of elf_file.h with section headers, placed in pieces of memory, and a reader of the file
// that counts what it reads and can fail.
#pragma once

#include "tests/unit/support/elf_file.h"

struct elf_parts_reads {
    uint64_t count;
    uint64_t fail_at; // the read that fails, from 1 on; 0: none
    struct elf_range last;
};

struct elf_parts {
    const struct elf_file *file;
    struct elf_header_view header;
    struct elf_image image;
    struct elf_piece *pieces;
    struct elf_memory memory; // of these
    struct elf_reader reader;
    struct elf_parts_reads reads;
    void *part; // what was read last, a block of its size
};

// Parses and places the file, which is accepted. The image stands in pieces of `piece_bytes`, each
// a block of its own, or in one if that is 0. Another file must not be parsed before the end.
void elf_parts_begin(struct elf_parts *parts, const struct elf_file *file, uint64_t piece_bytes);
void elf_parts_end(struct elf_parts *parts);

// Appends a section header to those at file offset `at`, of which the first is no section's.
void elf_parts_add_section(struct elf_file *file, uint64_t at, struct elf64_shdr section);
