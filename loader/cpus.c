// See cpus.h.
#include "loader/cpus.h"

#include "common/acpi/madt.h"
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "common/x86/lapic.h"
#include "common/x86/regs.h"
#include "loader/acpi.h"
#include "loader/apic.h"
#include "loader/elf.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/timeline.h"

// SDM 3A 8.4.4.1: INIT, 10 ms, SIPI, 200 us, and a second SIPI for a CPU that has missed the first.
enum {
    AFTER_INIT_US = 10000,
    AFTER_STARTUP_US = 200,
    ARRIVAL_LIMIT_US = 2000000, // a virtual CPU waits for a turn on a busy machine
};

// The first framebuffer's place begins 64 GiB into the window (plan.h), and the boot stack and the
// loader's image take one of these at most.
_Static_assert((ELF_STACK_MAX_BYTES + FRAME_BYTES) * CPUS_MAX <= GIB(63),
               "the stacks of all CPUs have room in the window");

// Where the TSC's frequency is unknown: no TSC is faster, so the waits get longer.
#define TSC_HZ_MAX UINT64_C(10000000000)

static struct park_table table;

// ---- Before the exit

// Without a list of the machine's CPUs there is this one.
static void list_boot_cpu_alone(struct madt_cpus *found, enum acpi_status status) {
    log_line(CONFIG_LOG_INFO, "the other CPUs are left out: the MADT is not believed: %s",
             acpi_status_text(status));
    found->cpus[0] = (struct madt_cpu){.apic_id = lapic_id_by_cpuid()};
    found->kept = 1;
    found->found = 1;
}

static struct madt_cpus list(struct madt_cpu *cpus, uint64_t rsdp_phys) {
    struct madt_cpus found = {.cpus = cpus, .capacity = CPUS_MAX};
    struct acpi_memory memory = acpi_identity_memory();
    enum acpi_status status = madt_find_cpus(&memory, rsdp_phys, lapic_id_by_cpuid(), &found);
    if (status != ACPI_OK)
        list_boot_cpu_alone(&found, status);
    if (found.kept < found.found)
        log_line(CONFIG_LOG_INFO, "%u of %u CPUs are left out: more than %d",
                 found.found - found.kept, found.found, CPUS_MAX);
    return found;
}

// The record of the CPU that has this area.
static struct slipway_cpu *record_of(const struct cpus *cpus, uint32_t area) {
    return &cpus->records[area + (area >= cpus->boot)];
}

static void fill_records(struct cpus *cpus, const struct madt_cpu *found) {
    uint32_t own_id = lapic_id_by_cpuid();
    for (uint32_t i = 0; i < cpus->count; i++) {
        cpus->records[i] = (struct slipway_cpu){
            .processor_id = found[i].processor_id,
            .apic_id = found[i].apic_id,
        };
        if (found[i].apic_id == own_id)
            cpus->boot = i;
    }
    cpus->records[cpus->boot].state = SLIPWAY_CPU_BOOT;
    for (uint32_t i = 0; i < cpus_others(cpus); i++) {
        uint64_t index = (uint64_t)(record_of(cpus, i) - cpus->records);
        cpus->areas[i].released_at = NULL;
        memcpy(cpus->areas[i].lints, found[index].lints, sizeof(found[index].lints));
    }
}

// Where ACPI tells nothing no pin is known to be for NMIs.
static void find_boot_lints(struct cpus *cpus, uint64_t rsdp_phys) {
    struct madt_cpu own = {0};
    struct madt_cpus found = {.cpus = &own, .capacity = 1};
    struct acpi_memory memory = acpi_identity_memory();
    if (madt_find_cpus(&memory, rsdp_phys, lapic_id_by_cpuid(), &found) == ACPI_OK)
        memcpy(cpus->boot_lints, own.lints, sizeof(own.lints));
}

static uint32_t highest_id(const struct madt_cpu *found, uint32_t count) {
    uint32_t highest = 0;
    for (uint32_t i = 0; i < count; i++)
        highest = (uint32_t)max_u64(highest, found[i].apic_id);
    return highest;
}

// Other CPUs set their local APICs in the kernel's half, where nothing maps them. An x2APIC has no
// page, but may become an xAPIC.
static uint64_t find_apic_page(const struct cpus *cpus) {
    struct lapic lapic;
    bool is_used = cpus->state == MACHINE_LIMINE_STRICT && cpus_others(cpus) != 0;
    return is_used && lapic_find(&lapic) ? lapic.page : 0;
}

EFI_STATUS cpus_alloc(struct cpus *cpus, const struct slipway_note_wishes *wishes,
                      const struct machine_wishes *machine, const struct cpu_features *features,
                      uint64_t rsdp_phys, bool has_guards) {
    static struct madt_cpu found[CPUS_MAX];
    *cpus = (struct cpus){.has_cet = features->cet, .state = machine->state};
    if (cpus->state == MACHINE_LIMINE_STRICT)
        find_boot_lints(cpus, rsdp_phys);
    if (!(wishes->flags & SLIPWAY_NOTE_CPUS))
        return EFI_SUCCESS;
    cpus->count = list(found, rsdp_phys).kept;
    cpus->apic_page = find_apic_page(cpus);
    EFI_STATUS status = apic_check_mode(machine->apic_mode, highest_id(found, cpus->count));
    if (EFI_ERROR(status))
        return status;
    uint64_t others = cpus_others(cpus);
    uint64_t guard_bytes = has_guards && others != 0 ? FRAME_BYTES : 0;
    uint64_t records_bytes = align_up(cpus->count * sizeof(*cpus->records), FRAME_BYTES);
    uint64_t areas_bytes = others * sizeof(*cpus->areas);
    uint64_t bytes =
        records_bytes + areas_bytes + guard_bytes + others * (wishes->stack_bytes + guard_bytes);
    uint64_t start;
    status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_CPUS, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "%u CPUs: no room for %lu bytes (%s)", cpus->count, bytes,
                        log_status_text(status));
    cpus->records = firmware_pointer(start);
    cpus->areas = firmware_pointer(start + records_bytes);
    cpus->stacks_phys = start + records_bytes + areas_bytes + guard_bytes;
    fill_records(cpus, found);
    return EFI_SUCCESS;
}

void cpus_watch(const struct cpus *cpus, uint32_t index, uint64_t released_at, uint64_t argument) {
    ASSERT(index < cpus->count && index != cpus->boot);
    struct park_area *area = &cpus->areas[index - (index > cpus->boot)];
    area->argument = argument;
    __atomic_store_n(&area->released_at, (uint64_t *)(uintptr_t)released_at, __ATOMIC_RELEASE);
}

struct startup_target cpus_startup_target(uint64_t slide) {
    return (struct startup_target){(uintptr_t)park_find + slide, (uintptr_t)&table + slide};
}

// ---- After it

static uint64_t to_direct(const struct cpus_start *start, const void *pointer) {
    return start->plan->hhdm_base + (uintptr_t)pointer;
}

// First into park_wait, with the area as its argument.
static void fill_area(const struct cpus_start *start, uint32_t index) {
    struct park_area *area = &start->cpus->areas[index];
    struct slipway_cpu *record = record_of(start->cpus, index);
    uint64_t slide = start->boot->slide;
    record->stack_top = plan_other_stack_bottom(start->plan, index) + start->plan->stack_bytes;
    area->apic_id = record->apic_id;
    area->record = (struct slipway_cpu *)(uintptr_t)to_direct(start, record);
    area->table = (struct park_table *)((uintptr_t)&table + slide);
    if (area->released_at == NULL) {
        area->released_at = (uint64_t *)(uintptr_t)to_direct(start, &record->entry);
        area->argument = to_direct(start, record);
    }
    area->tss = (struct trap_tss){.iomap_base = sizeof(area->tss)};
    for (unsigned i = 0; i < TRAP_IST_COUNT; i++)
        area->tss.ist[i] = to_direct(start, area->fault_stacks[i]) + PARK_FAULT_STACK_BYTES;
    uint16_t gdt_limit =
        enter_gdt_fill(&area->gdt, start->cpus->state, to_direct(start, &area->tss));
    area->gdt_pointer = (struct trap_table_pointer){gdt_limit, to_direct(start, &area->gdt)};
    area->cpu = *start->boot;
    area->cpu.gdt = to_direct(start, &area->gdt_pointer);
    area->cpu.stack_top = record->stack_top;
    memset(area->cpu.clears, 0, sizeof(area->cpu.clears)); // the screens are the boot CPU's
    area->cpu.entry = (uintptr_t)park_wait + slide;
    area->cpu.boot_info = to_direct(start, area);
}

static void fill_table(const struct cpus_start *start, bool has_lapic) {
    table = (struct park_table){
        .areas = to_direct(start, start->cpus->areas),
        .area_count = cpus_others(start->cpus),
        .has_cet = start->cpus->has_cet,
        .apic_base = has_lapic ? cpu_rdmsr(MSR_APIC_BASE) : 0, // it may not be there
        .apic_page = start->cpus->apic_page,
        .state = start->cpus->state,
    };
    mtrr_read(&table.mtrrs);
    for (uint32_t i = 0; i < table.area_count; i++)
        fill_area(start, i);
}

static uint32_t count_parked(const struct cpus *cpus) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < table.area_count; i++) {
        uint32_t state = __atomic_load_n(&record_of(cpus, i)->state, __ATOMIC_ACQUIRE);
        count += state == SLIPWAY_CPU_PARKED;
    }
    return count;
}

static void wait(uint64_t microseconds, uint64_t tsc_hz) {
    uint64_t begin = cpu_rdtsc();
    while (cpu_rdtsc() - begin < tsc_hz * microseconds / 1000000)
        cpu_pause();
}

// Waits until all are parked, or so long. True if they are.
static bool wait_for_all(const struct cpus *cpus, uint64_t microseconds, uint64_t tsc_hz) {
    uint64_t begin = cpu_rdtsc();
    uint64_t counts = tsc_hz * microseconds / 1000000;
    while (count_parked(cpus) != table.area_count) {
        if (cpu_rdtsc() - begin >= counts)
            return false;
        cpu_pause();
    }
    return true;
}

// What was said before INIT is not true any more. Those that are parked all the same say so again.
static void forget_parked(const struct cpus *cpus) {
    for (uint32_t i = 0; i < table.area_count; i++)
        __atomic_store_n(&record_of(cpus, i)->state, 0, __ATOMIC_RELEASE);
}

// The first SIPI is for QEMU's emulation of CPUs. There the last SIPI of the firmware's may still
// wait for a CPU that does not wait for one, and outlives our INIT: the CPU would start where the
// firmware had its code. So a newer one takes its place. Silicon ignores it, but for a CPU that
// waits for a SIPI: that starts, and starts again after INIT.
static void call_all(const struct cpus *cpus, const struct lapic *lapic, uint64_t startup) {
    uint64_t known_hz = timeline_tsc_hz();
    uint64_t hz = known_hz != 0 ? known_hz : TSC_HZ_MAX;
    uint32_t startup_command =
        LAPIC_ALL_OTHERS | LAPIC_SEND_STARTUP | (uint32_t)(startup >> FRAME_SHIFT);
    lapic_send(lapic, 0, startup_command);
    lapic_send(lapic, 0, LAPIC_ALL_OTHERS | LAPIC_SEND_INIT);
    wait(AFTER_INIT_US, hz);
    forget_parked(cpus);
    lapic_send(lapic, 0, startup_command);
    if (wait_for_all(cpus, AFTER_STARTUP_US, hz))
        return;
    lapic_send(lapic, 0, startup_command);
    wait_for_all(cpus, ARRIVAL_LIMIT_US, hz);
}

// A CPU that is late, or that nobody lists, goes back to where it waits for a SIPI: whatever it was
// doing, it does no more, and its memory can be used for something else.
static void send_back(const struct lapic *lapic, uint32_t id) {
    if (lapic_can_reach(lapic, id))
        lapic_send(lapic, id, LAPIC_SEND_INIT);
}

// Null: no CPU can be called.
static void give_up_absent(const struct cpus *cpus, const struct lapic *lapic) {
    for (uint32_t i = 0; i < table.area_count; i++) {
        struct slipway_cpu *record = record_of(cpus, i);
        uint32_t none = 0;
        if (!__atomic_compare_exchange_n(&record->state, &none, SLIPWAY_CPU_ABSENT, false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue; // parked
        record->stack_top = 0;
        log_line(CONFIG_LOG_INFO, "the CPU with the APIC ID %u %s", record->apic_id,
                 lapic == NULL ? "cannot be called: the local APIC is off" : "did not come up");
        if (lapic != NULL)
            send_back(lapic, record->apic_id);
    }
}

void cpus_start(const struct cpus_start *start) {
    struct lapic lapic;
    bool has_lapic = lapic_find(&lapic);
    start->cpus->records[start->cpus->boot].stack_top = start->boot->stack_top;
    fill_table(start, has_lapic);
    if (has_lapic && table.area_count != 0)
        call_all(start->cpus, &lapic, start->startup);
    give_up_absent(start->cpus, has_lapic ? &lapic : NULL);
    uint32_t unlisted = __atomic_load_n(&table.unlisted, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < min_u64(unlisted, PARK_UNLISTED_MAX); i++)
        send_back(&lapic, table.unlisted_ids[i]);
    log_line(CONFIG_LOG_INFO, "%u CPUs, %u of them parked", start->cpus->count,
             count_parked(start->cpus));
}
