// The fake CPU and the ports of the fake machine: CPUID, a TSC of 1 GHz, registers, the power
// management timer, COM1, the interrupt controllers' masks; and the ways to leave the loader for
// good.
#include "common/x86/cpu.h"

#include "common/x86/regs.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/fake_parts.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    COM1 = 0x3f8,
    COM1_FCR = COM1 + 2, // when written; the IIR when read
    COM1_LCR = COM1 + 3,
    COM1_LSR = COM1 + 5,
    COM1_SCRATCH = COM1 + 7,
    LCR_DIVISOR = 0x80,
    FCR_CLEAR_INPUT = 0x02,
    IIR_NONE = 0x01,
    IIR_FIFOS = 0xc0,
    LSR_DATA_READY = 0x01,
    LSR_OVERRUN = 0x02,
    LSR_ROOM = 0x20,
    LSR_EMPTY = 0x40,
    PIC_MASTER = 0x21,
    PIC_SLAVE = 0xa1,
    PIT_CONTROL = 0x43,
    TSC_START = 5000000,
    NOTHING = 0xff, // what a port without a device gives
    PAUSE_COUNTS = 10000,
};

static uint64_t tsc;
static uint64_t x2apic[0x100]; // registers of the local APIC in that mode

void fake_reset_cpu(void) {
    tsc = TSC_START;
    fake.registers = (struct fake_registers){
        .cr0 = CR0_PE | CR0_WP | CR0_PG,
        .cr4 = CR4_PAE,
        .apic_base = FAKE_LAPIC_PHYS | APIC_BASE_ENABLED | 1 << 8, // it boots
        .s_cet = 3,
        .mtrr_default = MTRR_DEFAULT_ON | 1 << 10 | 6, // fixed ranges are on, too; write-back
    };
    // RAM is write-back: the two registers of that below 640 KiB, and what lies beside the variable
    // ranges, which are in reserved memory.
    for (unsigned i = 0; i < MTRR_FIXED; i++)
        fake.registers.mtrr_fixed[i] =
            UINT64_C(0x0606060606060606) ^ (i < 2 ? 0 : UINT64_C(1) << 4 * i);
    for (unsigned i = 0; i < FAKE_MTRRS_MAX; i++) {
        fake.registers.mtrr_variable[i][0] = UINT64_C(0xfd00000000) | (uint64_t)i << 20;
        fake.registers.mtrr_variable[i][1] = UINT64_C(0xfffff00000) | i << 12 | 1 << 11;
    }
}

[[gnu::format(printf, 1, 2)]] static void trace(const char *format, ...) {
    if (!fake.traces)
        return;
    va_list arguments;
    va_start(arguments, format);
    size_t left = sizeof(fake.trace) - fake.trace_bytes;
    int bytes = vsnprintf(fake.trace + fake.trace_bytes, left, format, arguments);
    va_end(arguments);
    fake.trace_bytes += (size_t)bytes < left ? (size_t)bytes : left - 1;
}

struct cpuid cpu_cpuid(uint32_t leaf, uint32_t subleaf) {
    if (fake.cpuid != NULL)
        return fake.cpuid(leaf, subleaf);
    if (subleaf != 0) // nobody needs any of those
        return (struct cpuid){0};
    switch (leaf) {
    case 0:
        return (struct cpuid){.eax = fake.has_tsc_leaf ? 0x15 : fake.has_topology ? 0xB : 7};
    case 1:
        return (struct cpuid){.ebx = fake.apic_id << 24 | 0x10800,
                              .ecx = (fake.rdrand != NULL ? CPUID_1_ECX_RDRAND : 0) |
                                     (fake.has_x2apic ? (uint32_t)CPUID_1_ECX_X2APIC : 0) |
                                     (fake.has_sha ? CPUID_1_ECX_SSSE3 : 0),
                              .edx = (fake.has_mce ? CPUID_1_EDX_MCE : 0) |
                                     (fake.has_apic ? CPUID_1_EDX_APIC : 0) |
                                     (fake.has_mtrrs ? CPUID_1_EDX_MTRR : 0)};
    case 7:
        if (subleaf != 0)
            return (struct cpuid){0};
        return (struct cpuid){
            .ebx = CPUID_7_EBX_SMEP | (fake.rdseed != NULL ? CPUID_7_EBX_RDSEED : 0) |
                   (fake.has_sha ? (uint32_t)CPUID_7_EBX_SHA : 0),
            .ecx = CPUID_7_ECX_UMIP |
                   (fake.has_la57 || fake.paging_levels == 5 ? (uint32_t)CPUID_7_ECX_LA57 : 0),
            .edx = (fake.has_cet ? CPUID_7_EDX_CET_IBT : 0) |
                   (fake.x2apic_locked ? CPUID_7_EDX_ARCH_CAPS : 0)};
    case 0xB:
        return (struct cpuid){.eax = 1, .ebx = 2, .ecx = 0x100, .edx = fake.apic_id};
    case 0x15:
        return (struct cpuid){.eax = 1, .ebx = 1, .ecx = FAKE_TSC_HZ};
    case 0x80000000:
        return (struct cpuid){.eax = 0x8000001F};
    case 0x8000001F:
        return (struct cpuid){.eax = fake.is_sev_guest ? CPUID_8000001F_EAX_SEV : 0};
    case 0x80000001:
        return (struct cpuid){.edx = CPUID_80000001_EDX_NX |
                                     (fake.has_1g ? (uint32_t)CPUID_80000001_EDX_1G : 0)};
    case 0x80000008:
        return (struct cpuid){.eax = fake.paddr_bits};
    default:
        return (struct cpuid){0};
    }
}

uint64_t cpu_rdtsc(void) {
    fake_look_at_lapic();
    if (fake.tsc_steps_back && tsc >= TSC_START + 20 * FAKE_TSC_STEP)
        tsc = TSC_START / 2;
    return tsc += FAKE_TSC_STEP;
}

uint64_t fake_tsc(void) {
    return tsc;
}

bool cpu_rdrand(uint64_t *ret_value) {
    return fake.rdrand(ret_value);
}

bool cpu_rdseed(uint64_t *ret_value) {
    return fake.rdseed(ret_value);
}

void fake_pass_time(uint64_t counts) {
    tsc += counts;
}

void cpu_pause(void) {
    if (fake.in_pause != NULL) {
        fake.in_pause();
        return;
    }
    if (fake_is_other_cpu())
        fake_end_other_cpu(/*stops=*/false); // it waits for the kernel
    tsc += PAUSE_COUNTS;
    fake_look_at_lapic();
    fake_go_on();
}

void cpu_fence(void) {
    trace("fence ");
    fake_look_at_lapic();
    fake_fence_lapic();
}

uint32_t cpu_in32(uint16_t port) {
    if (port != FAKE_PM_TIMER_PORT || !fake.has_pm_timer) {
        fake_record_breach("port 0x%x is read, where nothing is", port);
        return UINT32_MAX;
    }
    if (fake.pm_timer != NULL)
        return fake.pm_timer();
    return (uint32_t)(tsc * 3579545 / FAKE_TSC_HZ) & 0xffffff;
}

static uint8_t *com1_register(uint16_t port) {
    bool is_divisor = (fake.com1_registers[COM1_LCR - COM1] & LCR_DIVISOR) && port < COM1 + 2;
    return is_divisor ? &fake.com1_divisor[port - COM1] : &fake.com1_registers[port - COM1];
}

static bool has_com1_input(void) {
    return fake.com1_input != NULL && fake.stalled_us >= fake.com1_input_ms * UINT64_C(1000) &&
           *fake.com1_input != '\0';
}

static uint8_t com1_status(void) {
    uint8_t status =
        (has_com1_input() ? LSR_DATA_READY : 0) | (fake.com1_overran ? LSR_OVERRUN : 0);
    fake.com1_overran = false;
    fake.com1_polls++;
    fake.com1_busy -= fake.com1_busy != 0;
    if (fake.uart_is_stuck || (fake.uart_takes != 0 && fake.com1_bytes >= fake.uart_takes))
        return status;
    return status | LSR_ROOM | (fake.com1_busy == 0 ? LSR_EMPTY : 0);
}

uint8_t cpu_in8(uint16_t port) {
    if (!fake.has_uart || port < COM1 || port > COM1_SCRATCH)
        return NOTHING;
    if (port == COM1_FCR)
        return IIR_NONE | (fake.com1_has_fifos ? IIR_FIFOS : 0);
    if (port == COM1_LSR)
        return com1_status();
    uint8_t *slot = com1_register(port);
    if (slot == &fake.com1_registers[0] && has_com1_input())
        return (uint8_t)*fake.com1_input++;
    return *slot;
}

void fake_send_to_com1(uint8_t byte) {
    bool moves = fake.console_keeps_cr && byte != '\n';
    if ((byte == '\n') != fake.com1_ends_line && !moves)
        fake_record_breach("COM1 was sent a line's end that is not CR LF");
    fake.com1_ends_line = byte == '\r';
    fake.com1_busy += fake.com1_busy_a_byte;
    if (byte != '\r' && fake.com1_bytes != sizeof(fake.com1) - 1)
        fake.com1[fake.com1_bytes++] = (char)byte;
}

void cpu_out8(uint16_t port, uint8_t value) {
    if (port == PIC_MASTER || port == PIC_SLAVE)
        fake.pic_masks[port == PIC_SLAVE] = value;
    if (port == PIT_CONTROL)
        fake.pit_control = value;
    if (fake.exited && !fake.interrupts_are_off)
        fake_record_breach("port 0x%x was written after the exit with interrupts on", port);
    if (!fake.has_uart || port < COM1 || port > COM1_SCRATCH)
        return;
    uint8_t *slot = com1_register(port);
    bool is_divisor = slot == &fake.com1_divisor[0] || slot == &fake.com1_divisor[1];
    if (fake.com1_busy != 0 && (port == COM1_FCR || is_divisor))
        fake_record_breach("port 0x%x was written while COM1 was sending", port);
    fake.com1_has_fifos |= port == COM1_FCR && (value & 1);
    if (port == COM1_FCR && (value & FCR_CLEAR_INPUT))
        fake.com1_input = NULL;
    if (slot == &fake.com1_registers[0])
        fake_send_to_com1(value);
    else if (port != COM1_FCR) // write-only
        *slot = value;
}

static bool is_lapic(uint64_t address) {
    return fake.has_apic && !(fake.registers.apic_base & APIC_BASE_X2APIC) &&
           address - FAKE_LAPIC_PHYS < 4096;
}

uint32_t cpu_mmio_read32(uint64_t address) {
    if (fake.mmio_read != NULL)
        return fake.mmio_read(address);
    if (is_lapic(address))
        return *(const uint32_t *)(uintptr_t)address;
    fake_record_breach("a device is read at 0x%lx, where none is", address);
    return UINT32_MAX;
}

void cpu_mmio_write32(uint64_t address, uint32_t value) {
    if (!fake.exited || !fake.interrupts_are_off)
        fake_record_breach("a device is written at 0x%lx before the machine is the loader's",
                           address);
    if (fake.mmio_write != NULL)
        fake.mmio_write(address, value);
    else if (is_lapic(address))
        *(uint32_t *)(uintptr_t)address = value;
    else
        fake_record_breach("a device is written at 0x%lx, where none is", address);
}

static bool is_of_apic(uint32_t msr) {
    return msr == MSR_APIC_BASE || (msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x100);
}

// ---- Registers

// The register of a memory type range that this MSR is, or null.
static uint64_t *mtrr_register(uint32_t msr) {
    const uint64_t variable = fake.mtrr_cap & MTRR_CAP_VARIABLE;
    struct fake_registers *registers = &fake.registers;
    if (!fake.has_mtrrs)
        return NULL;
    if (msr == MSR_MTRR_DEFAULT)
        return &registers->mtrr_default;
    if (msr >= MSR_MTRR_BASE(0) && msr < MSR_MTRR_BASE(variable))
        return &registers->mtrr_variable[(msr - MSR_MTRR_BASE(0)) / 2][msr % 2];
    if (!(fake.mtrr_cap & MTRR_CAP_FIXED))
        return NULL;
    if (msr == MSR_MTRR_FIX64K)
        return &registers->mtrr_fixed[0];
    if (msr >= MSR_MTRR_FIX16K && msr < MSR_MTRR_FIX16K + 2)
        return &registers->mtrr_fixed[1 + msr - MSR_MTRR_FIX16K];
    if (msr >= MSR_MTRR_FIX4K && msr < MSR_MTRR_FIX4K + 8)
        return &registers->mtrr_fixed[3 + msr - MSR_MTRR_FIX4K];
    return NULL;
}

static bool is_in_x2apic_mode(void) {
    return fake.has_apic && (fake.registers.apic_base & APIC_BASE_X2APIC);
}

uint64_t cpu_rdmsr(uint32_t msr) {
    const uint64_t *mtrr = mtrr_register(msr);
    if (mtrr != NULL)
        return *mtrr;
    if (msr == MSR_ARCH_CAPS && fake.x2apic_locked)
        return ARCH_CAPS_XAPIC_STATUS;
    if (msr == MSR_XAPIC_STATUS && fake.x2apic_locked)
        return XAPIC_STATUS_LOCKED;
    if (msr == MSR_SEV)
        return fake.is_sev_guest;
    if (is_of_apic(msr) && fake.apic_rdmsr != NULL)
        return fake.apic_rdmsr(msr);
    if (msr == MSR_EFER) // for the report of a fault
        return EFER_LME | EFER_LMA | EFER_NXE;
    if (msr == MSR_APIC_BASE && fake.has_apic)
        return fake.registers.apic_base;
    if (msr == MSR_X2APIC + 2 && is_in_x2apic_mode())
        return fake.apic_id;
    if (is_of_apic(msr) && is_in_x2apic_mode())
        return x2apic[msr - MSR_X2APIC];
    if (msr == MSR_MTRR_CAP && fake.has_mtrrs)
        return fake.mtrr_cap;
    fake_record_breach("MSR 0x%x was read, which is not there", msr);
    return 0;
}

// SDM 3A figure 11-27: to x2APIC from xAPIC alone, and from there to off alone.
static void write_apic_base(uint64_t value) {
    const uint64_t mode = APIC_BASE_ENABLED | APIC_BASE_X2APIC;
    uint64_t from = fake.registers.apic_base & mode;
    uint64_t to = value & mode;
    bool is_step = to == from || to == 0 || (from == 0 && to == APIC_BASE_ENABLED) ||
                   (from == APIC_BASE_ENABLED && to == mode);
    if (!fake.has_apic || !is_step)
        fake_record_breach("IA32_APIC_BASE was written: 0x%lx, from 0x%lx", value,
                           fake.registers.apic_base);
    fake.registers.apic_base = value;
}

void cpu_wrmsr(uint32_t msr, uint64_t value) {
    uint64_t *mtrr = mtrr_register(msr);
    trace("%x=%lx ", msr, value);
    if (is_of_apic(msr) && fake.apic_wrmsr != NULL) {
        fake.apic_wrmsr(msr, value);
    } else if (mtrr != NULL) {
        *mtrr = value;
    } else if (msr == MSR_S_CET && fake.has_cet) {
        fake.registers.s_cet = value;
        fake.s_cet_was_cleared |= value == 0;
    } else if (msr == MSR_APIC_BASE) {
        write_apic_base(value);
    } else if (msr == MSR_X2APIC + 0x30 && is_in_x2apic_mode()) {
        fake_send_command((uint32_t)(value >> 32), (uint32_t)value);
    } else if (is_of_apic(msr) && is_in_x2apic_mode()) {
        x2apic[msr - MSR_X2APIC] = value;
    } else {
        fake_record_breach("MSR 0x%x was written, which is not there", msr);
    }
}

uint64_t cpu_read_cr0(void) {
    return fake.registers.cr0;
}

uint64_t cpu_read_cr2(void) {
    return fake.cr2;
}

uint64_t cpu_read_cr3(void) {
    return fake.cpu.root != 0 ? fake.cpu.root : fake.firmware_root;
}

uint64_t cpu_read_cr4(void) {
    bool is_firmwares = fake.paging_levels == 5 && !fake_is_other_cpu();
    return fake.registers.cr4 | (is_firmwares ? CR4_LA57 : 0);
}

void cpu_write_cr0(uint64_t value) {
    trace("cr0=%lx ", value);
    fake.registers.cr0 = value;
}

void cpu_write_cr3(uint64_t value) {
    trace("cr3=%lx ", value);
}

void cpu_write_cr4(uint64_t value) {
    trace("cr4=%lx ", value);
    fake.registers.cr4 = value;
}

void cpu_write_back_caches(void) {
    trace("wbinvd ");
}

void cpu_interrupts_off(void) {
    fake.interrupts_are_off = true;
}

void cpu_stop(void) {
    if (fake_is_other_cpu())
        fake_end_other_cpu(/*stops=*/true);
    fake_end_boot(FAKE_STOPPED);
}

// ---- In place of loader/enter.S and loader/park.S

const char enter_switch_start[1];
const char enter_loaded[1];
const char park_find[1];

[[gnu::noreturn]] static void enter(const struct enter_cpu *cpu) {
    fake.cpu = *cpu;
    fake.cpu_address = (uintptr_t)cpu;
    fake_end_boot(FAKE_ENTERED);
}

void enter_switch(const struct enter_cpu *cpu) {
    fake_look_at_lapic();
    enter(cpu);
}

void enter_jump(const struct enter_cpu *cpu) {
    enter(cpu);
}
