// See apic.h.
#include "loader/apic.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"

#include <stdbool.h>

enum {
    // Of an entry in either kind of controller.
    ENTRY_DELIVERY = 7 << 8,
    ENTRY_SMI = 2 << 8,
    ENTRY_RESET = 1 << 16, // masked; vector 0, fixed, edge triggered

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

// An SMI's entry is left alone.
static bool is_to_reset(uint32_t entry) {
    return entry != ENTRY_RESET && (entry & ENTRY_DELIVERY) != ENTRY_SMI;
}

void apic_quiet_io(uint64_t phys) {
    cpu_mmio_write32(phys + IO_SELECT, IO_VERSION);
    uint64_t count = highest_entry(cpu_mmio_read32(phys + IO_DATA)) + 1;
    count = min_u64(count, IO_ENTRIES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        cpu_mmio_write32(phys + IO_SELECT, IO_ENTRIES + 2 * i);
        if (is_to_reset(cpu_mmio_read32(phys + IO_DATA)))
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

static void mask(uint64_t phys, uint32_t reg) {
    if (is_to_reset(read(phys, reg)))
        write(phys, reg, ENTRY_RESET);
}

// In the order in which they came with newer CPUs: a CPU has the first so many. In x2APIC mode the
// others must not be touched.
static void mask_local_vectors(uint64_t phys) {
    static const uint16_t entries[] = {LOCAL_TIMER,       LOCAL_LINT0,   LOCAL_LINT1, LOCAL_ERROR,
                                       LOCAL_PERFORMANCE, LOCAL_THERMAL, LOCAL_CMCI};
    uint32_t version = read(phys, LOCAL_VERSION);
    for (uint32_t i = 0; i < ARRAY_LEN(entries) && i <= highest_entry(version); i++)
        mask(phys, entries[i]);
    uint32_t extended =
        version & VERSION_EXTENDED ? highest_entry(read(phys, LOCAL_EXTENDED_FEATURES)) : 0;
    for (uint32_t i = 0; i < extended; i++)
        mask(phys, LOCAL_EXTENDED + i * LOCAL_STEP);
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

void apic_quiet_local(uint64_t phys) {
    mask_local_vectors(phys);
    write(phys, LOCAL_INITIAL_COUNT, 0);
    end_all_in_service(phys);
    write(phys, LOCAL_TASK_PRIORITY, 0);
    write(phys, LOCAL_SPURIOUS, SPURIOUS_ENABLED);
}
