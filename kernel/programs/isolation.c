// What a process must not do: touch the kernel, another process or what is not its own, execute
// data, use instructions of the kernel. Each is tried by a child, which has to end by the fault
// that the manual names (Intel SDM 2: the exceptions of 64-bit mode).
#include "kernel/programs/user.h"

enum {
    DIVIDE = SLIPWAY_FAULTED(0),
    DEBUG = SLIPWAY_FAULTED(1),
    OPCODE = SLIPWAY_FAULTED(6),
    NO_FPU = SLIPWAY_FAULTED(7),
    STACK = SLIPWAY_FAULTED(12),
    PROTECTION = SLIPWAY_FAULTED(13),
    PAGE = SLIPWAY_FAULTED(14),
    READ_WRITE = SLIPWAY_READ | SLIPWAY_WRITE,
    UMIP_LEAF = 7,
    UMIP_BIT = 2,
};

#define PRIVATE        UINT64_C(0x30000000)
#define PAGE_BYTES     UINT64_C(0x1000)
#define DIRECT_MAP     UINT64_C(0xffff800000000000)
#define WINDOW         UINT64_C(0xffffc00000001000)
#define KERNEL_TEXT    UINT64_C(0xffffffff80000000)
#define LAST_PAGE      UINT64_C(0xfffffffffffff000)
#define NOT_AN_ADDRESS (UINT64_C(1) << 56) // with 5 levels, too

// --- Memory

static void read_word(uint64_t address) {
    (void)*user_word(address);
}

static void write_word(uint64_t address) {
    *user_word(address) = 1;
}

static void call_address(uint64_t address) {
    ((void (*)(void))address)();
}

static void push_there(uint64_t address) {
    __asm__ volatile("movq %0, %%rsp; pushq $0" ::"r"(address) : "memory");
}

static uint8_t data[16] = {0xc3};

static void check_memory(void) {
    static const uint64_t kernel[] = {DIRECT_MAP, WINDOW, KERNEL_TEXT, LAST_PAGE};
    for (unsigned i = 0; i < sizeof(kernel) / sizeof(*kernel); i++) {
        user_check(user_try(read_word, kernel[i]) == PAGE, "the kernel is not read");
        user_check(user_try(write_word, kernel[i]) == PAGE, "nor written");
        user_check(user_try(call_address, kernel[i]) == PAGE, "nor executed");
    }
    user_check(user_try(read_word, NOT_AN_ADDRESS) == PROTECTION, "no address is no address");
    user_check(user_try(call_address, NOT_AN_ADDRESS) == PROTECTION, "nor one of code");
    int status =
        user_try(push_there, NOT_AN_ADDRESS + PAGE_BYTES); // an emulator may say PROTECTION
    user_check(status == STACK || status == PROTECTION, "nor one of a stack");
    user_check(user_try(read_word, 0) == PAGE, "a null pointer leads nowhere");
    user_check(user_try(call_address, (uint64_t)data) == PAGE, "data is not executed");
    user_check(user_try(write_word, (uint64_t)read_word) == PAGE, "code is not written");
    uint8_t on_stack = 0xc3;
    user_check(user_try(call_address, (uint64_t)&on_stack) == PAGE, "the stack is not executed");
}

// A child does not have what its parent has got since, and the other way round.
static void write_private(uint64_t address) {
    user_check(user_map(address + PAGE_BYTES, PAGE_BYTES, READ_WRITE) == 0, "memory is mapped");
    *user_word(address) = 2;
    *user_word(address + PAGE_BYTES) = 2;
}

static void check_others(void) {
    user_check(user_map(PRIVATE, PAGE_BYTES, READ_WRITE) == 0, "memory is mapped");
    *user_word(PRIVATE) = 1;
    user_check(user_try(write_private, PRIVATE) == 0, "a child writes its memory");
    user_check(*user_word(PRIVATE) == 1, "which is not its parent's");
    user_check(user_try(read_word, PRIVATE + PAGE_BYTES) == PAGE, "what it has mapped is its own");
}

// --- Instructions

#define INSTRUCTION(name, text)                                                                    \
    static void name(uint64_t argument) {                                                          \
        __asm__ volatile(text ::"a"(argument), "c"(0x10), "d"(0) : "memory", "cc");                \
    }

static uint64_t table[4];

INSTRUCTION(do_cli, "cli")
INSTRUCTION(do_sti, "sti")
INSTRUCTION(do_hlt, "hlt")
INSTRUCTION(do_in, "inb $0x60, %%al")
INSTRUCTION(do_out, "outb %%al, $0x80")
INSTRUCTION(do_rdmsr, "rdmsr")
INSTRUCTION(do_wrmsr, "wrmsr")
INSTRUCTION(do_read_cr0, "movq %%cr0, %%rax")
INSTRUCTION(do_read_cr3, "movq %%cr3, %%rax")
INSTRUCTION(do_write_cr3, "movq %%rax, %%cr3")
INSTRUCTION(do_write_cr4, "movq %%rax, %%cr4")
INSTRUCTION(do_read_dr7, "movq %%dr7, %%rax")
INSTRUCTION(do_clts, "clts")
INSTRUCTION(do_invlpg, "invlpg (%%rax)")
INSTRUCTION(do_wbinvd, "wbinvd")
INSTRUCTION(do_lgdt, "lgdt (%%rax)")
INSTRUCTION(do_lidt, "lidt (%%rax)")
INSTRUCTION(do_lldt, "lldt %%ax")
INSTRUCTION(do_ltr, "ltr %%ax")
INSTRUCTION(do_lmsw, "lmsw %%ax")
INSTRUCTION(do_swapgs, "swapgs")
INSTRUCTION(do_sysret, "sysretq")
INSTRUCTION(do_sysenter, "sysenter")
INSTRUCTION(do_sysexit, "sysexitl")
INSTRUCTION(do_rdpmc, "rdpmc")
INSTRUCTION(do_far_return, "pushq $8; pushq %%rax; lretq")
INSTRUCTION(do_iret, "movq %%rsp, %%rcx; pushq $0x10; pushq %%rcx; pushq $2; pushq $8;"
                     "pushq %%rax; iretq")
INSTRUCTION(do_kernel_ds, "movl $0x10, %%ecx; movl %%ecx, %%ds")
INSTRUCTION(do_kernel_ss, "movl $0x10, %%ecx; movl %%ecx, %%ss")
INSTRUCTION(do_task_gs, "movl $0x18, %%ecx; movl %%ecx, %%gs")
INSTRUCTION(do_far_fs, "movl $0xffff, %%ecx; movl %%ecx, %%fs")
INSTRUCTION(do_wrgsbase, "wrgsbase %%rax")
INSTRUCTION(do_xgetbv, "xorl %%ecx, %%ecx; xgetbv")
INSTRUCTION(do_clac, "clac")
INSTRUCTION(do_ud2, "ud2")
INSTRUCTION(do_int3, "int3")
INSTRUCTION(do_int1, ".byte 0xf1")
INSTRUCTION(do_divide, "xorl %%ecx, %%ecx; divl %%ecx")
INSTRUCTION(do_step, "pushfq; orq $0x100, (%%rsp); popfq; nop")
INSTRUCTION(do_fpu, "fninit")
INSTRUCTION(do_sse, "xorps %%xmm0, %%xmm0")
INSTRUCTION(do_sgdt, "sgdt (%%rax)")
INSTRUCTION(do_sidt, "sidt (%%rax)")
INSTRUCTION(do_sldt, "sldt %%eax")
INSTRUCTION(do_smsw, "smsw %%rax")
INSTRUCTION(do_str, "str %%eax")

static const struct instruction {
    const char *name;
    void (*run)(uint64_t argument);
    int status;
} instructions[] = {
    {"cli", do_cli, PROTECTION},
    {"sti", do_sti, PROTECTION},
    {"hlt", do_hlt, PROTECTION},
    {"in", do_in, PROTECTION},
    {"out", do_out, PROTECTION},
    {"rdmsr", do_rdmsr, PROTECTION},
    {"wrmsr", do_wrmsr, PROTECTION},
    {"mov from cr0", do_read_cr0, PROTECTION},
    {"mov from cr3", do_read_cr3, PROTECTION},
    {"mov to cr3", do_write_cr3, PROTECTION},
    {"mov to cr4", do_write_cr4, PROTECTION},
    {"mov from dr7", do_read_dr7, PROTECTION},
    {"clts", do_clts, PROTECTION},
    {"invlpg", do_invlpg, PROTECTION},
    {"wbinvd", do_wbinvd, PROTECTION},
    {"lgdt", do_lgdt, PROTECTION},
    {"lidt", do_lidt, PROTECTION},
    {"lldt", do_lldt, PROTECTION},
    {"ltr", do_ltr, PROTECTION},
    {"lmsw", do_lmsw, PROTECTION},
    {"swapgs", do_swapgs, PROTECTION},
    {"sysret", do_sysret, PROTECTION},
    {"rdpmc", do_rdpmc, PROTECTION},
    {"ds of the kernel", do_kernel_ds, PROTECTION},
    {"ss of the kernel", do_kernel_ss, PROTECTION},
    {"gs of a task", do_task_gs, PROTECTION},
    {"fs of nothing", do_far_fs, PROTECTION},
    {"wrgsbase", do_wrgsbase, OPCODE},
    {"xgetbv", do_xgetbv, OPCODE},
    {"clac", do_clac, OPCODE},
    {"ud2", do_ud2, OPCODE},
    {"int3", do_int3, PROTECTION},
    {"div by 0", do_divide, DIVIDE},
    {"single step", do_step, DEBUG},
    {"fninit", do_fpu, NO_FPU},
    {"xorps", do_sse, NO_FPU},
};

// Those of UMIP, which tell where the kernel's tables are: without it they are allowed.
static const struct instruction secrets[] = {
    {"sgdt", do_sgdt, PROTECTION}, {"sidt", do_sidt, PROTECTION}, {"sldt", do_sldt, PROTECTION},
    {"smsw", do_smsw, PROTECTION}, {"str", do_str, PROTECTION},
};

static bool has_umip(void) {
    uint32_t eax = 0, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (eax < UMIP_LEAF)
        return false;
    eax = UMIP_LEAF;
    ecx = 0;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx >> UMIP_BIT & 1;
}

static void check_instruction(const struct instruction *instruction, int expected) {
    int status = user_try(instruction->run, (uint64_t)table);
    if (status != expected)
        user_print("%s: status 0x%x, not 0x%x\n", instruction->name, (unsigned)status,
                   (unsigned)expected);
    user_check(status == expected, "an instruction of the kernel is refused");
}

// Those on which CPUs, or an emulator, do not agree: AMD's have SYSENTER and SYSEXIT in 32-bit
// modes alone; QEMU before 9.1 reads what far returns pop as the kernel would, which SMAP forbids,
// and has no INT1.
static const struct {
    const char *name;
    void (*run)(uint64_t argument);
    int status[2];
} others[] = {
    {"sysenter", do_sysenter, {PROTECTION, OPCODE}},
    {"sysexit", do_sysexit, {PROTECTION, OPCODE}},
    {"far return", do_far_return, {PROTECTION, PAGE}},
    {"iret", do_iret, {PROTECTION, PAGE}},
    {"int1", do_int1, {DEBUG, OPCODE}},
};

static void check_other_instructions(void) {
    for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++) {
        int status = user_try(others[i].run, (uint64_t)table);
        if (status != others[i].status[0] && status != others[i].status[1])
            user_print("%s: status 0x%x\n", others[i].name, (unsigned)status);
        user_check(status == others[i].status[0] || status == others[i].status[1],
                   "another way into the kernel is refused");
    }
}

int main(void) {
    check_memory();
    check_others();
    for (unsigned i = 0; i < sizeof(instructions) / sizeof(*instructions); i++)
        check_instruction(&instructions[i], instructions[i].status);
    check_other_instructions();
    bool is_refused = has_umip();
    for (unsigned i = 0; i < sizeof(secrets) / sizeof(*secrets); i++)
        check_instruction(&secrets[i], is_refused ? secrets[i].status : 0);
    user_print("isolation: all is refused%s\n", is_refused ? "" : ", but without UMIP");
    return 0;
}
