// What the files of the ELF reader share; of no interest outside it.
#pragma once

#include "loader/elf.h"

// Fills *ret_error and returns its status: ELF_FAIL(ret_error, ELF_ERR_CLASS, .a = class).
#define ELF_FAIL(ret_error, code, ...)                                                             \
    elf_fail(ret_error, (struct elf_error){.status = (code)__VA_OPT__(, ) __VA_ARGS__})

static inline enum elf_status elf_fail(struct elf_error *ret_error, struct elf_error error) {
    *ret_error = error;
    return error.status;
}

// Whether the `bytes` bytes at `at`, any number, begin with the head of a Slipway note.
bool elf_is_note(const uint8_t *at, uint64_t bytes);

// The segment whose memory holds all of [virt, virt + bytes), run addresses; null if none does.
const struct elf_segment *elf_find_segment(const struct elf_image *image, uint64_t virt,
                                           uint64_t bytes);
