#include "loader/info.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/modules.h"
#include "loader/plan.h"
#include "loader/timeline.h"

static const char loader_name[] = "Slipway";
static const char loader_version[] = SLIPWAY_VERSION;

// Of all texts, each with its NUL.
static uint64_t text_bytes(const struct config *config) {
    uint64_t bytes = sizeof(loader_name) + sizeof(loader_version) + config->kernel.bytes + 1 +
                     config->cmdline.bytes + 1;
    for (uint32_t i = 0; i < config->module_count; i++)
        bytes += config->modules[i].path.bytes + 1 + config->modules[i].cmdline.bytes + 1;
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

EFI_STATUS info_make(struct info *info, const struct info_capacity *capacity,
                     const struct config *config, uint64_t hhdm_base) {
    const struct {
        void **place;
        uint64_t bytes;
    } parts[] = {
        {(void **)&info->head, sizeof(struct slipway_boot_info)},
        {(void **)&info->mappings, capacity->mappings * sizeof(struct slipway_mapping)},
        {(void **)&info->memory, capacity->memory * sizeof(struct slipway_memory)},
        {(void **)&info->ranges, capacity->ranges * sizeof(struct slipway_range)},
        {(void **)&info->modules, config->module_count * sizeof(struct slipway_module)},
        {(void **)&info->framebuffers,
         DEVICES_FRAMEBUFFERS_MAX * sizeof(struct slipway_framebuffer)},
        {(void **)&info->stages, TIMELINE_STAGES_MAX * sizeof(struct slipway_stage)},
        {&info->efi_map, capacity->efi_map_bytes},
        {(void **)&info->log, LOG_BYTES_MAX + 1},
        {(void **)&info->texts, text_bytes(config)},
    };
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < ARRAY_LEN(parts); i++)
        bytes += align_up(parts[i].bytes, 8);
    *info = (struct info){.bytes = align_up(bytes, FRAME_BYTES), .hhdm_base = hhdm_base};
    EFI_STATUS status =
        firmware_alloc_pages(info->bytes, FRAME_BYTES, SLIPWAY_RANGE_BOOT_INFO, &info->phys);
    if (EFI_ERROR(status))
        return log_fail(status, "boot_info: no room for %lu bytes (%s)", info->bytes,
                        log_status_text(status));
    uint64_t at = info->phys;
    for (uint32_t i = 0; i < ARRAY_LEN(parts); i++) {
        *parts[i].place = firmware_pointer(at);
        at += align_up(parts[i].bytes, 8);
    }
    *info->head = (struct slipway_boot_info){
        .magic = SLIPWAY_BOOT_MAGIC,
        .version = SLIPWAY_BOOT_VERSION,
        .header_bytes = sizeof(struct slipway_boot_info),
        .total_bytes = info->bytes,
        .hhdm_base = hhdm_base,
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
            .digest_kind = config->wants_digests ? SLIPWAY_DIGEST_SHA256 : SLIPWAY_DIGEST_NONE,
        };
        memcpy(out[i].digest, modules[i].digest, sizeof(out[i].digest));
    }
    info->head->modules = describe_array(info, out, config->module_count, sizeof(*out));
}

static void describe_framebuffers(struct info *info, const struct devices *devices) {
    struct slipway_framebuffer *out = info->framebuffers;
    for (uint32_t i = 0; i < devices->framebuffer_count; i++) {
        out[i] = devices->framebuffers[i];
        out[i].address = plan_framebuffer_virt(i, out[i].address_phys);
        out[i].bytes -=
            out[i].address_phys & (FRAME_BYTES - 1); // from its first byte, not its page
    }
    info->head->framebuffers = describe_array(info, out, devices->framebuffer_count, sizeof(*out));
}

void info_describe(struct info *info, const struct config *config, const struct kernel *kernel,
                   const struct devices *devices) {
    struct slipway_boot_info *head = info->head;
    head->loader_name = copy_text(info, loader_name, sizeof(loader_name) - 1);
    head->loader_version = copy_text(info, loader_version, sizeof(loader_version) - 1);
    head->kernel_path = copy_text(info, config->kernel.text, config->kernel.bytes);
    head->cmdline = copy_text(info, config->cmdline.text, config->cmdline.bytes);
    head->kernel_virt = kernel->elf.virt_start;
    head->kernel_phys = kernel->phys;
    head->kernel_bytes = kernel->elf.virt_end - kernel->elf.virt_start;
    head->kernel_slide = kernel->elf.slide;
    head->kernel_entry = kernel->elf.entry;
    head->kernel_file_bytes = kernel->file_bytes;
    head->stack_bottom = plan_stack_bottom();
    head->stack_top = plan_stack_bottom() + kernel->wishes.stack_bytes;
    head->rsdp_phys = devices->rsdp_phys;
    head->smbios_phys = devices->smbios_phys;
    head->efi_system_table_phys = devices->system_table_phys;
    head->boot_time = devices->boot_time;
    head->tsc_loader_entry = timeline_entry();
    describe_modules(info, config);
    describe_framebuffers(info, devices);
}

// The direct-map address of a table that the firmware made; 0 where there is none (physical 0), or
// where the direct map does not reach.
static uint64_t direct_if_mapped(const struct info *info, const struct memory_map *map,
                                 uint64_t phys) {
    for (uint64_t i = 0; i < map->region_count; i++) {
        const struct memmap_region *region = &map->regions[i];
        if (phys != 0 && region->direct && phys >= region->start && phys < region->end)
            return info->hhdm_base + phys;
    }
    return 0;
}

// End of the highest direct mapping. The direct map comes first in the manifest.
static uint64_t direct_map_end(const struct info *info, uint64_t mapping_count) {
    uint64_t end = info->hhdm_base;
    for (uint64_t i = 0; i < mapping_count; i++) {
        const struct slipway_mapping *mapping = &info->mappings[i];
        if (mapping->purpose == SLIPWAY_MAP_DIRECT)
            end = mapping->virt + mapping->bytes;
    }
    return end;
}

void info_finish(struct info *info, const struct memory_map *map, uint64_t mapping_count,
                 uint64_t range_count) {
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
    head->mappings = describe_array(info, info->mappings, mapping_count, sizeof(*info->mappings));
    head->memory = describe_array(info, info->memory, map->region_count, sizeof(*info->memory));
    head->ranges = describe_array(info, info->ranges, range_count, sizeof(*info->ranges));
    head->efi_map = to_direct(info, info->efi_map);
    head->efi_map_bytes = map->bytes;
    head->efi_map_stride = (uint32_t)map->stride;
    head->efi_map_version = map->version;
    head->hhdm_end = direct_map_end(info, mapping_count);
    head->rsdp = direct_if_mapped(info, map, head->rsdp_phys);
    head->smbios = direct_if_mapped(info, map, head->smbios_phys);
    head->efi_system_table = direct_if_mapped(info, map, head->efi_system_table_phys);
}

void info_seal(struct info *info) {
    uint32_t stage_count;
    const struct slipway_stage *stages = timeline_stages(&stage_count);
    memcpy(info->stages, stages, stage_count * sizeof(*stages));
    info->head->stages = describe_array(info, info->stages, stage_count, sizeof(*stages));
    size_t log_bytes;
    const char *log = log_text(&log_bytes);
    memcpy(info->log, log, log_bytes + 1);
    info->head->log =
        (struct slipway_text){.address = to_direct(info, info->log), .bytes = log_bytes};
}

uint64_t info_address(const struct info *info) {
    return info->hhdm_base + info->phys;
}
