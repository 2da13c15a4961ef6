// See mtrr_map.h.
#include "common/mtrr/mtrr_map.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/boot/slipway_boot.h"

#define DEFAULT_ON       (UINT64_C(1) << 11) // of IA32_MTRR_DEF_TYPE
#define DEFAULT_FIXED_ON (UINT64_C(1) << 10)
#define MASK_VALID       (UINT64_C(1) << 11) // of IA32_MTRR_PHYSMASKn
#define TYPE             UINT64_C(0xff)
#define FIXED_END        MIB(1)

// A run of equal types in the fixed registers: where it starts, and how large a byte's range is.
struct fixed_group {
    uint64_t start;
    uint64_t bytes;
    unsigned first; // register
    unsigned end;
};

static const struct fixed_group fixed_groups[] = {
    {0, KIB(64), 0, 1},
    {KIB(512), KIB(16), 1, 3},
    {KIB(768), KIB(4), 3, MTRR_FIXED},
};

struct variable {
    uint64_t start;
    uint64_t end;
    uint8_t type;
};

struct builder {
    struct mtrr_map *map;
    uint64_t limit;
    uint8_t default_type;
    uint32_t count;
    struct variable variables[MTRR_VARIABLE_MAX];
};

// A type that the manual reserves is as good as none.
static bool is_known(uint8_t type) {
    return type == SLIPWAY_MTRR_UC || type == SLIPWAY_MTRR_WC ||
           (type >= SLIPWAY_MTRR_WT && type <= SLIPWAY_MTRR_WB);
}

static void append(struct builder *builder, uint64_t end, uint8_t type) {
    type = is_known(type) ? type : SLIPWAY_MTRR_UC;
    struct mtrr_map *map = builder->map;
    struct mtrr_run *last = map->count == 0 ? NULL : &map->runs[map->count - 1];
    uint64_t start = last == NULL ? 0 : last->end;
    if (last != NULL && last->type == type) {
        last->end = end;
        return;
    }
    ASSERT(map->count < MTRR_RUNS_MAX && start < end);
    map->runs[map->count++] = (struct mtrr_run){start, end, type};
}

// The lowest set bit of a mask is the size of its range.
static void read_variables(struct builder *builder, const struct mtrr_state *state) {
    uint64_t address = (builder->limit - 1) & ~(FRAME_BYTES - 1);
    for (uint32_t i = 0; i < state->variable_count; i++) {
        uint64_t mask = state->mask[i] & address;
        if (!(state->mask[i] & MASK_VALID) || mask == 0)
            continue;
        uint64_t bytes = mask & -mask;
        uint64_t start = align_down(state->base[i] & address, bytes);
        builder->variables[builder->count++] =
            (struct variable){start, start + bytes, (uint8_t)(state->base[i] & TYPE)};
    }
}

// Of several ranges uncached wins, then write-through over write-back; the rest is undefined.
static uint8_t combine(uint8_t one, uint8_t other) {
    if (one == other)
        return one;
    bool are_wt_and_wb = (one == SLIPWAY_MTRR_WT && other == SLIPWAY_MTRR_WB) ||
                         (one == SLIPWAY_MTRR_WB && other == SLIPWAY_MTRR_WT);
    return are_wt_and_wb ? SLIPWAY_MTRR_WT : SLIPWAY_MTRR_UC;
}

// The type at `start`, and in *ret_end where the next range begins or ends.
static uint8_t variable_type(const struct builder *builder, uint64_t start, uint64_t *ret_end) {
    uint64_t end = builder->limit;
    bool is_covered = false;
    uint8_t type = builder->default_type;
    for (uint32_t i = 0; i < builder->count; i++) {
        const struct variable *variable = &builder->variables[i];
        if (start < variable->start) {
            end = min_u64(end, variable->start);
        } else if (start < variable->end) {
            end = min_u64(end, variable->end);
            type = is_covered ? combine(type, variable->type) : variable->type;
            is_covered = true;
        }
    }
    *ret_end = end;
    return type;
}

static void append_fixed(struct builder *builder, const struct mtrr_state *state) {
    for (unsigned i = 0; i < ARRAY_LEN(fixed_groups); i++) {
        const struct fixed_group *group = &fixed_groups[i];
        uint64_t end = group->start;
        for (unsigned at = group->first; at < group->end; at++) {
            for (unsigned byte = 0; byte < 8; byte++) {
                end += group->bytes;
                append(builder, end, (uint8_t)(state->fixed[at] >> 8 * byte));
            }
        }
    }
}

void mtrr_map_make(const struct mtrr_state *state, unsigned paddr_bits, struct mtrr_map *ret_map) {
    struct builder builder = {
        .map = ret_map,
        .limit = UINT64_C(1) << paddr_bits,
        .default_type = (uint8_t)(state->default_type & TYPE),
    };
    ret_map->count = 0;
    if (!state->is_there || !(state->default_type & DEFAULT_ON))
        return;
    read_variables(&builder, state);
    uint64_t start = 0;
    if (state->has_fixed && (state->default_type & DEFAULT_FIXED_ON)) {
        append_fixed(&builder, state);
        start = FIXED_END;
    }
    while (start < builder.limit) {
        uint64_t end;
        uint8_t type = variable_type(&builder, start, &end);
        append(&builder, end, type);
        start = end;
    }
}
