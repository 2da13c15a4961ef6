#include "tests/firmware/hardware.h"

#include "common/x86/regs.h"
#include "tests/firmware/fake_parts.h"
#include "tests/unit/support/acpi_fake.h"

#include <stdlib.h>
#include <string.h>

enum {
    PAGE_BYTES = 4096,
    TABLES = 4,
    TABLE_BYTES = 0x400,
    LOCAL_TIMER_COUNT = 0x38,
    LOCAL_IN_SERVICE = 0x10,
};

struct hardware hardware;

static uint8_t tables[TABLES][TABLE_BYTES];
static const char signatures[TABLES][5] = {"APIC", "HPET", "DMAR", "IVRS"};

// ---- Local APIC

static uint32_t read_local(uint32_t reg) {
    if (reg < LOCAL_IN_SERVICE || reg >= LOCAL_IN_SERVICE + 8)
        return hardware.local[reg];
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 32; i++)
        bits |= (uint32_t)hardware.in_service[(reg - LOCAL_IN_SERVICE) * 32 + i] << i;
    return bits;
}

static bool is_open(uint32_t entry) {
    return !(entry & 1 << 16) && (entry >> 8 & 7) != 2;
}

static void end_highest(void) {
    for (unsigned i = 0; i < HARDWARE_IO_APICS; i++) {
        for (unsigned pin = 0; pin < HARDWARE_PINS; pin++)
            hardware.ends_too_early += is_open(hardware.io[i].entries[pin]);
    }
    unsigned vector = 256;
    while (vector-- != 0 && !hardware.in_service[vector]) {
    }
    if (vector >= 256)
        fake_record_breach("an end of interrupt with none in service");
    else
        hardware.in_service[vector] = false;
    hardware.ends++;
}

static void write_local(uint32_t reg, uint32_t value) {
    bool is_counter = reg == LOCAL_TIMER_COUNT;
    if (reg == 0x0b && value == 0)
        end_highest();
    else if (reg == 0x08 || reg == 0x0f || reg == 0x2f || (reg >= 0x32 && reg <= 0x37) ||
             is_counter || (reg >= 0x50 && reg < 0x54))
        hardware.local[reg] = value;
    else
        fake_record_breach("register 0x%x of the local APIC is written", reg);
}

static uint32_t local_register(uint64_t phys) {
    if (phys % 16 != 0)
        fake_record_breach("0x%lx is accessed, between two registers", phys);
    return (uint32_t)(phys - HARDWARE_LOCAL_APIC) / 16;
}

static uint64_t read_msr(uint32_t msr) {
    if (msr == MSR_APIC_BASE)
        return hardware.apic_base;
    if (!(hardware.apic_base & APIC_BASE_X2APIC))
        fake_record_breach("MSR 0x%x is read in xAPIC mode", msr);
    return read_local(msr - MSR_X2APIC);
}

static void write_msr(uint32_t msr, uint64_t value) {
    if (msr == MSR_APIC_BASE) {
        hardware.apic_base = hardware.is_stuck_off ? value & ~(uint64_t)APIC_BASE_ENABLED : value;
        return;
    }
    if (!(hardware.apic_base & APIC_BASE_X2APIC))
        fake_record_breach("MSR 0x%x is written in xAPIC mode", msr);
    write_local(msr - MSR_X2APIC, (uint32_t)value);
}

// ---- I/O APICs

static uint32_t *io_data(struct hardware_io_apic *io) {
    if (io->select == 1)
        return &io->version;
    uint32_t pin = (io->select - 0x10) / 2;
    if (io->select < 0x10 || io->select > 0xff || pin > (io->version >> 16 & 0xff))
        fake_record_breach("register 0x%x of an I/O APIC, which it has not", io->select);
    return &io->entries[pin % HARDWARE_PINS];
}

static uint32_t *io_register(struct hardware_io_apic *io, uint64_t phys) {
    if (phys != io->phys && phys != io->phys + 0x10)
        fake_record_breach("0x%lx is accessed, which is no register", phys);
    return phys == io->phys ? &io->select : io_data(io);
}

// ---- HPET

static uint32_t *hpet_register(uint32_t reg) {
    if (reg == 0)
        return &hardware.hpet.capabilities;
    if (reg == 0x10)
        return &hardware.hpet.configuration;
    uint32_t timer = (reg - 0x100) / 0x20;
    if (reg < 0x100 || reg % 0x20 != 0 || timer > (hardware.hpet.capabilities >> 8 & 0x1f))
        fake_record_breach("register 0x%x of the HPET", reg);
    return &hardware.hpet.timers[timer % HARDWARE_HPET_TIMERS];
}

// ---- IOMMUs

static uint32_t read_vtd(struct hardware_vtd *unit, uint32_t reg) {
    switch (reg) {
    case 0x00:
        return 0x10;
    case 0x08:
        return unit->capability;
    case 0x1c:
        if (unit->going != 0 && unit->looks++ % 3 == 2) { // a command takes its time
            unit->status &= ~unit->going;
            unit->going = 0;
        }
        return unit->status;
    case 0x64:
        return unit->protected_memory;
    case 0x80:
        if (!(unit->status & 1 << 26))
            fake_record_breach("a queue is looked at that is off");
        if (!unit->queue_sticks && unit->queue_head != unit->queue_tail)
            unit->queue_head += 16;
        return unit->queue_head;
    case 0x88:
        return unit->queue_tail;
    default:
        fake_record_breach("register 0x%x of a VT-d unit is read", reg);
        return 0;
    }
}

// One bit a command, none of those that do something once; the queue is empty before it goes.
static void write_vtd(struct hardware_vtd *unit, uint32_t reg, uint32_t value) {
    if (reg == 0x64) {
        bool is_on = value >> 31 || unit->protection_sticks;
        unit->protected_memory = (value & ~1u) | is_on;
        unit->protection_writes++;
        return;
    }
    uint32_t kept = unit->status & 0x96ffffff;
    uint32_t changed = value ^ kept;
    if (unit->going != 0 || reg != 0x18 || (changed & (changed - 1)) != 0 || (value & changed) != 0)
        fake_record_breach("0x%x is written to register 0x%x of a VT-d unit", value, reg);
    if ((changed & 1 << 26) && unit->queue_head != unit->queue_tail && !unit->queue_sticks)
        fake_record_breach("a queue is turned off that is not empty");
    unit->commands[unit->command_count++ % 8] = changed;
    unit->going = changed & ~unit->sticks;
}

static uint32_t read_amd(const struct hardware_amd *unit, uint32_t reg) {
    if (reg != 0x18)
        fake_record_breach("register 0x%x of an AMD IOMMU is read", reg);
    return unit->control;
}

static void write_amd(struct hardware_amd *unit, uint32_t reg, uint32_t value) {
    if (reg != 0x18)
        fake_record_breach("register 0x%x of an AMD IOMMU is written", reg);
    unit->commands[unit->command_count++ % 8] = value;
    unit->control = value | (unit->sticks ? 1 : 0);
}

// ---- Where they are

static bool is_at(uint64_t phys, uint64_t device, uint64_t bytes) {
    return device != 0 && phys >= device && phys < device + bytes;
}

static uint32_t read_device(uint64_t phys) {
    hardware.accesses++;
    if (is_at(phys, hardware.absent, PAGE_BYTES))
        return UINT32_MAX;
    if (is_at(phys, HARDWARE_LOCAL_APIC, PAGE_BYTES))
        return read_local(local_register(phys));
    for (unsigned i = 0; i < HARDWARE_IO_APICS; i++) {
        struct hardware_io_apic *io = &hardware.io[i];
        if (is_at(phys, io->phys, 0x20))
            return *io_register(io, phys);
    }
    if (is_at(phys, hardware.hpet.phys, 0x400))
        return *hpet_register((uint32_t)(phys - hardware.hpet.phys));
    for (unsigned i = 0; i < HARDWARE_UNITS; i++) {
        struct hardware_vtd *unit = &hardware.vtd[i];
        if (is_at(phys, unit->phys, PAGE_BYTES))
            return read_vtd(unit, (uint32_t)(phys - unit->phys));
    }
    if (is_at(phys, hardware.amd.phys, PAGE_BYTES))
        return read_amd(&hardware.amd, (uint32_t)(phys - hardware.amd.phys));
    fake_record_breach("a device is read at 0x%lx, where none is", phys);
    return UINT32_MAX;
}

static void write_device(uint64_t phys, uint32_t value) {
    hardware.accesses++;
    if (is_at(phys, HARDWARE_LOCAL_APIC, PAGE_BYTES)) {
        if (hardware.apic_base & APIC_BASE_X2APIC)
            fake_record_breach("the page of an x2APIC is written");
        write_local(local_register(phys), value);
        return;
    }
    for (unsigned i = 0; i < HARDWARE_IO_APICS; i++) {
        struct hardware_io_apic *io = &hardware.io[i];
        if (is_at(phys, io->phys, 0x20)) {
            *io_register(io, phys) = value; // remote IRR, bit 14, goes with the level trigger
            return;
        }
    }
    if (is_at(phys, hardware.hpet.phys, 0x400)) {
        *hpet_register((uint32_t)(phys - hardware.hpet.phys)) = value;
        hardware.hpet.writes++;
        return;
    }
    for (unsigned i = 0; i < HARDWARE_UNITS; i++) {
        struct hardware_vtd *unit = &hardware.vtd[i];
        if (is_at(phys, unit->phys, PAGE_BYTES)) {
            write_vtd(unit, (uint32_t)(phys - unit->phys), value);
            return;
        }
    }
    if (is_at(phys, hardware.amd.phys, PAGE_BYTES))
        write_amd(&hardware.amd, (uint32_t)(phys - hardware.amd.phys), value);
    else
        fake_record_breach("a device is written at 0x%lx, where none is", phys);
}

// ---- The machine at its worst

static void make_local(void) {
    hardware.apic_base = HARDWARE_LOCAL_APIC | APIC_BASE_ENABLED | 1 << 8;
    hardware.local[0x03] = 0x60015; // seven entries
    hardware.local[0x08] = 0x50;
    hardware.local[0x0f] = 0x2f; // off by software
    hardware.local[0x2f] = 0x31; // CMCI
    for (unsigned reg = 0x32; reg <= 0x37; reg++)
        hardware.local[reg] = 0x20000 | reg; // periodic
    hardware.local[LOCAL_TIMER_COUNT] = 12345;
    hardware.in_service[16] = hardware.in_service[0x31] = hardware.in_service[0x33] = true;
    hardware.in_service[0x40] = hardware.in_service[0x60] = true;
    hardware.local[0x18] = UINT32_MAX; // triggers, behind what is in service
    hardware.local[0x40] = 0x40000;    // AMD's, if the version says that they are there
    for (unsigned reg = 0x50; reg < 0x56; reg++)
        hardware.local[reg] = reg;
    hardware.in_service[0x7f] = hardware.in_service[255] = true;
}

static void make_io(void) {
    static const struct {
        uint64_t phys;
        uint32_t pins;
    } io[HARDWARE_IO_APICS] = {{0xfec00000, 24}, {0xfec80100, 1}, {0xfec81000, HARDWARE_PINS}};
    for (unsigned i = 0; i < HARDWARE_IO_APICS; i++) {
        hardware.io[i].phys = io[i].phys;
        hardware.io[i].version = (io[i].pins - 1) << 16 | 0x20;
        for (unsigned pin = 0; pin < HARDWARE_PINS; pin++) // some level, waiting for their end
            hardware.io[i].entries[pin] =
                pin >= io[i].pins ? 0x10000 : 0x30 + pin + (pin % 3 == 0 ? 0xc000 : 0);
    }
}

void hardware_make(void) {
    hardware = (struct hardware){.hpet = {.phys = HARDWARE_HPET,
                                          .capabilities = 0x8086a201,
                                          .configuration = 3,
                                          .timers = {0x4c, 0x34, 0x3c}},
                                 .amd = {.phys = HARDWARE_AMD, .control = 0x3000701d | 0x100}};
    hardware.vtd[0] = (struct hardware_vtd){.phys = 0xfed90000,
                                            .capability = 0xd2008c60, // both ranges of memory
                                            .status = 0xff800000,     // all that there is
                                            .protected_memory = 0x80000001,
                                            .queue_head = 0x20,
                                            .queue_tail = 0x60};
    hardware.vtd[1] = (struct hardware_vtd){
        .phys = 0xfed91000, .status = 0x80000000, .protected_memory = 0xee000001};
    make_local();
    make_io();
    fake.has_apic = true;
    fake.mmio_read = read_device;
    fake.mmio_write = write_device;
    fake.apic_rdmsr = read_msr;
    fake.apic_wrmsr = write_msr;
}

// ---- ACPI

uint8_t *hardware_table(const char *signature) {
    for (unsigned i = 0; i < TABLES; i++) {
        if (strcmp(signatures[i], signature) == 0)
            return tables[i];
    }
    abort();
}

static uint32_t length_of(const uint8_t *table) {
    uint32_t length;
    memcpy(&length, table + ACPI_TABLE_LENGTH, sizeof(length));
    return length;
}

void hardware_sum(const char *signature) {
    uint8_t *table = hardware_table(signature);
    acpi_fake_sum_bytes(table, length_of(table), ACPI_TABLE_SUM);
}

static uint8_t *begin(const char *signature, uint32_t bytes) {
    uint8_t *table = hardware_table(signature);
    memset(table, 0, TABLE_BYTES);
    memcpy(table, signature, 4);
    memcpy(table + ACPI_TABLE_LENGTH, &bytes, sizeof(bytes));
    return table;
}

static void append(uint8_t *table, const void *entry, uint32_t bytes) {
    uint32_t length = length_of(table);
    memcpy(table + length, entry, bytes);
    length += bytes;
    memcpy(table + ACPI_TABLE_LENGTH, &length, sizeof(length));
}

static void list_io(void) {
    uint8_t *madt = begin("APIC", 44);
    append(madt, (const uint8_t[8]){0, 8, 0, 0, 1}, 8); // a CPU
    for (unsigned i = 0; i < HARDWARE_IO_APICS; i++) {
        uint8_t entry[12] = {1, sizeof(entry), (uint8_t)i};
        memcpy(entry + 4, &hardware.io[i].phys, 4);
        if (hardware.io[i].phys != 0)
            append(madt, entry, sizeof(entry));
    }
    append(madt, (const uint8_t[10]){2, 10}, 10); // an override of an interrupt's source
}

static void list_vtd(void) {
    uint8_t *dmar = begin("DMAR", 48);
    uint8_t reserved_memory[24] = {1, 0, sizeof(reserved_memory), 0};
    append(dmar, reserved_memory, sizeof(reserved_memory));
    for (unsigned i = 0; i < HARDWARE_UNITS; i++) {
        uint8_t entry[24] = {0, 0, sizeof(entry), 0, 1};
        memcpy(entry + 8, &hardware.vtd[i].phys, 8);
        if (hardware.vtd[i].phys != 0)
            append(dmar, entry, sizeof(entry));
    }
}

// Thrice the same, as firmware does.
static void list_amd(void) {
    static const uint8_t types[] = {0x10, 0x11, 0x40};
    uint8_t *ivrs = begin("IVRS", 48);
    for (unsigned i = 0; i < sizeof(types); i++) {
        uint8_t entry[40] = {types[i], 0xb0, sizeof(entry), 0};
        memcpy(entry + 8, &hardware.amd.phys, 8);
        append(ivrs, entry, sizeof(entry));
    }
    append(ivrs, (const uint8_t[32]){0x20, 8, 32}, 32); // of memory
}

void hardware_list(void) {
    list_io();
    memcpy(begin("HPET", 56) + 44, &hardware.hpet.phys, 8);
    list_vtd();
    list_amd();
    for (unsigned i = 0; i < TABLES; i++) {
        hardware_sum(signatures[i]);
        fake.acpi[i].bytes = tables[i];
        fake.acpi[i].count = length_of(tables[i]);
    }
    fake.acpi_count = TABLES;
}
