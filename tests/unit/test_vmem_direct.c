#include "common/base/arith.h"
#include "tests/unit/support/vmem_rig.h"

// A rig whose first frames are seen through the window; table_pointer counts what it is asked for.
enum { DIRECT_FRAMES = 3 };

static struct rig *asked_rig;
static unsigned asked;

static uint64_t *count_pointer(void *context, paddr_t table) {
    assert_true(table.value - VMEM_MEMORY_BASE >= DIRECT_FRAMES * FRAME_BYTES);
    assert_ptr_equal(context, &asked_rig->memory);
    asked++;
    return vmem_memory_pointer(context, table);
}

static struct vmem_ops direct_ops(struct rig *rig) {
    asked_rig = rig;
    asked = 0;
    return (struct vmem_ops){
        .table_alloc = vmem_memory_alloc,
        .table_free = vmem_memory_free,
        .table_pointer = count_pointer,
        .direct_start = paddr(VMEM_MEMORY_BASE),
        .direct_bytes = DIRECT_FRAMES * FRAME_BYTES,
        .direct = (unsigned char *)rig->memory.frames,
    };
}

TEST("vmem: tables in the window are reached without a call, all others by table_pointer") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4); // the root is frame 0
    struct vmem_ops ops = direct_ops(&rig);
    rig.space.ops = &ops;
    struct vmem_mapping mapping = rig_mapping(MIB(2), MIB(8) + 0x5000, 0x3000);
    assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
    assert_int_equal(rig.memory.used_count, 4);
    asked = 0;
    rig_expect(&rig, MIB(2) + 0x1234, MIB(8) + 0x6234, VMEM_4K, RIG_RW);
    assert_int_equal(asked, 1); // one of the four is beyond the window
    assert_int_equal(rig_protect(&rig, vaddr(MIB(2)), 0x1000, RIG_R), VMEM_OK);
    rig_expect(&rig, MIB(2), MIB(8) + 0x5000, VMEM_4K, RIG_R);
    rig_expect(&rig, MIB(2) + 0x1000, MIB(8) + 0x6000, VMEM_4K, RIG_RW);
    assert_int_equal(rig_unmap(&rig, vaddr(MIB(2)), 0x3000), VMEM_OK);
    assert_int_equal(rig.memory.used_count, 1);
    rig.space.ops = &vmem_memory_ops;
    rig_destroy(&rig);
}

TEST("vmem: a window of no bytes is never used") {
    struct rig rig;
    rig_make(&rig, RIG_CPU, 4);
    struct vmem_ops ops = vmem_memory_ops;
    ops.direct_start = rig.space.root;
    rig.space.ops = &ops;
    struct vmem_mapping mapping = rig_mapping(MIB(2), MIB(8), 0x1000);
    assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
    rig_expect(&rig, MIB(2), MIB(8), VMEM_4K, RIG_RW);
    rig_destroy(&rig);
}
