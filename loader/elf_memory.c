// Reading and writing of an image that stands in pieces: see elf.h.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"

const struct elf_piece *elf_find_piece(const struct elf_memory *memory, uint64_t virt) {
    uint64_t low = 0; // pieces before it end at or below virt
    uint64_t high = memory->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct elf_piece *piece = &memory->pieces[middle];
        if (virt - piece->virt < piece->bytes)
            return piece;
        if (virt < piece->virt)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

uint8_t *elf_memory_at(const struct elf_memory *memory, uint64_t virt, uint64_t bytes,
                       uint64_t *ret_bytes) {
    const struct elf_piece *piece = elf_find_piece(memory, virt);
    ASSERT(piece != NULL);
    *ret_bytes = min_u64(bytes, piece->bytes - (virt - piece->virt));
    return piece->memory + (virt - piece->virt);
}

void elf_read_memory(const struct elf_memory *memory, uint64_t virt, void *ret_bytes,
                     uint64_t bytes) {
    uint64_t part;
    for (uint64_t done = 0; done < bytes; done += part) {
        const uint8_t *from = elf_memory_at(memory, virt + done, bytes - done, &part);
        memcpy((uint8_t *)ret_bytes + done, from, part);
    }
}

void elf_write_memory(const struct elf_memory *memory, uint64_t virt, const void *from,
                      uint64_t bytes) {
    uint64_t part;
    for (uint64_t done = 0; done < bytes; done += part) {
        uint8_t *to = elf_memory_at(memory, virt + done, bytes - done, &part);
        memcpy(to, (const uint8_t *)from + done, part);
    }
}
