#include "tests/unit/support/elf_parts.h"

#include "common/base/arith.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

static const void *read_part(void *context, uint64_t offset, uint64_t bytes, const char *what) {
    struct elf_parts *parts = context;
    assert_true(bytes != 0 && offset <= sizeof(*parts->file) &&
                bytes <= sizeof(*parts->file) - offset);
    assert_non_null(what);
    parts->reads.last = (struct elf_range){offset, bytes};
    free(parts->part);
    parts->part = NULL;
    if (++parts->reads.count == parts->reads.fail_at)
        return NULL;
    parts->part = malloc(bytes);
    memcpy(parts->part, (const uint8_t *)parts->file + offset, bytes);
    return parts->part;
}

static void place(struct elf_parts *parts, uint64_t piece_bytes) {
    const struct elf_image *image = &parts->image;
    uint64_t bytes = image->virt_end - image->virt_start;
    uint64_t each = piece_bytes == 0 ? bytes : piece_bytes;
    parts->pieces = calloc(bytes / each + 1, sizeof(*parts->pieces));
    parts->memory = (struct elf_memory){parts->pieces, 0};
    for (uint64_t at = 0; at < bytes; at += each) {
        uint64_t part = min_u64(each, bytes - at);
        parts->pieces[parts->memory.count++] =
            (struct elf_piece){image->virt_start + at, part, calloc(1, part)};
    }
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        elf_write_memory(&parts->memory, segment->virt,
                         (const uint8_t *)parts->file + segment->file_offset, segment->file_bytes);
    }
}

void elf_parts_begin(struct elf_parts *parts, const struct elf_file *file, uint64_t piece_bytes) {
    struct elf_error error;
    *parts = (struct elf_parts){.file = file};
    parts->reader = (struct elf_reader){read_part, parts, sizeof(*file)};
    assert_int_equal(
        elf_parse_header(file, sizeof(file->header), sizeof(*file), &parts->header, &error),
        ELF_OK);
    parts->image = elf_file_accept(file);
    place(parts, piece_bytes);
}

void elf_parts_end(struct elf_parts *parts) {
    for (uint64_t i = 0; i < parts->memory.count; i++)
        free(parts->memory.pieces[i].memory);
    free(parts->pieces);
    free(parts->part);
}

void elf_parts_add_section(struct elf_file *file, uint64_t at, struct elf64_shdr section) {
    struct elf64_shdr *headers = (void *)((uint8_t *)file + at);
    if (file->header.shdr_count == 0) {
        file->header.shdrs_offset = at;
        file->header.shdr_bytes = sizeof(section);
        file->header.shdr_count = 1;
        memset(&headers[0], 0, sizeof(headers[0]));
    }
    headers[file->header.shdr_count++] = section;
}
