// See apic.h.
#include "loader/apic.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "common/x86/lapic.h"
#include "common/x86/regs.h"
#include "loader/log.h"

#include <stdbool.h>

enum {
    // Of an entry in either kind of controller.
    ENTRY_DELIVERY = 8, // the lowest of three bits, for one of these:
    DELIVERY_FIXED = 0,
    DELIVERY_LOWEST = 1,
    DELIVERY_SMI = 2,
    DELIVERY_NMI = 4,
    DELIVERY_8259 = 7,
    ENTRY_MASKED = 1 << 16,
    ENTRY_RESET = ENTRY_MASKED, // vector 0, fixed, edge triggered
    ENTRY_LOW = 1 << 13,        // of a pin
    ENTRY_LEVEL = 1 << 15,

    // I/O APIC: the register's number is written to the one place, its value is in the other.
    IO_SELECT = 0x00,
    IO_DATA = 0x10,
    IO_VERSION = 0x01,
    IO_ENTRIES = 0x10, // two registers each, the first with the vector
    IO_ENTRIES_MAX = (0x100 - IO_ENTRIES) / 2,

    // Local APIC: places in the page; the number of the MSR is a sixteenth of that.
    LOCAL_VERSION = 0x030,
    LOCAL_TASK_PRIORITY = 0x080,
    LOCAL_END_OF_INTERRUPT = 0x0B0,
    LOCAL_SPURIOUS = 0x0F0,
    LOCAL_IN_SERVICE = 0x100, // eight registers, a bit for each vector
    LOCAL_CMCI = 0x2F0,
    LOCAL_TIMER = 0x320,
    LOCAL_THERMAL = 0x330,
    LOCAL_PERFORMANCE = 0x340,
    LOCAL_LINT0 = 0x350,
    LOCAL_LINT1 = 0x360,
    LOCAL_ERROR = 0x370,
    LOCAL_INITIAL_COUNT = 0x380,
    LOCAL_EXTENDED_FEATURES = 0x400,
    LOCAL_EXTENDED = 0x500,
    LOCAL_STEP = 0x10, // from one register to the next

    IN_SERVICE_REGISTERS = 8,
    SPURIOUS_ENABLED = 1 << 8 | 0xFF,
};

#define VERSION_EXTENDED UINT32_C(0x80000000) // AMD's own registers are there

static uint32_t highest_entry(uint32_t version) { // of either kind
    return version >> 16 & 0xFF;
}

// The deliveries that are masked, a bit each.
static uint32_t masked_deliveries(enum machine_state state) {
    const uint32_t interrupts = 1 << DELIVERY_FIXED | 1 << DELIVERY_LOWEST;
    if (state == MACHINE_SLIPWAY)
        return 0xff & ~(1 << DELIVERY_SMI);
    return state == MACHINE_LIMINE ? interrupts
                                   : interrupts | 1 << DELIVERY_NMI | 1 << DELIVERY_8259;
}

static bool is_to_mask(uint32_t entry, enum machine_state state) {
    return masked_deliveries(state) >> (entry >> ENTRY_DELIVERY & 7) & 1;
}

void apic_quiet_io(uint64_t phys, enum machine_state state) {
    cpu_mmio_write32(phys + IO_SELECT, IO_VERSION);
    uint64_t count = highest_entry(cpu_mmio_read32(phys + IO_DATA)) + 1;
    count = min_u64(count, IO_ENTRIES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        cpu_mmio_write32(phys + IO_SELECT, IO_ENTRIES + 2 * i);
        uint32_t entry = cpu_mmio_read32(phys + IO_DATA);
        if (entry != ENTRY_RESET && is_to_mask(entry, state))
            cpu_mmio_write32(phys + IO_DATA, ENTRY_RESET);
    }
}

static uint32_t read(uint64_t phys, uint32_t reg) {
    return phys != 0 ? cpu_mmio_read32(phys + reg) : (uint32_t)cpu_rdmsr(MSR_X2APIC + reg / 16);
}

static void write(uint64_t phys, uint32_t reg, uint32_t value) {
    if (phys != 0)
        cpu_mmio_write32(phys + reg, value);
    else
        cpu_wrmsr(MSR_X2APIC + reg / 16, value);
}

static void mask(uint64_t phys, uint32_t reg, enum machine_state state) {
    uint32_t entry = read(phys, reg);
    uint32_t masked = state == MACHINE_SLIPWAY ? ENTRY_RESET : entry | ENTRY_MASKED;
    if (entry != masked && is_to_mask(entry, state))
        write(phys, reg, masked);
}

// Pins that the firmware uses for something else than interrupts stay as they are.
static void mask_for_nmis(uint64_t phys, const uint8_t *lints) {
    for (uint32_t i = 0; i < MADT_LINTS; i++) {
        uint32_t reg = LOCAL_LINT0 + i * LOCAL_STEP;
        if (lints[i] == 0 || !is_to_mask(read(phys, reg), MACHINE_LIMINE_STRICT))
            continue;
        write(phys, reg,
              ENTRY_MASKED | DELIVERY_NMI << ENTRY_DELIVERY |
                  (lints[i] & MADT_NMI_LOW ? ENTRY_LOW : 0) |
                  (lints[i] & MADT_NMI_LEVEL ? ENTRY_LEVEL : 0));
    }
}

// In the order in which they came with newer CPUs: a CPU has the first so many. In x2APIC mode the
// others must not be touched.
static void mask_local_vectors(uint64_t phys, enum machine_state state) {
    static const uint16_t entries[] = {LOCAL_TIMER,       LOCAL_LINT0,   LOCAL_LINT1, LOCAL_ERROR,
                                       LOCAL_PERFORMANCE, LOCAL_THERMAL, LOCAL_CMCI};
    uint32_t version = read(phys, LOCAL_VERSION);
    for (uint32_t i = 0; i < ARRAY_LEN(entries) && i <= highest_entry(version); i++)
        mask(phys, entries[i], state);
    uint32_t extended =
        version & VERSION_EXTENDED ? highest_entry(read(phys, LOCAL_EXTENDED_FEATURES)) : 0;
    for (uint32_t i = 0; i < extended; i++)
        mask(phys, LOCAL_EXTENDED + i * LOCAL_STEP, state);
}

// An end of interrupt is always that of the highest in service, so the highest register comes
// first. None comes into service meanwhile: interrupts are off.
static void end_all_in_service(uint64_t phys) {
    for (uint32_t i = IN_SERVICE_REGISTERS; i-- != 0;) {
        uint32_t bits = read(phys, LOCAL_IN_SERVICE + i * LOCAL_STEP);
        for (; bits != 0; bits &= bits - 1)
            write(phys, LOCAL_END_OF_INTERRUPT, 0);
    }
}

void apic_quiet_local(uint64_t phys, enum machine_state state, const uint8_t *lints) {
    mask_local_vectors(phys, state);
    if (state == MACHINE_LIMINE_STRICT)
        mask_for_nmis(phys, lints);
    write(phys, LOCAL_INITIAL_COUNT, 0);
    end_all_in_service(phys);
    write(phys, LOCAL_TASK_PRIORITY, 0);
    write(phys, LOCAL_SPURIOUS, SPURIOUS_ENABLED);
}

// ---- Modes

enum { LEAF_FEATURES = 1, LEAF_STRUCTURED = 7 };

static bool has_x2apic(void) {
    return cpu_cpuid(LEAF_FEATURES, 0).ecx & CPUID_1_ECX_X2APIC;
}

// The CPU refuses to leave x2APIC mode.
static bool is_locked(void) {
    if (cpu_cpuid(0, 0).eax < LEAF_STRUCTURED ||
        !(cpu_cpuid(LEAF_STRUCTURED, 0).edx & CPUID_7_EDX_ARCH_CAPS) ||
        !(cpu_rdmsr(MSR_ARCH_CAPS) & ARCH_CAPS_XAPIC_STATUS))
        return false;
    return cpu_rdmsr(MSR_XAPIC_STATUS) & XAPIC_STATUS_LOCKED;
}

EFI_STATUS apic_check_mode(enum machine_apic_mode wish, uint32_t highest_id) {
    struct lapic lapic;
    if (wish != MACHINE_APIC_XAPIC || !lapic_find(&lapic) || !lapic.is_x2apic)
        return EFI_SUCCESS;
    if (highest_id >= LAPIC_XAPIC_ID_ALL)
        return log_fail(EFI_UNSUPPORTED,
                        "the kernel wants xAPIC mode, in which no CPU has the APIC ID %u",
                        highest_id);
    if (is_locked())
        return log_fail(EFI_UNSUPPORTED,
                        "the kernel wants xAPIC mode, and the firmware has locked x2APIC mode");
    return EFI_SUCCESS;
}

uint64_t apic_wished_base(enum machine_apic_mode wish) {
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    if (wish == MACHINE_APIC_XAPIC)
        return (base & ~(uint64_t)APIC_BASE_X2APIC) | APIC_BASE_ENABLED;
    if (wish == MACHINE_APIC_X2APIC && has_x2apic())
        return base | APIC_BASE_X2APIC | APIC_BASE_ENABLED;
    return base;
}

// From x2APIC to xAPIC the way leads through off.
void apic_adopt_mode(uint64_t wanted_base) {
    const uint64_t mode = APIC_BASE_ENABLED | APIC_BASE_X2APIC;
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    if ((base & mode) == (wanted_base & mode))
        return;
    if (!(wanted_base & APIC_BASE_X2APIC))
        cpu_wrmsr(MSR_APIC_BASE, base & ~mode);
    cpu_wrmsr(MSR_APIC_BASE, (base & ~mode) | APIC_BASE_ENABLED);
    if (wanted_base & APIC_BASE_X2APIC)
        cpu_wrmsr(MSR_APIC_BASE, base | mode);
}
