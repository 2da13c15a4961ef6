// The reference kernel's story, from the loader's jump to the prompt.

#include "common/x86/cpu.h"
#include "common/x86/uart.h"
#include "kernel/base/boot.h"
#include "kernel/base/cmdline.h"
#include "kernel/base/panic.h"
#include "kernel/console/console.h"
#include "kernel/console/input.h"
#include "kernel/console/screen.h"
#include "kernel/cpus/descriptors.h"
#include "kernel/cpus/stacks.h"
#include "kernel/cpus/start.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/process/scheduler.h"
#include "kernel/report/monitor.h"
#include "kernel/report/report.h"
#include "kernel/selftest/provoke.h"
#include "kernel/selftest/selftest.h"
#include "kernel/stop/power.h"

#include <stddef.h>

[[gnu::noreturn]] void kernel_main(const struct slipway_boot_info *info, uint64_t tsc_entry);

static struct cmdline parse_cmdline(const struct slipway_boot_info *info) {
    const char *text = (const char *)(uintptr_t)info->cmdline.address;
    struct cmdline options = cmdline_parse(text, info->cmdline.bytes);
    power_set_exit(options.exit, options.failure);
    if (options.unknown != NULL) {
        char refusal[CMDLINE_REFUSAL_MAX];
        struct fmt_buffer buffer = fmt_buffer_make(refusal, sizeof(refusal));
        struct sink sink = fmt_buffer_sink(&buffer);
        cmdline_explain_unknown(&options, &sink);
        panic("command line: %s", refusal);
    }
    return options;
}

static void adopt_page_tables(const struct slipway_boot_info *info) {
    enum space_status status = space_adopt(info);
    if (status != SPACE_OK)
        panic("page tables at 0x%lx: %s", info->root_phys, space_status_text(status));
}

static struct selftest_results run_selftest(const struct cmdline *options) {
    if (options->selftest)
        power_end_test(selftest_run_all(options->tlb_seconds, options->test));
    return selftest_run(options->tlb_seconds);
}

static const char *start_input(void) {
    if (!uart_present())
        return "none";
    return input_start() ? "interrupt" : "polled";
}

[[gnu::noreturn]] static void finish(enum cmdline_exit exit) {
    if (exit == CMDLINE_EXIT_POWEROFF)
        power_off();
    if (exit == CMDLINE_EXIT_DEBUG)
        power_debug_exit();
    if (uart_present())
        monitor_run();
    console_print("There is no COM1 to answer at. Stopped.\n");
    cpu_stop();
}

void kernel_main(const struct slipway_boot_info *info, uint64_t tsc_entry) {
    struct report_results results = {0};

    console_start();                                           // the kernel can speak
    descriptors_load(0);                                       // faults get a report of its own
    boot_accept(info, tsc_entry);                              // boot_info is what it should be
    stacks_set(0, info->stack_bottom, info->stack_top);        // backtraces may follow it
    struct cmdline options = parse_cmdline(info);              // how this boot is to end
    adopt_page_tables(info);                                   // the loader's tables are its own
    memory_start(cpus_count(), console_sink());                // regions, audit, allocator
    heap_start();                                              // objects over frames
    stacks_guard_ists();                                       // guards for interrupt stacks
    screen_start();                                            // a picture of memory, and text
    cpus_start(console_serial());                              // the others sleep until needed
    scheduler_start();                                         // idle CPUs run processes
    results.selftest = run_selftest(&options);                 // what only running code can show
    results.reclaimed_frames = memory_reclaim_boot_services(); // firmware has left
    results.input = start_input();                             // COM1 by interrupt
    report_prepare(&results);                                  // measure the direct map
    report_print();                                            // for people
    report_print_block();                                      // for programs
    provoke_failure(options.test);                             // only if asked for
    finish(options.exit);                                      // prompt, power off, debug exit
}
