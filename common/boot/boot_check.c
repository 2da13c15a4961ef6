// See boot_check.h.
#include "common/boot/boot_check.h"

#include "common/base/addr.h"
#include "common/base/arith.h"

#define TOTAL_MAX_BYTES      MIB(256)
#define EFI_DESCRIPTOR_BYTES 40
#define EDID_LIMIT_BYTES     KIB(32) // a base block and 255 extensions
#define SECTION_BYTES        64      // Elf64_Shdr, Elf64_Sym
#define SYMBOL_BYTES         24
#define LEGACY_HOLE_START    UINT64_C(0xa0000)
#define LEGACY_HOLE_END      UINT64_C(0x100000)

#define OFFSET(field) __builtin_offsetof(struct slipway_boot_info, field)

typedef const struct slipway_boot_info *info_t;

// A check of a kind of records: false, with the index in *ret_index, if one is wrong.
typedef bool (*check_records)(info_t info, uint64_t *ret_index);

static bool fits_block(info_t info, uint64_t address, uint64_t bytes) {
    uint64_t offset = address - (uint64_t)(uintptr_t)info; // huge if address lies below
    return offset >= info->header_bytes && offset <= info->total_bytes &&
           bytes <= info->total_bytes - offset;
}

// A text that is absent is {0, 0}.
static bool text_ok(info_t info, const struct slipway_text *text) {
    if (text->address == 0 && text->bytes == 0)
        return true;
    return text->bytes < info->total_bytes && fits_block(info, text->address, text->bytes + 1) &&
           ((const char *)(uintptr_t)text->address)[text->bytes] == '\0';
}

static bool array_ok(info_t info, const struct slipway_array *array, uint64_t record_bytes) {
    if (array->count == 0)
        return array->address == 0;
    return (array->stride >= record_bytes && array->stride % 8 == 0 && array->address % 8 == 0 &&
            fits_block(info, array->address, (uint64_t)array->count * array->stride));
}

// Record `index` of an array that array_ok has passed.
static const void *record(const struct slipway_array *array, uint64_t index) {
    return (const void *)(uintptr_t)(array->address + index * array->stride);
}

static const struct slipway_mapping *mapping_at(info_t info, uint64_t index) {
    return record(&info->mappings, index);
}

static const struct slipway_memory *memory_at(info_t info, uint64_t index) {
    return record(&info->memory, index);
}

static const struct slipway_range *range_at(info_t info, uint64_t index) {
    return record(&info->ranges, index);
}

static bool check_arrays(info_t info, uint64_t *ret_index) {
    const struct {
        const struct slipway_array *array;
        uint64_t record_bytes;
    } arrays[] = {
        {&info->mappings, sizeof(struct slipway_mapping)},
        {&info->memory, sizeof(struct slipway_memory)},
        {&info->ranges, sizeof(struct slipway_range)},
        {&info->modules, sizeof(struct slipway_module)},
        {&info->framebuffers, sizeof(struct slipway_framebuffer)},
        {&info->stages, sizeof(struct slipway_stage)},
        {&info->mtrrs, sizeof(struct slipway_mtrr)},
        {&info->kernel_pieces, sizeof(struct slipway_piece)},
    };
    for (unsigned i = 0; i < ARRAY_LEN(arrays); i++) {
        *ret_index = (uint64_t)((const char *)arrays[i].array - (const char *)info);
        if (!array_ok(info, arrays[i].array, arrays[i].record_bytes))
            return false;
    }
    return true;
}

static bool check_texts(info_t info, uint64_t *ret_index) {
    const struct slipway_text *const texts[] = {
        &info->loader_name, &info->loader_version, &info->kernel_path, &info->cmdline,
        &info->log,         &info->volume_label,   &info->loader_path, &info->choice.entry};
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        *ret_index = (uint64_t)((const char *)texts[i] - (const char *)info);
        if (!text_ok(info, texts[i]))
            return false;
    }
    return true;
}

static bool check_efi_map(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    uint32_t stride = info->efi_map_stride;
    return stride >= EFI_DESCRIPTOR_BYTES && stride % 8 == 0 && info->efi_map % 8 == 0 &&
           info->efi_map_bytes != 0 && info->efi_map_bytes % stride == 0 &&
           fits_block(info, info->efi_map, info->efi_map_bytes);
}

static uint64_t upper_half(info_t info) {
    return info->paging_levels == 5 ? UPPER_HALF_5LEVELS : UPPER_HALF_4LEVELS;
}

static bool check_direct_map(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    uint64_t base = info->hhdm_base;
    uint64_t end = info->hhdm_end;
    bool is_random = (info->kaslr.moved & SLIPWAY_KASLR_DIRECT) != 0;
    return is_aligned(base, is_random ? SLIPWAY_KASLR_ALIGN : SLIPWAY_HHDM_ALIGN) &&
           base >= upper_half(info) && end > base && end - base <= SLIPWAY_HHDM_MAX_BYTES &&
           end <= SLIPWAY_KERNEL_MAX;
}

// Whole frames, at least one, below `limit`.
static bool frames_ok(uint64_t start, uint64_t bytes, uint64_t limit) {
    return is_aligned(start, FRAME_BYTES) && is_aligned(bytes, FRAME_BYTES) && bytes != 0 &&
           start < limit && bytes <= limit - start;
}

static bool within(uint64_t start, uint64_t bytes, uint64_t low, uint64_t high) {
    return start >= low && start <= high && bytes <= high - start;
}

static bool is_in_window(info_t info, const struct slipway_mapping *mapping) {
    return within(mapping->virt, mapping->bytes, info->window_base,
                  info->window_base + SLIPWAY_WINDOW_BYTES);
}

// In the window or, as SLIPWAY_NOTE_DIRECT has it, at its place in the direct map's room, which
// ends where the window begins.
static bool framebuffer_in_place(info_t info, const struct slipway_mapping *mapping) {
    uint64_t room = min_u64(info->window_base - info->hhdm_base, SLIPWAY_HHDM_MAX_BYTES);
    return is_in_window(info, mapping) || (within(mapping->phys, mapping->bytes, 0, room) &&
                                           mapping->virt - info->hhdm_base == mapping->phys);
}

// What the contract says of a mapping of this purpose.
static bool purpose_ok(info_t info, const struct slipway_mapping *mapping) {
    bool in_window = is_in_window(info, mapping);
    bool write_only = mapping->rights == SLIPWAY_RIGHT_WRITE;
    bool write_back = mapping->cache == SLIPWAY_CACHE_WB;
    switch (mapping->purpose) {
    case SLIPWAY_MAP_DIRECT:
        return write_back && (mapping->rights & SLIPWAY_RIGHT_EXECUTE) == 0 &&
               within(mapping->virt, mapping->bytes, info->hhdm_base, info->hhdm_end) &&
               mapping->virt - info->hhdm_base == mapping->phys;
    case SLIPWAY_MAP_KERNEL:
        return write_back &&
               within(mapping->virt, mapping->bytes, SLIPWAY_KERNEL_MIN, SLIPWAY_KERNEL_MAX);
    case SLIPWAY_MAP_STACK:
        return write_back && write_only && in_window;
    case SLIPWAY_MAP_FRAMEBUFFER:
        return mapping->cache == SLIPWAY_CACHE_WC && write_only &&
               framebuffer_in_place(info, mapping);
    case SLIPWAY_MAP_LOADER:
        return write_back && in_window;
    case SLIPWAY_MAP_FIRMWARE:
        return (write_back || mapping->cache == SLIPWAY_CACHE_UC) && mapping->rights == 0 &&
               in_window;
    default:
        return false;
    }
}

static bool check_mappings(info_t info, uint64_t *ret_index) {
    const uint32_t write_execute = SLIPWAY_RIGHT_WRITE | SLIPWAY_RIGHT_EXECUTE;
    uint64_t previous_end = upper_half(info);
    for (uint64_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *mapping = mapping_at(info, i);
        *ret_index = i;
        if (!frames_ok(mapping->virt, mapping->bytes, SLIPWAY_KERNEL_MAX) ||
            !frames_ok(mapping->phys, mapping->bytes, PHYS_END) || mapping->virt < previous_end ||
            mapping->rights >= write_execute || !purpose_ok(info, mapping))
            return false;
        previous_end = mapping->virt + mapping->bytes;
    }
    return true;
}

// hhdm_end is the end of the highest direct mapping, no more and no less.
static bool check_direct_end(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    uint64_t end = 0;
    for (uint64_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *mapping = mapping_at(info, i);
        if (mapping->purpose == SLIPWAY_MAP_DIRECT)
            end = mapping->virt + mapping->bytes;
    }
    return end == info->hhdm_end;
}

// The mapping of `virt`, or null. The manifest is known to be sorted.
static const struct slipway_mapping *find_mapping(info_t info, uint64_t virt, uint64_t *ret_index) {
    uint64_t low = 0;
    uint64_t high = info->mappings.count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct slipway_mapping *mapping = mapping_at(info, middle);
        if (virt < mapping->virt) {
            high = middle;
        } else if (virt - mapping->virt >= mapping->bytes) {
            low = middle + 1;
        } else {
            *ret_index = middle;
            return mapping;
        }
    }
    return NULL;
}

// True if [virt, virt + bytes) is mapped for `purpose` without a hole, to `phys` onwards.
static bool is_mapped(info_t info, uint64_t virt, uint64_t phys, uint64_t bytes, uint16_t purpose) {
    uint64_t index;
    if (find_mapping(info, virt, &index) == NULL)
        return false;
    for (; bytes != 0; index++) {
        const struct slipway_mapping *mapping =
            index < info->mappings.count ? mapping_at(info, index) : NULL;
        uint64_t offset = mapping == NULL ? 0 : virt - mapping->virt;
        if (mapping == NULL || offset >= mapping->bytes || mapping->purpose != purpose ||
            mapping->phys + offset != phys)
            return false;
        uint64_t step = min_u64(bytes, mapping->bytes - offset);
        virt += step;
        phys += step;
        bytes -= step;
    }
    return true;
}

static bool is_direct(info_t info, uint64_t phys, uint64_t bytes) {
    return is_mapped(info, info->hhdm_base + phys, phys, bytes, SLIPWAY_MAP_DIRECT);
}

// [address, address + bytes), bytes > 0, is the direct map's view of `phys`.
static bool is_direct_view(info_t info, uint64_t address, uint64_t phys, uint64_t bytes) {
    return address - info->hhdm_base == phys && is_direct(info, phys, bytes);
}

static bool memory_ok(info_t info, const struct slipway_memory *region) {
    uint64_t start = region->start_phys;
    bool usable = region->kind == SLIPWAY_MEM_USABLE;
    if (!frames_ok(start, region->bytes, UINT64_MAX) || region->kind == 0 ||
        region->kind >= SLIPWAY_MEM_KINDS || region->in_direct > 1)
        return false;
    if (usable && (region->in_direct == 0 || start == 0 ||
                   (start < LEGACY_HOLE_END && start + region->bytes > LEGACY_HOLE_START)))
        return false;
    return region->in_direct == 0 || is_direct(info, start, region->bytes);
}

static bool check_memory(info_t info, uint64_t *ret_index) {
    const struct slipway_memory *previous = NULL;
    uint64_t previous_end = 0;
    for (uint64_t i = 0; i < info->memory.count; i++) {
        const struct slipway_memory *region = memory_at(info, i);
        *ret_index = i;
        if (!memory_ok(info, region) || region->start_phys < previous_end)
            return false;
        if (previous != NULL && region->start_phys == previous_end &&
            region->kind == previous->kind && region->in_direct == previous->in_direct)
            return false;
        previous = region;
        previous_end = region->start_phys + region->bytes;
    }
    return true;
}

static bool range_ok(const struct slipway_range *range) {
    bool never_reclaimed =
        range->purpose == SLIPWAY_RANGE_KERNEL || range->purpose == SLIPWAY_RANGE_PAGE_TABLES ||
        range->purpose == SLIPWAY_RANGE_DEMOTED || range->purpose == SLIPWAY_RANGE_GUARD;
    return frames_ok(range->start_phys, range->bytes, PHYS_END) &&
           range->purpose >= SLIPWAY_RANGE_KERNEL && range->purpose <= SLIPWAY_RANGE_CRASH &&
           range->reclaimable <= (never_reclaimed ? 0U : 1U);
}

// One frame, which the direct map does not have.
static bool guard_ok(info_t info, const struct slipway_range *range) {
    uint64_t index;
    return range->bytes == FRAME_BYTES &&
           find_mapping(info, info->hhdm_base + range->start_phys, &index) == NULL;
}

static bool check_ranges(info_t info, uint64_t *ret_index) {
    uint64_t previous_end = 0;
    uint64_t region = 0; // both lists rise, so each region is looked at once
    for (uint64_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = range_at(info, i);
        *ret_index = i;
        if (!range_ok(range) || range->start_phys < previous_end ||
            (range->purpose == SLIPWAY_RANGE_GUARD && !guard_ok(info, range)))
            return false;
        previous_end = range->start_phys + range->bytes;
        for (; region < info->memory.count; region++) {
            const struct slipway_memory *memory = memory_at(info, region);
            if (memory->start_phys >= previous_end)
                break;
            uint64_t end = memory->start_phys + memory->bytes;
            if (end > range->start_phys && memory->kind == SLIPWAY_MEM_USABLE)
                return false;
        }
    }
    return true;
}

// True if ranges of `purpose` cover [start, start + bytes) without a hole.
static bool is_claimed(info_t info, uint64_t start, uint64_t bytes, uint32_t purpose) {
    for (uint64_t i = 0; i < info->ranges.count && bytes != 0; i++) {
        const struct slipway_range *range = range_at(info, i);
        uint64_t offset = start - range->start_phys; // huge if start lies below
        if (range->purpose != purpose || offset >= range->bytes)
            continue;
        uint64_t step = min_u64(bytes, range->bytes - offset);
        start += step;
        bytes -= step;
    }
    return bytes == 0;
}

static const struct slipway_piece *piece_at(info_t info, uint64_t index) {
    return record(&info->kernel_pieces, index);
}

// The pieces are the image, whole and in order, in memory that is claimed for it.
static bool check_pieces(info_t info) {
    uint64_t virt = info->kernel_virt;
    uint64_t previous_end = 0;
    for (uint64_t i = 0; i < info->kernel_pieces.count; i++) {
        const struct slipway_piece *piece = piece_at(info, i);
        if (piece->virt != virt || !frames_ok(virt, piece->bytes, SLIPWAY_KERNEL_MAX) ||
            !frames_ok(piece->phys, piece->bytes, PHYS_END) || piece->phys < previous_end ||
            !is_claimed(info, piece->phys, piece->bytes, SLIPWAY_RANGE_KERNEL))
            return false;
        virt += piece->bytes;
        previous_end = piece->phys + piece->bytes;
    }
    return info->kernel_pieces.count != 0 && piece_at(info, 0)->phys == info->kernel_phys &&
           virt - info->kernel_virt == info->kernel_bytes;
}

// Every kernel mapping is of this image. Both lists rise.
static bool check_image(info_t info) {
    uint64_t next = 0;
    if (!check_pieces(info))
        return false;
    for (uint64_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *mapping = mapping_at(info, i);
        if (mapping->purpose != SLIPWAY_MAP_KERNEL)
            continue;
        while (next < info->kernel_pieces.count &&
               mapping->virt >= piece_at(info, next)->virt + piece_at(info, next)->bytes)
            next++;
        if (next == info->kernel_pieces.count)
            return false;
        const struct slipway_piece *piece = piece_at(info, next);
        uint64_t offset = mapping->virt - piece->virt; // huge if it lies below
        if (offset >= piece->bytes || mapping->bytes > piece->bytes - offset ||
            mapping->phys - piece->phys != offset)
            return false;
    }
    return true;
}

static bool check_stack(info_t info) {
    uint64_t bottom = info->stack_bottom;
    uint64_t top = info->stack_top;
    uint64_t index;
    const struct slipway_mapping *mapping = find_mapping(info, bottom, &index);
    if (mapping == NULL)
        return false;
    bool has_place =
        mapping->purpose == SLIPWAY_MAP_STACK ||
        (mapping->purpose == SLIPWAY_MAP_DIRECT &&
         is_claimed(info, mapping->phys - FRAME_BYTES, FRAME_BYTES, SLIPWAY_RANGE_GUARD) &&
         is_claimed(info, mapping->phys + mapping->bytes, FRAME_BYTES, SLIPWAY_RANGE_GUARD));
    return has_place && mapping->rights == SLIPWAY_RIGHT_WRITE && mapping->virt == bottom &&
           mapping->virt + mapping->bytes == top &&
           is_claimed(info, mapping->phys, mapping->bytes, SLIPWAY_RANGE_STACK) &&
           mapping->phys == info->stack_phys && is_direct(info, info->stack_phys, top - bottom) &&
           find_mapping(info, bottom - FRAME_BYTES, &index) == NULL &&
           find_mapping(info, top, &index) == NULL;
}

// The template lies in the image; without thread-local data all is 0.
static bool check_tls(info_t info) {
    uint64_t offset = info->tls_address - info->kernel_virt;
    if (info->tls_bytes == 0)
        return info->tls_address == 0 && info->tls_file_bytes == 0 && info->tls_align == 0;
    if (!is_power_of_two(info->tls_align) || info->tls_file_bytes > info->tls_bytes)
        return false;
    if (info->tls_file_bytes == 0)
        return info->tls_address == 0;
    return is_aligned(info->tls_address, info->tls_align) && offset < info->kernel_bytes &&
           info->tls_file_bytes <= info->kernel_bytes - offset;
}

static bool check_kernel(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    uint64_t index;
    const struct slipway_mapping *entry = find_mapping(info, info->kernel_entry, &index);
    return check_image(info) && info->kernel_digest_kind <= SLIPWAY_DIGEST_SHA256 &&
           entry != NULL && entry->purpose == SLIPWAY_MAP_KERNEL &&
           entry->rights == SLIPWAY_RIGHT_EXECUTE && check_stack(info) && check_tls(info);
}

static bool meets(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end) {
    return start < other_end && other_start < end;
}

// Window, kernel and direct map are three places.
static bool check_places(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    uint64_t window = info->window_base;
    uint64_t window_end = window + SLIPWAY_WINDOW_BYTES;
    uint64_t kernel_end = info->kernel_virt + info->kernel_bytes;
    return is_aligned(window, SLIPWAY_HHDM_ALIGN) && window >= upper_half(info) &&
           window_end > window && !meets(info->kernel_virt, kernel_end, window, window_end) &&
           !meets(info->kernel_virt, kernel_end, info->hhdm_base, info->hhdm_end) &&
           !meets(window, window_end, info->hhdm_base, info->hhdm_end);
}

static bool check_tables(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    uint64_t claimed_bytes = 0;
    for (uint64_t i = 0; i < info->ranges.count; i++)
        if (range_at(info, i)->purpose == SLIPWAY_RANGE_PAGE_TABLES)
            claimed_bytes += range_at(info, i)->bytes;
    return is_aligned(info->root_phys, FRAME_BYTES) && info->table_pages != 0 &&
           is_claimed(info, info->root_phys, FRAME_BYTES, SLIPWAY_RANGE_PAGE_TABLES) &&
           info->table_pages <= claimed_bytes / FRAME_BYTES;
}

static bool module_ok(info_t info, const struct slipway_module *module) {
    uint64_t phys = module->address - info->hhdm_base;
    if (!text_ok(info, &module->path) || !text_ok(info, &module->cmdline) ||
        module->digest_kind > SLIPWAY_DIGEST_SHA256)
        return false;
    if (module->bytes == 0) // an empty file needs no memory
        return true;
    if (module->bytes > PHYS_END)
        return false;
    uint64_t bytes = align_up(module->bytes, FRAME_BYTES);
    return is_aligned(phys, FRAME_BYTES) && is_direct_view(info, module->address, phys, bytes) &&
           is_claimed(info, phys, bytes, SLIPWAY_RANGE_MODULE);
}

static bool check_modules(info_t info, uint64_t *ret_index) {
    for (*ret_index = 0; *ret_index < info->modules.count; ++*ret_index)
        if (!module_ok(info, record(&info->modules, *ret_index)))
            return false;
    return true;
}

const char *boot_check_mode(const struct slipway_display_mode *mode) {
    uint32_t red = mode->red_mask;
    uint32_t green = mode->green_mask;
    uint32_t blue = mode->blue_mask;
    if (mode->width == 0 || mode->height == 0)
        return "it has no pixels";
    if (mode->pitch / 4 < mode->width)
        return "its lines are longer than its pitch";
    if (mode->format > SLIPWAY_PIXEL_MASKS)
        return "its pixel format is unknown";
    if (red == 0 || green == 0 || blue == 0)
        return "a colour has no bits";
    if ((red & green) != 0 || ((red | green) & blue) != 0)
        return "two colours share bits";
    return NULL;
}

static struct slipway_display_mode mode_of(const struct slipway_framebuffer *screen) {
    return (struct slipway_display_mode){
        .width = screen->width,
        .height = screen->height,
        .pitch = screen->pitch,
        .format = screen->format,
        .red_mask = screen->red_mask,
        .green_mask = screen->green_mask,
        .blue_mask = screen->blue_mask,
    };
}

const char *boot_check_framebuffer(const struct slipway_framebuffer *screen) {
    const struct slipway_display_mode mode = mode_of(screen);
    const char *fault = boot_check_mode(&mode);
    if (fault == NULL && (uint64_t)screen->pitch * screen->height > screen->bytes)
        fault = "its picture is larger than its memory";
    return fault;
}

static bool is_same_mode(const struct slipway_display_mode *a,
                         const struct slipway_display_mode *b) {
    return a->width == b->width && a->height == b->height && a->pitch == b->pitch &&
           a->format == b->format && a->red_mask == b->red_mask && a->green_mask == b->green_mask &&
           a->blue_mask == b->blue_mask;
}

// All modes are sound, and the one that is set is among them.
static bool modes_ok(info_t info, const struct slipway_framebuffer *screen) {
    const struct slipway_display_mode set = mode_of(screen);
    if (!array_ok(info, &screen->modes, sizeof(struct slipway_display_mode)) ||
        screen->mode >= screen->modes.count)
        return false;
    for (uint64_t i = 0; i < screen->modes.count; i++)
        if (boot_check_mode(record(&screen->modes, i)) != NULL)
            return false;
    return is_same_mode(record(&screen->modes, screen->mode), &set);
}

static bool edid_ok(info_t info, const struct slipway_framebuffer *screen) {
    if (screen->edid == 0)
        return screen->edid_bytes == 0;
    return screen->edid_bytes != 0 && screen->edid_bytes <= EDID_LIMIT_BYTES &&
           fits_block(info, screen->edid, screen->edid_bytes);
}

static bool framebuffer_ok(info_t info, const struct slipway_framebuffer *screen) {
    return boot_check_framebuffer(screen) == NULL && modes_ok(info, screen) &&
           edid_ok(info, screen) &&
           is_mapped(info, screen->address, screen->address_phys, screen->bytes,
                     SLIPWAY_MAP_FRAMEBUFFER);
}

static bool check_framebuffers(info_t info, uint64_t *ret_index) {
    for (*ret_index = 0; *ret_index < info->framebuffers.count; ++*ret_index)
        if (!framebuffer_ok(info, record(&info->framebuffers, *ret_index)))
            return false;
    return true;
}

static bool check_stages(info_t info, uint64_t *ret_index) {
    uint64_t previous_start = 0;
    for (*ret_index = 0; *ret_index < info->stages.count; ++*ret_index) {
        const struct slipway_stage *stage = record(&info->stages, *ret_index);
        if (stage->name[0] == '\0' || stage->name[sizeof(stage->name) - 1] != '\0' ||
            stage->tsc_start < previous_start || stage->tsc_end < stage->tsc_start)
            return false;
        previous_start = stage->tsc_start;
    }
    return true;
}

// At most one page of it is looked for: its own length is its own business.
static bool firmware_ok(info_t info, uint64_t address, uint64_t phys) {
    return address == 0 || (phys != 0 && (is_direct_view(info, address, phys, 1) ||
                                          is_mapped(info, address, phys, 1, SLIPWAY_MAP_FIRMWARE)));
}

static bool check_firmware(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    return firmware_ok(info, info->rsdp, info->rsdp_phys) &&
           firmware_ok(info, info->smbios, info->smbios_phys) &&
           firmware_ok(info, info->efi_system_table, info->efi_system_table_phys);
}

// From 0 on, without a gap.
static bool check_mtrrs(info_t info, uint64_t *ret_index) {
    uint64_t end = 0;
    for (*ret_index = 0; *ret_index < info->mtrrs.count; ++*ret_index) {
        const struct slipway_mtrr *mtrr = record(&info->mtrrs, *ret_index);
        if (mtrr->start_phys != end || !frames_ok(mtrr->start_phys, mtrr->bytes, PHYS_END) ||
            mtrr->type > SLIPWAY_MTRR_WB)
            return false;
        end += mtrr->bytes;
    }
    return true;
}

// The records are not of this block and are not read.
static bool check_cpus(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    const struct slipway_array *cpus = &info->cpus;
    const uint64_t line = sizeof(struct slipway_cpu);
    if (cpus->count == 0)
        return cpus->address == 0;
    uint64_t phys = cpus->address - info->hhdm_base;
    uint64_t bytes = (uint64_t)cpus->count * cpus->stride;
    return cpus->stride >= line && cpus->stride % line == 0 && is_aligned(cpus->address, line) &&
           is_direct_view(info, cpus->address, phys, bytes) &&
           is_claimed(info, phys, bytes, SLIPWAY_RANGE_CPUS);
}

static bool tpm_log_ok(info_t info) {
    const struct slipway_tpm_log *log = &info->tpm_log;
    bool has_format = log->format != SLIPWAY_TPM_LOG_NONE;
    if (log->format > SLIPWAY_TPM_LOG_AGILE || log->truncated > (has_format ? 1U : 0U))
        return false;
    if (log->bytes == 0)
        return log->address == 0;
    return has_format && fits_block(info, log->address, log->bytes);
}

// What is random is one of several places, and comes of a source.
static bool kaslr_ok(const struct slipway_kaslr *kaslr) {
    const uint32_t sources =
        SLIPWAY_ENTROPY_FIRMWARE | SLIPWAY_ENTROPY_RDSEED | SLIPWAY_ENTROPY_RDRAND;
    bool has_image = (kaslr->moved & SLIPWAY_KASLR_IMAGE) != 0;
    bool has_direct = (kaslr->moved & SLIPWAY_KASLR_DIRECT) != 0;
    return kaslr->moved <= (SLIPWAY_KASLR_IMAGE | SLIPWAY_KASLR_DIRECT) &&
           (kaslr->sources & ~sources) == 0 && (kaslr->sources != 0) == (kaslr->moved != 0) &&
           (has_image ? kaslr->image_places > 1 : kaslr->image_places == 0) &&
           (has_direct ? kaslr->direct_places > 1 : kaslr->direct_places == 0);
}

static bool choice_ok(const struct slipway_choice *choice) {
    bool has_entry = choice->entry.bytes != 0;
    return choice->by <= SLIPWAY_CHOICE_BY_TIMEOUT &&
           has_entry == (choice->by != SLIPWAY_CHOICE_NONE);
}

static bool check_facts(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    const uint32_t sources = SLIPWAY_ENTROPY_FIRMWARE | SLIPWAY_ENTROPY_RDSEED |
                             SLIPWAY_ENTROPY_RDRAND | SLIPWAY_ENTROPY_JITTER;
    bool knows_tsc = info->tsc_method != SLIPWAY_TSC_UNKNOWN;
    bool server_ok = info->server_kind == SLIPWAY_SERVER_NONE ||
                     info->server_kind == SLIPWAY_SERVER_IPV4 ||
                     info->server_kind == SLIPWAY_SERVER_IPV6;
    return info->tsc_method <= SLIPWAY_TSC_PM_TIMER && knows_tsc == (info->tsc_hz != 0) &&
           (info->entropy_sources & ~sources) == 0 &&
           info->partition_id_kind <= SLIPWAY_PARTITION_GPT && server_ok && tpm_log_ok(info) &&
           kaslr_ok(&info->kaslr) && choice_ok(&info->choice);
}

// A part of the kernel's file. What it holds is not read.
static bool symbol_part_ok(info_t info, uint64_t address, uint64_t bytes) {
    uint64_t phys = address - info->hhdm_base;
    if (bytes == 0)
        return address == 0;
    return is_aligned(address, 8) && bytes <= PHYS_END &&
           is_direct_view(info, address, phys, bytes) &&
           is_claimed(info, phys, bytes, SLIPWAY_RANGE_SYMBOLS);
}

static bool symbol_array_ok(info_t info, const struct slipway_array *array, uint32_t stride) {
    return (array->count == 0 || array->stride >= stride) && array->stride % 8 == 0 &&
           symbol_part_ok(info, array->address, (uint64_t)array->count * array->stride);
}

static bool check_symbols(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    const struct slipway_symbols *symbols = &info->symbols;
    bool has_names = symbols->symbol_names_bytes != 0;
    return symbol_array_ok(info, &symbols->sections, SECTION_BYTES) &&
           symbol_array_ok(info, &symbols->symbols, SYMBOL_BYTES) &&
           symbol_part_ok(info, symbols->section_names, symbols->section_names_bytes) &&
           symbol_part_ok(info, symbols->symbol_names, symbols->symbol_names_bytes) &&
           has_names == (symbols->symbols.count != 0);
}

// Within the room, with the NUL behind it. The room is not read.
static bool crash_report_ok(info_t info) {
    const struct slipway_text *report = &info->crash_report;
    uint64_t offset = report->address - info->crash_room;
    if (report->bytes == 0)
        return report->address == 0;
    return offset < info->crash_room_bytes && report->bytes < info->crash_room_bytes - offset;
}

static bool check_crash(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    uint64_t phys = info->crash_room - info->hhdm_base;
    if (info->crash_room_bytes == 0)
        return info->crash_room == 0 && info->crash_report.address == 0 &&
               info->crash_report.bytes == 0;
    return crash_report_ok(info) && frames_ok(phys, info->crash_room_bytes, PHYS_END) &&
           is_direct_view(info, info->crash_room, phys, info->crash_room_bytes) &&
           is_claimed(info, phys, info->crash_room_bytes, SLIPWAY_RANGE_CRASH);
}

static enum boot_check check_size(info_t info) {
    uint64_t end;
    bool too_small = info->header_bytes < sizeof(*info) || info->total_bytes < info->header_bytes;
    bool too_large = info->total_bytes > TOTAL_MAX_BYTES ||
                     add_overflows((uint64_t)(uintptr_t)info, info->total_bytes, &end);
    return too_small || too_large ? BOOT_CHECK_SIZE : BOOT_CHECK_OK;
}

static bool check_apic(info_t info, [[maybe_unused]] uint64_t *ret_index) {
    return info->apic_mode <= SLIPWAY_APIC_X2APIC;
}

static enum boot_check check_header(info_t info) {
    if (info == NULL || !is_aligned((uint64_t)(uintptr_t)info, 8))
        return BOOT_CHECK_NULL;
    if (info->magic != SLIPWAY_BOOT_MAGIC)
        return BOOT_CHECK_MAGIC;
    if (info->version != SLIPWAY_BOOT_VERSION)
        return BOOT_CHECK_VERSION;
    enum boot_check result = check_size(info);
    if (result != BOOT_CHECK_OK)
        return result;
    return info->paging_levels == 4 || info->paging_levels == 5 ? BOOT_CHECK_OK : BOOT_CHECK_LEVELS;
}

enum boot_check boot_check_info(const struct slipway_boot_info *info, uint64_t *ret_index) {
    // Each relies on those before it.
    static const struct {
        check_records check;
        enum boot_check result;
    } checks[] = {
        {check_arrays, BOOT_CHECK_ARRAY},
        {check_texts, BOOT_CHECK_ARRAY},
        {check_efi_map, BOOT_CHECK_EFI_MAP},
        {check_direct_map, BOOT_CHECK_DIRECT_MAP},
        {check_mappings, BOOT_CHECK_MAPPINGS},
        {check_direct_end, BOOT_CHECK_DIRECT_MAP},
        {check_memory, BOOT_CHECK_MEMORY},
        {check_ranges, BOOT_CHECK_RANGES},
        {check_kernel, BOOT_CHECK_KERNEL},
        {check_places, BOOT_CHECK_PLACES},
        {check_tables, BOOT_CHECK_TABLES},
        {check_modules, BOOT_CHECK_MODULES},
        {check_framebuffers, BOOT_CHECK_FRAMEBUFFERS},
        {check_stages, BOOT_CHECK_STAGES},
        {check_firmware, BOOT_CHECK_FIRMWARE},
        {check_cpus, BOOT_CHECK_CPUS},
        {check_mtrrs, BOOT_CHECK_MTRRS},
        {check_apic, BOOT_CHECK_APIC},
        {check_facts, BOOT_CHECK_FACTS},
        {check_symbols, BOOT_CHECK_SYMBOLS},
        {check_crash, BOOT_CHECK_CRASH},
    };
    uint64_t index = 0;
    enum boot_check result = check_header(info);
    for (unsigned i = 0; result == BOOT_CHECK_OK && i < ARRAY_LEN(checks); i++) {
        index = 0;
        if (!checks[i].check(info, &index))
            result = checks[i].result;
    }
    if (ret_index != NULL)
        *ret_index = result == BOOT_CHECK_OK ? 0 : index;
    return result;
}

const char *boot_check_text(enum boot_check result) {
    static const char *const texts[] = {
        [BOOT_CHECK_OK] = "sound",
        [BOOT_CHECK_NULL] = "no boot info, or at an odd address",
        [BOOT_CHECK_MAGIC] = "not a Slipway boot info",
        [BOOT_CHECK_VERSION] = "of another protocol version",
        [BOOT_CHECK_SIZE] = "of an impossible size",
        [BOOT_CHECK_ARRAY] = "an array or text lies outside the block",
        [BOOT_CHECK_DIRECT_MAP] = "the direct map's bounds are impossible",
        [BOOT_CHECK_LEVELS] = "neither 4 nor 5 paging levels",
        [BOOT_CHECK_MAPPINGS] = "a mapping of the manifest breaks the contract",
        [BOOT_CHECK_MEMORY] = "a region of the memory map is unsound",
        [BOOT_CHECK_RANGES] = "a range of the loader is unsound",
        [BOOT_CHECK_EFI_MAP] = "the EFI memory map is malformed",
        [BOOT_CHECK_KERNEL] = "the kernel's image, entry or stack is not mapped as promised",
        [BOOT_CHECK_PLACES] = "direct map, window and kernel do not keep apart",
        [BOOT_CHECK_TABLES] = "the page tables do not lie in their ranges",
        [BOOT_CHECK_MODULES] = "a module is not where it should be",
        [BOOT_CHECK_FRAMEBUFFERS] = "a framebuffer is unsound",
        [BOOT_CHECK_STAGES] = "a stage of the timeline is unsound",
        [BOOT_CHECK_FIRMWARE] = "a firmware table is not where its physical address says",
        [BOOT_CHECK_MTRRS] = "the map of the MTRRs is unsound",
        [BOOT_CHECK_CPUS] = "the list of CPUs is not where it should be",
        [BOOT_CHECK_APIC] = "the local APIC is in no mode that there is",
        [BOOT_CHECK_FACTS] = "a fact that the firmware told is of no known kind",
        [BOOT_CHECK_SYMBOLS] = "the kernel's symbols are not where they should be",
        [BOOT_CHECK_CRASH] = "the room for a report is not where it should be",
    };
    return (unsigned)result < ARRAY_LEN(texts) ? texts[result] : "unknown";
}
