// GDT, TSS and IDT of a hand-over, which lie in the loader's image.
#include "common/base/arith.h"
#include "common/x86/trap.h"
#include "loader/enter.h"
#include "tests/firmware/handover.h"

#include <string.h>

static const struct slipway_boot_info *info;

// What the kernel finds at `address`.
static const void *at_home(uint64_t address) {
    return (const void *)(uintptr_t)(address - fake.cpu.slide);
}

// From tables and stacks that the CPU uses to where it finds them.
static uint64_t tables_slide(void) {
    return setup_is_direct(info) ? info->hhdm_base : fake.cpu.slide;
}

static const void *at_table(uint64_t address) {
    return (const void *)(uintptr_t)(address - tables_slide());
}

// The stacks of faults are 8 KiB each, side by side: all of that can be written here.
static void check_tss(const struct trap_tss *tss) {
    struct trap_tss want = {.iomap_base = sizeof(want)};
    char *bottom = (char *)(uintptr_t)at_table(tss->ist[0]) - HANDOVER_FAULT_STACK_BYTES;
    assert_true(is_aligned((uintptr_t)bottom, 16));
    memset(bottom, 0xcc, TRAP_IST_COUNT * HANDOVER_FAULT_STACK_BYTES);
    for (unsigned i = 0; i < TRAP_IST_COUNT; i++)
        want.ist[i] = (uintptr_t)bottom + tables_slide() + (i + 1) * HANDOVER_FAULT_STACK_BYTES;
    assert_memory_equal(tss, &want, sizeof(want));
}

static void check_idt(void) {
    static struct trap_gate idt[TRAP_VECTORS];
    const struct trap_table_pointer *pointer = at_home(fake.cpu.idt);
    if (setup_machine.state == MACHINE_LIMINE_STRICT) {
        assert_int_equal(pointer->limit, 0);
        assert_int_equal(pointer->base, 0);
        return;
    }
    assert_int_equal(pointer->limit, sizeof(idt) - 1);
    trap_idt_fill(idt, (uintptr_t)trap_stubs + fake.cpu.slide,
                  setup_machine.state == MACHINE_SLIPWAY ? 0x08 : 0x28);
    assert_memory_equal(at_table(pointer->base), idt, sizeof(idt));
    assert_int_equal(info->idt_phys, (uintptr_t)at_table(pointer->base));
}

// The words that stand before the TSS, by the protocol's text: null, and segments of 16, 32 and 64
// bits, each for code and data. Slipway's are those of 64 bits alone.
static uint64_t check_segments(const uint64_t *gdt, uint16_t limit) {
    static const uint64_t segments[] = {0,
                                        0x00009b000000ffff,
                                        0x000093000000ffff,
                                        0x00cf9b000000ffff,
                                        0x00cf93000000ffff,
                                        0x00af9b000000ffff,
                                        0x00cf93000000ffff};
    bool is_slipway = setup_machine.state == MACHINE_SLIPWAY;
    uint64_t count = is_slipway ? 3 : ARRAY_LEN(segments);
    assert_int_equal(limit, (count + 2) * 8 - 1);
    assert_int_equal(gdt[0], 0);
    assert_memory_equal(gdt + 1, segments + (is_slipway ? 5 : 1), (count - 1) * 8);
    return count;
}

uint64_t setup_check_gdt(const void *gdt, uint16_t limit) {
    const uint64_t *tss = (const uint64_t *)gdt + check_segments(gdt, limit);
    if (setup_machine.state == MACHINE_LIMINE_STRICT) {
        assert_int_equal(tss[0], 0x0000890000000000);
        assert_int_equal(tss[1], 0);
        return 0;
    }
    assert_int_equal(tss[0] & 0x00ffff000000ffff, 0x0000890000000067);
    assert_int_equal(tss[1] >> 32, 0);
    return tss[1] << 32 | tss[0] >> 56 << 24 | (tss[0] >> 16 & 0xffffff);
}

void handover_check_traps(const struct slipway_boot_info *copy) {
    info = copy;
    check_idt();
    const struct trap_table_pointer *pointer = at_home(fake.cpu.gdt);
    const void *gdt = at_table(pointer->base);
    uint64_t tss = setup_check_gdt(gdt, pointer->limit);
    assert_int_equal(info->gdt_phys, (uintptr_t)gdt);
    if (setup_machine.state == MACHINE_LIMINE_STRICT)
        return;
    assert_int_equal(info->tss_phys, (uintptr_t)at_table(tss));
    check_tss(at_table(tss));
}
