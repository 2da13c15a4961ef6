// System calls (kernel/programs/slipway_user.h). Each checks what it is given, and answers with an
// error: whatever a program asks for, the kernel goes on.
#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/console/console.h"
#include "kernel/process/run.h"
#include "kernel/process/user_memory.h"
#include "kernel/programs/slipway_user.h"

enum { STATUS_MASK = 0xff };

#define RIGHTS    (SLIPWAY_READ | SLIPWAY_WRITE | SLIPWAY_EXECUTE)
#define SLEEP_MAX UINT64_C(1000000000000) // microseconds: some days
#define PID_MAX   UINT32_MAX

struct arguments {
    uint64_t first, second, third;
};

// A call that leaves the CPU to the process: returns its result.
typedef int64_t (*call_function)(struct process *process, const struct arguments *arguments);

static int64_t error_of(enum user_space_status status) {
    switch (status) {
    case USER_SPACE_OK:
        return 0;
    case USER_SPACE_ERR_RANGE:
        return SLIPWAY_ERR_RANGE;
    case USER_SPACE_ERR_TAKEN:
        return SLIPWAY_ERR_TAKEN;
    case USER_SPACE_ERR_NONE:
    case USER_SPACE_ERR_GUARD:
        return SLIPWAY_ERR_NONE;
    case USER_SPACE_ERR_RIGHTS:
        return SLIPWAY_ERR_RIGHTS;
    case USER_SPACE_ERR_NO_MEMORY:
        return SLIPWAY_ERR_NO_MEMORY;
    }
    return SLIPWAY_ERR_RANGE;
}

// ---- Text and numbers

// What a terminal would take for a command is shown as a question mark.
static int64_t call_print(struct process *process, const struct arguments *arguments) {
    char text[SLIPWAY_PRINT_MAX];
    uint64_t bytes = arguments->second;
    if (bytes > SLIPWAY_PRINT_MAX)
        return SLIPWAY_ERR_RANGE;
    if (!user_memory_read(process->space, text, arguments->first, bytes))
        return SLIPWAY_ERR_POINTER;
    for (uint64_t i = 0; i < bytes; i++) {
        if ((text[i] < ' ' || text[i] > '~') && text[i] != '\n')
            text[i] = '?';
    }
    console_sink()->write(console_sink()->context, text, bytes);
    return 0;
}

static int64_t call_pid(struct process *process, const struct arguments *arguments) {
    (void)arguments;
    return process->program.pid;
}

static int64_t call_parent(struct process *process, const struct arguments *arguments) {
    (void)arguments;
    return process_parent(process);
}

static int64_t call_cpu(struct process *process, const struct arguments *arguments) {
    (void)process, (void)arguments;
    return this_cpu();
}

static int64_t call_time(struct process *process, const struct arguments *arguments) {
    (void)process, (void)arguments;
    return (int64_t)clock_microseconds(cpu_rdtsc());
}

// ---- Memory

// A range that ends where addresses of programs do, whatever the tables could map.
static bool is_range(const struct arguments *arguments) {
    return arguments->first <= USER_END && arguments->second <= USER_END - arguments->first;
}

// Rights as the paging library has them. False if there are others than a program may ask for.
static bool read_rights(uint64_t asked, unsigned *ret_rights) {
    *ret_rights = (asked & SLIPWAY_READ ? VMEM_READ : 0u) |
                  (asked & SLIPWAY_WRITE ? VMEM_WRITE : 0u) |
                  (asked & SLIPWAY_EXECUTE ? VMEM_EXECUTE : 0u);
    return (asked & ~(uint64_t)RIGHTS) == 0;
}

static int64_t map(struct process *process, const struct arguments *arguments,
                   enum user_area_kind kind) {
    unsigned rights;
    if (!is_range(arguments))
        return SLIPWAY_ERR_RANGE;
    if (!read_rights(arguments->third, &rights))
        return SLIPWAY_ERR_RIGHTS;
    return error_of(
        user_space_map(process->space, vaddr(arguments->first), arguments->second, rights, kind));
}

static int64_t call_map(struct process *process, const struct arguments *arguments) {
    return map(process, arguments, USER_AREA_ANONYMOUS);
}

static int64_t call_guard(struct process *process, const struct arguments *arguments) {
    struct arguments guard = {arguments->first, arguments->second, 0};
    return map(process, &guard, USER_AREA_GUARD);
}

static int64_t call_share(struct process *process, const struct arguments *arguments) {
    unsigned rights;
    struct shared *shared;
    if (!is_range(arguments))
        return SLIPWAY_ERR_RANGE;
    if (!read_rights(arguments->third, &rights))
        return SLIPWAY_ERR_RIGHTS;
    enum user_space_status status = shared_create(arguments->second, &shared);
    if (status != USER_SPACE_OK)
        return error_of(status);
    status = user_space_share(process->space, vaddr(arguments->first), arguments->second, rights,
                              shared);
    shared_put(shared);
    return error_of(status);
}

static int64_t call_unmap(struct process *process, const struct arguments *arguments) {
    if (!is_range(arguments))
        return SLIPWAY_ERR_RANGE;
    return error_of(user_space_unmap(process->space, vaddr(arguments->first), arguments->second));
}

static int64_t call_protect(struct process *process, const struct arguments *arguments) {
    unsigned rights;
    if (!is_range(arguments))
        return SLIPWAY_ERR_RANGE;
    if (!read_rights(arguments->third, &rights))
        return SLIPWAY_ERR_RIGHTS;
    return error_of(
        user_space_protect(process->space, vaddr(arguments->first), arguments->second, rights));
}

// ---- Processes

static int64_t call_fork(struct process *process, const struct arguments *arguments) {
    (void)arguments;
    return process_fork(process);
}

static int64_t call_kill(struct process *process, const struct arguments *arguments) {
    bool is_pid = arguments->first != 0 && arguments->first <= PID_MAX;
    return is_pid && process_kill((uint32_t)arguments->first, process) ? 0 : SLIPWAY_ERR_PROCESS;
}

static enum run_end run_wait(struct process *process, uint64_t pid) {
    if (pid > PID_MAX) {
        process->context.registers.rax = (uint64_t)SLIPWAY_ERR_PROCESS;
        return RUN_GOES_ON;
    }
    process->waits_for = (uint32_t)pid;
    struct process *child = NULL;
    process_lock();
    bool is_done = process_wait(process, &child);
    process_unlock();
    process_free(child);
    return is_done ? RUN_GOES_ON : RUN_WAITS;
}

static enum run_end run_sleep(struct process *process, uint64_t microseconds) {
    process->wakes_at = clock_after(min_u64(microseconds, SLEEP_MAX));
    process->context.registers.rax = 0;
    return RUN_SLEEPS;
}

static const call_function calls[SLIPWAY_CALLS] = {
    [SLIPWAY_PRINT] = call_print, [SLIPWAY_PID] = call_pid,     [SLIPWAY_PARENT] = call_parent,
    [SLIPWAY_CPU] = call_cpu,     [SLIPWAY_TIME] = call_time,   [SLIPWAY_FORK] = call_fork,
    [SLIPWAY_KILL] = call_kill,   [SLIPWAY_MAP] = call_map,     [SLIPWAY_GUARD] = call_guard,
    [SLIPWAY_SHARE] = call_share, [SLIPWAY_UNMAP] = call_unmap, [SLIPWAY_PROTECT] = call_protect,
};

// Those that are not in the table take the CPU from the process.
enum run_end run_call(struct process *process) {
    struct trap_frame *registers = &process->context.registers;
    uint64_t number = registers->rax;
    if (number < SLIPWAY_CALLS && calls[number] != NULL) {
        struct arguments arguments = {registers->rdi, registers->rsi, registers->rdx};
        registers->rax = (uint64_t)calls[number](process, &arguments);
        return RUN_GOES_ON;
    }
    switch (number) {
    case SLIPWAY_EXIT:
        process->status = (int)(registers->rdi & STATUS_MASK);
        return RUN_ENDS;
    case SLIPWAY_YIELD:
        registers->rax = 0;
        return RUN_YIELDS;
    case SLIPWAY_SLEEP:
        return run_sleep(process, registers->rdi);
    case SLIPWAY_WAIT:
        return run_wait(process, registers->rdi);
    default:
        registers->rax = (uint64_t)SLIPWAY_ERR_CALL;
        return RUN_GOES_ON;
    }
}
