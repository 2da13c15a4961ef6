// Into user mode and back. The registers of a program live in a `struct user_context`; the kernel
// has one stack for each CPU. user_run enters user mode and returns when the program makes a
// system call, faults or is interrupted. So who runs next is decided by plain C.
//
// In the kernel interrupts are off, in user mode they are on. There is no FPU for programs: CR0.TS
// is set from user_start on. (Intel SDM 3A 5.8.8: SYSCALL and SYSRET; 2B: SWAPGS.)
#pragma once

#include "common/x86/trap.h"
#include "kernel/cpus/user_layout.h"

#include <stdbool.h>
#include <stdint.h>

// Where addresses of programs end. The last page of the lower half is not among them: behind a
// SYSCALL that ended there RIP would not be canonical, and SYSRET would fault in the kernel.
#define USER_END UINT64_C(0x00007ffffffff000)

// The CPU pushes the frame of an interrupt right into the context, whose end it aligns to 16.
struct user_context {
    _Alignas(16) struct trap_frame registers;
};

// Makes the CPU that calls ready for user mode. SMEP, SMAP and UMIP are on already, where it has
// them: the loader does that.
void user_start(void);

// A context at the first instruction of a program: every other register is 0.
void user_context_start(struct user_context *context, uint64_t rip, uint64_t rsp);

// Enters user mode, and returns the vector of what ended that: USER_SYSCALL, an exception or an
// interrupt. `context` is where the program was. Flags that a program must not have are cleared
// before; with a RIP that is no program's it is a general protection fault, and nothing has run.
// With interrupts off, in the space of the program.
unsigned user_run(struct user_context *context);

// Takes from the segment registers what the last program may have left there for the next.
void user_clear_segments(void);

// Copies between the kernel and a program, whose addresses the caller has checked. False, and
// *ret_fault is where, if the program's memory is not mapped so: then a part has been copied.
bool user_copy(void *to, const void *from, uint64_t bytes, uint64_t *ret_fault);

// Called by trap_handle. True if the fault in `frame` was user_copy's, which then returns.
bool user_copy_recover(struct trap_frame *frame);
