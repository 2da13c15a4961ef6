// Memory type range registers: read, and written where another CPU's differ, in the order of SDM 3A
// 11.11.8.
#include "common/x86/mtrr.h"

#include "common/x86/regs.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <string.h>

enum { VARIABLE = 3 };

static struct mtrr_state saved;

static void make(void) {
    fake_reset();
    fake.traces = true;
    fake.mtrr_cap = MTRR_CAP_FIXED | VARIABLE;
    for (unsigned i = 0; i < MTRR_FIXED; i++)
        fake.registers.mtrr_fixed[i] = UINT64_C(0x0606060606060600) | i;
    for (unsigned i = 0; i < FAKE_MTRRS_MAX; i++) {
        fake.registers.mtrr_variable[i][0] = (uint64_t)i << 32;
        fake.registers.mtrr_variable[i][1] = UINT64_C(0xffff00000000) | i << 12 | 1 << 11;
    }
    fake.registers.cr0 = 0xa0010033; // NW is set, too
    fake.registers.cr4 = 0xb0;
    fake.cpu.root = 0x123000; // in CR3
    memset(&saved, 0xee, sizeof(saved));
}

static void read_state(void) {
    mtrr_read(&saved);
    assert_string_equal(fake.trace, "");
    assert_string_equal(fake.breach, "");
}

// Adopts `saved`; what was written on the way, and what the registers are then.
static void adopt(void) {
    fake.trace_bytes = 0;
    fake.trace[0] = '\0';
    mtrr_adopt(&saved);
    assert_string_equal(fake.breach, "");
    assert_int_equal(fake.registers.cr0, 0xa0010033);
    assert_int_equal(fake.registers.cr4, 0xb0);
}

TEST("mtrr: all registers are read, each into its place") {
    make();
    read_state();
    assert_true(saved.is_there);
    assert_true(saved.has_fixed);
    assert_int_equal(saved.variable_count, VARIABLE);
    assert_int_equal(saved.default_type, fake.registers.mtrr_default);
    assert_memory_equal(saved.fixed, fake.registers.mtrr_fixed, sizeof(saved.fixed));
    for (unsigned i = 0; i < VARIABLE; i++) {
        assert_int_equal(saved.base[i], fake.registers.mtrr_variable[i][0]);
        assert_int_equal(saved.mask[i], fake.registers.mtrr_variable[i][1]);
    }
    assert_int_equal(saved.base[VARIABLE], 0xeeeeeeeeeeeeeeee);
    assert_int_equal(saved.mask[VARIABLE], 0xeeeeeeeeeeeeeeee);
}

static struct cpuid with_mtrrs(uint32_t leaf, uint32_t subleaf) {
    return (struct cpuid){.edx = leaf == 1 && subleaf == 0 ? UINT32_C(1) << 12 : 0};
}

TEST("mtrr: CPUID has a bit that tells of them") {
    make();
    fake.cpuid = with_mtrrs;
    read_state();
    assert_true(saved.is_there);
}

TEST("mtrr: a CPU without them, or without those of fixed ranges, is not asked for them") {
    make();
    fake.has_mtrrs = false;
    read_state();
    assert_false(saved.is_there);
    adopt();
    assert_string_equal(fake.trace, "");
    make();
    fake.mtrr_cap = VARIABLE;
    read_state();
    assert_true(saved.is_there);
    assert_false(saved.has_fixed);
    fake.registers.mtrr_variable[0][0]++;
    adopt();
    assert_int_equal(fake.registers.mtrr_variable[0][0], saved.base[0]);
    assert_null(strstr(fake.trace, " 250="));
}

TEST("mtrr: of more than 32 variable ranges the first are read and adopted") {
    make();
    fake.mtrr_cap = MTRR_CAP_FIXED | 40;
    read_state();
    assert_int_equal(saved.variable_count, 32);
    assert_int_equal(saved.mask[31], fake.registers.mtrr_variable[31][1]);
    fake.registers.mtrr_variable[31][1]++;
    fake.registers.mtrr_variable[32][0] = 77;
    adopt();
    assert_int_equal(fake.registers.mtrr_variable[31][1], saved.mask[31]);
    assert_int_equal(fake.registers.mtrr_variable[32][0], 77);
}

TEST("mtrr: nothing is written where all are alike") {
    make();
    read_state();
    adopt();
    assert_string_equal(fake.trace, "");
}

TEST("mtrr: one that differs has all of them written, in the manual's order") {
    uint64_t *const registers[] = {
        &fake.registers.mtrr_default,
        &fake.registers.mtrr_fixed[0],
        &fake.registers.mtrr_fixed[10],
        &fake.registers.mtrr_variable[0][0],
        &fake.registers.mtrr_variable[0][1],
        &fake.registers.mtrr_variable[VARIABLE - 1][0],
        &fake.registers.mtrr_variable[VARIABLE - 1][1],
    };
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        make();
        struct fake_registers before = fake.registers;
        read_state();
        *registers[i] ^= 1;
        adopt();
        assert_memory_equal(&fake.registers, &before, sizeof(before));
        assert_string_equal(
            fake.trace,
            "cr0=c0010033 wbinvd cr4=30 cr3=123000 2ff=406 "
            "250=606060606060600 258=606060606060601 259=606060606060602 "
            "268=606060606060603 269=606060606060604 26a=606060606060605 26b=606060606060606 "
            "26c=606060606060607 26d=606060606060608 26e=606060606060609 26f=60606060606060a "
            "200=0 201=ffff00000800 202=100000000 203=ffff00001800 204=200000000 205=ffff00002800 "
            "2ff=c06 wbinvd cr3=123000 cr0=a0010033 cr4=b0 ");
    }
}

TEST("mtrr: ranges that are off on the other CPU are off here") {
    make();
    fake.registers.mtrr_default = 6;
    read_state();
    fake.registers.mtrr_default = 0xc06;
    adopt();
    assert_int_equal(fake.registers.mtrr_default, 6);
}
