// Stands for firmware whose tables do not lie in RAM that a kernel may map: copies the RSDP, the
// XSDT, the FADT with its DSDT, the MADT and the tables of SMBIOS into reserved memory, each into
// pages of its own, so that only the copies are found; says on COM1 how many pages those are, and
// starts \EFI\BOOT\LOADER.EFI of its own volume. ACPI 6.4: RSDP 5.2.5.3, XSDT 5.2.8, FADT 5.2.9.
// SMBIOS: DSP0134 5.2.1 and 5.2.2.
#include "tests/apps/start.h"

enum {
    PAGE_BYTES = 4096,
    RSDP_BYTES_1 = 20,
    RSDP_SUM = 8,
    RSDP_RSDT = 16,
    RSDP_BYTES = 20,
    RSDP_XSDT = 24,
    RSDP_SUM_2 = 32,
    TABLE_BYTES = 4,
    TABLE_SUM = 9,
    XSDT_ENTRIES = 36,
    FADT_DSDT = 40,
    FADT_X_DSDT = 140,
    SMBIOS_2_SUM = 4,
    SMBIOS_2_BYTES = 5,
    SMBIOS_2_SECOND = 16,
    SMBIOS_2_SECOND_BYTES = 15,
    SMBIOS_2_SECOND_SUM = 21,
    SMBIOS_2_TABLE_BYTES = 22,
    SMBIOS_2_TABLE = 24,
    SMBIOS_3_SUM = 5,
    SMBIOS_3_BYTES = 6,
    SMBIOS_3_TABLE_BYTES = 12,
    SMBIOS_3_TABLE = 16,
};

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static EFI_SYSTEM_TABLE *system;
static EFI_BOOT_SERVICES *services;
static UINT64 pages_copied;

static UINT64 read(const UINT8 *at, UINTN bytes) {
    UINT64 value = 0;
    services->CopyMem(&value, (void *)(UINTN)at, bytes);
    return value;
}

static void write(UINT8 *at, UINT64 value, UINTN bytes) {
    services->CopyMem(at, &value, bytes);
}

// Makes the byte at `sum_at` such that all add up to 0.
static void sum(UINT8 *bytes, UINT64 count, UINTN sum_at) {
    UINT8 total = 0;
    bytes[sum_at] = 0;
    for (UINT64 i = 0; i < count; i++)
        total = (UINT8)(total + bytes[i]);
    bytes[sum_at] = (UINT8)-total;
}

// Below 4 GiB, where the old fields reach, with a page of RAM before the next copy.
static UINT8 *copy(const void *bytes, UINT64 count) {
    EFI_PHYSICAL_ADDRESS start = UINT32_MAX, gap = UINT32_MAX;
    UINTN pages = (count + PAGE_BYTES - 1) / PAGE_BYTES;
    need("reserved pages",
         services->AllocatePages(AllocateMaxAddress, EfiReservedMemoryType, pages, &start));
    need("a page between",
         services->AllocatePages(AllocateMaxAddress, EfiBootServicesData, 1, &gap));
    services->CopyMem((void *)start, (void *)(UINTN)bytes, count);
    pages_copied += pages;
    return (UINT8 *)start;
}

static UINT8 *copy_table(UINT64 phys) {
    const UINT8 *table = (const UINT8 *)phys;
    return copy(table, read(table + TABLE_BYTES, 4));
}

static void *find(EFI_GUID wanted) {
    for (UINTN i = 0; i < system->NumberOfTableEntries; i++) {
        const EFI_GUID *guid = &system->ConfigurationTable[i].VendorGuid;
        if (guid->Data1 == wanted.Data1 && guid->Data2 == wanted.Data2)
            return system->ConfigurationTable[i].VendorTable;
    }
    return NULL;
}

static UINT8 *copy_fadt(UINT64 phys) {
    UINT8 *fadt = copy_table(phys);
    UINT64 bytes = read(fadt + TABLE_BYTES, 4);
    UINT64 dsdt = read(fadt + FADT_DSDT, 4);
    UINT8 *new_dsdt = copy_table(dsdt != 0 ? dsdt : read(fadt + FADT_X_DSDT, 8));
    write(fadt + FADT_DSDT, (UINT64)new_dsdt, 4);
    if (bytes >= FADT_X_DSDT + 8)
        write(fadt + FADT_X_DSDT, (UINT64)new_dsdt, 8);
    sum(fadt, bytes, TABLE_SUM);
    return fadt;
}

static UINT8 *copy_xsdt(UINT64 phys) {
    UINT8 *xsdt = copy_table(phys);
    UINT64 bytes = read(xsdt + TABLE_BYTES, 4);
    for (UINT64 at = XSDT_ENTRIES; at < bytes; at += 8) {
        UINT64 table = read(xsdt + at, 8);
        UINT64 signature = read((const UINT8 *)table, 4);
        if (signature == 0x50434146) // "FACP"
            write(xsdt + at, (UINT64)copy_fadt(table), 8);
        else if (signature == 0x43495041) // "APIC"
            write(xsdt + at, (UINT64)copy_table(table), 8);
    }
    sum(xsdt, bytes, TABLE_SUM);
    return xsdt;
}

static void move_acpi(void) {
    EFI_GUID guid = ACPI_20_TABLE_GUID;
    const UINT8 *old = find(guid);
    if (old == NULL || read(old + RSDP_XSDT, 8) == 0)
        need("XSDT", EFI_NOT_FOUND);
    UINT64 bytes = read(old + RSDP_BYTES, 4);
    UINT8 *rsdp = copy(old, bytes);
    write(rsdp + RSDP_RSDT, 0, 4); // it lists the old ones
    write(rsdp + RSDP_XSDT, (UINT64)copy_xsdt(read(old + RSDP_XSDT, 8)), 8);
    sum(rsdp, RSDP_BYTES_1, RSDP_SUM);
    sum(rsdp, bytes, RSDP_SUM_2);
    need("ACPI", services->InstallConfigurationTable(&guid, rsdp));
}

static UINTN move_smbios_2(void) {
    EFI_GUID guid = SMBIOS_TABLE_GUID;
    const UINT8 *old = find(guid);
    if (old == NULL)
        return 0;
    UINT8 *entry = copy(old, old[SMBIOS_2_BYTES]);
    UINT8 *table =
        copy((const void *)read(old + SMBIOS_2_TABLE, 4), read(old + SMBIOS_2_TABLE_BYTES, 2));
    write(entry + SMBIOS_2_TABLE, (UINT64)table, 4);
    sum(entry + SMBIOS_2_SECOND, SMBIOS_2_SECOND_BYTES, SMBIOS_2_SECOND_SUM - SMBIOS_2_SECOND);
    sum(entry, entry[SMBIOS_2_BYTES], SMBIOS_2_SUM);
    need("SMBIOS 2", services->InstallConfigurationTable(&guid, entry));
    return 1;
}

static UINTN move_smbios_3(void) {
    EFI_GUID guid = SMBIOS3_TABLE_GUID;
    const UINT8 *old = find(guid);
    if (old == NULL)
        return 0;
    UINT8 *entry = copy(old, old[SMBIOS_3_BYTES]);
    UINT8 *table =
        copy((const void *)read(old + SMBIOS_3_TABLE, 8), read(old + SMBIOS_3_TABLE_BYTES, 4));
    write(entry + SMBIOS_3_TABLE, (UINT64)table, 8);
    sum(entry, entry[SMBIOS_3_BYTES], SMBIOS_3_SUM);
    need("SMBIOS 3", services->InstallConfigurationTable(&guid, entry));
    return 1;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *own_system) {
    system = own_system;
    services = system->BootServices;
    move_acpi();
    if (move_smbios_2() + move_smbios_3() == 0)
        need("SMBIOS", EFI_NOT_FOUND);
    serial_text("RESERVED PAGES ");
    serial_hex(pages_copied);
    serial_text("\r\n");
    EFI_HANDLE loader = start_load(image, services);
    return services->StartImage(loader, NULL, NULL);
}
