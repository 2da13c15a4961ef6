#include "kernel/cpus/descriptors.h"

#include "common/boot/slipway_boot.h"
#include "common/x86/trap.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/stacks.h"
#include "kernel/cpus/user_layout.h"

#include <stddef.h>

// The selectors of the boot, and behind them those of user mode. Long mode ignores base and limit.
struct gdt {
    struct trap_gdt boot;
    uint64_t user_data, user_code;
};

#define DPL_3 (UINT64_C(3) << 45) // what ring 3 may use too

_Static_assert(offsetof(struct gdt, user_data) == (USER_DS & ~3) &&
                   offsetof(struct gdt, user_code) == (USER_CS & ~3),
               "the selectors are those of user_layout.h");

static struct gdt gdts[CPUS_MAX];
static struct trap_tss tsss[CPUS_MAX];
static struct trap_gate idt[TRAP_VECTORS];

void descriptors_load(unsigned cpu) {
    struct gdt *gdt = &gdts[cpu];
    struct trap_tss *tss = &tsss[cpu];
    for (unsigned ist = 1; ist <= TRAP_IST_COUNT; ist++)
        tss->ist[ist - 1] = stacks_ist_top(cpu, ist);
    tss->iomap_base = sizeof(*tss); // beyond the limit: no I/O permission bitmap
    trap_gdt_fill(&gdt->boot, (uint64_t)(uintptr_t)tss);
    gdt->user_data = TRAP_GDT_DATA | DPL_3;
    gdt->user_code = TRAP_GDT_CODE | DPL_3;
    if (cpu == 0)
        trap_idt_fill(idt, (uint64_t)(uintptr_t)trap_stubs, SLIPWAY_CS);

    struct trap_table_pointer gdt_pointer = {sizeof(*gdt) - 1, (uint64_t)(uintptr_t)gdt};
    struct trap_table_pointer idt_pointer = {sizeof(idt) - 1, (uint64_t)(uintptr_t)idt};
    trap_load(&gdt_pointer, &idt_pointer, SLIPWAY_CS, SLIPWAY_DS, SLIPWAY_TSS);
    // After that, which has cleared the base of GS.
    cpus_make_current(cpu, (uint64_t)(uintptr_t)tss + offsetof(struct trap_tss, rsp));
}
