// The MP response, and what the other CPUs find when they are released: one after the other, the
// last first.
#include "boot.h"
#include "checks.h"
#include "fault.h"
#include "memory.h"
#include "paging.h"
#include "requests.h"
#include "tables.h"
#include "tap.h"

#include <stddef.h>

enum { CPUS_MAX = 64, MADT_LAPIC = 0, MADT_X2APIC = 9 };
#define PATIENCE UINT64_C(20000000) // loops until a CPU is given up
#define ARGUMENT UINT64_C(0x746e656d75677261)

// Filled by each CPU.
static struct released {
    struct state state;
    uint64_t info;     // that it found in RDI
    uint64_t argument; // that it found in it
    uint32_t lapic_id; // its own
} released[CPUS_MAX];

// Between the boot CPU and the one that runs: what is to be done, and whether it is.
static struct {
    const struct limine_mp_response *response;
    struct released *current;
    bool is_done;
} work;

void cpu_start(void) __attribute__((visibility("hidden")));
_Noreturn void cpu_main(void);

static struct limine_mp_info *info_of(uint64_t index) {
    return ((struct limine_mp_info *const *)work.response->list)[index];
}

// Runs on the CPU that was released, on the loader's stack; reports nothing but local APICs, as the
// boot CPU waits.
void cpu_main(void) {
    struct released *self = work.current;
    state_read(&self->state);
    fault_start();
    const struct limine_mp_info *info = (const struct limine_mp_info *)self->state.entry.rdi;
    self->info = (uint64_t)info;
    self->argument = is_given((uint64_t)info, sizeof(*info)) ? info->extra_argument : 0;
    window_start();
    if (self->state.apic_base & APIC_BASE_ENABLED) {
        self->lapic_id = local_apic_id();
        if (boot.revision >= 5)
            expect_local_apic();
    }
    __atomic_store_n(&work.is_done, true, __ATOMIC_RELEASE);
    cpu_halt();
}

static bool release(uint64_t index) {
    struct limine_mp_info *info = info_of(index);
    work.current = &released[index];
    work.is_done = false;
    info->extra_argument = ARGUMENT + index;
    __atomic_store_n(&info->goto_address, (uint64_t)cpu_start, __ATOMIC_RELEASE);
    for (uint64_t i = 0; i < PATIENCE; i++) {
        if (__atomic_load_n(&work.is_done, __ATOMIC_ACQUIRE))
            return true;
        cpu_pause();
    }
    return false;
}

// The MADT

static uint64_t enabled_in_madt(uint8_t type, int flags_at) {
    uint64_t count = 0;
    const uint8_t *entry = NULL;
    while ((entry = madt_next(entry, type)))
        count += entry[flags_at] & 1;
    return count;
}

// Whether the MADT has a CPU of this APIC ID and ACPI UID.
static bool is_in_madt(uint32_t lapic_id, uint32_t uid) {
    const uint8_t *entry = NULL;
    while ((entry = madt_next(entry, MADT_LAPIC))) {
        if (entry[3] == lapic_id && entry[2] == uid)
            return true;
    }
    while ((entry = madt_next(entry, MADT_X2APIC))) {
        if (read_32(entry + 4) == lapic_id && read_32(entry + 12) == uid)
            return true;
    }
    return false;
}

static void check_response(void) {
    const struct limine_mp_response *mp = work.response;
    tap_check("MP: the array and the records are in bootloader-reclaimable memory");
    EXPECT(mp->count > 0 && mp->count <= CPUS_MAX && is_given(mp->list, 8 * mp->count),
           "%lu at %lx", mp->count, mp->list);
    for (uint64_t i = 0; i < mp->count; i++) {
        EXPECT(is_given((uint64_t)info_of(i), sizeof(struct limine_mp_info)), "CPU %lu: %lx", i,
               (uint64_t)info_of(i));
        claim((uint64_t)info_of(i) - boot.hhdm, sizeof(struct limine_mp_info), "a CPU's record");
    }

    tap_check("there are as many CPUs as the command line (cpus=) or the MADT says");
    uint64_t told = enabled_in_madt(MADT_LAPIC, 4) + enabled_in_madt(MADT_X2APIC, 8);
    if (!cmdline_find("cpus") && told == 0)
        tap_skip("neither says");
    else
        EXPECT(mp->count == cmdline_number("cpus", told), "%lu", mp->count);

    tap_check("each CPU has an APIC ID of its own, and its UID is the MADT's");
    for (uint64_t i = 0; i < mp->count; i++) {
        for (uint64_t j = 0; j < i; j++)
            EXPECT(info_of(i)->lapic_id != info_of(j)->lapic_id, "CPUs %lu and %lu", i, j);
        EXPECT(told == 0 || is_in_madt(info_of(i)->lapic_id, info_of(i)->processor_id),
               "CPU %lu: APIC ID %lu, UID %lu", i, (uint64_t)info_of(i)->lapic_id,
               (uint64_t)info_of(i)->processor_id);
    }

    tap_check("the boot CPU is one of them, and is the one that runs");
    uint64_t found = 0;
    for (uint64_t i = 0; i < mp->count; i++)
        found += info_of(i)->lapic_id == mp->boot_lapic_id;
    EXPECT(found == 1, "%lu have its APIC ID %lu", found, (uint64_t)mp->boot_lapic_id);
    EXPECT(mp->boot_lapic_id == local_apic_id(), "%lu runs, not %lu", (uint64_t)local_apic_id(),
           (uint64_t)mp->boot_lapic_id);

    tap_check("x2APIC is on only if it was asked for, and the response's flag says so");
    bool is_on = (boot.state.apic_base & APIC_BASE_X2APIC) != 0;
    EXPECT((mp->flags & LIMINE_MP_X2APIC) == (is_on ? LIMINE_MP_X2APIC : 0), "flags %lx, %lx",
           (uint64_t)mp->flags, boot.state.apic_base);
    EXPECT(!is_on || variant.asks_x2apic, "APIC_BASE %lx", boot.state.apic_base);
    if (variant.asks_x2apic && cpuid(1).ecx & CPUID_X2APIC)
        EXPECT(is_on, "APIC_BASE %lx", boot.state.apic_base);

    tap_check("every goto_address is 0 at entry");
    for (uint64_t i = 0; i < mp->count; i++)
        EXPECT(info_of(i)->goto_address == 0, "CPU %lu: %lx", i, info_of(i)->goto_address);
}

static bool is_other(uint64_t index) {
    return info_of(index)->lapic_id != work.response->boot_lapic_id;
}

// Parts about each other CPU, by topic.

static void expect_same(const struct state *state, uint64_t unused) {
    (void)unused;
    EXPECT(state->cr3 == boot.state.cr3, "CR3 is %lx", state->cr3);
    EXPECT(state->cr0 == boot.state.cr0 && state->cr4 == boot.state.cr4 &&
               state->efer == boot.state.efer,
           "CR0 %lx, CR4 %lx, EFER %lx", state->cr0, state->cr4, state->efer);
    EXPECT(state->pat == boot.state.pat, "PAT is %lx", state->pat);
    EXPECT(state->mtrrs == boot.state.mtrrs, "MTRRs are other ones: digest %lx", state->mtrrs);
    EXPECT((state->apic_base & ~APIC_BASE_BOOT) == (boot.state.apic_base & ~APIC_BASE_BOOT),
           "APIC_BASE is %lx", state->apic_base);
}

static void expect_boot_like_tables(const struct state *state, uint64_t unused) {
    (void)unused;
    expect_selectors(state);
    expect_gdt(state);
    if (boot.revision >= 5)
        expect_tables(state);
}

static void expect_registers(const struct state *state, uint64_t info) {
    expect_general(state, info);
    expect_flags(state);
    EXPECT(state->entry.start == ENTRY_BY_INFO, "entered by %lu", state->entry.start);
}

static void expect_controls(const struct state *state, uint64_t unused) {
    (void)unused;
    expect_control(state);
}

static void expect_own_stack(const struct state *state, uint64_t unused) {
    (void)unused;
    expect_stack(state);
}

static void check_each(const char *sentence, void (*expect)(const struct state *, uint64_t),
                       bool are_any) {
    tap_check(sentence);
    if (!are_any)
        tap_skip("there is no other CPU");
    for (uint64_t i = 0; are_any && i < work.response->count; i++) {
        if (is_other(i))
            expect(&released[i].state, (uint64_t)info_of(i));
    }
}

static void check_released(bool are_any) {
    check_each("another CPU finds its record in RDI, all other general registers 0, flags as the "
               "boot CPU",
               expect_registers, are_any);
    check_each("another CPU finds CR0, CR4 and EFER as promised for the boot CPU", expect_controls,
               are_any);
    check_each("another CPU has the boot CPU's CR3, CR0, CR4, EFER, PAT, MTRRs and APIC mode",
               expect_same, are_any);
    check_each("another CPU finds segments, GDT and, from base revision 5 on, IDT, LDT and TSS as "
               "promised for the boot CPU",
               expect_boot_like_tables, are_any);
    check_each("another CPU stands on a stack of its own, of the size asked for", expect_own_stack,
               are_any);
    tap_check("another CPU is the one that its record names, and sees what was written before");
    if (!are_any)
        tap_skip("there is no other CPU");
    for (uint64_t i = 0; are_any && i < work.response->count; i++) {
        if (!is_other(i))
            continue;
        EXPECT(released[i].lapic_id == info_of(i)->lapic_id, "it is %lu, not %lu",
               (uint64_t)released[i].lapic_id, (uint64_t)info_of(i)->lapic_id);
        EXPECT(released[i].argument == ARGUMENT + i, "argument %lx", released[i].argument);
    }
}

void check_cpus(void) {
    work.response = response_of(LIMINE_MP);
    if (!work.response) {
        tap_check("MP: answered, with one CPU too");
        tap_skip_choice("no answer to MP");
        return;
    }
    check_response();
    uint64_t count = work.response->count <= CPUS_MAX ? work.response->count : 0;
    tap_check("every other CPU goes where goto_address says, with a local APIC as promised");
    bool are_any = false, are_all = true;
    for (uint64_t i = count; i-- > 0 && are_all;) {
        if (!is_other(i))
            continue;
        are_any = true;
        are_all = release(i);
        EXPECT(are_all, "CPU %lu, APIC ID %lu, does not come", i, (uint64_t)info_of(i)->lapic_id);
    }
    if (!are_any)
        tap_skip("there is no other CPU");
    check_released(are_any && are_all);
}
