#include "kernel/report/show.h"

#include "common/acpi/acpi_tables.h"
#include "common/base/mem.h"
#include "kernel/base/boot.h"
#include "kernel/base/clock.h"
#include "kernel/base/units.h"
#include "kernel/console/console.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/cpus/machine_check.h"
#include "kernel/cpus/stacks.h"
#include "kernel/cpus/start.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/process/process.h"
#include "kernel/process/survey.h"

#include <stdbool.h>
#include <stddef.h>

void show_map(void) {
    const struct memory_facts *facts = memory_facts();
    console_heading("Regions of physical memory");
    for (uint64_t i = 0; i < facts->region_count; i++) {
        const struct memmap_region *region = &facts->regions[i];
        char size[UNITS_BYTES_MAX];
        console_print("  [0x%012lx, 0x%012lx) %12s  %s%s\n", region->start, region->end,
                      units_bytes(size, region->end - region->start),
                      memmap_kind_text(region->kind), region->direct ? "" : ", not mapped");
    }
}

void show_tables(void) {
    enum vmem_status status = vmem_dump(space_kernel(), console_sink());
    if (status != VMEM_OK)
        console_print("the page tables cannot be walked: %s\n", vmem_status_text(status));
}

void show_log(void) {
    console_print("%.*s", BOOT_TEXT(boot_info()->log));
}

// --- Addresses

void show_walk(uint64_t address) {
    vmem_dump_walk(space_kernel(), vaddr(address), console_sink());
}

static const char *kind_at(paddr_t phys) {
    const struct memory_facts *facts = memory_facts();
    for (uint64_t i = 0; i < facts->region_count; i++) {
        const struct memmap_region *region = &facts->regions[i];
        if (phys.value >= region->start && phys.value < region->end)
            return memmap_kind_text(region->kind);
    }
    return "not in the memory map";
}

static void print_translation(uint64_t address, const struct vmem_translation *found) {
    static const char caches[][4] = {
        [VMEM_CACHE_WB] = "WB", [VMEM_CACHE_WT] = "WT", [VMEM_CACHE_UC_MINUS] = "UC-",
        [VMEM_CACHE_UC] = "UC", [VMEM_CACHE_WP] = "WP", [VMEM_CACHE_WC] = "WC",
    };
    char size[UNITS_BYTES_MAX];
    console_print("0x%016lx is physical 0x%lx: %s\n", address, found->phys.value,
                  kind_at(found->phys));
    console_print("  %s page, %c%c%c%c, %s%s\n", units_bytes(size, vmem_page_bytes(found->page)),
                  found->rights & VMEM_READ ? 'r' : '-', found->rights & VMEM_WRITE ? 'w' : '-',
                  found->rights & VMEM_EXECUTE ? 'x' : '-', found->rights & VMEM_USER ? 'u' : '-',
                  caches[vmem_translation_cache(found)],
                  vmem_translation_is_global(found) ? ", global" : "");
}

void show_translation(uint64_t address) {
    struct vmem_translation found;
    enum vmem_status status = vmem_translate(space_kernel(), vaddr(address), &found);
    if (status == VMEM_OK)
        print_translation(address, &found);
    else
        console_print("0x%016lx: %s\n", address, vmem_status_text(status));
}

// --- The machine

void show_cpus(void) {
    struct cpus_facts facts = cpus_facts();
    console_heading("CPU  APIC ID  state        stack");
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
        struct stack stack;
        bool is_known = stacks_find(stacks_top(cpu) - 1, &stack);
        console_print("%3u %8u  %-11s", cpu, cpus_apic_id(cpu),
                      cpu == this_cpu() ? "this one" : "sleeps");
        if (is_known)
            console_print("  [0x%lx, 0x%lx)", stack.bottom, stack.top);
        console_print("\n");
    }
    console_print("  %u found, %u run, %u left out; local APICs: %s\n", facts.found, cpus_started(),
                  facts.left_out, apic_name());
    if (facts.reason != NULL)
        console_print("  %s\n", facts.reason);
}

void show_interrupts(void) {
    machine_check_poll(console_sink()); // first: lines that are told once
    console_heading(
        "CPU    timer    wake    flush   COM1   raised legacy unknown spurious  checks");
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
        const struct interrupts_counts *counts = interrupts_counts(cpu);
        const uint64_t *of = counts->of;
        console_print("%3u %8lu %7lu %8lu %6lu %8lu %6lu %7lu %4lu/%-3lu %7lu\n", cpu,
                      of[INTERRUPTS_KIND_TIMER], of[INTERRUPTS_KIND_WAKE],
                      of[INTERRUPTS_KIND_SHOOTDOWN], of[INTERRUPTS_KIND_COM1],
                      of[INTERRUPTS_KIND_RAISED], of[INTERRUPTS_KIND_LEGACY],
                      of[INTERRUPTS_KIND_UNKNOWN], of[INTERRUPTS_KIND_SPURIOUS_LEGACY],
                      of[INTERRUPTS_KIND_SPURIOUS_APIC], machine_check_count(cpu));
        if (counts->last_unknown != 0)
            console_print("    the last unknown vector was 0x%x\n", counts->last_unknown);
    }
    console_print("  spurious: of the legacy controllers, and of the local APIC\n");
}

static void print_module(uint64_t index, const struct slipway_module *module) {
    char size[UNITS_BYTES_MAX];
    console_print("%3lu %12s  0x%016lx  %.*s\n", index, units_bytes(size, module->bytes),
                  module->address, BOOT_TEXT(module->path));
    if (module->cmdline.bytes != 0)
        console_print("%38s%.*s\n", "", BOOT_TEXT(module->cmdline));
}

void show_modules(void) {
    const struct slipway_array *modules = &boot_info()->modules;
    if (modules->count == 0) {
        console_print("There are no modules: slipway.conf names none.\n");
        return;
    }
    console_heading("               size  address             path, and the command line below");
    for (uint64_t i = 0; i < modules->count; i++)
        print_module(i, boot_record(modules, i));
}

// --- ACPI

enum {
    ACPI_PLACES = 128, // more tables than that are not told apart, nor shown
    ACPI_TABLE_REVISION = 8,
    ACPI_TABLE_OEM = 10,
    ACPI_TABLE_OEM_TABLE = 16,
    ACPI_TABLE_HEADER = 36,
    RSDP_OEM = 9,
    RSDP_REVISION = 15,
    RSDP_BYTES = 20,
};

struct acpi_list {
    uint64_t places[ACPI_PLACES];
    unsigned count;
};

// Tables of the firmware are where the manifest has them.
static const void *acpi_pointer(void *context, uint64_t phys, uint64_t bytes) {
    (void)context;
    const struct slipway_boot_info *info = boot_info();
    for (uint64_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *it = boot_mapping(info, i);
        bool may_hold = it->purpose == SLIPWAY_MAP_DIRECT || it->purpose == SLIPWAY_MAP_FIRMWARE;
        if (may_hold && phys >= it->phys && phys - it->phys < it->bytes &&
            bytes <= it->bytes - (phys - it->phys))
            return (const void *)(uintptr_t)(it->virt + (phys - it->phys));
    }
    return NULL;
}

// What firmware has put there, which may be anything.
static void print_characters(const uint8_t *at, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        console_print("%c", at[i] >= ' ' && at[i] <= '~' ? at[i] : ' ');
}

static bool is_signature(const uint8_t *table, const char *signature) {
    return memcmp(table, signature, 4) == 0;
}

static void print_acpi_table(uint64_t phys, uint32_t bytes) {
    const uint8_t *table = acpi_pointer(NULL, phys, bytes);
    char size[UNITS_BYTES_MAX];
    if (table == NULL || bytes < RSDP_BYTES)
        return;
    bool is_rsdp = is_signature(table, "RSD ");
    bool has_header = !is_rsdp && !is_signature(table, "FACS") && bytes >= ACPI_TABLE_HEADER;
    console_print("  ");
    print_characters((const uint8_t *)(is_rsdp ? "RSDP" : (const char *)table), 4);
    console_print("  0x%012lx %12s", phys, units_bytes(size, bytes));
    if (is_rsdp || has_header) {
        console_print("  %8u  ", table[is_rsdp ? RSDP_REVISION : ACPI_TABLE_REVISION]);
        print_characters(table + (is_rsdp ? RSDP_OEM : ACPI_TABLE_OEM), 6);
    }
    if (has_header) {
        console_print("  ");
        print_characters(table + ACPI_TABLE_OEM_TABLE, 8);
    }
    console_print("\n");
}

// XSDT and RSDT list the same tables: each is shown once.
static void visit_acpi_table(void *context, uint64_t phys, uint32_t bytes) {
    struct acpi_list *list = context;
    for (unsigned i = 0; i < list->count; i++) {
        if (list->places[i] == phys)
            return;
    }
    if (list->count == ACPI_PLACES)
        return;
    list->places[list->count++] = phys;
    print_acpi_table(phys, bytes);
}

void show_acpi(void) {
    const struct acpi_memory memory = {.pointer = acpi_pointer};
    struct acpi_list list = {0};
    const struct acpi_visitor visitor = {.table = visit_acpi_table, .context = &list};
    console_heading("  table       address         size  revision  OEM");
    enum acpi_status status = acpi_visit_tables(&memory, boot_info()->rsdp_phys, &visitor);
    if (status != ACPI_OK)
        console_print("  %s\n", acpi_status_text(status));
    else
        console_print("  %u tables\n", list.count);
}

// --- Processes

static uint64_t bytes_of(uint64_t space) {
    struct user_space_facts facts;
    bool is_there = space != 0 && user_space_next(space - 1, &facts) && facts.id == space;
    return is_there ? facts.memory.bytes : 0;
}

void show_processes(void) {
    struct process_facts facts = {.pid = 0};
    console_heading("  pid  parent  state    CPU   milliseconds        memory  name");
    while (process_next(facts.pid, &facts)) {
        char memory[UNITS_BYTES_MAX];
        console_print("%5u  %6u  %-7s  %3u  %13lu  %12s  %s\n", facts.pid, facts.parent,
                      process_state_text(facts.state), facts.cpu,
                      clock_microseconds(facts.ticks) / 1000,
                      units_bytes(memory, bytes_of(facts.space)), facts.name);
    }
}
