// Numbers of the fake machine that its tables tell and its tests expect.
#pragma once

#include <stdint.h>

#define FAKE_TSC_HZ        UINT64_C(1000000000)
#define FAKE_TSC_STEP      1000 // counts between two readings
#define FAKE_PM_TIMER_PORT 0x608

// ACPI's ID of the CPU that boots.
#define FAKE_BOOT_PROCESSOR 0x77
