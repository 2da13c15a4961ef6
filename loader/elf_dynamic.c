// The dynamic section: which tables it names, and the symbols in them. See elf_internal.h.
//
// gABI chapter 5, "Dynamic Section"; chapter 4, "Symbol Table"; DT_RELR as in the gABI's draft of
// 2018. Nothing is believed: a table lies in one segment, or it is not read.
#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

#define SYMBOL_BYTES sizeof(struct elf64_symbol)

// The entries with tags below DT_KNOWN, of each tag the first.
struct entries {
    uint64_t present; // a bit each
    uint64_t values[ELF_DT_KNOWN];
    uint64_t unknown_kind; // a tag of relocations beyond those, or 0
};
_Static_assert(ELF_DT_KNOWN <= 64);

static bool has(const struct entries *entries, uint64_t tag) {
    return (entries->present >> tag & 1) != 0;
}

static void collect(const struct elf_image *image, const struct elf_memory *memory,
                    struct entries *ret_entries) {
    *ret_entries = (struct entries){0};
    struct elf64_dynamic entry;
    for (uint64_t at = 0; image->dynamic_bytes - at >= sizeof(entry); at += sizeof(entry)) {
        elf_read_memory(memory, image->dynamic_virt + at, &entry, sizeof(entry));
        if (entry.tag == ELF_DT_NULL)
            return;
        if (entry.tag == ELF_DT_ANDROID_REL || entry.tag == ELF_DT_ANDROID_RELA ||
            entry.tag == ELF_DT_ANDROID_RELR)
            ret_entries->unknown_kind = entry.tag;
        if (entry.tag >= ELF_DT_KNOWN || has(ret_entries, entry.tag))
            continue;
        ret_entries->present |= UINT64_C(1) << entry.tag;
        ret_entries->values[entry.tag] = entry.value;
    }
}

// A table that is empty is none, wherever it lies.
static enum elf_status take_table(const struct elf_image *image, const struct entries *entries,
                                  const struct elf_table *what, struct elf_table *ret_table,
                                  struct elf_error *ret_error) {
    uint64_t link = entries->values[what->tag];
    uint64_t bytes = entries->values[what->bytes_tag];
    uint64_t each = what->each_tag == 0 ? what->each : entries->values[what->each_tag];
    *ret_table = *what;
    if (bytes == 0)
        return ELF_OK;
    if (!has(entries, what->tag) || each != what->each || bytes % each != 0 ||
        elf_find_segment(image, link + image->slide, bytes) == NULL)
        return ELF_FAIL(ret_error, ELF_ERR_RELOCATION_TABLE, .a = link, .b = bytes, .c = each,
                        .d = what->tag);
    ret_table->virt = link + image->slide;
    ret_table->count = bytes / each;
    return ELF_OK;
}

// How many symbols there are stands nowhere: as many as fit into the segment at most.
static void take_symbols(const struct elf_image *image, const struct entries *entries,
                         struct elf_dynamic *dynamic) {
    uint64_t symbols = entries->values[ELF_DT_SYMTAB] + image->slide;
    uint64_t strings = entries->values[ELF_DT_STRTAB] + image->slide;
    const struct elf_segment *segment = elf_find_segment(image, symbols, SYMBOL_BYTES);
    if (segment != NULL && entries->values[ELF_DT_SYMENT] == SYMBOL_BYTES) {
        dynamic->symbols = symbols;
        dynamic->symbol_count = (segment->mem_bytes - (symbols - segment->virt)) / SYMBOL_BYTES;
    }
    if (elf_find_segment(image, strings, entries->values[ELF_DT_STRSZ]) != NULL) {
        dynamic->strings = strings;
        dynamic->strings_bytes = entries->values[ELF_DT_STRSZ];
    }
}

// Puts the string at `offset` of DT_STRTAB into a message that has no name: all of it that has room
// and can be printed.
static enum elf_status fail_named(const struct elf_memory *memory,
                                  const struct elf_dynamic *dynamic, uint64_t offset,
                                  struct elf_error error, struct elf_error *ret_error) {
    static const char none[] = "without a name";
    uint64_t bytes = offset < dynamic->strings_bytes ? dynamic->strings_bytes - offset : 0;
    bytes = min_u64(bytes, sizeof(error.name) - 1);
    elf_read_memory(memory, dynamic->strings + offset, error.name, bytes);
    for (char *at = error.name; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    if (error.name[0] == '\0')
        memcpy(error.name, none, sizeof(none));
    return elf_fail(ret_error, error);
}

static enum elf_status check_kind(const struct elf_image *image, const struct elf_memory *memory,
                                  const struct entries *entries, const struct elf_dynamic *dynamic,
                                  struct elf_error *ret_error) {
    bool has_text =
        has(entries, ELF_DT_TEXTREL) || (entries->values[ELF_DT_FLAGS] & ELF_DF_TEXTREL) != 0;
    if (has(entries, ELF_DT_NEEDED))
        return fail_named(memory, dynamic, entries->values[ELF_DT_NEEDED],
                          (struct elf_error){.status = ELF_ERR_LIBRARY}, ret_error);
    if (has_text && !image->relocates_all)
        return ELF_FAIL(ret_error, ELF_ERR_TEXT_RELOCATIONS);
    if (entries->unknown_kind != 0)
        return ELF_FAIL(ret_error, ELF_ERR_RELOCATION_KIND, .a = entries->unknown_kind);
    bool has_rel_plt = has(entries, ELF_DT_PLTREL) && entries->values[ELF_DT_PLTREL] != ELF_DT_RELA;
    if (has(entries, ELF_DT_REL) || has_rel_plt)
        return ELF_FAIL(ret_error, ELF_ERR_RELOCATION_KIND, .a = ELF_DT_REL);
    return ELF_OK;
}

enum elf_status elf_read_dynamic(const struct elf_image *image, const struct elf_memory *memory,
                                 struct elf_dynamic *ret_dynamic, struct elf_error *ret_error) {
    static const struct elf_table tables[ELF_TABLES] = {
        {.tag = ELF_DT_RELA, .bytes_tag = ELF_DT_RELASZ, .each_tag = ELF_DT_RELAENT, .each = 24},
        {.tag = ELF_DT_JMPREL, .bytes_tag = ELF_DT_PLTRELSZ, .each = 24},
        {.tag = ELF_DT_RELR, .bytes_tag = ELF_DT_RELRSZ, .each_tag = ELF_DT_RELRENT, .each = 8},
    };
    struct entries entries;
    struct elf_dynamic dynamic = {0};
    collect(image, memory, &entries);
    take_symbols(image, &entries, &dynamic);
    enum elf_status status = check_kind(image, memory, &entries, &dynamic, ret_error);
    for (uint32_t i = 0; i < ELF_TABLES && status == ELF_OK; i++)
        status = take_table(image, &entries, &tables[i], &dynamic.tables[i], ret_error);
    if (status == ELF_OK)
        *ret_dynamic = dynamic;
    return status;
}

enum elf_status elf_find_symbol(const struct elf_image *image, const struct elf_memory *memory,
                                const struct elf_dynamic *dynamic, uint32_t number,
                                struct elf_error error, uint64_t *ret_value,
                                struct elf_error *ret_error) {
    struct elf64_symbol symbol;
    *ret_value = 0;
    if (number == 0) // STN_UNDEF
        return ELF_OK;
    error.a = number;
    if (number >= dynamic->symbol_count) {
        error.status = ELF_ERR_SYMBOL_NONE;
        return elf_fail(ret_error, error);
    }
    elf_read_memory(memory, dynamic->symbols + (uint64_t)number * SYMBOL_BYTES, &symbol,
                    sizeof(symbol));
    uint8_t type = symbol.info % 16;
    if (symbol.section == ELF_SHN_UNDEF && symbol.info / 16 == ELF_STB_WEAK)
        return ELF_OK;
    error.a = type;
    if (symbol.section == ELF_SHN_UNDEF)
        error.status = ELF_ERR_SYMBOL_UNDEFINED;
    else if (type == ELF_STT_TLS || type == ELF_STT_GNU_IFUNC)
        error.status = ELF_ERR_SYMBOL_TYPE;
    else if (symbol.section == ELF_SHN_COMMON)
        error.status = ELF_ERR_SYMBOL_COMMON;
    else
        *ret_value = symbol.section == ELF_SHN_ABS ? symbol.value : symbol.value + image->slide;
    return error.status == ELF_OK ? ELF_OK
                                  : fail_named(memory, dynamic, symbol.name, error, ret_error);
}
