#include "kernel/cpus/descriptors.h"

#include "common/boot/slipway_boot.h"
#include "common/x86/trap.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/stacks.h"

static struct trap_gdt gdts[CPUS_MAX];
static struct trap_tss tsss[CPUS_MAX];
static struct trap_gate idt[TRAP_VECTORS];

void descriptors_load(unsigned cpu) {
    struct trap_gdt *gdt = &gdts[cpu];
    struct trap_tss *tss = &tsss[cpu];
    for (unsigned ist = 1; ist <= TRAP_IST_COUNT; ist++)
        tss->ist[ist - 1] = stacks_ist_top(cpu, ist);
    tss->iomap_base = sizeof(*tss); // beyond the limit: no I/O permission bitmap
    trap_gdt_fill(gdt, (uint64_t)(uintptr_t)tss);
    if (cpu == 0)
        trap_idt_fill(idt, (uint64_t)(uintptr_t)trap_stubs, SLIPWAY_CS);

    struct trap_table_pointer gdt_pointer = {sizeof(*gdt) - 1, (uint64_t)(uintptr_t)gdt};
    struct trap_table_pointer idt_pointer = {sizeof(idt) - 1, (uint64_t)(uintptr_t)idt};
    trap_load(&gdt_pointer, &idt_pointer, SLIPWAY_CS, SLIPWAY_DS, SLIPWAY_TSS);
    cpus_make_current(cpu); // after that, which has cleared the base of GS
}
