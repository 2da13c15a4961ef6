// What the files of the ELF reader share. Nobody else includes this.
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

// The segment with all of [virt, virt + bytes) in its memory (run addresses), or null.
const struct elf_segment *elf_find_segment(const struct elf_image *image, uint64_t virt,
                                           uint64_t bytes);
