#include "kernel/selftest/ring3.h"

#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "common/x86/features.h"
#include "kernel/base/clock.h"
#include "kernel/base/panic.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/cpus/user.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/shootdown.h"
#include "kernel/selftest/check.h"
#include "kernel/stop/probe.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    EXCEPTIONS = 32,
    VECTOR_INVALID_OPCODE = 6,
    VECTOR_DEVICE_NOT_AVAILABLE = 7,
    VECTOR_GENERAL_PROTECTION = 13,
    VECTOR_PAGE_FAULT = 14,
    SYSCALL_BYTES = 2,
    SPIN_US = 200,
    SPINS_MAX = 1000,
    RET_INSTRUCTION = 0xC3,
};

#define CODE      UINT64_C(0x400000)
#define DATA      UINT64_C(0x401000)
#define STACK_TOP (DATA + FRAME_BYTES)
#define NOWHERE   (UINT64_C(1) << 56) // not canonical with 5 levels either

extern const char ring3_code[], ring3_code_end[];
extern const char ring3_code_pattern[], ring3_code_flags[], ring3_code_spin[], ring3_code_calls[],
    ring3_code_fpu[], ring3_code_touch[];

// A space with a page of code and a page of data.
static struct {
    struct vmem space;
    struct tlb_space tlb;
    paddr_t frame[2];
} world;

static void map(paddr_t frame, uint64_t address, unsigned rights) {
    struct vmem_mapping mapping = {
        .virt = vaddr(address),
        .phys = frame,
        .bytes = FRAME_BYTES,
        .rights = rights | VMEM_USER,
        .cache = VMEM_CACHE_WB,
        .largest = VMEM_4K,
    };
    struct vmem_flush flush;
    (void)space_begin(&flush);
    flush.context = &world.tlb;
    enum vmem_status status = vmem_map(&world.space, &mapping, &flush);
    space_end(&world.space, &flush);
    check_vmem(status, VMEM_OK, "mapping a page of ring 3");
}

static void begin_world(void) {
    struct vmem_flush flush;
    struct vmem *kernel = space_begin(&flush);
    check_vmem(vmem_clone(kernel, &world.space), VMEM_OK, "cloning the kernel's space");
    space_end(kernel, &flush);
    world.tlb = tlb_space_make(world.space.root);
    for (unsigned i = 0; i < 2; i++)
        check_frames(memory_alloc_zeroed(FRAMES_ANY, &world.frame[i]), FRAMES_OK, "a frame");
    memcpy(memory_frame_bytes(world.frame[0]), ring3_code, (size_t)(ring3_code_end - ring3_code));
    map(world.frame[0], CODE, VMEM_READ | VMEM_EXECUTE);
    map(world.frame[1], DATA, VMEM_READ | VMEM_WRITE);
    shootdown_switch(&world.tlb);
}

static void end_world(void) {
    shootdown_switch(NULL);
    check(world.tlb.cpus == 0, "no CPU runs in the space any more");
    struct vmem_flush flush;
    struct vmem *kernel = space_begin(&flush);
    flush.context = &world.tlb;
    check_vmem(vmem_destroy(&world.space, &flush), VMEM_OK, "ending the space");
    space_end(kernel, &flush);
    for (unsigned i = 0; i < 2; i++)
        check_frames(memory_free(world.frame[i]), FRAMES_OK, "freeing its frames");
}

static uint64_t address_of(const char *snippet) {
    return CODE + (uint64_t)(snippet - ring3_code);
}

static void start(struct user_context *context, const char *snippet) {
    user_context_start(context, address_of(snippet), STACK_TOP);
}

// Past interrupts, of which one may have waited until they are on.
static unsigned run(struct user_context *context) {
    unsigned vector;
    while ((vector = user_run(context)) >= EXCEPTIONS && vector < TRAP_VECTORS &&
           vector != INTERRUPTS_SLICE_VECTOR)
        interrupts_handle(vector);
    return vector;
}

// --- Registers

// A value that no other register has.
static uint64_t value_of(unsigned index) {
    return UINT64_C(0x1122334455667788) * (index + 1);
}

enum { GENERAL = 15, INDEX_RCX = 12, INDEX_R11 = 4 }; // in the order of struct trap_frame

static void fill(struct user_context *context) {
    uint64_t *general = &context->registers.r15;
    for (unsigned i = 0; i < GENERAL; i++)
        general[i] = value_of(i);
}

// All are what they were, but for the two that SYSCALL takes where it has come by that.
static bool are_kept(const struct user_context *context, uint64_t rcx, uint64_t r11) {
    const uint64_t *general = &context->registers.r15;
    bool are = context->registers.rsp == STACK_TOP && context->registers.cs == USER_CS &&
               context->registers.ss == USER_DS;
    for (unsigned i = 0; i < GENERAL; i++) {
        uint64_t expected = value_of(i);
        if (i == INDEX_RCX && rcx != 0)
            expected = rcx;
        if (i == INDEX_R11 && rcx != 0)
            expected = r11;
        are = are && general[i] == expected;
    }
    return are;
}

static void test_registers(void) {
    static struct user_context context;
    start(&context, ring3_code_pattern);
    fill(&context);
    uint64_t flags = RFLAGS_ONE | RFLAGS_IF | RFLAGS_CF | RFLAGS_OF;
    context.registers.rflags = flags | RFLAGS_TF | RFLAGS_NT | RFLAGS_IOPL;
    uint64_t first = context.registers.rip + SYSCALL_BYTES;
    check(run(&context) == USER_SYSCALL, "ring 3 makes a system call");
    check(context.registers.rip == first && context.registers.rflags == flags &&
              are_kept(&context, first, flags),
          "and comes with its registers, entered by IRET");
    check(run(&context) == USER_SYSCALL, "it makes another");
    check(context.registers.rip == first + SYSCALL_BYTES && context.registers.rflags == flags &&
              are_kept(&context, first + SYSCALL_BYTES, flags),
          "and comes with its registers, entered by SYSRET");
    check(run(&context) == VECTOR_INVALID_OPCODE, "it faults");
    check((context.registers.rflags & ~(uint64_t)RFLAGS_RF) == flags &&
              are_kept(&context, first + SYSCALL_BYTES, flags),
          "and comes with its registers");
}

// --- Flags

// What is set when SYSCALL is made, and what holds in the kernel then.
static void test_flags(void) {
    static const uint64_t bad[] = {RFLAGS_AC, RFLAGS_DF, RFLAGS_NT, RFLAGS_TF,
                                   RFLAGS_AC | RFLAGS_DF | RFLAGS_NT | RFLAGS_TF};
    static struct user_context context;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        start(&context, ring3_code_flags);
        context.registers.r8 = RFLAGS_ONE | bad[i];
        unsigned vector = run(&context);
        uint64_t flags = cpu_read_flags();
        check(vector == USER_SYSCALL, "a system call with every flag");
        check((flags & (RFLAGS_AC | RFLAGS_DF | RFLAGS_NT | RFLAGS_TF | RFLAGS_IF | RFLAGS_IOPL)) ==
                  0,
              "of a program's flags none holds in the kernel");
        check(context.registers.r11 == (RFLAGS_ONE | RFLAGS_IF | bad[i]), "they are seen");
        check(run(&context) == VECTOR_INVALID_OPCODE, "it goes on without a trap");
        flags = cpu_read_flags();
        uint64_t unwanted = RFLAGS_DF | RFLAGS_NT | RFLAGS_TF;
        if (cpu_read_cr4() & CR4_SMAP)
            unwanted |= RFLAGS_AC; // without it AC means nothing in the kernel
        check((flags & unwanted) == 0, "nor after a fault");
        check((context.registers.rflags & (RFLAGS_NT | RFLAGS_TF | RFLAGS_IOPL)) == 0 &&
                  (context.registers.rflags & (RFLAGS_AC | RFLAGS_DF)) ==
                      (bad[i] & (RFLAGS_AC | RFLAGS_DF)),
              "of those it keeps the harmless ones");
    }
}

// --- Returns that no CPU allows

static void test_addresses(void) {
    static const uint64_t bad[] = {USER_END, UINT64_C(0x800000000000), UINT64_C(0xffff7fffffffffff),
                                   UINT64_C(0xffffffff80000000)};
    static struct user_context context;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        start(&context, ring3_code_pattern);
        context.registers.rip = bad[i];
        context.registers.vector = i % 2 == 0 ? USER_SYSCALL : 0;
        check(run(&context) == VECTOR_GENERAL_PROTECTION && context.registers.rip == bad[i],
              "an address that is no program's is not gone to");
    }
    start(&context, ring3_code_pattern);
    context.registers.rsp = UINT64_C(0x800000000000);
    check(run(&context) == USER_SYSCALL, "a call from a stack nowhere comes");
    check(run(&context) == USER_SYSCALL && context.registers.rsp == UINT64_C(0x800000000000),
          "and is returned from");
}

// --- What ring 3 may touch, and ring 0 of ring 3's

static unsigned touch(uint64_t address, uint64_t value) {
    static struct user_context context;
    start(&context, ring3_code_touch);
    context.registers.rdi = address;
    context.registers.rsi = value;
    return run(&context);
}

static void test_protection(void) {
    check(touch(DATA, 1) == USER_SYSCALL, "ring 3 writes its page");
    check(touch(CODE, 1) == VECTOR_PAGE_FAULT, "it does not write its code");
    check(touch((uint64_t)(uintptr_t)&world, 0) == VECTOR_PAGE_FAULT, "nor read the kernel's data");
    check(touch(0, 0) == VECTOR_PAGE_FAULT, "nor the first page");
    check(touch(NOWHERE, 0) == VECTOR_GENERAL_PROTECTION, "nor what is nowhere");
    static struct user_context context;
    start(&context, ring3_code_fpu);
    check(run(&context) == VECTOR_DEVICE_NOT_AVAILABLE, "nor use the FPU");

    struct cpu_features features = cpu_find_features();
    check(((cpu_read_cr4() & CR4_UMIP) != 0) == features.umip, "UMIP is on where there is one");
    *(uint8_t *)memory_frame_bytes(world.frame[0]) = RET_INSTRUCTION;
    check(probe_read(DATA) == !features.smap, "with SMAP the kernel does not read ring 3's");
    check(probe_write(DATA) == !features.smap, "nor write it");
    check(probe_execute(CODE) == !features.smep, "with SMEP it does not execute it");
    memcpy(memory_frame_bytes(world.frame[0]), ring3_code, 1);
}

static void test_copy(void) {
    uint64_t value = value_of(0), found = 0, fault = 0;
    uint64_t last = DATA + FRAME_BYTES - sizeof(value);
    check(user_copy((void *)(uintptr_t)last, &value, sizeof(value), &fault), "the kernel writes");
    check(user_copy(&found, (const void *)(uintptr_t)last, sizeof(found), &fault) &&
              found == value && fault == 0,
          "and reads what it has written");
    check(!user_copy((void *)(uintptr_t)(last + 1), &value, sizeof(value), &fault) &&
              fault == DATA + FRAME_BYTES,
          "a copy that leaves the page says where");
    check(!user_copy((void *)(uintptr_t)CODE, &value, sizeof(value), &fault) && fault == CODE,
          "a page that is not writable is not written");
    check((cpu_read_flags() & RFLAGS_AC) == 0, "after a copy ring 3's pages are closed again");
}

// --- Interrupts

static void test_timer(void) {
    if (!apic_is_on())
        return;
    static struct user_context context;
    start(&context, ring3_code_spin);
    bool is_interrupted = true;
    // On a busy host the time may be over before the first instruction.
    for (unsigned i = 0; i < SPINS_MAX && context.registers.rax == 0; i++) {
        apic_timer_once(INTERRUPTS_SLICE_VECTOR, SPIN_US);
        unsigned vector = run(&context);
        interrupts_handle(vector);
        is_interrupted &= vector == INTERRUPTS_SLICE_VECTOR;
    }
    check(is_interrupted, "a loop without end is interrupted");
    check(context.registers.rax != 0, "it has got on before");
}

// --- NMIs

enum { STORM_MS = 20, STORM_SLICE_US = 50, STORM_PAUSES = 64, STORM_CALLS = 100 };

static struct user_context *storm_context; // one for each CPU
static bool is_storm_over;

// System calls, and now and then an interrupt, until it is over; some also on a CPU that was not
// there in time. Each comes with what it has to.
static void call_in_storm(struct user_context *context) {
    shootdown_switch(&world.tlb);
    start(context, ring3_code_calls);
    apic_timer_once(INTERRUPTS_SLICE_VECTOR, STORM_SLICE_US);
    uint64_t calls = 0;
    bool is_sound = true;
    while (calls < STORM_CALLS || !__atomic_load_n(&is_storm_over, __ATOMIC_ACQUIRE)) {
        unsigned vector = user_run(context);
        is_sound = is_sound && context->registers.rsp == STACK_TOP;
        if (vector == USER_SYSCALL)
            is_sound = is_sound && context->registers.rbx == ++calls;
        else
            interrupts_handle(vector);
        if (vector == INTERRUPTS_SLICE_VECTOR)
            apic_timer_once(INTERRUPTS_SLICE_VECTOR, STORM_SLICE_US);
    }
    apic_timer_stop();
    shootdown_switch(NULL);
    if (!is_sound)
        panic("self-test: CPU %u: in a storm of NMIs a program came back wrongly", this_cpu());
}

static void blow(void) {
    for (uint64_t end = clock_after(STORM_MS * 1000); !clock_reached(end);) {
        for (unsigned cpu = 1; cpu < cpus_started(); cpu++)
            cpus_send_nmi(cpu);
        for (unsigned i = 0; i < STORM_PAUSES; i++)
            cpu_pause();
        shootdown_serve();
    }
    __atomic_store_n(&is_storm_over, true, __ATOMIC_RELEASE);
}

static void storm(void *nothing) {
    (void)nothing;
    if (this_cpu() == 0)
        blow();
    else
        call_in_storm(&storm_context[this_cpu()]);
}

static void calm(void *nothing) {
    (void)nothing;
}

// NMIs come between SYSCALL and SWAPGS, too, and behind the SWAPGS before SYSRET and IRET: they
// find the block of their CPU all the same, or would count for another, or fault.
static void test_nmis(void) {
    uint64_t before[CPUS_MAX];
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++)
        before[cpu] = cpus_nmis(cpu);
    storm_context = heap_alloc_zeroed(cpus_started() * sizeof(*storm_context));
    check(storm_context != NULL, "there is memory for the registers of a program on each CPU");
    is_storm_over = false;
    cpus_try_nmis(true);
    cpus_run(storm, NULL);
    cpus_run(calm, NULL); // a CPU that runs this has taken its last NMI before
    cpus_try_nmis(false);
    check(cpus_nmis(0) == before[0], "nobody has sent the first CPU an NMI");
    for (unsigned cpu = 1; cpu < cpus_started(); cpu++)
        check(cpus_nmis(cpu) != before[cpu], "the others have taken some");
    heap_free(storm_context);
}

void selftest_ring3(void) {
    bool were_on = cpu_interrupts_save();
    begin_world();
    test_registers();
    test_flags();
    test_addresses();
    test_protection();
    test_copy();
    test_timer();
    test_nmis();
    end_world();
    cpu_interrupts_restore(were_on);
}
