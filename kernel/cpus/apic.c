#include "kernel/cpus/apic.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/base/layout.h"
#include "kernel/memory/kernel_space.h"

enum {
    // Registers by their place in the page (SDM 3A table 11-1). The MSR of one is 0x800 plus a
    // sixteenth of that (table 11-6).
    REGISTER_ID = 0x20,
    REGISTER_TASK_PRIORITY = 0x80,
    REGISTER_END_OF_INTERRUPT = 0xB0,
    REGISTER_SPURIOUS = 0xF0,
    REGISTER_IN_SERVICE = 0x100, // the first of eight, a bit for each vector
    REGISTER_COMMAND = 0x300,
    REGISTER_COMMAND_HIGH = 0x310, // of the page alone
    REGISTER_TIMER = 0x320,
    REGISTER_INITIAL_COUNT = 0x380,
    REGISTER_CURRENT_COUNT = 0x390,
    REGISTER_DIVIDE = 0x3E0,
    REGISTER_STEP = 0x10, // from one to the next

    VECTORS = 256,
    ID_SHIFT = 24, // in the page
    SPURIOUS_ENABLE = 1 << 8,
    TIMER_MASKED = 1 << 16, // one-shot when nothing else is set
    DIVIDE_BY_1 = 0xB,

    // SDM 3A figure 11-12: physical destination, edge, level "assert".
    COMMAND_FIXED = 0x4000,
    COMMAND_NMI = 0x4400,
    COMMAND_INIT = 0x4500,
    COMMAND_STARTUP = 0x4600,
    COMMAND_PENDING = 1 << 12,
    PENDING_ROUNDS = 1000000, // reads of a register; an idle APIC takes a command in a few

    XAPIC_ID_ALL = 0xFF,
    CALIBRATION_US = 2000,

    LEAF_FEATURES = 1,
    LEAF_TOPOLOGY = 0xB,
};

static enum { MODE_NONE, MODE_XAPIC, MODE_X2APIC } mode;
static uint64_t timer_ticks_per_ms;

const char *apic_name(void) {
    if (mode == MODE_NONE)
        return "none";
    return mode == MODE_XAPIC ? "xAPIC" : "x2APIC";
}

bool apic_is_on(void) {
    return mode != MODE_NONE;
}

static volatile uint32_t *in_page(unsigned reg) {
    return (volatile uint32_t *)(uintptr_t)(KERNEL_APIC + reg);
}

static uint32_t read(unsigned reg) {
    if (mode == MODE_X2APIC)
        return (uint32_t)cpu_rdmsr(MSR_X2APIC + reg / 16);
    return *in_page(reg);
}

static void write(unsigned reg, uint32_t value) {
    if (mode == MODE_X2APIC)
        cpu_wrmsr(MSR_X2APIC + reg / 16, value);
    else
        *in_page(reg) = value;
}

uint32_t apic_cpuid(void) {
    // Leaf 0xB, where it is, has all 32 bits (SDM 2A, CPUID).
    if (cpu_cpuid(0, 0).eax >= LEAF_TOPOLOGY && cpu_cpuid(LEAF_TOPOLOGY, 0).ebx != 0)
        return cpu_cpuid(LEAF_TOPOLOGY, 0).edx;
    return cpu_cpuid(LEAF_FEATURES, 0).ebx >> ID_SHIFT;
}

uint32_t apic_id(void) {
    return mode == MODE_X2APIC ? read(REGISTER_ID) : read(REGISTER_ID) >> ID_SHIFT;
}

bool apic_can_reach(uint32_t id) {
    return mode == MODE_X2APIC || id < XAPIC_ID_ALL;
}

void apic_end_of_interrupt(uint8_t vector) {
    if (read(REGISTER_IN_SERVICE + vector / 32u * REGISTER_STEP) >> vector % 32 & 1)
        write(REGISTER_END_OF_INTERRUPT, 0);
}

// Lets interrupts in. The entry for the legacy controllers stays as the firmware made it on the
// boot CPU. Interrupts that are still in service are ended, the highest first: an end of interrupt
// is always that of the highest.
static void enable(void) {
    for (unsigned vector = VECTORS; vector-- != 0;)
        apic_end_of_interrupt((uint8_t)vector);
    write(REGISTER_TASK_PRIORITY, 0);
    write(REGISTER_SPURIOUS, SPURIOUS_ENABLE | APIC_SPURIOUS_VECTOR);
    write(REGISTER_TIMER, TIMER_MASKED);
    write(REGISTER_DIVIDE, DIVIDE_BY_1);
}

static void measure_timer(void) {
    write(REGISTER_INITIAL_COUNT, UINT32_MAX);
    clock_wait(CALIBRATION_US);
    uint64_t ticks = UINT32_MAX - read(REGISTER_CURRENT_COUNT);
    write(REGISTER_INITIAL_COUNT, 0);
    timer_ticks_per_ms = ticks * 1000 / CALIBRATION_US;
}

static bool map_page(uint64_t base) {
    uint64_t width_mask = (UINT64_C(1) << space_kernel()->cpu.paddr_bits) - 1;
    struct vmem_mapping mapping = {
        .virt = vaddr(KERNEL_APIC),
        .phys = paddr(align_down(base & width_mask, FRAME_BYTES)),
        .bytes = FRAME_BYTES,
        .rights = VMEM_READ | VMEM_WRITE,
        .cache = VMEM_CACHE_UC,
        .largest = VMEM_4K,
    };
    return space_map(&mapping) == VMEM_OK;
}

bool apic_start(void) {
    if (!(cpu_cpuid(LEAF_FEATURES, 0).edx & CPUID_1_EDX_APIC))
        return false;
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    if (!(base & APIC_BASE_ENABLED))
        return false;
    bool is_x2apic = (base & APIC_BASE_X2APIC) != 0;
    if (!is_x2apic && !map_page(base))
        return false;
    mode = is_x2apic ? MODE_X2APIC : MODE_XAPIC;
    enable();
    measure_timer();
    return true;
}

// A reset by INIT leaves the mode as it was (SDM 3A 11.12.5.1): the firmware's, which may have been
// another here. From xAPIC to x2APIC is one step, back is not.
bool apic_start_other(void) {
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    if (mode == MODE_X2APIC && !(base & APIC_BASE_X2APIC)) {
        cpu_wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLED);
        cpu_wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLED | APIC_BASE_X2APIC);
    } else if (mode == MODE_XAPIC && ((base & APIC_BASE_X2APIC) || !(base & APIC_BASE_ENABLED))) {
        return false;
    }
    enable();
    return true;
}

// In x2APIC mode one write says all, but is not ordered behind what was stored before (SDM 3A
// 11.12.3). In xAPIC mode the second write sends, and the register must be idle.
static void command(uint32_t id, uint32_t what) {
    cpu_fence();
    if (mode == MODE_X2APIC) {
        cpu_wrmsr(MSR_X2APIC + REGISTER_COMMAND / 16, (uint64_t)id << 32 | what);
        return;
    }
    for (unsigned round = 0; round < PENDING_ROUNDS; round++) {
        if (!(read(REGISTER_COMMAND) & COMMAND_PENDING))
            break;
        cpu_pause();
    }
    write(REGISTER_COMMAND_HIGH, id << ID_SHIFT);
    write(REGISTER_COMMAND, what);
}

void apic_send(uint32_t id, uint8_t vector) {
    command(id, COMMAND_FIXED | vector);
}

void apic_send_nmi(uint32_t id) {
    command(id, COMMAND_NMI);
}

void apic_send_init(uint32_t id) {
    command(id, COMMAND_INIT);
}

void apic_send_startup(uint32_t id, uint8_t page) {
    command(id, COMMAND_STARTUP | page);
}

void apic_timer_once(uint8_t vector, uint64_t microseconds) {
    uint64_t ticks = timer_ticks_per_ms * microseconds / 1000;
    write(REGISTER_TIMER, vector);
    write(REGISTER_INITIAL_COUNT, (uint32_t)min_u64(max_u64(ticks, 1), UINT32_MAX));
}

void apic_timer_stop(void) {
    write(REGISTER_INITIAL_COUNT, 0);
    write(REGISTER_TIMER, TIMER_MASKED);
}
