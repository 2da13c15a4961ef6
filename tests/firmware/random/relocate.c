// The random kernel's dynamic section and its relocations.
#include "tests/firmware/random/kernel.h"

#include <string.h>

static struct kernel_layout *const layout = &kernel_layout;

// Grows a segment's file bytes by a place for a table, and says where.
static uint64_t grow(struct boot *boot, struct elf64_phdr *segment, uint64_t bytes) {
    uint64_t gap = boot_below(boot, 2) * boot_below(boot, 9);
    uint64_t offset = segment->file_bytes + gap;
    segment->file_bytes += gap + bytes;
    segment->mem_bytes += gap + bytes;
    return offset;
}

// The newest segment may hold the dynamic section, and it or a later one the relocations.
void kernel_reserve_tables(struct boot *boot) {
    struct elf64_phdr *last = &layout->segments[layout->segment_count - 1];
    if (layout->dynamic_bytes == 0 && boot_chance(boot, 40)) {
        layout->dynamic_bytes = 10 * sizeof(struct elf64_dynamic);
        layout->dynamic_segment = layout->segment_count - 1;
        layout->dynamic_link = grow(boot, last, layout->dynamic_bytes);
    }
    if (layout->dynamic_bytes != 0 && layout->rela_count == 0 && boot_chance(boot, 60)) {
        uint64_t bound = boot_chance(boot, 10) ? KERNEL_RELAS_MAX + 1 : 20;
        layout->rela_count = (uint32_t)boot_below(boot, bound);
        layout->table_segment = layout->segment_count - 1;
        layout->table_link = grow(boot, last, layout->rela_count * sizeof(struct elf64_rela));
    }
}

// A place for 8 bytes that may be written and are not the table's; false if there is none here.
static bool random_target(struct boot *boot, uint64_t *ret_target) {
    const struct elf64_phdr *segment = &layout->segments[boot_below(boot, layout->segment_count)];
    if (segment->flags != ELF_PF_W || segment->mem_bytes < 8)
        return false;
    uint64_t target = segment->virt + boot_below(boot, segment->mem_bytes - 7);
    uint64_t table_end = layout->table_link + layout->rela_count * sizeof(struct elf64_rela);
    *ret_target = target;
    return target >= table_end || target + 8 <= layout->table_link;
}

static void make_relocations(struct boot *boot) {
    for (uint32_t i = 0; i < layout->rela_count; i++) {
        struct elf64_rela *rela = &layout->relas[i];
        bool is_none = !random_target(boot, &rela->target) || boot_chance(boot, 3);
        rela->type = is_none ? ELF_R_X86_64_NONE : ELF_R_X86_64_RELATIVE;
        rela->symbol = 0;
        rela->addend =
            boot_chance(boot, 20) ? random_next(&boot->random) : boot_below(boot, 1 << 20);
    }
    memcpy(boot_kernel_file + layout->table_file, layout->relas,
           layout->rela_count * sizeof(layout->relas[0]));
}

// The tags that matter in any order, others among them.
static void write_dynamic(struct boot *boot) {
    struct elf64_dynamic entries[10] = {0};
    const struct elf64_dynamic known[] = {
        {ELF_DT_RELA, layout->table_link},
        {ELF_DT_RELASZ, layout->rela_count * sizeof(struct elf64_rela)},
        {ELF_DT_RELAENT, sizeof(struct elf64_rela)},
    };
    uint64_t first = boot_below(boot, 3);
    uint64_t count = 0;
    for (uint64_t i = 0; i < 3 && layout->rela_count != 0; i++) {
        while (boot_chance(boot, 40) && count < 7 - (3 - i))
            entries[count++] = (struct elf64_dynamic){0x6ffffff9, random_next(&boot->random)};
        entries[count++] = known[(first + i) % 3];
    }
    if (boot_chance(boot, 30))
        entries[count++] = (struct elf64_dynamic){ELF_DT_FLAGS, 8}; // BIND_NOW
    memcpy(boot_kernel_file + layout->dynamic_file, entries, sizeof(entries));
}

void kernel_write_tables(struct boot *boot) {
    write_dynamic(boot);
    make_relocations(boot);
}
