#include "tests/unit/support/elf_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct elf64_phdr segment(uint32_t flags, uint64_t virt, uint64_t offset,
                                 uint64_t file_bytes, uint64_t mem_bytes) {
    return (struct elf64_phdr){
        .type = ELF_PT_LOAD,
        .flags = flags,
        .offset = offset,
        .virt = virt,
        .phys = virt,
        .file_bytes = file_bytes,
        .mem_bytes = mem_bytes,
        .align = 0x1000,
    };
}

static struct elf_file make(uint16_t type, uint64_t base) {
    struct elf_file file = {
        .header =
            {
                .ident = {0x7f, 'E', 'L', 'F', ELF_CLASS_64, ELF_DATA_LITTLE, ELF_VERSION_CURRENT},
                .type = type,
                .machine = ELF_EM_X86_64,
                .version = ELF_VERSION_CURRENT,
                .entry = base + 0x10,
                .phdrs_offset = sizeof(struct elf64_header),
                .header_bytes = sizeof(struct elf64_header),
                .phdr_bytes = sizeof(struct elf64_phdr),
                .phdr_count = 3,
            },
        .phdrs =
            {
                [ELF_FILE_TEXT] = segment(ELF_PF_X, base, 0x1000, 0x800, 0x800),
                [ELF_FILE_RODATA] = segment(0, base + 0x1000, 0x2000, 0x400, 0x400),
                [ELF_FILE_DATA] = segment(ELF_PF_W, base + 0x2000, 0x3000, 0x1800, 0x3000),
            },
    };
    uint8_t *bytes = (uint8_t *)&file;
    for (uint64_t i = 0x1000; i < sizeof(file); i++)
        bytes[i] = (uint8_t)(i % 251);
    return file;
}

struct elf_file elf_file_make(void) {
    return make(ELF_ET_EXEC, ELF_FILE_BASE);
}

struct elf_file elf_file_make_dyn(void) {
    return make(ELF_ET_DYN, 0);
}

void elf_file_move(struct elf_file *file, uint64_t by) {
    file->header.entry += by;
    for (uint32_t i = 0; i < file->header.phdr_count; i++)
        file->phdrs[i].virt += by;
}

struct elf64_phdr *elf_file_add(struct elf_file *file, uint32_t type, uint64_t offset,
                                uint64_t virt, uint64_t bytes) {
    assert(file->header.phdr_count < ELF_FILE_PHDRS);
    struct elf64_phdr *phdr = &file->phdrs[file->header.phdr_count++];
    *phdr = segment(0, virt, offset, bytes, bytes);
    phdr->type = type;
    return phdr;
}

enum elf_status elf_file_parse(const struct elf_file *file, uint64_t file_bytes,
                               struct elf_image *ret_image, struct elf_error *ret_error) {
    static const struct elf_rules slipway_rules = {0};
    struct elf_image image;
    enum elf_status status = elf_file_parse_any(file, file_bytes, &image, ret_error);
    if (status == ELF_OK)
        status = elf_apply_rules(&image, &slipway_rules, ret_error);
    if (status == ELF_OK)
        *ret_image = image;
    return status;
}

enum elf_status elf_file_parse_any(const struct elf_file *file, uint64_t file_bytes,
                                   struct elf_image *ret_image, struct elf_error *ret_error) {
    struct elf_header_view header;
    enum elf_status status =
        elf_parse_header(file, sizeof(struct elf64_header), file_bytes, &header, ret_error);
    if (status != ELF_OK)
        return status;
    const uint8_t *bytes = (const uint8_t *)file;
    static void *lists; // exact, so that ASan sees a write beyond them
    free(lists);
    lists = malloc(elf_lists_bytes(header.phdr_count));
    memset(lists, 0xff, elf_lists_bytes(header.phdr_count)); // firmware leaves anything there
    return elf_parse_segments(&header, bytes + header.phdrs_offset, file_bytes, lists, ret_image,
                              ret_error);
}
