// A sound kernel at random: its file, and by simpler means than the loader's, what must come of it.
#include "tests/firmware/random/kernel.h"

#include "common/vmem/vmem.h"

#include <string.h>

uint8_t boot_kernel_file[KERNEL_FILE_BYTES_MAX];
uint8_t boot_kernel_image[KERNEL_IMAGE_BYTES_MAX];
uint8_t boot_kernel_rights[BOOT_KERNEL_PAGES_MAX];
struct kernel_layout kernel_layout;

static struct kernel_layout *const layout = &kernel_layout;

static uint64_t page_of(uint64_t address) {
    return address / FRAME_BYTES;
}

static uint64_t end_of(const struct elf64_phdr *segment) {
    return segment->virt + segment->mem_bytes;
}

uint64_t kernel_take_file(struct boot *boot, uint64_t bytes, uint64_t align) {
    uint64_t gap = boot_chance(boot, 50) ? 0 : boot_below(boot, 100);
    uint64_t start = align_up(layout->file_end + gap, align);
    layout->file_end = start + bytes;
    return start;
}

// ---- Segments

static uint64_t random_bytes(struct boot *boot) {
    switch (boot_below(boot, 8)) {
    case 0:
        return 0;
    case 1:
        return FRAME_BYTES * (1 + boot_below(boot, 3));
    case 2:
        return FRAME_BYTES * (1 + boot_below(boot, 3)) - 1 + boot_below(boot, 3);
    case 3:
        return boot_below(boot, 30000);
    default:
        return 1 + boot_below(boot, 6000);
    }
}

static uint64_t random_align(struct boot *boot) {
    static const uint64_t aligns[] = {0, 1, 8, 16, 4096, 4096, 4096, 4096, 8192, 65536};
    if (boot_chance(boot, 1))
        return MIB(2);
    return aligns[boot_below(boot, ARRAY_LEN(aligns))];
}

// Where the next segment starts: near the end of the last one, mostly.
static uint64_t near_start(struct boot *boot, uint64_t end) {
    uint64_t next_page = align_up(end, FRAME_BYTES);
    switch (boot_below(boot, 8)) {
    case 0:
        return end;
    case 1:
        return end + boot_below(boot, 64);
    case 2:
        return next_page + boot_below(boot, FRAME_BYTES);
    case 3:
        return next_page + FRAME_BYTES * (1 + boot_below(boot, 4)) + boot_below(boot, FRAME_BYTES);
    case 4:
        return next_page + FRAME_BYTES * (1 + boot_below(boot, 4));
    case 5:
        return boot_chance(boot, 8) ? align_up(end, MIB(2)) : next_page;
    default:
        return next_page;
    }
}

// In a page that two segments share, their rights are equal.
static uint32_t random_flags(struct boot *boot, const struct elf64_phdr *last, uint64_t *start,
                             bool must_execute) {
    static const uint32_t all[] = {0, ELF_PF_X, ELF_PF_W};
    bool is_shared = last != NULL && page_of(end_of(last) - 1) == page_of(*start);
    if (is_shared && must_execute && last->flags != ELF_PF_X) {
        *start = align_up(end_of(last), FRAME_BYTES);
        is_shared = false;
    }
    if (is_shared)
        return last->flags;
    return must_execute ? ELF_PF_X : all[boot_below(boot, 3)];
}

static void add_segment(struct boot *boot, bool must_execute) {
    const struct elf64_phdr *last =
        layout->segment_count == 0 ? NULL : &layout->segments[layout->segment_count - 1];
    uint64_t start = last == NULL ? boot_below(boot, 2) * boot_below(boot, 16 * FRAME_BYTES)
                                  : near_start(boot, end_of(last));
    struct elf64_phdr segment = {.type = ELF_PT_LOAD, .align = random_align(boot)};
    segment.flags = random_flags(boot, last, &start, must_execute);
    segment.virt = start;
    segment.file_bytes = random_bytes(boot);
    segment.mem_bytes = segment.file_bytes + (boot_chance(boot, 50) ? 0 : random_bytes(boot));
    if (segment.mem_bytes == 0)
        segment.mem_bytes = 1 + boot_below(boot, 100);
    layout->align = max_u64(layout->align, segment.align);
    layout->segments[layout->segment_count++] = segment;
}

static bool has_table(uint32_t segment) {
    return (layout->dynamic_bytes != 0 && layout->dynamic_segment == segment) ||
           (layout->rela_count != 0 && layout->table_segment == segment);
}

// File offsets that are congruent to the addresses. Some segments have the bytes of another one.
static void place_in_file(struct boot *boot) {
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        struct elf64_phdr *segment = &layout->segments[i];
        uint64_t align = max_u64(segment->align, 1);
        const struct elf64_phdr *other = &layout->segments[boot_below(boot, max_u64(i, 1))];
        bool is_twin = !has_table(i) && other->file_bytes >= segment->file_bytes &&
                       is_aligned(other->offset - segment->virt, align);
        if (i != 0 && is_twin && boot_chance(boot, 20)) {
            segment->offset = other->offset;
            continue;
        }
        uint64_t offset = kernel_take_file(boot, 0, 1);
        segment->offset = offset + ((segment->virt - offset) & (align - 1));
        layout->file_end = segment->offset + segment->file_bytes;
    }
}

// Where the image is linked, in the places of others too: its addresses so far are from 0 up.
static uint64_t random_base(struct boot *boot, bool is_dyn) {
    const struct elf64_phdr *last = &layout->segments[layout->segment_count - 1];
    uint64_t unit = layout->align;
    uint64_t steps = boot_below(boot, 2) * boot_below(boot, 100) * unit;
    uint64_t top = align_down(SLIPWAY_KERNEL_MAX - end_of(last), unit);
    if (!is_dyn || boot_chance(boot, 20)) {
        const uint64_t bases[] = {SLIPWAY_KERNEL_DEFAULT + steps,
                                  SLIPWAY_KERNEL_DEFAULT + steps,
                                  align_up(SLIPWAY_KERNEL_MIN, unit) + steps,
                                  align_up(SLIPWAY_WINDOW_BASE, unit) + steps,
                                  SLIPWAY_WINDOW_END + steps,
                                  top};
        return bases[boot_below(boot, ARRAY_LEN(bases))];
    }
    const uint64_t bases[] = {steps, MIB(4), UINT64_C(0x7fffff000000) & ~(unit - 1),
                              align_down(SLIPWAY_KERNEL_MIN - 1, unit)};
    return bases[boot_below(boot, ARRAY_LEN(bases))];
}

static void lay_out_segments(struct boot *boot) {
    uint64_t few = 1 + boot_below(boot, 6);
    uint64_t count = boot_chance(boot, 8) ? 1 + boot_below(boot, BOOT_SEGMENTS_MAX) : few;
    uint64_t executable = boot_below(boot, count);
    for (uint64_t i = 0; i < count; i++) {
        add_segment(boot, i == executable);
        kernel_reserve_tables(boot);
    }
}

// ---- RELRO

// Pages that become read-only; equal if there are none. An independent reading of elf.h.
static void relro_pages(uint64_t *ret_start, uint64_t *ret_end) {
    const struct elf64_phdr *relro = &layout->relro;
    *ret_start = *ret_end = 0;
    if (relro->type == 0)
        return;
    bool opens = false;
    for (uint32_t i = 0; i < layout->segment_count; i++)
        opens |= layout->segments[i].virt == relro->virt;
    uint64_t first = opens ? page_of(relro->virt) : page_of(relro->virt + FRAME_BYTES - 1);
    uint64_t end = page_of(relro->virt + relro->mem_bytes);
    if (first < end) {
        *ret_start = first;
        *ret_end = end;
    }
}

static void make_relro(struct boot *boot) {
    const struct elf64_phdr *segment = &layout->segments[boot_below(boot, layout->segment_count)];
    if (segment->flags != ELF_PF_W)
        return;
    uint64_t offset = boot_chance(boot, 50) ? 0 : boot_below(boot, segment->mem_bytes);
    uint64_t start = segment->virt + offset;
    uint64_t room = align_up(end_of(segment), FRAME_BYTES) - start;
    layout->relro = (struct elf64_phdr){
        .type = ELF_PT_GNU_RELRO,
        .virt = start,
        .mem_bytes = boot_chance(boot, 40) ? room : 1 + boot_below(boot, room),
        .align = 1,
    };
    uint64_t first, end;
    relro_pages(&first, &end);
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        const struct elf64_phdr *other = &layout->segments[i];
        if (other != segment && page_of(other->virt) < end && page_of(end_of(other) - 1) >= first)
            layout->relro = (struct elf64_phdr){0}; // its pages must be of one segment
    }
}

// ---- The file

static void fill_file(struct boot *boot) {
    for (uint64_t at = 0; at < boot->kernel.file_bytes; at += 8) {
        uint64_t bytes = random_next(&boot->random);
        memcpy(boot_kernel_file + at, &bytes, sizeof(bytes));
    }
}

static void add_phdr(struct elf64_phdr phdr) {
    layout->phdrs[layout->phdr_count++] = phdr;
}

static void list_phdrs(struct boot *boot) {
    for (uint32_t i = 0; i < layout->segment_count; i++)
        add_phdr(layout->segments[i]);
    if (layout->relro.type != 0)
        add_phdr(layout->relro);
    if (layout->dynamic_bytes != 0)
        add_phdr((struct elf64_phdr){.type = ELF_PT_DYNAMIC,
                                     .virt = layout->dynamic_link,
                                     .mem_bytes = layout->dynamic_bytes});
    if (boot_chance(boot, 20)) // of no memory: says nothing
        add_phdr((struct elf64_phdr){.type = ELF_PT_LOAD, .flags = ELF_PF_W | ELF_PF_X, .virt = 5});
    if (boot_chance(boot, 20))
        add_phdr((struct elf64_phdr){.type = 0x6474e551, .flags = 6}); // PT_GNU_STACK
    for (uint32_t left = layout->phdr_count; left > 1; left--) {
        uint64_t chosen = boot_below(boot, left);
        struct elf64_phdr last = layout->phdrs[left - 1];
        layout->phdrs[left - 1] = layout->phdrs[chosen];
        layout->phdrs[chosen] = last;
    }
}

static void add_notes(struct boot *boot) {
    boot->kernel.wishes = (struct slipway_note_wishes){0};
    uint64_t others = boot_below(boot, 3);
    uint64_t with_wishes = boot_chance(boot, 50) ? boot_below(boot, others + 1) : others;
    for (uint64_t i = 0; i < others; i++) {
        uint64_t align = boot_chance(boot, 50) ? 8 : 4;
        uint64_t start = kernel_take_file(boot, 0, align);
        uint64_t bytes = boot_put_notes(boot, boot_kernel_file + start, align, i == with_wishes);
        layout->file_end = start + bytes;
        add_phdr((struct elf64_phdr){.type = ELF_PT_NOTE,
                                     .offset = start,
                                     .file_bytes = bytes,
                                     .mem_bytes = bytes,
                                     .align = align == 8 ? 8 : boot_below(boot, 2) * 4});
        if (i == with_wishes) {
            layout->notes_file = start;
            layout->notes_bytes = bytes;
            layout->wishes_file += start;
        }
    }
}

static struct elf64_header header;

void kernel_write_headers(void) {
    memcpy(boot_kernel_file, &header, sizeof(header));
    memcpy(boot_kernel_file + header.phdrs_offset, layout->phdrs,
           layout->phdr_count * sizeof(layout->phdrs[0]));
}

void kernel_add_phdr(struct elf64_phdr phdr) {
    add_phdr(phdr);
    header.phdr_count++;
    header.phdrs_offset = sizeof(header); // where there is room
    kernel_write_headers();
}

static void write_headers(struct boot *boot, bool is_dyn, uint64_t entry) {
    header = (struct elf64_header){
        .ident = {0x7f, 'E', 'L', 'F', ELF_CLASS_64, ELF_DATA_LITTLE, ELF_VERSION_CURRENT},
        .type = is_dyn ? ELF_ET_DYN : ELF_ET_EXEC,
        .machine = ELF_EM_X86_64,
        .version = ELF_VERSION_CURRENT,
        .entry = entry,
        .phdrs_offset = sizeof(header),
        .header_bytes = sizeof(header),
        .phdr_bytes = sizeof(struct elf64_phdr),
        .phdr_count = (uint16_t)layout->phdr_count,
        .shdrs_offset = random_next(&boot->random),
    };
    uint64_t bytes = layout->phdr_count * sizeof(layout->phdrs[0]);
    if (boot_chance(boot, 30)) // not where they are usually
        header.phdrs_offset = kernel_take_file(boot, bytes, 1);
    kernel_write_headers();
}

// ---- What must come of it

static uint64_t slide_of(bool is_dyn) {
    uint64_t first = layout->segments[0].virt;
    if (!is_dyn || first >= SLIPWAY_KERNEL_MIN)
        return 0;
    return SLIPWAY_KERNEL_DEFAULT - align_down(first, layout->align);
}

static void expect_rights(uint64_t first_page) {
    uint64_t start, end;
    relro_pages(&start, &end);
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        const struct elf64_phdr *segment = &layout->segments[i];
        unsigned rights = VMEM_READ | (segment->flags & ELF_PF_W ? VMEM_WRITE : 0U) |
                          (segment->flags & ELF_PF_X ? VMEM_EXECUTE : 0U);
        for (uint64_t page = page_of(segment->virt); page <= page_of(end_of(segment) - 1); page++) {
            bool is_relro = page >= start && page < end;
            boot_kernel_rights[page - first_page] = (uint8_t)(is_relro ? VMEM_READ : rights);
        }
    }
}

static void expect_image(struct boot *boot) {
    struct boot_kernel *kernel = &boot->kernel;
    uint64_t first_page = page_of(layout->segments[0].virt);
    uint64_t link = first_page * FRAME_BYTES;
    const struct elf64_phdr *last = &layout->segments[layout->segment_count - 1];
    kernel->pages = page_of(end_of(last) - 1) + 1 - first_page;
    memset(boot_kernel_image, 0, kernel->pages * FRAME_BYTES);
    memset(boot_kernel_rights, 0, kernel->pages);
    expect_rights(first_page);
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        const struct elf64_phdr *segment = &layout->segments[i];
        memcpy(boot_kernel_image + (segment->virt - link), boot_kernel_file + segment->offset,
               segment->file_bytes);
    }
    kernel_relocate(boot_kernel_image, link, kernel->slide);
}

void boot_move_kernel(struct boot *boot, uint64_t slide) {
    struct boot_kernel *kernel = &boot->kernel;
    kernel->virt += slide - kernel->slide;
    kernel->entry += slide - kernel->slide;
    kernel->slide = slide;
    expect_image(boot);
}

static uint64_t random_entry(struct boot *boot) {
    for (;;) {
        const struct elf64_phdr *segment =
            &layout->segments[boot_below(boot, layout->segment_count)];
        if (segment->flags == ELF_PF_X)
            return segment->virt + boot_below(boot, segment->mem_bytes);
    }
}

// Everything moves from where it was laid out to where it is linked.
static void link_at(uint64_t base) {
    for (uint32_t i = 0; i < layout->segment_count; i++)
        layout->segments[i].virt += base;
    const struct elf64_phdr *dynamic = &layout->segments[layout->dynamic_segment];
    const struct elf64_phdr *table = &layout->segments[layout->table_segment];
    layout->dynamic_file = dynamic->offset + layout->dynamic_link;
    layout->dynamic_link += dynamic->virt;
    layout->table_file = table->offset + layout->table_link;
    layout->table_link += table->virt;
}

// Again until image and file have room.
static void lay_out(struct boot *boot) {
    do {
        *layout = (struct kernel_layout){.align = FRAME_BYTES, .file_end = 64};
        layout->file_end += KERNEL_PHDRS_MAX * sizeof(struct elf64_phdr);
        lay_out_segments(boot);
        place_in_file(boot);
    } while (layout->file_end > KERNEL_FILE_BYTES_MAX / 2 ||
             end_of(&layout->segments[layout->segment_count - 1]) > KERNEL_IMAGE_BYTES_MAX);
}

void boot_make_kernel(struct boot *boot) {
    bool is_dyn = boot_chance(boot, 50);
    lay_out(boot);
    link_at(random_base(boot, is_dyn));
    boot->kernel.file_bytes = layout->file_end + boot_below(boot, 200);
    fill_file(boot);
    if (layout->dynamic_bytes != 0)
        kernel_write_tables(boot);
    if (boot_chance(boot, 40))
        make_relro(boot);
    list_phdrs(boot);
    boot->kernel.slide = slide_of(is_dyn);
    boot->kernel.virt = page_of(layout->segments[0].virt) * FRAME_BYTES + boot->kernel.slide;
    add_notes(boot);
    uint64_t entry = random_entry(boot);
    write_headers(boot, is_dyn, entry);
    boot->kernel.file_bytes = max_u64(boot->kernel.file_bytes, layout->file_end);
    expect_image(boot);
    boot->kernel.entry = entry + boot->kernel.slide;
    boot->pages -= boot->kernel.pages + MIB(2) / FRAME_BYTES;
    boot_tell(boot, "%s kernel: %u segments, %lu pages at 0x%lx, slide 0x%lx, %u relocations%s, ",
              is_dyn ? "ET_DYN" : "ET_EXEC", layout->segment_count, boot->kernel.pages,
              boot->kernel.virt, boot->kernel.slide, layout->rela_count,
              layout->relro.type != 0 ? ", RELRO" : "");
    boot_fill_in_wishes(boot);
}
