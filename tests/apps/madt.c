// Stands for firmware that lists a CPU which is not there, and does not list one that is: gives the
// last enabled CPU of the MADT another APIC ID, says on COM1 which, and starts
// \EFI\BOOT\LOADER.EFI of its own volume. ACPI 6.4: RSDP 5.2.5.3, XSDT 5.2.8, MADT 5.2.12.
#include "tests/apps/start.h"

enum {
    RSDP_XSDT = 24,
    TABLE_LENGTH = 4,
    TABLE_CHECKSUM = 9,
    XSDT_ENTRIES = 36,
    MADT_ENTRIES = 44,
    LOCAL_APIC = 0, // an entry's type
    LOCAL_APIC_ID = 3,
    LOCAL_APIC_ENABLED = 4,
    ABSENT_ID = 0xf0,
};

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static UINT32 read32(const UINT8 *at) {
    return at[0] | (UINT32)at[1] << 8 | (UINT32)at[2] << 16 | (UINT32)at[3] << 24;
}

static UINT8 *find_rsdp(EFI_SYSTEM_TABLE *system) {
    EFI_GUID wanted = ACPI_20_TABLE_GUID;
    for (UINTN i = 0; i < system->NumberOfTableEntries; i++) {
        const EFI_GUID *guid = &system->ConfigurationTable[i].VendorGuid;
        if (guid->Data1 == wanted.Data1 && guid->Data2 == wanted.Data2)
            return system->ConfigurationTable[i].VendorTable;
    }
    need("RSDP", EFI_NOT_FOUND);
    return NULL;
}

static UINT8 *find_madt(const UINT8 *rsdp) {
    const UINT8 *xsdt = (const UINT8 *)*(const UINT64 *)(const void *)(rsdp + RSDP_XSDT);
    for (UINT32 at = XSDT_ENTRIES; at < read32(xsdt + TABLE_LENGTH); at += 8) {
        UINT64 low = read32(xsdt + at), high = read32(xsdt + at + 4);
        UINT8 *table = (UINT8 *)(high << 32 | low);
        if (read32(table) == 0x43495041) // "APIC"
            return table;
    }
    need("MADT", EFI_NOT_FOUND);
    return NULL;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    UINT8 *madt = find_madt(find_rsdp(system));
    UINT8 *last = NULL;
    for (UINT32 at = MADT_ENTRIES; at < read32(madt + TABLE_LENGTH); at += madt[at + 1]) {
        if (madt[at] == LOCAL_APIC && madt[at + LOCAL_APIC_ENABLED] & 1)
            last = madt + at;
    }
    if (last == NULL)
        need("a CPU in the MADT", EFI_NOT_FOUND);
    serial_text("MADT without CPU ");
    serial_hex(last[LOCAL_APIC_ID]);
    serial_text("\r\n");
    madt[TABLE_CHECKSUM] = (UINT8)(madt[TABLE_CHECKSUM] + last[LOCAL_APIC_ID] - ABSENT_ID);
    last[LOCAL_APIC_ID] = ABSENT_ID;
    EFI_HANDLE loader = start_load(image, system->BootServices);
    return system->BootServices->StartImage(loader, NULL, NULL);
}
