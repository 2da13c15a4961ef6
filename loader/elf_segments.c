// Program headers to an image plan: see elf.h.
//
// One pass over the headers collects them, at link addresses, with every check that needs one
// header only. Then the segments are sorted, checked against each other, slid to where they run,
// and the special headers are checked against them.
#include "loader/elf.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

// No real kernel asks for more, and SLIPWAY_KERNEL_DEFAULT is a multiple of every alignment up to
// it.
#define ALIGN_MAX GIB(1)
_Static_assert(SLIPWAY_KERNEL_DEFAULT % ALIGN_MAX == 0);
_Static_assert(SLIPWAY_KERNEL_MIN % FRAME_BYTES == 0 && SLIPWAY_KERNEL_MAX % FRAME_BYTES == 0);

// A header that may appear once.
struct special {
    bool present;
    uint32_t phdr;
    uint64_t virt; // link address
    uint64_t bytes;
    uint64_t file_bytes;
    uint64_t align;
};

struct page_range {
    uint64_t start; // page aligned run addresses
    uint64_t end;
};

// What the pass over the headers collects.
struct scan {
    uint64_t file_bytes;
    struct special dynamic;
    struct special relro;
    struct special tls;
    struct elf_image image; // segments unsorted, at link addresses
    struct elf_error *ret_error;
};

static uint64_t segment_end(const struct elf_segment *segment) {
    return segment->virt + segment->mem_bytes; // never wraps: checked when it was collected
}

static enum elf_status check_file_range(const struct scan *scan, const struct elf64_phdr *phdr,
                                        uint32_t index) {
    uint64_t end;
    if (add_overflows(phdr->offset, phdr->file_bytes, &end) || end > scan->file_bytes)
        return ELF_FAIL(scan->ret_error, ELF_ERR_FILE_RANGE, .index = index, .a = phdr->offset,
                        .b = phdr->file_bytes, .c = scan->file_bytes);
    return ELF_OK;
}

static enum elf_status check_load(const struct scan *scan, const struct elf64_phdr *phdr,
                                  uint32_t index) {
    // A segment without file bytes may carry any offset: tools leave one beyond the end of file.
    if (phdr->file_bytes != 0 && check_file_range(scan, phdr, index) != ELF_OK)
        return ELF_ERR_FILE_RANGE;
    if (phdr->align != 0 && (!is_power_of_two(phdr->align) || phdr->align > ALIGN_MAX))
        return ELF_FAIL(scan->ret_error, ELF_ERR_ALIGN, .index = index, .a = phdr->align);
    if (phdr->align != 0 && !is_aligned(phdr->virt - phdr->offset, phdr->align))
        return ELF_FAIL(scan->ret_error, ELF_ERR_CONGRUENCE, .index = index, .a = phdr->virt,
                        .b = phdr->offset, .c = phdr->align);
    uint64_t end;
    if (add_overflows(phdr->virt, phdr->mem_bytes, &end))
        return ELF_FAIL(scan->ret_error, ELF_ERR_WRAPS, .index = index, .a = phdr->virt,
                        .b = phdr->mem_bytes);
    return ELF_OK;
}

static enum elf_status take_load(struct scan *scan, const struct elf64_phdr *phdr, uint32_t index) {
    if (phdr->file_bytes > phdr->mem_bytes)
        return ELF_FAIL(scan->ret_error, ELF_ERR_FILE_SIZE, .index = index, .a = phdr->file_bytes,
                        .b = phdr->mem_bytes);
    if (phdr->mem_bytes == 0)
        return ELF_OK;
    enum elf_status status = check_load(scan, phdr, index);
    if (status != ELF_OK)
        return status;
    scan->image.align = max_u64(scan->image.align, phdr->align);
    scan->image.segments[scan->image.segment_count++] = (struct elf_segment){
        .virt = phdr->virt,
        .file_offset = phdr->offset,
        .file_bytes = phdr->file_bytes,
        .mem_bytes = phdr->mem_bytes,
        .phdr = index,
        .write = (phdr->flags & ELF_PF_W) != 0,
        .execute = (phdr->flags & ELF_PF_X) != 0,
    };
    return ELF_OK;
}

static enum elf_status take_note(struct scan *scan, const struct elf64_phdr *phdr, uint32_t index) {
    if (phdr->file_bytes == 0)
        return ELF_OK;
    enum elf_status status = check_file_range(scan, phdr, index);
    if (status != ELF_OK)
        return status;
    scan->image.notes[scan->image.note_count++] =
        (struct elf_range){.file_offset = phdr->offset, .bytes = phdr->file_bytes};
    return ELF_OK;
}

static enum elf_status take_special(struct scan *scan, struct special *special,
                                    const struct elf64_phdr *phdr, uint32_t index) {
    if (phdr->mem_bytes == 0)
        return ELF_OK;
    if (special->present)
        return ELF_FAIL(scan->ret_error, ELF_ERR_TWICE, .index = index, .other = special->phdr,
                        .a = phdr->type);
    *special = (struct special){.present = true,
                                .phdr = index,
                                .virt = phdr->virt,
                                .bytes = phdr->mem_bytes,
                                .file_bytes = phdr->file_bytes,
                                .align = phdr->align};
    return ELF_OK;
}

static enum elf_status take_phdr(struct scan *scan, const struct elf64_phdr *phdr, uint32_t index) {
    switch (phdr->type) {
    case ELF_PT_LOAD:
        return take_load(scan, phdr, index);
    case ELF_PT_NOTE:
        return take_note(scan, phdr, index);
    case ELF_PT_DYNAMIC:
        return take_special(scan, &scan->dynamic, phdr, index);
    case ELF_PT_GNU_RELRO:
        return take_special(scan, &scan->relro, phdr, index);
    case ELF_PT_TLS:
        return take_special(scan, &scan->tls, phdr, index);
    default:
        return ELF_OK;
    }
}

// Lets the segment at `root` sink until none below it in the heap is higher.
static void sink_segment(struct elf_segment *heap, uint32_t count, uint32_t root) {
    struct elf_segment sinking = heap[root];
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && heap[child + 1].virt > heap[child].virt)
            child++;
        if (heap[child].virt <= sinking.virt)
            break;
        heap[root] = heap[child];
    }
    heap[root] = sinking;
}

// A linker lists segments in rising order, but a script may not. Heapsort, since the lists have no
// room for more than themselves and a file may have thousands.
static void sort_segments(struct elf_image *image) {
    struct elf_segment *segments = image->segments;
    uint32_t sorted = 1;
    while (sorted < image->segment_count && segments[sorted - 1].virt <= segments[sorted].virt)
        sorted++;
    if (sorted == image->segment_count)
        return;
    for (uint32_t root = image->segment_count / 2; root-- > 0;)
        sink_segment(segments, image->segment_count, root);
    for (uint32_t left = image->segment_count; left-- > 1;) {
        struct elf_segment highest = segments[0];
        segments[0] = segments[left];
        segments[left] = highest;
        sink_segment(segments, left, 0);
    }
}

// Comparing neighbours is enough: sorted segments that are disjoint from their neighbours are all
// disjoint, and if two segments share a page, all between them share it too.
static enum elf_status check_neighbours(const struct elf_image *image,
                                        struct elf_error *ret_error) {
    for (uint32_t i = 1; i < image->segment_count; i++) {
        const struct elf_segment *low = &image->segments[i - 1];
        const struct elf_segment *high = &image->segments[i];
        struct elf_error error = {.index = high->phdr,
                                  .other = low->phdr,
                                  .a = high->virt,
                                  .b = segment_end(high),
                                  .c = low->virt,
                                  .d = segment_end(low)};
        bool same_rights = low->write == high->write && low->execute == high->execute;
        if (segment_end(low) > high->virt)
            error.status = ELF_ERR_OVERLAP;
        else if (!same_rights && (segment_end(low) - 1) / FRAME_BYTES == high->virt / FRAME_BYTES)
            error.status = ELF_ERR_SHARED_PAGE;
        else
            continue;
        return elf_fail(ret_error, error);
    }
    return ELF_OK;
}

// Chooses the slide, checks that the image then lies in the kernel's window, and moves it there.
static enum elf_status place(struct scan *scan) {
    struct elf_image *image = &scan->image;
    ASSERT(image->segment_count != 0);
    // The window, in link addresses.
    uint64_t min = SLIPWAY_KERNEL_MIN;
    uint64_t max = SLIPWAY_KERNEL_MAX;
    if (image->type == ELF_TYPE_DYN && image->segments[0].virt < SLIPWAY_KERNEL_MIN) {
        min = align_down(image->segments[0].virt, image->align);
        image->slide = SLIPWAY_KERNEL_DEFAULT - min;
        max -= image->slide;
    }
    for (uint32_t i = 0; i < image->segment_count; i++) {
        struct elf_segment *segment = &image->segments[i];
        if (segment->virt < min || segment_end(segment) > max)
            return ELF_FAIL(scan->ret_error, ELF_ERR_WINDOW, .index = segment->phdr,
                            .a = segment->virt, .b = segment_end(segment), .c = min, .d = max);
        segment->virt += image->slide;
    }
    const struct elf_segment *last = &image->segments[image->segment_count - 1];
    image->virt_start = align_down(image->segments[0].virt, FRAME_BYTES);
    image->virt_end = align_up(segment_end(last), FRAME_BYTES);
    return ELF_OK;
}

static enum elf_status check_entry(struct scan *scan, uint64_t link_entry) {
    struct elf_image *image = &scan->image;
    image->entry = link_entry + image->slide;
    const struct elf_segment *segment = elf_find_segment(image, image->entry, 1);
    if (segment == NULL || !segment->execute)
        return ELF_FAIL(scan->ret_error, ELF_ERR_ENTRY, .a = link_entry);
    return ELF_OK;
}

static enum elf_status check_dynamic(struct scan *scan) {
    const struct special *dynamic = &scan->dynamic;
    struct elf_image *image = &scan->image;
    if (!dynamic->present)
        return ELF_OK;
    uint64_t virt = dynamic->virt + image->slide;
    if (elf_find_segment(image, virt, dynamic->bytes) == NULL)
        return ELF_FAIL(scan->ret_error, ELF_ERR_DYNAMIC_RANGE, .index = dynamic->phdr,
                        .a = dynamic->virt, .b = dynamic->bytes);
    image->dynamic_virt = virt;
    image->dynamic_bytes = dynamic->bytes;
    return ELF_OK;
}

// The pages of a segment, without its first page if an earlier segment has bytes there.
static struct page_range segment_pages(const struct elf_image *image, uint32_t index) {
    const struct elf_segment *segment = &image->segments[index];
    struct page_range pages = {.start = align_down(segment->virt, FRAME_BYTES),
                               .end = align_up(segment_end(segment), FRAME_BYTES)};
    if (index > 0)
        pages.start = max_u64(pages.start, align_up(segment_end(segment - 1), FRAME_BYTES));
    return pages;
}

// lld rounds the end of PT_GNU_RELRO up to its common page size, so it may lie far behind the
// segment. In the segment's last page nothing else follows, and all of that page is read-only.
// Pages beyond it are not the segment's and stay as they are.
static enum elf_status check_relro(struct scan *scan) {
    const struct special *relro = &scan->relro;
    struct elf_image *image = &scan->image;
    if (!relro->present)
        return ELF_OK;
    uint64_t virt = relro->virt + image->slide;
    const struct elf_segment *owner = elf_find_segment(image, virt, 1);
    if (owner == NULL || !owner->write)
        return ELF_FAIL(scan->ret_error, ELF_ERR_RELRO_RANGE, .index = relro->phdr,
                        .a = relro->virt, .b = relro->bytes);
    uint32_t index = (uint32_t)(owner - image->segments);
    struct page_range pages = segment_pages(image, index);
    if (virt != owner->virt)
        pages.start = align_up(virt, FRAME_BYTES);
    if (relro->bytes < pages.end - virt)
        pages.end = align_down(virt + relro->bytes, FRAME_BYTES);
    if (index + 1 < image->segment_count)
        pages.end = min_u64(pages.end, align_down(owner[1].virt, FRAME_BYTES));
    if (pages.start < pages.end) {
        image->relro_start = pages.start;
        image->relro_end = pages.end;
    }
    return ELF_OK;
}

static void add_run(struct elf_image *image, uint64_t start, uint64_t end, uint32_t rights) {
    struct elf_run *last = image->runs + image->run_count;
    if (start >= end)
        return;
    if (image->run_count != 0 && last[-1].end == start && last[-1].rights == rights)
        last[-1].end = end;
    else
        image->runs[image->run_count++] = (struct elf_run){start, end, rights};
}

// The pages of each segment, a writable one cut where RELRO takes the right to write away.
static void list_runs(struct elf_image *image) {
    image->run_count = 0;
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        struct page_range pages = segment_pages(image, i);
        uint32_t rights = (segment->write ? SLIPWAY_RIGHT_WRITE : 0) |
                          (segment->execute ? SLIPWAY_RIGHT_EXECUTE : 0);
        uint64_t cut_start = min_u64(max_u64(image->relro_start, pages.start), pages.end);
        uint64_t cut_end = min_u64(max_u64(image->relro_end, cut_start), pages.end);
        add_run(image, pages.start, cut_start, rights);
        add_run(image, cut_start, cut_end, rights & ~(uint32_t)SLIPWAY_RIGHT_WRITE);
        add_run(image, cut_end, pages.end, rights);
    }
}

// A template of zeros alone has no bytes in the file, and the place that lld gives it is in no
// segment. With bytes its place counts: linkers do not agree on where a block begins whose template
// is not aligned.
static enum elf_status check_tls(struct scan *scan) {
    const struct special *tls = &scan->tls;
    struct elf_image *image = &scan->image;
    uint64_t align = max_u64(tls->align, 1);
    if (!tls->present)
        return ELF_OK;
    if (tls->file_bytes > tls->bytes)
        return ELF_FAIL(scan->ret_error, ELF_ERR_FILE_SIZE, .index = tls->phdr,
                        .a = tls->file_bytes, .b = tls->bytes);
    uint64_t virt = tls->file_bytes == 0 ? 0 : tls->virt + image->slide;
    if (!is_power_of_two(align) || align > ALIGN_MAX || !is_aligned(virt, align))
        return ELF_FAIL(scan->ret_error, ELF_ERR_TLS_ALIGN, .index = tls->phdr, .a = tls->virt,
                        .b = align);
    if (tls->file_bytes != 0 && elf_find_segment(image, virt, tls->file_bytes) == NULL)
        return ELF_FAIL(scan->ret_error, ELF_ERR_TLS_RANGE, .index = tls->phdr, .a = tls->virt,
                        .b = tls->file_bytes);
    image->tls = (struct elf_tls){virt, tls->file_bytes, tls->bytes, align};
    return ELF_OK;
}

static enum elf_status check_image(struct scan *scan, uint64_t link_entry) {
    if (scan->image.segment_count == 0)
        return ELF_FAIL(scan->ret_error, ELF_ERR_SEGMENTS_NONE);
    sort_segments(&scan->image);
    enum elf_status status = check_neighbours(&scan->image, scan->ret_error);
    if (status == ELF_OK)
        status = place(scan);
    if (status == ELF_OK)
        status = check_entry(scan, link_entry);
    if (status == ELF_OK)
        status = check_dynamic(scan);
    if (status == ELF_OK)
        status = check_relro(scan);
    if (status == ELF_OK)
        status = check_tls(scan);
    if (status == ELF_OK)
        list_runs(&scan->image);
    return status;
}

// RELRO cuts the pages of one segment in three at most, and has a header, too.
uint64_t elf_lists_bytes(uint32_t phdr_count) {
    return phdr_count * (sizeof(struct elf_segment) + sizeof(struct elf_range)) +
           (phdr_count + UINT64_C(1)) * sizeof(struct elf_run);
}

// The lists are as long as they can become.
static void lay_out_lists(struct elf_image *image, void *lists, uint32_t phdr_count) {
    ASSERT(is_aligned((uintptr_t)lists, _Alignof(struct elf_segment)));
    image->segments = lists;
    image->notes = (struct elf_range *)(image->segments + phdr_count);
    image->runs = (struct elf_run *)(image->notes + phdr_count);
}

enum elf_status elf_parse_segments(const struct elf_header_view *header, const void *phdrs,
                                   uint64_t file_bytes, void *lists, struct elf_image *ret_image,
                                   struct elf_error *ret_error) {
    struct scan scan = {.file_bytes = file_bytes,
                        .image.type = header->type,
                        .image.align = FRAME_BYTES,
                        .ret_error = ret_error};
    ASSERT(header->phdr_bytes == sizeof(struct elf64_phdr));
    lay_out_lists(&scan.image, lists, header->phdr_count);
    for (uint32_t i = 0; i < header->phdr_count; i++) {
        struct elf64_phdr phdr;
        memcpy(&phdr, (const uint8_t *)phdrs + (uint64_t)i * header->phdr_bytes, sizeof(phdr));
        enum elf_status status = take_phdr(&scan, &phdr, i);
        if (status != ELF_OK)
            return status;
    }
    enum elf_status status = check_image(&scan, header->entry);
    if (status == ELF_OK)
        *ret_image = scan.image;
    return status;
}

const struct elf_segment *elf_find_write_execute(const struct elf_image *image) {
    const struct elf_segment *found = NULL;
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        if (segment->write && segment->execute && (found == NULL || segment->phdr < found->phdr))
            found = segment;
    }
    return found;
}

enum elf_status elf_apply_rules(struct elf_image *image, const struct elf_rules *rules,
                                struct elf_error *ret_error) {
    const struct elf_segment *first = &image->segments[0];
    if (first->virt < rules->lowest)
        return ELF_FAIL(ret_error, ELF_ERR_BELOW, .index = first->phdr,
                        .a = first->virt - image->slide, .b = segment_end(first) - image->slide,
                        .c = rules->lowest - image->slide);
    const struct elf_segment *both =
        rules->may_write_execute ? NULL : elf_find_write_execute(image);
    if (both != NULL)
        return ELF_FAIL(ret_error, ELF_ERR_WRITE_EXECUTE, .index = both->phdr,
                        .a = both->virt - image->slide, .b = segment_end(both) - image->slide);
    image->relocates_all = rules->relocates_all;
    if (rules->ignores_relro && image->relro_start != image->relro_end) {
        image->relro_start = image->relro_end = 0;
        list_runs(image);
    }
    return ELF_OK;
}

const struct elf_segment *elf_find_segment(const struct elf_image *image, uint64_t virt,
                                           uint64_t bytes) {
    uint32_t low = 0; // segments before it lie below virt
    uint32_t high = image->segment_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct elf_segment *segment = &image->segments[middle];
        uint64_t offset = virt - segment->virt; // huge if virt lies below
        if (offset < segment->mem_bytes)
            return bytes <= segment->mem_bytes - offset ? segment : NULL;
        if (virt < segment->virt)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
