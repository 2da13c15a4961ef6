// How the random kernel lies in its file: what kernel.c makes, break.c breaks and note.c adds to.
#pragma once

#include "loader/elf_format.h"
#include "tests/firmware/random/boot.h"

#define KERNEL_FILE_BYTES_MAX  MIB(6)
#define KERNEL_IMAGE_BYTES_MAX ((uint64_t)BOOT_KERNEL_PAGES_MAX * FRAME_BYTES)

enum {
    KERNEL_PHDRS_MAX = 128,
    KERNEL_RELAS_MAX = 400,
    KERNEL_RELRS_MAX = 20,
    KERNEL_SYMBOLS = 4,
};

struct kernel_layout {
    struct elf64_phdr segments[BOOT_SEGMENTS_MAX]; // rising, at link addresses
    uint32_t segment_count;
    uint64_t file_end;
    uint64_t align;         // the largest of a segment, a page at least
    uint64_t dynamic_bytes; // 0: none
    uint64_t dynamic_link;
    uint64_t dynamic_file;
    uint32_t dynamic_segment;
    uint64_t table_link; // of the relocations, behind which stand symbols and packed relocations
    uint64_t table_file;
    uint32_t table_segment;
    uint32_t rela_count;
    struct elf64_rela relas[KERNEL_RELAS_MAX];
    uint32_t relr_count;
    uint64_t relrs[KERNEL_RELRS_MAX]; // addresses alone
    struct elf64_symbol symbols[KERNEL_SYMBOLS];
    struct elf64_phdr relro;                   // type 0: none
    uint64_t notes_file;                       // of the notes with the kernel's wishes
    uint64_t notes_bytes;                      // 0: none
    uint64_t wishes_file;                      // of the note among them
    struct elf64_phdr phdrs[KERNEL_PHDRS_MAX]; // as in the file, shuffled
    uint32_t phdr_count;
};

extern struct kernel_layout kernel_layout;

// Room in the file, of its own.
uint64_t kernel_take_file(struct boot *boot, uint64_t bytes, uint64_t align);

// The newest segment may get room for the dynamic section, and it or a later one for the
// relocations. Both are written when their addresses are known.
void kernel_reserve_tables(struct boot *boot);
void kernel_write_tables(struct boot *boot);

// Relocates the image, of which byte 0 is linked at `link`.
void kernel_relocate(uint8_t *image, uint64_t link, uint64_t slide);

// One more program header.
void kernel_add_phdr(struct elf64_phdr phdr);

// Writes the program headers, then the file header, again.
void kernel_write_headers(void);
