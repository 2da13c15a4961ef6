// What the kernel does when the CPU says stop: one readable report, then the end. Owns trap_handle;
// the report's machine part is common/x86/trap.c.

#include "common/boot/slipway_boot.h"
#include "common/x86/cpu.h"
#include "common/x86/trap.h"
#include "kernel/base/layout.h"
#include "kernel/console/console.h"
#include "kernel/console/screen.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/cpus/machine_check.h"
#include "kernel/cpus/stacks.h"
#include "kernel/cpus/user.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/stop/backtrace.h"
#include "kernel/stop/crash.h"
#include "kernel/stop/others.h"
#include "kernel/stop/power.h"
#include "kernel/stop/probe.h"

#include <stddef.h>

enum { EXCEPTIONS = 32, VECTOR_NMI = 2, VECTOR_PAGE_FAULT = 14, VECTOR_MACHINE_CHECK = 18 };

static bool is_within(uint64_t address, const char *start, const char *end) {
    return address >= layout_address(start) && address < layout_address(end);
}

// Where an address lies, in words.
static const char *place_text(uint64_t address) {
    if (address < FRAME_BYTES)
        return "the first page: a null pointer";
    if (address >> 63 == 0)
        return "the lower half, which is for programs";
    if (is_within(address, _text_start, _text_end))
        return "the kernel's text";
    if (is_within(address, _rodata_start, _rodata_end))
        return "the kernel's read-only data";
    if (is_within(address, _data_start, _data_end))
        return "the kernel's data";
    if (address >= SLIPWAY_WINDOW_BASE && address < SLIPWAY_WINDOW_END)
        return "the loader's window";
    if (space_is_direct(address))
        return "the direct map";
    return "no place that the kernel uses";
}

static void report_place(const struct sink *sink, uint64_t address) {
    struct stack stack;
    const char *side;
    if (stacks_find_guard(address, &stack, &side))
        fmt_print(
            sink,
            "  stack %s: 0x%lx is in the guard page %s the\n    %s of CPU %u [0x%lx, 0x%lx)\n",
            address < stack.bottom ? "overflow" : "underflow", address, side, stack.name, stack.cpu,
            stack.bottom, stack.top);
    else if (stacks_find(address, &stack))
        fmt_print(sink, "  0x%lx lies in the %s of CPU %u\n", address, stack.name, stack.cpu);
    else
        fmt_print(sink, "  0x%lx lies in %s\n", address, place_text(address));
}

// The tables that this CPU has loaded: the kernel's, or those of a process.
static const struct vmem *space_now(struct vmem *space) {
    if (space_kernel() == NULL)
        return NULL;
    *space = *space_kernel();
    space->root = paddr(cpu_read_cr3() & CR3_ROOT);
    return space;
}

// How many faults are being reported, by the one CPU that reports. A second one is a fault of the
// report itself, which then must not be tried again.
static volatile unsigned reports;

[[gnu::noreturn]] static void report_and_stop(const struct trap_frame *frame) {
    cpus_stop_others();
    if (++reports > 1) {
        if (reports == 2)
            fmt_print(console_serial(),
                      "\nfault in the fault report: vector %lu, rip 0x%lx, cr2 0x%lx\n",
                      frame->vector, frame->rip, cpu_read_cr2());
        cpu_stop();
    }
    screen_start_for_failure();
    const struct sink *sink =
        crash_begin_report(screen_is_busy() ? console_serial() : console_sink());
    if (*power_bail_out() != '\0')
        fmt_print(sink, "\n%sfault on CPU %u\n", power_bail_out(), this_cpu());
    struct vmem space;
    trap_report(sink, frame, space_now(&space));
    others_print_self(sink);
    if (frame->vector == VECTOR_MACHINE_CHECK)
        machine_check_print_others(sink);
    if (frame->vector == VECTOR_PAGE_FAULT)
        report_place(sink, cpu_read_cr2());
    backtrace_print(sink, frame);
    others_print(sink);
    crash_end_report();
    power_stop_failed();
}

// An NMI of the self-test may come between STI and HLT. Behind it the interrupt for which HLT is to
// wait comes at once, and HLT would wait for another: so it is passed over.
static void pass_over_halt(struct trap_frame *frame) {
    enum { HLT = 0xf4 };
    bool is_kernel = (frame->cs & 3) == 0 && is_within(frame->rip, _text_start, _text_end);
    if (is_kernel && *(const uint8_t *)(uintptr_t)frame->rip == HLT)
        frame->rip++;
}

void trap_handle(struct trap_frame *frame) {
    if (frame->vector >= EXCEPTIONS) {
        interrupts_handle(frame->vector);
        return;
    }
    if (frame->vector == VECTOR_NMI) {
        others_note(frame);
        if (cpus_handle_nmi()) {
            pass_over_halt(frame);
            return;
        }
    }
    if (frame->vector == VECTOR_MACHINE_CHECK && machine_check_handle())
        return;
    if (probe_recover(frame) || user_copy_recover(frame))
        return;
    power_catch_firmware_fault(frame);
    report_and_stop(frame);
}
