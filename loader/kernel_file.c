// See kernel_file.h.
#include "loader/kernel_file.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/config_file.h"
#include "loader/digest.h"
#include "loader/elf_format.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/kaslr.h"
#include "loader/kernel_note.h"
#include "loader/log.h"
#include "loader/memory_map.h"
#include "loader/plan.h"
#include "loader/protocol/limine.h"
#include "loader/protocol/limine_rules.h"
#include "loader/room.h"

enum {
    SCRATCH_BYTES = 4096,   // for program headers that lie elsewhere
    LISTS_BYTES = 4096,     // for the lists of an image of 50 program headers
    RUN_GAP_MAX = 64 << 10, // between segments that are read as one
};

EFI_STATUS kernel_refuse(const struct file *file, const struct elf_error *error,
                         const struct elf_error *origin) {
    char text[384];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    elf_error_print(&sink, error);
    if (origin != NULL) {
        fmt_print(&sink, "; ");
        elf_error_print(&sink, origin);
    }
    return log_fail(EFI_LOAD_ERROR, "%s: %s", file->name, text);
}

// The headers are refused for `error`. The start of the file may tell what the file is instead. The
// pages for that start are freed with all others, since the boot ends here.
static EFI_STATUS fail_headers(struct file *file, const struct elf_error *error) {
    uint64_t phys;
    struct elf_error origin;
    uint64_t bytes = min_u64(file->bytes, ELF_ORIGIN_BYTES);
    bool found = !EFI_ERROR(firmware_alloc_pages(ELF_ORIGIN_BYTES, FRAME_BYTES,
                                                 SLIPWAY_RANGE_LOADER, &phys)) &&
                 !EFI_ERROR(file_read(file, 0, firmware_pointer(phys), bytes)) &&
                 elf_find_origin(firmware_pointer(phys), bytes, 0, &origin);
    return kernel_refuse(file, error, found ? &origin : NULL);
}

// The program headers, `bytes` bytes at `offset`: in the head if they are there, else read to
// `scratch`. What is too much for that goes to pages: *ret_phys, else 0.
static EFI_STATUS read_phdrs(struct protocol_file *opened, uint64_t offset, uint64_t bytes,
                             const void **ret_phdrs, uint64_t *ret_phys) {
    static char scratch[SCRATCH_BYTES];
    struct file *file = &opened->file;
    void *phdrs = scratch;
    *ret_phys = 0;
    if (offset <= opened->head_bytes && bytes <= opened->head_bytes - offset) {
        *ret_phdrs = opened->head + offset;
        return EFI_SUCCESS;
    }
    if (bytes > SCRATCH_BYTES) {
        EFI_STATUS status =
            firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, ret_phys);
        if (EFI_ERROR(status))
            return log_fail(status,
                            "%s: no room for %lu bytes of program headers at offset %lu (%s)",
                            file->name, bytes, offset, log_status_text(status));
        phdrs = firmware_pointer(*ret_phys);
    }
    *ret_phdrs = phdrs;
    return file_read(file, offset, phdrs, bytes);
}

static struct elf_memory memory_of(const struct kernel *kernel) {
    return (struct elf_memory){.pieces = kernel->memory, .count = kernel->piece_count};
}

// Memory for the lists of an image of so many program headers: pages only where they are many.
static EFI_STATUS alloc_lists(const struct file *file, uint32_t phdr_count, void **ret_lists) {
    static _Alignas(8) char lists[LISTS_BYTES];
    uint64_t bytes = elf_lists_bytes(phdr_count);
    uint64_t phys;
    *ret_lists = lists;
    if (bytes <= sizeof(lists))
        return EFI_SUCCESS;
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &phys);
    if (EFI_ERROR(status))
        return log_fail(status, "%s: no room for %lu bytes of lists of %u program headers (%s)",
                        file->name, bytes, phdr_count, log_status_text(status));
    *ret_lists = firmware_pointer(phys);
    return EFI_SUCCESS;
}

// What tells where the kernel goes.
static EFI_STATUS parse(struct protocol_file *opened, struct kernel *kernel) {
    struct elf_error error;
    struct file *file = &opened->file;
    struct elf_header_view *header = &kernel->header;
    const void *phdrs = NULL;
    uint64_t phys;
    void *lists;
    if (elf_parse_header(opened->head, opened->head_bytes, file->bytes, header, &error) != ELF_OK)
        return fail_headers(file, &error);
    EFI_STATUS status = alloc_lists(file, header->phdr_count, &lists);
    if (!EFI_ERROR(status))
        status = read_phdrs(opened, header->phdrs_offset, header->phdrs_bytes, &phdrs, &phys);
    if (EFI_ERROR(status))
        return status;
    if (elf_parse_segments(header, phdrs, file->bytes, lists, &kernel->elf, &error) != ELF_OK)
        return fail_headers(file, &error);
    firmware_free_pages(phys);
    return EFI_SUCCESS;
}

static void add_piece(struct kernel *kernel, uint64_t phys, uint64_t bytes) {
    uint64_t virt = kernel->elf.virt_start;
    if (kernel->piece_count != 0) {
        const struct slipway_piece *last = &kernel->pieces[kernel->piece_count - 1];
        virt = last->virt + last->bytes;
    }
    kernel->pieces[kernel->piece_count] = (struct slipway_piece){virt, phys, bytes};
    kernel->memory[kernel->piece_count++] =
        (struct elf_piece){.virt = virt, .bytes = bytes, .memory = firmware_pointer(phys)};
}

// Nowhere is there room for the image as a whole. `status` is what the firmware said.
static EFI_STATUS alloc_pieces(const struct file *file, struct kernel *kernel, uint64_t bytes,
                               uint64_t align, EFI_STATUS status) {
    struct room_run runs[KERNEL_PIECES_MAX];
    struct memmap_efi map;
    uint64_t phys, free_bytes;
    EFI_STATUS read = memory_map_read_apart(&map, &phys);
    if (EFI_ERROR(read))
        return log_fail(status,
                        "%s: no room for the image of %lu bytes (%s); for pieces of it the memory "
                        "map cannot be read (%s)",
                        file->name, bytes, log_status_text(status), log_status_text(read));
    uint32_t count = room_split(&map, bytes, align, runs, ARRAY_LEN(runs), &free_bytes);
    firmware_free_pages(phys);
    bool allocated = count != 0;
    for (uint32_t i = 0; allocated && i < count; i++) {
        allocated =
            !EFI_ERROR(firmware_alloc_pages_at(runs[i].start, runs[i].bytes, SLIPWAY_RANGE_KERNEL));
        if (allocated)
            add_piece(kernel, runs[i].start, runs[i].bytes);
    }
    if (!allocated)
        return log_fail(
            status,
            "%s: no room for the image of %lu bytes (%s); the %d largest free runs have %lu",
            file->name, bytes, log_status_text(status), KERNEL_PIECES_MAX, free_bytes);
    return EFI_SUCCESS;
}

// An image that is linked at a multiple of 2 MiB and has that size goes to such an address, so that
// its segments can have large leaves.
static uint64_t usual_align(const struct elf_image *elf) {
    bool is_large =
        elf->virt_end - elf->virt_start >= MIB(2) && is_aligned(elf->virt_start, MIB(2));
    return is_large ? MIB(2) : FRAME_BYTES;
}

// What the segments ask for, as far as the image's virtual address has it.
static uint64_t wanted_align(const struct elf_image *elf) {
    uint64_t lowest_bit = elf->virt_start & (UINT64_C(0) - elf->virt_start);
    return max_u64(usual_align(elf), min_u64(elf->align, lowest_bit));
}

// Where there is no room for as much alignment as the segments ask for, there may be for less.
static EFI_STATUS alloc_image(const struct file *file, struct kernel *kernel) {
    const struct elf_image *elf = &kernel->elf;
    uint64_t bytes = elf->virt_end - elf->virt_start;
    uint64_t align = usual_align(elf);
    uint64_t wanted = wanted_align(elf);
    uint64_t phys;
    if (bytes > PLAN_IMAGE_BYTES_MAX)
        return log_fail(EFI_UNSUPPORTED, "%s: the image has %lu bytes, more than %lu", file->name,
                        bytes, PLAN_IMAGE_BYTES_MAX);
    EFI_STATUS status = firmware_alloc_pages(bytes, wanted, SLIPWAY_RANGE_KERNEL, &phys);
    if (EFI_ERROR(status) && wanted > align)
        status = firmware_alloc_pages(bytes, align, SLIPWAY_RANGE_KERNEL, &phys);
    if (EFI_ERROR(status))
        return alloc_pieces(file, kernel, bytes, align, status);
    add_piece(kernel, phys, bytes);
    return EFI_SUCCESS;
}

// The image stands in memory; its protocol is known.
static EFI_STATUS check_rules(struct file *file, struct kernel *kernel,
                              const struct elf_rules *rules) {
    struct elf_error error;
    uint64_t align = wanted_align(&kernel->elf);
    if (elf_apply_rules(&kernel->elf, rules, &error) != ELF_OK)
        return fail_headers(file, &error);
    if (rules->is_one_run &&
        (kernel->piece_count != 1 || !is_aligned(kernel->pieces[0].phys, align)))
        return log_fail(
            EFI_OUT_OF_RESOURCES,
            "%s: no room for the image of %lu bytes in one run at a multiple of %lu, as its protocol wants it",
            file->name, kernel->elf.virt_end - kernel->elf.virt_start, align);
    return EFI_SUCCESS;
}

// Where the segments end that can be read together with the one before `next`: they lie in the file
// as they do in memory, and the gap before each costs less than a read of its own.
static uint32_t find_run_end(const struct elf_image *elf, uint32_t next) {
    for (; next < elf->segment_count; next++) {
        const struct elf_segment *last = &elf->segments[next - 1], *segment = &elf->segments[next];
        uint64_t gap = segment->virt - (last->virt + last->file_bytes);
        if (last->file_bytes == 0 || segment->file_bytes == 0 || gap > RUN_GAP_MAX ||
            segment->file_offset - (last->file_offset + last->file_bytes) != gap)
            break;
    }
    return next;
}

static EFI_STATUS read_to(struct file *file, uint64_t offset, const struct elf_memory *memory,
                          uint64_t virt, uint64_t bytes) {
    uint64_t part;
    for (uint64_t done = 0; done < bytes; done += part) {
        void *to = elf_memory_at(memory, virt + done, bytes - done, &part);
        EFI_STATUS status = file_read(file, offset + done, to, part);
        if (EFI_ERROR(status))
            return status;
    }
    return EFI_SUCCESS;
}

static void zero(const struct elf_memory *memory, uint64_t start, uint64_t end) {
    uint64_t part;
    for (uint64_t at = start; at < end; at += part) {
        void *to = elf_memory_at(memory, at, end - at, &part);
        memset(to, 0, part);
    }
}

// Reads the segments. Whatever else there is of the image's pages is zeroed, once.
static EFI_STATUS place(struct file *file, const struct kernel *kernel) {
    const struct elf_image *elf = &kernel->elf;
    const struct elf_memory memory = memory_of(kernel);
    uint64_t done = elf->virt_start; // the image is final up to there
    for (uint32_t i = 0, end; i < elf->segment_count; i = end) {
        end = find_run_end(elf, i + 1);
        const struct elf_segment *first = &elf->segments[i], *last = &elf->segments[end - 1];
        uint64_t bytes = last->virt + last->file_bytes - first->virt;
        EFI_STATUS status = read_to(file, first->file_offset, &memory, first->virt, bytes);
        if (EFI_ERROR(status))
            return status;
        for (; i < end; i++) {
            zero(&memory, done, elf->segments[i].virt);
            done = elf->segments[i].virt + elf->segments[i].file_bytes;
        }
    }
    zero(&memory, done, elf->virt_end);
    return EFI_SUCCESS;
}

// A kernel that was made for another loader would wait for that loader's answers in silence. Such a
// kernel has no Slipway note. Its segments are searched before they are relocated, as they are in
// the file.
static EFI_STATUS check_origin(const struct file *file, const struct kernel *kernel) {
    const struct elf_memory memory = memory_of(kernel);
    for (uint32_t i = 0; i < kernel->elf.segment_count; i++) {
        const struct elf_segment *segment = &kernel->elf.segments[i];
        struct elf_error origin;
        uint64_t part;
        for (uint64_t done = 0; done < segment->file_bytes; done += part) {
            const void *bytes =
                elf_memory_at(&memory, segment->virt + done, segment->file_bytes - done, &part);
            if (elf_find_origin(bytes, part, segment->file_offset + done, &origin))
                return kernel_refuse(file, &(struct elf_error){.status = ELF_ERR_NOTE_NONE},
                                     &origin);
        }
    }
    return EFI_SUCCESS;
}

// To where it runs.
static EFI_STATUS relocate(const struct file *file, const struct config *config,
                           struct kernel *kernel) {
    struct elf_error error;
    kaslr_move_image(config, kernel);
    const struct elf_memory memory = memory_of(kernel);
    if (elf_relocate(&kernel->elf, &memory, &error) != ELF_OK)
        return kernel_refuse(file, &error, NULL);
    return EFI_SUCCESS;
}

// A kernel of the loader's own protocol, or one without wishes of any protocol.
static EFI_STATUS finish_slipway(struct file *file, const struct config *config,
                                 struct kernel *kernel) {
    static const struct elf_rules rules = {0};
    EFI_STATUS status = check_rules(file, kernel, &rules);
    if (!EFI_ERROR(status) && !kernel->has_note)
        status = check_origin(file, kernel);
    if (!EFI_ERROR(status))
        status = kernel_read_symbols(file, kernel);
    return EFI_ERROR(status) ? status : relocate(file, config, kernel);
}

// Requests hold addresses: they are read after relocation.
static EFI_STATUS finish_limine(struct file *file, const struct config *config,
                                struct kernel *kernel) {
    EFI_STATUS status = check_rules(file, kernel, &limine_elf_rules);
    if (!EFI_ERROR(status))
        status = relocate(file, config, kernel);
    return EFI_ERROR(status) ? status : limine_read_kernel(file, config, kernel);
}

// By the config, else by what is in the image: the note of the loader's own protocol goes first.
static EFI_STATUS choose_protocol(const struct file *file, const struct config *config,
                                  struct kernel *kernel) {
    uint64_t virt;
    const struct elf_memory memory = memory_of(kernel);
    kernel->protocol = config->protocol;
    if (config->protocol == CONFIG_PROTOCOL_SLIPWAY || kernel->has_note) {
        kernel->protocol = CONFIG_PROTOCOL_SLIPWAY;
        return EFI_SUCCESS;
    }
    bool has_requests = limine_has_requests(&kernel->elf, &memory, &virt);
    kernel->protocol = has_requests ? CONFIG_PROTOCOL_LIMINE : CONFIG_PROTOCOL_SLIPWAY;
    if (config->protocol == CONFIG_PROTOCOL_LIMINE && !has_requests)
        return log_fail(EFI_LOAD_ERROR,
                        "%s: has no request of the Limine protocol (protocol = limine)",
                        file->name);
    return EFI_SUCCESS;
}

static EFI_STATUS load(struct protocol_file *opened, const struct config *config,
                       struct kernel *kernel) {
    struct file *file = &opened->file;
    EFI_STATUS status = parse(opened, kernel);
    if (!EFI_ERROR(status))
        status = alloc_image(file, kernel);
    if (EFI_ERROR(status))
        return status;
    const struct elf_memory memory = memory_of(kernel);
    status = place(file, kernel);
    if (!EFI_ERROR(status) && config->protocol != CONFIG_PROTOCOL_LIMINE)
        status = kernel_find_wishes(file, &memory, kernel);
    if (!EFI_ERROR(status))
        status = choose_protocol(file, config, kernel);
    if (EFI_ERROR(status))
        return status;
    return kernel->protocol == CONFIG_PROTOCOL_LIMINE ? finish_limine(file, config, kernel)
                                                      : finish_slipway(file, config, kernel);
}

// Not all of a file becomes part of the image. So with a digest it is read as a whole, and the
// kernel comes from these bytes, which nothing can exchange after they were checked.
static EFI_STATUS load_checked(struct protocol_file *opened, const struct config *config,
                               struct kernel *kernel) {
    struct file *file = &opened->file;
    uint64_t phys;
    EFI_STATUS status =
        firmware_alloc_pages(max_u64(file->bytes, 1), FRAME_BYTES, SLIPWAY_RANGE_LOADER, &phys);
    if (EFI_ERROR(status))
        return log_fail(status, "%s: no room for its %lu bytes, which are to be checked (%s)",
                        file->name, file->bytes, log_status_text(status));
    status = digest_read_file(file, firmware_pointer(phys), &config->kernel_digest, kernel->digest);
    if (EFI_ERROR(status))
        return status;
    kernel->has_digest = true;
    file->contents = firmware_pointer(phys);
    memcpy(opened->head, file->contents, opened->head_bytes);
    status = load(opened, config, kernel);
    firmware_free_pages(phys);
    return status;
}

EFI_STATUS kernel_load(const struct config *config, struct protocol_file *opened,
                       struct kernel *ret_kernel) {
    *ret_kernel = (struct kernel){.file_bytes = opened->file.bytes};
    EFI_STATUS status = config->kernel_digest.line != 0 ? load_checked(opened, config, ret_kernel)
                                                        : load(opened, config, ret_kernel);
    file_close(&opened->file);
    return status;
}
