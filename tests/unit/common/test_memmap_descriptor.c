// What one memory descriptor says by itself: its kind, whether it belongs in the direct map, and
// what is odd about it.
#include "common/memmap/descriptor.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "tests/unit/support/memmap_model.h"
#include "tests/unit/support/test.h"

#define WB      MODEL_WB
#define RUNTIME MODEL_RUNTIME
#define SP      MODEL_SP
#define NOTHING MEMMAP_ODDITIES

#define ISA       UINT64_C(0x0700000000000000)
#define ISA_VALID UINT64_C(0x4000000000000000)

TEST("memmap: every type, known or not, is what the model says, with and without attributes") {
    static const uint64_t attributes[] = {0, 7, WB, WB | RUNTIME, WB | SP, WB | SP | RUNTIME, SP};
    for (uint32_t type = 0; type < 20; type++) {
        for (unsigned i = 0; i < ARRAY_LEN(attributes); i++) {
            const struct memmap_descriptor descriptor = {type, 0x200000, 1, attributes[i]};
            const struct model_descriptor model = {type, 0x200000, 1, attributes[i]};
            assert_int_equal(memmap_descriptor_kind(&descriptor), model_kind(&model));
            assert_int_equal(memmap_descriptor_is_direct(&descriptor), model_is_direct(&model));
        }
    }
}

TEST("memmap: what is odd about a descriptor is counted, and what is next to odd is not") {
    static const struct {
        struct memmap_descriptor descriptor;
        enum memmap_oddity odd;
    } cases[] = {
        {{7, 0x200000, 1, WB}, NOTHING},
        {{7, 0x200001, 1, WB}, MEMMAP_ODD_UNALIGNED},
        {{7, 0x200800, 1, WB}, MEMMAP_ODD_UNALIGNED},
        {{15, 0x200000, 1, WB}, NOTHING},
        {{16, 0x200000, 1, WB}, MEMMAP_ODD_UNKNOWN_TYPE},
        {{0x70000000, 0x200000, 1, WB}, MEMMAP_ODD_UNKNOWN_TYPE},
        {{7, 0x200000, 1, 0x1f}, NOTHING},
        {{7, 0x200000, 1, WB | 0x20}, MEMMAP_ODD_UNKNOWN_ATTRIBUTE},
        {{7, 0x200000, 1, WB | 0x800}, MEMMAP_ODD_UNKNOWN_ATTRIBUTE},
        {{7, 0x200000, 1, (WB | 0x1ff000) & ~SP}, NOTHING}, // every flag but SP
        {{7, 0x200000, 1, WB | 0x200000}, MEMMAP_ODD_UNKNOWN_ATTRIBUTE},
        {{7, 0x200000, 1, WB | ISA}, MEMMAP_ODD_UNKNOWN_ATTRIBUTE}, // bits that are not valid
        {{7, 0x200000, 1, WB | ISA | ISA_VALID}, NOTHING},
        {{7, 0x200000, 1, WB | ISA_VALID}, NOTHING},
        {{7, 0x200000, 1, WB | ISA_VALID | ISA_VALID >> 2}, MEMMAP_ODD_UNKNOWN_ATTRIBUTE},
        {{7, 0x200000, 1, 7}, MEMMAP_ODD_RAM_WITHOUT_WB},
        {{6, 0x200000, 1, RUNTIME}, MEMMAP_ODD_RAM_WITHOUT_WB},
        {{10, 0x200000, 1, 0}, MEMMAP_ODD_RAM_WITHOUT_WB},
        {{0, 0x200000, 1, 0}, NOTHING},
        {{4, 0x200000, 1, WB | RUNTIME}, MEMMAP_ODD_RUNTIME_ON_RAM},
        {{6, 0x200000, 1, WB | RUNTIME}, NOTHING},
        {{9, 0x200000, 1, WB | SP}, MEMMAP_ODD_SOFT_RESERVED},
        {{6, 0x200000, 1, WB | SP}, NOTHING},
        {{11, 0x200000, 1, RUNTIME}, MEMMAP_ODD_MMIO_UNCACHED},
        {{12, 0x200000, 1, 0}, MEMMAP_ODD_MMIO_UNCACHED},
        {{11, 0x200000, 1, 0x1}, NOTHING},
        {{11, 0x200000, 1, 0x10}, NOTHING},
        {{7, 0, 1, WB}, MEMMAP_ODD_FRAME_0},
        {{4, 0, 1, WB}, NOTHING},
        {{7, 0x1000, 0x9f, WB}, NOTHING}, // to the hole
        {{7, 0x1000, 0xa0, WB}, MEMMAP_ODD_LEGACY_HOLE},
        {{4, 0xff000, 1, WB}, MEMMAP_ODD_LEGACY_HOLE},
        {{6, 0xff000, 1, WB}, NOTHING},
        {{7, 0x100000, 1, WB}, NOTHING}, // from the hole on
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        const struct memmap_descriptor *descriptor = &cases[i].descriptor;
        uint64_t odd[MEMMAP_ODDITIES] = {0};
        uint64_t end;
        assert_true(memmap_descriptor_end(descriptor, &end));
        memmap_descriptor_count_oddities(descriptor, memmap_descriptor_kind(descriptor), end, odd);
        for (unsigned oddity = 0; oddity < MEMMAP_ODDITIES; oddity++) {
            if (odd[oddity] != (oddity == (unsigned)cases[i].odd))
                fail_msg("case %u: %s is counted %lu times", i,
                         memmap_oddity_text((enum memmap_oddity)oddity), odd[oddity]);
        }
    }
}

static bool is_between(unsigned bit, unsigned first, unsigned last) {
    return bit >= first && bit <= last;
}

// UEFI specification 2.10, 7.2.3. Each descriptor has all five cache types, so that none of them is
// taken for ISA_VALID.
TEST("memmap: of all 64 attributes exactly those of the specification are known") {
    for (unsigned bit = 0; bit < 64; bit++) {
        bool is_known = is_between(bit, 0, 4) || is_between(bit, 12, 20) || bit >= 62;
        bool is_isa = is_between(bit, 44, 59);
        for (int valid = 0; valid < 2; valid++) {
            const struct memmap_descriptor descriptor = {
                6, 0x200000, 1, 0x1f | UINT64_C(1) << bit | (valid ? ISA_VALID : 0)};
            uint64_t odd[MEMMAP_ODDITIES] = {0};
            memmap_descriptor_count_oddities(&descriptor, SLIPWAY_MEM_RUNTIME, 0x201000, odd);
            assert_int_equal(odd[MEMMAP_ODD_UNKNOWN_ATTRIBUTE], !is_known && !(is_isa && valid));
        }
    }
}

TEST("memmap: the first byte of the legacy hole is of the hole") {
    const struct memmap_descriptor descriptor = {7, 0x9f001, 1, WB};
    const uint64_t want[MEMMAP_ODDITIES] = {
        [MEMMAP_ODD_UNALIGNED] = 1, [MEMMAP_ODD_LEGACY_HOLE] = 1};
    uint64_t odd[MEMMAP_ODDITIES] = {0};
    memmap_descriptor_count_oddities(&descriptor, SLIPWAY_MEM_USABLE, 0xa0001, odd);
    assert_memory_equal(odd, want, sizeof(want));
}
