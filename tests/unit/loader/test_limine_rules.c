// What each base revision of the Limine protocol maps.
#include "common/base/arith.h"
#include "loader/protocol/limine_rules.h"
#include "tests/unit/support/test.h"

#include <string.h>

// The kinds of memory, by the letters of `mapped` below.
static const char kinds[] = "UBLAMKPNRSEXVDO";
_Static_assert(sizeof(kinds) == SLIPWAY_MEM_KINDS); // one letter for each but 0, and the NUL

static uint32_t mask_of(const char *mapped) {
    uint32_t mask = 0;
    for (; *mapped != '\0'; mapped++) {
        const char *kind = strchr(kinds, *mapped);
        assert_non_null(kind);
        mask |= UINT32_C(1) << (kind - kinds + 1);
    }
    return mask;
}

static const struct {
    const char *mapped; // usable, boot services, loader, ACPI, module, kernel, page tables, NVS...
    enum space_firmware firmware;
    bool all_below_4g;
    bool identity;
} facts[] = {
    {"UBLAMKPNRSEXVDO", SPACE_FIRMWARE_NONE, true, true},
    {"UBLAMKPN", SPACE_FIRMWARE_NONE, true, false},
    {"UBLAMKPN", SPACE_FIRMWARE_NONE, true, false},
    {"UBLMKP", SPACE_FIRMWARE_NONE, false, false},
    {"UBLAMKPN", SPACE_FIRMWARE_ACPI, false, false},
    {"UBLAMKPNR", SPACE_FIRMWARE_ALL, false, false},
    {"UBLAMKPNR", SPACE_FIRMWARE_ALL, false, false},
    {"UBLAMKPNR", SPACE_FIRMWARE_ALL, false, false}, // unknown yet
};

TEST("limine: each base revision maps what its text says, strict or not") {
    for (uint64_t i = 0; i < 2 * ARRAY_LEN(facts); i++) {
        uint64_t revision = i / 2;
        bool is_lax = i % 2 != 0;
        struct space_rules rules = limine_space_rules(revision, is_lax);
        assert_true(space_has_rules(&rules));
        assert_int_equal(rules.kinds, mask_of(facts[revision].mapped));
        assert_int_equal(rules.firmware, facts[revision].firmware);
        assert_int_equal(rules.all_below_4g, facts[revision].all_below_4g);
        assert_int_equal(rules.identity, facts[revision].identity);
        assert_int_equal(rules.executes_direct, is_lax);
        assert_int_equal(rules.unsealed, is_lax);
        assert_true(rules.writes_and_executes && rules.has_no_global);
    }
}

TEST("limine: an image lies in the highest 2 GiB, in one run, with whatever rights") {
    assert_int_equal(limine_elf_rules.lowest, UINT64_C(0xffffffff80000000));
    assert_true(limine_elf_rules.may_write_execute);
    assert_true(limine_elf_rules.ignores_relro);
    assert_true(limine_elf_rules.relocates_all);
    assert_true(limine_elf_rules.is_one_run);
}

TEST("limine: Slipway's rules are none") {
    struct space_rules none = {0};
    assert_false(space_has_rules(&none));
    assert_false(space_wants_kind(&none, SLIPWAY_MEM_USABLE));
    struct space_rules some = limine_space_rules(3, false);
    assert_true(space_wants_kind(&some, SLIPWAY_MEM_USABLE));
    assert_false(space_wants_kind(&some, SLIPWAY_MEM_ACPI_NVS));
    assert_false(space_wants_kind(&some, SLIPWAY_MEM_MMIO));
}
