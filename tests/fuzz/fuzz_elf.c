// A kernel file of anything: header, segments, notes, origin and relocations, as the loader reads
// them.
// What is accepted must keep every promise of elf.h.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "tests/fuzz/patch.h"

#include <stdlib.h>

// The kernel to be patched.
#include "tests/unit/support/elf_file.c"

enum {
    PLACED_MAX = 1 << 20, // larger images are not placed
    DYNAMIC_AT = 0x2000,
    TABLE_AT = 0x1000,
    NOTE_AT = 0x1200,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void drop(void *context, const char *text, size_t bytes) {
    *(size_t *)context += bytes + (text[0] == '\0');
}

// A refusal has words, whatever its numbers.
static void check_error(const struct elf_error *error) {
    size_t printed = 0;
    struct sink sink = {drop, &printed};
    require(error->status != ELF_OK);
    elf_error_print(&sink, error);
    require(printed > 0);
}

static void check_segment(const struct elf_image *image, uint32_t i, uint64_t file_bytes) {
    const struct elf_segment *segment = &image->segments[i];
    uint64_t end = segment->virt + segment->mem_bytes;
    require(segment->mem_bytes != 0 && end > segment->virt);
    require(segment->virt >= SLIPWAY_KERNEL_MIN && end <= SLIPWAY_KERNEL_MAX);
    require(segment->virt >= image->virt_start && end <= image->virt_end);
    require(segment->file_bytes <= segment->mem_bytes);
    require(segment->file_bytes == 0 || (segment->file_offset <= file_bytes &&
                                         segment->file_bytes <= file_bytes - segment->file_offset));
    require(i == 0 || segment->virt >= segment[-1].virt + segment[-1].mem_bytes);
}

// The run in which the page at `virt` lies.
static const struct elf_run *find_run(const struct elf_image *image, uint64_t virt) {
    for (uint32_t i = 0; i < image->run_count; i++)
        if (virt >= image->runs[i].start && virt < image->runs[i].end)
            return &image->runs[i];
    return NULL;
}

static void check_rights(const struct elf_image *image, const struct elf_segment *segment,
                         uint64_t virt) {
    const struct elf_run *run = find_run(image, virt);
    bool is_relro = virt >= image->relro_start && virt < image->relro_end;
    uint32_t rights = (segment->write && !is_relro ? SLIPWAY_RIGHT_WRITE : 0) |
                      (segment->execute ? SLIPWAY_RIGHT_EXECUTE : 0);
    require(run != NULL && run->rights == rights);
}

// Of a segment the pages at its ends and at those of RELRO tell for the others.
static void check_runs(const struct elf_image *image) {
    require(image->run_count <= image->segment_count + 2);
    for (uint32_t i = 0; i < image->run_count; i++) {
        const struct elf_run *run = &image->runs[i];
        require(run->start < run->end && run->start % 4096 == 0 && run->end % 4096 == 0);
        require(i == 0 || run[-1].end < run->start ||
                (run[-1].end == run->start && run[-1].rights != run->rights));
    }
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        uint64_t end = segment->virt + segment->mem_bytes;
        const uint64_t pages[] = {segment->virt,          end - 1,
                                  image->relro_start - 1, image->relro_start,
                                  image->relro_end - 1,   image->relro_end};
        for (uint32_t page = 0; page < ARRAY_LEN(pages); page++)
            if (pages[page] >= segment->virt && pages[page] < end)
                check_rights(image, segment, pages[page]);
    }
}

static void check_tls(const struct elf_image *image) {
    const struct elf_tls *tls = &image->tls;
    bool is_there = false;
    require(tls->file_bytes <= tls->mem_bytes && (tls->file_bytes != 0 || tls->virt == 0));
    require((tls->mem_bytes == 0) == (tls->align == 0));
    require(tls->align == 0 || (is_power_of_two(tls->align) && is_aligned(tls->virt, tls->align)));
    for (uint32_t i = 0; i < image->segment_count; i++) {
        uint64_t offset = tls->virt - image->segments[i].virt;
        is_there |= offset < image->segments[i].mem_bytes &&
                    tls->file_bytes <= image->segments[i].mem_bytes - offset;
    }
    require(tls->file_bytes == 0 || is_there);
}

static void check_image(const struct elf_image *image, uint64_t file_bytes) {
    bool entry_found = false;
    require(image->segment_count >= 1);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        check_segment(image, i, file_bytes);
        entry_found |= segment->execute && image->entry - segment->virt < segment->mem_bytes;
        bool in_relro = segment->virt < image->relro_end &&
                        segment->virt + segment->mem_bytes > image->relro_start;
        require(!in_relro || segment->write);
    }
    require(entry_found);
    require(image->virt_start % 4096 == 0 && image->virt_end % 4096 == 0);
    require(image->relro_start % 4096 == 0 && image->relro_end % 4096 == 0);
    require(image->relro_start <= image->relro_end && image->relro_end <= image->virt_end);
    check_runs(image);
    check_tls(image);
}

// Slipway's, and those of a protocol that minds little, after which the image stays so.
static void check_rules(struct elf_image *image, uint64_t file_bytes) {
    const struct elf_rules slipway = {0};
    const struct elf_rules easy = {.may_write_execute = true, .ignores_relro = true};
    const struct elf_segment *both = elf_find_write_execute(image);
    struct elf_error error = {0};
    require(both == NULL || (both->write && both->execute));
    if (elf_apply_rules(image, &slipway, &error) == ELF_OK)
        require(both == NULL);
    else
        check_error(&error);
    require(elf_apply_rules(image, &easy, &error) == ELF_OK);
    require(image->relro_start == image->relro_end);
    check_image(image, file_bytes);
}

static void read_notes(const struct elf_image *image, const uint8_t *file) {
    struct slipway_note_wishes wishes;
    struct elf_error error = {0};
    bool found = false;
    for (uint32_t i = 0; i < image->note_count; i++) {
        const struct elf_range *note = &image->notes[i];
        uint8_t *copy = malloc(note->bytes); // exact, so that ASan sees a read beyond it
        memcpy(copy, file + note->file_offset, note->bytes);
        if (elf_parse_note(copy, note->bytes, &wishes, &found, &error) != ELF_OK)
            check_error(&error);
        else if (found)
            require(wishes.version == SLIPWAY_BOOT_VERSION);
        free(copy);
    }
}

static void place(const struct elf_image *image, const uint8_t *file) {
    uint64_t bytes = image->virt_end - image->virt_start;
    if (bytes > PLACED_MAX)
        return;
    uint8_t *placed = calloc(1, bytes);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        if (segment->file_bytes != 0)
            memcpy(placed + (segment->virt - image->virt_start), file + segment->file_offset,
                   segment->file_bytes);
    }
    uint8_t *before = malloc(bytes);
    memcpy(before, placed, bytes);
    const struct elf_piece whole = {image->virt_start, bytes, placed};
    const struct elf_memory memory = {&whole, 1};
    struct elf_error error = {0};
    if (elf_relocate(image, &memory, &error) != ELF_OK) {
        check_error(&error);
        require(memcmp(before, placed, bytes) == 0);
    }
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        uint64_t at = segment->virt - image->virt_start;
        require(segment->write || memcmp(before + at, placed + at, segment->mem_bytes) == 0);
    }
    free(before);
    free(placed);
}

// A piece of the file from anywhere, to be looked at as itself, with nothing around it.
static void find_origin(const uint8_t *file, uint64_t offset, uint64_t bytes) {
    uint8_t *copy = malloc(bytes);
    struct elf_error origin = {0};
    memcpy(copy, file + offset, bytes);
    if (elf_find_origin(copy, bytes, offset, &origin)) {
        check_error(&origin);
        require(origin.status >= ELF_IS_GZIP && origin.status <= ELF_IS_LIMINE);
        require(origin.a >= offset && origin.a - offset < bytes);
    }
    free(copy);
}

static void load(const uint8_t *file, size_t bytes) {
    struct elf_header_view header;
    struct elf_image image;
    struct elf_error error = {0};
    find_origin(file, 0, bytes);
    if (elf_parse_header(file, bytes, bytes, &header, &error) != ELF_OK) {
        check_error(&error);
        return;
    }
    require(header.phdrs_offset <= bytes && header.phdrs_bytes <= bytes - header.phdrs_offset);
    void *lists = malloc(elf_lists_bytes(header.phdr_count));
    if (elf_parse_segments(&header, file + header.phdrs_offset, bytes, lists, &image, &error) !=
        ELF_OK) {
        check_error(&error);
        free(lists);
        return;
    }
    check_image(&image, bytes);
    check_rules(&image, bytes);
    read_notes(&image, file);
    for (uint32_t i = 0; i < image.segment_count; i++) {
        const struct elf_segment *segment = &image.segments[i];
        if (segment->file_bytes != 0)
            find_origin(file, segment->file_offset, segment->file_bytes);
    }
    place(&image, file);
    free(lists);
}

// A static PIE with two relocations, RELRO, thread-local data and a note.
static void make_kernel(struct elf_file *file) {
    uint8_t *bytes = (uint8_t *)file;
    const struct elf64_dynamic dynamic[4] = {
        {ELF_DT_RELA, TABLE_AT}, {ELF_DT_RELASZ, 48}, {ELF_DT_RELAENT, 24}};
    const struct elf64_rela relas[2] = {{0x2800, ELF_R_X86_64_RELATIVE, 0, 0x10},
                                        {0x4ff8, ELF_R_X86_64_RELATIVE, 0, 0}};
    const struct slipway_note note = {
        8, 40, SLIPWAY_NOTE_TYPE, "Slipway", {.version = SLIPWAY_BOOT_VERSION}};
    *file = elf_file_make_dyn();
    elf_file_add(file, ELF_PT_DYNAMIC, 0x1000 + DYNAMIC_AT, DYNAMIC_AT, sizeof(dynamic));
    elf_file_add(file, ELF_PT_GNU_RELRO, 0x1000 + DYNAMIC_AT, DYNAMIC_AT, 0x1000);
    elf_file_add(file, ELF_PT_TLS, 0x1000 + DYNAMIC_AT, DYNAMIC_AT, 0x20);
    elf_file_add(file, ELF_PT_NOTE, 0x1000 + NOTE_AT, NOTE_AT, sizeof(note))->align = 4;
    memcpy(bytes + 0x1000 + DYNAMIC_AT, dynamic, sizeof(dynamic));
    memcpy(bytes + 0x1000 + TABLE_AT, relas, sizeof(relas));
    memcpy(bytes + 0x1000 + NOTE_AT, &note, sizeof(note));
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
