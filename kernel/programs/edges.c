// The edges of SYSCALL and SYSRET: flags that the kernel must not have, stacks that are nowhere,
// the last page, segments, every register, and interrupts by instruction.
#include "kernel/programs/user.h"

enum {
    CF = 1 << 0,
    TF = 1 << 8,
    DF = 1 << 10,
    NT = 1 << 14,
    AC = 1 << 18,
    ID = 1 << 21,
    PROTECTION = SLIPWAY_FAULTED(13),
    READ_WRITE = SLIPWAY_READ | SLIPWAY_WRITE,
    READ_EXECUTE = SLIPWAY_READ | SLIPWAY_EXECUTE,
    VECTORS = 256,
    REGISTERS = 12,
};

#define PAGE UINT64_C(0x1000)
#define CODE UINT64_C(0x10000000)
#define LAST UINT64_C(0x7fffffffe000)

struct called {
    uint64_t pid, flags;
};

// The flags are set by the instruction before SYSCALL and read by the one behind it.
static struct called call_with_flags(uint64_t flags) {
    struct called called = {.flags = flags};
    __asm__ volatile("pushq %1; popfq; syscall; pushfq; popq %1; cld; pushq $2; popfq"
                     : "=a"(called.pid), "+r"(called.flags)
                     : "0"((uint64_t)SLIPWAY_PID)
                     : "rcx", "r11", "memory", "cc");
    return called;
}

static void check_flags(void) {
    static const uint64_t kept = CF | DF | AC | ID;
    uint64_t pid = (uint64_t)user_pid();
    for (unsigned set = 0; set < 64; set++) {
        uint64_t flags = (set & 1 ? (uint64_t)CF : 0) | (set & 2 ? (uint64_t)TF : 0) |
                         (set & 4 ? (uint64_t)DF : 0) | (set & 8 ? (uint64_t)NT : 0) |
                         (set & 16 ? (uint64_t)AC : 0) | (set & 32 ? (uint64_t)ID : 0);
        struct called called = call_with_flags(flags | 2);
        user_check(called.pid == pid, "a call with every flag is answered");
        user_check((called.flags & kept) == (flags & kept), "harmless flags are kept");
        user_check((called.flags & (TF | NT)) == 0, "the others are cleared");
    }
}

static void check_stack(void) {
    static const uint64_t stacks[] = {0,
                                      8,
                                      UINT64_C(0x7fffffffffff),
                                      UINT64_C(0x800000000000),
                                      UINT64_C(0xffffffff80000000),
                                      UINT64_MAX};
    uint64_t pid = (uint64_t)user_pid();
    for (unsigned i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
        uint64_t result = SLIPWAY_PID, stack = stacks[i];
        __asm__ volatile("xchgq %%rsp, %1; syscall; xchgq %%rsp, %1"
                         : "+a"(result), "+b"(stack)
                         :
                         : "rcx", "r11", "memory");
        user_check(result == pid && stack == stacks[i], "a call from a stack nowhere is answered");
    }
}

// All but RAX, RCX and R11 are kept; RCX and R11 are the program's own RIP and flags.
static void check_registers(void) {
    uint64_t in[REGISTERS], out[REGISTERS], rcx, r11, next;
    for (unsigned i = 0; i < REGISTERS; i++)
        in[i] = UINT64_C(0x123456789abcdef1) * (i + 1);
    in[0] = 0;
    __asm__ volatile("pushq %%rbp; pushq %[out]; pushq %[in]; popq %%rax;"
                     "movq 8(%%rax), %%rbx; movq 16(%%rax), %%rdx; movq 24(%%rax), %%rsi;"
                     "movq 32(%%rax), %%rdi; movq 40(%%rax), %%rbp; movq 48(%%rax), %%r8;"
                     "movq 56(%%rax), %%r9; movq 64(%%rax), %%r10; movq 72(%%rax), %%r12;"
                     "movq 80(%%rax), %%r14; movq 88(%%rax), %%r15;"
                     "movl $2, %%eax; syscall; 1: movq (%%rsp), %%rax;"
                     "movq %%rbx, 8(%%rax); movq %%rdx, 16(%%rax); movq %%rsi, 24(%%rax);"
                     "movq %%rdi, 32(%%rax); movq %%rbp, 40(%%rax); movq %%r8, 48(%%rax);"
                     "movq %%r9, 56(%%rax); movq %%r10, 64(%%rax); movq %%r12, 72(%%rax);"
                     "movq %%r14, 80(%%rax); movq %%r15, 88(%%rax); popq %%rax; popq %%rbp;"
                     "movq %%r11, %%r13; leaq 1b(%%rip), %%rax"
                     : "=a"(next), "=c"(rcx), "=&r"(r11)
                     : [in] "c"(in), [out] "d"(out)
                     : "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "memory", "cc");
    (void)r11;
    for (unsigned i = 1; i < REGISTERS; i++)
        user_check(out[i] == in[i], "a call keeps registers");
    user_check(rcx == next, "SYSCALL leaves its own address");
}

static void call_address(uint64_t address) {
    ((void (*)(void))address)();
}

// A call that ends at the end of user memory cannot be returned from; one a byte before can.
static void check_last_page(void) {
    user_check(user_map(LAST, PAGE, READ_WRITE) == 0, "the last page is mapped");
    static const uint8_t code[] = {0xb8, SLIPWAY_PID, 0, 0, 0, 0x0f, 0x05, 0xc3};
    volatile uint8_t *end = (volatile uint8_t *)(LAST + PAGE);
    for (unsigned i = 0; i < sizeof(code); i++)
        end[i - (long)sizeof(code)] = code[i];
    user_check(user_protect(LAST, PAGE, READ_EXECUTE) == 0, "it is code");
    user_check(user_try(call_address, LAST + PAGE - sizeof(code)) == 0, "a call there is answered");
    user_check(user_protect(LAST, PAGE, READ_WRITE) == 0, "it is data");
    for (unsigned i = 0; i + 1 < sizeof(code); i++)
        end[i - (long)sizeof(code) + 1] = code[i];
    user_check(user_protect(LAST, PAGE, READ_EXECUTE) == 0, "it is code");
    user_check(user_try(call_address, LAST + PAGE - sizeof(code) + 1) == PROTECTION,
               "a call that cannot be returned from ends the process");
    user_check(user_unmap(LAST, PAGE) == 0, "it is unmapped");
}

static void load_segments(uint32_t selector) {
    __asm__ volatile("movl %0, %%ds; movl %0, %%es; movl %0, %%fs; movl %0, %%gs" ::"r"(selector));
}

static void check_segments(void) {
    static const uint32_t selectors[] = {0, 1, 2, 3, 0x2b, 0x33};
    int64_t pid = user_pid();
    for (unsigned i = 0; i < sizeof(selectors) / sizeof(*selectors); i++) {
        load_segments(selectors[i]);
        user_check(user_pid() == pid, "segments do not hurt the kernel");
        user_sleep(100);
        user_check(user_pid() == pid, "nor when another has had the CPU");
    }
    load_segments(0);
}

static void check_interrupts(void) {
    user_check(user_map(CODE, PAGE, READ_WRITE) == 0, "memory is mapped");
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        volatile uint8_t *code = (volatile uint8_t *)(CODE + vector * 4);
        code[0] = 0xcd;
        code[1] = (uint8_t)vector;
        code[2] = 0xc3;
    }
    user_check(user_protect(CODE, PAGE, READ_EXECUTE) == 0, "it is code");
    for (unsigned vector = 0; vector < VECTORS; vector++)
        user_check(user_try(call_address, CODE + vector * 4) == PROTECTION,
                   "no interrupt is raised by an instruction");
    user_check(user_unmap(CODE, PAGE) == 0, "it is unmapped");
}

int main(void) {
    check_flags();
    check_stack();
    check_registers();
    check_last_page();
    check_segments();
    check_interrupts();
    user_print("edges: none is sharp\n");
    return 0;
}
