// The file header: see elf.h.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

static enum elf_status check_ident(const uint8_t *ident, struct elf_error *ret_error) {
    if (memcmp(ident, "\177ELF", 4) != 0)
        return ELF_FAIL(ret_error, ELF_ERR_MAGIC);
    if (ident[ELF_IDENT_CLASS] != ELF_CLASS_64)
        return ELF_FAIL(ret_error, ELF_ERR_CLASS, .a = ident[ELF_IDENT_CLASS]);
    if (ident[ELF_IDENT_DATA] != ELF_DATA_LITTLE)
        return ELF_FAIL(ret_error, ELF_ERR_ENDIAN, .a = ident[ELF_IDENT_DATA]);
    if (ident[ELF_IDENT_VERSION] != ELF_VERSION_CURRENT)
        return ELF_FAIL(ret_error, ELF_ERR_VERSION, .a = ident[ELF_IDENT_VERSION]);
    return ELF_OK;
}

static enum elf_status check_kind(const struct elf64_header *raw, struct elf_error *ret_error) {
    if (raw->machine != ELF_EM_X86_64)
        return ELF_FAIL(ret_error, ELF_ERR_MACHINE, .a = raw->machine);
    if (raw->type != ELF_ET_EXEC && raw->type != ELF_ET_DYN)
        return ELF_FAIL(ret_error, ELF_ERR_TYPE, .a = raw->type);
    if (raw->version != ELF_VERSION_CURRENT)
        return ELF_FAIL(ret_error, ELF_ERR_VERSION, .a = raw->version);
    if (raw->header_bytes != sizeof(*raw))
        return ELF_FAIL(ret_error, ELF_ERR_HEADER_SIZE, .a = raw->header_bytes);
    return ELF_OK;
}

static enum elf_status check_phdrs(const struct elf64_header *raw, uint64_t file_bytes,
                                   struct elf_error *ret_error) {
    if (raw->phdr_count == 0)
        return ELF_FAIL(ret_error, ELF_ERR_PHDRS_NONE);
    if (raw->phdr_count == ELF_PN_XNUM)
        return ELF_FAIL(ret_error, ELF_ERR_PHDRS_MANY);
    if (raw->phdr_bytes != sizeof(struct elf64_phdr))
        return ELF_FAIL(ret_error, ELF_ERR_PHDR_SIZE, .a = raw->phdr_bytes);
    uint64_t bytes = (uint64_t)raw->phdr_count * raw->phdr_bytes;
    if (raw->phdrs_offset > file_bytes || bytes > file_bytes - raw->phdrs_offset)
        return ELF_FAIL(ret_error, ELF_ERR_PHDRS_OUTSIDE, .a = raw->phdrs_offset, .b = bytes,
                        .c = file_bytes);
    return ELF_OK;
}

enum elf_status elf_parse_header(const void *head, uint64_t head_bytes, uint64_t file_bytes,
                                 struct elf_header_view *ret_header, struct elf_error *ret_error) {
    struct elf64_header raw;
    uint64_t known_bytes = min_u64(head_bytes, file_bytes);
    if (known_bytes < sizeof(raw))
        return ELF_FAIL(ret_error, ELF_ERR_SHORT, .a = known_bytes);
    memcpy(&raw, head, sizeof(raw));

    enum elf_status status = check_ident(raw.ident, ret_error);
    if (status == ELF_OK)
        status = check_kind(&raw, ret_error);
    if (status == ELF_OK)
        status = check_phdrs(&raw, file_bytes, ret_error);
    if (status != ELF_OK)
        return status;

    *ret_header = (struct elf_header_view){
        .type = raw.type == ELF_ET_DYN ? ELF_TYPE_DYN : ELF_TYPE_EXEC,
        .entry = raw.entry,
        .phdrs_offset = raw.phdrs_offset,
        .phdrs_bytes = (uint64_t)raw.phdr_count * raw.phdr_bytes,
        .phdr_count = raw.phdr_count,
        .phdr_bytes = raw.phdr_bytes,
        .shdrs_offset = raw.shdrs_offset,
        .shdr_count = raw.shdr_count,
        .shdr_bytes = raw.shdr_bytes,
        .names_index = raw.names_index,
    };
    return ELF_OK;
}
