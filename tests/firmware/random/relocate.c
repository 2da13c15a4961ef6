// The random kernel's dynamic section and its relocations.
#include "tests/firmware/random/kernel.h"

#include "common/base/arith.h"

#include <string.h>

static struct kernel_layout *const layout = &kernel_layout;

enum { DYNAMIC_MAX = 16 };

// Bytes of the relocations, of those and the symbols, and of all tables.
static uint64_t relas_bytes(void) {
    return layout->rela_count * sizeof(layout->relas[0]);
}

static uint64_t unpacked_bytes(void) {
    return relas_bytes() + sizeof(layout->symbols);
}

static uint64_t tables_bytes(void) {
    return unpacked_bytes() + layout->relr_count * sizeof(layout->relrs[0]);
}

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
        layout->dynamic_bytes = DYNAMIC_MAX * sizeof(struct elf64_dynamic);
        layout->dynamic_segment = layout->segment_count - 1;
        layout->dynamic_link = grow(boot, last, layout->dynamic_bytes);
    }
    if (layout->dynamic_bytes != 0 && layout->rela_count == 0 && boot_chance(boot, 60)) {
        uint64_t bound = boot_chance(boot, 10) ? KERNEL_RELAS_MAX + 1 : 20;
        layout->rela_count = (uint32_t)boot_below(boot, bound);
        layout->table_segment = layout->segment_count - 1;
        if (layout->rela_count != 0)
            layout->relr_count = (uint32_t)boot_below(boot, KERNEL_RELRS_MAX + 1);
        layout->table_link = grow(boot, last, tables_bytes());
    }
}

// A place for 8 bytes that may be written and are no table's; false if there is none here.
static bool random_target(struct boot *boot, uint64_t *ret_target) {
    const struct elf64_phdr *segment = &layout->segments[boot_below(boot, layout->segment_count)];
    if (segment->flags != ELF_PF_W || segment->mem_bytes < 8)
        return false;
    uint64_t target = segment->virt + boot_below(boot, segment->mem_bytes - 7);
    *ret_target = target;
    return target >= layout->table_link + tables_bytes() || target + 8 <= layout->table_link;
}

// The first is none; then one that is slid, an undefined weak one, and one that is not slid.
static void make_symbols(struct boot *boot) {
    struct elf64_symbol *symbols = layout->symbols;
    memset(symbols, 0, sizeof(layout->symbols));
    symbols[1] = (struct elf64_symbol){.section = 1, .value = random_next(&boot->random)};
    symbols[2] = (struct elf64_symbol){.info = ELF_STB_WEAK * 16};
    symbols[3] = (struct elf64_symbol){.section = ELF_SHN_ABS, .value = random_next(&boot->random)};
}

static uint32_t random_type(struct boot *boot) {
    static const uint32_t types[] = {ELF_R_X86_64_64, ELF_R_X86_64_GLOB_DAT,
                                     ELF_R_X86_64_JUMP_SLOT};
    return boot_chance(boot, 70) ? ELF_R_X86_64_RELATIVE : types[boot_below(boot, 3)];
}

// A packed one that has no place is the first one once more, and without that there are none.
static void make_packed(struct boot *boot) {
    for (uint32_t i = 0; i < layout->relr_count; i++) {
        uint64_t *relr = &layout->relrs[i];
        if (random_target(boot, relr) && *relr % 2 == 0)
            continue;
        *relr = layout->relrs[0];
        if (i == 0) {
            layout->relr_count = 0;
            return;
        }
    }
}

static void make_relocations(struct boot *boot) {
    for (uint32_t i = 0; i < layout->rela_count; i++) {
        struct elf64_rela *rela = &layout->relas[i];
        bool is_none = !random_target(boot, &rela->target) || boot_chance(boot, 3);
        rela->type = is_none ? ELF_R_X86_64_NONE : random_type(boot);
        rela->symbol = (uint32_t)boot_below(boot, KERNEL_SYMBOLS);
        rela->addend =
            boot_chance(boot, 20) ? random_next(&boot->random) : boot_below(boot, 1 << 20);
    }
    uint8_t *tables = boot_kernel_file + layout->table_file;
    memcpy(tables, layout->relas, relas_bytes());
    memcpy(tables + relas_bytes(), layout->symbols, sizeof(layout->symbols));
    memcpy(tables + unpacked_bytes(), layout->relrs, layout->relr_count * sizeof(layout->relrs[0]));
}

// The tags that matter in any order, others among them.
static void write_dynamic(struct boot *boot) {
    struct elf64_dynamic entries[DYNAMIC_MAX] = {0};
    const struct elf64_dynamic known[] = {
        {ELF_DT_RELA, layout->table_link},
        {ELF_DT_RELASZ, relas_bytes()},
        {ELF_DT_RELAENT, sizeof(struct elf64_rela)},
        {ELF_DT_SYMTAB, layout->table_link + relas_bytes()},
        {ELF_DT_SYMENT, sizeof(struct elf64_symbol)},
        {ELF_DT_RELR, layout->table_link + unpacked_bytes()},
        {ELF_DT_RELRSZ, layout->relr_count * sizeof(layout->relrs[0])},
        {ELF_DT_RELRENT, sizeof(layout->relrs[0])},
    };
    const uint64_t most = ARRAY_LEN(known);
    uint64_t first = boot_below(boot, most);
    uint64_t count = 0;
    for (uint64_t i = 0; i < most && layout->rela_count != 0; i++) {
        while (boot_chance(boot, 30) && count < DYNAMIC_MAX - 3 - (most - i))
            entries[count++] = (struct elf64_dynamic){0x6ffffff9, random_next(&boot->random)};
        entries[count++] = known[(first + i) % most];
    }
    if (boot_chance(boot, 30))
        entries[count++] = (struct elf64_dynamic){ELF_DT_FLAGS, 8}; // BIND_NOW
    memcpy(boot_kernel_file + layout->dynamic_file, entries, sizeof(entries));
}

void kernel_write_tables(struct boot *boot) {
    make_symbols(boot);
    make_packed(boot);
    write_dynamic(boot);
    make_relocations(boot);
}

static uint64_t value_of(const struct elf64_rela *rela, uint64_t slide) {
    const struct elf64_symbol *symbol = &layout->symbols[rela->symbol];
    uint64_t value = symbol->section == 1 ? symbol->value + slide : symbol->value;
    if (rela->type == ELF_R_X86_64_RELATIVE)
        return slide + rela->addend;
    return rela->type == ELF_R_X86_64_64 ? value + rela->addend : value;
}

void kernel_relocate(uint8_t *image, uint64_t link, uint64_t slide) {
    for (uint32_t i = 0; i < layout->rela_count; i++) {
        const struct elf64_rela *rela = &layout->relas[i];
        uint64_t value = value_of(rela, slide);
        if (rela->type != ELF_R_X86_64_NONE)
            memcpy(image + (rela->target - link), &value, sizeof(value));
    }
    for (uint32_t i = 0; i < layout->relr_count; i++) {
        uint64_t value;
        memcpy(&value, image + (layout->relrs[i] - link), sizeof(value));
        value += slide;
        memcpy(image + (layout->relrs[i] - link), &value, sizeof(value));
    }
}
