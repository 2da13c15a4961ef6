#include "kernel/report/act.h"

#include "common/x86/cpu.h"
#include "kernel/base/boot.h"
#include "kernel/base/clock.h"
#include "kernel/base/cmdline.h"
#include "kernel/base/text.h"
#include "kernel/base/units.h"
#include "kernel/console/blocks.h"
#include "kernel/console/console.h"
#include "kernel/console/input.h"
#include "kernel/cpus/cpus.h"
#include "kernel/process/process.h"
#include "kernel/process/scheduler.h"
#include "kernel/programs/slipway_user.h"
#include "kernel/selftest/provoke.h"
#include "kernel/selftest/selftest.h"

#include <stddef.h>
#include <stdint.h>

enum {
    STRESS_SECONDS = 10,
    STRESS_SECONDS_MAX = 24 * 60 * 60,
    KEY_CANCEL = 'C' - '@', // of which `make run` hears before the kernel does
    KEY_QUIT = 'q',
    US_PER_SECOND = 1000000,
};

static void list(const char *what, const char *(*word)(unsigned index)) {
    const char *it;
    console_print("%s:", what);
    for (unsigned i = 0; (it = word(i)) != NULL; i++)
        console_print("%s%s", i % 5 == 0 ? "\n  " : "  ", it);
    console_print("\n");
}

// --- fault

const char *act_fault_word(unsigned index) {
    return cmdline_test_name(CMDLINE_TEST_NONE + 1 + index);
}

void act_fault(const char *argument) {
    const char *word;
    for (unsigned i = 0; (word = act_fault_word(i)) != NULL; i++) {
        if (text_is(argument, word))
            provoke_failure((enum cmdline_test)(CMDLINE_TEST_NONE + 1 + i));
    }
    list("fault takes one of", act_fault_word);
}

// --- selftest

const char *act_selftest_word(unsigned index) {
    return selftest_part_name(index);
}

// Around each part frames and objects are counted: nobody else may take any.
static bool are_processes(void) {
    struct process_facts facts;
    return process_next(0, &facts);
}

void act_selftest(const char *argument) {
    if (are_processes()) {
        console_print("there are processes: ps lists them, kill ends them\n");
        return;
    }
    unsigned checks = selftest_repeat(*argument != '\0' ? argument : NULL);
    if (checks != 0)
        console_print("%u checks passed\n", checks);
    else
        list("selftest takes nothing, or one of", act_selftest_word);
}

static void add(struct selftest_stress_cpu *sum, const struct selftest_stress_cpu *more) {
    sum->operations += more->operations;
    sum->timer_interrupts += more->timer_interrupts;
    sum->raised_interrupts += more->raised_interrupts;
}

static void print_stress(const struct selftest_stress *sum, unsigned rounds, uint64_t ticks) {
    console_heading("CPU      operations        timer       raised");
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++)
        console_print("%3u %15lu %12lu %12lu\n", cpu, sum->cpu[cpu].operations,
                      sum->cpu[cpu].timer_interrupts, sum->cpu[cpu].raised_interrupts);
    console_print("all %15lu %12lu %12lu\n", sum->all.operations, sum->all.timer_interrupts,
                  sum->all.raised_interrupts);
    uint64_t hz = boot_info()->tsc_hz;
    console_print("  %u rounds", rounds);
    if (hz != 0)
        console_print(" in %lu.%lu s", ticks / hz, ticks % hz * 10 / hz);
    console_print(", %lu runs handed over, no frame given twice, none lost\n", sum->handed_over);
}

static bool is_cancelled(void) {
    int byte;
    while ((byte = input_poll()) >= 0) {
        if (byte == KEY_CANCEL || byte == KEY_QUIT)
            return true;
    }
    return false;
}

// --- run, start, kill

// The name of a module is the last part of its path.
static const char *name_of(const struct slipway_module *module) {
    const char *path = (const char *)(uintptr_t)module->path.address;
    const char *name = path;
    for (; *path != '\0'; path++) {
        if (*path == '/' || *path == '\\')
            name = path + 1;
    }
    return name;
}

const char *act_run_word(unsigned index) {
    const struct slipway_array *modules = &boot_info()->modules;
    return index < modules->count ? name_of(boot_record(modules, index)) : NULL;
}

static const struct slipway_module *find_module(const char *name) {
    const struct slipway_array *modules = &boot_info()->modules;
    for (uint64_t i = 0; i < modules->count; i++) {
        const struct slipway_module *module = boot_record(modules, i);
        if (text_is(name, name_of(module)))
            return module;
    }
    return NULL;
}

// True if it has been started.
static bool start(const char *name, bool is_kept, uint32_t *ret_pid) {
    const struct slipway_module *module = find_module(name);
    if (module == NULL) {
        list("there is no such module; there are", act_run_word);
        return false;
    }
    const uint8_t *file = (const uint8_t *)(uintptr_t)module->address;
    const char *refusal = process_start(name, file, module->bytes, is_kept, ret_pid);
    if (refusal != NULL)
        console_print("%s: %s\n", name, refusal);
    return refusal == NULL;
}

static void print_end(const char *name, uint32_t pid, int status) {
    console_print("%s (%u) ", name, pid);
    if (status == SLIPWAY_KILLED)
        console_print("was ended\n");
    else if (status == SLIPWAY_NO_MEMORY)
        console_print("ended: no memory was left\n");
    else if (status >= SLIPWAY_FAULTED(0))
        console_print("ended: %s\n", trap_name((uint64_t)(status - SLIPWAY_FAULTED(0))));
    else
        console_print("ended with status %d\n", status);
}

void act_run(const char *argument) {
    uint32_t pid;
    int status;
    if (!start(argument, true, &pid))
        return;
    while (!process_take(pid, &status)) {
        if (is_cancelled())
            (void)process_kill(pid, NULL); // and it may have ended at once
        else
            cpus_idle(true);
    }
    print_end(argument, pid, status);
}

void act_start(const char *argument) {
    uint32_t pid;
    if (start(argument, false, &pid))
        console_print("%s (%u) runs\n", argument, pid);
}

void act_kill(const char *argument) {
    uint64_t pid;
    if (!text_parse_decimal(argument, &pid) || pid == 0 || pid > UINT32_MAX)
        console_print("kill takes the pid of a process: ps lists them\n");
    else if (!process_kill((uint32_t)pid, NULL))
        console_print("there is no process %lu\n", pid);
}

// --- stress

void act_stress(const char *argument) {
    uint64_t seconds = STRESS_SECONDS;
    if (*argument != '\0' &&
        (!text_parse_decimal(argument, &seconds) || seconds == 0 || seconds > STRESS_SECONDS_MAX)) {
        console_print("stress takes a number of seconds from 1 to %u\n", STRESS_SECONDS_MAX);
        return;
    }
    static struct selftest_stress sum; // too large for the stack
    sum = (struct selftest_stress){0};
    console_print("%lu s; the key q ends it\n", seconds);
    blocks_begin();
    selftest_stress_watch(blocks_update);
    uint64_t start = cpu_rdtsc();
    uint64_t end = clock_after(seconds * US_PER_SECOND);
    unsigned rounds = 0;
    scheduler_pause(); // the allocator is looked at while nobody else uses it
    do {
        struct selftest_stress round = selftest_stress();
        for (unsigned cpu = 0; cpu < cpus_started(); cpu++)
            add(&sum.cpu[cpu], &round.cpu[cpu]);
        add(&sum.all, &round.all);
        sum.handed_over += round.handed_over;
        rounds++;
    } while (!clock_reached(end) && !is_cancelled());
    scheduler_resume();
    selftest_stress_watch(NULL);
    blocks_end();
    print_stress(&sum, rounds, cpu_rdtsc() - start);
}
