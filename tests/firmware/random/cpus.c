// CPUs at random: how many there are and what the firmware says of them, how their local APICs are,
// when they come; and which of them must be parked in the end.
#include "common/x86/regs.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/random/boot.h"

#include <string.h>

enum { OTHERS_MAX = 6 };

// In time, at whichever STARTUP; or too late.
static void make_way(struct boot *boot, struct fake_cpu *cpu) {
    static const uint64_t ways[] = {0, 0, 0, 50, 300, 1000000, 3000000}; // in us
    uint64_t way = ways[boot_below(boot, cpu->is_unlisted ? 3 : ARRAY_LEN(ways))];
    cpu->comes_at = boot_chance(boot, 80) ? 1 : (uint32_t)boot_below(boot, 3);
    cpu->comes_after = way * (FAKE_TSC_HZ / 1000000);
}

static void make_registers(struct boot *boot, struct fake_registers *registers) {
    const uint64_t modes[] = {0, APIC_BASE_ENABLED, APIC_BASE_ENABLED | APIC_BASE_X2APIC};
    registers->apic_base &= ~modes[2];
    registers->apic_base |= modes[boot_below(boot, ARRAY_LEN(modes))];
    registers->s_cet = random_next(&boot->random);
}

// RAM may be anywhere, and is write-back.
static void make_mtrrs(struct boot *boot, struct fake_registers *registers) {
    const uint64_t valid = 1 << 11;
    memset(registers->mtrr_fixed, 6, sizeof(registers->mtrr_fixed));
    for (unsigned i = 0; i < FAKE_MTRRS_MAX; i++)
        registers->mtrr_variable[i][1] &= ~valid;
    if (boot_chance(boot, 10))
        registers->mtrr_default = boot_below(boot, 7); // off
}

static void change_mtrrs(struct boot *boot, struct fake_registers *registers) {
    if (boot_chance(boot, 70))
        return;
    registers->mtrr_default ^= boot_below(boot, 8);
    registers->mtrr_fixed[boot_below(boot, MTRR_FIXED)] ^= boot_below(boot, 8);
    registers->mtrr_variable[boot_below(boot, FAKE_MTRRS_MAX)][boot_below(boot, 2)] ^=
        boot_below(boot, 8);
}

// No two are the same, and with x2APIC some have more than 8 bits.
static uint32_t next_id(struct boot *boot, uint32_t last) {
    bool is_wide = (fake.registers.apic_base & APIC_BASE_X2APIC) && boot_chance(boot, 20);
    return last + 1 + (uint32_t)boot_below(boot, is_wide ? 100000 : 16);
}

static void make_boot_cpu(struct boot *boot) {
    fake.has_apic = boot_chance(boot, 95);
    fake.has_topology = boot_chance(boot, 50);
    fake.has_mtrrs = boot_chance(boot, 90);
    fake.mtrr_cap = boot_below(boot, FAKE_MTRRS_MAX + 1) |
                    (boot_chance(boot, 80) ? (uint64_t)MTRR_CAP_FIXED : 0);
    make_registers(boot, &fake.registers);
    make_mtrrs(boot, &fake.registers);
    if (!fake.has_topology && (fake.registers.apic_base & APIC_BASE_X2APIC))
        fake.registers.apic_base &= ~(uint64_t)APIC_BASE_X2APIC;
    fake.lapic_takes = boot_chance(boot, 20) ? (uint32_t)boot_below(boot, 40) : 0;
    fake.apic_id = (uint32_t)boot_below(boot, 8);
}

// What is not there cannot differ.
static void forget_absent(struct fake_cpu *cpu) {
    const struct fake_registers *boot_cpu = &fake.registers;
    uint64_t variable = fake.has_mtrrs ? fake.mtrr_cap & MTRR_CAP_VARIABLE : 0;
    variable = min_u64(variable, MTRR_VARIABLE_MAX); // those behind are not adopted
    if (!fake.has_mtrrs)
        cpu->registers.mtrr_default = boot_cpu->mtrr_default;
    if (!fake.has_mtrrs || !(fake.mtrr_cap & MTRR_CAP_FIXED))
        memcpy(cpu->registers.mtrr_fixed, boot_cpu->mtrr_fixed, sizeof(boot_cpu->mtrr_fixed));
    for (uint64_t i = variable; i < FAKE_MTRRS_MAX; i++)
        memcpy(cpu->registers.mtrr_variable[i], boot_cpu->mtrr_variable[i],
               sizeof(boot_cpu->mtrr_variable[i]));
}

void boot_make_cpus(struct boot *boot) {
    make_boot_cpu(boot);
    uint64_t others = boot_below(boot, 1 + boot_below(boot, OTHERS_MAX + 1));
    uint32_t id = fake.apic_id;
    for (uint64_t i = 0; i < others; i++) {
        struct fake_cpu *cpu = fake_add_cpu(id = next_id(boot, id));
        cpu->processor_id = (uint32_t)boot_below(boot, boot_chance(boot, 90) ? 256 : UINT32_MAX);
        cpu->is_unlisted = boot_chance(boot, 10);
        make_way(boot, cpu);
        make_registers(boot, &cpu->registers);
        change_mtrrs(boot, &cpu->registers);
        forget_absent(cpu);
        boot_tell(boot, "CPU %u%s at STARTUP %u after %lu, ", cpu->apic_id,
                  cpu->is_unlisted ? ", not listed," : "", cpu->comes_at, cpu->comes_after);
    }
    fake.boot_cpu_at = (uint32_t)boot_below(boot, others + 1);
    fake.has_madt = boot_chance(boot, 90);
    fake.madt_is_broken = boot_chance(boot, 5);
    fake.boot_cpu_unlisted = boot_chance(boot, 5);
    boot_tell(boot, "local APIC%s 0x%lx, MTRRs 0x%lx%s%s%s; ", fake.has_apic ? "" : ", no,",
              fake.registers.apic_base, fake.has_mtrrs ? fake.mtrr_cap : 0,
              fake.has_madt ? "" : ", no MADT", fake.madt_is_broken ? ", MADT broken" : "",
              fake.boot_cpu_unlisted ? ", MADT without CPU" : "");
}

uint64_t boot_cpus_pages(uint64_t stack_bytes) {
    return 1 + fake.cpu_count * (9 + stack_bytes / FRAME_BYTES + 1) + 1; // with guards
}

static bool comes_in_time(const struct fake_cpu *cpu) {
    return fake.has_apic && (fake.registers.apic_base & APIC_BASE_ENABLED) && cpu->comes_at != 0 &&
           cpu->comes_after <= FAKE_TSC_HZ;
}

void boot_check_cpus(const struct boot *boot, const struct slipway_boot_info *info) {
    if (!(boot->kernel.wishes.flags & SLIPWAY_NOTE_CPUS)) {
        assert_int_equal(info->cpus.count, 0);
        return;
    }
    assert_true(info->cpus.count != 0);
    for (uint32_t i = 0; i < fake.cpu_count && info->cpus.count > 1; i++) {
        const struct fake_cpu *cpu = &fake.cpus[i];
        assert_int_equal(cpu->state == FAKE_CPU_PARKED, !cpu->is_unlisted && comes_in_time(cpu));
    }
    uint32_t listed = 1;
    for (uint32_t i = 0; i < fake.cpu_count; i++)
        listed += !fake.cpus[i].is_unlisted;
    bool is_told =
        fake.has_pm_timer && fake.has_madt && !fake.madt_is_broken && !fake.boot_cpu_unlisted;
    assert_int_equal(info->cpus.count, is_told ? listed : 1);
}
