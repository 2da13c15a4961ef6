// See info.h.
#include "loader/info.h"

#include "common/acpi/fpdt.h"
#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/acpi.h"
#include "loader/entropy.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/kaslr.h"
#include "loader/log.h"
#include "loader/modules.h"
#include "loader/timeline.h"

static const char loader_name[] = "Slipway";
static const char loader_version[] = SLIPWAY_VERSION;

// The bytes of all texts, each with its NUL.
static uint64_t text_bytes(const struct info_known *known) {
    const struct config *config = known->config;
    uint64_t bytes = sizeof(loader_name) + sizeof(loader_version) + config->kernel.bytes + 1 +
                     config->cmdline.bytes + 1 + known->source->label_bytes + 1 +
                     known->source->path_bytes + 1 + known->choice->entry.bytes + 1;
    for (uint32_t i = 0; i < config->module_count; i++)
        bytes += config->modules[i].path.bytes + 1 + config->modules[i].cmdline.bytes + 1;
    return bytes;
}

// The bytes of all lists of modes and of all EDID, each filled up to a multiple of 8.
static uint64_t display_bytes(const struct displays *displays) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < displays->count; i++) {
        const struct slipway_framebuffer *framebuffer = &displays->framebuffers[i];
        bytes += (uint64_t)framebuffer->modes.count * framebuffer->modes.stride;
        bytes += align_up(framebuffer->edid_bytes, 8);
    }
    return bytes;
}

static uint64_t to_direct(const struct info *info, const void *pointer) {
    return info->hhdm_base + (uintptr_t)pointer;
}

static struct slipway_array describe_array(const struct info *info, const void *records,
                                           uint64_t count, uint64_t stride) {
    return (struct slipway_array){
        .address = count == 0 ? 0 : to_direct(info, records),
        .count = (uint32_t)count,
        .stride = (uint32_t)stride,
    };
}

// The part of the block at *at, which moves to the next.
static void *reserve(uint64_t *at, uint64_t bytes) {
    void *part = firmware_pointer(*at);
    *at += align_up(bytes, 8);
    return part;
}

// Lays the block out from `start` on. Returns its end.
static uint64_t lay_out(struct info *info, uint64_t start, const struct info_capacity *capacity,
                        const struct info_known *known) {
    uint64_t at = start;
    info->head = reserve(&at, sizeof(*info->head));
    info->mappings = reserve(&at, capacity->mappings * sizeof(*info->mappings));
    info->memory = reserve(&at, capacity->memory * sizeof(*info->memory));
    info->ranges = reserve(&at, capacity->ranges * sizeof(*info->ranges));
    info->pieces = reserve(&at, known->kernel->piece_count * sizeof(*info->pieces));
    info->modules = reserve(&at, known->config->module_count * sizeof(*info->modules));
    info->framebuffers = reserve(&at, known->displays->count * sizeof(*info->framebuffers));
    info->display_data = reserve(&at, display_bytes(known->displays));
    info->stages = reserve(&at, TIMELINE_STAGES_MAX * sizeof(*info->stages));
    info->mtrrs = reserve(&at, capacity->mtrrs * sizeof(*info->mtrrs));
    info->efi_map = reserve(&at, capacity->efi_map_bytes);
    info->log = reserve(&at, LOG_BYTES_MAX + 1);
    info->tpm_log = reserve(&at, known->tpm_log->bytes);
    info->texts = reserve(&at, text_bytes(known));
    return at;
}

EFI_STATUS info_make(struct info *info, const struct info_capacity *capacity,
                     const struct info_known *known) {
    info->bytes = align_up(lay_out(info, 0, capacity, known), FRAME_BYTES); // for the size alone
    EFI_STATUS status =
        firmware_alloc_pages(info->bytes, FRAME_BYTES, SLIPWAY_RANGE_BOOT_INFO, &info->phys);
    if (EFI_ERROR(status))
        return log_fail(status, "boot_info: no room for %lu bytes (%s)", info->bytes,
                        log_status_text(status));
    lay_out(info, info->phys, capacity, known);
    *info->head = (struct slipway_boot_info){
        .magic = SLIPWAY_BOOT_MAGIC,
        .version = SLIPWAY_BOOT_VERSION,
        .header_bytes = sizeof(struct slipway_boot_info),
        .total_bytes = info->bytes,
    };
    return EFI_SUCCESS;
}

static struct slipway_text copy_text(struct info *info, const char *text, uint64_t bytes) {
    char *copy = info->texts;
    info->texts += bytes + 1;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return (struct slipway_text){.address = to_direct(info, copy), .bytes = bytes};
}

static void describe_modules(struct info *info, const struct config *config) {
    struct slipway_module *out = info->modules;
    const struct module *modules = modules_loaded();
    for (uint32_t i = 0; i < config->module_count; i++) {
        const struct config_module *named = modules[i].config;
        out[i] = (struct slipway_module){
            .path = copy_text(info, named->path.text, named->path.bytes),
            .cmdline = copy_text(info, named->cmdline.text, named->cmdline.bytes),
            .address = modules[i].bytes == 0 ? 0 : info->hhdm_base + modules[i].phys,
            .bytes = modules[i].bytes,
            .digest_kind = modules[i].has_digest ? SLIPWAY_DIGEST_SHA256 : SLIPWAY_DIGEST_NONE,
        };
        memcpy(out[i].digest, modules[i].digest, sizeof(out[i].digest));
    }
    info->head->modules = describe_array(info, out, config->module_count, sizeof(*out));
}

// The direct-map address of a copy of what is at `phys`; 0 if that is nothing.
static uint64_t copy_display_data(struct info *info, uint64_t phys, uint64_t bytes) {
    if (bytes == 0)
        return 0;
    void *copy = info->display_data;
    info->display_data += align_up(bytes, 8);
    memcpy(copy, firmware_pointer(phys), bytes);
    return to_direct(info, copy);
}

static void describe_framebuffers(struct info *info, const struct displays *displays,
                                  const struct plan_input *plan) {
    struct slipway_framebuffer *out = info->framebuffers;
    for (uint32_t i = 0; i < displays->count; i++) {
        out[i] = displays->framebuffers[i];
        out[i].address = plan_framebuffer_virt(plan, i);
        // From its first byte, not from its page.
        out[i].bytes -= out[i].address_phys & (FRAME_BYTES - 1);
        out[i].edid = copy_display_data(info, out[i].edid, out[i].edid_bytes);
        out[i].modes.address = copy_display_data(
            info, out[i].modes.address, (uint64_t)out[i].modes.count * out[i].modes.stride);
    }
    info->head->framebuffers = describe_array(info, out, displays->count, sizeof(*out));
}

static void describe_source(struct info *info, const struct boot_source *source) {
    struct slipway_boot_info *head = info->head;
    memcpy(head->partition_id, source->partition.id, sizeof(head->partition_id));
    head->partition_id_kind = source->partition.id_kind;
    head->partition_number = source->partition.number;
    head->volume_label = copy_text(info, source->label, source->label_bytes);
    head->loader_path = copy_text(info, source->path, source->path_bytes);
    memcpy(head->server_address, source->server_address, sizeof(head->server_address));
    head->server_kind = source->server_kind;
}

static void describe_choice(struct info *info, const struct choice *choice) {
    info->head->choice = (struct slipway_choice){
        .entry = copy_text(info, choice->entry.text, choice->entry.bytes),
        .by = choice->by,
        .menu_ms = choice->menu_ms,
    };
}

static void describe_tpm_log(struct info *info, const struct tpm_log *log) {
    if (log->bytes != 0)
        memcpy(info->tpm_log, log->events, log->bytes);
    info->head->tpm_log = (struct slipway_tpm_log){
        .address = log->bytes == 0 ? 0 : to_direct(info, info->tpm_log),
        .bytes = log->bytes,
        .format = log->format,
        .truncated = log->truncated,
    };
}

// An array of parts that are `stride` bytes each.
static struct slipway_array describe_part(const struct info *info, const struct kernel_part *part,
                                          uint64_t stride) {
    return describe_array(info, firmware_pointer(part->phys), part->bytes / stride, stride);
}

static void describe_symbols(struct info *info, const struct kernel_symbols *symbols) {
    const struct kernel_part *section_names = &symbols->section_names;
    const struct kernel_part *symbol_names = &symbols->symbol_names;
    info->head->symbols = (struct slipway_symbols){
        .sections = describe_part(info, &symbols->sections, ELF_SECTION_BYTES),
        .symbols = describe_part(info, &symbols->symbols, ELF_SYMBOL_BYTES),
        .section_names = section_names->bytes == 0 ? 0 : info->hhdm_base + section_names->phys,
        .section_names_bytes = section_names->bytes,
        .symbol_names = symbol_names->bytes == 0 ? 0 : info->hhdm_base + symbol_names->phys,
        .symbol_names_bytes = symbol_names->bytes,
    };
}

void info_describe(struct info *info, const struct info_known *known,
                   const struct plan_input *plan) {
    struct slipway_boot_info *head = info->head;
    const struct config *config = known->config;
    const struct kernel *kernel = known->kernel;
    const struct devices *devices = known->devices;
    info->hhdm_base = plan->hhdm_base;
    head->hhdm_base = plan->hhdm_base;
    head->window_base = plan->window_base;
    head->loader_name = copy_text(info, loader_name, sizeof(loader_name) - 1);
    head->loader_version = copy_text(info, loader_version, sizeof(loader_version) - 1);
    head->kernel_path = copy_text(info, config->kernel.text, config->kernel.bytes);
    head->cmdline = copy_text(info, config->cmdline.text, config->cmdline.bytes);
    head->kernel_virt = kernel->elf.virt_start;
    head->kernel_phys = kernel->pieces[0].phys;
    head->kernel_bytes = kernel->elf.virt_end - kernel->elf.virt_start;
    head->kernel_slide = kernel->elf.slide;
    head->kernel_entry = kernel->elf.entry;
    head->kernel_digest_kind = kernel->has_digest ? SLIPWAY_DIGEST_SHA256 : SLIPWAY_DIGEST_NONE;
    memcpy(head->kernel_digest, kernel->digest, sizeof(head->kernel_digest));
    head->kernel_file_bytes = kernel->file_bytes;
    head->tls_address = kernel->elf.tls.virt;
    head->tls_file_bytes = kernel->elf.tls.file_bytes;
    head->tls_bytes = kernel->elf.tls.mem_bytes;
    head->tls_align = kernel->elf.tls.align;
    head->stack_bottom = plan_stack_bottom(plan);
    head->stack_top = head->stack_bottom + plan->stack_bytes;
    head->stack_phys = plan->stack_phys;
    head->rsdp_phys = devices->rsdp_phys;
    head->smbios_phys = devices->smbios_phys;
    head->efi_system_table_phys = devices->system_table_phys;
    head->boot_time = devices->boot_time;
    head->tsc_loader_entry = timeline_entry();
    memcpy(info->pieces, kernel->pieces, kernel->piece_count * sizeof(*info->pieces));
    head->kernel_pieces =
        describe_array(info, info->pieces, kernel->piece_count, sizeof(*info->pieces));
    describe_source(info, known->source);
    describe_choice(info, known->choice);
    describe_modules(info, config);
    describe_symbols(info, &kernel->symbols);
    describe_framebuffers(info, known->displays, plan);
    describe_tpm_log(info, known->tpm_log);
    head->kaslr = *kaslr_facts();
    head->entropy_sources = entropy_gather(head->entropy);
}

// Where a table of the firmware's is mapped: in the direct map, or beside it. 0 if there is no such
// table (`phys` is 0) or if it is not mapped.
static uint64_t firmware_address(const struct info *info, uint64_t mapping_count, uint64_t phys) {
    for (uint64_t i = 0; phys != 0 && i < mapping_count; i++) {
        const struct slipway_mapping *mapping = &info->mappings[i];
        bool is_meant =
            mapping->purpose == SLIPWAY_MAP_DIRECT || mapping->purpose == SLIPWAY_MAP_FIRMWARE;
        if (is_meant && phys >= mapping->phys && phys - mapping->phys < mapping->bytes)
            return mapping->virt + (phys - mapping->phys);
    }
    return 0;
}

// End of the highest direct mapping.
static uint64_t direct_map_end(const struct info *info, uint64_t mapping_count) {
    uint64_t end = info->hhdm_base;
    for (uint64_t i = 0; i < mapping_count; i++) {
        const struct slipway_mapping *mapping = &info->mappings[i];
        if (mapping->purpose == SLIPWAY_MAP_DIRECT)
            end = mapping->virt + mapping->bytes;
    }
    return end;
}

static void finish_memory(struct info *info, const struct memory_map *map) {
    struct slipway_boot_info *head = info->head;
    for (uint64_t i = 0; i < map->region_count; i++) {
        const struct memmap_region *region = &map->regions[i];
        info->memory[i] = (struct slipway_memory){
            .start_phys = region->start,
            .bytes = region->end - region->start,
            .kind = region->kind,
            .in_direct = region->direct,
        };
    }
    head->memory = describe_array(info, info->memory, map->region_count, sizeof(*info->memory));
    head->efi_map = to_direct(info, info->efi_map);
    head->efi_map_bytes = map->bytes;
    head->efi_map_stride = (uint32_t)map->stride;
    head->efi_map_version = map->version;
}

static void finish_firmware(struct info *info, uint64_t mapping_count) {
    struct slipway_boot_info *head = info->head;
    head->rsdp = firmware_address(info, mapping_count, head->rsdp_phys);
    head->smbios = firmware_address(info, mapping_count, head->smbios_phys);
    head->efi_system_table = firmware_address(info, mapping_count, head->efi_system_table_phys);
}

static void finish_mtrrs(struct info *info, const struct mtrr_map *map) {
    for (uint32_t i = 0; i < map->count; i++) {
        const struct mtrr_run *run = &map->runs[i];
        info->mtrrs[i] = (struct slipway_mtrr){
            .start_phys = run->start, .bytes = run->end - run->start, .type = run->type};
    }
    info->head->mtrrs = describe_array(info, info->mtrrs, map->count, sizeof(*info->mtrrs));
}

static void finish_firmware_times(struct slipway_boot_info *head) {
    struct acpi_memory memory = acpi_identity_memory();
    struct fpdt_times times = fpdt_find_times(&memory, head->rsdp_phys);
    head->firmware_times = (struct slipway_firmware_times){
        .reset_end = times.reset_end,
        .loader_load = times.loader_load,
        .loader_start = times.loader_start,
        .exit_start = times.exit_start,
        .exit_end = times.exit_end,
    };
}

// A report that was shown is not shown again, also where this kernel does not want it.
static void finish_crash(struct info *info, const struct info_facts *facts) {
    struct slipway_boot_info *head = info->head;
    struct crash_found found = crash_room_take(facts->crash_room);
    if (!facts->keeps_crash_room || facts->crash_room == 0)
        return;
    head->crash_room = info->hhdm_base + facts->crash_room;
    head->crash_room_bytes = CRASH_ROOM_BYTES;
    head->crash_time = found.time;
    if (found.text_bytes != 0)
        head->crash_report = (struct slipway_text){to_direct(info, found.text), found.text_bytes};
}

static void finish_stages(struct info *info) {
    uint32_t count;
    const struct slipway_stage *stages = timeline_stages(&count);
    memcpy(info->stages, stages, count * sizeof(*stages));
    info->head->stages = describe_array(info, info->stages, count, sizeof(*stages));
}

static void finish_log(struct info *info) {
    size_t bytes;
    const char *log = log_text(&bytes);
    memcpy(info->log, log, bytes + 1);
    info->head->log = (struct slipway_text){.address = to_direct(info, info->log), .bytes = bytes};
}

void info_finish(struct info *info, const struct info_facts *facts) {
    struct slipway_boot_info *head = info->head;
    finish_memory(info, facts->map);
    finish_mtrrs(info, facts->mtrrs);
    finish_firmware(info, facts->mapping_count);
    finish_firmware_times(head);
    finish_crash(info, facts);
    head->mappings =
        describe_array(info, info->mappings, facts->mapping_count, sizeof(*info->mappings));
    head->ranges = describe_array(info, info->ranges, facts->range_count, sizeof(*info->ranges));
    head->hhdm_end = direct_map_end(info, facts->mapping_count);
    head->root_phys = facts->root_phys;
    head->paging_levels = facts->paging_levels;
    head->table_pages = (uint32_t)facts->table_pages;
    head->exit_attempts = facts->exit_attempts;
    head->tsc_exit_done = facts->tsc_exit_done;
    head->apic_mode = facts->apic_mode;
    head->gdt_phys = facts->tables.gdt_phys;
    head->tss_phys = facts->tables.tss_phys;
    head->idt_phys = facts->tables.idt_phys;
    head->cpus = describe_array(info, facts->cpus->records, facts->cpus->count,
                                sizeof(*facts->cpus->records));
}

void info_close(struct info *info) {
    info->head->tsc_hz = timeline_tsc_hz(); // late: the more time it has measured, the better
    info->head->tsc_method = timeline_tsc_method();
    finish_stages(info);
    finish_log(info);
}

uint64_t info_address(const struct info *info) {
    return info->hhdm_base + info->phys;
}
