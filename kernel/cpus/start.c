#include "kernel/cpus/start.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "common/boot/slipway_boot.h"
#include "common/x86/cpu.h"
#include "kernel/base/boot.h"
#include "kernel/base/clock.h"
#include "kernel/base/panic.h"
#include "kernel/base/stages.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/descriptors.h"
#include "kernel/cpus/madt.h"
#include "kernel/cpus/stacks.h"
#include "kernel/cpus/trampoline.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/tlb.h"

#include <stddef.h>

_Static_assert(offsetof(struct trampoline_orders, root) == TRAMPOLINE_ROOT &&
                   offsetof(struct trampoline_orders, cr0) == TRAMPOLINE_CR0 &&
                   offsetof(struct trampoline_orders, cr4) == TRAMPOLINE_CR4 &&
                   offsetof(struct trampoline_orders, efer) == TRAMPOLINE_EFER &&
                   offsetof(struct trampoline_orders, pat) == TRAMPOLINE_PAT &&
                   offsetof(struct trampoline_orders, stack) == TRAMPOLINE_STACK &&
                   offsetof(struct trampoline_orders, entry) == TRAMPOLINE_ENTRY &&
                   offsetof(struct trampoline_orders, argument) == TRAMPOLINE_ARGUMENT,
               "trampoline.S reads them there");

// SDM 3A 9.4.4.1: INIT, 10 ms, SIPI, 200 us, and a second SIPI for a CPU that has missed the first.
enum {
    AFTER_INIT_US = 10000,
    AFTER_STARTUP_US = 200,
    ANSWER_LIMIT_US = 2000000, // a virtual CPU waits for a turn on a busy machine
    ABSENT_ID = 0xF0,          // of CPUs that are made up, and higher
};

#define CR0_PROMISED  (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define CR0_REFUSED   (CR0_EM | CR0_TS | CR0_CD | CR0_NW)
#define CR4_PROMISED  (CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#define EFER_PROMISED (EFER_LME | EFER_LMA | EFER_NXE)

static uint32_t ids[CPUS_MAX]; // [0]: the boot CPU
static uint32_t id_count = 1;
static struct cpus_facts facts = {.found = 1};

struct registers {
    uint64_t cr0, cr4, efer, pat;
};

// The CPU that is being started, and what it answers.
static struct start {
    unsigned cpu;
    uint32_t id;
    paddr_t root;
    struct registers registers; // of the boot CPU
    enum answer {
        ANSWER_NONE,
        ANSWER_RUNS,
        ANSWER_DIFFERS, // its registers or its local APIC are not what they should be
        ANSWER_LATE,    // said in its place, when it has not answered in time
    } answer;
} start;

struct cpus_facts cpus_facts(void) {
    return facts;
}

unsigned cpus_count(void) {
    return id_count;
}

static void leave_out(uint32_t count, const char *reason) {
    facts.left_out += count;
    if (count != 0 && facts.reason == NULL)
        facts.reason = reason;
}

static const void *table_pointer(void *context, uint64_t phys, uint64_t bytes) {
    (void)context;
    return space_pointer(paddr(phys), bytes);
}

void cpus_find(unsigned absent) {
    ids[0] = apic_cpuid();
    cpus_set_apic_id(0, ids[0]);
    struct acpi_memory memory = {.pointer = table_pointer};
    struct madt_cpus cpus = {.ids = ids, .capacity = CPUS_MAX, .kept = 1, .found = 1};
    enum madt_status status = madt_find_cpus(&memory, boot_info()->rsdp_phys, &cpus);
    if (status != MADT_OK)
        facts.reason = madt_status_text(status);
    for (unsigned i = 0; i < absent && cpus.kept < CPUS_MAX; i++, cpus.found++)
        ids[cpus.kept++] = ABSENT_ID + i;
    id_count = cpus.kept;
    facts.found = cpus.found;
    leave_out(cpus.found - cpus.kept, "there are more CPUs than this kernel can count");
}

static struct registers read_registers(void) {
    return (struct registers){
        .cr0 = cpu_read_cr0(),
        .cr4 = cpu_read_cr4(),
        .efer = cpu_rdmsr(MSR_EFER),
        .pat = cpu_rdmsr(MSR_PAT),
    };
}

// What common/boot/slipway_boot.h promises of a CPU; and that all CPUs are alike.
static bool registers_are_right(const struct registers *boot) {
    struct registers own = read_registers();
    return (own.cr0 & (CR0_PROMISED | CR0_REFUSED)) == CR0_PROMISED &&
           (own.cr4 & CR4_PROMISED) == CR4_PROMISED &&
           (own.efer & EFER_PROMISED) == EFER_PROMISED && own.pat == SLIPWAY_PAT &&
           own.cr0 == boot->cr0 && own.cr4 == boot->cr4 && own.efer == boot->efer;
}

// Answers once, unless it is too late. True if that was in time.
static bool say(enum answer answer) {
    enum answer none = ANSWER_NONE;
    return __atomic_compare_exchange_n(&start.answer, &none, answer, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

// Where the trampoline leads. When it answers, the CPU needs nothing more of that, nor of the
// temporary page tables.
[[gnu::noreturn]] static void enter(struct start *order) {
    descriptors_load(order->cpu);
    cpu_write_cr4(order->registers.cr4); // machine checks have waited for an IDT
    tlb_load_root(order->root);
    bool is_right =
        registers_are_right(&order->registers) && apic_start_other() && apic_id() == order->id;
    if (say(is_right ? ANSWER_RUNS : ANSWER_DIFFERS) && is_right)
        cpus_serve();
    cpu_stop();
}

static enum answer wait_for_answer(uint64_t microseconds) {
    uint64_t end = clock_after(microseconds);
    enum answer answer;
    do {
        cpu_pause();
        answer = __atomic_load_n(&start.answer, __ATOMIC_ACQUIRE);
    } while (answer == ANSWER_NONE && !clock_reached(end));
    return answer;
}

// A CPU that is not to run is sent back to where it waits for a SIPI: whatever it was doing, it
// does no more, and its stack and the trampoline can be used for something else.
static enum answer call(uint32_t id, paddr_t page) {
    uint8_t page_number = (uint8_t)(page.value >> FRAME_SHIFT);
    apic_send_init(id);
    clock_wait(AFTER_INIT_US);
    apic_send_startup(id, page_number);
    enum answer answer = wait_for_answer(AFTER_STARTUP_US);
    if (answer == ANSWER_NONE) {
        apic_send_startup(id, page_number);
        answer = wait_for_answer(ANSWER_LIMIT_US);
    }
    if (answer == ANSWER_NONE && !say(ANSWER_LATE))
        answer = start.answer; // in the last moment
    if (answer != ANSWER_RUNS) {
        apic_send_init(id);
        clock_wait(AFTER_INIT_US);
    }
    return answer;
}

static void start_one(uint32_t id, paddr_t page, struct trampoline_orders *orders) {
    unsigned cpu = cpus_started();
    if (!apic_can_reach(id)) {
        leave_out(1, "a CPU has an ID that the local APIC cannot reach in its mode");
        return;
    }
    if (!stacks_make(cpu)) {
        leave_out(1, "there is no memory for the stacks of a CPU");
        return;
    }
    start.cpu = cpu;
    start.id = id;
    start.answer = ANSWER_NONE;
    orders->stack = stacks_top(cpu);
    cpus_set_apic_id(cpu, id);
    enum answer answer = call(id, page);
    if (answer == ANSWER_RUNS)
        cpus_add();
    else
        leave_out(1, answer == ANSWER_DIFFERS ? "a CPU is not like the one that boots"
                                              : "a CPU did not answer");
}

// The trampoline in its page, seen through the direct map, with all that is the same for every CPU.
static struct trampoline_orders *write_trampoline(paddr_t page, paddr_t root) {
    uint8_t *at = memory_frame_bytes(page);
    memcpy(at, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    struct trampoline_orders *orders =
        (struct trampoline_orders *)(void *)(at + (trampoline_orders - trampoline_start));
    start.root = space_kernel()->root;
    start.registers = read_registers();
    *orders = (struct trampoline_orders){
        .root = (uint32_t)root.value,
        .cr0 = (uint32_t)start.registers.cr0,
        .cr4 = (uint32_t)start.registers.cr4 & ~(uint32_t)CR4_MCE,
        .efer = (uint32_t)start.registers.efer & ~(uint32_t)EFER_LMA,
        .pat = start.registers.pat,
        .entry = (uint64_t)(uintptr_t)enter,
        .argument = (uint64_t)(uintptr_t)&start,
    };
    return orders;
}

static void free_page(paddr_t page) {
    enum frames_status status = memory_free(page);
    if (status != FRAMES_OK)
        panic("trampoline page 0x%lx: %s", page.value, frames_status_text(status));
}

static void start_all(void) {
    paddr_t page;
    if (memory_alloc(FRAMES_BELOW_1M, &page) != FRAMES_OK) {
        leave_out(id_count - 1, "there is no memory below 1 MiB to start CPUs in");
        return;
    }
    struct vmem tables;
    if (space_make_startup_tables(page, &tables) == VMEM_OK) {
        struct trampoline_orders *orders = write_trampoline(page, tables.root);
        for (uint32_t i = 1; i < id_count; i++)
            start_one(ids[i], page, orders);
        space_free_startup_tables(&tables);
    } else {
        leave_out(id_count - 1,
                  "there is no memory below 4 GiB for page tables to start CPUs with");
    }
    free_page(page);
}

void cpus_start(void) {
    stages_begin("cpus");
    uint64_t before = memory_free_frames();
    if (!apic_start())
        leave_out(id_count - 1, "the local APIC of the CPU that boots is off");
    else if (apic_id() != ids[0]) // one of the others may be this very CPU
        leave_out(id_count - 1, "the local APIC of the CPU that boots has an ID that CPUID denies");
    else if (id_count > 1)
        start_all();
    facts.frames = before - memory_free_frames();
    stages_end(0);
}
