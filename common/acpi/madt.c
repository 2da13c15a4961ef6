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

    ENTRY_NMI = 4, // 5.2.12.7
    NMI_BYTES = 6,
    NMI_PROCESSOR = 2,
    NMI_FLAGS = 3,
    NMI_LINT = 5,
    ENTRY_X2APIC_NMI = 0xA, // 5.2.12.13
    X2APIC_NMI_BYTES = 12,
    X2APIC_NMI_FLAGS = 2,
    X2APIC_NMI_PROCESSOR = 4,
    X2APIC_NMI_LINT = 8,

    // Table 5.26: two bits each. What conforms to the bus is active high, and edge triggered.
    FLAGS_POLARITY = 3 << 0,
    FLAGS_LOW = 3 << 0,
    FLAGS_TRIGGER = 3 << 2,
    FLAGS_LEVEL = 3 << 2,
};

// The IDs that mean all CPUs, and so none.
#define APIC_ID_ALL   UINT32_C(0xff)
#define X2APIC_ID_ALL UINT32_C(0xffffffff)

// The processors that mean all, in entries that name one.
#define PROCESSOR_ALL        UINT32_C(0xff)
#define X2APIC_PROCESSOR_ALL UINT32_C(0xffffffff)

// The CPU that an entry lists; false if it lists none that could be started.
static bool entry_cpu(const uint8_t *entry, struct madt_cpu *ret_cpu) {
    if (entry[ENTRY_TYPE] == ENTRY_LOCAL_APIC) {
        *ret_cpu = (struct madt_cpu){.processor_id = entry[LOCAL_APIC_PROCESSOR],
                                     .apic_id = entry[LOCAL_APIC_ID]};
        return (acpi_read32(entry + LOCAL_APIC_FLAGS) & FLAG_ENABLED) &&
               ret_cpu->apic_id != APIC_ID_ALL;
    }
    if (entry[ENTRY_TYPE] == ENTRY_LOCAL_X2APIC) {
        *ret_cpu = (struct madt_cpu){.processor_id = acpi_read32(entry + LOCAL_X2APIC_PROCESSOR),
                                     .apic_id = acpi_read32(entry + LOCAL_X2APIC_ID)};
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

// A pin of one CPU, or of all, that delivers NMIs.
struct nmi {
    bool is_for_all;
    uint32_t processor_id;
    uint32_t lint;
    uint16_t flags; // of table 5.26
};

// False for an entry of another kind, or one that is too short.
static bool entry_nmi(const uint8_t *entry, uint32_t length, struct nmi *ret_nmi) {
    if (entry[ENTRY_TYPE] == ENTRY_NMI && length >= NMI_BYTES) {
        uint32_t processor_id = entry[NMI_PROCESSOR];
        *ret_nmi = (struct nmi){processor_id == PROCESSOR_ALL, processor_id, entry[NMI_LINT],
                                acpi_read16(entry + NMI_FLAGS)};
        return true;
    }
    if (entry[ENTRY_TYPE] == ENTRY_X2APIC_NMI && length >= X2APIC_NMI_BYTES) {
        uint32_t processor_id = acpi_read32(entry + X2APIC_NMI_PROCESSOR);
        *ret_nmi = (struct nmi){processor_id == X2APIC_PROCESSOR_ALL, processor_id,
                                entry[X2APIC_NMI_LINT], acpi_read16(entry + X2APIC_NMI_FLAGS)};
        return true;
    }
    return false;
}

static bool is_kept(const struct madt_cpus *cpus, uint32_t kept, uint32_t id) {
    for (uint32_t i = 0; i < kept; i++) {
        if (cpus->cpus[i].apic_id == id)
            return true;
    }
    return false;
}

static struct acpi_entries list_entries(const struct acpi_table *madt) {
    return (struct acpi_entries){
        .next = madt->bytes + MADT_ENTRIES,
        .left = madt->length - MADT_ENTRIES,
        .length_at = ENTRY_LENGTH,
        .length_bytes = 1,
    };
}

// For CPUs that are listed before and behind these entries. Of two for one pin the last counts.
static void read_nmis(const struct acpi_table *madt, const struct madt_cpus *cpus) {
    struct acpi_entries entries = list_entries(madt);
    uint32_t length;
    for (const uint8_t *entry; (entry = acpi_next_entry(&entries, &length)) != NULL;) {
        struct nmi nmi;
        if (!entry_nmi(entry, length, &nmi) || nmi.lint >= MADT_LINTS)
            continue;
        bool is_low = (nmi.flags & FLAGS_POLARITY) == FLAGS_LOW;
        bool is_level = (nmi.flags & FLAGS_TRIGGER) == FLAGS_LEVEL;
        for (uint32_t i = 0; i < cpus->kept; i++) {
            if (nmi.is_for_all || cpus->cpus[i].processor_id == nmi.processor_id)
                cpus->cpus[i].lints[nmi.lint] =
                    MADT_NMI | (is_low ? MADT_NMI_LOW : 0) | (is_level ? MADT_NMI_LEVEL : 0);
        }
    }
}

static enum acpi_status read_entries(const struct acpi_table *madt, uint32_t own_id,
                                     struct madt_cpus *cpus) {
    bool has_own = false;
    uint32_t kept = 0;
    uint32_t found = 0;
    struct acpi_entries entries = list_entries(madt);
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
    read_nmis(madt, cpus);
    return ACPI_OK;
}

enum acpi_status madt_find_cpus(const struct acpi_memory *memory, uint64_t rsdp, uint32_t own_id,
                                struct madt_cpus *cpus) {
    struct acpi_table madt;
    enum acpi_status status = acpi_find_table(memory, rsdp, "APIC", MADT_ENTRIES, &madt);
    return status == ACPI_OK ? read_entries(&madt, own_id, cpus) : status;
}
