// What the files of the ELF reader share. Nobody else includes this but loader/host/relocations.c,
// which counts what they apply.
#pragma once

#include "loader/elf.h"

// Fills *ret_error and returns its status: ELF_FAIL(ret_error, ELF_ERR_CLASS, .a = class).
#define ELF_FAIL(ret_error, code, ...)                                                             \
    elf_fail(ret_error, (struct elf_error){.status = (code)__VA_OPT__(, ) __VA_ARGS__})

static inline enum elf_status elf_fail(struct elf_error *ret_error, struct elf_error error) {
    *ret_error = error;
    return error.status;
}

// True if the `bytes` bytes at `at` (any number) begin with the head of a Slipway note.
bool elf_is_note(const uint8_t *at, uint64_t bytes);

// Reads this part, called `what` in messages. Fails by ELF_ERR_READ.
enum elf_status elf_read_part(const struct elf_reader *reader, struct elf_range range,
                              const char *what, const void **ret_part, struct elf_error *ret_error);

// True, with its range, if section `index` is of this type and has bytes, all of them in the file.
// `headers` are all section headers.
bool elf_section_range(const struct elf_reader *reader, const uint8_t *headers, uint32_t index,
                       uint32_t type, struct elf_range *ret_range);

// The segment with all of [virt, virt + bytes) in its memory (run addresses), or null.
const struct elf_segment *elf_find_segment(const struct elf_image *image, uint64_t virt,
                                           uint64_t bytes);

// Tables of relocations that a dynamic section may name.
enum {
    ELF_TABLE_RELA,
    ELF_TABLE_JMPREL,
    ELF_TABLE_RELR,
    ELF_TABLES,
};

struct elf_table {
    uint8_t tag; // ELF_DT_...: of its address, its bytes, and the bytes of an entry (0: none)
    uint8_t bytes_tag;
    uint8_t each_tag;
    uint8_t each;  // bytes of an entry
    uint64_t virt; // run address; all of the table lies in one segment
    uint64_t count;
};

struct elf_dynamic {
    struct elf_table tables[ELF_TABLES];
    uint64_t symbols; // run address
    uint64_t symbol_count;
    uint64_t strings;
    uint64_t strings_bytes;
};

// Reads the dynamic section of a placed image. What needs a dynamic linker is refused.
enum elf_status elf_read_dynamic(const struct elf_image *image, const struct elf_memory *memory,
                                 struct elf_dynamic *ret_dynamic, struct elf_error *ret_error);

// The run value of a symbol: 0 if that is undefined and weak. `error` has what a refusal says
// besides of the relocation that asks.
enum elf_status elf_find_symbol(const struct elf_image *image, const struct elf_memory *memory,
                                const struct elf_dynamic *dynamic, uint32_t number,
                                struct elf_error error, uint64_t *ret_value,
                                struct elf_error *ret_error);
