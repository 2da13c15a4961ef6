// Relocation of a placed image: see elf.h.
//
// Everything comes from the image itself, so nothing is believed: each table must lie in one
// segment's memory, and all relocations are checked before the first is applied. The relocations
// must not change their own table, or the second pass would meet entries that the first never saw.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

#define TARGET_BYTES sizeof(uint64_t)
#define ENTRY_BYTES  sizeof(struct elf64_rela)

// What the dynamic section says.
struct dynamic {
    bool has_table;
    uint64_t table_link; // link address of the RELA table
    uint64_t table_bytes;
    uint64_t entry_bytes;
};

// Words that can be written directly: those that begin in [virt, virt + room) stand at `memory`.
// The next target mostly lies in the window of the last one.
struct window {
    uint64_t virt;
    uint64_t room;
    uint8_t *memory;
};

// The image and its checked RELA table.
struct relocator {
    const struct elf_image *image;
    const struct elf_memory *memory;
    uint64_t table_virt;
    uint64_t count;
    struct window targets; // in one writable segment, and not in the table
    struct elf_error *ret_error;
};

// The window of the words that lie in [start, end) and in the piece of the one at `virt`; an empty
// one if that does not lie in one piece.
static struct window open_window(const struct elf_memory *memory, uint64_t virt, uint64_t start,
                                 uint64_t end) {
    const struct elf_piece *piece = elf_find_piece(memory, virt);
    ASSERT(piece != NULL && start <= virt && virt + TARGET_BYTES <= end);
    uint64_t first = max_u64(start, piece->virt);
    uint64_t last = min_u64(end, piece->virt + piece->bytes);
    if (last - virt < TARGET_BYTES)
        return (struct window){0};
    return (struct window){first, last - first - (TARGET_BYTES - 1),
                           piece->memory + (first - piece->virt)};
}

static enum elf_status take_dynamic(const struct relocator *self, const struct elf64_dynamic *entry,
                                    struct dynamic *dynamic) {
    switch (entry->tag) {
    case ELF_DT_RELA:
        dynamic->has_table = true;
        dynamic->table_link = entry->value;
        return ELF_OK;
    case ELF_DT_RELASZ:
        dynamic->table_bytes = entry->value;
        return ELF_OK;
    case ELF_DT_RELAENT:
        dynamic->entry_bytes = entry->value;
        return ELF_OK;
    case ELF_DT_NEEDED:
        return ELF_FAIL(self->ret_error, ELF_ERR_LIBRARY);
    case ELF_DT_TEXTREL:
        return ELF_FAIL(self->ret_error, ELF_ERR_TEXT_RELOCATIONS);
    case ELF_DT_FLAGS:
        if ((entry->value & ELF_DF_TEXTREL) != 0)
            return ELF_FAIL(self->ret_error, ELF_ERR_TEXT_RELOCATIONS);
        return ELF_OK;
    case ELF_DT_REL:
    case ELF_DT_RELR:
    case ELF_DT_JMPREL:
        return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_KIND, .a = entry->tag);
    default:
        return ELF_OK;
    }
}

static enum elf_status parse_dynamic(const struct relocator *self, struct dynamic *ret_dynamic) {
    const struct elf_image *image = self->image;
    *ret_dynamic = (struct dynamic){0};
    for (uint64_t at = 0; image->dynamic_bytes - at >= sizeof(struct elf64_dynamic);
         at += sizeof(struct elf64_dynamic)) {
        struct elf64_dynamic entry;
        elf_read_memory(self->memory, image->dynamic_virt + at, &entry, sizeof(entry));
        if (entry.tag == ELF_DT_NULL)
            break;
        enum elf_status status = take_dynamic(self, &entry, ret_dynamic);
        if (status != ELF_OK)
            return status;
    }
    return ELF_OK;
}

static enum elf_status find_table(struct relocator *self) {
    struct dynamic dynamic;
    enum elf_status status = parse_dynamic(self, &dynamic);
    if (status != ELF_OK)
        return status;
    if (!dynamic.has_table && dynamic.table_bytes == 0)
        return ELF_OK;
    self->table_virt = dynamic.table_link + self->image->slide;
    if (!dynamic.has_table || dynamic.entry_bytes != sizeof(struct elf64_rela) ||
        dynamic.table_bytes % sizeof(struct elf64_rela) != 0 ||
        elf_find_segment(self->image, self->table_virt, dynamic.table_bytes) == NULL)
        return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_TABLE, .a = dynamic.table_link,
                        .b = dynamic.table_bytes, .c = dynamic.entry_bytes);
    self->count = dynamic.table_bytes / sizeof(struct elf64_rela);
    return ELF_OK;
}

static uint64_t table_end(const struct relocator *self) {
    return self->table_virt + self->count * ENTRY_BYTES;
}

// Looks at `count` entries, of which the first is the table's entry `index`.
typedef enum elf_status visit_entries(struct relocator *self, const uint8_t *entries,
                                      uint64_t count, uint64_t index);

// Visits the table's entries in their order, as many at a time as lie in one piece.
static enum elf_status walk_table(struct relocator *self, visit_entries *visit) {
    uint64_t count;
    for (uint64_t done = 0; done < self->count; done += count) {
        uint8_t copy[ENTRY_BYTES];
        uint64_t virt = self->table_virt + done * ENTRY_BYTES;
        const struct elf_piece *piece = elf_find_piece(self->memory, virt);
        ASSERT(piece != NULL);
        const uint8_t *entries = piece->memory + (virt - piece->virt);
        count = min_u64((piece->bytes - (virt - piece->virt)) / ENTRY_BYTES, self->count - done);
        if (count == 0) { // it ends in the next piece
            elf_read_memory(self->memory, virt, copy, sizeof(copy));
            entries = copy;
            count = 1;
        }
        enum elf_status status = visit(self, entries, count, done);
        if (status != ELF_OK)
            return status;
    }
    return ELF_OK;
}

static struct elf64_rela read_entry(const uint8_t *entries, uint64_t index) {
    struct elf64_rela rela;
    __builtin_memcpy(&rela, entries + index * sizeof(rela), sizeof(rela));
    return rela;
}

// Checks the target of an entry and, if no other target of its segment needs a look of its own,
// opens the window there.
static enum elf_status check_target(struct relocator *self, uint64_t link, uint32_t index) {
    uint64_t target = link + self->image->slide;
    const struct elf_segment *segment = elf_find_segment(self->image, target, TARGET_BYTES);
    if (segment == NULL)
        return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_TARGET, .index = index, .a = link);
    if (!segment->write)
        return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_READ_ONLY, .index = index,
                        .other = segment->phdr, .a = link);
    uint64_t start = segment->virt;
    uint64_t end = start + segment->mem_bytes;
    if (target < table_end(self) && target + TARGET_BYTES > self->table_virt)
        return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_SELF, .index = index, .a = link);
    if (table_end(self) <= start || self->table_virt >= end)
        self->targets = open_window(self->memory, target, start, end);
    return ELF_OK;
}

static enum elf_status check_entries(struct relocator *self, const uint8_t *entries, uint64_t count,
                                     uint64_t index) {
    for (uint64_t i = 0; i < count; i++) {
        struct elf64_rela rela = read_entry(entries, i);
        if (rela.type == ELF_R_X86_64_NONE)
            continue;
        if (rela.type != ELF_R_X86_64_RELATIVE)
            return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_TYPE,
                            .index = (uint32_t)(index + i), .a = rela.type);
        uint64_t offset = rela.target + self->image->slide - self->targets.virt;
        if (offset < self->targets.room)
            continue;
        enum elf_status status = check_target(self, rela.target, (uint32_t)(index + i));
        if (status != ELF_OK)
            return status;
    }
    return ELF_OK;
}

// A target outside of the window.
static void write_word(struct relocator *self, uint64_t link, uint64_t value) {
    enum elf_status status = check_target(self, link, 0); // moves the window
    ASSERT(status == ELF_OK);
    (void)status;
    elf_write_memory(self->memory, link + self->image->slide, &value, sizeof(value));
}

static enum elf_status apply_entries(struct relocator *self, const uint8_t *entries, uint64_t count,
                                     uint64_t index) {
    (void)index;
    uint64_t slide = self->image->slide;
    for (uint64_t i = 0; i < count; i++) {
        struct elf64_rela rela = read_entry(entries, i);
        if (rela.type == ELF_R_X86_64_NONE)
            continue;
        uint64_t value = rela.addend + slide;
        uint64_t offset = rela.target + slide - self->targets.virt;
        if (offset < self->targets.room)
            __builtin_memcpy(self->targets.memory + offset, &value, sizeof(value));
        else
            write_word(self, rela.target, value);
    }
    return ELF_OK;
}

enum elf_status elf_relocate(const struct elf_image *image, const struct elf_memory *memory,
                             struct elf_error *ret_error) {
    struct relocator self = {.image = image, .memory = memory, .ret_error = ret_error};
    enum elf_status status = find_table(&self);
    if (status == ELF_OK)
        status = walk_table(&self, check_entries);
    if (status == ELF_OK)
        status = walk_table(&self, apply_entries);
    return status;
}
