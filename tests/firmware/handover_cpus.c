// What a hand-over says of the machine's CPUs, what each finds for itself, and where each is.
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "common/x86/trap.h"
#include "loader/cpus.h"
#include "loader/park.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/handover.h"

#include <string.h>

static const struct slipway_boot_info *info;
static struct vmem space;

static uint64_t in_direct(const void *pointer) {
    return info->hhdm_base + (uintptr_t)pointer;
}

const struct slipway_cpu *setup_cpu(const struct slipway_boot_info *boot_info, uint32_t index) {
    assert_true(index < boot_info->cpus.count);
    uint64_t address = boot_info->cpus.address + (uint64_t)index * boot_info->cpus.stride;
    return (const struct slipway_cpu *)(uintptr_t)(address - boot_info->hhdm_base);
}

static uint32_t others(void) {
    return info->cpus.count - 1;
}

static uint64_t stack_bytes(void) {
    return info->stack_top - info->stack_bottom;
}

// Records, areas, stacks: each of whole pages, one behind the other. In the direct map each stack
// has a guard below and above.
static uint64_t guard_bytes(void) {
    return setup_is_direct(info) ? FRAME_BYTES : 0;
}

static uint64_t areas_phys(void) {
    uint64_t records_bytes = info->cpus.count * sizeof(struct slipway_cpu);
    return info->cpus.address - info->hhdm_base + align_up(records_bytes, FRAME_BYTES);
}

static uint64_t stacks_phys(void) {
    return areas_phys() + others() * sizeof(struct park_area) + guard_bytes();
}

static uint64_t stack_phys(uint32_t other) {
    return stacks_phys() + other * (stack_bytes() + guard_bytes());
}

static struct slipway_mapping find_mapping(uint64_t virt) {
    for (uint32_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *mapping = setup_record(&info->mappings, i);
        if (mapping->virt == virt)
            return *mapping;
    }
    return (struct slipway_mapping){0};
}

// ---- Memory

// The loader's image is in use, too, while CPUs are parked.
static void check_ranges(void) {
    uint64_t image_bytes = align_up(FAKE_IMAGE_BYTES, FRAME_BYTES);
    uint64_t bytes = 0, want = 0;
    for (uint32_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = setup_record(&info->ranges, i);
        bool is_image = range->start_phys == FAKE_IMAGE_PHYS;
        bool is_cpus = range->purpose == SLIPWAY_RANGE_CPUS;
        bytes += is_cpus ? range->bytes : 0;
        if (is_image) {
            assert_int_equal(range->bytes, image_bytes);
            assert_int_equal(is_cpus, info->cpus.count > 1);
            want += is_cpus ? image_bytes : 0;
        } else if (is_cpus && !setup_is_direct(info)) {
            assert_int_equal(range->start_phys, info->cpus.address - info->hhdm_base);
        }
    }
    if (info->cpus.count != 0)
        want += areas_phys() + others() * (sizeof(struct park_area) + stack_bytes()) -
                (info->cpus.address - info->hhdm_base);
    assert_int_equal(bytes, want);
}

static void expect_guard(uint64_t address) {
    struct vmem_translation translation;
    assert_int_equal(vmem_translate(&space, vaddr(address), &translation), VMEM_ERR_NOT_MAPPED);
}

static bool is_listed(uint64_t start, uint64_t bytes, uint32_t purpose) {
    for (uint32_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = setup_record(&info->ranges, i);
        if (range->start_phys == start && range->bytes == bytes && range->purpose == purpose)
            return true;
    }
    return false;
}

// A mapping of the direct map by itself.
static uint64_t check_direct_stack(uint32_t other) {
    uint64_t phys = stack_phys(other);
    const struct slipway_mapping want = {.virt = info->hhdm_base + phys,
                                         .phys = phys,
                                         .bytes = stack_bytes(),
                                         .rights = SLIPWAY_RIGHT_WRITE,
                                         .cache = SLIPWAY_CACHE_WB,
                                         .purpose = SLIPWAY_MAP_DIRECT};
    const struct slipway_mapping found = find_mapping(want.virt);
    assert_memory_equal(&found, &want, sizeof(want));
    assert_true(is_listed(phys, stack_bytes(), SLIPWAY_RANGE_CPUS));
    assert_true(is_listed(phys - FRAME_BYTES, FRAME_BYTES, SLIPWAY_RANGE_GUARD));
    assert_true(is_listed(phys + stack_bytes(), FRAME_BYTES, SLIPWAY_RANGE_GUARD));
    return want.virt + want.bytes;
}

// Behind the loader's image, and for CPUs that are absent, too.
static uint64_t check_stack(uint32_t other) {
    if (setup_is_direct(info))
        return check_direct_stack(other);
    uint64_t image = (uintptr_t)ImageBase + fake.cpu.slide;
    uint64_t first = image + align_up(FAKE_IMAGE_BYTES, FRAME_BYTES) + FRAME_BYTES;
    uint64_t bottom = first + other * (stack_bytes() + FRAME_BYTES);
    const struct slipway_mapping want = {.virt = bottom,
                                         .phys = stack_phys(other),
                                         .bytes = stack_bytes(),
                                         .rights = SLIPWAY_RIGHT_WRITE,
                                         .cache = SLIPWAY_CACHE_WB,
                                         .purpose = SLIPWAY_MAP_STACK};
    const struct slipway_mapping found = find_mapping(bottom);
    assert_memory_equal(&found, &want, sizeof(want));
    expect_guard(bottom - FRAME_BYTES);
    expect_guard(bottom + stack_bytes());
    return bottom + stack_bytes();
}

// All registers as the boot CPU's, but for what is this CPU's own; GDT, TSS and interrupt stacks.
static void check_area(uint32_t other, const struct slipway_cpu *record, uint64_t stack_top) {
    const struct park_area *area = (const struct park_area *)(uintptr_t)areas_phys() + other;
    struct enter_cpu cpu = fake.cpu;
    cpu.gdt = in_direct(&area->gdt_pointer);
    cpu.stack_top = stack_top;
    cpu.entry = (uintptr_t)park_wait + fake.cpu.slide;
    cpu.boot_info = in_direct(area);
    memset(cpu.clears, 0, sizeof(cpu.clears)); // the screens are the boot CPU's
    assert_memory_equal(&area->cpu, &cpu, sizeof(cpu));
    assert_int_equal(area->apic_id, record->apic_id);
    assert_int_equal((uintptr_t)area->record, in_direct(record));
    uint64_t tss_address = setup_check_gdt(&area->gdt, area->gdt_pointer.limit);
    if (setup_machine.state != MACHINE_LIMINE_STRICT)
        assert_int_equal(tss_address, in_direct(&area->tss));
    assert_int_equal((uintptr_t)area->released_at, in_direct(&record->entry));
    assert_int_equal(area->argument, in_direct(record));
    assert_int_equal(area->gdt_pointer.base, in_direct(&area->gdt));
    struct trap_tss tss = {.iomap_base = sizeof(tss)};
    const char *end = (const char *)(area + 1);
    for (unsigned i = 0; i < TRAP_IST_COUNT; i++)
        tss.ist[i] = in_direct(end) - (TRAP_IST_COUNT - 1 - i) * HANDOVER_FAULT_STACK_BYTES;
    assert_memory_equal(&area->tss, &tss, sizeof(tss));
    assert_true((const char *)(&area->gdt_pointer + 1) <=
                end - TRAP_IST_COUNT * HANDOVER_FAULT_STACK_BYTES);
}

// ---- Where each is

static bool is_lapic_on(void) {
    return fake.has_apic && (fake.registers.apic_base & APIC_BASE_ENABLED);
}

static bool can_reach(const struct fake_cpu *cpu) {
    return (fake.registers.apic_base & APIC_BASE_X2APIC) || cpu->apic_id < 0xff;
}

// Its registers are the boot CPU's.
static void check_parked(const struct fake_cpu *cpu) {
    const uint64_t mode = APIC_BASE_ENABLED | APIC_BASE_X2APIC;
    struct fake_registers want = fake.registers;
    want.cr0 = fake.cpu.cr0;
    want.cr4 = fake.cpu.cr4;
    want.s_cet = fake.has_cet ? 0 : cpu->registers.s_cet;
    want.apic_base = (cpu->registers.apic_base & ~mode) | (fake.registers.apic_base & mode);
    assert_memory_equal(&cpu->registers, &want, sizeof(want));
    assert_int_equal(cpu->inits, 1);
}

// It was called, did not come, and was sent back: its memory is nobody's.
static void check_absent(const struct fake_cpu *cpu) {
    if (!is_lapic_on()) {
        assert_int_equal(cpu->state, FAKE_CPU_IDLE);
        return;
    }
    assert_int_equal(cpu->inits, can_reach(cpu) ? 2 : 1);
    if (can_reach(cpu))
        assert_int_equal(cpu->startups, 0);
}

// It came where nobody waits for it. As many as can be noted were sent back.
static void check_unlisted(const struct fake_cpu *cpu) {
    bool is_sent_back = cpu->noted_as != 0 && cpu->noted_as <= PARK_UNLISTED_MAX && can_reach(cpu);
    bool is_called = is_lapic_on() && others() != 0;
    assert_int_equal(cpu->inits, !is_called ? 0 : is_sent_back ? 2 : 1);
    assert_int_not_equal(cpu->state, FAKE_CPU_PARKED);
}

// ---- The records

static void check_record(uint32_t index, struct slipway_cpu want) {
    assert_memory_equal(setup_cpu(info, index), &want, sizeof(want));
}

static void check_boot_cpu(uint32_t index, uint32_t processor_id) {
    check_record(index, (struct slipway_cpu){.stack_top = info->stack_top,
                                             .processor_id = processor_id,
                                             .apic_id = fake.apic_id,
                                             .state = SLIPWAY_CPU_BOOT});
}

static void check_other_cpu(const struct fake_cpu *cpu, uint32_t index, uint32_t other) {
    bool is_parked = cpu->state == FAKE_CPU_PARKED;
    uint64_t stack_top = check_stack(other);
    check_record(index, (struct slipway_cpu){
                            .stack_top = is_parked ? stack_top : 0,
                            .processor_id = cpu->processor_id,
                            .apic_id = cpu->apic_id,
                            .state = is_parked ? SLIPWAY_CPU_PARKED : SLIPWAY_CPU_ABSENT,
                        });
    check_area(other, setup_cpu(info, index), stack_top);
    if (is_parked)
        check_parked(cpu);
    else
        check_absent(cpu);
}

static bool has_list(void) {
    return fake.has_pm_timer && fake.has_madt && !fake.madt_is_broken && !fake.boot_cpu_unlisted;
}

// Those of fake.cpus, in the order of the MADT.
static void check_listed(void) {
    uint32_t index = 0, other = 0;
    for (uint32_t i = 0; i <= fake.cpu_count; i++) {
        if (i == fake.boot_cpu_at)
            check_boot_cpu(index++, FAKE_BOOT_PROCESSOR);
        if (i == fake.cpu_count)
            break;
        if (fake.cpus[i].is_unlisted)
            check_unlisted(&fake.cpus[i]);
        else
            check_other_cpu(&fake.cpus[i], index++, other++);
    }
    assert_int_equal(index, info->cpus.count);
}

void handover_check_cpus(const struct slipway_boot_info *copy) {
    info = copy;
    setup_adopt_space(&space);
    check_ranges();
    if (info->cpus.count <= 1)
        assert_int_equal(fake.commands, 0);
    if (info->cpus.count == 0)
        return;
    if (has_list()) {
        check_listed();
    } else {
        assert_int_equal(info->cpus.count, 1);
        check_boot_cpu(0, 0);
    }
}
