// See firmware_tables.h.
#include "loader/firmware_tables.h"

#include "common/acpi/acpi_tables.h"
#include "common/base/arith.h"
#include "common/base/mem.h"
#include "common/smbios/smbios.h"
#include "common/x86/cpu.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/table_pool.h"

enum { VENDOR_CHARS_MAX = 256 };

struct search {
    struct firmware_pages *pages;
    bool wants_all;       // else those of ACPI
    struct vmem firmware; // its address space, to be read
    // Known to be mapped one to one: most tables lie near the one before.
    uint64_t known_start;
    uint64_t known_end;
    uint64_t rsdp; // whose tables were found last
};

// ---- What the firmware maps

// Makes an address known, if it is mapped one to one, with the page that maps it.
static bool look_up(struct search *search, uint64_t phys) {
    struct vmem_translation found;
    if (vmem_translate(&search->firmware, vaddr(phys), &found) != VMEM_OK ||
        found.phys.value != phys)
        return false;
    uint64_t bytes = vmem_page_bytes(found.page);
    uint64_t start = align_down(phys, bytes);
    if (start != search->known_end)
        search->known_start = start;
    search->known_end = start + bytes;
    return true;
}

// Page 0 counts as absent: a null pointer is no table.
static const void *pointer(void *context, uint64_t phys, uint64_t bytes) {
    struct search *search = context;
    uint64_t end;
    if (phys < FRAME_BYTES || add_overflows(phys, bytes, &end))
        return NULL;
    for (uint64_t at = phys; at < end; at = search->known_end) {
        bool is_known = at >= search->known_start && at < search->known_end;
        if (!is_known && !look_up(search, at))
            return NULL;
    }
    return firmware_pointer(phys);
}

static void add(struct search *search, uint64_t phys, uint64_t bytes) {
    if (!firmware_pages_add(search->pages, phys, bytes))
        log_line(CONFIG_LOG_INFO,
                 "firmware's table at 0x%lx, %lu bytes, left out: there are too many", phys, bytes);
}

// Adds a structure of the firmware's, if it is there to be read.
static void add_mapped(struct search *search, uint64_t phys, uint64_t bytes) {
    if (bytes != 0 && pointer(search, phys, bytes) != NULL)
        add(search, phys, bytes);
}

// ---- ACPI, SMBIOS

static void add_acpi_table(void *context, uint64_t phys, uint32_t bytes) {
    add(context, phys, bytes);
}

static void find_acpi(struct search *search, uint64_t rsdp) {
    if (rsdp == search->rsdp) // the configuration tables of ACPI 1.0 and 2.0 may have the same
        return;
    search->rsdp = rsdp;
    const struct acpi_memory memory = {pointer, search};
    const struct acpi_visitor visitor = {add_acpi_table, search};
    if (acpi_visit_tables(&memory, rsdp, &visitor) != ACPI_OK)
        log_line(CONFIG_LOG_DEBUG, "the RSDP at 0x%lx is none", rsdp);
}

static void find_smbios(struct search *search, uint64_t phys) {
    struct smbios_table table;
    const uint8_t *entry = pointer(search, phys, SMBIOS_FIRST_BYTES);
    uint32_t bytes = entry == NULL ? 0 : smbios_entry_bytes(entry);
    if (bytes == 0 || pointer(search, phys, bytes) == NULL ||
        smbios_read_entry(entry, &table) != SMBIOS_OK) {
        log_line(CONFIG_LOG_DEBUG, "the SMBIOS entry point at 0x%lx is none", phys);
        return;
    }
    add(search, phys, bytes);
    add_mapped(search, table.phys, table.bytes);
}

// ---- UEFI

static bool is_guid(const EFI_GUID *guid, EFI_GUID other) {
    return memcmp(guid, &other, sizeof(other)) == 0;
}

static void find_configuration_table(struct search *search, const EFI_CONFIGURATION_TABLE *table) {
    uint64_t phys = (uintptr_t)table->VendorTable;
    const EFI_GUID *guid = &table->VendorGuid;
    if (is_guid(guid, (EFI_GUID)ACPI_20_TABLE_GUID) || is_guid(guid, (EFI_GUID)ACPI_TABLE_GUID))
        find_acpi(search, phys);
    else if (!search->wants_all)
        return;
    else if (is_guid(guid, (EFI_GUID)SMBIOS3_TABLE_GUID) ||
             is_guid(guid, (EFI_GUID)SMBIOS_TABLE_GUID))
        find_smbios(search, phys);
    else
        add_mapped(search, phys, 1);
}

// UCS-2, with its NUL, or as much of it as is there to be read.
static void add_vendor(struct search *search, uint64_t phys) {
    uint64_t bytes = 0;
    for (unsigned chars = 0; chars < VENDOR_CHARS_MAX; chars++) {
        const CHAR16 *unit = pointer(search, phys + bytes, sizeof(*unit));
        if (unit == NULL)
            break;
        bytes += sizeof(*unit);
        if (*unit == 0)
            break;
    }
    add_mapped(search, phys, bytes);
}

static void find_uefi(struct search *search) {
    add_mapped(search, (uintptr_t)ST, sizeof(*ST));
    add_mapped(search, (uintptr_t)ST->RuntimeServices, sizeof(*ST->RuntimeServices));
    add_mapped(search, (uintptr_t)ST->ConfigurationTable,
               ST->NumberOfTableEntries * sizeof(*ST->ConfigurationTable));
    add_vendor(search, (uintptr_t)ST->FirmwareVendor);
}

static void find_configuration_tables(struct search *search) {
    for (UINTN i = 0; i < ST->NumberOfTableEntries; i++)
        find_configuration_table(search, &ST->ConfigurationTable[i]);
}

void firmware_tables_find(struct firmware_pages *pages, const struct cpu_features *features,
                          enum space_firmware wanted) {
    struct search search = {.pages = pages, .wants_all = wanted != SPACE_FIRMWARE_ACPI};
    if (wanted == SPACE_FIRMWARE_NONE)
        return;
    if (vmem_adopt(&search.firmware, &table_pool_ops, NULL, features->paging,
                   features->paging_levels, cpu_read_cr3()) != VMEM_OK)
        return;
    if (search.wants_all)
        find_uefi(&search);
    find_configuration_tables(&search);
}
