// What the CPU can do, from what CPUID says of any CPU. Leaves, registers and bits are the manuals'
// (Intel SDM 2A; AMD APM 3 appendix E; SEV: APM 2, 15.34.10).
#include "common/x86/features.h"

#include "common/base/arith.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/test.h"

#include <string.h>

enum { BASIC, FEATURES, STRUCTURED, TDX, EXTENDED, EXTENDED_FEATURES, WIDTHS, ENCRYPTION, LEAVES };

// The leaves that the CPU of a test has, none but these two to begin with.
static struct leaf {
    uint32_t number;
    bool is_there;
    struct cpuid registers;
} leaves[LEAVES];

static struct cpuid read_leaf(uint32_t leaf, uint32_t subleaf) {
    assert_int_equal(subleaf, 0);
    for (unsigned i = 0; i < LEAVES; i++) {
        if (leaves[i].number == leaf && leaves[i].is_there)
            return leaves[i].registers;
    }
    fail_msg("leaf 0x%x of CPUID is not there", leaf);
    return (struct cpuid){0};
}

static void set_leaf(unsigned index, struct cpuid registers) {
    leaves[index].is_there = true;
    leaves[index].registers = registers;
}

// A CPU whose highest leaves these are.
static void make_cpu(uint32_t basic, uint32_t extended) {
    static const uint32_t numbers[LEAVES] = {0,          1,          7,          0x21,
                                             0x80000000, 0x80000001, 0x80000008, 0x8000001f};
    fake_reset();
    fake.cpuid = read_leaf;
    for (unsigned i = 0; i < LEAVES; i++)
        leaves[i] = (struct leaf){.number = numbers[i],
                                  .is_there = numbers[i] <= (i < EXTENDED ? basic : extended)};
    set_leaf(BASIC, (struct cpuid){.eax = basic});
    set_leaf(EXTENDED, (struct cpuid){.eax = extended});
}

static void expect(struct cpu_features want) {
    struct cpu_features found = cpu_find_features();
    assert_int_equal(found.paging.paddr_bits, want.paging.paddr_bits);
    assert_int_equal(found.paging.has_nx, want.paging.has_nx);
    assert_int_equal(found.paging.has_1g, want.paging.has_1g);
    assert_int_equal(found.smep, want.smep);
    assert_int_equal(found.smap, want.smap);
    assert_int_equal(found.umip, want.umip);
    assert_int_equal(found.mce, want.mce);
    assert_int_equal(found.cet, want.cet);
    assert_int_equal(found.memory_encrypted, want.memory_encrypted);
    assert_int_equal(found.paging_levels, want.paging_levels);
    assert_int_equal(found.paging_levels_max, want.paging_levels_max);
}

#define PLAIN .paging.paddr_bits = 36, .paging_levels = 4, .paging_levels_max = 4

TEST("features: a CPU whose leaves end before those asked for has no feature and 36 address bits") {
    make_cpu(6, 0x80000000);
    expect((struct cpu_features){PLAIN});
    make_cpu(7, 0x80000007);
    expect((struct cpu_features){PLAIN});
}

TEST("features: every feature is known by its own bit alone") {
    static const struct {
        unsigned leaf;
        struct cpuid registers;
        struct cpu_features want;
    } cases[] = {
        {FEATURES, {.edx = 1u << 7}, {PLAIN, .mce = true}},
        {STRUCTURED, {.ebx = 1u << 7}, {PLAIN, .smep = true}},
        {STRUCTURED, {.ebx = 1u << 20}, {PLAIN, .smap = true}},
        {STRUCTURED, {.ecx = 1u << 2}, {PLAIN, .umip = true}},
        {STRUCTURED,
         {.ecx = 1u << 16},
         {.paging.paddr_bits = 36, .paging_levels = 4, .paging_levels_max = 5}},
        {STRUCTURED, {.ecx = 1u << 7}, {PLAIN, .cet = true}},  // shadow stacks
        {STRUCTURED, {.edx = 1u << 20}, {PLAIN, .cet = true}}, // indirect branch tracking
        {EXTENDED_FEATURES, {.edx = 1u << 20}, {PLAIN, .paging.has_nx = true}},
        {EXTENDED_FEATURES, {.edx = 1u << 26}, {PLAIN, .paging.has_1g = true}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        make_cpu(7, 0x80000001);
        set_leaf(cases[i].leaf, cases[i].registers);
        expect(cases[i].want);
    }
}

TEST("features: addresses have as many bits as the CPU says, and 52 at most") {
    static const uint8_t bits[][2] = {{39, 39}, {51, 51}, {52, 52}, {53, 52}, {255, 52}};
    for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
        make_cpu(1, 0x80000008);
        set_leaf(WIDTHS, (struct cpuid){.eax = 0x3900 + bits[i][0]}); // virtual ones have 57
        expect((struct cpu_features){
            .paging.paddr_bits = bits[i][1], .paging_levels = 4, .paging_levels_max = 4});
    }
}

TEST("features: the paging levels are those in use") {
    make_cpu(1, 0x80000000);
    fake.paging_levels = 5;
    expect(
        (struct cpu_features){.paging.paddr_bits = 36, .paging_levels = 5, .paging_levels_max = 4});
}

TEST("features: a guest under SEV knows that its memory is encrypted when it is switched on") {
    static const struct {
        uint32_t eax;
        bool is_on, is_encrypted;
    } cases[] = {{2, true, true}, {2, false, false}, {0xd, true, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        make_cpu(1, 0x8000001f);
        set_leaf(WIDTHS, (struct cpuid){.eax = 36});
        set_leaf(ENCRYPTION, (struct cpuid){.eax = cases[i].eax});
        fake.is_sev_guest = cases[i].is_on;
        expect((struct cpu_features){PLAIN, .memory_encrypted = cases[i].is_encrypted});
    }
    make_cpu(1, 0x8000001e);
    set_leaf(WIDTHS, (struct cpuid){.eax = 36});
    fake.is_sev_guest = true;
    expect((struct cpu_features){PLAIN});
}

TEST("features: a guest under TDX knows that its memory is encrypted") {
    make_cpu(0x21, 0x80000000);
    expect((struct cpu_features){PLAIN});
    struct cpuid name;
    memcpy(&name.ebx, "Inte", 4);
    memcpy(&name.edx, "lTDX", 4);
    memcpy(&name.ecx, "    ", 4);
    set_leaf(TDX, name);
    expect((struct cpu_features){PLAIN, .memory_encrypted = true});
    make_cpu(0x20, 0x80000000);
    expect((struct cpu_features){PLAIN});
}
