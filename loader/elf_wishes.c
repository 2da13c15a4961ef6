// Where a kernel's wishes are: see elf.h.
//
// A linker puts .note.slipway into a PT_NOTE if nobody tells it otherwise. Where a script has
// PHDRS without PT_NOTE the section stays, listed by section headers alone; where a script makes it
// part of another section, its bytes are in a segment and nothing tells where.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

enum {
    NAME_OFFSET = __builtin_offsetof(struct slipway_note, name),
    HEAD_BYTES = __builtin_offsetof(struct slipway_note, wishes),
    NOTE_BYTES_MAX = 512, // of a note in the image, with wishes of headers to come
};

// "Slip", as it stands at a multiple of 4 in the note's name.
#define NAME_WORD UINT32_C(0x70696c53)

// The wishes, and what is needed to find them.
struct search {
    const struct elf_image *image;
    const struct elf_memory *memory;
    const struct elf_reader *reader;
    struct slipway_note_wishes *wishes;
    bool *found;
    struct elf_error *ret_error;
};

// Notes nearly always lie in a segment, which stands in memory: there, or null.
static const void *find_in_image(const struct search *search, struct elf_range range) {
    for (uint32_t i = 0; i < search->image->segment_count; i++) {
        const struct elf_segment *segment = &search->image->segments[i];
        uint64_t at = range.file_offset - segment->file_offset; // huge if it lies before
        if (at > segment->file_bytes || range.bytes > segment->file_bytes - at)
            continue;
        uint64_t virt = segment->virt + at;
        const struct elf_piece *piece = elf_find_piece(search->memory, virt);
        if (piece != NULL && range.bytes <= piece->bytes - (virt - piece->virt))
            return piece->memory + (virt - piece->virt);
    }
    return NULL;
}

static enum elf_status look_in(const struct search *search, struct elf_range range) {
    const void *notes = find_in_image(search, range);
    if (notes == NULL &&
        elf_read_part(search->reader, range, "notes", &notes, search->ret_error) != ELF_OK)
        return ELF_ERR_READ;
    return elf_parse_note(notes, range.bytes, search->wishes, search->found, search->ret_error);
}

static enum elf_status look_in_segments_of_notes(const struct search *search) {
    enum elf_status status = ELF_OK;
    for (uint32_t i = 0; i < search->image->note_count && status == ELF_OK; i++)
        status = look_in(search, search->image->notes[i]);
    return status;
}

// The headers are read again after a section that has been read: nearly always there is none.
static enum elf_status look_in_sections(const struct search *search,
                                        const struct elf_header_view *header) {
    struct elf_sections sections;
    enum elf_status status =
        elf_find_sections(header, search->reader, &sections, search->ret_error);
    const void *headers = NULL;
    for (uint32_t i = 0; status == ELF_OK && i < sections.count; i++) {
        struct elf_range range;
        if (headers == NULL && elf_read_part(search->reader, sections.headers, "section headers",
                                             &headers, search->ret_error) != ELF_OK)
            return ELF_ERR_READ;
        if (!elf_section_range(search->reader, headers, i, ELF_SHT_NOTE, &range))
            continue;
        if (find_in_image(search, range) == NULL)
            headers = NULL;
        status = look_in(search, range);
    }
    return status;
}

static bool is_name(const uint8_t *at) {
    uint32_t word;
    __builtin_memcpy(&word, at, sizeof(word));
    return word == NAME_WORD;
}

// Every word of a kernel whose wishes nobody lists passes through here: two instructions a word.
static const uint8_t *find_name(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 32; at += 32)
        if (is_name(at) || is_name(at + 4) || is_name(at + 8) || is_name(at + 12) ||
            is_name(at + 16) || is_name(at + 20) || is_name(at + 24) || is_name(at + 28))
            break;
    for (; end - at >= 4; at += 4)
        if (is_name(at))
            return at;
    return NULL;
}

// The note whose name would be at `name`, in the file's bytes of a segment. It may lie in two
// pieces of memory, so it is copied.
static enum elf_status look_at(const struct search *search, const struct elf_segment *segment,
                               uint64_t name) {
    uint8_t note[NOTE_BYTES_MAX];
    uint64_t virt = name - NAME_OFFSET;
    uint64_t end = segment->virt + segment->file_bytes;
    if (name - segment->virt < NAME_OFFSET)
        return ELF_OK;
    uint64_t bytes = min_u64(end - virt, sizeof(note));
    elf_read_memory(search->memory, virt, note, bytes);
    if (!elf_is_note(note, bytes))
        return ELF_OK;
    uint32_t wishes_bytes;
    memcpy(&wishes_bytes, note + __builtin_offsetof(struct elf64_note, desc_bytes),
           sizeof(wishes_bytes));
    bytes = min_u64(bytes, HEAD_BYTES + (uint64_t)wishes_bytes);
    return elf_parse_note(note, bytes, search->wishes, search->found, search->ret_error);
}

static enum elf_status look_in_segment(const struct search *search,
                                       const struct elf_segment *segment) {
    uint64_t virt = align_up(segment->virt, 4);
    uint64_t end = segment->virt + segment->file_bytes;
    enum elf_status status = ELF_OK;
    while (virt < end && status == ELF_OK) {
        const struct elf_piece *piece = elf_find_piece(search->memory, virt);
        ASSERT(piece != NULL && (piece->virt + piece->bytes) % 4 == 0);
        uint64_t stop = min_u64(end, piece->virt + piece->bytes);
        const uint8_t *memory = piece->memory + (virt - piece->virt);
        const uint8_t *name = find_name(memory, memory + (stop - virt));
        if (name == NULL) {
            virt = stop;
            continue;
        }
        virt += (uint64_t)(name - memory);
        status = look_at(search, segment, virt);
        virt += 4;
    }
    return status;
}

static enum elf_status look_in_image(const struct search *search) {
    enum elf_status status = ELF_OK;
    for (uint32_t i = 0; i < search->image->segment_count && status == ELF_OK; i++)
        status = look_in_segment(search, &search->image->segments[i]);
    return status;
}

enum elf_status elf_find_wishes(const struct elf_header_view *header, const struct elf_image *image,
                                const struct elf_memory *memory, const struct elf_reader *reader,
                                struct slipway_note_wishes *wishes, bool *found,
                                struct elf_error *ret_error) {
    const struct search search = {image, memory, reader, wishes, found, ret_error};
    enum elf_status status = look_in_segments_of_notes(&search);
    if (status == ELF_OK && !*found)
        status = look_in_sections(&search, header);
    if (status == ELF_OK && !*found)
        status = look_in_image(&search);
    return status;
}
