// The controllers that could interrupt the kernel or hinder its DMA, as ACPI lists them.
#include "checks.h"
#include "cpu.h"
#include "kit.h"
#include "pages.h"

enum { MASKED = 0x10000, SMI = 2 << 8, DELIVERY = 7 << 8 };

// As after a reset, or the firmware's own.
static bool is_masked(uint32_t entry) {
    return entry == MASKED || (entry & DELIVERY) == SMI;
}

// ---- ACPI's tables (ACPI 6.4, 5.2), wherever they are mapped

static uint64_t read_bytes(const uint8_t *at, unsigned count) {
    uint64_t value = 0;
    memcpy(&value, at, count);
    return value;
}

static const uint8_t *table_at(uint64_t phys) {
    return (const uint8_t *)manifest_address(phys);
}

static const uint8_t *find_table(const char signature[4]) {
    enum { RSDP_XSDT = 24, LENGTH = 4, HEADER = 36 };
    const uint8_t *xsdt = table_at(read_bytes((const uint8_t *)boot->rsdp + RSDP_XSDT, 8));
    for (uint64_t at = HEADER; at < read_bytes(xsdt + LENGTH, 4); at += 8) {
        const uint8_t *table = table_at(read_bytes(xsdt + at, 8));
        if (table && read_bytes(table, 4) == read_bytes((const uint8_t *)signature, 4))
            return table;
    }
    return NULL;
}

// Calls `look` with the address in each entry of this type, and returns how many there are.
static unsigned for_entries(const uint8_t *table, unsigned first, bool lengths_are_words,
                            uint8_t type, void (*look)(uint64_t phys)) {
    unsigned found = 0;
    for (uint64_t at = first; table && at < read_bytes(table + 4, 4);) {
        const uint8_t *entry = table + at;
        if (entry[0] == type) {
            look(lengths_are_words ? read_bytes(entry + 8, 8) : read_bytes(entry + 4, 4));
            found++;
        }
        at += lengths_are_words ? read_bytes(entry + 2, 2) : entry[1];
    }
    return found;
}

// ---- Local APIC (SDM 3A chapter 11, table 11-1)

static volatile uint32_t *local_page; // null: by MSR

static uint32_t local(unsigned reg) {
    return local_page ? local_page[reg / 4] : (uint32_t)read_msr(MSR_X2APIC + reg / 16);
}

static void check_local_vectors(void) {
    static const uint16_t entries[] = {0x320, 0x350, 0x360, 0x370, 0x340, 0x330, 0x2f0};
    check_begin("every entry of the local vector table is masked, and the timer does not run");
    unsigned highest = local(0x030) >> 16 & 0xff;
    for (unsigned i = 0; i <= highest && i < sizeof(entries) / sizeof(*entries); i++)
        CHECK(is_masked(local(entries[i])), (uint64_t)entries[i] << 32 | local(entries[i]));
    CHECK_EQUAL(local(0x380), 0);
    CHECK_EQUAL(local(0x390), 0);
}

static void check_local_apic(void) {
    check_begin("the local APIC is enabled in the mode that the boot info says");
    uint64_t base = read_msr(MSR_APIC_BASE);
    CHECK(cpuid(1).edx & 1u << 9, 0);
    CHECK_EQUAL(base >> 10 & 3, boot->apic_mode == SLIPWAY_APIC_X2APIC ? 3u : 2u);
    CHECK(boot->apic_mode == SLIPWAY_APIC_XAPIC || boot->apic_mode == SLIPWAY_APIC_X2APIC,
          boot->apic_mode);
    bool has_page = boot->apic_mode == SLIPWAY_APIC_XAPIC;
    local_page = has_page ? pages_map_device(base & ENTRY_ADDRESS) : NULL;
    kit_fact("apic_mode", boot->apic_mode);

    check_begin("the spurious vector is 0xff, and the task priority 0");
    CHECK_EQUAL(local(0x0f0), 0x1ff);
    CHECK_EQUAL(local(0x080), 0);

    check_local_vectors();

    check_begin("no interrupt is in service");
    for (unsigned reg = 0x100; reg < 0x180; reg += 0x10)
        CHECK_EQUAL(local(reg), 0);
    // Such a one may be there, if it was before.
    for (unsigned i = 0; i < 8; i++)
        if (local(0x200 + 0x10 * i))
            kit_fact("irr", (uint64_t)i << 32 | local(0x200 + 0x10 * i));
}

// ---- I/O APICs (82093AA data sheet, 3.2)

static void look_at_io_apic(uint64_t phys) {
    volatile uint32_t *select = pages_map_device(phys);
    volatile uint32_t *data = select + 4;
    *select = 1;
    unsigned highest = *data >> 16 & 0xff;
    for (unsigned i = 0; i <= highest; i++) {
        *select = 0x10 + 2 * i;
        CHECK(is_masked(*data), (uint64_t)i << 32 | *data);
    }
}

// ---- Timers (IA-PC HPET 1.0a, 2.3; 82C54 data sheet)

static void check_hpet(void) {
    const uint8_t *table = find_table("HPET");
    if (!table)
        return;
    check_begin("the HPET raises no interrupt, and does not stand for the PIT");
    volatile uint32_t *hpet = pages_map_device(read_bytes(table + 44, 8));
    CHECK_EQUAL(hpet[4] & 1u << 1, 0);
    for (unsigned i = 0; i <= (hpet[0] >> 8 & 0x1f); i++)
        CHECK_EQUAL(hpet[0x40 + 8 * i] & 1u << 2, 0);
    kit_fact("hpet.counts", hpet[4] & 1);
}

// The output and "no count yet" are not looked at: an emulator may not have them.
static void check_pit(void) {
    enum { PIT_CHANNEL_0 = 0x40, PIT_CONTROL = 0x43, READ_STATUS_0 = 0xe2, MODE_0 = 0x30 };
    check_begin("channel 0 of the PIT is in mode 0");
    out8(PIT_CONTROL, READ_STATUS_0);
    uint8_t status = in8(PIT_CHANNEL_0); // once: the next would be of the count
    CHECK_EQUAL(status & 0x3f, MODE_0);
}

// ---- IOMMUs (VT-d 3.3, 10.4; AMD IOMMU 3.07, 3.4)

static void look_at_vtd(uint64_t phys) {
    volatile uint32_t *unit = pages_map_device(phys);
    kit_fact("vtd.status", unit[7]);
    CHECK_EQUAL(unit[7] & (1u << 31 | 1u << 26 | 1u << 25), 0);
    if (unit[2] & (1u << 5 | 1u << 6))
        CHECK_EQUAL(unit[0x19] & 1, 0);
}

static void look_at_amd(uint64_t phys) {
    volatile uint32_t *unit = pages_map_device(phys);
    kit_fact("amd_vi.control", unit[6]);
    CHECK_EQUAL(unit[6] & 1, 0);
}

static void check_iommus(void) {
    const uint8_t *dmar = find_table("DMAR");
    const uint8_t *ivrs = find_table("IVRS");
    if (dmar) {
        check_begin("VT-d neither translates nor remaps, has no queue, and protects no memory");
        for_entries(dmar, 48, true, 0, look_at_vtd);
    }
    if (ivrs) {
        check_begin("AMD's IOMMU is off");
        for_entries(ivrs, 48, true, 0x10, look_at_amd);
    }
}

// Not of the contract: COM1 keeps the speed that firmware has given it.
static void tell_divisor(void) {
    enum { COM1 = 0x3f8, COM1_LINE_CONTROL = COM1 + 3, DIVISOR = 0x80 };
    uint8_t control = in8(COM1_LINE_CONTROL);
    out8(COM1_LINE_CONTROL, control | DIVISOR);
    uint64_t divisor = in8(COM1) | (uint64_t)in8(COM1 + 1) << 8;
    out8(COM1_LINE_CONTROL, control);
    kit_fact("com1.divisor", divisor);
}

void check_machine(void) {
    check_local_apic();
    check_begin("every entry of every I/O APIC is masked");
    kit_fact("io_apics", for_entries(find_table("APIC"), 44, false, 1, look_at_io_apic));
    check_hpet();
    check_pit();
    check_iommus();
    pages_unmap_device();
    tell_divisor();
}
