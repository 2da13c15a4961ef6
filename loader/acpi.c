// See acpi.h.
#include "loader/acpi.h"

#include "loader/firmware.h"
#include "loader/log.h"

// ACPI 6.4: FADT 5.2.9.
enum {
    FADT_PM_TIMER = 76,
    FADT_PM_TIMER_LENGTH = 91,
    FADT_FLAGS = 112,
    FADT_BYTES_MIN = 116, // of ACPI 1.0
    FADT_FLAG_TIMER_32 = 1 << 8,
    FADT_FLAG_HARDWARE_REDUCED = 1 << 20,
};

static const void *table_pointer(void *context, uint64_t phys, uint64_t bytes) {
    (void)context;
    (void)bytes; // the firmware maps all that its tables point to
    return firmware_pointer(phys);
}

struct acpi_memory acpi_identity_memory(void) {
    return (struct acpi_memory){.pointer = table_pointer};
}

struct acpi_pm_timer acpi_find_pm_timer(uint64_t rsdp_phys) {
    struct acpi_memory memory = acpi_identity_memory();
    struct acpi_table fadt;
    if (acpi_find_table(&memory, rsdp_phys, "FACP", FADT_BYTES_MIN, &fadt) != ACPI_OK)
        return (struct acpi_pm_timer){0};
    uint32_t flags = acpi_read32(fadt.bytes + FADT_FLAGS);
    uint32_t port = acpi_read32(fadt.bytes + FADT_PM_TIMER);
    if ((flags & FADT_FLAG_HARDWARE_REDUCED) || fadt.bytes[FADT_PM_TIMER_LENGTH] != 4 ||
        port > UINT16_MAX)
        return (struct acpi_pm_timer){0};
    uint32_t mask = flags & FADT_FLAG_TIMER_32 ? UINT32_MAX : (1U << 24) - 1;
    return (struct acpi_pm_timer){.port = (uint16_t)port, .mask = mask};
}

EFI_STATUS acpi_find_controllers(uint64_t rsdp_phys, struct controllers *ret_controllers) {
    const struct acpi_memory memory = acpi_identity_memory();
    ret_controllers->count = 0;
    for (enum controller_kind kind = 0; kind < CONTROLLER_KINDS; kind++) {
        enum acpi_status status = controllers_add(ret_controllers, kind, &memory, rsdp_phys);
        if (status == ACPI_ERR_TOO_MANY)
            return log_fail(EFI_UNSUPPORTED,
                            "ACPI: more than %d interrupt controllers and IOMMUs, at the %s",
                            CONTROLLERS_MAX, controllers_signature(kind));
        if (status != ACPI_OK && status != ACPI_ERR_NO_RSDP && status != ACPI_ERR_ABSENT)
            log_line(CONFIG_LOG_INFO, "ACPI: the %s is not believed: %s",
                     controllers_signature(kind), acpi_status_text(status));
    }
    return EFI_SUCCESS;
}
