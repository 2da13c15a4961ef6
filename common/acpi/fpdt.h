// When the firmware took the steps of this boot, by its own performance record: the FPDT, which is
// found and believed as common/acpi/acpi_tables.h says, leads to it. The record itself has no
// checksum. Pure: host tests and a fuzzer run the same file. Whatever the tables hold, the search
// ends.
//
// ACPI 6.4: FPDT 5.2.23, with the pointer to the boot performance table among its records; that
// table and its basic boot performance record.
#pragma once

#include "common/acpi/acpi_tables.h"

#include <stdint.h>

// In nanoseconds since the reset's end of the firmware's own counting; 0: not recorded.
struct fpdt_times {
    uint64_t reset_end;
    uint64_t loader_load;  // the loader's image is about to be loaded
    uint64_t loader_start; // the loader is about to be started
    uint64_t exit_start;   // ExitBootServices was called,
    uint64_t exit_end;     // and is about to return
};

// Finds the record through the RSDP at the physical address `rsdp` (0: there is none). All five are
// 0 where there is none.
struct fpdt_times fpdt_find_times(const struct acpi_memory *memory, uint64_t rsdp);
