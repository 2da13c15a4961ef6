// See wishes.h.
#include "loader/wishes.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "loader/log.h"

// Why a framebuffer cannot be mapped; null if it can. In RAM it would have two cache types.
static const char *framebuffer_fault(const struct slipway_framebuffer *framebuffer,
                                     const struct plan_input *plan, const struct memory_map *map,
                                     struct vmem_cpu cpu) {
    uint64_t start = align_down(framebuffer->address_phys, FRAME_BYTES);
    uint64_t width_end = UINT64_C(1) << cpu.paddr_bits;
    if (framebuffer->bytes > PLAN_FRAMEBUFFER_BYTES_MAX)
        return "it is too large";
    if (start >= width_end || framebuffer->bytes > width_end - start)
        return "it lies beyond the CPU's physical addresses";
    if (plan->is_direct && start + framebuffer->bytes > plan_direct_map_room(plan))
        return "it lies beyond the direct map's room";
    return memory_map_has_ram(map, start, framebuffer->bytes) ? "it lies in RAM" : NULL;
}

void wishes_leave_out_framebuffers(struct displays *displays, const struct plan_input *plan,
                                   const struct memory_map *map, struct vmem_cpu cpu) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < displays->count; i++) {
        const struct slipway_framebuffer framebuffer = displays->framebuffers[i];
        const char *fault = framebuffer_fault(&framebuffer, plan, map, cpu);
        if (fault == NULL)
            displays->framebuffers[kept++] = framebuffer;
        else
            log_line(CONFIG_LOG_INFO, "framebuffer at 0x%lx left out: %s", framebuffer.address_phys,
                     fault);
    }
    displays->count = kept;
}

EFI_STATUS wishes_choose_levels(const struct slipway_note_wishes *wishes,
                                const struct config *config, const struct cpu_features *features,
                                unsigned *ret_levels) {
    const char *who = "the kernel";
    unsigned levels = wishes->paging_levels;
    if (config->paging == CONFIG_PAGING_4 || config->paging == CONFIG_PAGING_5) {
        who = "the config";
        levels = config->paging == CONFIG_PAGING_5 ? 5 : 4;
        if (wishes->paging_levels != 0 && wishes->paging_levels != levels)
            return log_fail(EFI_UNSUPPORTED,
                            "the config wants %u paging levels (paging = %u), the kernel wants %u",
                            levels, levels, wishes->paging_levels);
    }
    if (levels == 0)
        levels = config->paging == CONFIG_PAGING_MAX ? features->paging_levels_max
                                                     : features->paging_levels;
    if (levels > features->paging_levels_max)
        return log_fail(EFI_UNSUPPORTED, "%s wants %u paging levels, the CPU has %u", who, levels,
                        features->paging_levels_max);
    *ret_levels = levels;
    return EFI_SUCCESS;
}

EFI_STATUS wishes_choose_direct_map(const struct slipway_note_wishes *wishes,
                                    const struct plan_input *plan, unsigned levels,
                                    uint64_t ram_end, uint64_t *ret_base) {
    uint64_t base = plan_choose_direct_map(plan, wishes->hhdm_base, ram_end, levels);
    if (base == 0 && wishes->hhdm_base != 0)
        return log_fail(
            EFI_UNSUPPORTED,
            "the kernel wants its direct map at 0x%lx, where RAM up to 0x%lx has no room",
            wishes->hhdm_base, ram_end);
    if (base == 0)
        return log_fail(
            EFI_UNSUPPORTED,
            "a direct map of RAM up to 0x%lx has no room beside the kernel's image from 0x%lx to 0x%lx",
            ram_end, plan->elf->virt_start, plan->elf->virt_end);
    *ret_base = base;
    return EFI_SUCCESS;
}

EFI_STATUS wishes_check(const struct slipway_note_wishes *wishes, const struct memory_map *map,
                        const struct displays *displays) {
    if ((wishes->flags & SLIPWAY_NOTE_FRAMEBUFFER) && displays->count == 0)
        return log_fail(EFI_UNSUPPORTED, "the kernel wants a framebuffer, and there is none");
    if (map->report.direct_bytes < wishes->ram_floor_bytes)
        return log_fail(EFI_UNSUPPORTED, "the kernel wants %lu bytes of RAM, the machine has %lu",
                        wishes->ram_floor_bytes, map->report.direct_bytes);
    return EFI_SUCCESS;
}
