// All of libslipway-boot, the loader's pure parts for the EFI applications of others: the kernel's
// file is read and checked (elf.h), the firmware's memory map becomes regions (memmap.h), the
// kernel's space is planned and its tables are counted and built (plan.h, over common/vmem), and
// proved (audit.h). docs/boot-library.md says in which order, and what else a boot takes.
//
// Owns no memory, and calls nothing but the functions that it is given: all works before
// ExitBootServices and after it.
#pragma once

#include "common/audit/audit.h"
#include "common/memmap/memmap.h"
#include "loader/elf.h"
#include "loader/plan.h"

// The versions of this interface: of its source, and of what is compiled (symbols, layouts,
// values), as common/sdk/boot.abi records it. A change that users must follow raises one or both.
#define BOOT_LIBRARY_API_VERSION 1
#define BOOT_LIBRARY_ABI_VERSION 1
