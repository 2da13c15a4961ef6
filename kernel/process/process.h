// Processes: who they are, whose children, and how each begins and ends. Owns the list of them and
// its lock; scheduler.h says which of them runs.
//
// A process is a context, a space and a place among its relatives. Its parent learns how it ended.
// One whose parent has ended belongs to nobody, and is forgotten as soon as it ends itself. One
// that the kernel has started stays until process_take has asked for its end.
//
// All with interrupts off, on every CPU.
#pragma once

#include "kernel/cpus/cpus.h"
#include "kernel/cpus/user.h"
#include "kernel/process/user_space.h"

#include <stdbool.h>
#include <stdint.h>

enum { PROCESS_NAME_BYTES = 16, PROCESSES_MAX = 1024 };

enum process_state {
    PROCESS_READY,
    PROCESS_RUNNING,
    PROCESS_SLEEPING, // until a time
    PROCESS_WAITING,  // for a child
    PROCESS_ENDING,   // nobody but the CPU that ends it touches it
    PROCESS_ENDED,    // all but its status is gone
};

struct process {
    struct user_context context; // the CPU's that runs it; else complete, and the lock's
    struct user_space *space;
    struct cpus_program program; // its pid and name, for people
    struct process *parent;      // null: the kernel, or nobody
    struct process *next;        // of all
    struct process *next_queued; // in the queue of the ready, or of sleepers
    enum process_state state;
    bool is_kept;       // the kernel will ask for its end
    bool is_killed;     // it ends when it next leaves user mode
    unsigned cpu;       // on which it runs, or ran last
    uint32_t users;     // CPUs that have its space loaded
    uint32_t waits_for; // the pid of a child; 0: any
    uint64_t wakes_at;  // TSC
    uint64_t ticks;     // of the TSC, in which it ran
    int status;         // how it ended
};

// Starts a program as a child of the kernel, and lets it run. Null if that was done; else why not,
// in words, and nothing is left of it.
const char *process_start(const char *name, const uint8_t *file, uint64_t bytes, bool is_kept,
                          uint32_t *ret_pid);

// Makes a copy of the process that calls, and lets it run. Returns its pid, or an error of
// slipway_user.h.
int64_t process_fork(struct process *parent);

// Ends a process that this CPU has run, whose `status` says how, or that nobody runs and that is in
// no queue: frees what it has, and tells who waits for it. This CPU must have left its space.
void process_end(struct process *process);

// Ends a process: at once, or soon if it runs. `by`: only a child of this one, or itself; null:
// any. False if there is none.
bool process_kill(uint32_t pid, const struct process *by);

// The pid of the parent; 0: there is none.
uint32_t process_parent(const struct process *process);

// What came of a wait of `parent`, in its registers: a child has ended, or it has none. False if it
// has to wait. With the lock; *ret_child is to be freed by process_free without it.
bool process_wait(struct process *parent, struct process **ret_child);
void process_free(struct process *process);

// True if the kernel's own child of that pid has ended, how it did; it is forgotten then.
bool process_take(uint32_t pid, int *ret_status);

// --- For people

struct process_facts {
    uint32_t pid, parent; // 0: the kernel, or nobody
    char name[PROCESS_NAME_BYTES];
    enum process_state state;
    unsigned cpu;
    uint64_t ticks;
    uint64_t space; // its number (survey.h); 0: it has none any more
};

const char *process_state_text(enum process_state state);

// The process with the lowest pid above `pid`. False if there is none.
bool process_next(uint32_t pid, struct process_facts *ret_facts);

// --- The lock: of the list, of each state, and of the scheduler's queues. Nothing that is done
// with it takes long, or waits for another CPU.

void process_lock(void);
void process_unlock(void);
