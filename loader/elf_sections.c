// Section headers, and what symbols lie by them: see elf.h.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

_Static_assert(ELF_SECTION_BYTES == sizeof(struct elf64_shdr));
_Static_assert(ELF_SYMBOL_BYTES == sizeof(struct elf64_symbol));

static bool is_in_file(const struct elf_reader *reader, uint64_t offset, uint64_t bytes) {
    return offset <= reader->file_bytes && bytes <= reader->file_bytes - offset;
}

enum elf_status elf_read_part(const struct elf_reader *reader, struct elf_range range,
                              const char *what, const void **ret_part,
                              struct elf_error *ret_error) {
    const void *part = reader->read(reader->context, range.file_offset, range.bytes, what);
    if (part == NULL)
        return ELF_FAIL(ret_error, ELF_ERR_READ, .a = range.file_offset, .b = range.bytes);
    *ret_part = part;
    return ELF_OK;
}

// More sections than e_shnum can say are in sh_size of the first, an index that e_shstrndx cannot
// say in its sh_link (System V gABI, chapter 4, "Sections").
enum elf_status elf_find_sections(const struct elf_header_view *header,
                                  const struct elf_reader *reader,
                                  struct elf_sections *ret_sections, struct elf_error *ret_error) {
    const uint64_t offset = header->shdrs_offset;
    uint64_t count = header->shdr_count, names_index = header->names_index;
    bool has_first = offset != 0 && header->shdr_bytes == ELF_SECTION_BYTES &&
                     is_in_file(reader, offset, ELF_SECTION_BYTES);
    if (has_first && (count == 0 || names_index == ELF_SHN_XINDEX)) {
        const void *part;
        struct elf64_shdr first;
        if (elf_read_part(reader, (struct elf_range){offset, ELF_SECTION_BYTES}, "section headers",
                          &part, ret_error) != ELF_OK)
            return ELF_ERR_READ;
        memcpy(&first, part, sizeof(first));
        count = count == 0 ? first.bytes : count;
        names_index = names_index == ELF_SHN_XINDEX ? first.link : names_index;
    }
    if (!has_first || count == 0 || count > UINT32_MAX ||
        !is_in_file(reader, offset, count * ELF_SECTION_BYTES)) {
        *ret_sections = (struct elf_sections){0};
        return ELF_OK;
    }
    *ret_sections = (struct elf_sections){
        .headers = {offset, count * ELF_SECTION_BYTES},
        .count = (uint32_t)count,
        .names_index = names_index < count ? (uint32_t)names_index : 0,
    };
    return ELF_OK;
}

bool elf_section_range(const struct elf_reader *reader, const uint8_t *headers, uint32_t index,
                       uint32_t type, struct elf_range *ret_range) {
    struct elf64_shdr section;
    memcpy(&section, headers + (uint64_t)index * sizeof(section), sizeof(section));
    if (section.type != type || section.bytes == 0 ||
        !is_in_file(reader, section.offset, section.bytes))
        return false;
    *ret_range = (struct elf_range){section.offset, section.bytes};
    return true;
}

// The symbol table at `index` with the names that it is linked to.
static bool take_symbols(const struct elf_reader *reader, const uint8_t *headers,
                         const struct elf_sections *sections, uint32_t index,
                         struct elf_symbols *symbols) {
    struct elf_range table, names;
    struct elf64_shdr section;
    memcpy(&section, headers + (uint64_t)index * sizeof(section), sizeof(section));
    if (!elf_section_range(reader, headers, index, ELF_SHT_SYMTAB, &table) ||
        section.entry_bytes != ELF_SYMBOL_BYTES || table.bytes % ELF_SYMBOL_BYTES != 0 ||
        section.link >= sections->count ||
        !elf_section_range(reader, headers, section.link, ELF_SHT_STRTAB, &names))
        return false;
    symbols->symbols = table;
    symbols->symbol_names = names;
    return true;
}

enum elf_status elf_find_symbols(const struct elf_header_view *header,
                                 const struct elf_reader *reader, struct elf_symbols *ret_symbols,
                                 struct elf_error *ret_error) {
    struct elf_sections sections;
    struct elf_symbols symbols = {0};
    const void *headers;
    if (elf_find_sections(header, reader, &sections, ret_error) != ELF_OK ||
        (sections.count != 0 &&
         elf_read_part(reader, sections.headers, "section headers", &headers, ret_error) != ELF_OK))
        return ELF_ERR_READ;
    if (sections.count != 0) {
        symbols.sections = sections.headers;
        (void)elf_section_range(reader, headers, sections.names_index, ELF_SHT_STRTAB,
                                &symbols.section_names);
    }
    for (uint32_t i = 0; i < sections.count; i++)
        if (take_symbols(reader, headers, &sections, i, &symbols))
            break;
    *ret_symbols = symbols;
    return ELF_OK;
}

// The offsets of a name in a table of names. A linker may have it at the end of longer ones, too.
struct name_places {
    uint32_t offsets[8];
    uint32_t count;
};

static void find_name(const char *names, uint64_t bytes, const char *name,
                      struct name_places *ret_places) {
    uint64_t length = 1; // with the byte that ends it
    while (name[length - 1] != '\0')
        length++;
    ret_places->count = 0;
    for (uint64_t at = 0; length <= bytes && at <= bytes - length; at++) {
        if (memcmp(names + at, name, length) == 0 &&
            ret_places->count < ARRAY_LEN(ret_places->offsets))
            ret_places->offsets[ret_places->count++] = (uint32_t)at;
    }
}

static bool has_name(const struct elf64_shdr *section, const struct name_places *places) {
    for (uint32_t i = 0; i < places->count; i++)
        if (section->name == places->offsets[i])
            return true;
    return false;
}

// The headers are read twice: a part is valid until the next is read.
enum elf_status elf_find_section(const struct elf_header_view *header,
                                 const struct elf_reader *reader, const char *name,
                                 struct elf_section *ret_section, struct elf_error *ret_error) {
    struct elf_sections sections;
    struct elf_range range;
    struct name_places places = {.count = 0};
    struct elf_section found = {0};
    const void *part = NULL;
    if (elf_find_sections(header, reader, &sections, ret_error) != ELF_OK ||
        (sections.count != 0 &&
         elf_read_part(reader, sections.headers, "section headers", &part, ret_error) != ELF_OK))
        return ELF_ERR_READ;
    if (sections.count != 0 &&
        elf_section_range(reader, part, sections.names_index, ELF_SHT_STRTAB, &range)) {
        if (elf_read_part(reader, range, "names of sections", &part, ret_error) != ELF_OK)
            return ELF_ERR_READ;
        find_name(part, range.bytes, name, &places);
    }
    if (places.count != 0 &&
        elf_read_part(reader, sections.headers, "section headers", &part, ret_error) != ELF_OK)
        return ELF_ERR_READ;
    for (uint32_t i = sections.count; places.count != 0 && i-- != 0;) {
        struct elf64_shdr section;
        memcpy(&section, (const uint8_t *)part + (uint64_t)i * sizeof(section), sizeof(section));
        if (has_name(&section, &places))
            found = (struct elf_section){section.virt, section.bytes};
    }
    *ret_section = found;
    return ELF_OK;
}
