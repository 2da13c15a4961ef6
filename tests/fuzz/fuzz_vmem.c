// Fuzzes common/vmem in two ways, by the first byte of the input: operations on an address space,
// compared with a naive model after each; and hostile tables, adopted and read in every way. Tables
// in which the audit finds nothing are changed, too.
#include "tests/unit/support/vmem_model.h"

#include <stddef.h>

enum { FRAMES = 64, FRAMES_LIMIT = 40, HOSTILE_FRAMES = 8, VISITS = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct input {
    const uint8_t *data;
    size_t bytes;
};

// The next bytes of the input; false, and nothing taken, when there are not as many.
static bool take(struct input *input, void *to, size_t bytes) {
    if (input->bytes < bytes)
        return false;
    memcpy(to, input->data, bytes);
    input->data += bytes;
    input->bytes -= bytes;
    return true;
}

static void require(bool holds) {
    if (!holds)
        abort();
}

static void fuzz_operations(struct input *input, struct vmem_cpu cpu, unsigned levels,
                            uint32_t direct) {
    static struct vmem_model model;
    struct vmem_memory memory = vmem_memory_make(FRAMES);
    memory.direct = direct;
    struct vmem space;
    require(vmem_new(&space, &vmem_memory_ops, &memory, cpu, levels) == VMEM_OK);
    model.count = 0;
    uint8_t coded[VMEM_OPERATION_BYTES];
    while (memory.used_count < FRAMES_LIMIT && take(input, coded, sizeof(coded))) {
        struct vmem_operation operation = vmem_operation_decode(coded, levels, cpu);
        require(vmem_model_step(&model, &space, &memory, &operation) == NULL);
    }
    require(vmem_model_matches(&model, &space));
    require(vmem_model_tables_match(&space, &memory));
    vmem_memory_destroy(&memory);
}

// Sets entries as the input says. Few a table, so that tables which share others end in time.
static void fill_hostile(struct input *input, struct vmem_memory *memory) {
    struct {
        uint8_t frame, where;
        uint8_t bits; // 7:0 of the entry
        uint8_t target;
        uint16_t high; // 63:48 of it, if target is odd enough
    } planted;
    static const uint16_t indices[] = {0, 1, 2, 255, 256, 510, 511, 300};
    for (unsigned count = 0; count < 96 && take(input, &planted, sizeof(planted)); count++) {
        uint64_t entry = planted.bits | (uint64_t)(planted.where >> 3 & 1) << 8;
        if (planted.target < 128)
            entry |= vmem_memory_address(planted.target % (HOSTILE_FRAMES + 1)).value;
        else
            entry |= (uint64_t)planted.high << 48 | (uint64_t)planted.target << 21;
        memory->frames[planted.frame % HOSTILE_FRAMES][indices[planted.where % 8]] = entry;
    }
}

static bool visit(void *argument, const struct vmem_run *run) {
    unsigned *visits = argument;
    require(run->bytes != 0);
    return ++*visits < VISITS;
}

static void discard(void *context, const char *text, size_t bytes) {
    (void)context;
    (void)text;
    (void)bytes;
}

static void report(void *context, const struct vmem_violation *violation) {
    (void)context;
    require(vmem_violation_text(violation->kind) != NULL);
}

static void read_everything(const struct vmem *space, struct input *input) {
    const struct sink sink = {.write = discard};
    unsigned visits = 0;
    enum vmem_status status = vmem_walk(space, vaddr(0), 0, visit, &visits);
    require(status == VMEM_OK || status == VMEM_ERR_CORRUPT || status == VMEM_ERR_STOPPED);
    status = vmem_dump(space, &sink);
    require(status == VMEM_OK || status == VMEM_ERR_CORRUPT);
    uint64_t virt;
    while (take(input, &virt, sizeof(virt))) {
        struct vmem_translation got;
        status = vmem_translate(space, vaddr(virt), &got);
        require(status == VMEM_OK || status == VMEM_ERR_NONCANONICAL ||
                status == VMEM_ERR_NOT_MAPPED || status == VMEM_ERR_CORRUPT);
        vmem_dump_walk(space, vaddr(virt), &sink);
    }
}

// Any operations on tables that the audit found sound: they may refuse, but lose nothing.
static void change_adopted(struct vmem *space, struct vmem_memory *memory, struct input *input) {
    uint8_t coded[VMEM_OPERATION_BYTES];
    while (memory->used_count < FRAMES_LIMIT && take(input, coded, sizeof(coded))) {
        struct vmem_operation operation = vmem_operation_decode(coded, space->levels, space->cpu);
        struct vmem_memory before = vmem_memory_copy(memory);
        memory->may_alloc = operation.may_alloc;
        if (vmem_operation_run(space, &operation) != VMEM_OK)
            require(vmem_memory_equal(memory, &before));
        memory->may_alloc = -1;
        vmem_memory_destroy(&before);
        require(memory->bad_frees == 0);
    }
}

static void fuzz_hostile(struct input *input, struct vmem_cpu cpu, unsigned levels,
                         uint32_t direct) {
    struct vmem_memory memory = vmem_memory_make(FRAMES);
    memory.direct = direct;
    for (unsigned frame = 0; frame < HOSTILE_FRAMES; frame++)
        (void)vmem_memory_alloc(&memory);
    memset(memory.frames, 0, HOSTILE_FRAMES * FRAME_BYTES);
    fill_hostile(input, &memory);
    struct vmem space;
    require(vmem_adopt(&space, &vmem_memory_ops, &memory, cpu, levels, VMEM_MEMORY_BASE) ==
            VMEM_OK);
    struct vmem_memory_claims claims = {&memory, calloc(memory.count, 1)};
    struct vmem_auditor auditor = {vmem_model_claim, report, &claims};
    struct vmem_audit_result result = vmem_audit(&space, &auditor);
    free(claims.claimed);
    require(result.tables <= HOSTILE_FRAMES);
    struct input again = *input;
    read_everything(&space, &again);
    if (result.violations == 0)
        change_adopted(&space, &memory, input);
    vmem_memory_destroy(&memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct input input = {data, bytes};
    uint8_t mode;
    if (!take(&input, &mode, 1))
        return 0;
    struct vmem_cpu cpu = {.paddr_bits = 46, .has_nx = true, .has_1g = (mode & 2) != 0};
    unsigned levels = (mode & 1) ? 5 : 4;
    uint32_t direct = (mode >> 3 & 3) * (HOSTILE_FRAMES / 2); // none, half, all and more
    if (mode & 4)
        fuzz_hostile(&input, cpu, levels, direct);
    else
        fuzz_operations(&input, cpu, levels, direct);
    return 0;
}
