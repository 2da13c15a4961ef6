// The other CPUs: how they are listed, and what each finds when it is released. They are released
// one after the other, from the last to the first, and each makes the checks of its own entry.
#include "checks.h"
#include "cpu.h"
#include "entry.h"
#include "kit.h"

enum { MSR_MTRR_CAP = 0xfe, MSR_MTRR_DEFAULT = 0x2ff, MSR_MTRR_FIRST = 0x200, MTRRS = 0x70 };
enum { APIC_BASE_IS_BOOT = 1 << 8 };
enum { CPUID_1_EDX_MTRR = 1 << 12, CPUID_1_EDX_APIC = 1 << 9 };

#ifdef CPUS
enum { ASKED_FOR = 1 };
#else
enum { ASKED_FOR = 0 };
#endif

extern const char cpu_start[];
_Noreturn void cpu_main(const struct slipway_cpu *cpu);

static uint32_t done; // CPUs that have been released and have made their checks
static uint64_t boot_mtrrs[MTRRS + 2];
static uint64_t boot_apic_base;

static struct slipway_cpu *cpu_at(uint32_t index) {
    return (struct slipway_cpu *)(boot->cpus.address + (uint64_t)index * boot->cpus.stride);
}

// Those that may be there: the rest of 0x200 to 0x26f would fault.
static bool has_mtrr(uint32_t number) {
    uint64_t capabilities = read_msr(MSR_MTRR_CAP);
    uint32_t msr = MSR_MTRR_FIRST + number;
    if (msr < 0x250)
        return number < 2 * (capabilities & 0xff);
    return (capabilities & 1 << 8) &&
           (msr == 0x250 || msr == 0x258 || msr == 0x259 || msr >= 0x268);
}

static void read_mtrrs(uint64_t to[MTRRS + 2]) {
    if (!(cpuid(1).edx & CPUID_1_EDX_MTRR))
        return;
    for (uint32_t i = 0; i < MTRRS; i++)
        to[i] = has_mtrr(i) ? read_msr(MSR_MTRR_FIRST + i) : 0;
    to[MTRRS] = read_msr(MSR_MTRR_CAP);
    to[MTRRS + 1] = read_msr(MSR_MTRR_DEFAULT);
}

static uint64_t apic_base(void) {
    return cpuid(1).edx & CPUID_1_EDX_APIC ? read_msr(MSR_APIC_BASE) & ~(uint64_t)APIC_BASE_IS_BOOT
                                           : 0;
}

static uint32_t apic_id(void) {
    if (cpuid(0).eax >= 0xb && cpuid(0xb).ebx)
        return cpuid(0xb).edx;
    return cpuid(1).ebx >> 24;
}

static void check_cpu_stack(const struct slipway_cpu *cpu) {
    check_begin(
        "a released CPU's stack is as large as the boot stack, with a guard page at each end");
    uint64_t bytes = boot->stack_top - boot->stack_bottom;
    const struct slipway_mapping *m = manifest_find(cpu->stack_top - bytes);
    CHECK(m && m->purpose == STACK_PURPOSE, cpu->stack_top);
    CHECK(m && m->virt == cpu->stack_top - bytes && m->bytes == bytes, cpu->stack_top);
    CHECK(m && manifest_in_range(m->virt, m->bytes, SLIPWAY_RANGE_CPUS), cpu->stack_top);
    CHECK(!manifest_find(cpu->stack_top), cpu->stack_top);
    CHECK(!manifest_find(cpu->stack_top - bytes - 1), cpu->stack_top);
}

void cpu_main(const struct slipway_cpu *cpu) {
    check_begin("a released CPU finds its record in RDI, with the argument that was stored before");
    CHECK_EQUAL(entry_state.registers[ENTRY_RDI], (uint64_t)cpu);
    CHECK_EQUAL(cpu->apic_id, apic_id());
    CHECK_EQUAL(cpu->argument, ~(uint64_t)cpu->apic_id);
    check_entry(cpu->stack_top);
    check_control();
    check_descriptors();
    check_cpu_stack(cpu);
    check_begin("a released CPU has the MTRRs of the boot CPU, and its APIC's mode");
    static uint64_t mtrrs[MTRRS + 2];
    read_mtrrs(mtrrs);
    for (uint32_t i = 0; i < MTRRS + 2; i++)
        CHECK_EQUAL(mtrrs[i], boot_mtrrs[i]);
    CHECK_EQUAL(apic_base(), boot_apic_base);
    kit_fact("cpu.released", cpu->apic_id);
    check_flush();
    __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
    for (;;)
        __asm__ volatile("cli; hlt" ::: "memory");
}

static void check_records(void) {
    uint32_t boots = 0;
    check_begin("the list of CPUs has a line for each, with the boot CPU among them");
    CHECK(boot->cpus.count != 0, boot->cpus.count);
    CHECK_EQUAL(boot->cpus.address % 64, 0);
    CHECK_EQUAL(boot->cpus.stride % 64, 0);
    CHECK(manifest_in_range(boot->cpus.address, (uint64_t)boot->cpus.count * boot->cpus.stride,
                            SLIPWAY_RANGE_CPUS),
          boot->cpus.address);
    for (uint32_t i = 0; i < boot->cpus.count; i++) {
        const struct slipway_cpu *cpu = cpu_at(i);
        CHECK_EQUAL(cpu->entry, 0);
        CHECK(cpu->state >= SLIPWAY_CPU_BOOT && cpu->state <= SLIPWAY_CPU_ABSENT, cpu->state);
        CHECK_EQUAL(cpu->stack_top == 0, cpu->state == SLIPWAY_CPU_ABSENT);
        for (uint32_t j = 0; j < i; j++) {
            CHECK(cpu_at(j)->apic_id != cpu->apic_id, cpu->apic_id);
            CHECK(cpu->stack_top == 0 || cpu_at(j)->stack_top != cpu->stack_top, cpu->stack_top);
        }
        if (cpu->state != SLIPWAY_CPU_BOOT)
            continue;
        boots++;
        CHECK_EQUAL(cpu->apic_id, apic_id());
        CHECK_EQUAL(cpu->stack_top, boot->stack_top);
    }
    CHECK_EQUAL(boots, 1);
    for (uint32_t i = 0; i < boot->cpus.count; i++) {
        kit_fact("cpu.processor_id", cpu_at(i)->processor_id);
        kit_fact("cpu.apic_id", cpu_at(i)->apic_id);
        kit_fact("cpu.state", cpu_at(i)->state);
    }
}

static void release(struct slipway_cpu *cpu) {
    uint32_t before = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
    cpu->argument = ~(uint64_t)cpu->apic_id;
    check_flush();
    __atomic_store_n(&cpu->entry, (uint64_t)cpu_start, __ATOMIC_RELEASE);
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) == before)
        __asm__ volatile("pause" ::: "memory");
}

void check_cpus(void) {
    if (!ASKED_FOR) {
        check_begin("without a wish for CPUs none is listed");
        CHECK_EQUAL(boot->cpus.count, 0);
        CHECK_EQUAL(boot->cpus.address, 0);
        return;
    }
    check_records();
    read_mtrrs(boot_mtrrs);
    boot_apic_base = apic_base();
    for (uint32_t i = boot->cpus.count; i-- != 0;) {
        if (cpu_at(i)->state == SLIPWAY_CPU_PARKED)
            release(cpu_at(i));
    }
    kit_fact("cpus.released", done);
}
