// Wishes and symbols of a kernel file of anything, as the loader looks for them: by notes, by
// section headers, and in an image that stands in pieces of memory. What is found must keep every
// promise of elf.h, and a search in one piece and in many finds the same.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "tests/fuzz/patch.h"

#include <stdlib.h>

// The kernel to be patched.
#include "tests/unit/support/elf_file.c"

enum {
    PLACED_MAX = 1 << 20, // larger images are not placed
    PIECE_BYTES = 4096,
    SECTIONS_AT = 0x6000,
    NOTE_AT = 0x3100,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

struct contents {
    const uint8_t *bytes;
    uint64_t count;
    void *part; // what was read last, a block of its size, so that ASan sees a read beyond it
};

static const void *read_part(void *context, uint64_t offset, uint64_t bytes, const char *what) {
    struct contents *file = context;
    require(what != NULL && bytes != 0 && offset <= file->count && bytes <= file->count - offset);
    free(file->part);
    file->part = malloc(bytes);
    memcpy(file->part, file->bytes + offset, bytes);
    return file->part;
}

static void require_part(struct elf_range range, uint64_t file_bytes, uint64_t each) {
    require(range.file_offset <= file_bytes && range.bytes <= file_bytes - range.file_offset);
    require(range.bytes % each == 0);
}

static void find_symbols(const struct elf_header_view *header, const struct elf_reader *reader) {
    struct elf_symbols symbols;
    struct elf_error error;
    require(elf_find_symbols(header, reader, &symbols, &error) == ELF_OK);
    require_part(symbols.sections, reader->file_bytes, ELF_SECTION_BYTES);
    require_part(symbols.section_names, reader->file_bytes, 1);
    require_part(symbols.symbols, reader->file_bytes, ELF_SYMBOL_BYTES);
    require_part(symbols.symbol_names, reader->file_bytes, 1);
    require((symbols.symbols.bytes != 0) == (symbols.symbol_names.bytes != 0));
    require(symbols.sections.bytes != 0 ||
            (symbols.symbols.bytes == 0 && symbols.section_names.bytes == 0));
}

struct outcome {
    enum elf_status status;
    bool found;
    struct slipway_note_wishes wishes;
};

static struct outcome find_wishes(const struct elf_header_view *header,
                                  const struct elf_image *image, const struct elf_reader *reader,
                                  uint64_t piece_bytes) {
    const struct contents *file = reader->context;
    uint64_t bytes = image->virt_end - image->virt_start;
    uint64_t count = 0;
    struct elf_piece *pieces = calloc(bytes / piece_bytes + 1, sizeof(*pieces));
    for (uint64_t at = 0; at < bytes; at += piece_bytes) {
        uint64_t part = min_u64(piece_bytes, bytes - at);
        pieces[count++] = (struct elf_piece){image->virt_start + at, part, calloc(1, part)};
    }
    const struct elf_memory memory = {pieces, count};
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        elf_write_memory(&memory, segment->virt, file->bytes + segment->file_offset,
                         segment->file_bytes);
    }
    struct outcome outcome = {0};
    struct elf_error error;
    outcome.status =
        elf_find_wishes(header, image, &memory, reader, &outcome.wishes, &outcome.found, &error);
    require(outcome.status == ELF_OK || outcome.status == error.status);
    require(outcome.status != ELF_ERR_READ);
    for (uint64_t i = 0; i < count; i++)
        free(pieces[i].memory);
    free(pieces);
    return outcome;
}

static void load(const uint8_t *bytes, size_t count) {
    struct contents file = {bytes, count, NULL};
    const struct elf_reader reader = {read_part, &file, count};
    struct elf_header_view header;
    struct elf_image image;
    struct elf_error error;
    if (elf_parse_header(bytes, count, count, &header, &error) != ELF_OK)
        return;
    void *lists = malloc(elf_lists_bytes(header.phdr_count));
    find_symbols(&header, &reader);
    if (elf_parse_segments(&header, bytes + header.phdrs_offset, count, lists, &image, &error) ==
            ELF_OK &&
        image.virt_end - image.virt_start <= PLACED_MAX) {
        struct outcome whole = find_wishes(&header, &image, &reader, PLACED_MAX);
        struct outcome parts = find_wishes(&header, &image, &reader, PIECE_BYTES);
        require(whole.status == parts.status && whole.found == parts.found);
        require(memcmp(&whole.wishes, &parts.wishes, sizeof(whole.wishes)) == 0);
        require(!whole.found || whole.wishes.version == SLIPWAY_BOOT_VERSION);
    }
    free(lists);
    free(file.part);
}

// With a note in the image and sections of every kind that is looked at.
static void make_kernel(struct elf_file *file) {
    const struct slipway_note note = {
        8, 40, SLIPWAY_NOTE_TYPE, "Slipway", {.version = SLIPWAY_BOOT_VERSION}};
    const struct elf64_shdr sections[] = {
        {.type = 0},
        {.type = ELF_SHT_NOTE, .offset = NOTE_AT, .bytes = 0x40},
        {.type = ELF_SHT_SYMTAB, .offset = 0x5000, .bytes = 72, .link = 3, .entry_bytes = 24},
        {.type = ELF_SHT_STRTAB, .offset = 0x5100, .bytes = 32},
        {.type = ELF_SHT_STRTAB, .offset = 0x5200, .bytes = 32},
    };
    *file = elf_file_make();
    elf_file_add(file, ELF_PT_NOTE, 0x2000, ELF_FILE_BASE + 0x1000, 0x40)->align = 4;
    memcpy((uint8_t *)file + NOTE_AT, &note, sizeof(note));
    memcpy((uint8_t *)file + SECTIONS_AT, sections, sizeof(sections));
    file->header.shdrs_offset = SECTIONS_AT;
    file->header.shdr_bytes = sizeof(sections[0]);
    file->header.shdr_count = ARRAY_LEN(sections);
    file->header.names_index = 4;
}

// The first byte says what follows: a file, or patches of a kernel that is in order.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0)
        return 0;
    if (data[0] % 2 == 0) {
        load(data + 1, bytes - 1);
        return 0;
    }
    static struct elf_file kernel; // made once
    if (kernel.header.phdr_count == 0)
        make_kernel(&kernel);
    struct elf_file *file = malloc(sizeof(*file));
    *file = kernel;
    patch_apply(data + 1, bytes - 1, file, sizeof(*file));
    load((const uint8_t *)file, sizeof(*file));
    free(file);
    return 0;
}
