// The crossing: from the firmware's tables to the kernel's, and into the kernel. Owns the GDT, TSS
// and IDT that the kernel finds, and the handler that reports a fault until the kernel has its own.
//
// The handler is the loader's own code, mapped a second time in the kernel half. It reaches its
// code and data there relative to RIP, or through addresses that enter_kernel computed for that
// half.
#pragma once

#include "common/vmem/vmem.h"
#include "common/x86/features.h"
#include "loader/enter_cpu.h"
#include "loader/machine_state.h"
#include "loader/plan.h"
#include "loader/startup.h"

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

// Tables that the crossing's address space needs at most: a root, and one of each lower level for
// the page of the switching code, for the startup page, and for the page of the local APICs.
enum {
    ENTER_CROSSING_TABLES = 5,
    ENTER_CROSSING_TABLES_WITH_STARTUP = 9,
    ENTER_CROSSING_TABLES_WITH_APIC = 13, // and the startup page
};

// Finds the loader's image as the firmware placed it. Failures are recorded.
[[nodiscard]] EFI_STATUS enter_own_image(struct plan_loader_image *ret_image);

// What the crossing maps one to one besides the page of the switching code, by physical addresses.
// 0: not that.
struct enter_pages {
    uint64_t startup; // the startup page: to be read and executed
    uint64_t apic;    // the local APICs' page: to be read and written, uncached
};

// Makes *ret_crossing: the upper half of `space`, and one to one the page of the switching code and
// those of `pages`. Its tables come from `context`, for the ops of `space`, the root first. It is a
// clone (vmem_clone): from now on neither structure may move.
[[nodiscard]] enum vmem_status enter_make_crossing(struct vmem *space,
                                                   const struct enter_pages *pages, void *context,
                                                   struct vmem *ret_crossing);

// From the loader's image to its place in the kernel's half, which is `loader_virt`.
uint64_t enter_slide(uint64_t loader_virt);

// Where the startup page sends the boot CPU.
struct startup_target enter_startup_target(uint64_t slide);

// Where the boot CPU's descriptor tables lie, in the loader's image.
struct enter_tables {
    uint64_t gdt_phys;
    uint64_t tss_phys;
    uint64_t idt_phys;
};
struct enter_tables enter_find_tables(void);

struct enter_target {
    enum machine_state state; // MACHINE_LIMINE...: is_direct is set
    const struct vmem *space;
    const struct vmem *crossing;
    struct cpu_features features;
    uint64_t startup; // the startup page, if the way leads through it; else 0
    uint64_t hhdm_base;
    uint64_t hhdm_end; // end of the direct map
    // At their addresses in `space`, PLAN_FRAMEBUFFERS_MAX at most. The report of a fault is drawn
    // on the first.
    const struct slipway_framebuffer *screens;
    uint32_t screen_count;
    bool clears_screens;  // before the kernel is entered
    uint64_t loader_virt; // where the loader's image is mapped in `space`
    bool is_direct;       // GDT, TSS, IDT and the stacks of faults are used in the direct map
    uint64_t stack_top;
    uint64_t boot_info; // direct-map address; 0 in RDI for a kernel that gets none
    uint64_t entry;
};

// Leaves the firmware's world for good: interrupts off, PIC masked, and all that enter_kernel needs
// is ready. Returns the registers with which the kernel will be entered.
const struct enter_cpu *enter_prepare(const struct enter_target *target);

// After enter_prepare: control registers, PAT, tables, GDT, TSS, IDT and registers as the state of
// the target says, and the jump.
[[gnu::noreturn]] void enter_kernel(void);
