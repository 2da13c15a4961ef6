// The report for people: tables on the console.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/crash/crash.h"
#include "kernel/base/boot.h"
#include "kernel/base/stages.h"
#include "kernel/base/units.h"
#include "kernel/console/console.h"
#include "kernel/console/screen.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/start.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/report/found.h"
#include "kernel/report/report.h"

#include <stdint.h>

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
    if (info->crash_report.bytes != 0) {
        console_print("  crash      the last kernel failed ");
        crash_print_time(console_sink(), info->crash_time);
        console_print("; \"crash\" shows how\n");
    }
    console_print("  paging     %u levels, %u tables, %u physical address bits\n",
                  info->paging_levels, info->table_pages, space_kernel()->cpu.paddr_bits);
    print_cpus();
    console_print("  checks     audit: %lu violations; self-test: %u checks passed\n",
                  memory_facts()->audit_violations, report_found.results.selftest.checks);
    const struct selftest_stress_cpu *all = &report_found.results.selftest.stress.all;
    console_print("  stress     %lu operations on frames by %u CPU%s, interrupted %lu times\n",
                  all->operations, cpus_started(), cpus_started() == 1 ? "" : "s",
                  all->timer_interrupts + all->raised_interrupts);
    const struct selftest_shoot *tlb = &report_found.results.selftest.shoot;
    console_print("  TLBs       %lu uses of pages, %lu changes, %lu shoot-downs: none stale\n",
                  tlb->accesses, tlb->changes, tlb->records);
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
        uint64_t bytes =
            report_found.direct_map.leaves[page] * vmem_page_bytes((enum vmem_page)page);
        console_print("  %-24s %10lu  %12s\n", names[page], report_found.direct_map.leaves[page],
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
    for (unsigned zone = FRAMES_ZONES; zone-- != 0;) {
        const struct frames_zone_statistics *it = &now->zone[zone];
        char name[32];
        struct fmt_buffer buffer = fmt_buffer_make(name, sizeof(name));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink, "free %s", frames_zones[zone].name);
        if (it->total_frames != 0)
            print_frames_part(name, it->free_frames, it->total_frames, "its zone");
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
    uint64_t loader_end = info->tsc_exit_done; // or the end of a stage after the exit
    for (uint64_t i = 0; i < info->stages.count; i++) {
        const struct slipway_stage *stage = boot_record(&info->stages, i);
        print_stage(stage->name, stage->tsc_start, stage->tsc_end, stage->bytes);
        loader_end = max_u64(loader_end, stage->tsc_end);
    }
    print_stage("hand-over", loader_end, boot_tsc_entry(), 0);
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
