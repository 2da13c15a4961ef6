#include "kernel/report/report.h"

#include "common/base/addr.h"
#include "kernel/base/boot.h"
#include "kernel/base/panic.h"
#include "kernel/base/stages.h"
#include "kernel/base/units.h"
#include "kernel/console/console.h"
#include "kernel/console/screen.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/start.h"
#include "kernel/memory/direct_map.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"

#include <stddef.h>
#include <stdint.h>

static struct report_results results;
static struct direct_map_facts direct_map;

void report_prepare(const struct report_results *found) {
    results = *found;
    direct_map = direct_map_measure();
}

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

static void print_cpus(void) {
    struct cpus_facts cpus = cpus_facts();
    console_print("  cpus       %u found, %u run", cpus.found, cpus_started());
    if (cpus.left_out != 0)
        console_print(", %u left out", cpus.left_out);
    if (cpus.reason != NULL)
        console_print(": %s", cpus.reason);
    console_print("\n");
}

static void print_identity(void) {
    const struct slipway_boot_info *info = boot_info();
    char size[UNITS_BYTES_MAX];
    console_heading("Slipway " SLIPWAY_VERSION " reference kernel");
    console_print("  loader     %.*s %.*s, ExitBootServices in %u attempt%s\n",
                  BOOT_TEXT(info->loader_name), BOOT_TEXT(info->loader_version),
                  info->exit_attempts, info->exit_attempts == 1 ? "" : "s");
    console_print("  kernel     %.*s, %s at 0x%lx, physical 0x%lx\n", BOOT_TEXT(info->kernel_path),
                  units_bytes(size, info->kernel_bytes), info->kernel_virt, info->kernel_phys);
    console_print("  options    %.*s\n", BOOT_TEXT(info->cmdline));
    console_print("  paging     %u levels, %u tables, %u physical address bits\n",
                  info->paging_levels, info->table_pages, space_kernel()->cpu.paddr_bits);
    print_cpus();
    console_print("  checks     audit: %lu violations; self-test: %u checks passed\n",
                  memory_facts()->audit_violations, results.selftest.checks);
    const struct selftest_stress_cpu *all = &results.selftest.stress.all;
    console_print("  stress     %lu operations on frames by %u CPU%s, interrupted %lu times\n",
                  all->operations, cpus_started(), cpus_started() == 1 ? "" : "s at once",
                  all->timer_interrupts + all->raised_interrupts);
}

void report_print_memory(void) {
    const struct memory_facts *facts = memory_facts();
    uint64_t regions[SLIPWAY_MEM_KINDS] = {0};
    for (uint64_t i = 0; i < facts->region_count; i++)
        regions[facts->regions[i].kind]++;
    console_heading("Memory                        regions          size           bytes");
    for (uint32_t kind = 1; kind < SLIPWAY_MEM_KINDS; kind++) {
        char size[UNITS_BYTES_MAX];
        if (regions[kind] != 0)
            console_print("  %-24s %10lu  %12s %15lu\n", memmap_kind_text(kind), regions[kind],
                          units_bytes(size, facts->report.bytes[kind]), facts->report.bytes[kind]);
    }
}

void report_print_direct_map(void) {
    static const char names[VMEM_PAGE_SIZES][8] = {"4 KiB", "2 MiB", "1 GiB"};
    console_heading("Direct map                      pages          size");
    for (unsigned page = VMEM_PAGE_SIZES; page-- != 0;) {
        char size[UNITS_BYTES_MAX];
        uint64_t bytes = direct_map.leaves[page] * vmem_page_bytes((enum vmem_page)page);
        console_print("  %-24s %10lu  %12s\n", names[page], direct_map.leaves[page],
                      units_bytes(size, bytes));
    }
    console_print("  [0x%lx, 0x%lx)\n", boot_info()->hhdm_base, boot_info()->hhdm_end);
}

static void print_frames_line(const char *name, uint64_t count) {
    char size[UNITS_BYTES_MAX];
    console_print("  %-24s %10lu  %12s\n", name, count, units_bytes(size, count * FRAME_BYTES));
}

static void print_frames_part(const char *name, uint64_t count, uint64_t whole, const char *what) {
    char size[UNITS_BYTES_MAX];
    char percent[UNITS_PERCENT_MAX];
    console_print("  %-24s %10lu  %12s  %6s of %s\n", name, count,
                  units_bytes(size, count * FRAME_BYTES), units_percent(percent, count, whole),
                  what);
}

static void print_zones(const struct frames_statistics *now) {
    static const char names[FRAMES_ZONES][24] = {
        [FRAMES_BELOW_1M] = "free below 1 MiB",
        [FRAMES_BELOW_16M] = "free 1 to 16 MiB",
        [FRAMES_BELOW_4G] = "free 16 MiB to 4 GiB",
        [FRAMES_ANY] = "free above 4 GiB",
    };
    for (unsigned zone = FRAMES_ZONES; zone-- != 0;) {
        const struct frames_zone_statistics *it = &now->zone[zone];
        if (it->total_frames != 0)
            print_frames_part(names[zone], it->free_frames, it->total_frames, "its zone");
    }
}

static void print_reclaimable(const struct frames_statistics *now) {
    for (uint32_t kind = 0; kind < SLIPWAY_MEM_KINDS; kind++) {
        if (now->reclaimable_frames[kind] == 0)
            continue;
        char name[32];
        struct fmt_buffer buffer = fmt_buffer_make(name, sizeof(name));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink, "not yet: %s", memmap_kind_text(kind));
        print_frames_line(name, now->reclaimable_frames[kind]);
    }
}

void report_print_frames(void) {
    struct frames_statistics now;
    memory_get_statistics(&now);
    console_heading("Frame allocator                frames          size    part");
    print_frames_line("total", now.total_frames);
    print_frames_part("used", now.used_frames, now.total_frames, "total");
    print_frames_part("used at most", now.peak_used_frames, now.total_frames, "total");
    print_frames_part("its own metadata", now.metadata_frames, now.total_frames, "total");
    print_frames_part("free", now.free_frames, now.total_frames, "total");
    print_zones(&now);
    print_frames_part("longest free run", now.largest_run_frames, now.free_frames, "free");
    print_frames_part("in 2 MiB blocks", now.free_2m * FRAMES_PER_2M, now.free_frames, "free");
    print_frames_part("in 1 GiB blocks", now.free_1g * FRAMES_PER_1G, now.free_frames, "free");
    print_reclaimable(&now);
    print_frames_line("reserved", now.reserved_frames);
    console_print("  %lu free 2 MiB blocks, %lu of 1 GiB; %lu refusals\n", now.free_2m, now.free_1g,
                  now.refusals);
}

static void print_stage(const char *name, uint64_t start, uint64_t end, uint64_t bytes) {
    const struct slipway_boot_info *info = boot_info();
    uint64_t since = units_microseconds(start - info->tsc_loader_entry, info->tsc_hz);
    uint64_t took = units_microseconds(end - start, info->tsc_hz);
    console_print("  %-16s %9lu %9lu", name, since, took);
    if (bytes != 0)
        console_print(" %12lu", bytes);
    if (bytes != 0 && took != 0) // bytes a microsecond are megabytes a second
        console_print(" %6lu.%lu", bytes / took, bytes % took * 10 / took);
    console_print("\n");
}

void report_print_timeline(void) {
    const struct slipway_boot_info *info = boot_info();
    if (info->tsc_hz == 0) {
        console_print("No timeline: the frequency of the TSC is not known.\n");
        return;
    }
    console_heading("Timeline            start us   took us        bytes     MB/s");
    for (uint64_t i = 0; i < info->stages.count; i++) {
        const struct slipway_stage *stage = boot_record(&info->stages, i);
        print_stage(stage->name, stage->tsc_start, stage->tsc_end, stage->bytes);
    }
    print_stage("hand-over", info->tsc_exit_done, boot_tsc_entry(), 0);
    unsigned count;
    const struct stage *stages = stages_get(&count);
    for (unsigned i = 0; i < count; i++)
        print_stage(stages[i].name, stages[i].tsc_start, stages[i].tsc_end, stages[i].bytes);
}

void report_print(void) {
    print_identity();
    report_print_memory();
    report_print_direct_map();
    report_print_frames();
    screen_next_pane();
    report_print_timeline();
    const struct memory_facts *facts = memory_facts();
    for (unsigned odd = 0; odd < MEMMAP_ODDITIES; odd++) {
        if (facts->report.odd[odd] != 0)
            console_print("Memory map oddity: %s (%lu)\n",
                          memmap_oddity_text((enum memmap_oddity)odd), facts->report.odd[odd]);
    }
}

static void block_memory(const struct sink *out) {
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
    fmt_print(out, "ram.bytes=%lu\n", direct_map.bytes);
    fmt_print(out, "usable.bytes=%lu\n", facts->report.bytes[SLIPWAY_MEM_USABLE]);
    fmt_print(out, "reclaimable.bytes=%lu\n", reclaimable_bytes(&facts->report));
}

static void block_paging(const struct sink *out) {
    const struct slipway_boot_info *info = boot_info();
    fmt_print(out, "cpu.paddr_bits=%u\n", space_kernel()->cpu.paddr_bits);
    fmt_print(out, "paging.levels=%u\n", info->paging_levels);
    fmt_print(out, "hhdm.base=0x%lx\n", info->hhdm_base);
    fmt_print(out, "hhdm.end=0x%lx\n", info->hhdm_end);
    fmt_print(out, "hhdm.leaves_1g=%lu\n", direct_map.leaves[VMEM_1G]);
    fmt_print(out, "hhdm.leaves_2m=%lu\n", direct_map.leaves[VMEM_2M]);
    fmt_print(out, "hhdm.leaves_4k=%lu\n", direct_map.leaves[VMEM_4K]);
    fmt_print(out, "tables.pages=%u\n", info->table_pages);
    fmt_print(out, "audit.violations=%lu\n", memory_facts()->audit_violations);
}

static void block_frames(const struct sink *out) {
    const struct frames_statistics *frames = &memory_facts()->frames;
    fmt_print(out, "frames.total=%lu\n", frames->total_frames);
    fmt_print(out, "frames.free=%lu\n", frames->free_frames);
    fmt_print(out, "frames.used=%lu\n", frames->used_frames);
    fmt_print(out, "frames.reserved=%lu\n", frames->reserved_frames);
    fmt_print(out, "frames.metadata_bytes=%lu\n", frames->metadata_bytes);
    fmt_print(out, "frames.metadata_frames=%lu\n", frames->metadata_frames);
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
    fmt_print(out, "frames.reclaimed=%lu\n", results.reclaimed_frames);
}

static void block_frames_now(const struct sink *out) {
    struct frames_statistics now;
    memory_get_statistics(&now);
    fmt_print(out, "frames.now.total=%lu\n", now.total_frames);
    fmt_print(out, "frames.now.free=%lu\n", now.free_frames);
    fmt_print(out, "frames.peak=%lu\n", now.peak_used_frames);
}

static void block_cpus(const struct sink *out) {
    struct cpus_facts cpus = cpus_facts();
    fmt_print(out, "cpus.found=%u\n", cpus.found);
    fmt_print(out, "cpus.started=%u\n", cpus_started());
    fmt_print(out, "cpus.left_out=%u\n", cpus.left_out);
    fmt_print(out, "cpus.reason=%s\n", cpus.reason != NULL ? cpus.reason : "none");
    fmt_print(out, "cpus.apic=%s\n", apic_name());
    fmt_print(out, "cpus.frames=%lu\n", cpus.frames);
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++)
        fmt_print(out, "cpu.%u.apic_id=%u\n", cpu, cpus_apic_id(cpu));
}

static void block_selftest(const struct sink *out) {
    const struct selftest_stress *stress = &results.selftest.stress;
    fmt_print(out, "selftest=ok\n");
    fmt_print(out, "selftest.checks=%u\n", results.selftest.checks);
    fmt_print(out, "stress.operations=%lu\n", stress->all.operations);
    fmt_print(out, "stress.timer_interrupts=%lu\n", stress->all.timer_interrupts);
    fmt_print(out, "stress.raised_interrupts=%lu\n", stress->all.raised_interrupts);
    fmt_print(out, "stress.handed_over=%lu\n", stress->handed_over);
    fmt_print(out, "stress.most_frames=%lu\n", stress->most_frames);
    fmt_print(out, "stress.exhausted_frames=%lu\n", results.selftest.exhausted_frames);
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
        const struct selftest_stress_cpu *it = &stress->cpu[cpu];
        fmt_print(out, "cpu.%u.operations=%lu\n", cpu, it->operations);
        fmt_print(out, "cpu.%u.timer_interrupts=%lu\n", cpu, it->timer_interrupts);
        fmt_print(out, "cpu.%u.raised_interrupts=%lu\n", cpu, it->raised_interrupts);
    }
}

static void block_machine(const struct sink *out) {
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
    fmt_print(out, "input=%s\n", results.input);
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

static void block_timeline(const struct sink *out) {
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
    block_machine(out);
    block_paging(out);
    block_memory(out);
    block_frames(out);
    block_frames_now(out);
    block_cpus(out);
    block_selftest(out);
    block_timeline(out);
    fmt_print(out, "BOOT-REPORT-END\n");
}
