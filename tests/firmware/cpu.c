// The fake CPU and the ports of the fake machine: CPUID, a TSC of 1 GHz, the power management
// timer, COM1, the interrupt controllers' masks; and the two ways to leave the loader for good.
#include "common/x86/cpu.h"

#include "common/x86/regs.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/fake.h"

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
    TSC_START = 5000000,
    NOTHING = 0xff, // what a port without a device gives
};

static uint64_t tsc;
void fake_reset_cpu(void) {
    tsc = TSC_START;
}

struct cpuid cpu_cpuid(uint32_t leaf, uint32_t subleaf) {
    if (fake.cpuid != NULL)
        return fake.cpuid(leaf, subleaf);
    switch (leaf) {
    case 0:
        return (struct cpuid){.eax = 7};
    case 1:
        return (struct cpuid){.edx = fake.has_mce ? CPUID_1_EDX_MCE : 0};
    case 7:
        return (struct cpuid){
            .ebx = CPUID_7_EBX_SMEP,
            .ecx = CPUID_7_ECX_UMIP |
                   (fake.has_la57 || fake.paging_levels == 5 ? (uint32_t)CPUID_7_ECX_LA57 : 0),
            .edx = fake.has_cet ? CPUID_7_EDX_CET_IBT : 0};
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
    if (fake.tsc_steps_back && tsc >= TSC_START + 20 * FAKE_TSC_STEP)
        tsc = TSC_START / 2;
    return tsc += FAKE_TSC_STEP;
}

void fake_pass_time(uint64_t counts) {
    tsc += counts;
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
    return fake.com1_input != NULL && *fake.com1_input != '\0';
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
    if ((byte == '\n') != fake.com1_ends_line)
        fake_record_breach("COM1 was sent a line's end that is not CR LF");
    fake.com1_ends_line = byte == '\r';
    fake.com1_busy += fake.com1_busy_a_byte;
    if (byte != '\r' && fake.com1_bytes != sizeof(fake.com1) - 1)
        fake.com1[fake.com1_bytes++] = (char)byte;
}

void cpu_out8(uint16_t port, uint8_t value) {
    if (port == PIC_MASTER || port == PIC_SLAVE)
        fake.pic_masks[port == PIC_SLAVE] = value;
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

uint64_t cpu_rdmsr(uint32_t msr) {
    if (msr == MSR_SEV)
        return fake.is_sev_guest;
    return EFER_LME | EFER_LMA | EFER_NXE; // for the report of a fault
}

void cpu_wrmsr(uint32_t msr, uint64_t value) {
    fake.s_cet_was_cleared |= msr == MSR_S_CET && value == 0;
}

uint64_t cpu_read_cr0(void) {
    return CR0_PE | CR0_WP | CR0_PG;
}

uint64_t cpu_read_cr2(void) {
    return 0;
}

uint64_t cpu_read_cr3(void) {
    return fake.cpu.root;
}

uint64_t cpu_read_cr4(void) {
    return CR4_PAE | (fake.paging_levels == 5 ? CR4_LA57 : 0);
}

void cpu_interrupts_off(void) {
    fake.interrupts_are_off = true;
}

void cpu_stop(void) {
    fake_end_boot(FAKE_STOPPED);
}

// ---- In place of loader/enter.S

const char enter_switch_start[1];
const char enter_loaded[1];

void enter_switch(const struct enter_cpu *cpu) {
    fake.cpu = *cpu;
    fake.cpu_address = (uintptr_t)cpu;
    fake_end_boot(FAKE_ENTERED);
}
