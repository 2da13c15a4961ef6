// See madt.h.
#include "common/acpi/madt.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    MADT_ENTRIES = 44, // behind the address of the local APICs and flags
    ENTRY_TYPE = 0,
    ENTRY_LENGTH = 1,

    ENTRY_LOCAL_APIC = 0, // 5.2.12.2
    LOCAL_APIC_BYTES = 8,
    LOCAL_APIC_PROCESSOR = 2,
    LOCAL_APIC_ID = 3,
    LOCAL_APIC_FLAGS = 4,
    ENTRY_LOCAL_X2APIC = 9, // 5.2.12.12
    LOCAL_X2APIC_BYTES = 16,
    LOCAL_X2APIC_ID = 4,
    LOCAL_X2APIC_FLAGS = 8,
    LOCAL_X2APIC_PROCESSOR = 12,
    FLAG_ENABLED = 1,
};

// The IDs that mean all CPUs, and so none.
#define APIC_ID_ALL   UINT32_C(0xff)
#define X2APIC_ID_ALL UINT32_C(0xffffffff)

// The CPU that an entry lists; false if it lists none that could be started.
static bool entry_cpu(const uint8_t *entry, struct madt_cpu *ret_cpu) {
    if (entry[ENTRY_TYPE] == ENTRY_LOCAL_APIC) {
        *ret_cpu = (struct madt_cpu){entry[LOCAL_APIC_PROCESSOR], entry[LOCAL_APIC_ID]};
        return (acpi_read32(entry + LOCAL_APIC_FLAGS) & FLAG_ENABLED) &&
               ret_cpu->apic_id != APIC_ID_ALL;
    }
    if (entry[ENTRY_TYPE] == ENTRY_LOCAL_X2APIC) {
        *ret_cpu = (struct madt_cpu){acpi_read32(entry + LOCAL_X2APIC_PROCESSOR),
                                     acpi_read32(entry + LOCAL_X2APIC_ID)};
        return (acpi_read32(entry + LOCAL_X2APIC_FLAGS) & FLAG_ENABLED) &&
               ret_cpu->apic_id != X2APIC_ID_ALL;
    }
    return false;
}

// How long an entry of this type is at least.
static uint32_t entry_least(uint8_t type) {
    if (type == ENTRY_LOCAL_APIC)
        return LOCAL_APIC_BYTES;
    return type == ENTRY_LOCAL_X2APIC ? LOCAL_X2APIC_BYTES : 0;
}

static bool is_kept(const struct madt_cpus *cpus, uint32_t kept, uint32_t id) {
    for (uint32_t i = 0; i < kept; i++) {
        if (cpus->cpus[i].apic_id == id)
            return true;
    }
    return false;
}

static enum acpi_status read_entries(const struct acpi_table *madt, uint32_t own_id,
                                     struct madt_cpus *cpus) {
    bool has_own = false;
    uint32_t kept = 0;
    uint32_t found = 0;
    struct acpi_entries entries = {
        .next = madt->bytes + MADT_ENTRIES,
        .left = madt->length - MADT_ENTRIES,
        .length_at = ENTRY_LENGTH,
        .length_bytes = 1,
    };
    uint32_t length;
    for (const uint8_t *entry; (entry = acpi_next_entry(&entries, &length)) != NULL;) {
        if (length < entry_least(entry[ENTRY_TYPE]))
            return ACPI_ERR_ENTRY;
        struct madt_cpu cpu;
        if (!entry_cpu(entry, &cpu) || is_kept(cpus, kept, cpu.apic_id))
            continue;
        has_own |= cpu.apic_id == own_id;
        found++;
        uint32_t kept_back = has_own ? 0 : 1; // room for the one that asks
        if (kept + kept_back < cpus->capacity)
            cpus->cpus[kept++] = cpu;
    }
    if (entries.left != 0)
        return ACPI_ERR_ENTRY;
    if (!has_own)
        return ACPI_ERR_BOOT_CPU;
    cpus->kept = kept;
    cpus->found = found;
    return ACPI_OK;
}

enum acpi_status madt_find_cpus(const struct acpi_memory *memory, uint64_t rsdp, uint32_t own_id,
                                struct madt_cpus *cpus) {
    struct acpi_table madt;
    enum acpi_status status = acpi_find_table(memory, rsdp, "APIC", MADT_ENTRIES, &madt);
    return status == ACPI_OK ? read_entries(&madt, own_id, cpus) : status;
}
