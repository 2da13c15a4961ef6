// The local APIC of the fake machine, and what its commands do to the other CPUs: these wait for
// STARTUP after INIT, follow the startup page's orders, and run the loader's code on the host up to
// where they wait for the kernel. SDM 3A 8.4.4, 10.4.7, 10.6.
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "loader/enter.h"
#include "loader/park.h"
#include "loader/startup.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/fake_parts.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_WORDS = 4096 / 4,
    ID = 0x20 / 4, // words of the page
    COMMAND = 0x300 / 4,
    COMMAND_HIGH = 0x310 / 4,
    PENDING = 1 << 12,
    ALL_OTHERS = 3 << 18,
    INIT = 0x4500,
    STARTUP = 0x4600,
    STARTUPS_MAX = 2,
    AFTER_INIT = FAKE_TSC_HZ / 100,     // counts that must pass before a STARTUP,
    AFTER_STARTUP = FAKE_TSC_HZ / 5000, // and before another
    MEASURED_WELL = 100,                // a part of that may be missing
};

#define UNWRITTEN UINT32_C(0xfff00000) // of the command registers: bits that nobody sets

// From loader/startup.S.
extern const char startup_begin[], startup_orders[];

static uint32_t *const page = (uint32_t *)FAKE_LAPIC_PHYS;
static uint32_t busy;         // PAUSEs until the last command is sent
static bool is_fenced;        // since the last command
static bool has_reset;        // an INIT to all has been sent
static uint32_t startups;     // since the last INIT
static uint64_t last_command; // by the TSC
static jmp_buf other_end;
static bool is_other;
static bool has_stopped;

static void expect_command(void) {
    page[COMMAND] = UNWRITTEN | (busy != 0 || fake.lapic_is_stuck ? PENDING : 0);
    page[COMMAND_HIGH] = UNWRITTEN;
}

void fake_reset_lapic(void) {
    static bool is_mapped;
    if (!is_mapped)
        fake_map(FAKE_LAPIC_PHYS, PAGE_WORDS * 4);
    is_mapped = true;
    memset(page, 0, PAGE_WORDS * 4);
    busy = 0;
    is_fenced = false;
    has_reset = false;
    startups = 0;
    is_other = false;
    expect_command();
}

struct fake_cpu *fake_add_cpu(uint32_t apic_id) {
    if (fake.cpu_count == FAKE_CPUS_MAX)
        abort();
    struct fake_cpu *cpu = &fake.cpus[fake.cpu_count++];
    *cpu = (struct fake_cpu){
        .apic_id = apic_id,
        .processor_id = apic_id ^ 0x80,
        .comes_at = 1,
        .registers = fake.registers,
    };
    cpu->registers.apic_base &= ~UINT64_C(0x100);
    fake.has_madt = true;
    return cpu;
}

bool fake_is_other_cpu(void) {
    return is_other;
}

void fake_end_other_cpu(bool stops) {
    has_stopped = stops;
    longjmp(other_end, 1);
}

// ---- On another CPU

static void *at(uint64_t physical) {
    return (void *)(uintptr_t)physical;
}

// As park.S: by the ID, from the first area on.
static struct park_area *find_area(const struct park_table *table, uint64_t hhdm_base,
                                   uint32_t apic_id) {
    struct park_area *areas = at(table->areas - hhdm_base);
    for (uint32_t i = 0; i < table->area_count; i++) {
        if (areas[i].apic_id == apic_id)
            return &areas[i];
    }
    return NULL;
}

static void note_unlisted(struct park_table *table, struct fake_cpu *cpu) {
    if (table->unlisted < PARK_UNLISTED_MAX)
        table->unlisted_ids[table->unlisted] = cpu->apic_id;
    cpu->noted_as = ++table->unlisted;
    cpu->state = FAKE_CPU_STOPPED;
}

// park_wait with the addresses that this host has for those in the area.
static void wait_in(struct fake_cpu *cpu, struct park_area *area, struct park_table *table,
                    uint64_t hhdm_base) {
    struct fake_registers own = fake.registers;
    struct slipway_cpu *record = area->record;
    struct park_table *its_table = area->table;
    uint64_t *released_at = area->released_at;
    area->record = at((uintptr_t)record - hhdm_base);
    area->released_at = at((uintptr_t)released_at - hhdm_base);
    area->table = table;
    fake.registers = cpu->registers;
    fake.registers.cr0 = area->cpu.cr0;
    fake.registers.cr4 = area->cpu.cr4;
    is_other = true;
    has_stopped = false;
    if (setjmp(other_end) == 0)
        park_wait(area);
    is_other = false;
    cpu->registers = fake.registers;
    fake.registers = own;
    area->table = its_table;
    area->record = record;
    area->released_at = released_at;
    cpu->has_stopped = has_stopped;
    cpu->state = has_stopped ? FAKE_CPU_STOPPED : FAKE_CPU_PARKED;
}

// What STARTUP led to, in the kernel's half.
static void arrive(struct fake_cpu *cpu) {
    uint64_t slide = fake.others_entry - (uintptr_t)park_find;
    struct park_table *table = at(fake.others_argument - slide);
    uint64_t hhdm_base = align_down(table->areas, GIB(1)); // the arena is below that
    struct park_area *area = find_area(table, hhdm_base, cpu->apic_id);
    if (area == NULL) {
        note_unlisted(table, cpu);
        return;
    }
    if (area->cpu.entry != (uintptr_t)park_wait + slide ||
        area->cpu.boot_info != hhdm_base + (uintptr_t)area ||
        (uintptr_t)area->table != fake.others_argument)
        fake_record_breach("CPU %u goes to 0x%lx with 0x%lx, and the table 0x%lx", cpu->apic_id,
                           area->cpu.entry, area->cpu.boot_info, (uintptr_t)area->table);
    else
        wait_in(cpu, area, table, hhdm_base);
}

// What is on its way arrives; what is parked goes round in its loop.
void fake_go_on(void) {
    busy -= busy != 0;
    expect_command();
    for (uint32_t i = 0; i < fake.cpu_count; i++) {
        struct fake_cpu *cpu = &fake.cpus[i];
        if (cpu->state == FAKE_CPU_PARKED ||
            (cpu->state == FAKE_CPU_ON_ITS_WAY && fake_tsc() >= cpu->due))
            arrive(cpu);
    }
}

// ---- Commands

static void set_out(struct fake_cpu *cpu) {
    cpu->state = FAKE_CPU_ON_ITS_WAY;
    cpu->due = fake_tsc() + cpu->comes_after;
    if (cpu->comes_after == 0)
        arrive(cpu);
}

// One that is on its way gets to the end of it just before it is reset.
static void reset(struct fake_cpu *cpu) {
    if (cpu->state == FAKE_CPU_ON_ITS_WAY)
        arrive(cpu);
    cpu->state = FAKE_CPU_WAITS;
    cpu->startups = 0;
    cpu->inits++;
    if (cpu->has_latched)
        set_out(cpu);
    cpu->has_latched = false;
}

static void start(struct fake_cpu *cpu) {
    cpu->has_latched = cpu->latches && cpu->state == FAKE_CPU_IDLE;
    if ((cpu->state == FAKE_CPU_WAITS && ++cpu->startups == cpu->comes_at) ||
        (cpu->state == FAKE_CPU_IDLE && cpu->waits))
        set_out(cpu);
}
static void follow_orders(uint64_t startup) {
    struct startup_orders orders;
    memcpy(&orders, (char *)at(startup) + (startup_orders - startup_begin), sizeof(orders));
    fake.others_entry = orders.others.entry;
    fake.others_argument = orders.others.argument;
}

// One comes before INIT, for CPUs that take it later.
static void check_startup(uint32_t command) {
    uint64_t passed = fake_tsc() - last_command;
    uint64_t least = startups++ == 0 ? AFTER_INIT : AFTER_STARTUP;
    uint64_t startup = (uint64_t)(command & 0xff) << FRAME_SHIFT;
    uint32_t most = has_reset ? STARTUPS_MAX : 1;
    if ((has_reset && passed < least - least / MEASURED_WELL) || startups > most)
        fake_record_breach("STARTUP number %u came %lu counts after what was before", startups,
                           passed);
    if (!fake_is_code(startup))
        fake_record_breach("STARTUP in page 0x%lx, which is not the loader's", startup);
    else
        follow_orders(startup);
}

static void check_command(uint32_t command, bool is_known) {
    if (!is_known || !fake.exited || !fake.interrupts_are_off || !is_fenced || fake_is_other_cpu())
        fake_record_breach("command 0x%x%s%s%s%s", command, is_known ? "" : ", of no sense",
                           fake.exited ? "" : ", before the exit",
                           fake.interrupts_are_off ? "" : ", with interrupts on",
                           is_fenced ? "" : ", before what was stored is seen");
    is_fenced = false;
    if (fake.commands < ARRAY_LEN(fake.sent))
        fake.sent[fake.commands] = fake_tsc();
    fake.commands++;
}

void fake_send_command(uint32_t id, uint32_t command) {
    bool is_to_all = (command & ALL_OTHERS) == ALL_OTHERS;
    uint32_t what = command & ~(uint32_t)ALL_OTHERS;
    bool is_startup = (what & ~0xffU) == STARTUP;
    uint32_t reached = 0;
    check_command(command, is_startup || what == INIT);
    if (is_startup)
        check_startup(command);
    else if (is_to_all)
        startups = 0;
    has_reset |= is_to_all && !is_startup;
    for (uint32_t i = 0; i < fake.cpu_count; i++) {
        if (!is_to_all && fake.cpus[i].apic_id != id)
            continue;
        reached++;
        if (is_startup)
            start(&fake.cpus[i]);
        else
            reset(&fake.cpus[i]);
    }
    if (!is_to_all && reached == 0)
        fake_record_breach("command 0x%x to CPU %u, which is not there", command, id);
    last_command = fake_tsc();
}

void fake_fence_lapic(void) {
    is_fenced = true;
}

// A store to the page cannot be seen when it happens: whatever the CPU does next sees it.
void fake_look_at_lapic(void) {
    uint32_t command = page[COMMAND];
    if ((command & ~(uint32_t)PENDING) == UNWRITTEN)
        return;
    uint32_t high = page[COMMAND_HIGH];
    bool is_in_page = fake.has_apic && (fake.registers.apic_base & APIC_BASE_ENABLED) &&
                      !(fake.registers.apic_base & APIC_BASE_X2APIC);
    bool is_to_one = (command & ALL_OTHERS) != ALL_OTHERS;
    if (!is_in_page || busy != 0 || (is_to_one && (high == UNWRITTEN || high >> 24 == 0xff)))
        fake_record_breach("command 0x%x was written to %s, and 0x%x above it", command,
                           !is_in_page ? "no local APIC"
                           : busy != 0 ? "one that is busy"
                                       : "one",
                           high);
    busy = fake.lapic_takes;
    expect_command();
    fake_send_command(high >> 24, command);
}
