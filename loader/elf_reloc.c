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

// What the dynamic section says.
struct dynamic {
    bool has_table;
    uint64_t table_link; // link address of the RELA table
    uint64_t table_bytes;
    uint64_t entry_bytes;
};

// The image and its checked RELA table.
struct relocator {
    const struct elf_image *image;
    uint8_t *placed;
    uint64_t table_virt;
    uint64_t count;
    struct elf_error *ret_error;
};

// The placed byte of a run address that lies in a segment.
static uint8_t *byte_at(const struct relocator *self, uint64_t virt) {
    ASSERT(virt - self->image->virt_start < self->image->virt_end - self->image->virt_start);
    return self->placed + (virt - self->image->virt_start);
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
        memcpy(&entry, byte_at(self, image->dynamic_virt + at), sizeof(entry));
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

static struct elf64_rela read_entry(const struct relocator *self, uint64_t index) {
    struct elf64_rela rela;
    memcpy(&rela, byte_at(self, self->table_virt + index * sizeof(rela)), sizeof(rela));
    return rela;
}

static enum elf_status check_entry(const struct relocator *self, const struct elf64_rela *rela,
                                   uint32_t index) {
    if (rela->type == ELF_R_X86_64_NONE)
        return ELF_OK;
    if (rela->type != ELF_R_X86_64_RELATIVE)
        return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_TYPE, .index = index, .a = rela->type);
    uint64_t target = rela->target + self->image->slide;
    const struct elf_segment *segment = elf_find_segment(self->image, target, TARGET_BYTES);
    if (segment == NULL)
        return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_TARGET, .index = index,
                        .a = rela->target);
    if (!segment->write)
        return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_READ_ONLY, .index = index,
                        .other = segment->phdr, .a = rela->target);
    uint64_t table_end = self->table_virt + self->count * sizeof(*rela);
    if (target < table_end && target + TARGET_BYTES > self->table_virt)
        return ELF_FAIL(self->ret_error, ELF_ERR_RELOCATION_SELF, .index = index,
                        .a = rela->target);
    return ELF_OK;
}

static void apply_entry(const struct relocator *self, const struct elf64_rela *rela) {
    if (rela->type == ELF_R_X86_64_NONE)
        return;
    uint64_t value = rela->addend + self->image->slide;
    memcpy(byte_at(self, rela->target + self->image->slide), &value, sizeof(value));
}

enum elf_status elf_relocate(const struct elf_image *image, void *placed,
                             struct elf_error *ret_error) {
    struct relocator self = {.image = image, .placed = placed, .ret_error = ret_error};
    enum elf_status status = find_table(&self);
    for (uint64_t i = 0; status == ELF_OK && i < self.count; i++) {
        struct elf64_rela rela = read_entry(&self, i);
        status = check_entry(&self, &rela, (uint32_t)i);
    }
    if (status != ELF_OK)
        return status;
    for (uint64_t i = 0; i < self.count; i++) {
        struct elf64_rela rela = read_entry(&self, i);
        apply_entry(&self, &rela);
    }
    return ELF_OK;
}
