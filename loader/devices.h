// What the firmware knows of the machine and the kernel wants to know: ACPI, SMBIOS, the time of
// day. Nothing here is required: an absent thing is recorded as absent. Connects and changes
// nothing.
#pragma once

#include <stdint.h>

struct devices {
    uint64_t rsdp_phys;
    uint64_t smbios_phys;    // of the entry point: SMBIOS 3's, if there is that
    uint64_t smbios_32_phys; // of each kind of entry point, 32-bit
    uint64_t smbios_64_phys; // and 64-bit (SMBIOS 3)
    uint64_t system_table_phys;
    int64_t boot_time; // Unix seconds; 0: unknown
};

// Fills *devices with the tables of the configuration table; cheap, no protocols.
void devices_find_tables(struct devices *devices);

// The time of the firmware's clock in Unix seconds; 0: unknown.
int64_t devices_read_time(void);
