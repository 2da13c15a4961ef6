// Relocation of a placed image: see elf.h.
//
// Everything comes from the image itself, so nothing is believed: each table must lie in one
// segment's memory, and all relocations are checked before the first is applied. The relocations
// must not change a table of theirs, or the second pass would meet entries that the first never
// saw.
//
// x86-64 psABI 4.4.1 (types); gABI draft of 2018, "Relative Relocation Table" (DT_RELR).
#include "loader/elf.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

#define TARGET_BYTES sizeof(uint64_t)
#define ENTRY_MAX    sizeof(struct elf64_rela)
#define RELR_WORDS   63 // that a bitmap of DT_RELR stands for

// Words that can be written directly: those that begin in [virt, virt + room) stand at `memory`.
// The next target mostly lies in the window of the last one.
struct window {
    uint64_t virt;
    uint64_t room;
    uint8_t *memory;
};

struct relocator {
    const struct elf_image *image;
    const struct elf_memory *memory;
    struct elf_dynamic dynamic;
    uint64_t symbols_used;         // one more than the highest number
    const struct elf_table *table; // that is walked through
    struct window targets;         // in one writable segment, and in no table
    bool has_relr_base;            // an address of DT_RELR came before
    uint64_t relr_next;            // link address of the word that the next bitmap begins with
    struct elf_error *ret_error;
};

// What a message says of an entry of the table.
#define FAIL_ENTRY(self, entry, code, ...)                                                         \
    ELF_FAIL((self)->ret_error, code, .index = (uint32_t)(entry),                                  \
             .d = (self)->table->tag __VA_OPT__(, ) __VA_ARGS__)

// ---- Tables

// Looks at `count` entries, of which the first is the table's entry `index`.
typedef enum elf_status visit_entries(struct relocator *self, const uint8_t *entries,
                                      uint64_t count, uint64_t index);

// Visits a table's entries in their order, as many at a time as lie in one piece.
static enum elf_status walk_table(struct relocator *self, const struct elf_table *table,
                                  visit_entries *visit) {
    uint64_t count;
    self->table = table;
    for (uint64_t done = 0; done < table->count; done += count) {
        uint8_t copy[ENTRY_MAX];
        uint64_t virt = table->virt + done * table->each;
        const struct elf_piece *piece = elf_find_piece(self->memory, virt);
        ASSERT(piece != NULL && table->each <= sizeof(copy));
        const uint8_t *entries = piece->memory + (virt - piece->virt);
        count = min_u64((piece->bytes - (virt - piece->virt)) / table->each, table->count - done);
        if (count == 0) { // it ends in the next piece
            elf_read_memory(self->memory, virt, copy, table->each);
            entries = copy;
            count = 1;
        }
        enum elf_status status = visit(self, entries, count, done);
        if (status != ELF_OK)
            return status;
    }
    return ELF_OK;
}

static enum elf_status walk_tables(struct relocator *self, visit_entries *relas,
                                   visit_entries *relrs) {
    const struct elf_table *tables = self->dynamic.tables;
    enum elf_status status = walk_table(self, &tables[ELF_TABLE_RELA], relas);
    if (status == ELF_OK)
        status = walk_table(self, &tables[ELF_TABLE_JMPREL], relas);
    if (status == ELF_OK)
        status = walk_table(self, &tables[ELF_TABLE_RELR], relrs);
    return status;
}

// ---- Targets

// Cuts [*start, *end), which has the target in it, off where [virt, virt + bytes) begins or ends.
// False if the target lies in that, even in part.
static bool cut_off(uint64_t virt, uint64_t bytes, uint64_t target, uint64_t *start,
                    uint64_t *end) {
    if (bytes == 0)
        return true;
    if (virt + bytes <= target)
        *start = max_u64(*start, virt + bytes);
    else if (virt >= target + TARGET_BYTES)
        *end = min_u64(*end, virt);
    else
        return false;
    return true;
}

// Checks the target of an entry and opens the window there, if the word lies in one piece.
static enum elf_status check_target(struct relocator *self, uint64_t link, uint64_t index) {
    uint64_t target = link + self->image->slide;
    const struct elf_segment *segment = elf_find_segment(self->image, target, TARGET_BYTES);
    if (segment == NULL)
        return FAIL_ENTRY(self, index, ELF_ERR_RELOCATION_TARGET, .a = link);
    if (!segment->write && !self->image->relocates_all)
        return FAIL_ENTRY(self, index, ELF_ERR_RELOCATION_READ_ONLY, .other = segment->phdr,
                          .a = link);
    uint64_t start = segment->virt;
    uint64_t end = start + segment->mem_bytes;
    uint64_t symbols_bytes = self->symbols_used * sizeof(struct elf64_symbol);
    bool is_free = cut_off(self->dynamic.symbols, symbols_bytes, target, &start, &end);
    for (uint32_t i = 0; i < ELF_TABLES; i++) {
        const struct elf_table table = self->dynamic.tables[i];
        is_free &= cut_off(table.virt, table.count * table.each, target, &start, &end);
    }
    if (!is_free)
        return FAIL_ENTRY(self, index, ELF_ERR_RELOCATION_SELF, .a = link);
    const struct elf_piece *piece = elf_find_piece(self->memory, target);
    ASSERT(piece != NULL);
    start = max_u64(start, piece->virt);
    end = min_u64(end, piece->virt + piece->bytes);
    self->targets = (struct window){0};
    if (end - target >= TARGET_BYTES)
        self->targets = (struct window){start, end - start - (TARGET_BYTES - 1),
                                        piece->memory + (start - piece->virt)};
    return ELF_OK;
}

static inline uint64_t offset_in_window(const struct relocator *self, uint64_t link) {
    return link + self->image->slide - self->targets.virt; // beyond its room if it is not there
}

// A target outside of the window: moves that there.
static uint64_t read_far(struct relocator *self, uint64_t link) {
    uint64_t word;
    enum elf_status status = check_target(self, link, 0);
    ASSERT(status == ELF_OK);
    (void)status;
    elf_read_memory(self->memory, link + self->image->slide, &word, sizeof(word));
    return word;
}

static void write_far(struct relocator *self, uint64_t link, uint64_t word) {
    enum elf_status status = check_target(self, link, 0);
    ASSERT(status == ELF_OK);
    (void)status;
    elf_write_memory(self->memory, link + self->image->slide, &word, sizeof(word));
}

// ---- DT_RELA and DT_JMPREL

static struct elf64_rela read_entry(const uint8_t *entries, uint64_t index) {
    struct elf64_rela rela;
    __builtin_memcpy(&rela, entries + index * sizeof(rela), sizeof(rela));
    return rela;
}

static enum elf_status find_value(struct relocator *self, const struct elf64_rela *rela,
                                  uint64_t index, uint64_t *ret_value) {
    if (rela->type != ELF_R_X86_64_64 && rela->type != ELF_R_X86_64_GLOB_DAT &&
        rela->type != ELF_R_X86_64_JUMP_SLOT)
        return FAIL_ENTRY(self, index, ELF_ERR_RELOCATION_TYPE, .a = rela->type);
    struct elf_error error = {.index = (uint32_t)index, .d = self->table->tag};
    uint64_t value;
    enum elf_status status = elf_find_symbol(self->image, self->memory, &self->dynamic,
                                             rela->symbol, error, &value, self->ret_error);
    if (status == ELF_OK)
        *ret_value = value + (rela->type == ELF_R_X86_64_64 ? rela->addend : 0);
    return status;
}

static enum elf_status check_relas(struct relocator *self, const uint8_t *entries, uint64_t count,
                                   uint64_t index) {
    for (uint64_t i = 0; i < count; i++) {
        struct elf64_rela rela = read_entry(entries, i);
        enum elf_status status = ELF_OK;
        uint64_t value;
        if (rela.type == ELF_R_X86_64_NONE)
            continue;
        if (rela.type != ELF_R_X86_64_RELATIVE) {
            status = find_value(self, &rela, index + i, &value);
            self->symbols_used = max_u64(self->symbols_used, rela.symbol + UINT64_C(1));
        }
        if (status == ELF_OK && offset_in_window(self, rela.target) >= self->targets.room)
            status = check_target(self, rela.target, index + i);
        if (status != ELF_OK)
            return status;
    }
    return ELF_OK;
}

static enum elf_status apply_relas(struct relocator *self, const uint8_t *entries, uint64_t count,
                                   uint64_t index) {
    for (uint64_t i = 0; i < count; i++) {
        struct elf64_rela rela = read_entry(entries, i);
        uint64_t value = rela.addend + self->image->slide;
        if (rela.type == ELF_R_X86_64_NONE)
            continue;
        if (rela.type != ELF_R_X86_64_RELATIVE) {
            enum elf_status status = find_value(self, &rela, index + i, &value);
            ASSERT(status == ELF_OK);
            (void)status;
        }
        uint64_t offset = offset_in_window(self, rela.target);
        if (offset < self->targets.room)
            __builtin_memcpy(self->targets.memory + offset, &value, sizeof(value));
        else
            write_far(self, rela.target, value);
    }
    return ELF_OK;
}

// ---- DT_RELR

typedef enum elf_status visit_word(struct relocator *self, uint64_t link, uint64_t index);

// An even entry is the address of a word. An odd one is a bitmap of the words behind those that
// came before: bit 1 stands for the first of them.
static inline enum elf_status visit_relrs(struct relocator *self, const uint8_t *entries,
                                          uint64_t count, uint64_t index, visit_word *visit) {
    enum elf_status status = ELF_OK;
    for (uint64_t i = 0; i < count && status == ELF_OK; i++) {
        uint64_t entry;
        __builtin_memcpy(&entry, entries + i * sizeof(entry), sizeof(entry));
        if (entry % 2 == 0) {
            status = visit(self, entry, index + i);
            self->relr_next = entry + TARGET_BYTES;
            self->has_relr_base = true;
            continue;
        }
        if (!self->has_relr_base)
            return FAIL_ENTRY(self, index + i, ELF_ERR_RELOCATION_BITMAP);
        uint64_t link = self->relr_next;
        for (uint64_t bits = entry >> 1; bits != 0 && status == ELF_OK; bits >>= 1) {
            if (bits % 2 != 0)
                status = visit(self, link, index + i);
            link += TARGET_BYTES;
        }
        self->relr_next += RELR_WORDS * TARGET_BYTES;
    }
    return status;
}

static inline enum elf_status check_word(struct relocator *self, uint64_t link, uint64_t index) {
    if (offset_in_window(self, link) < self->targets.room)
        return ELF_OK;
    return check_target(self, link, index);
}

static inline enum elf_status slide_word(struct relocator *self, uint64_t link, uint64_t index) {
    uint64_t offset = offset_in_window(self, link);
    uint64_t word;
    (void)index;
    if (offset >= self->targets.room) {
        write_far(self, link, read_far(self, link) + self->image->slide);
        return ELF_OK;
    }
    __builtin_memcpy(&word, self->targets.memory + offset, sizeof(word));
    word += self->image->slide;
    __builtin_memcpy(self->targets.memory + offset, &word, sizeof(word));
    return ELF_OK;
}

static enum elf_status check_relrs(struct relocator *self, const uint8_t *entries, uint64_t count,
                                   uint64_t index) {
    return visit_relrs(self, entries, count, index, check_word);
}

static enum elf_status apply_relrs(struct relocator *self, const uint8_t *entries, uint64_t count,
                                   uint64_t index) {
    return visit_relrs(self, entries, count, index, slide_word);
}

// ---- All of it

// Only when all symbols are known that relocations name can a target be one of them. Linkers put
// symbols where nothing is written.
static enum elf_status check_symbols(struct relocator *self) {
    const struct elf_segment *segment =
        elf_find_segment(self->image, self->dynamic.symbols, sizeof(struct elf64_symbol));
    if (segment == NULL || !segment->write)
        return ELF_OK;
    self->targets = (struct window){0};
    return walk_tables(self, check_relas, check_relrs);
}

enum elf_status elf_relocate(const struct elf_image *image, const struct elf_memory *memory,
                             struct elf_error *ret_error) {
    struct relocator self = {.image = image, .memory = memory, .ret_error = ret_error};
    enum elf_status status = elf_read_dynamic(image, memory, &self.dynamic, ret_error);
    if (status == ELF_OK)
        status = walk_tables(&self, check_relas, check_relrs);
    if (status == ELF_OK)
        status = check_symbols(&self);
    if (status == ELF_OK)
        status = walk_tables(&self, apply_relas, apply_relrs);
    return status;
}
