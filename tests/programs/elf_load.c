// elf_load FILE OUT: reads a kernel as the loader does, prints its plan as key=value lines, and
// writes the relocated image, byte 0 at virt_start, to OUT. Exit 1 and the reason for a file that
// is refused, 2 for one that cannot be read.
#include "loader/elf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 64 << 20 };

static void write_error(void *context, const char *text, size_t bytes) {
    (void)context;
    fwrite(text, 1, bytes, stderr);
}

// `origin` is null, or what the file is instead.
static void refuse(const struct elf_error *error, const struct elf_error *origin) {
    const struct sink sink = {write_error, NULL};
    elf_error_print(&sink, error);
    if (origin != NULL) {
        fprintf(stderr, "; ");
        elf_error_print(&sink, origin);
    }
    exit(1);
}

static void refuse_headers(const struct elf_error *error, const uint8_t *file, uint64_t bytes) {
    struct elf_error origin;
    bool found =
        elf_find_origin(file, bytes < ELF_ORIGIN_BYTES ? bytes : ELF_ORIGIN_BYTES, 0, &origin);
    refuse(error, found ? &origin : NULL);
}

static uint8_t *read_file(const char *path, uint64_t *ret_bytes) {
    uint8_t *bytes = malloc(FILE_MAX);
    FILE *file = fopen(path, "rb");
    if (file == NULL || bytes == NULL) {
        perror(path);
        exit(2);
    }
    *ret_bytes = fread(bytes, 1, FILE_MAX, file);
    fclose(file);
    return realloc(bytes, *ret_bytes == 0 ? 1 : *ret_bytes); // exact, for ASan
}

static void print_image(const struct elf_image *image) {
    printf("type=%s\nslide=%#lx\nentry=%#lx\n", image->type == ELF_TYPE_DYN ? "dyn" : "exec",
           image->slide, image->entry);
    printf("start=%#lx\nend=%#lx\n", image->virt_start, image->virt_end);
    printf("tls=%#lx %#lx %#lx %#lx\n", image->tls.virt, image->tls.file_bytes,
           image->tls.mem_bytes, image->tls.align);
    printf("relro=%#lx %#lx\n", image->relro_start, image->relro_end);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        printf("segment.%u=%#lx %#lx %#lx %#lx %c%c\n", segment->phdr, segment->virt,
               segment->file_offset, segment->file_bytes, segment->mem_bytes,
               segment->write ? 'w' : '-', segment->execute ? 'x' : '-');
    }
    for (uint32_t i = 0; i < image->run_count; i++) {
        const struct elf_run *run = &image->runs[i];
        printf("run.%u=%#lx %#lx %u\n", i, run->start, run->end, run->rights);
    }
}

struct contents {
    const uint8_t *bytes;
    uint64_t count;
};

static const void *read_part(void *context, uint64_t offset, uint64_t bytes, const char *what) {
    const struct contents *file = context;
    (void)what;
    if (bytes == 0 || offset > file->count || bytes > file->count - offset)
        abort();
    return file->bytes + offset;
}

static void print_wishes(const struct elf_header_view *header, const struct elf_image *image,
                         const struct elf_memory *memory, const struct elf_reader *reader) {
    const struct contents *file = reader->context;
    struct slipway_note_wishes wishes;
    struct elf_error error;
    bool found = false;
    if (elf_find_wishes(header, image, memory, reader, &wishes, &found, &error) != ELF_OK)
        refuse(&error, NULL);
    for (uint32_t i = 0; !found && i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        if (elf_find_origin(file->bytes + segment->file_offset, segment->file_bytes,
                            segment->file_offset, &error))
            refuse(&(struct elf_error){.status = ELF_ERR_NOTE_NONE}, &error);
    }
    if (found)
        printf("wishes=%u %#x %lu\n", wishes.version, wishes.flags, wishes.stack_bytes);
}

static void print_part(const char *name, struct elf_range range) {
    printf("%s=%lu %lu\n", name, range.file_offset, range.bytes);
}

static void print_symbols(const struct elf_header_view *header, const struct elf_reader *reader) {
    struct elf_symbols symbols;
    struct elf_error error;
    if (elf_find_symbols(header, reader, &symbols, &error) != ELF_OK)
        refuse(&error, NULL);
    print_part("sections", symbols.sections);
    print_part("section_names", symbols.section_names);
    print_part("symbols", symbols.symbols);
    print_part("symbol_names", symbols.symbol_names);
}

static uint8_t *place(const struct elf_image *image, const uint8_t *file) {
    uint8_t *placed = calloc(1, image->virt_end - image->virt_start);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        memcpy(placed + (segment->virt - image->virt_start), file + segment->file_offset,
               segment->file_bytes);
    }
    return placed;
}

static void relocate(const struct elf_image *image, const struct elf_memory *memory,
                     const char *path) {
    const struct elf_piece *whole = memory->pieces;
    struct elf_error error;
    if (elf_relocate(image, memory, &error) != ELF_OK)
        refuse(&error, NULL);
    FILE *out = fopen(path, "wb");
    if (out == NULL || fwrite(whole->memory, 1, whole->bytes, out) != whole->bytes ||
        fclose(out) != 0) {
        perror(path);
        exit(2);
    }
}

int main(int argc, char **argv) {
    struct elf_header_view header;
    struct elf_image image;
    struct elf_error error;
    uint64_t bytes;
    if (argc != 3) {
        fprintf(stderr, "usage: elf_load FILE OUT\n");
        return 2;
    }
    uint8_t *file = read_file(argv[1], &bytes);
    if (elf_parse_header(file, bytes, bytes, &header, &error) != ELF_OK)
        refuse_headers(&error, file, bytes);
    void *lists = malloc(elf_lists_bytes(header.phdr_count));
    if (elf_parse_segments(&header, file + header.phdrs_offset, bytes, lists, &image, &error) !=
        ELF_OK)
        refuse_headers(&error, file, bytes);
    if (elf_apply_rules(&image, &(struct elf_rules){0}, &error) != ELF_OK)
        refuse_headers(&error, file, bytes);
    print_image(&image);
    struct contents contents = {file, bytes};
    const struct elf_reader reader = {read_part, &contents, bytes};
    const struct elf_piece whole = {image.virt_start, image.virt_end - image.virt_start,
                                    place(&image, file)};
    const struct elf_memory memory = {&whole, 1};
    print_wishes(&header, &image, &memory, &reader);
    print_symbols(&header, &reader);
    relocate(&image, &memory, argv[2]);
    free(whole.memory);
    free(lists);
    free(file);
    return 0;
}
