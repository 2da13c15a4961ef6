// The firmware's tables: where the responses say that they are, and in memory of which type.
#include "boot.h"
#include "checks.h"
#include "memory.h"
#include "paging.h"
#include "requests.h"
#include "tables.h"
#include "tap.h"

#include <stddef.h>

#define FROM_4_TYPES (TYPE(ACPI_RECLAIMABLE) | TYPE(ACPI_NVS) | TYPE(RESERVED_MAPPED))

// Part of the running check: the address is virtual, of the HHDM, or physical.
static void expect_kind(uint64_t address, bool is_physical) {
    if (is_physical)
        EXPECT(address < boot.hhdm, "%lx is not physical", address);
    else
        EXPECT(address >= boot.hhdm, "%lx is not of the HHDM", address);
}

// ACPI

static void expect_acpi_type(uint64_t physical, uint64_t bytes, const char *name) {
    EXPECT(memory_all_in(physical, bytes, FROM_4_TYPES), "%s at [%lx, +%lx): types %lx", name,
           physical, bytes, memory_look(physical).types);
}

void check_acpi(void) {
    const struct limine_value_response *response = response_of(LIMINE_RSDP);
    tap_check("RSDP: a table of that name, its address physical at base revision 3 alone");
    if (response) {
        bool is_physical = boot.revision == 3;
        expect_kind(response->value, is_physical);
        const uint8_t *rsdp = window_memory(physical_address(response->value), 64);
        EXPECT(bytes_equal(rsdp, "RSD PTR ", 8), "it begins with %lx", read_64(rsdp));
        EXPECT(sum_bytes(rsdp, 20) == 0, "the sum of 20 bytes is %lx",
               (uint64_t)sum_bytes(rsdp, 20));
        if (rsdp[15] >= 2)
            EXPECT(sum_bytes(rsdp, read_32(rsdp + 20)) == 0, "of %lu bytes the sum is not 0",
                   (uint64_t)read_32(rsdp + 20));
    } else {
        tap_skip_choice("no answer to RSDP");
    }

    tap_check("from base revision 4 on all ACPI tables are in memory for them, or reserved mapped");
    if (boot.revision < 4)
        tap_skip("not promised before");
    else if (!response)
        tap_skip("no answer to RSDP");
    else
        acpi_visit(expect_acpi_type);
}

// SMBIOS 3.6, 5.2: entry points. From base revision 5 on they and their tables are reserved mapped.

static void expect_reserved_mapped(uint64_t physical, uint64_t bytes, const char *name) {
    if (boot.revision >= 5)
        EXPECT(memory_all_in(physical, bytes, TYPE(RESERVED_MAPPED)),
               "%s at [%lx, +%lx): types %lx", name, physical, bytes, memory_look(physical).types);
}

static void expect_entry_32(uint64_t physical) {
    const uint8_t *entry = window_memory(physical, 32);
    EXPECT(bytes_equal(entry, "_SM_", 4) && entry[5] >= 30 && sum_bytes(entry, entry[5]) == 0,
           "the 32-bit entry begins with %lx", read_64(entry));
    expect_reserved_mapped(physical, entry[5], "the 32-bit entry");
    expect_reserved_mapped(read_32(entry + 24), (uint64_t)(entry[22] | entry[23] << 8),
                           "its table");
}

// Bytes of the structures, up to and with the one that ends them: type, length, texts up to two
// zeros.
static uint64_t structure_bytes(uint64_t physical, uint64_t most) {
    enum { TYPE_END = 127, HEADER_BYTES = 4 };
    const uint8_t *table = window_memory(physical, most);
    uint64_t at = 0;
    while (at + HEADER_BYTES <= most) {
        uint8_t type = table[at];
        at += table[at + 1];
        while (at + 2 <= most && (table[at] || table[at + 1]))
            at++;
        at += 2;
        if (type == TYPE_END)
            break;
    }
    return at < most ? at : most;
}

static void expect_entry_64(uint64_t physical) {
    const uint8_t *entry = window_memory(physical, 32);
    EXPECT(bytes_equal(entry, "_SM3_", 5) && entry[6] >= 24 && sum_bytes(entry, entry[6]) == 0,
           "the 64-bit entry begins with %lx", read_64(entry));
    expect_reserved_mapped(physical, entry[6], "the 64-bit entry");
    uint64_t table = read_64(entry + 16);
    expect_reserved_mapped(table, structure_bytes(table, read_32(entry + 12)), "its table");
}

void check_smbios(void) {
    const struct limine_pair_response *response = response_of(LIMINE_SMBIOS);
    tap_check("SMBIOS: entry points, their addresses physical at base revisions 3 and 4 alone");
    if (!response) {
        tap_skip_choice("no answer to SMBIOS");
        return;
    }
    bool is_physical = boot.revision == 3 || boot.revision == 4;
    EXPECT(response->first || response->second, "%s", "neither");
    if (response->first) {
        expect_kind(response->first, is_physical);
        expect_entry_32(physical_address(response->first));
    }
    if (response->second) {
        expect_kind(response->second, is_physical);
        expect_entry_64(physical_address(response->second));
    }
}

// UEFI 2.10, 4.3.
struct efi_system_table {
    uint64_t signature;
    uint32_t revision, bytes, crc, unused;
    uint64_t vendor;
    uint64_t firmware_revision;
    uint64_t console[6];
    uint64_t runtime;
    uint64_t boot;
    uint64_t table_count;
    uint64_t tables;
};
_Static_assert(sizeof(struct efi_system_table) == 120, "as UEFI lays it out");
#define EFI_SYSTEM_SIGNATURE  UINT64_C(0x5453595320494249)
#define EFI_RUNTIME_SIGNATURE UINT64_C(0x56524553544e5552)
enum { EFI_TABLE_BYTES = 24, EFI_HEADER_BYTES = 24 };

// The CRC of a table, with 0 in the place of its CRC: that of IEEE 802.3.
static uint32_t efi_crc(const uint8_t *table, uint64_t bytes) {
    uint32_t crc = UINT32_MAX;
    for (uint64_t i = 0; i < bytes; i++) {
        crc ^= i >= 16 && i < 20 ? 0 : table[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

static uint64_t vendor_bytes(uint64_t physical) {
    const uint8_t *text = window_memory(physical, 512);
    uint64_t bytes = 0;
    while (bytes < 510 && (text[bytes] || text[bytes + 1]))
        bytes += 2;
    return bytes + 2;
}

static void check_system_table_memory(const struct efi_system_table *table, uint64_t physical) {
    tap_check(
        "from base revision 5 on the EFI system table and what it leads to is reserved mapped");
    if (boot.revision < 5) {
        tap_skip("not promised before");
        return;
    }
    expect_reserved_mapped(physical, table->bytes, "the system table");
    expect_reserved_mapped(table->vendor, vendor_bytes(table->vendor), "the vendor's name");
    expect_reserved_mapped(table->tables, table->table_count * EFI_TABLE_BYTES,
                           "the array of tables");
    const uint8_t *runtime = window_memory(table->runtime, EFI_HEADER_BYTES);
    EXPECT(read_64(runtime) == EFI_RUNTIME_SIGNATURE, "the runtime table begins with %lx",
           read_64(runtime));
    expect_reserved_mapped(table->runtime, read_32(runtime + 12), "the runtime table");
}

void check_efi_system_table(void) {
    const struct limine_value_response *response = response_of(LIMINE_EFI_SYSTEM_TABLE);
    tap_check("EFI_SYSTEM_TABLE: that table, its address physical at base revisions 3 and 4 alone");
    if (!response) {
        tap_skip_choice("no answer to EFI_SYSTEM_TABLE");
        return;
    }
    bool is_physical = boot.revision == 3 || boot.revision == 4;
    expect_kind(response->value, is_physical);
    uint64_t physical = physical_address(response->value);
    const struct efi_system_table *table = window_memory(physical, sizeof(*table));
    EXPECT(table->signature == EFI_SYSTEM_SIGNATURE, "it begins with %lx", table->signature);
    if (table->signature != EFI_SYSTEM_SIGNATURE)
        return;
    EXPECT(table->bytes >= sizeof(*table) &&
               efi_crc((const uint8_t *)table, table->bytes) == table->crc,
           "its CRC is %lx, not %lx", (uint64_t)efi_crc((const uint8_t *)table, table->bytes),
           (uint64_t)table->crc);

    tap_check("boot services are exited: the system table has none, and no console");
    EXPECT(table->boot == 0, "boot services at %lx", table->boot);
    for (int i = 0; i < 6; i++)
        EXPECT(table->console[i] == 0, "console word %lu is %lx", (uint64_t)i, table->console[i]);
    check_system_table_memory(table, physical);
}
