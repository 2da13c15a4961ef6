#include "common/base/arith.h"

#include "tests/unit/support/vmem_rig.h"

#define HHDM UINT64_C(0xffff800000000000)
#define NX   (UINT64_C(1) << 63)

static void map(struct rig *rig, struct vmem_mapping mapping) {
    assert_int_equal(rig_map(rig, &mapping), VMEM_OK);
}

static bool go_on(void *argument, const struct vmem_run *run) {
    (void)argument;
    (void)run;
    return true;
}

// Asserts that every reader that meets the entry at `virt` refuses it.
static void expect_unreadable(struct rig *rig, uint64_t virt) {
    struct vmem_translation got;
    assert_int_equal(vmem_translate(&rig->space, vaddr(virt), &got), VMEM_ERR_CORRUPT);
    assert_int_equal(vmem_walk(&rig->space, vaddr(0), 0, go_on, NULL), VMEM_ERR_CORRUPT);
}

TEST("vmem: the audit finds nothing in sound tables and counts them") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 5);
    map(&rig, rig_mapping(0x1000, 0x1000, GIB(2)));
    map(&rig, rig_mapping(UINT64_C(0) - MIB(2), 0, MIB(2)));
    struct rig_audit audit = rig_audit(&rig);
    assert_int_equal(audit.result.violations, 0);
    assert_int_equal(audit.result.tables, rig.memory.used_count);
    rig_destroy(&rig);
}

// Plants `entry` in place of that of `level` for `virt` and asserts the one violation it makes.
static void expect_violation(struct rig *rig, uint64_t virt, unsigned level, uint64_t entry,
                             enum vmem_violation_kind kind) {
    uint64_t *cell = rig_slot(rig, virt, level);
    uint64_t sound = *cell;
    *cell = entry;
    struct rig_audit audit = rig_audit(rig);
    assert_int_equal(audit.result.violations, 1);
    assert_int_equal(audit.first[0].kind, kind);
    assert_int_equal(audit.first[0].level, level);
    uint64_t span = UINT64_C(1) << (12 + 9 * (level - 1));
    assert_int_equal(audit.first[0].virt.value, virt & ~(span - 1));
    assert_int_equal(audit.first[0].entry, entry);
    *cell = sound;
}

TEST("vmem: the audit finds every reserved bit in every kind of entry at every level") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        uint64_t virt[4] = {0, HHDM + 0x1000, HHDM + MIB(2), HHDM + GIB(1)};
        for (unsigned level = 1; level <= 3; level++)
            map(&rig,
                rig_mapping(virt[level], virt[level] - HHDM, UINT64_C(4096) << (9 * (level - 1))));
        for (unsigned bit = 1; bit < 64; bit++) {
            uint64_t mask = UINT64_C(1) << bit;
            bool beyond = bit >= 46 && bit <= 51;
            for (unsigned level = 1; level <= 3; level++) {
                // Bits 20:13 or 29:13 of a large leaf.
                bool below = level > 1 && bit >= 13 && bit < 12 + 9 * (level - 1);
                uint64_t leaf = *rig_slot(&rig, virt[level], level);
                if (beyond || below) {
                    expect_violation(&rig, virt[level], level, leaf | mask, VMEM_BAD_RESERVED_BITS);
                    *rig_slot(&rig, virt[level], level) = leaf | mask;
                    expect_unreadable(&rig, virt[level]);
                    *rig_slot(&rig, virt[level], level) = leaf;
                } else if (bit != 7 || level == 1) {
                    *rig_slot(&rig, virt[level], level) = leaf | mask;
                    assert_int_equal(rig_audit(&rig).result.violations, 0);
                    *rig_slot(&rig, virt[level], level) = leaf;
                }
            }
            for (unsigned level = 2; level <= levels; level++) {
                uint64_t entry = *rig_slot(&rig, virt[1], level);
                if (beyond || (level >= 4 && (bit == 7 || bit == 8)))
                    expect_violation(&rig, virt[1], level, entry | mask, VMEM_BAD_RESERVED_BITS);
            }
        }
        rig_destroy(&rig);
    }
}

TEST("vmem: the audit says which address every entry of the root translates") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        for (uint64_t index = 0; index < 512; index++) {
            unsigned unused = 64 - (12 + 9 * levels);
            uint64_t virt = index << (12 + 9 * (levels - 1));
            virt |= index < 256 ? 0 : ~(UINT64_MAX >> unused);
            expect_violation(&rig, virt, levels, UINT64_C(1) << 46 | 1, VMEM_BAD_RESERVED_BITS);
        }
        rig_destroy(&rig);
    }
}

TEST("vmem: NX and 1 GiB leaves are reserved on a CPU without them") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    struct vmem_mapping mapping = rig_mapping(HHDM, 0, GIB(1));
    mapping.rights = VMEM_READ;
    map(&rig, mapping);
    uint64_t leaf = *rig_slot(&rig, HHDM, 3);
    struct vmem_cpu no_nx = RIG_CPU;
    no_nx.has_nx = false;
    rig_adopt(&rig, no_nx);
    expect_violation(&rig, HHDM, 3, leaf, VMEM_BAD_RESERVED_BITS);
    expect_violation(&rig, HHDM, 4, *rig_slot(&rig, HHDM, 4) | NX, VMEM_BAD_RESERVED_BITS);
    rig_adopt(&rig, RIG_CPU_NO_1G);
    expect_violation(&rig, HHDM, 3, leaf, VMEM_BAD_RESERVED_BITS);
    rig_destroy(&rig);
}

TEST("vmem: the audit finds writable and executable leaves of every size, by effective rights") {
    for (unsigned level = 1; level <= 3; level++) {
        uint64_t size = UINT64_C(4096) << (9 * (level - 1));
        struct rig rig;
        rig_make(&rig, RIG_CPU, 4);
        map(&rig, rig_mapping(HHDM, size, size));
        uint64_t leaf = *rig_slot(&rig, HHDM, level);
        expect_violation(&rig, HHDM, level, leaf & ~NX, VMEM_BAD_WRITE_EXECUTE);
        *rig_slot(&rig, HHDM, level) = leaf & ~NX;
        *rig_slot(&rig, HHDM, 4) |= NX; // above it nothing can be executed
        assert_int_equal(rig_audit(&rig).result.violations, 0);
        rig_destroy(&rig);
    }
}

TEST("vmem: the audit finds one bad leaf among many, wherever it stands, and none in sound ones") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    map(&rig, rig_mapping(HHDM, 0, MIB(2) - 0x1000));
    uint64_t *first = rig_slot(&rig, HHDM, 1);
    for (unsigned page = 100; page < 200; page++) // code among data
        first[page] = (first[page] & ~(NX | 2)) | 1;
    assert_int_equal(rig_audit(&rig).result.violations, 0);
    for (unsigned page = 0; page < 512; page++) {
        uint64_t virt = HHDM + page * UINT64_C(0x1000);
        uint64_t phys = page * UINT64_C(0x1000);
        expect_violation(&rig, virt, 1, phys | 3, VMEM_BAD_WRITE_EXECUTE);
        expect_violation(&rig, virt, 1, NX | UINT64_C(1) << 50 | 3, VMEM_BAD_RESERVED_BITS);
        uint64_t sound = first[page];
        first[page] = UINT64_MAX - 1; // absent: what else it has is software's
        assert_int_equal(rig_audit(&rig).result.violations, 0);
        first[page] = sound;
    }
    rig_destroy(&rig);
}

TEST("vmem: the audit finds tables that are foreign, reached twice, or their own parents") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        uint64_t one = 0x1000;
        uint64_t two = UINT64_C(1) << (12 + 9 * (levels - 1)); // nothing shared but the root
        map(&rig, rig_mapping(one, 0x1000, 0x1000));
        map(&rig, rig_mapping(two, 0x1000, 0x1000));
        for (unsigned level = 2; level <= levels; level++) {
            uint64_t twin = *rig_slot(&rig, one, level);
            expect_violation(&rig, two, level, 0x7000 | 3, VMEM_BAD_TABLE_ADDRESS);
            expect_violation(&rig, two, level, rig.space.root.value | 3, VMEM_BAD_TABLE_TWICE);
            if (level == 2)
                expect_violation(&rig, two, level, twin, VMEM_BAD_TABLE_TWICE);
        }
        rig_destroy(&rig);
    }
}

TEST("vmem: the audit reports a root that is none, and enters nothing") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    paddr_t root = rig.space.root;
    rig.space.root = paddr(0x7000);
    struct rig_audit audit = rig_audit(&rig);
    assert_int_equal(audit.result.violations, 1);
    assert_int_equal(audit.result.tables, 0);
    assert_int_equal(audit.first[0].kind, VMEM_BAD_TABLE_ADDRESS);
    assert_int_equal(audit.first[0].level, 0);
    assert_int_equal(audit.first[0].entry, 0x7000);
    rig.space.root = root;
    rig_destroy(&rig);
}

TEST("vmem: every violation has words of its own") {
    for (int a = VMEM_BAD_RESERVED_BITS; a <= VMEM_BAD_WRITE_EXECUTE; a++)
        for (int b = VMEM_BAD_RESERVED_BITS; b < a; b++)
            assert_string_not_equal(vmem_violation_text((enum vmem_violation_kind)a),
                                    vmem_violation_text((enum vmem_violation_kind)b));
}
