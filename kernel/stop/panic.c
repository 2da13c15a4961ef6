// The way of a broken invariant to people, and to the end of the machine.
#include "kernel/base/panic.h"

#include "common/x86/cpu.h"
#include "kernel/console/console.h"
#include "kernel/console/screen.h"
#include "kernel/cpus/cpus.h"
#include "kernel/stop/backtrace.h"
#include "kernel/stop/crash.h"
#include "kernel/stop/others.h"
#include "kernel/stop/power.h"

#include <stdarg.h>
#include <stdint.h>

void panic(const char *format, ...) {
    cpu_interrupts_off();
    cpus_stop_others();
    va_list arguments;
    va_start(arguments, format);
    screen_start_for_failure();
    const struct sink *sink = crash_begin_report(console_sink());
    fmt_print(sink, "\n%sPANIC: ", power_bail_out());
    fmt_vprint(sink, format, arguments);
    fmt_print(sink, "\n");
    others_print_self(sink);
    va_end(arguments);
    backtrace_print_calls(sink, (uint64_t)(uintptr_t)__builtin_frame_address(0));
    others_print(sink);
    crash_end_report();
    power_stop_failed();
}
