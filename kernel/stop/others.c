#include "kernel/stop/others.h"

#include "kernel/cpus/cpus.h"
#include "kernel/stop/backtrace.h"

#include <stdint.h>

enum { LINES_MAX = 8 };

static uint64_t stopped_at[CPUS_MAX]; // 0: by no NMI

void others_note(const struct trap_frame *frame) {
    stopped_at[this_cpu()] = frame->rip;
}

void others_print_self(const struct sink *sink) {
    unsigned self = this_cpu();
    fmt_print(sink, "  on CPU %u (APIC ID %u) of %u", self, cpus_apic_id(self), cpus_started());
    const struct cpus_program *program = cpus_program(self);
    if (program != NULL)
        fmt_print(sink, ", for process %u (%s)", program->pid, program->name);
    fmt_print(sink, "\n");
}

static void print_one(const struct sink *sink, unsigned cpu) {
    const struct cpus_program *program = cpus_program(cpu);
    fmt_print(sink, "    CPU %u", cpu);
    if (program != NULL)
        fmt_print(sink, ", process %u (%s):", program->pid, program->name);
    fmt_print(sink, " ");
    if (stopped_at[cpu] != 0)
        backtrace_print_address(sink, stopped_at[cpu]);
    else
        fmt_print(sink, "has failed, too, or does not stop\n");
}

void others_print(const struct sink *sink) {
    unsigned lines = 0;
    if (cpus_started() > 1)
        fmt_print(sink, "  meanwhile:\n");
    for (unsigned cpu = 0; cpu < cpus_started() && lines < LINES_MAX; cpu++) {
        if (cpu == this_cpu())
            continue;
        print_one(sink, cpu);
        lines++;
    }
    if (cpus_started() > LINES_MAX + 1)
        fmt_print(sink, "    ... and %u more\n", cpus_started() - 1 - LINES_MAX);
}
