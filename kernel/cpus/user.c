#include "kernel/cpus/user.h"

#include "common/boot/slipway_boot.h"
#include "common/x86/cpu.h"
#include "kernel/cpus/descriptors.h"

#include <stddef.h>

enum {
    VECTOR_GENERAL_PROTECTION = 13,
    VECTOR_PAGE_FAULT = 14,
    STAR_KERNEL = 32, // SYSCALL: code; the stack is the next
    STAR_USER = 48,   // SYSRET: the data is the next but one selector, the code the one behind
};

// What a program may have. TF would trap its every instruction, which no program here wants, and
// IOPL the ports. A program that sets them has set nothing.
#define FLAGS_OF_USER                                                                              \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_DF | RFLAGS_OF |           \
     RFLAGS_AC | RFLAGS_ID)

// What must not hold in the kernel, whatever the program has.
#define FLAGS_NOT_OF_KERNEL                                                                        \
    (RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_AC)

_Static_assert(offsetof(struct trap_frame, rax) == USER_CONTEXT_RAX &&
                   offsetof(struct trap_frame, vector) == USER_CONTEXT_VECTOR &&
                   sizeof(struct user_context) == USER_CONTEXT_BYTES,
               "trap_entry.S builds a context");
_Static_assert(SLIPWAY_DS == SLIPWAY_CS + 8 && USER_CS == USER_DS + 8,
               "what SYSCALL and SYSRET do");

void user_syscall_entry(void);
unsigned user_enter(struct user_context *context);
extern const char user_copy_at[], user_copy_failed[];

// For trap_entry.S. CPUs are alike (start.c).
bool user_has_smap;

// Every CPU with long mode has SYSCALL there (SDM 3A 5.8.8).
void user_start(void) {
    uint64_t user = (uint64_t)(USER_DS - 8);
    cpu_wrmsr(MSR_STAR, (uint64_t)SLIPWAY_CS << STAR_KERNEL | user << STAR_USER);
    cpu_wrmsr(MSR_LSTAR, (uint64_t)(uintptr_t)user_syscall_entry);
    cpu_wrmsr(MSR_FMASK, FLAGS_NOT_OF_KERNEL);
    cpu_wrmsr(MSR_SYSENTER, 0);
    cpu_wrmsr(MSR_EFER, cpu_rdmsr(MSR_EFER) | EFER_SCE);
    cpu_write_cr0(cpu_read_cr0() | CR0_TS);
    user_has_smap = (cpu_read_cr4() & CR4_SMAP) != 0;
}

void user_context_start(struct user_context *context, uint64_t rip, uint64_t rsp) {
    *context = (struct user_context){.registers = {
                                         .rip = rip,
                                         .cs = USER_CS,
                                         .rflags = RFLAGS_ONE | RFLAGS_IF,
                                         .rsp = rsp,
                                         .ss = USER_DS,
                                     }};
}

unsigned user_run(struct user_context *context) {
    struct trap_frame *registers = &context->registers;
    if (registers->rip >= USER_END) {
        registers->vector = VECTOR_GENERAL_PROTECTION;
        registers->error = 0;
        return VECTOR_GENERAL_PROTECTION;
    }
    registers->rflags = (registers->rflags & FLAGS_OF_USER) | RFLAGS_ONE | RFLAGS_IF;
    return user_enter(context);
}

bool user_copy_recover(struct trap_frame *frame) {
    uint64_t address = cpu_read_cr2();
    if (frame->vector != VECTOR_PAGE_FAULT || frame->rip != (uint64_t)(uintptr_t)user_copy_at ||
        address >= USER_END)
        return false;
    frame->rip = (uint64_t)(uintptr_t)user_copy_failed;
    frame->rax = address;
    return true;
}
