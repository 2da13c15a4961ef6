// Kernels for the ELF tests, made in memory: header, program headers, then 28 KiB of contents from
// file offset 0x1000 on. Tests change the fields that they are about.
#pragma once

#include "loader/elf.h"
#include "loader/elf_format.h"

#include <stdint.h>

enum {
    ELF_FILE_PHDRS = 70,
    ELF_FILE_TEXT = 0, // program headers of elf_file_make
    ELF_FILE_RODATA = 1,
    ELF_FILE_DATA = 2,
};

#define ELF_FILE_BASE UINT64_C(0xffffffff80000000)

struct elf_file {
    struct elf64_header header;
    struct elf64_phdr phdrs[ELF_FILE_PHDRS];
    uint8_t contents[0x8000 - 64 - 56 * ELF_FILE_PHDRS];
};
_Static_assert(sizeof(struct elf_file) == 0x8000, "the file has no holes");

// An ET_EXEC kernel that is in order: text RX at ELF_FILE_BASE, read-only data at + 0x1000, data
// with a zeroed tail at + 0x2000; entry at + 0x10. Each segment's file bytes are at 0x1000 +
// (virt - ELF_FILE_BASE), and every file byte from 0x1000 on is its offset modulo 251.
struct elf_file elf_file_make(void);

// The same as ET_DYN, linked at 0.
struct elf_file elf_file_make_dyn(void);

// Links the kernel elsewhere: every address moves.
void elf_file_move(struct elf_file *file, uint64_t by);

// Appends a program header of this type and range and returns it. `offset` is its file offset.
struct elf64_phdr *elf_file_add(struct elf_file *file, uint32_t type, uint64_t offset,
                                uint64_t virt, uint64_t bytes);

// Parses header and segments as the loader does, by Slipway's rules. The image's lists are valid
// until the next call.
enum elf_status elf_file_parse(const struct elf_file *file, uint64_t file_bytes,
                               struct elf_image *ret_image, struct elf_error *ret_error);

// The same by nobody's rules.
enum elf_status elf_file_parse_any(const struct elf_file *file, uint64_t file_bytes,
                                   struct elf_image *ret_image, struct elf_error *ret_error);

// Asserts that `error` prints exactly `want`.
void elf_file_expect_text(const struct elf_error *error, const char *want);

// Asserts that the file is accepted without an error, and returns its image.
struct elf_image elf_file_accept(const struct elf_file *file);

// Asserts that these are all runs of the image.
void elf_file_expect_runs(const struct elf_image *image, const struct elf_run *want,
                          uint32_t count);

// Asserts that the file is refused for `want`, in exactly these words, and that no image comes of
// it; of the second, its first `file_bytes` bytes.
void elf_file_refuse(const struct elf_file *file, enum elf_status want, const char *text);
void elf_file_refuse_cut(const struct elf_file *file, uint64_t file_bytes, enum elf_status want,
                         const char *text);
