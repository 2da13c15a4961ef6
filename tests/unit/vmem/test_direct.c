#include "common/base/arith.h"
#include "tests/unit/support/vmem_rig.h"

#define HHDM UINT64_C(0xffff800000000000)

// A rig whose first frames are seen through the window; table_pointer counts what it is asked for.
enum { DIRECT_FRAMES = 3 };

static struct rig *asked_rig;
static unsigned asked;

static uint64_t *count_pointer(void *context, paddr_t table) {
    assert_true(table.value - VMEM_MEMORY_BASE >= asked_rig->memory.direct * FRAME_BYTES);
    assert_ptr_equal(context, &asked_rig->memory);
    asked++;
    return vmem_memory_pointer(context, table);
}

static const struct vmem_ops counting_ops = {
    .table_alloc = vmem_memory_alloc,
    .table_free = vmem_memory_free,
    .table_pointer = count_pointer,
    .direct = vmem_memory_direct,
};

// The rig's tables anew, with the first frames seen directly.
static void make_direct(struct rig *rig, uint32_t frames) {
    rig_make(rig, RIG_CPU, 4); // the root is frame 0
    rig->memory.direct = frames;
    asked_rig = rig;
    rig->space.ops = &counting_ops;
    rig_adopt(rig, RIG_CPU);
    asked = 0;
}

TEST("vmem: tables that are seen directly are reached without a call, all others by "
     "table_pointer") {
    struct rig rig;
    make_direct(&rig, DIRECT_FRAMES);
    struct vmem_mapping mapping = rig_mapping(MIB(2), MIB(8) + 0x5000, 0x3000);
    assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
    assert_int_equal(rig.memory.used_count, 4);
    asked = 0;
    rig_expect(&rig, MIB(2) + 0x1234, MIB(8) + 0x6234, VMEM_4K, RIG_RW);
    assert_int_equal(asked, 1); // one of the four is not seen directly
    assert_int_equal(rig_protect(&rig, vaddr(MIB(2)), 0x1000, RIG_R), VMEM_OK);
    rig_expect(&rig, MIB(2), MIB(8) + 0x5000, VMEM_4K, RIG_R);
    rig_expect(&rig, MIB(2) + 0x1000, MIB(8) + 0x6000, VMEM_4K, RIG_RW);
    assert_int_equal(rig_unmap(&rig, vaddr(MIB(2)), 0x3000), VMEM_OK);
    assert_int_equal(rig.memory.used_count, 1);
    rig_destroy(&rig);
}

TEST("vmem: where no frame is seen directly, table_pointer is asked for each") {
    struct rig rig;
    make_direct(&rig, 0);
    struct vmem_mapping mapping = rig_mapping(MIB(2), MIB(8), 0x1000);
    assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
    asked = 0;
    rig_expect(&rig, MIB(2), MIB(8), VMEM_4K, RIG_RW);
    assert_int_equal(asked, 4);
    rig_destroy(&rig);
}

TEST("vmem: who cannot say what is seen directly is asked for every table") {
    static const struct vmem_ops ops = {
        .table_alloc = vmem_memory_alloc,
        .table_free = vmem_memory_free,
        .table_pointer = vmem_memory_pointer,
    };
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        rig.space.ops = &ops;
        rig_adopt(&rig, RIG_CPU);
        struct vmem_mapping mapping = rig_mapping(MIB(2), MIB(8), 0x1000);
        assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
        rig_expect(&rig, MIB(2), MIB(8), VMEM_4K, RIG_RW);
        assert_int_equal(rig_unmap(&rig, vaddr(MIB(2)), 0x1000), VMEM_OK);
        assert_int_equal(rig.memory.used_count, 1);
        rig_destroy(&rig);
    }
}

// What both ways of seeing the tables answer.
struct answers {
    enum vmem_status translate;
    struct vmem_translation translation;
    enum vmem_status map;
    enum vmem_status map_user;
};

static struct answers answer(struct rig *rig, uint32_t direct, uint64_t virt) {
    rig->memory.direct = direct;
    rig_adopt(rig, RIG_CPU);
    struct vmem_memory before = vmem_memory_copy(&rig->memory);
    struct answers answers = {.translate = VMEM_OK};
    answers.translate = vmem_translate(&rig->space, vaddr(virt), &answers.translation);
    struct vmem_mapping mapping = rig_mapping(virt + 0x1000, MIB(64), 0x1000);
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    mapping.rights = RIG_RX;
    answers.map = vmem_map(&rig->space, &mapping, &flush);
    mapping.virt.value += 0x1000;
    mapping.rights = RIG_RW | VMEM_USER;
    answers.map_user = vmem_map(&rig->space, &mapping, &flush);
    for (uint32_t frame = 0; frame < RIG_FRAMES; frame++)
        if (before.used[frame])
            memcpy(rig->memory.frames[frame], before.frames[frame], FRAME_BYTES);
        else if (rig->memory.used[frame])
            vmem_memory_free(&rig->memory, vmem_memory_address(frame));
    vmem_memory_destroy(&before);
    return answers;
}

TEST("vmem: whatever bit of a fast entry is inverted, tables seen directly mean the same") {
    const uint64_t virt = HHDM + MIB(2);
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        struct vmem_mapping mapping = rig_mapping(virt, MIB(8), 0x1000);
        mapping.global = true;
        assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
        for (unsigned level = 1; level <= levels; level++) {
            uint64_t *cell = rig_slot(&rig, virt, level);
            uint64_t fast = *cell;
            for (unsigned bit = 0; bit < 64; bit++) {
                if (bit >= 12 && bit < 46) // that would be another table
                    continue;
                *cell = fast ^ UINT64_C(1) << bit;
                struct answers got = answer(&rig, RIG_FRAMES, virt);
                struct answers want = answer(&rig, 0, virt);
                assert_memory_equal(&got, &want, sizeof(got));
            }
            *cell = fast;
        }
        rig_destroy(&rig);
    }
}

TEST("vmem: memory that is mapped is no table, even where it is seen directly") {
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct rig rig;
        rig_make(&rig, RIG_CPU, levels);
        paddr_t frame = vmem_memory_alloc(&rig.memory);
        memset(vmem_memory_pointer(&rig.memory, frame), 0, FRAME_BYTES);
        struct vmem_mapping mapping = rig_mapping(0, frame.value, 0x1000);
        mapping.rights = RIG_RW | VMEM_EXECUTE; // as an entry that points to a table
        assert_int_equal(rig_map(&rig, &mapping), VMEM_OK);
        rig_refuse(&rig, rig_do_map, &mapping, VMEM_ERR_MAPPED);
        rig_expect(&rig, 0x123, frame.value + 0x123, VMEM_4K, mapping.rights);
        vmem_memory_free(&rig.memory, frame);
        rig_destroy(&rig);
    }
}
