#include "kernel/stop/crash.h"

#include "common/crash/crash.h"
#include "common/x86/cpu.h"
#include "kernel/base/boot.h"
#include "kernel/console/console.h"

#include <stddef.h>

static struct crash_writer writer;
static const struct sink *shown_too;

static void write_both(void *context, const char *text, size_t bytes) {
    (void)context;
    crash_append(&writer, text, bytes); // first: what shows it may fail
    shown_too->write(shown_too->context, text, bytes);
}

static const struct sink both = {.write = write_both};

// By the firmware's clock at the start, and the TSC since then.
static int64_t time_now(const struct slipway_boot_info *info) {
    if (info->boot_time == 0 || info->tsc_hz == 0)
        return info->boot_time;
    return info->boot_time + (int64_t)((cpu_rdtsc() - info->tsc_loader_entry) / info->tsc_hz);
}

const struct sink *crash_begin_report(const struct sink *shown) {
    const struct slipway_boot_info *info = boot_info();
    if (info == NULL || info->crash_room == 0)
        return shown;
    shown_too = shown;
    if (writer.room == NULL) {
        void *room = (void *)(uintptr_t)info->crash_room;
        writer = crash_begin(room, info->crash_room_bytes - 1, time_now(info)); // and a NUL
    }
    return &both;
}

void crash_end_report(void) {
    if (writer.room != NULL)
        cpu_write_back_caches();
}

void crash_show(void) {
    const struct slipway_boot_info *info = boot_info();
    if (info->crash_report.bytes == 0) {
        console_print("No kernel has left a report.\n");
        return;
    }
    console_print("The last kernel failed ");
    crash_print_time(console_sink(), info->crash_time);
    console_print(":\n%.*s\n", BOOT_TEXT(info->crash_report));
}
