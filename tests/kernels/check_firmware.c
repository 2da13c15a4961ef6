// The firmware's tables: ACPI's, SMBIOS's and UEFI's, read as slipway_boot.h says, by physical
// addresses that are looked up in the manifest. ACPI 6.4 5.2; DSP0134 5.2; UEFI 2.9 4.3 to 4.6.
#include "checks.h"
#include "kit.h"
#include "pages.h"

enum {
    TABLE_BYTES = 4,
    TABLE_HEADER_BYTES = 36,
    TABLES_MAX = 64,
    SMBIOS_END = 127, // type of the last structure
};

static uint16_t purpose_of(uint64_t phys) {
    const struct slipway_mapping *m = manifest_find_phys(phys);
    return m ? m->purpose : 0;
}

static bool is_mapped(uint64_t phys, uint64_t bytes) {
    for (uint64_t at = phys & ~(PAGE_BYTES - 1); at < phys + bytes; at += PAGE_BYTES)
        if (!manifest_find_phys(at))
            return false;
    return bytes > 0;
}

// A number of up to 8 bytes, little-endian; each byte may lie in another mapping.
static uint64_t number(uint64_t phys, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        uint64_t address = manifest_address(phys + i);
        CHECK(address, phys + i);
        value |= address ? (uint64_t) * (const uint8_t *)address << (8 * i) : 0;
    }
    return value;
}

static bool starts_with(uint64_t phys, const char *signature) {
    for (; *signature; signature++, phys++)
        if ((char)number(phys, 1) != *signature)
            return false;
    return true;
}

// The sum of all bytes. They are read a page at a time.
static uint8_t sum(uint64_t phys, uint64_t bytes) {
    uint8_t total = 0;
    const uint8_t *at = NULL;
    for (uint64_t i = 0; i < bytes; i++) {
        if (!at || (phys + i) % PAGE_BYTES == 0)
            at = (const uint8_t *)manifest_address(phys + i);
        if (!at)
            return 0xff;
        total = (uint8_t)(total + *at++);
    }
    return total;
}

// ---- ACPI

static struct {
    uint64_t tables;
    uint64_t madt;
    uint64_t dsdt;
    uint64_t facs;
    uint64_t in_window; // tables of SLIPWAY_MAP_FIRMWARE
} acpi;

// True if it is one.
static bool check_table(uint64_t phys, const char *signature) {
    uint64_t bytes = number(phys + TABLE_BYTES, 4);
    bool is_sound = bytes >= TABLE_HEADER_BYTES && is_mapped(phys, bytes);
    CHECK(starts_with(phys, signature), phys);
    CHECK(is_sound, bytes);
    if (!is_sound)
        return false;
    CHECK_EQUAL(sum(phys, bytes), 0);
    acpi.tables++;
    acpi.in_window += purpose_of(phys) == SLIPWAY_MAP_FIRMWARE;
    return true;
}

static void check_dsdt(uint64_t phys) {
    if (phys != 0)
        acpi.dsdt += check_table(phys, "DSDT");
}

static void check_facs(uint64_t phys) {
    if (phys == 0)
        return;
    CHECK(starts_with(phys, "FACS"), phys);
    CHECK(is_mapped(phys, number(phys + TABLE_BYTES, 4)), phys);
    acpi.facs++;
}

static void check_fadt(uint64_t phys) {
    enum { FACS = 36, DSDT = 40, X_FACS = 132, X_DSDT = 140 };
    check_facs(number(phys + FACS, 4));
    check_dsdt(number(phys + DSDT, 4));
    if (number(phys + TABLE_BYTES, 4) >= X_DSDT + 8) {
        check_facs(number(phys + X_FACS, 8));
        check_dsdt(number(phys + X_DSDT, 8));
    }
}

static void check_list(uint64_t phys, const char *signature, unsigned entry_bytes) {
    if (phys == 0 || !check_table(phys, signature))
        return;
    uint64_t end = phys + number(phys + TABLE_BYTES, 4);
    for (uint64_t at = phys + TABLE_HEADER_BYTES; at + entry_bytes <= end; at += entry_bytes) {
        uint64_t table = number(at, entry_bytes);
        if (check_table(table, "") && starts_with(table, "FACP"))
            check_fadt(table);
        acpi.madt += starts_with(table, "APIC");
    }
}

static void check_acpi(void) {
    enum { REVISION = 15, RSDT = 16, LENGTH = 20, XSDT = 24, BYTES_1 = 20 };
    uint64_t rsdp = boot->rsdp_phys;
    check_begin("the RSDP has its signature and its checksums");
    CHECK(boot->rsdp, boot->rsdp);
    CHECK_EQUAL(boot->rsdp, manifest_address(rsdp));
    CHECK(starts_with(rsdp, "RSD PTR "), rsdp);
    CHECK_EQUAL(sum(rsdp, BYTES_1), 0);
    CHECK(number(rsdp + REVISION, 1) >= 2, rsdp); // OVMF has ACPI 2.0 tables
    CHECK_EQUAL(sum(rsdp, number(rsdp + LENGTH, 4)), 0);
    kit_fact("rsdp.purpose", purpose_of(rsdp));

    check_begin(
        "every ACPI table can be read and adds up, from the RSDP on, and MADT and DSDT too");
    acpi.tables = acpi.madt = acpi.dsdt = acpi.facs = acpi.in_window = 0;
    check_list(number(rsdp + XSDT, 8), "XSDT", 8);
    check_list(number(rsdp + RSDT, 4), "RSDT", 4);
    CHECK(acpi.tables >= 4, acpi.tables);
    CHECK(acpi.madt > 0 && acpi.dsdt > 0 && acpi.facs > 0, acpi.madt);
    kit_fact("acpi.tables", acpi.tables);
    kit_fact("acpi.in_window", acpi.in_window);
}

// ---- SMBIOS

// Steps over a structure: its fields, then texts up to an empty one.
static uint64_t next_structure(uint64_t phys, uint64_t end) {
    uint64_t at = phys + number(phys + 1, 1);
    while (at + 1 < end && number(at, 2) != 0)
        at++;
    return at + 2;
}

static void check_smbios(void) {
    enum { LENGTH_2 = 5, BYTES_2 = 22, TABLE_2 = 24, LENGTH_3 = 6, BYTES_3 = 12, TABLE_3 = 16 };
    uint64_t entry = boot->smbios_phys;
    check_begin("the SMBIOS entry point has its signature and its checksum");
    CHECK(boot->smbios, boot->smbios);
    CHECK_EQUAL(boot->smbios, manifest_address(entry));
    bool third = starts_with(entry, "_SM3_");
    CHECK(third || starts_with(entry, "_SM_"), entry);
    CHECK_EQUAL(sum(entry, number(entry + (third ? LENGTH_3 : LENGTH_2), 1)), 0);
    kit_fact("smbios.purpose", purpose_of(entry));

    check_begin("the structures of SMBIOS can be read up to the last");
    uint64_t at = third ? number(entry + TABLE_3, 8) : number(entry + TABLE_2, 4);
    uint64_t bytes = third ? number(entry + BYTES_3, 4) : number(entry + BYTES_2, 2);
    uint64_t end = at + bytes;
    CHECK(is_mapped(at, bytes), at);
    kit_fact("smbios.structures_purpose", purpose_of(at));
    while (at + 4 <= end && number(at, 1) != SMBIOS_END)
        at = next_structure(at, end);
    CHECK(at + 4 <= end && number(at, 1) == SMBIOS_END, at);
}

// ---- UEFI

static void check_uefi(void) {
    enum { HEADER_BYTES = 12, VENDOR = 24, RUNTIME = 88, COUNT = 104, TABLES = 112, ENTRY = 24 };
    uint64_t system = boot->efi_system_table_phys;
    check_begin("the EFI system table has its signature, and what it leads to can be read");
    CHECK(boot->efi_system_table, boot->efi_system_table);
    CHECK_EQUAL(boot->efi_system_table, manifest_address(system));
    CHECK(starts_with(system, "IBI SYST"), system);
    CHECK(is_mapped(system, number(system + HEADER_BYTES, 4)), system);
    uint64_t runtime = number(system + RUNTIME, 8);
    CHECK(starts_with(runtime, "RUNTSERV"), runtime);
    CHECK(is_mapped(runtime, number(runtime + HEADER_BYTES, 4)), runtime);
    uint64_t vendor = number(system + VENDOR, 8);
    for (unsigned i = 0; i < 256 && number(vendor, 2) != 0; i++)
        vendor += 2;
    CHECK_EQUAL(number(vendor, 2), 0);
    uint64_t tables = number(system + TABLES, 8);
    uint64_t count = number(system + COUNT, 8);
    CHECK(count > 0 && count < TABLES_MAX, count);
    for (uint64_t i = 0; i < count && i < TABLES_MAX; i++) {
        uint64_t table = number(tables + i * ENTRY + 16, 8);
        CHECK(is_mapped(table, 1), table);
    }
}

// ---- All of them

static void check_window(void) {
    uint64_t bytes = 0;
    struct leaf leaf;
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        if (m->purpose != SLIPWAY_MAP_FIRMWARE)
            continue;
        bytes += m->bytes;
        CHECK_EQUAL(m->rights, 0);
        for (uint64_t at = 0; at < m->bytes; at += PAGE_BYTES)
            CHECK(!pages_translate(boot->hhdm_base + m->phys + at, &leaf), m->phys + at);
    }
    kit_fact("firmware.bytes", bytes);
}

void check_firmware_tables(void) {
    check_acpi();
    check_smbios();
    check_uefi();
    check_begin(
        "what the direct map does not have of the firmware's tables is read-only elsewhere");
    CHECK(boot->mappings.count > 0, boot->mappings.count);
    check_window();
    check_begin("the firmware's clock was read");
    CHECK(boot->boot_time > INT64_C(1500000000), (uint64_t)boot->boot_time);
    kit_fact("boot_time", (uint64_t)boot->boot_time);
}
