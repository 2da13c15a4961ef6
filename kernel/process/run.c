#include "kernel/process/run.h"

#include "common/x86/cpu.h"
#include "common/x86/trap.h"
#include "kernel/console/console.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/programs/slipway_user.h"

enum {
    EXCEPTIONS = 32,
    VECTOR_DEVICE_NOT_AVAILABLE = 7,
    VECTOR_PAGE_FAULT = 14,
};

static const char *access_text(uint64_t error) {
    if (error & PF_FETCH)
        return "executed";
    return error & PF_WRITE ? "written" : "read";
}

// One line: what it was and where, and of memory why not.
static void print_fault(const struct process *process, uint64_t address,
                        enum user_space_status why) {
    const struct trap_frame *registers = &process->context.registers;
    char text[128];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink line = fmt_buffer_sink(&buffer);
    fmt_print(&line, "%s (%u): %s", process->program.name, process->program.pid,
              trap_name(registers->vector));
    if (registers->vector == VECTOR_PAGE_FAULT)
        fmt_print(&line, " at 0x%lx: 0x%lx cannot be %s: %s", registers->rip, address,
                  access_text(registers->error), user_space_status_text(why));
    else
        fmt_print(&line, " at 0x%lx, error code 0x%lx%s", registers->rip, registers->error,
                  registers->vector == VECTOR_DEVICE_NOT_AVAILABLE ? ": programs have no FPU" : "");
    console_print("%s\n", text);
}

static enum run_end handle_fault(struct process *process) {
    struct trap_frame *registers = &process->context.registers;
    enum user_space_status status = USER_SPACE_ERR_RIGHTS;
    uint64_t address = cpu_read_cr2();
    // What the CPU itself touches on behalf of an instruction is no memory of the process: to try
    // again would be to try for good.
    if (registers->vector == VECTOR_PAGE_FAULT && (registers->error & PF_USER))
        status = user_space_fault(process->space, address, registers->error);
    if (status == USER_SPACE_OK)
        return RUN_GOES_ON;
    print_fault(process, address, status);
    process->status = status == USER_SPACE_ERR_NO_MEMORY ? SLIPWAY_NO_MEMORY
                                                         : SLIPWAY_FAULTED((int)registers->vector);
    return RUN_ENDS;
}

static enum run_end handle(struct process *process, unsigned vector) {
    if (vector == USER_SYSCALL)
        return run_call(process);
    if (vector < EXCEPTIONS)
        return handle_fault(process);
    interrupts_handle(vector);
    if (vector == INTERRUPTS_SHOOTDOWN_VECTOR)
        return RUN_GOES_ON;
    return vector == INTERRUPTS_SLICE_VECTOR ? RUN_SLICE : RUN_STOPS;
}

// Who kills it has set the mark before it interrupts this CPU, and the interrupt comes as soon as
// the process is in user mode.
enum run_end run_process(struct process *process) {
    enum run_end end = RUN_GOES_ON;
    while (end == RUN_GOES_ON) {
        if (__atomic_load_n(&process->is_killed, __ATOMIC_RELAXED)) {
            process->status = SLIPWAY_KILLED;
            return RUN_ENDS;
        }
        end = handle(process, user_run(&process->context));
    }
    return end;
}
