// The tables that the firmware leaves in memory: its page tables, the system table, ACPI's way to
// the power management timer, to the firmware's own times, to the CPUs and to what a test adds, and
// SMBIOS's entry point. ACPI 6.4: RSDP 5.2.5.3, XSDT 5.2.8, FADT 5.2.9, MADT 5.2.12, FPDT 5.2.23.
// DSP0134 5.2.2. SDM 3A 4.5.
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/fake_parts.h"
#include "tests/unit/support/acpi_fake.h"

#include <sanitizer/asan_interface.h>
#include <string.h>

enum {
    XSDT_BYTES = 36 + 3 * 8, // and 8 for the MADT, or for each table of the test's
    FPDT_BYTES = 36 + 16,
    FBPT_BYTES = 8 + 48,
    FADT_BYTES = 276,
    MADT_ROOM = 0x8000,
    MADT_HEADER = 40,   // and a few bytes
    MORE_ID = 0x100000, // of the first CPU that is none
    SMBIOS_BYTES = 24,
    LONG_VENDOR_BYTES = 1024,
};

static char *at(uint64_t physical) {
    return (char *)(uintptr_t)physical;
}

char *fake_make_readable(uint64_t physical, uint64_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION(at(physical), bytes);
    return memset(at(physical), 0, bytes);
}

static void put(char *table, uint64_t offset, uint64_t value, uint64_t bytes) {
    memcpy(table + offset, &value, bytes); // little-endian, as the host
}

// An entry of the MADT for an enabled CPU; the bytes of the table with it.
static uint32_t put_cpu(char *madt, uint32_t at, uint32_t apic_id, uint32_t processor_id) {
    if (apic_id < 0xff && processor_id <= 0xff) { // a local APIC
        put(madt, at, 0 | 8 << 8 | processor_id << 16 | apic_id << 24, 4);
        put(madt, at + 4, 1, 4);
        return at + 8;
    }
    put(madt, at, 9 | 16 << 8, 4); // a local x2APIC
    put(madt, at + 4, apic_id, 4);
    put(madt, at + 8, 1, 4);
    put(madt, at + 12, processor_id, 4);
    return at + 16;
}

static void put_madt(uint64_t phys) {
    char *madt = fake_make_readable(phys, MADT_ROOM);
    uint32_t bytes = 44;
    memcpy(madt, "APIC", 4);
    for (uint32_t i = 0; i < fake.madt_more; i++)
        bytes = put_cpu(madt, bytes, MORE_ID + i, 0);
    for (uint32_t i = 0; i <= fake.cpu_count; i++) {
        if (i == fake.boot_cpu_at && !fake.boot_cpu_unlisted)
            bytes = put_cpu(madt, bytes, fake.apic_id, FAKE_BOOT_PROCESSOR);
        if (i < fake.cpu_count && !fake.cpus[i].is_unlisted)
            bytes = put_cpu(madt, bytes, fake.cpus[i].apic_id, fake.cpus[i].processor_id);
    }
    put(madt, 4, bytes, 4);
    acpi_fake_sum_bytes(madt, bytes, ACPI_TABLE_SUM);
    madt[ACPI_TABLE_SUM] = (char)(madt[ACPI_TABLE_SUM] + fake.madt_is_broken);
}

static void put_fpdt(uint64_t fpdt_phys) {
    char *fpdt = fake_make_readable(fpdt_phys, FPDT_BYTES);
    memcpy(fpdt, fake.boot_times == NULL ? "NONE" : "FPDT", 4);
    put(fpdt, 4, FPDT_BYTES, 4);
    put(fpdt, 36 + 2, 16, 1); // a record of type 0, with the address of the FBPT
    put(fpdt, 36 + 8, FAKE_FBPT_PHYS, 8);
    acpi_fake_sum_bytes(fpdt, FPDT_BYTES, ACPI_TABLE_SUM);
    char *fbpt = fake_make_readable(FAKE_FBPT_PHYS, FBPT_BYTES);
    memcpy(fbpt, "FBPT", 4);
    put(fbpt, 4, FBPT_BYTES, 4);
    put(fbpt, 8, 2, 2); // the basic boot record
    put(fbpt, 8 + 2, 48, 1);
    if (fake.boot_times != NULL)
        memcpy(fbpt + 8 + 8, fake.boot_times, 5 * sizeof(*fake.boot_times));
}

static void put_acpi(void) {
    uint64_t xsdt_phys = FAKE_ACPI_PHYS + 0x100;
    uint64_t fadt_phys = FAKE_ACPI_PHYS + 0x200;
    uint64_t fpdt_phys = FAKE_ACPI_PHYS + 0x400;
    char *rsdp = fake_make_readable(FAKE_ACPI_PHYS, ACPI_RSDP_BYTES);
    memcpy(rsdp, "RSD PTR ", 8);
    put(rsdp, 15, 2, 1); // revision
    put(rsdp, 20, ACPI_RSDP_BYTES, 4);
    put(rsdp, 24, xsdt_phys, 8);
    acpi_fake_sum_bytes(rsdp, ACPI_RSDP_BYTES_1, ACPI_RSDP_SUM);
    acpi_fake_sum_bytes(rsdp, ACPI_RSDP_BYTES, ACPI_RSDP_SUM_2);
    uint32_t xsdt_bytes = XSDT_BYTES + 8 * (fake.has_madt + fake.acpi_count);
    char *xsdt = fake_make_readable(xsdt_phys, xsdt_bytes);
    memcpy(xsdt, "XSDT", 4);
    put(xsdt, 4, xsdt_bytes, 4);
    put(xsdt, 36, FAKE_ACPI_PHYS, 8); // not a table that anybody looks for
    put(xsdt, 44, fadt_phys, 8);
    put(xsdt, 52, fpdt_phys, 8);
    uint64_t madt_phys = FAKE_ACPI_PHYS + 0x2000; // or the first of the test's tables
    ASSERT(!fake.has_madt || fake.acpi_count == 0);
    if (fake.has_madt) {
        put(xsdt, XSDT_BYTES, madt_phys, 8);
        put_madt(madt_phys);
    }
    for (uint32_t i = 0; i < fake.acpi_count; i++) {
        uint64_t phys = FAKE_ACPI_PHYS + 0x2000 + i * FAKE_ACPI_ROOM;
        put(xsdt, XSDT_BYTES + 8 * i, phys, 8);
        memcpy(fake_make_readable(phys, fake.acpi[i].count), fake.acpi[i].bytes,
               fake.acpi[i].count);
    }
    acpi_fake_sum_bytes(xsdt, xsdt_bytes, ACPI_TABLE_SUM);
    char *fadt = fake_make_readable(fadt_phys, FADT_BYTES);
    memcpy(fadt, "FACP", 4);
    put(fadt, 4, FADT_BYTES, 4);
    put(fadt, 76, FAKE_PM_TIMER_PORT, 4);
    put(fadt, 91, 4, 1); // bytes of the port
    acpi_fake_sum_bytes(fadt, FADT_BYTES, ACPI_TABLE_SUM);
    put_fpdt(fpdt_phys);
}

static void put_smbios(void) {
    if (fake.smbios < FAKE_ARENA_START || fake.smbios >= FAKE_ARENA_END)
        return;
    char *entry = fake_make_readable(fake.smbios, SMBIOS_BYTES);
    memcpy(entry, "_SM3_", 5);
    put(entry, 6, SMBIOS_BYTES, 1);
    put(entry, 12, FAKE_STRUCTURES_BYTES, 4);
    put(entry, 16, fake.structures, 8);
    acpi_fake_sum_bytes(entry, SMBIOS_BYTES, 5);
}

// ---- Page tables: the arena, the memory at 0 and the fourth GiB, where devices are, one to one in
// pages of 2 MiB, and a page that is elsewhere

enum { TABLE_BYTES = 4096, TABLES = 5, ENTRY_PRESENT_WRITE = 3, ENTRY_LARGE = 1 << 7 };

static void put_leaves(char *directory, uint64_t start, uint64_t end) {
    for (uint64_t at = start; at < end; at += 2 << 20)
        put(directory, (at >> 21 & 511) << 3, at | ENTRY_PRESENT_WRITE | ENTRY_LARGE, 8);
}

// The tables of 5 levels are those of 4, and one above.
static void put_page_tables(void) {
    char *tables = fake_make_readable(FAKE_TABLES_PHYS, TABLES * TABLE_BYTES);
    put_leaves(tables, FAKE_ARENA_START, FAKE_ARENA_END);
    put_leaves(tables, 0, 4096);
    put(tables, FAKE_ELSEWHERE >> 21 << 3, FAKE_ARENA_START | ENTRY_PRESENT_WRITE | ENTRY_LARGE, 8);
    put_leaves(tables, FAKE_LAPIC_PHYS, FAKE_LAPIC_PHYS + 4096);
    put_leaves(tables + TABLE_BYTES, UINT64_C(3) << 30, UINT64_C(4) << 30);
    put(tables, 2 * TABLE_BYTES, FAKE_TABLES_PHYS | ENTRY_PRESENT_WRITE, 8);
    put(tables, 2 * TABLE_BYTES + 3 * 8, (FAKE_TABLES_PHYS + TABLE_BYTES) | ENTRY_PRESENT_WRITE, 8);
    for (uint64_t level = 3; level < TABLES; level++)
        put(tables, level * TABLE_BYTES,
            (FAKE_TABLES_PHYS + (level - 1) * TABLE_BYTES) | ENTRY_PRESENT_WRITE, 8);
    fake.firmware_root = FAKE_TABLES_PHYS + (fake.paging_levels - 1) * TABLE_BYTES;
}

// Its address.
static uint64_t put_vendor(void) {
    static const CHAR16 name[] = L"Fake";
    if (fake.long_vendor != 0) {
        uint64_t bytes = min_u64(LONG_VENDOR_BYTES, FAKE_ARENA_END - fake.long_vendor);
        memset(fake_make_readable(fake.long_vendor, bytes), 'x', bytes);
        return fake.long_vendor;
    }
    memcpy(fake_make_readable(FAKE_VENDOR_PHYS, sizeof(name)), name, sizeof(name));
    return FAKE_VENDOR_PHYS;
}

// What the system table leads to, each in pages of its own.
static void put_system(EFI_SYSTEM_TABLE *system) {
    const EFI_CONFIGURATION_TABLE first[] = {
        {.VendorGuid = SMBIOS3_TABLE_GUID, .VendorTable = at(fake.smbios)},
        {.VendorGuid = ACPI_20_TABLE_GUID, .VendorTable = at(FAKE_ACPI_PHYS)},
    };
    uint64_t first_count = fake.has_pm_timer ? 2 : 1;
    uint64_t bytes = sizeof(first) + sizeof(fake.tables);
    EFI_CONFIGURATION_TABLE *tables = (void *)fake_make_readable(FAKE_CONFIGURATION_PHYS, bytes);
    memcpy(tables, first, first_count * sizeof(*first));
    memcpy(tables + first_count, fake.tables, fake.table_count * sizeof(*tables));
    char *services = fake_make_readable(FAKE_SERVICES_PHYS, sizeof(*system->RuntimeServices));
    memcpy(services, system->RuntimeServices, sizeof(*system->RuntimeServices));
    system->ConfigurationTable = tables;
    system->NumberOfTableEntries = first_count + fake.table_count;
    system->RuntimeServices = (void *)services;
    system->FirmwareVendor = (CHAR16 *)(uintptr_t)put_vendor();
    memcpy(fake_make_readable(FAKE_SYSTEM_PHYS, sizeof(*system)), system, sizeof(*system));
}

void fake_put_tables(EFI_SYSTEM_TABLE *system) {
    put_system(system);
    put_acpi();
    put_smbios();
    put_page_tables();
}
