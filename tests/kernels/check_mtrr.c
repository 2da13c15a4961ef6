// The map of the MTRRs, held against this CPU's registers (Intel SDM 3A 11.11), and against RAM.
#include "checks.h"
#include "cpu.h"
#include "kit.h"

enum { MSR_CAP = 0xfe, MSR_DEFAULT = 0x2ff, MSR_BASE = 0x200, MSR_MASK = 0x201 };
enum { CAP_FIXED = 1 << 8, DEFAULT_ON = 1 << 11, DEFAULT_FIXED_ON = 1 << 10, MASK_VALID = 1 << 11 };
enum { CPUID_1_EDX_MTRR = 1 << 12 };
#define ADDRESS UINT64_C(0x000ffffffffff000)

static uint32_t fixed_type(uint64_t phys) {
    uint32_t msr;
    uint64_t index;
    if (phys < 0x80000) {
        msr = 0x250;
        index = phys >> 16;
    } else if (phys < 0xc0000) {
        msr = 0x258 + (uint32_t)((phys - 0x80000) >> 17);
        index = phys >> 14 & 7;
    } else {
        msr = 0x268 + (uint32_t)((phys - 0xc0000) >> 15);
        index = phys >> 12 & 7;
    }
    return read_msr(msr) >> 8 * index & 0xff;
}

// What the registers say of one address. Overlaps: uncached before all, write-through before
// write-back.
static uint32_t type_of(uint64_t phys) {
    uint64_t capabilities = read_msr(MSR_CAP);
    uint64_t standard = read_msr(MSR_DEFAULT);
    if (phys < 0x100000 && capabilities & CAP_FIXED && standard & DEFAULT_FIXED_ON)
        return fixed_type(phys);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < (capabilities & 0xff); i++) {
        uint64_t base = read_msr(MSR_BASE + 2 * i);
        uint64_t mask = read_msr(MSR_MASK + 2 * i);
        if (mask & MASK_VALID && (phys & mask & ADDRESS) == (base & mask & ADDRESS))
            seen |= 1U << (base & 7);
    }
    if (seen == 0)
        return standard & 0xff;
    for (uint32_t type = 0; type < 8; type++) {
        if (seen == 1U << type)
            return type;
    }
    return seen == (1U << SLIPWAY_MTRR_WT | 1U << SLIPWAY_MTRR_WB) ? SLIPWAY_MTRR_WT
                                                                   : SLIPWAY_MTRR_UC;
}

static const struct slipway_mtrr *mtrr_at(uint32_t index) {
    return kit_record(boot->mtrrs, index);
}

static void check_map(void) {
    bool on = cpuid(1).edx & CPUID_1_EDX_MTRR && read_msr(MSR_DEFAULT) & DEFAULT_ON;
    check_begin("the map of the MTRRs says what the registers say, of all physical memory");
    CHECK_EQUAL(boot->mtrrs.count != 0, on);
    uint64_t end = 0;
    for (uint32_t i = 0; i < boot->mtrrs.count; i++) {
        const struct slipway_mtrr *m = mtrr_at(i);
        CHECK_EQUAL(m->start_phys, end);
        CHECK(m->bytes != 0 && m->bytes % PAGE_BYTES == 0, m->bytes);
        CHECK(i == 0 || mtrr_at(i - 1)->type != m->type, m->start_phys);
        end += m->bytes;
        CHECK_EQUAL(m->type, type_of(m->start_phys));
        CHECK_EQUAL(m->type, type_of(m->start_phys + m->bytes / 2));
        CHECK_EQUAL(m->type, type_of(end - PAGE_BYTES));
    }
    CHECK(end == 0 || (end & (end - 1)) == 0, end);
}

void check_mtrrs(void) {
    check_map();
    check_begin("all of the direct map is write-back by the MTRRs, too");
    for (uint32_t i = 0; i < boot->memory.count; i++) {
        const struct slipway_memory *region = manifest_memory(i);
        CHECK(region->bytes != 0, region->start_phys);
        if (!region->in_direct)
            continue;
        for (uint32_t j = 0; j < boot->mtrrs.count; j++) {
            const struct slipway_mtrr *m = mtrr_at(j);
            bool apart = m->start_phys >= region->start_phys + region->bytes ||
                         m->start_phys + m->bytes <= region->start_phys;
            CHECK(apart || m->type == SLIPWAY_MTRR_WB, region->start_phys);
        }
    }
    for (uint32_t i = 0; i < boot->ranges.count; i++) {
        if (manifest_range(i)->purpose == SLIPWAY_RANGE_DEMOTED)
            kit_fact("demoted", manifest_range(i)->start_phys);
    }
}
