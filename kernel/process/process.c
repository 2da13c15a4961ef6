#include "kernel/process/process.h"

#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "kernel/base/panic.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/shootdown.h"
#include "kernel/process/program.h"
#include "kernel/process/scheduler.h"
#include "kernel/process/user_memory.h"
#include "kernel/programs/slipway_user.h"

#include <stddef.h>

#define STACK_BYTES UINT64_C(0x40000)
#define STACK_TOP   (PROGRAM_MAX + UINT64_C(0x1000000))
#define STACK_GUARD (STACK_TOP - STACK_BYTES - PROGRAM_PAGE_BYTES)

static struct process *all;
static unsigned count;
static uint32_t last_pid;
static bool is_locked;

// Whoever has the lock may wait for nobody, but who wants it may be waited for.
void process_lock(void) {
    while (__atomic_exchange_n(&is_locked, true, __ATOMIC_ACQUIRE)) {
        while (__atomic_load_n(&is_locked, __ATOMIC_RELAXED)) {
            shootdown_serve();
            cpu_pause();
        }
    }
}

void process_unlock(void) {
    __atomic_store_n(&is_locked, false, __ATOMIC_RELEASE);
}

const char *process_state_text(enum process_state state) {
    static const char *const texts[] = {
        [PROCESS_READY] = "ready",   [PROCESS_RUNNING] = "runs", [PROCESS_SLEEPING] = "sleeps",
        [PROCESS_WAITING] = "waits", [PROCESS_ENDING] = "ends",  [PROCESS_ENDED] = "ended",
    };
    return texts[state];
}

// ---- The list

static struct process *find(uint32_t pid) {
    struct process *process = all;
    while (process != NULL && process->program.pid != pid)
        process = process->next;
    return process;
}

static uint32_t new_pid(void) {
    do {
        last_pid++;
    } while (last_pid == 0 || find(last_pid) != NULL);
    return last_pid;
}

// Makes a process with a pid known. False if there are too many.
static bool add(struct process *process) {
    process_lock();
    bool has_room = count < PROCESSES_MAX;
    if (has_room) {
        count++;
        process->program.pid = new_pid();
        process->next = all;
        all = process;
    }
    process_unlock();
    return has_room;
}

// With the lock.
static void forget(const struct process *process) {
    struct process **at = &all;
    while (*at != process)
        at = &(*at)->next;
    *at = process->next;
    count--;
}

void process_free(struct process *process) {
    heap_free(process);
}

// A parent may end, on another CPU, at any moment.
uint32_t process_parent(const struct process *process) {
    process_lock();
    uint32_t pid = process->parent == NULL ? 0 : process->parent->program.pid;
    process_unlock();
    return pid;
}

// ---- Begin

static void set_name(struct process *process, const char *name) {
    size_t bytes = strlen(name);
    if (bytes >= PROCESS_NAME_BYTES)
        bytes = PROCESS_NAME_BYTES - 1;
    memcpy(process->program.name, name, bytes);
}

static unsigned rights_of(const struct program_segment *segment) {
    return VMEM_READ | (segment->rights & PROGRAM_WRITE ? VMEM_WRITE : 0u) |
           (segment->rights & PROGRAM_EXECUTE ? VMEM_EXECUTE : 0u);
}

// Written first, with the rights for that, then made what it is to be.
static bool fill_segment(struct user_space *space, const uint8_t *file,
                         const struct program_segment *segment) {
    vaddr_t start = vaddr(segment->start);
    unsigned rights = rights_of(segment);
    if (user_space_map(space, start, segment->bytes, VMEM_READ | VMEM_WRITE, USER_AREA_ANONYMOUS) !=
            USER_SPACE_OK ||
        !user_memory_write(space, segment->address, file + segment->offset, segment->file_bytes))
        return false;
    return rights == (VMEM_READ | VMEM_WRITE) ||
           user_space_protect(space, start, segment->bytes, rights) == USER_SPACE_OK;
}

static bool fill_space(struct user_space *space, const uint8_t *file,
                       const struct program *program) {
    bool is_done = user_space_map(space, vaddr(STACK_GUARD), PROGRAM_PAGE_BYTES, 0,
                                  USER_AREA_GUARD) == USER_SPACE_OK &&
                   user_space_map(space, vaddr(STACK_TOP - STACK_BYTES), STACK_BYTES,
                                  VMEM_READ | VMEM_WRITE, USER_AREA_ANONYMOUS) == USER_SPACE_OK;
    user_space_load(space);
    for (unsigned i = 0; is_done && i < program->segment_count; i++)
        is_done = fill_segment(space, file, &program->segment[i]);
    user_space_load(NULL);
    return is_done;
}

// A process that is not known yet, with a space. Null: no memory.
static struct process *make(const char *name, const uint8_t *file, const struct program *program) {
    struct process *process = heap_alloc_zeroed(sizeof(*process));
    if (process == NULL || user_space_create(&process->space) != USER_SPACE_OK) {
        heap_free(process);
        return NULL;
    }
    if (!fill_space(process->space, file, program)) {
        user_space_destroy(process->space);
        heap_free(process);
        return NULL;
    }
    set_name(process, name);
    user_context_start(&process->context, program->entry, STACK_TOP);
    return process;
}

// The last step: from now on it may run, and end, at any moment.
static uint32_t release(struct process *process) {
    process_lock();
    uint32_t pid = process->program.pid;
    scheduler_add(process);
    process_unlock();
    return pid;
}

const char *process_start(const char *name, const uint8_t *file, uint64_t bytes, bool is_kept,
                          uint32_t *ret_pid) {
    struct program program;
    enum program_status status = program_read(file, bytes, &program);
    if (status != PROGRAM_OK)
        return program_status_text(status);
    struct process *process = make(name, file, &program);
    if (process == NULL)
        return "there is no memory for it";
    process->is_kept = is_kept;
    process->state = PROCESS_ENDING; // not to be touched yet
    if (!add(process)) {
        user_space_destroy(process->space);
        heap_free(process);
        return "there are too many processes";
    }
    *ret_pid = release(process);
    return NULL;
}

int64_t process_fork(struct process *parent) {
    struct process *child = heap_alloc_zeroed(sizeof(*child));
    if (child == NULL || user_space_clone(parent->space, &child->space) != USER_SPACE_OK) {
        heap_free(child);
        return SLIPWAY_ERR_NO_MEMORY;
    }
    child->context = parent->context;
    child->context.registers.rax = 0;
    child->parent = parent;
    child->state = PROCESS_ENDING; // not to be touched yet
    set_name(child, parent->program.name);
    if (!add(child)) {
        user_space_destroy(child->space);
        heap_free(child);
        return SLIPWAY_ERR_MANY;
    }
    return release(child);
}

// ---- End

// What `wait` answers.
static void deliver(struct process *parent, const struct process *child) {
    parent->context.registers.rax = child->program.pid;
    parent->context.registers.rdx = (uint64_t)child->status;
}

static bool is_waited_for(const struct process *parent, const struct process *child) {
    return parent->waits_for == 0 || parent->waits_for == child->program.pid;
}

bool process_wait(struct process *parent, struct process **ret_child) {
    bool has_child = false;
    for (struct process *child = all; child != NULL; child = child->next) {
        if (child->parent != parent || !is_waited_for(parent, child))
            continue;
        has_child = true;
        if (child->state == PROCESS_ENDED) {
            deliver(parent, child);
            forget(child);
            *ret_child = child;
            return true;
        }
    }
    if (!has_child)
        parent->context.registers.rax = (uint64_t)SLIPWAY_ERR_PROCESS;
    return !has_child;
}

// Its children belong to nobody now: those that have ended are forgotten, and come into the list
// that is returned.
static struct process *orphan_children(const struct process *parent) {
    struct process *freed = NULL;
    for (struct process *child = all, *next; child != NULL; child = next) {
        next = child->next;
        if (child->parent != parent)
            continue;
        child->parent = NULL;
        if (child->state == PROCESS_ENDED) {
            forget(child);
            child->next_queued = freed;
            freed = child;
        }
    }
    return freed;
}

static void wait_for_users(const struct process *process) {
    while (__atomic_load_n(&process->users, __ATOMIC_ACQUIRE) != 0) {
        shootdown_serve();
        cpu_pause();
    }
}

void process_end(struct process *process) {
    process_lock();
    process->state = PROCESS_ENDING;
    process_unlock();
    wait_for_users(process);
    struct user_space *space = process->space;
    process_lock();
    process->space = NULL;
    process_unlock();
    user_space_destroy(space);

    process_lock();
    struct process *freed = orphan_children(process);
    struct process *parent = process->parent;
    bool is_awaited =
        parent != NULL && parent->state == PROCESS_WAITING && is_waited_for(parent, process);
    process->state = PROCESS_ENDED;
    if (is_awaited) {
        deliver(parent, process);
        scheduler_add(parent);
    }
    if (is_awaited || (parent == NULL && !process->is_kept)) {
        forget(process);
        process->next_queued = freed;
        freed = process;
    }
    bool is_kept = process->is_kept; // it may be taken as soon as the lock is free
    process_unlock();
    if (is_kept && this_cpu() != 0)
        apic_send(cpus_apic_id(0), INTERRUPTS_WAKE_VECTOR); // who waits may sleep
    while (freed != NULL) {
        struct process *next = freed->next_queued;
        process_free(freed);
        freed = next;
    }
}

// A CPU that runs it sees the mark when the interrupt has made it leave user mode, or when the
// process leaves that anyway.
bool process_kill(uint32_t pid, const struct process *by) {
    process_lock();
    struct process *process = find(pid);
    bool may = process != NULL && (by == NULL || process == by || process->parent == by);
    bool is_idle = false;
    if (may && process->state == PROCESS_RUNNING) {
        __atomic_store_n(&process->is_killed, true, __ATOMIC_RELAXED);
        if (process->cpu != this_cpu())
            apic_send(cpus_apic_id(process->cpu), INTERRUPTS_WAKE_VECTOR);
    } else if (may && process->state == PROCESS_ENDING) {
        process->is_killed = true; // it has not begun yet, or ends anyway
    } else if (may && process->state != PROCESS_ENDED) {
        is_idle = true;
        scheduler_remove(process);
        process->state = PROCESS_ENDING;
        process->status = SLIPWAY_KILLED;
    }
    process_unlock();
    if (is_idle)
        process_end(process);
    return may;
}

bool process_take(uint32_t pid, int *ret_status) {
    process_lock();
    struct process *process = find(pid);
    bool has_ended = process != NULL && process->is_kept && process->state == PROCESS_ENDED;
    if (has_ended) {
        *ret_status = process->status;
        forget(process);
    }
    process_unlock();
    if (has_ended)
        process_free(process);
    return has_ended;
}

bool process_next(uint32_t pid, struct process_facts *ret_facts) {
    process_lock();
    const struct process *next = NULL;
    for (const struct process *process = all; process != NULL; process = process->next) {
        if (process->program.pid > pid &&
            (next == NULL || process->program.pid < next->program.pid))
            next = process;
    }
    if (next != NULL) {
        *ret_facts = (struct process_facts){
            .pid = next->program.pid,
            .parent = next->parent == NULL ? 0 : next->parent->program.pid,
            .state = next->state,
            .cpu = next->cpu,
            .ticks = next->ticks,
            .space = next->space == NULL ? 0 : user_space_id(next->space),
        };
        memcpy(ret_facts->name, next->program.name, PROCESS_NAME_BYTES);
    }
    process_unlock();
    return next != NULL;
}
