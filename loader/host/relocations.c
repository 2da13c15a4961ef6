// See relocations.h.
#include "loader/host/relocations.h"

#include "common/base/arith.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

static void count_entry(struct relocations *counts, const struct elf64_rela *rela) {
    counts->none += rela->type == ELF_R_X86_64_NONE;
    counts->relative += rela->type == ELF_R_X86_64_RELATIVE;
    counts->word += rela->type == ELF_R_X86_64_64;
    counts->glob_dat += rela->type == ELF_R_X86_64_GLOB_DAT;
    counts->jump_slot += rela->type == ELF_R_X86_64_JUMP_SLOT;
}

static void count_entries(struct relocations *counts, const struct elf_table *table,
                          const struct elf_memory *memory) {
    for (uint64_t i = 0; i < table->count; i++) {
        struct elf64_rela rela;
        elf_read_memory(memory, table->virt + i * table->each, &rela, sizeof(rela));
        count_entry(counts, &rela);
    }
}

// An even word is an address, an odd one a bitmap whose bit 0 says so.
static void count_packed(struct relocations *counts, const struct elf_table *table,
                         const struct elf_memory *memory) {
    for (uint64_t i = 0; i < table->count; i++) {
        uint64_t word;
        elf_read_memory(memory, table->virt + i * table->each, &word, sizeof(word));
        counts->packed += word % 2 == 0 ? 1 : (uint64_t)__builtin_popcountll(word >> 1);
    }
}

// A section that the relocations have changed may name tables no more: then there are none.
struct relocations relocations_count(const struct elf_image *image,
                                     const struct elf_memory *memory) {
    struct relocations counts = {0};
    struct elf_dynamic dynamic;
    struct elf_error error;
    if (elf_read_dynamic(image, memory, &dynamic, &error) != ELF_OK)
        return counts;
    count_entries(&counts, &dynamic.tables[ELF_TABLE_RELA], memory);
    count_entries(&counts, &dynamic.tables[ELF_TABLE_JMPREL], memory);
    count_packed(&counts, &dynamic.tables[ELF_TABLE_RELR], memory);
    return counts;
}
