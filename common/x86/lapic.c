// See lapic.h.
#include "common/x86/lapic.h"

#include "common/x86/cpu.h"
#include "common/x86/regs.h"

enum {
    ID_SHIFT = 24, // in the page
    COMMAND_PENDING = 1 << 12,
    PENDING_ROUNDS = 1000000, // reads of a register; an idle APIC takes a command in a few
    LEAF_FEATURES = 1,
    LEAF_TOPOLOGY = 0xB,
};

#define PAGE_MASK UINT64_C(0x000ffffffffff000) // of IA32_APIC_BASE

bool lapic_find(struct lapic *ret_lapic) {
    if (!(cpu_cpuid(LEAF_FEATURES, 0).edx & CPUID_1_EDX_APIC))
        return false;
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    if (!(base & APIC_BASE_ENABLED))
        return false;
    *ret_lapic =
        (struct lapic){.is_x2apic = (base & APIC_BASE_X2APIC) != 0, .page = base & PAGE_MASK};
    return true;
}

static volatile uint32_t *in_page(const struct lapic *lapic, unsigned reg) {
    return (volatile uint32_t *)(uintptr_t)(lapic->page + reg);
}

uint32_t lapic_read(const struct lapic *lapic, unsigned reg) {
    if (lapic->is_x2apic)
        return (uint32_t)cpu_rdmsr(MSR_X2APIC + reg / 16);
    return *in_page(lapic, reg);
}

void lapic_write(const struct lapic *lapic, unsigned reg, uint32_t value) {
    if (lapic->is_x2apic)
        cpu_wrmsr(MSR_X2APIC + reg / 16, value);
    else
        *in_page(lapic, reg) = value;
}

uint32_t lapic_id(const struct lapic *lapic) {
    uint32_t id = lapic_read(lapic, LAPIC_ID);
    return lapic->is_x2apic ? id : id >> ID_SHIFT;
}

// Leaf 0xB, where it is, has all 32 bits.
uint32_t lapic_id_by_cpuid(void) {
    if (cpu_cpuid(0, 0).eax >= LEAF_TOPOLOGY && cpu_cpuid(LEAF_TOPOLOGY, 0).ebx != 0)
        return cpu_cpuid(LEAF_TOPOLOGY, 0).edx;
    return cpu_cpuid(LEAF_FEATURES, 0).ebx >> ID_SHIFT;
}

bool lapic_can_reach(const struct lapic *lapic, uint32_t id) {
    return lapic->is_x2apic || id < LAPIC_XAPIC_ID_ALL;
}

// In x2APIC mode one write says all, but is not ordered behind what was stored before (SDM 3A
// 10.12.3). In xAPIC mode the second write sends, and the register must be idle.
void lapic_send(const struct lapic *lapic, uint32_t id, uint32_t command) {
    cpu_fence();
    if (lapic->is_x2apic) {
        cpu_wrmsr(MSR_X2APIC + LAPIC_COMMAND / 16, (uint64_t)id << 32 | command);
        return;
    }
    for (unsigned round = 0; round < PENDING_ROUNDS; round++) {
        if (!(lapic_read(lapic, LAPIC_COMMAND) & COMMAND_PENDING))
            break;
        cpu_pause();
    }
    lapic_write(lapic, LAPIC_COMMAND_HIGH, id << ID_SHIFT);
    lapic_write(lapic, LAPIC_COMMAND, command);
}
