#include "kernel/process/program.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

// ELF specification, figures 1-3 and 2-1 in their 64-bit form.
struct file_header {
    uint8_t ident[16];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t program_headers;
    uint64_t section_headers;
    uint32_t flags;
    uint16_t header_bytes;
    uint16_t program_header_bytes;
    uint16_t program_header_count;
    uint16_t section_header_bytes;
    uint16_t section_header_count;
    uint16_t section_names;
};

struct program_header {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t address;
    uint64_t physical;
    uint64_t file_bytes;
    uint64_t memory_bytes;
    uint64_t align;
};

_Static_assert(sizeof(struct file_header) == 64 && sizeof(struct program_header) == 56, "ELF64");

enum {
    CLASS_64 = 2,
    LITTLE_ENDIAN = 1,
    VERSION = 1,
    TYPE_EXECUTABLE = 2,
    MACHINE_X86_64 = 62,

    HEADER_UNUSED = 0,
    HEADER_LOAD = 1,
    HEADER_DYNAMIC = 2,
    HEADER_INTERPRETER = 3,
    HEADER_NOTE = 4,
    HEADER_SELF = 6,
    HEADER_THREAD = 7,
    HEADER_EH_FRAME = 0x6474e550,
    HEADER_STACK = 0x6474e551,
    HEADER_PROPERTY = 0x6474e553,

    FLAG_EXECUTE = 1,
    FLAG_WRITE = 2,
    FLAG_READ = 4,
};

const char *program_status_text(enum program_status status) {
    switch (status) {
    case PROGRAM_OK:
        return "ok";
    case PROGRAM_ERR_NOT_ELF:
        return "it is not an ELF file";
    case PROGRAM_ERR_KIND:
        return "it is not an ELF64 file of type ET_EXEC for x86-64";
    case PROGRAM_ERR_HEADERS:
        return "its program headers are not in the file, none, or too many";
    case PROGRAM_ERR_HEADER_KIND:
        return "it has a program header of a kind that is not known";
    case PROGRAM_ERR_DYNAMIC:
        return "it wants to be linked, interpreted, or thread-local data: link it statically";
    case PROGRAM_ERR_STACK:
        return "it wants an executable stack";
    case PROGRAM_ERR_MANY:
        return "it has too many segments";
    case PROGRAM_ERR_FILE:
        return "a segment is not in the file, or longer there than in memory";
    case PROGRAM_ERR_RIGHTS:
        return "a segment is both writable and executable, or cannot be read";
    case PROGRAM_ERR_ADDRESS:
        return "a segment lies where no program may, or on other bytes of a page than in the file";
    case PROGRAM_ERR_ORDER:
        return "segments are not in rising order, or share a page";
    case PROGRAM_ERR_NOTHING:
        return "it has no segment";
    case PROGRAM_ERR_ENTRY:
        return "its entry is not in executable bytes of the file";
    }
    return "unknown";
}

static enum program_status check_file_header(const struct file_header *header, uint64_t bytes) {
    static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', CLASS_64, LITTLE_ENDIAN, VERSION};
    if (memcmp(header->ident, ident, 4) != 0)
        return PROGRAM_ERR_NOT_ELF;
    if (memcmp(header->ident, ident, sizeof(ident)) != 0 || header->type != TYPE_EXECUTABLE ||
        header->machine != MACHINE_X86_64 || header->version != VERSION ||
        header->header_bytes != sizeof(*header))
        return PROGRAM_ERR_KIND;
    uint64_t table_bytes = header->program_header_count * sizeof(struct program_header);
    if (header->program_header_bytes != sizeof(struct program_header) || table_bytes == 0 ||
        header->program_header_count > PROGRAM_HEADERS_MAX || table_bytes > bytes ||
        header->program_headers > bytes - table_bytes)
        return PROGRAM_ERR_HEADERS;
    return PROGRAM_OK;
}

// Those that say something to linkers and debuggers alone are passed over.
static enum program_status check_other_header(const struct program_header *header) {
    switch (header->type) {
    case HEADER_UNUSED:
    case HEADER_NOTE:
    case HEADER_SELF:
    case HEADER_EH_FRAME:
    case HEADER_PROPERTY:
        return PROGRAM_OK;
    case HEADER_STACK:
        return header->flags & FLAG_EXECUTE ? PROGRAM_ERR_STACK : PROGRAM_OK;
    case HEADER_DYNAMIC:
    case HEADER_INTERPRETER:
    case HEADER_THREAD:
        return PROGRAM_ERR_DYNAMIC;
    default:
        return PROGRAM_ERR_HEADER_KIND;
    }
}

static enum program_status check_segment(const struct program_header *header, uint64_t bytes) {
    if (header->file_bytes > header->memory_bytes || header->offset > bytes ||
        header->file_bytes > bytes - header->offset)
        return PROGRAM_ERR_FILE;
    bool writes = header->flags & FLAG_WRITE, executes = header->flags & FLAG_EXECUTE;
    if (!(header->flags & FLAG_READ) || (writes && executes))
        return PROGRAM_ERR_RIGHTS;
    if (header->address < PROGRAM_MIN || header->address >= PROGRAM_MAX ||
        header->memory_bytes > PROGRAM_MAX - header->address ||
        header->address % PROGRAM_PAGE_BYTES != header->offset % PROGRAM_PAGE_BYTES)
        return PROGRAM_ERR_ADDRESS;
    return PROGRAM_OK;
}

static enum program_status add_segment(struct program *program, const struct program_header *header,
                                       uint64_t bytes) {
    if (header->memory_bytes == 0 && header->file_bytes == 0)
        return PROGRAM_OK; // of a section that has become empty
    enum program_status status = check_segment(header, bytes);
    if (status != PROGRAM_OK)
        return status;
    if (program->segment_count == PROGRAM_SEGMENTS_MAX)
        return PROGRAM_ERR_MANY;
    uint64_t start = align_down(header->address, PROGRAM_PAGE_BYTES);
    uint64_t end = align_up(header->address + header->memory_bytes, PROGRAM_PAGE_BYTES);
    if (program->segment_count != 0) {
        const struct program_segment *before = &program->segment[program->segment_count - 1];
        if (start < before->start + before->bytes)
            return PROGRAM_ERR_ORDER;
    }
    program->segment[program->segment_count++] = (struct program_segment){
        .start = start,
        .bytes = end - start,
        .address = header->address,
        .offset = header->offset,
        .file_bytes = header->file_bytes,
        .rights = (header->flags & FLAG_WRITE ? PROGRAM_WRITE : 0) |
                  (header->flags & FLAG_EXECUTE ? PROGRAM_EXECUTE : 0),
    };
    return PROGRAM_OK;
}

static enum program_status check_entry(const struct program *program) {
    if (program->segment_count == 0)
        return PROGRAM_ERR_NOTHING;
    for (unsigned i = 0; i < program->segment_count; i++) {
        const struct program_segment *segment = &program->segment[i];
        if ((segment->rights & PROGRAM_EXECUTE) && program->entry >= segment->address &&
            program->entry - segment->address < segment->file_bytes)
            return PROGRAM_OK;
    }
    return PROGRAM_ERR_ENTRY;
}

enum program_status program_read(const uint8_t *file, uint64_t bytes, struct program *ret_program) {
    struct file_header header;
    if (bytes < sizeof(header))
        return PROGRAM_ERR_NOT_ELF;
    memcpy(&header, file, sizeof(header));
    enum program_status status = check_file_header(&header, bytes);
    struct program program = {.entry = header.entry};
    for (unsigned i = 0; status == PROGRAM_OK && i < header.program_header_count; i++) {
        struct program_header part;
        memcpy(&part, file + header.program_headers + i * sizeof(part), sizeof(part));
        status = part.type == HEADER_LOAD ? add_segment(&program, &part, bytes)
                                          : check_other_header(&part);
    }
    if (status == PROGRAM_OK)
        status = check_entry(&program);
    if (status == PROGRAM_OK)
        *ret_program = program;
    return status;
}
