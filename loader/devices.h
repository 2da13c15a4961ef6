// What the firmware knows of the machine and the kernel wants to know: displays, ACPI, SMBIOS, the
// time of day. Nothing here is required: an absent thing is recorded as absent. Connects and
// changes nothing.
#pragma once

#include "common/boot/slipway_boot.h"
#include "loader/plan.h"

#include <stdint.h>

enum { DEVICES_FRAMEBUFFERS_MAX = PLAN_FRAMEBUFFERS_MAX };

struct devices {
    // `address` is not set here: info.c sets it. `bytes` is whole pages, counted from the page of
    // `address_phys`.
    struct slipway_framebuffer framebuffers[DEVICES_FRAMEBUFFERS_MAX];
    uint32_t framebuffer_count;
    uint64_t rsdp_phys;
    uint64_t smbios_phys;
    uint64_t system_table_phys;
    int64_t boot_time; // Unix seconds; 0: unknown
};

// Fills *devices with the tables of the configuration table; cheap, no protocols.
void devices_find_tables(struct devices *devices);

// Finds the displays and the time.
void devices_find_displays(struct devices *devices);
