// The image of a kernel for Limine, which stands in one piece: what every address in a request is
// held against before it is followed. Of the files that read requests alone.
#pragma once

#include "common/base/assert.h"
#include "loader/elf.h"

#include <stdbool.h>
#include <stdint.h>

struct limine_image {
    uint64_t start; // run addresses
    uint64_t end;
    const uint8_t *memory; // of start
};

static inline struct limine_image limine_image_of(const struct elf_image *image,
                                                  const struct elf_memory *memory) {
    const struct elf_piece *piece = elf_find_piece(memory, image->virt_start);
    ASSERT(piece != NULL && image->virt_end - piece->virt <= piece->bytes);
    return (struct limine_image){image->virt_start, image->virt_end,
                                 piece->memory + (image->virt_start - piece->virt)};
}

// Bytes from `virt` to the image's end; 0 if it lies outside.
static inline uint64_t limine_image_left(const struct limine_image *image, uint64_t virt) {
    return virt >= image->start && virt < image->end ? image->end - virt : 0;
}

static inline const uint8_t *limine_image_at(const struct limine_image *image, uint64_t virt) {
    return image->memory + (virt - image->start);
}

// The word at `virt`, all of which lies in the image.
static inline uint64_t limine_image_word(const struct limine_image *image, uint64_t virt) {
    uint64_t word;
    ASSERT(limine_image_left(image, virt) >= sizeof(word));
    __builtin_memcpy(&word, limine_image_at(image, virt), sizeof(word));
    return word;
}
