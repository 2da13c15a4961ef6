#include "kernel/process/scheduler.h"

#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/memory/shootdown.h"
#include "kernel/process/run.h"

#include <stddef.h>

enum { SLICE_US = 10000 };

static struct { struct process *first, *last; } ready;
static struct process *sleepers; // who wakes first is first
static uint64_t asleep;          // bit n: CPU n sleeps, or is about to
static unsigned running;         // processes
static bool is_paused;

// Of each CPU, which alone uses it.
static struct {
    struct process *loaded; // whose space; null: the kernel's
    bool is_late;           // the process has got the CPU in the middle of a slice
} cpus[CPUS_MAX];

// ---- The queues

// Whoever sleeps has set the bit before it looked at the queue for the last time, and the interrupt
// waits until it is halted. The last CPU first: the first one has the prompt.
static void wake_cpu(void) {
    if (asleep == 0 || ready.first == NULL)
        return;
    unsigned cpu = 63 - (unsigned)__builtin_clzll(asleep);
    asleep &= ~(UINT64_C(1) << cpu);
    apic_send(cpus_apic_id(cpu), INTERRUPTS_WAKE_VECTOR);
}

static void append(struct process *process) {
    process->state = PROCESS_READY;
    process->next_queued = NULL;
    if (ready.first == NULL)
        ready.first = process;
    else
        ready.last->next_queued = process;
    ready.last = process;
}

void scheduler_add(struct process *process) {
    append(process);
    wake_cpu();
}

static void add_sleeper(struct process *process) {
    struct process **at = &sleepers;
    while (*at != NULL && (int64_t)((*at)->wakes_at - process->wakes_at) <= 0)
        at = &(*at)->next_queued;
    process->state = PROCESS_SLEEPING;
    process->next_queued = *at;
    *at = process;
}

static void unlink_from(struct process **at, const struct process *process) {
    while (*at != process)
        at = &(*at)->next_queued;
    *at = process->next_queued;
}

void scheduler_remove(struct process *process) {
    if (process->state == PROCESS_SLEEPING)
        unlink_from(&sleepers, process);
    if (process->state != PROCESS_READY)
        return;
    unlink_from(&ready.first, process);
    ready.last = ready.first;
    while (ready.last != NULL && ready.last->next_queued != NULL)
        ready.last = ready.last->next_queued;
}

static void wake_sleepers(void) {
    while (sleepers != NULL && clock_reached(sleepers->wakes_at)) {
        struct process *process = sleepers;
        sleepers = process->next_queued;
        append(process);
    }
}

// The next that this CPU runs, or null. With the lock.
static struct process *take(void) {
    wake_sleepers();
    struct process *process = ready.first;
    if (process == NULL || is_paused)
        return NULL;
    ready.first = process->next_queued;
    running++;
    process->state = PROCESS_RUNNING;
    process->cpu = this_cpu();
    wake_cpu();
    return process;
}

// ---- Turns

// Whoever ends a process waits until no CPU has its space, so that a CPU may keep it until it has
// the next.
static void load(struct process *process) {
    unsigned cpu = this_cpu();
    struct process *before = cpus[cpu].loaded;
    if (before == process)
        return;
    if (process != NULL) {
        __atomic_fetch_add(&process->users, 1, __ATOMIC_RELAXED);
        user_clear_segments();
    }
    user_space_load(process == NULL ? NULL : process->space);
    cpus[cpu].loaded = process;
    if (before != NULL)
        __atomic_fetch_sub(&before->users, 1, __ATOMIC_RELEASE);
}

static void start_slice(void) {
    cpus[this_cpu()].is_late = false;
    if (apic_is_on())
        apic_timer_once(INTERRUPTS_SLICE_VECTOR, SLICE_US);
}

// True if the process goes on although a slice is over: it got the CPU from another in the middle.
// So nobody has less than a whole one, and the timer need not be set for each.
static bool has_another_slice(void) {
    if (!cpus[this_cpu()].is_late)
        return false;
    start_slice();
    return true;
}

static struct process *end_turn(struct process *process, enum run_end end) {
    struct process *child = NULL;
    process_lock();
    running--;
    bool is_killed = process->is_killed; // it ends as soon as it runs
    if (end == RUN_SLEEPS && !is_killed)
        add_sleeper(process);
    else if (end == RUN_WAITS && !is_killed && !process_wait(process, &child))
        process->state = PROCESS_WAITING;
    else
        append(process);
    bool is_over = end == RUN_SLICE || end == RUN_STOPS;
    struct process *next = is_over ? NULL : take();
    if (is_over)
        wake_cpu();
    process_unlock();
    process_free(child);
    return next;
}

static struct process *take_next(void) {
    process_lock();
    struct process *process = take();
    process_unlock();
    return process;
}

// One turn. Who comes next before there is other work to look for: null, the kernel.
static struct process *run_turn(struct process *process) {
    uint64_t start = cpu_rdtsc();
    load(process);
    cpus_set_program(&process->program);
    enum run_end end;
    do {
        end = run_process(process);
    } while (end == RUN_SLICE && has_another_slice());
    cpus_set_program(NULL);
    process->ticks += cpu_rdtsc() - start;
    if (end == RUN_ENDS) {
        load(NULL);
        process_end(process);
        process_lock();
        running--;
        process_unlock();
        return NULL;
    }
    struct process *next = end_turn(process, end);
    if (next != process)
        cpus[this_cpu()].is_late = true;
    return next;
}

static void sleep(void) {
    uint64_t self = UINT64_C(1) << this_cpu();
    process_lock();
    wake_sleepers();
    bool has_work = ready.first != NULL && !is_paused;
    uint64_t wakes_at = sleepers == NULL ? 0 : sleepers->wakes_at;
    bool may_sleep = !has_work && (wakes_at == 0 || apic_is_on());
    if (may_sleep)
        asleep |= self;
    process_unlock();
    if (!may_sleep)
        return;
    if (wakes_at != 0)
        apic_timer_once(INTERRUPTS_SLICE_VECTOR, clock_until(wakes_at));
    cpus_sleep();
    process_lock();
    asleep &= ~self;
    process_unlock();
}

void scheduler_idle(bool may_sleep) {
    struct process *process = take_next();
    if (process == NULL) {
        if (may_sleep)
            sleep();
        return;
    }
    start_slice();
    while (process != NULL)
        process = run_turn(process);
    load(NULL);
    if (apic_is_on())
        apic_timer_stop();
}

static unsigned count_running(void) {
    process_lock();
    unsigned count = running;
    process_unlock();
    return count;
}

// Whoever has taken a process before this has the lock gets the interrupt after that: then it
// leaves user mode, or enters it in vain.
void scheduler_pause(void) {
    process_lock();
    is_paused = true;
    process_unlock();
    for (unsigned cpu = 1; cpu < cpus_started(); cpu++)
        apic_send(cpus_apic_id(cpu), INTERRUPTS_WAKE_VECTOR);
    while (count_running() != 0) {
        shootdown_serve();
        cpu_pause();
    }
}

void scheduler_resume(void) {
    process_lock();
    is_paused = false;
    wake_cpu();
    process_unlock();
}

void scheduler_start(void) {
    cpus_set_idle(scheduler_idle);
}
