// The crossing: from the firmware's tables to the kernel's, and into the kernel. Owns the GDT, TSS
// and IDT that the kernel finds, and the handler that reports a fault until the kernel has its own.
//
// The handler is the loader's own code, mapped a second time in the kernel half. It reaches its
// code and data there relative to RIP, or through addresses that enter_kernel computed for that
// half.
#pragma once

#include "common/vmem/vmem.h"
#include "common/x86/features.h"
#include "loader/plan.h"

#include <efi.h>

#include <stdint.h>

// Tables that the crossing's address space needs at most: a root, and one of each lower level.
enum { ENTER_CROSSING_TABLES = 5 };

// Finds the loader's image as the firmware placed it. Failures are recorded.
[[nodiscard]] EFI_STATUS enter_own_image(struct plan_loader_image *ret_image);

// Makes *ret_crossing: the upper half of `space`, and one page mapped one to one: the startup page
// at the physical address `startup`, or where that is 0 the page of the switching code. Its tables
// come from `context`, for the ops of `space`, the root first. It is a clone (vmem_clone): from now
// on neither structure may move.
[[nodiscard]] enum vmem_status enter_make_crossing(struct vmem *space, uint64_t startup,
                                                   void *context, struct vmem *ret_crossing);

// Writes the startup page for a kernel whose tables have so many levels. `root`: of the crossing.
// `loader_virt`: where the loader's image will be mapped.
void enter_write_startup(uint64_t page, uint64_t root, unsigned levels, uint64_t loader_virt);

struct enter_target {
    const struct vmem *space;
    const struct vmem *crossing;
    struct cpu_features features;
    uint64_t startup; // the startup page, if the way leads through it; else 0
    uint64_t hhdm_base;
    uint64_t hhdm_end; // end of the direct map
    // For the report of a fault, at its address in `space`. Of width 0: there is no screen.
    struct slipway_framebuffer screen;
    uint64_t loader_virt; // where the loader's image is mapped in `space`
    uint64_t stack_top;
    uint64_t boot_info; // direct-map address
    uint64_t entry;
};

// Leaves the firmware's world for good: interrupts off, PIC masked, control registers, PAT, tables,
// GDT, TSS, IDT and registers as common/boot/slipway_boot.h says, and jumps.
[[gnu::noreturn]] void enter_kernel(const struct enter_target *target);
