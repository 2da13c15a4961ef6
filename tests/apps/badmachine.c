// Stands for firmware that leaves all that can interrupt a kernel, or hinder its DMA, in a state
// that no kernel wants: sets COM1 to 9600 baud and starts \EFI\BOOT\LOADER.EFI of its own volume.
// When ExitBootServices has succeeded, it makes disorder in the local APIC, the I/O APIC, HPET, PIT
// and IOMMU of a QEMU machine and says on COM1 what it then finds there.
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "common/x86/trap.h"
#include "tests/apps/start.h"

// Where QEMU has them.
#define IO_APIC UINT64_C(0xfec00000)
#define HPET    UINT64_C(0xfed00000)
#define AMD     UINT64_C(0xfed80000)
#define VTD     UINT64_C(0xfed90000)

enum {
    // SDM 3A table 11-1.
    LOCAL_TASK_PRIORITY = 0x80,
    LOCAL_SPURIOUS = 0xf0,
    LOCAL_IN_SERVICE = 0x100,
    LOCAL_REQUESTED = 0x200,
    LOCAL_COMMAND = 0x300,
    LOCAL_TIMER = 0x320,
    LOCAL_THERMAL = 0x330,
    LOCAL_INITIAL_COUNT = 0x380,
    LOCAL_DIVIDE = 0x3e0,
    LOCAL_SELF = 0x40000,
    TIMER_PERIODIC = 1 << 17,
    DIVIDE_BY_128 = 0xa,

    PINS = 24,
    PIN_OF_COM1 = 4,
    ENTRY_LEVEL = 1 << 15,

    COM1 = 0x3f8,
    COM1_TRANSMITTER_EMPTY = 2, // its interrupt
    COM1_DIVISOR = 0x80,
    COM1_8N1 = 3,
    BAUD_9600 = 12,

    VECTORS = 256,
    GATE_INTERRUPT = 0x8e,
};

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);
void badmachine_handler(void);

static EFI_EXIT_BOOT_SERVICES exit_boot_services;
static UINT64 tables; // three pages of zeros, for the IOMMU
static UINT64 local_apic;

static UINT64 gates[VECTORS][2];

static void say(const char *name, UINT64 value) {
    serial_text(" ");
    serial_text(name);
    serial_text("=");
    serial_hex(value);
}

// ---- APICs

static void use_own_idt(void) {
    UINT64 handler = (UINT64)badmachine_handler;
    UINT16 selector;
    __asm__ volatile("mov %%cs, %0" : "=r"(selector));
    for (unsigned i = 0; i < VECTORS; i++) {
        gates[i][0] = (handler & 0xffff) | (UINT64)selector << 16 | (UINT64)GATE_INTERRUPT << 40 |
                      (handler >> 16 & 0xffff) << 48;
        gates[i][1] = handler >> 32;
    }
    struct trap_table_pointer idt = {sizeof(gates) - 1, (UINT64)gates};
    __asm__ volatile("lidt %0" ::"m"(idt));
}

static UINT32 read_local(unsigned reg) {
    return cpu_mmio_read32(local_apic + reg);
}

static void write_local(unsigned reg, UINT32 value) {
    cpu_mmio_write32(local_apic + reg, value);
}

static void let_in(void) {
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
}

static void write_io(unsigned reg, UINT32 value) {
    cpu_mmio_write32(IO_APIC, reg);
    cpu_mmio_write32(IO_APIC + 0x10, value);
}

static UINT32 read_io(unsigned reg) {
    cpu_mmio_write32(IO_APIC, reg);
    return cpu_mmio_read32(IO_APIC + 0x10);
}

// Every vector that is let in stays in service: from then on a higher one alone gets through.
static void spoil_apics(void) {
    write_local(LOCAL_SPURIOUS, 0x12f);
    write_local(LOCAL_TASK_PRIORITY, 0);
    write_local(LOCAL_COMMAND, LOCAL_SELF | 0x41);
    let_in();
    write_local(LOCAL_COMMAND, LOCAL_SELF | 0x61);
    let_in();
    write_local(LOCAL_COMMAND, LOCAL_SELF | 0x51); // remains pending
    write_io(0x10 + 2 * PIN_OF_COM1, ENTRY_LEVEL | 0x71);
    write_io(0x11 + 2 * PIN_OF_COM1, 0);
    port_write(COM1 + 1, COM1_TRANSMITTER_EMPTY); // it is
    let_in();
    for (unsigned pin = 0; pin < PINS; pin++)
        if (pin != PIN_OF_COM1)
            write_io(0x10 + 2 * pin, 0x80 + pin);
    // It comes after half a minute on QEMU: not before the loader is there, on a host that is as
    // busy as hosts are. What is pending then is what was sent here.
    write_local(LOCAL_DIVIDE, DIVIDE_BY_128);
    write_local(LOCAL_TIMER, TIMER_PERIODIC | 0x42);
    write_local(LOCAL_INITIAL_COUNT, 0x10000000);
    for (unsigned reg = LOCAL_THERMAL; reg < LOCAL_INITIAL_COUNT; reg += 0x10)
        write_local(reg, 0x40 + reg / 0x10 % 0x10);
    write_local(LOCAL_TASK_PRIORITY, 0x50);
    say("spurious", read_local(LOCAL_SPURIOUS));
    say("priority", read_local(LOCAL_TASK_PRIORITY));
    say("timer", read_local(LOCAL_TIMER));
    say("count", read_local(LOCAL_INITIAL_COUNT));
    say("service2", read_local(LOCAL_IN_SERVICE + 0x20));
    say("service3", read_local(LOCAL_IN_SERVICE + 0x30));
    say("pin4", read_io(0x10 + 2 * PIN_OF_COM1));
    say("pin9", read_io(0x10 + 2 * 9));
}

// ---- Timers

// MC146818: its interrupt is line 8 of the legacy controllers, all of whose lines are let through
// here.
enum { RTC_B = 0x0b, RTC_C = 0x0c, RTC_PERIODIC = 1 << 6 };

// The lines of both 8259s.
static void mask_legacy(UINT8 masked) {
    port_write(0x21, masked);
    port_write(0xa1, masked);
}

static UINT8 read_rtc(UINT8 reg) {
    port_write(0x70, reg);
    return port_read(0x71);
}

static void write_rtc(UINT8 reg, UINT8 value) {
    port_write(0x70, reg);
    port_write(0x71, value);
    (void)read_rtc(RTC_C); // or no interrupt would come any more
    mask_legacy(0);
}

// Before the APICs: the HPET takes the places of PIT and RTC, so that of them nothing comes between
// two steps there, however long the host lets those last.
static void spoil_hpet(void) {
    enum { CONFIGURATION = 0x10, TIMER_0 = 0x100, TIMER_1 = 0x120, INTERRUPTS = 1 << 2 };
    cpu_mmio_write32(HPET + TIMER_0, INTERRUPTS | 1 << 3);
    cpu_mmio_write32(HPET + TIMER_1, INTERRUPTS | 1 << 1);
    cpu_mmio_write32(HPET + CONFIGURATION, 3); // counts, in their place
    say("hpet", cpu_mmio_read32(HPET + CONFIGURATION));
    say("hpet0", cpu_mmio_read32(HPET + TIMER_0) & INTERRUPTS);
}

static void spoil_timers(void) {
    port_write(0x43, 0x34); // mode 2, 12 kHz
    port_write(0x40, 100);
    port_write(0x40, 0);
    port_write(0x43, 0xe2);
    write_rtc(RTC_B, read_rtc(RTC_B) | RTC_PERIODIC); // 1 kHz, as the firmware has it
    say("pit", port_read(0x40) & 0x3f);
    say("rtc", read_rtc(RTC_B));
    // Of COM1 at the 8259, too, with the vector of LINT0's entry.
    say("pending2", read_local(LOCAL_REQUESTED + 0x20));
}

// ---- IOMMUs

static void command_vtd(UINT32 bit) {
    enum { COMMAND = 0x18, STATUS = 0x1c };
    UINT32 kept = cpu_mmio_read32(VTD + STATUS) & 0x96ffffff;
    cpu_mmio_write32(VTD + COMMAND, kept | bit);
}

// No device has an entry in a table of zeros: its DMA and its interrupts go nowhere.
static void spoil_vtd(void) {
    enum { STATUS = 0x1c, ROOT = 0x20, QUEUE_TAIL = 0x88, QUEUE = 0x90, REMAPPING = 0xb8 };
    cpu_mmio_write32(VTD + ROOT, (UINT32)tables);
    command_vtd(1u << 30);
    // One command: to wait for those before it, and to store 1 (6.5.2.8).
    UINT64 *queue = (UINT64 *)(tables + 0x1000);
    queue[0] = 5 | 1 << 5 | UINT64_C(1) << 32;
    queue[1] = tables + 0x1800;
    cpu_mmio_write32(VTD + QUEUE_TAIL, 0);
    cpu_mmio_write32(VTD + QUEUE, (UINT32)tables + 0x1000);
    command_vtd(1u << 26);
    cpu_mmio_write32(VTD + QUEUE_TAIL, 2 * sizeof(queue[0]));
    cpu_mmio_write32(VTD + REMAPPING, ((UINT32)tables + 0x2000) | 7); // of 256 entries
    command_vtd(1u << 24);
    command_vtd(1u << 25);
    command_vtd(1u << 31);
    say("vtd", cpu_mmio_read32(VTD + STATUS));
}

static void spoil_amd(void) {
    enum { CONTROL = 0x18 };
    cpu_mmio_write32(AMD + CONTROL, cpu_mmio_read32(AMD + CONTROL) | 1);
    say("amd", cpu_mmio_read32(AMD + CONTROL));
}

static void spoil_iommus(void) {
    enum { VTD_VERSION = 0x00, AMD_FEATURES = 0x30 };
    if (cpu_mmio_read32(VTD + VTD_VERSION) != 0)
        spoil_vtd();
    if (cpu_mmio_read32(AMD + AMD_FEATURES) != 0)
        spoil_amd();
}

static EFI_STATUS EFIAPI exit_and_spoil(EFI_HANDLE image, UINTN map_key) {
    EFI_STATUS status = exit_boot_services(image, map_key);
    if (EFI_ERROR(status))
        return status;
    cpu_interrupts_off();
    local_apic = cpu_rdmsr(MSR_APIC_BASE) & CR3_ROOT;
    serial_text("BADMACHINE");
    use_own_idt();
    mask_legacy(0xff); // one that is let in would stay in service, and hide COM1's
    spoil_hpet();
    spoil_apics();
    spoil_timers();
    spoil_iommus();
    serial_text("\r\n");
    return status;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_HANDLE loader = start_load(image, services);
    EFI_PHYSICAL_ADDRESS pages = UINT32_MAX;
    need("AllocatePages",
         services->AllocatePages(AllocateMaxAddress, EfiBootServicesData, 3, &pages));
    services->SetMem((void *)pages, 3 * 4096, 0);
    tables = pages;
    exit_boot_services = services->ExitBootServices;
    services->ExitBootServices = exit_and_spoil;
    port_write(COM1 + 3, COM1_DIVISOR | COM1_8N1);
    port_write(COM1, BAUD_9600);
    port_write(COM1 + 1, 0);
    port_write(COM1 + 3, COM1_8N1);
    return services->StartImage(loader, NULL, NULL);
}
