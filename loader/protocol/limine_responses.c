// See limine_responses.h.
#include "loader/protocol/limine_responses.h"

#include "common/base/addr.h"
#include "common/base/mem.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/plan.h"
#include "loader/protocol/limine.h"
#include "loader/protocol/limine_answer.h"
#include "loader/timeline.h"

#include <stddef.h>

static void add_path(struct limine_capacity *capacity, struct config_text path) {
    capacity->path_bytes += path.bytes;
}

EFI_STATUS limine_make_room(const struct info_capacity *capacity, const struct info_known *known,
                            const struct cpus *cpus, struct limine_room *ret_room) {
    const struct config *config = known->config;
    struct limine_capacity most = {
        .memory_entries = limine_memory_bound(capacity->memory, capacity->ranges, PLAN_FIRMWARE_MAX,
                                              known->displays->count),
        .cpus = cpus->count,
        .framebuffers = known->displays->count,
        .modules = config->module_count,
    };
    for (uint32_t i = 0; i < known->displays->count; i++)
        most.modes += known->displays->framebuffers[i].modes.count;
    add_path(&most, config->kernel);
    for (uint32_t i = 0; i < config->module_count; i++)
        add_path(&most, config->modules[i].path);
    uint64_t bytes = limine_answer_bytes(&known->kernel->limine, &most);
    EFI_STATUS status =
        firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &ret_room->phys);
    if (EFI_ERROR(status))
        return log_fail(status, "responses: no room for %lu bytes (%s)", bytes,
                        log_status_text(status));
    ret_room->bytes = bytes;
    // CPUs wait for an address there. The rest is many times as large, for most memory entries that
    // there can be, and limine_answer writes what it takes of it.
    memset(firmware_pointer(ret_room->phys), 0, limine_mp_info_phys(0, cpus->count));
    return EFI_SUCCESS;
}

void limine_watch(const struct limine_room *room, const struct cpus *cpus, uint64_t hhdm_base) {
    for (uint32_t i = 0; i < cpus->count; i++) {
        uint64_t record = hhdm_base + limine_mp_info_phys(room->phys, i);
        if (i != cpus->boot)
            cpus_watch(cpus, i, record + offsetof(struct limine_mp_info, goto_address), record);
    }
}

EFI_STATUS limine_finish(const struct limine_room *room, const struct info_known *known,
                         const struct info *info) {
    const struct kernel *kernel = known->kernel;
    const struct elf_memory memory = {.pieces = kernel->memory, .count = kernel->piece_count};
    struct limine_answer answer;
    struct limine_error error;
    const struct limine_answer_input input = {
        .requests = &kernel->limine,
        .info = info->head,
        .facts = {.file_phys = kernel->whole_file.phys,
                  .file_bytes = kernel->whole_file.bytes,
                  .smbios_32_phys = known->devices->smbios_32_phys,
                  .smbios_64_phys = known->devices->smbios_64_phys,
                  .tsc_now = timeline_now(),
                  .keeps_iommu = kernel->machine.keeps_iommus,
                  .is_from_cd = known->source->is_cd,
                  .is_from_server = known->source->is_from_server},
        .image = &memory,
        .block_phys = room->phys,
        .block_bytes = room->bytes,
    };
    if (limine_answer(&input, &answer, &error) != LIMINE_OK)
        return limine_refuse("responses", &error);
    limine_answer_base(&kernel->limine, &memory);
    memset(info->head->entropy, 0, sizeof(info->head->entropy)); // its responses came of it
    return EFI_SUCCESS;
}
