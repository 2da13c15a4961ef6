// RAM that the MTRRs do not make write-back.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

TEST("RAM that the MTRRs do not make write-back is left out, listed and named") {
    setup_boot("log = info\n");
    setup_add_mtrr(0, FAKE_HIGH_PHYS + MIB(3), KIB(64), SLIPWAY_MTRR_UC);
    setup_add_mtrr(1, FAKE_HIGH_PHYS + GIB(1), GIB(1), SLIPWAY_MTRR_WC); // up to the end of RAM
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const struct slipway_range *part = setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 0);
    assert_int_equal(part->start_phys, FAKE_HIGH_PHYS + MIB(3));
    assert_int_equal(part->bytes, KIB(64));
    part = setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 1);
    assert_int_equal(part->start_phys, FAKE_HIGH_PHYS + GIB(1));
    assert_int_equal(part->bytes, FAKE_HIGH_BYTES - GIB(1));
    assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 2));
    assert_non_null(strstr(fake.com1,
                           "\nslipway: RAM at 0x100300000, 65536 bytes, is not write-back "
                           "by the MTRRs: not usable\n"));
    bool is_listed = false;
    for (uint32_t i = 0; i < info->mtrrs.count; i++) {
        const struct slipway_mtrr *mtrr = setup_record(&info->mtrrs, i);
        is_listed |= mtrr->start_phys == FAKE_HIGH_PHYS + MIB(3) && mtrr->bytes == KIB(64) &&
                     mtrr->type == SLIPWAY_MTRR_UC;
    }
    assert_true(is_listed);
}

TEST("a single range of RAM that is not write-back is left out") {
    setup_boot("log = info\n");
    setup_add_mtrr(0, FAKE_HIGH_PHYS + MIB(3), KIB(64), SLIPWAY_MTRR_UC);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const struct slipway_range *part = setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 0);
    assert_int_equal(part->start_phys, FAKE_HIGH_PHYS + MIB(3));
    assert_int_equal(part->bytes, KIB(64));
    assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 1));
    // Before the direct map is planned, not with the last memory map alone.
    assert_non_null(strstr(fake.com1, "\nslipway: RAM at 0x100300000, 65536 bytes, is not "));
}

// The first hole splits a leaf of 1 GiB and one of 2 MiB: together they need all spare tables.
static void punch_holes(uint32_t reading) {
    for (uint64_t i = 0; reading == 3 && i < 15; i++)
        fake_add_memory(FAKE_HIGH_PHYS + MIB(2) * i, FRAME_BYTES, EfiReservedMemoryType);
}

TEST(
    "all RAM that is not write-back is planned for: after a refused exit all spare tables are there") {
    setup_boot(NULL);
    for (uint32_t i = 0; i < 3; i++)
        setup_add_mtrr(i, FAKE_HIGH_PHYS + GIB(1) + i * MIB(4), FRAME_BYTES, SLIPWAY_MTRR_UC);
    fake.exit_refusals = 1;
    fake.before_map = punch_holes;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_non_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 2));
    assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 3));
}

TEST("ranges of RAM that is not write-back stand in order among the loader's own") {
    setup_boot(NULL);
    setup_add_mtrr(0, MIB(2), KIB(64), SLIPWAY_MTRR_UC); // below them
    setup_add_mtrr(1, FAKE_HIGH_PHYS, KIB(64), SLIPWAY_MTRR_UC);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 0)->start_phys, MIB(2));
    assert_int_equal(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 1)->start_phys, FAKE_HIGH_PHYS);
}

TEST(
    "without MTRRs, or with all of them off, RAM is what the map says, and no map of them is given") {
    for (unsigned i = 0; i < 2; i++) {
        setup_boot(NULL);
        setup_add_mtrr(0, FAKE_HIGH_PHYS, MIB(2), SLIPWAY_MTRR_UC);
        fake.has_mtrrs = i != 0;
        fake.registers.mtrr_default &= ~(UINT64_C(1) << 11);
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->mtrrs.count, 0);
        assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 0));
    }
}

TEST("memory that the loader was given and that is not write-back ends the boot with both ranges") {
    setup_boot(NULL);
    setup_add_mtrr(0, FAKE_IMAGE_PHYS & ~(KIB(64) - 1), KIB(64), SLIPWAY_MTRR_UC);
    fake_boot();
    char want[200];
    snprintf(
        want, sizeof(want),
        "memory map: [0x%lx, 0x%lx), which the loader uses, is not write-back by the MTRRs from "
        "0x%lx to 0x%lx",
        FAKE_IMAGE_PHYS, align_up(FAKE_IMAGE_PHYS + FAKE_IMAGE_BYTES, FRAME_BYTES), FAKE_IMAGE_PHYS,
        align_up(FAKE_IMAGE_PHYS + FAKE_IMAGE_BYTES, FRAME_BYTES));
    setup_expect_failure(want);
}

// What the loader says when the page at `start`, which belongs to `range`, is uncached.
static void expect_refusal(const struct slipway_range *range, uint64_t start) {
    char want[200];
    snprintf(
        want, sizeof(want),
        "memory map: [0x%lx, 0x%lx), which the loader uses, is not write-back by the MTRRs from 0x%lx to 0x%lx",
        range->start_phys, range->start_phys + range->bytes, start, start + FRAME_BYTES);
    setup_boot(SETUP_CONFIG);
    setup_add_mtrr(0, start, FRAME_BYTES, SLIPWAY_MTRR_UC);
    fake_boot();
    setup_expect_failure(want);
}

TEST("a first or a last page that is not write-back, of any range of the loader's, is enough") {
    static const uint32_t purposes[] = {SLIPWAY_RANGE_KERNEL, SLIPWAY_RANGE_MODULE,
                                        SLIPWAY_RANGE_STACK, SLIPWAY_RANGE_BOOT_INFO};
    for (size_t i = 0; i < ARRAY_LEN(purposes); i++) {
        setup_boot(SETUP_CONFIG);
        setup_add_mtrr(0, FAKE_HIGH_PHYS, FRAME_BYTES, SLIPWAY_MTRR_UC);
        fake_boot();
        const struct slipway_range range = *setup_find_range(setup_expect_kernel(), purposes[i], 0);
        expect_refusal(&range, range.start_phys);
        expect_refusal(&range, range.start_phys + range.bytes - FRAME_BYTES);
    }
}

TEST("RAM that is not write-back may touch what the loader uses, on both sides") {
    uint64_t end = align_up(FAKE_IMAGE_PHYS + FAKE_IMAGE_BYTES, FRAME_BYTES);
    setup_boot(NULL);
    setup_add_mtrr(0, FAKE_IMAGE_PHYS - FRAME_BYTES, FRAME_BYTES, SLIPWAY_MTRR_UC);
    setup_add_mtrr(1, end, FRAME_BYTES, SLIPWAY_MTRR_UC);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const struct slipway_range *part = setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 0);
    assert_int_equal(part->start_phys, FAKE_IMAGE_PHYS - FRAME_BYTES);
    assert_int_equal(part->bytes, FRAME_BYTES);
    part = setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 1);
    assert_int_equal(part->start_phys, end);
    assert_int_equal(part->bytes, FRAME_BYTES);
    assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 2));
}

// Where the list of ranges was longer once, a range of the map before stands behind its end.
TEST("RAM that is not write-back is left out of each map that is read, and listed once") {
    setup_boot(NULL);
    setup_add_mtrr(0, FAKE_HIGH_PHYS + MIB(3), KIB(64), SLIPWAY_MTRR_UC);
    fake.exit_refusals = 1;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->exit_attempts, 2);
    const struct slipway_range *part = setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 0);
    assert_int_equal(part->start_phys, FAKE_HIGH_PHYS + MIB(3));
    assert_int_equal(part->bytes, KIB(64));
    assert_null(setup_find_range(info, SLIPWAY_RANGE_DEMOTED, 1));
}

TEST("more ranges of RAM that are not write-back than can be listed end the boot") {
    setup_boot(NULL);
    fake.mtrr_cap = MTRR_CAP_FIXED | 20;
    for (unsigned i = 0; i < 17; i++)
        setup_add_mtrr(i, FAKE_HIGH_PHYS + i * MIB(4), MIB(2), SLIPWAY_MTRR_UC);
    fake_boot();
    setup_expect_failure("memory map: the MTRRs make 17 ranges of RAM something else than "
                         "write-back, more than 16");
    setup_boot(NULL);
    fake.mtrr_cap = MTRR_CAP_FIXED | 20;
    for (unsigned i = 0; i < 16; i++)
        setup_add_mtrr(i, FAKE_HIGH_PHYS + i * MIB(4), MIB(2), SLIPWAY_MTRR_UC);
    fake_boot();
    assert_non_null(setup_find_range(setup_expect_kernel(), SLIPWAY_RANGE_DEMOTED, 15));
}
