#include "kernel/madt.h"

#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    RSDP_REVISION = 15,
    RSDP_RSDT = 16,
    RSDP_LENGTH = 20,
    RSDP_XSDT = 24,
    RSDP_BYTES_1 = 20, // of ACPI 1.0, which the first checksum covers
    RSDP_BYTES_2 = 36, // from revision 2 on; a second checksum covers all that its length says

    TABLE_LENGTH = 4,
    TABLE_HEADER_BYTES = 36,

    MADT_ENTRIES = 44, // behind the address of the local APICs and flags
    ENTRY_TYPE = 0,
    ENTRY_LENGTH = 1,
    ENTRY_BYTES_MIN = 2,

    ENTRY_LOCAL_APIC = 0, // 5.2.12.2
    LOCAL_APIC_BYTES = 8,
    LOCAL_APIC_ID = 3,
    LOCAL_APIC_FLAGS = 4,
    ENTRY_LOCAL_X2APIC = 9, // 5.2.12.12
    LOCAL_X2APIC_BYTES = 16,
    LOCAL_X2APIC_ID = 4,
    LOCAL_X2APIC_FLAGS = 8,
    FLAG_ENABLED = 1,
};

// The IDs that mean all CPUs, and so none.
#define APIC_ID_ALL   UINT32_C(0xff)
#define X2APIC_ID_ALL UINT32_C(0xffffffff)

const char *madt_status_text(enum madt_status status) {
    switch (status) {
    case MADT_OK:
        return "ok";
    case MADT_ERR_NO_RSDP:
        return "the firmware gives no ACPI tables";
    case MADT_ERR_UNREACHABLE:
        return "an ACPI table lies outside of RAM";
    case MADT_ERR_SIGNATURE:
        return "an ACPI table has the wrong signature";
    case MADT_ERR_LENGTH:
        return "an ACPI table has an impossible length";
    case MADT_ERR_CHECKSUM:
        return "an ACPI table has a wrong checksum";
    case MADT_ERR_ABSENT:
        return "there is no MADT among the ACPI tables";
    case MADT_ERR_ENTRY:
        return "an entry of the MADT has an impossible length";
    case MADT_ERR_BOOT_CPU:
        return "the MADT does not list the CPU that boots";
    }
    return "unknown";
}

static uint32_t read32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t read64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static bool adds_up(const uint8_t *bytes, uint32_t count) {
    uint8_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

struct table {
    const uint8_t *bytes;
    uint32_t length;
};

// A whole table, believed: `least` bytes of it are there at least.
static enum madt_status read_table(const struct madt_memory *memory, uint64_t phys,
                                   const char signature[4], uint32_t least,
                                   struct table *ret_table) {
    const uint8_t *header = memory->pointer(memory->context, phys, TABLE_HEADER_BYTES);
    if (header == NULL)
        return MADT_ERR_UNREACHABLE;
    if (memcmp(header, signature, 4) != 0)
        return MADT_ERR_SIGNATURE;
    uint32_t length = read32(header + TABLE_LENGTH);
    if (length < least || length > MADT_TABLE_BYTES_MAX)
        return MADT_ERR_LENGTH;
    const uint8_t *bytes = memory->pointer(memory->context, phys, length);
    if (bytes == NULL)
        return MADT_ERR_UNREACHABLE;
    if (!adds_up(bytes, length))
        return MADT_ERR_CHECKSUM;
    *ret_table = (struct table){bytes, length};
    return MADT_OK;
}

// The table that lists all others, with addresses of `entry_bytes` bytes.
struct root {
    uint64_t phys;
    uint32_t entry_bytes;
};

static enum madt_status read_rsdp(const struct madt_memory *memory, uint64_t phys,
                                  struct root *ret_root) {
    if (phys == 0)
        return MADT_ERR_NO_RSDP;
    const uint8_t *rsdp = memory->pointer(memory->context, phys, RSDP_BYTES_1);
    if (rsdp == NULL)
        return MADT_ERR_UNREACHABLE;
    if (memcmp(rsdp, "RSD PTR ", 8) != 0)
        return MADT_ERR_SIGNATURE;
    if (!adds_up(rsdp, RSDP_BYTES_1))
        return MADT_ERR_CHECKSUM;
    *ret_root = (struct root){read32(rsdp + RSDP_RSDT), sizeof(uint32_t)};
    if (rsdp[RSDP_REVISION] < 2)
        return MADT_OK;
    rsdp = memory->pointer(memory->context, phys, RSDP_BYTES_2);
    if (rsdp == NULL)
        return MADT_ERR_UNREACHABLE;
    uint32_t length = read32(rsdp + RSDP_LENGTH);
    if (length < RSDP_BYTES_2 || length > MADT_TABLE_BYTES_MAX)
        return MADT_ERR_LENGTH;
    rsdp = memory->pointer(memory->context, phys, length);
    if (rsdp == NULL)
        return MADT_ERR_UNREACHABLE;
    if (!adds_up(rsdp, length))
        return MADT_ERR_CHECKSUM;
    if (read64(rsdp + RSDP_XSDT) != 0)
        *ret_root = (struct root){read64(rsdp + RSDP_XSDT), sizeof(uint64_t)};
    return MADT_OK;
}

// The first MADT counts. What else is listed need not be readable, nor in order.
static enum madt_status find_madt(const struct madt_memory *memory, struct root root,
                                  struct table *ret_madt) {
    bool is_xsdt = root.entry_bytes == sizeof(uint64_t);
    struct table list;
    enum madt_status status =
        read_table(memory, root.phys, is_xsdt ? "XSDT" : "RSDT", TABLE_HEADER_BYTES, &list);
    if (status != MADT_OK)
        return status;
    enum madt_status none = MADT_ERR_ABSENT;
    for (uint32_t at = TABLE_HEADER_BYTES; list.length - at >= root.entry_bytes;
         at += root.entry_bytes) {
        uint64_t phys = is_xsdt ? read64(list.bytes + at) : read32(list.bytes + at);
        status = read_table(memory, phys, "APIC", MADT_ENTRIES, ret_madt);
        if (status == MADT_ERR_UNREACHABLE)
            none = status; // it may have been the one
        else if (status != MADT_ERR_SIGNATURE)
            return status;
    }
    return none;
}

// The ID of the CPU that an entry lists; false if it lists none that could be started.
static bool entry_cpu(const uint8_t *entry, uint32_t *ret_id) {
    if (entry[ENTRY_TYPE] == ENTRY_LOCAL_APIC) {
        *ret_id = entry[LOCAL_APIC_ID];
        return (read32(entry + LOCAL_APIC_FLAGS) & FLAG_ENABLED) && *ret_id != APIC_ID_ALL;
    }
    if (entry[ENTRY_TYPE] == ENTRY_LOCAL_X2APIC) {
        *ret_id = read32(entry + LOCAL_X2APIC_ID);
        return (read32(entry + LOCAL_X2APIC_FLAGS) & FLAG_ENABLED) && *ret_id != X2APIC_ID_ALL;
    }
    return false;
}

// How long an entry of this type is at least.
static uint32_t entry_least(uint8_t type) {
    if (type == ENTRY_LOCAL_APIC)
        return LOCAL_APIC_BYTES;
    return type == ENTRY_LOCAL_X2APIC ? LOCAL_X2APIC_BYTES : ENTRY_BYTES_MIN;
}

static bool is_kept(const struct madt_cpus *cpus, uint32_t kept, uint32_t id) {
    for (uint32_t i = 0; i < kept; i++) {
        if (cpus->ids[i] == id)
            return true;
    }
    return false;
}

static enum madt_status read_entries(const struct table *madt, struct madt_cpus *cpus) {
    bool has_boot_cpu = false;
    uint32_t kept = 1;
    uint32_t found = 1;
    for (uint32_t at = MADT_ENTRIES; at < madt->length;) {
        const uint8_t *entry = madt->bytes + at;
        uint32_t left = madt->length - at;
        if (left < ENTRY_BYTES_MIN || entry[ENTRY_LENGTH] > left ||
            entry[ENTRY_LENGTH] < entry_least(entry[ENTRY_TYPE]))
            return MADT_ERR_ENTRY;
        at += entry[ENTRY_LENGTH];
        uint32_t id;
        if (!entry_cpu(entry, &id))
            continue;
        has_boot_cpu |= id == cpus->ids[0];
        if (is_kept(cpus, kept, id))
            continue;
        found++;
        if (kept < cpus->capacity)
            cpus->ids[kept++] = id;
    }
    if (!has_boot_cpu)
        return MADT_ERR_BOOT_CPU;
    cpus->kept = kept;
    cpus->found = found;
    return MADT_OK;
}

enum madt_status madt_find_cpus(const struct madt_memory *memory, uint64_t rsdp,
                                struct madt_cpus *cpus) {
    struct root root;
    enum madt_status status = read_rsdp(memory, rsdp, &root);
    if (status != MADT_OK)
        return status;
    struct table madt;
    status = find_madt(memory, root, &madt);
    return status == MADT_OK ? read_entries(&madt, cpus) : status;
}
