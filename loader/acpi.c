#include "loader/acpi.h"

#include "common/base/mem.h"

#include <stddef.h>

// ACPI 6.4: RSDP 5.2.5.3, table header 5.2.6, RSDT and XSDT 5.2.7 and 5.2.8, FADT 5.2.9.
enum {
    RSDP_REVISION = 15,
    RSDP_RSDT = 16,
    RSDP_XSDT = 24,
    TABLE_LENGTH = 4,
    TABLE_HEADER_BYTES = 36,
    TABLE_BYTES_MAX = 1 << 16, // no root table has more entries than this holds
    FADT_PM_TIMER = 76,
    FADT_PM_TIMER_LENGTH = 91,
    FADT_FLAGS = 112,
    FADT_BYTES_MIN = 116, // those of ACPI 1.0
    FADT_FLAG_TIMER_32 = 1 << 8,
    FADT_FLAG_HARDWARE_REDUCED = 1 << 20,
};

static uint32_t read32(const char *at) {
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t read64(const char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static const char *at_physical(uint64_t physical) {
    return (const char *)(uintptr_t)physical;
}

static struct acpi_pm_timer read_fadt(const char *fadt) {
    if (read32(fadt + TABLE_LENGTH) < FADT_BYTES_MIN)
        return (struct acpi_pm_timer){0};
    uint32_t flags = read32(fadt + FADT_FLAGS);
    uint32_t port = read32(fadt + FADT_PM_TIMER);
    if ((flags & FADT_FLAG_HARDWARE_REDUCED) || fadt[FADT_PM_TIMER_LENGTH] != 4 ||
        port > UINT16_MAX)
        return (struct acpi_pm_timer){0};
    uint32_t mask = flags & FADT_FLAG_TIMER_32 ? UINT32_MAX : (1U << 24) - 1;
    return (struct acpi_pm_timer){.port = (uint16_t)port, .mask = mask};
}

struct acpi_pm_timer acpi_find_pm_timer(const void *rsdp) {
    const char *base = rsdp;
    if (base == NULL)
        return (struct acpi_pm_timer){0};
    unsigned entry_bytes = base[RSDP_REVISION] >= 2 && read64(base + RSDP_XSDT) != 0 ? 8 : 4;
    const char *root =
        at_physical(entry_bytes == 8 ? read64(base + RSDP_XSDT) : read32(base + RSDP_RSDT));
    if (root == NULL)
        return (struct acpi_pm_timer){0};
    uint32_t bytes = read32(root + TABLE_LENGTH);
    if (bytes > TABLE_BYTES_MAX)
        return (struct acpi_pm_timer){0};
    for (uint32_t at = TABLE_HEADER_BYTES; at + entry_bytes <= bytes; at += entry_bytes) {
        const char *table = at_physical(entry_bytes == 8 ? read64(root + at) : read32(root + at));
        if (table != NULL && memcmp(table, "FACP", 4) == 0)
            return read_fadt(table);
    }
    return (struct acpi_pm_timer){0};
}
