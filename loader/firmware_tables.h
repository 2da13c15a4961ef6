// Where the tables are that the firmware leaves for a kernel: ACPI's, SMBIOS's, and those of UEFI.
// A kernel finds them in the direct map or, where they do not lie in RAM, in a window of their own
// (SLIPWAY_MAP_FIRMWARE).
//
//   ACPI      all that acpi_visit_tables visits
//   SMBIOS    the entry points of version 2 and 3, and the structures that they lead to
//   UEFI      the system table, the vendor's name, the table of runtime services, the list of
//             configuration tables, and the page in which each of those begins (UEFI 2.9, 4.3, 4.5,
//             4.6)
//
// What the firmware does not map one to one in its own page tables is left alone: a pointer of the
// firmware's may lead anywhere.
#pragma once

#include "common/x86/features.h"
#include "loader/firmware_pages.h"

// Collects the pages of all of them, of ACPI's alone or of none, as `wanted` says, into an empty
// list, while the firmware's mapping is in force. What has no room in the list is named in the log.
void firmware_tables_find(struct firmware_pages *pages, const struct cpu_features *features,
                          enum space_firmware wanted);
