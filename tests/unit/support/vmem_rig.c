#include "tests/unit/support/vmem_rig.h"

#include "common/base/arith.h"

void rig_make(struct rig *rig, struct vmem_cpu cpu, unsigned levels) {
    rig->memory = vmem_memory_make(RIG_FRAMES);
    rig->memory.direct = RIG_FRAMES;
    assert_int_equal(vmem_new(&rig->space, &vmem_memory_ops, &rig->memory, cpu, levels), VMEM_OK);
    vmem_tlb_make(&rig->tlb, &rig->memory, &rig->space);
    rig->memory.tlb = &rig->tlb;
    rig->released_count = 0;
    rig->too_early = false;
}

void rig_adopt(struct rig *rig, struct vmem_cpu cpu) {
    struct vmem *space = &rig->space;
    assert_int_equal(
        vmem_adopt(space, space->ops, &rig->memory, cpu, space->levels, space->root.value),
        VMEM_OK);
    space->owns_root = true;
}

void rig_destroy(struct rig *rig) {
    struct rig_audit audit = rig_audit(rig);
    assert_int_equal(audit.result.tables, rig->memory.used_count);
    assert_int_equal(rig->memory.bad_frees, 0);
    vmem_memory_destroy(&rig->memory);
}

struct vmem_mapping rig_mapping(uint64_t virt, uint64_t phys, uint64_t bytes) {
    return (struct vmem_mapping){
        .virt = vaddr(virt),
        .phys = paddr(phys),
        .bytes = bytes,
        .rights = RIG_RW,
        .cache = VMEM_CACHE_WB,
        .largest = VMEM_1G,
    };
}

uint64_t *rig_slot(struct rig *rig, uint64_t virt, unsigned level) {
    uint64_t table = rig->space.root.value;
    for (unsigned at = rig->space.levels;; at--) {
        uint64_t *entries = vmem_memory_pointer(&rig->memory, paddr(table));
        assert_non_null(entries);
        uint64_t *cell = &entries[virt >> (12 + 9 * (at - 1)) & 0x1ff];
        if (at == level)
            return cell;
        assert_int_equal(*cell & 0x81, 1);
        table = *cell & 0x000ffffffffff000;
    }
}

struct auditing {
    struct vmem_memory_claims claims;
    struct rig_audit audit;
    unsigned kept;
};

static enum vmem_claim claim(void *context, paddr_t table) {
    struct auditing *auditing = context;
    return vmem_memory_claim(&auditing->claims, table);
}

static void keep(void *context, const struct vmem_violation *violation) {
    struct auditing *auditing = context;
    if (auditing->kept < 8)
        auditing->audit.first[auditing->kept++] = *violation;
}

struct rig_audit rig_audit(struct rig *rig) {
    struct auditing auditing = {.claims = {&rig->memory, calloc(rig->memory.count, 1)}};
    struct vmem_auditor auditor = {claim, keep, &auditing};
    auditing.audit.result = vmem_audit(&rig->space, &auditor);
    free(auditing.claims.claimed);
    return auditing.audit;
}

void rig_expect(struct rig *rig, uint64_t virt, uint64_t phys, enum vmem_page page,
                unsigned rights) {
    struct vmem_translation translation;
    assert_int_equal(vmem_translate(&rig->space, vaddr(virt), &translation), VMEM_OK);
    assert_int_equal(translation.phys.value, phys);
    assert_int_equal(translation.page, page);
    assert_int_equal(translation.rights, rights);
}

void rig_expect_absent(struct rig *rig, uint64_t virt) {
    struct vmem_translation translation;
    assert_int_equal(vmem_translate(&rig->space, vaddr(virt), &translation), VMEM_ERR_NOT_MAPPED);
}

int64_t rig_starve(struct rig *rig, rig_operation operation, const void *argument) {
    struct vmem_memory before = vmem_memory_copy(&rig->memory);
    int64_t allowed = 0;
    for (;; allowed++) {
        rig->memory.may_alloc = allowed;
        enum vmem_status status = operation(rig, argument);
        if (status == VMEM_OK)
            break;
        assert_int_equal(status, VMEM_ERR_NO_MEMORY);
        assert_int_equal(rig->memory.may_alloc, 0);
        assert_true(vmem_memory_equal(&rig->memory, &before));
    }
    assert_int_equal(rig->memory.may_alloc, 0);
    rig->memory.may_alloc = -1;
    vmem_memory_destroy(&before);
    return allowed;
}

void rig_refuse(struct rig *rig, rig_operation operation, const void *argument,
                enum vmem_status want) {
    struct vmem_memory before = vmem_memory_copy(&rig->memory);
    assert_int_equal(operation(rig, argument), want);
    assert_true(vmem_memory_equal(&rig->memory, &before));
    vmem_memory_destroy(&before);
}

static void execute(void *context, const struct vmem_flush *flush) {
    struct rig *rig = context;
    vmem_tlb_execute(&rig->tlb, flush);
}

static void release(void *context, const struct vmem_run *run) {
    struct rig *rig = context;
    rig->too_early |= !vmem_tlb_is_released(&rig->tlb, run);
    if (rig->released_count < RIG_RUNS)
        rig->released[rig->released_count] = *run;
    rig->released_count++;
}

void rig_begin(struct rig *rig, struct vmem_flush *flush, uint64_t virt, uint64_t bytes) {
    static const struct vmem_flush_ops ops = {execute, release};
    const uint64_t used[] = {virt - 1,         virt,         virt + bytes / 2,
                             virt + bytes - 1, virt + bytes, virt + 0x200000};
    for (struct vmem_tlb *tlb = &rig->tlb; tlb != NULL; tlb = tlb->next) {
        vmem_tlb_reset(tlb); // tests change entries by hand, too
        for (size_t i = 0; i < ARRAY_LEN(used); i++)
            (void)vmem_tlb_access(tlb, used[i], false);
    }
    rig->released_count = 0;
    vmem_flush_begin(flush, &ops, rig);
}

void rig_finish(struct rig *rig, struct vmem_flush *flush) {
    vmem_flush_finish(&rig->space, flush);
    for (const struct vmem_tlb *tlb = &rig->tlb; tlb != NULL; tlb = tlb->next)
        assert_true(vmem_tlb_is_fresh(tlb));
    assert_false(rig->too_early);
    assert_int_equal(rig->memory.bad_frees, 0);
}

enum vmem_status rig_map(struct rig *rig, const struct vmem_mapping *mapping) {
    struct vmem_flush flush;
    rig_begin(rig, &flush, mapping->virt.value, mapping->bytes);
    enum vmem_status status = vmem_map(&rig->space, mapping, &flush);
    rig_finish(rig, &flush);
    return status;
}

enum vmem_status rig_unmap(struct rig *rig, vaddr_t virt, uint64_t bytes) {
    struct vmem_flush flush;
    rig_begin(rig, &flush, virt.value, bytes);
    enum vmem_status status = vmem_unmap(&rig->space, virt, bytes, &flush);
    rig_finish(rig, &flush);
    return status;
}

enum vmem_status rig_protect(struct rig *rig, vaddr_t virt, uint64_t bytes, unsigned rights) {
    struct vmem_flush flush;
    rig_begin(rig, &flush, virt.value, bytes);
    enum vmem_status status = vmem_protect(&rig->space, virt, bytes, rights, &flush);
    rig_finish(rig, &flush);
    return status;
}

enum vmem_status rig_set_cache(struct rig *rig, vaddr_t virt, uint64_t bytes,
                               enum vmem_cache cache) {
    struct vmem_flush flush;
    rig_begin(rig, &flush, virt.value, bytes);
    enum vmem_status status = vmem_set_cache(&rig->space, virt, bytes, cache, &flush);
    rig_finish(rig, &flush);
    return status;
}

enum vmem_status rig_split(struct rig *rig, vaddr_t virt, uint64_t bytes, enum vmem_page page) {
    struct vmem_flush flush;
    rig_begin(rig, &flush, virt.value, bytes);
    enum vmem_status status = vmem_split(&rig->space, virt, bytes, page, &flush);
    rig_finish(rig, &flush);
    return status;
}

enum vmem_status rig_merge(struct rig *rig, vaddr_t virt, uint64_t bytes, enum vmem_page largest) {
    struct vmem_flush flush;
    rig_begin(rig, &flush, virt.value, bytes);
    enum vmem_status status = vmem_merge(&rig->space, virt, bytes, largest, &flush);
    rig_finish(rig, &flush);
    return status;
}

enum vmem_status rig_harvest(struct rig *rig, vaddr_t virt, uint64_t bytes, unsigned clear,
                             vmem_visit_marks visit, void *argument) {
    struct vmem_flush flush;
    rig_begin(rig, &flush, virt.value, bytes);
    enum vmem_status status =
        vmem_harvest(&rig->space, virt, bytes, clear, visit, argument, &flush);
    rig_finish(rig, &flush);
    return status;
}

enum vmem_status rig_do_map(struct rig *rig, const void *mapping) {
    return rig_map(rig, mapping);
}

enum vmem_status rig_do_unmap(struct rig *rig, const void *range) {
    const struct rig_range *r = range;
    return rig_unmap(rig, vaddr(r->virt), r->bytes);
}

enum vmem_status rig_do_protect(struct rig *rig, const void *range) {
    const struct rig_range *r = range;
    return rig_protect(rig, vaddr(r->virt), r->bytes, r->rights);
}

enum vmem_status rig_do_set_cache(struct rig *rig, const void *range) {
    const struct rig_range *r = range;
    return rig_set_cache(rig, vaddr(r->virt), r->bytes, (enum vmem_cache)r->rights);
}

enum vmem_status rig_do_split(struct rig *rig, const void *range) {
    const struct rig_range *r = range;
    return rig_split(rig, vaddr(r->virt), r->bytes, (enum vmem_page)r->rights);
}

enum vmem_status rig_do_merge(struct rig *rig, const void *range) {
    const struct rig_range *r = range;
    return rig_merge(rig, vaddr(r->virt), r->bytes, (enum vmem_page)r->rights);
}

static void ignore_marks(void *argument, vaddr_t virt, uint64_t bytes, unsigned marks) {
    (void)argument, (void)virt, (void)bytes, (void)marks;
}

enum vmem_status rig_do_harvest(struct rig *rig, const void *range) {
    const struct rig_range *r = range;
    return rig_harvest(rig, vaddr(r->virt), r->bytes, r->rights, ignore_marks, NULL);
}
