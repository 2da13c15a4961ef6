// The report for programs: key=value lines on COM1. Each function prints what its name says.
#include "kernel/base/boot.h"
#include "kernel/base/stages.h"
#include "kernel/console/console.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/start.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/report/found.h"
#include "kernel/report/report.h"

#include <stddef.h>
#include <stdint.h>

static uint64_t reclaimable_bytes(const struct memmap_report *report) {
    uint64_t bytes = 0;
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++) {
        if (memmap_is_reclaimable(kind))
            bytes += report->bytes[kind];
    }
    return bytes;
}

static uint64_t all_bytes(const struct memmap_report *report) {
    uint64_t bytes = 0;
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++)
        bytes += report->bytes[kind];
    return bytes;
}

static void print_memory(const struct sink *out) {
    const struct slipway_boot_info *info = boot_info();
    const struct memory_facts *facts = memory_facts();
    fmt_print(out, "map.descriptors=%lu\n", facts->report.descriptors);
    fmt_print(out, "map.stride=%u\n", info->efi_map_stride);
    fmt_print(out, "map.regions=%lu\n", facts->region_count);
    fmt_print(out, "map.differences=%lu\n", facts->differences);
    for (unsigned odd = 0; odd < MEMMAP_ODDITIES; odd++) {
        if (facts->report.odd[odd] != 0)
            fmt_print(out, "map.oddity.%s=%lu\n", memmap_oddity_text((enum memmap_oddity)odd),
                      facts->report.odd[odd]);
    }
    fmt_print(out, "map.bytes=%lu\n", all_bytes(&facts->report));
    fmt_print(out, "ram.bytes=%lu\n", report_found.direct_map.bytes);
    fmt_print(out, "usable.bytes=%lu\n", facts->report.bytes[SLIPWAY_MEM_USABLE]);
    fmt_print(out, "reclaimable.bytes=%lu\n", reclaimable_bytes(&facts->report));
}

static void print_paging(const struct sink *out) {
    const struct slipway_boot_info *info = boot_info();
    fmt_print(out, "cpu.paddr_bits=%u\n", space_kernel()->cpu.paddr_bits);
    fmt_print(out, "paging.levels=%u\n", info->paging_levels);
    fmt_print(out, "hhdm.base=0x%lx\n", info->hhdm_base);
    fmt_print(out, "hhdm.end=0x%lx\n", info->hhdm_end);
    fmt_print(out, "hhdm.leaves_1g=%lu\n", report_found.direct_map.leaves[VMEM_1G]);
    fmt_print(out, "hhdm.leaves_2m=%lu\n", report_found.direct_map.leaves[VMEM_2M]);
    fmt_print(out, "hhdm.leaves_4k=%lu\n", report_found.direct_map.leaves[VMEM_4K]);
    fmt_print(out, "tables.pages=%u\n", info->table_pages);
    fmt_print(out, "audit.violations=%lu\n", memory_facts()->audit_violations);
}

static void print_frames(const struct sink *out) {
    const struct frames_statistics *frames = &memory_facts()->frames;
    fmt_print(out, "frames.total=%lu\n", frames->total_frames);
    fmt_print(out, "frames.free=%lu\n", frames->free_frames);
    fmt_print(out, "frames.used=%lu\n", frames->used_frames);
    fmt_print(out, "frames.reserved=%lu\n", frames->reserved_frames);
    fmt_print(out, "frames.metadata_bytes=%lu\n", frames->metadata_bytes);
    fmt_print(out, "frames.metadata_frames=%lu\n", frames->metadata_frames);
    fmt_print(out, "frames.owner_frames=%lu\n", memory_facts()->owner_frames);
    fmt_print(out, "frames.low_free=%lu\n", frames->zone[FRAMES_BELOW_1M].free_frames);
    fmt_print(out, "frames.largest_run=%lu\n", frames->largest_run_frames);
    fmt_print(out, "frames.free_2m=%lu\n", frames->free_2m);
    fmt_print(out, "frames.free_1g=%lu\n", frames->free_1g);
    for (unsigned zone = 0; zone < FRAMES_ZONES; zone++) {
        fmt_print(out, "frames.zone.%u.total=%lu\n", zone, frames->zone[zone].total_frames);
        fmt_print(out, "frames.zone.%u.free=%lu\n", zone, frames->zone[zone].free_frames);
    }
    for (uint32_t kind = 1; kind < SLIPWAY_MEM_KINDS; kind++) {
        if (memmap_is_reclaimable(kind))
            fmt_print(out, "frames.reclaimable.%u=%lu\n", kind, frames->reclaimable_frames[kind]);
    }
    fmt_print(out, "frames.reclaimed=%lu\n", report_found.results.reclaimed_frames);
}

static void print_frames_now(const struct sink *out) {
    struct frames_statistics now;
    memory_get_statistics(&now);
    fmt_print(out, "frames.now.total=%lu\n", now.total_frames);
    fmt_print(out, "frames.now.free=%lu\n", now.free_frames);
    fmt_print(out, "heap.frames=%lu\n", heap_statistics().frames);
    fmt_print(out, "frames.peak=%lu\n", now.peak_used_frames);
}

// Of the ranges of this purpose.
static uint64_t range_bytes(uint32_t purpose) {
    const struct slipway_boot_info *info = boot_info();
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = boot_range(info, i);
        bytes += range->purpose == purpose ? range->bytes : 0;
    }
    return bytes;
}

static void print_cpus(const struct sink *out) {
    struct cpus_facts cpus = cpus_facts();
    fmt_print(out, "cpus.found=%u\n", cpus.found);
    fmt_print(out, "cpus.started=%u\n", cpus_started());
    fmt_print(out, "cpus.left_out=%u\n", cpus.left_out);
    fmt_print(out, "cpus.reason=%s\n", cpus.reason != NULL ? cpus.reason : "none");
    fmt_print(out, "cpus.apic=%s\n", apic_name());
    fmt_print(out, "cpus.frames=%lu\n", cpus.frames);
    fmt_print(out, "cpus.bytes=%lu\n", range_bytes(SLIPWAY_RANGE_CPUS));
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++)
        fmt_print(out, "cpu.%u.apic_id=%u\n", cpu, cpus_apic_id(cpu));
}

static void print_selftest(const struct sink *out) {
    const struct selftest_stress *stress = &report_found.results.selftest.stress;
    fmt_print(out, "selftest=ok\n");
    fmt_print(out, "selftest.checks=%u\n", report_found.results.selftest.checks);
    fmt_print(out, "stress.operations=%lu\n", stress->all.operations);
    fmt_print(out, "stress.timer_interrupts=%lu\n", stress->all.timer_interrupts);
    fmt_print(out, "stress.raised_interrupts=%lu\n", stress->all.raised_interrupts);
    fmt_print(out, "stress.handed_over=%lu\n", stress->handed_over);
    fmt_print(out, "stress.most_frames=%lu\n", stress->most_frames);
    fmt_print(out, "stress.exhausted_frames=%lu\n", report_found.results.selftest.exhausted_frames);
    fmt_print(out, "heap.ticks=%lu\n", report_found.results.selftest.heap_ticks);
    const struct selftest_shoot *tlb = &report_found.results.selftest.shoot;
    fmt_print(out, "tlb.milliseconds=%lu\n", tlb->milliseconds);
    fmt_print(out, "tlb.changes=%lu\n", tlb->changes);
    fmt_print(out, "tlb.accesses=%lu\n", tlb->accesses);
    fmt_print(out, "tlb.faults=%lu\n", tlb->faults);
    fmt_print(out, "tlb.naps=%lu\n", tlb->naps);
    fmt_print(out, "tlb.records=%lu\n", tlb->records);
    fmt_print(out, "tlb.requests=%lu\n", tlb->requests);
    fmt_print(out, "tlb.interrupts=%lu\n", tlb->interrupts);
    fmt_print(out, "tlb.missed=%lu\n", tlb->missed);
    const struct selftest_shoot_cost *cost = &report_found.results.selftest.shoot_cost;
    fmt_print(out, "tlb.ticks_asleep=%lu\n", cost->ticks_asleep);
    fmt_print(out, "tlb.ticks_awake=%lu\n", cost->ticks_awake);
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
        const struct selftest_stress_cpu *it = &stress->cpu[cpu];
        fmt_print(out, "cpu.%u.operations=%lu\n", cpu, it->operations);
        fmt_print(out, "cpu.%u.timer_interrupts=%lu\n", cpu, it->timer_interrupts);
        fmt_print(out, "cpu.%u.raised_interrupts=%lu\n", cpu, it->raised_interrupts);
    }
}

static void print_machine(const struct sink *out) {
    const struct slipway_boot_info *info = boot_info();
    fmt_print(out, "loader.name=%.*s\n", BOOT_TEXT(info->loader_name));
    fmt_print(out, "loader.version=%.*s\n", BOOT_TEXT(info->loader_version));
    fmt_print(out, "kernel.path=%.*s\n", BOOT_TEXT(info->kernel_path));
    fmt_print(out, "kernel.phys=0x%lx\n", info->kernel_phys);
    fmt_print(out, "kernel.virt=0x%lx\n", info->kernel_virt);
    fmt_print(out, "kernel.bytes=%lu\n", info->kernel_bytes);
    fmt_print(out, "cmdline=%.*s\n", BOOT_TEXT(info->cmdline));
    fmt_print(out, "stack.bottom=0x%lx\n", info->stack_bottom);
    fmt_print(out, "stack.top=0x%lx\n", info->stack_top);
    fmt_print(out, "rsdp=0x%lx\n", info->rsdp_phys);
    fmt_print(out, "smbios=0x%lx\n", info->smbios_phys);
    fmt_print(out, "boot.time=%ld\n", info->boot_time);
    fmt_print(out, "crash.bytes=%lu\n", info->crash_report.bytes);
    fmt_print(out, "crash.time=%ld\n", info->crash_time);
    fmt_print(out, "crash.room=0x%lx\n", info->crash_room);
    fmt_print(out, "input=%s\n", report_found.results.input);
    fmt_print(out, "modules=%u\n", info->modules.count);
    for (uint64_t i = 0; i < info->modules.count; i++) {
        const struct slipway_module *module = boot_record(&info->modules, i);
        fmt_print(out, "module.%lu=0x%lx %lu %.*s\n", i, module->address, module->bytes,
                  BOOT_TEXT(module->path));
    }
    fmt_print(out, "framebuffers=%u\n", info->framebuffers.count);
    for (uint64_t i = 0; i < info->framebuffers.count; i++) {
        const struct slipway_framebuffer *f = boot_record(&info->framebuffers, i);
        fmt_print(out, "framebuffer.%lu=%ux%u pitch %u format %u at 0x%lx\n", i, f->width,
                  f->height, f->pitch, f->format, f->address_phys);
    }
}

static void print_timeline(const struct sink *out) {
    const struct slipway_boot_info *info = boot_info();
    fmt_print(out, "exit.attempts=%u\n", info->exit_attempts);
    fmt_print(out, "tsc.hz=%lu\n", info->tsc_hz);
    fmt_print(out, "tsc.loader_entry=%lu\n", info->tsc_loader_entry);
    fmt_print(out, "tsc.exit_done=%lu\n", info->tsc_exit_done);
    fmt_print(out, "tsc.kernel_entry=%lu\n", boot_tsc_entry());
    for (uint64_t i = 0; i < info->stages.count; i++) {
        const struct slipway_stage *stage = boot_record(&info->stages, i);
        fmt_print(out, "stage.%s=%lu %lu %lu\n", stage->name, stage->tsc_start, stage->tsc_end,
                  stage->bytes);
    }
    unsigned count;
    const struct stage *stages = stages_get(&count);
    for (unsigned i = 0; i < count; i++)
        fmt_print(out, "kernel_stage.%s=%lu %lu %lu\n", stages[i].name, stages[i].tsc_start,
                  stages[i].tsc_end, stages[i].bytes);
}

void report_print_block(void) {
    const struct sink *out = console_serial();
    fmt_print(out, "BOOT-REPORT-BEGIN\n");
    print_machine(out);
    print_paging(out);
    print_memory(out);
    print_frames(out);
    print_frames_now(out);
    print_cpus(out);
    print_selftest(out);
    print_timeline(out);
    fmt_print(out, "BOOT-REPORT-END\n");
}
