// Address spaces as such: making, adopting, cloning and ending them, and the words for what can go
// wrong.
#include "common/vmem/drop.h"

static void derive(struct vmem *space) {
    struct vmem_direct direct = {.bytes = 0};
    if (space->ops->direct != NULL)
        direct = space->ops->direct(space->context);
    ASSERT(is_aligned(direct.start.value | direct.bytes, FRAME_BYTES));
    space->rules = entry_rules(space->cpu);
    space->direct_first = entry_number(entry_fast(direct.start));
    space->direct_frames = direct.bytes >> FRAME_SHIFT;
    space->direct_origin = (uintptr_t)direct.pointer - direct.start.value;
    uint64_t root = entry_fast(space->root);
    space->direct_root = vmem_is_direct(space, root) ? vmem_direct_table(space, root) : NULL;
}

enum vmem_status vmem_new(struct vmem *space, const struct vmem_ops *ops, void *context,
                          struct vmem_cpu cpu, unsigned levels) {
    enum vmem_status status = vmem_check_cpu(cpu, levels);
    if (status != VMEM_OK)
        return status;
    paddr_t root = ops->table_alloc(context);
    if (paddr_is_none(root))
        return VMEM_ERR_NO_MEMORY;
    *space = (struct vmem){
        .ops = ops,
        .context = context,
        .root = root,
        .cpu = cpu,
        .levels = (uint8_t)levels,
        .owns_root = true,
    };
    derive(space);
    entry_clear_unseen(vmem_table(space, root), ENTRY_COUNT);
    return VMEM_OK;
}

enum vmem_status vmem_adopt(struct vmem *space, const struct vmem_ops *ops, void *context,
                            struct vmem_cpu cpu, unsigned levels, uint64_t root) {
    enum vmem_status status = vmem_check_cpu(cpu, levels);
    if (status != VMEM_OK)
        return status;
    uint64_t width_mask = (UINT64_C(1) << cpu.paddr_bits) - 1;
    paddr_t table = paddr(align_down(root & width_mask, FRAME_BYTES));
    struct vmem adopted = {
        .ops = ops,
        .context = context,
        .root = table,
        .cpu = cpu,
        .levels = (uint8_t)levels,
    };
    derive(&adopted);
    if (vmem_table(&adopted, table) == NULL)
        return VMEM_ERR_ROOT;
    *space = adopted;
    return VMEM_OK;
}

static void own_below(struct vmem *space, paddr_t address, unsigned level,
                      bool (*may_free)(void *argument, paddr_t table), void *argument) {
    uint64_t *table = vmem_table(space, address);
    ASSERT(table != NULL && level >= 1);
    for (unsigned i = 0; level > 1 && i < ENTRY_COUNT; i++) {
        uint64_t entry = entry_load(&table[i]);
        if (entry_kind(&space->rules, level, entry) != ENTRY_IS_TABLE)
            continue;
        paddr_t below = entry_table_address(entry);
        if (may_free(argument, below))
            entry_set_live(&table[i], ENTRY_OWNED);
        else
            (void)entry_clear_live(&table[i], ENTRY_OWNED);
        own_below(space, below, level - 1, may_free, argument);
    }
}

void vmem_own_tables(struct vmem *space, bool (*may_free)(void *argument, paddr_t table),
                     void *argument) {
    space->owns_root = may_free(argument, space->root);
    own_below(space, space->root, space->levels, may_free, argument);
}

enum vmem_status vmem_clone(struct vmem *source, struct vmem *ret_clone) {
    const uint64_t *from = vmem_table(source, source->root);
    if (from == NULL)
        return VMEM_ERR_CORRUPT;
    paddr_t root = source->ops->table_alloc(source->context);
    if (paddr_is_none(root))
        return VMEM_ERR_NO_MEMORY;
    uint64_t *to = vmem_table(source, root);
    entry_clear_unseen(to, ENTRY_COUNT / 2);
    for (unsigned i = ENTRY_COUNT / 2; i < ENTRY_COUNT; i++)
        entry_store(&to[i], entry_load(&from[i]));
    struct vmem *next = source->next != NULL ? source->next : source;
    *ret_clone = *source;
    ret_clone->root = root;
    derive(ret_clone);
    ret_clone->owns_root = true;
    ret_clone->next = next;
    source->next = ret_clone;
    return VMEM_OK;
}

static void leave_ring(struct vmem *space) {
    struct vmem *before = space->next;
    if (before == NULL)
        return;
    while (before->next != space)
        before = before->next;
    before->next = space->next == before ? NULL : space->next;
}

// Detaches and drops the space's own tables below the pages of a table that stays.
static void drop_own_tables(struct vmem_change *change, uint64_t *table, unsigned level,
                            struct vmem_pages pages) {
    ASSERT(table != NULL && level_is_one_table(pages.first, pages.end, level));
    uint64_t next;
    for (uint64_t at = pages.first; level > 1 && at < pages.end; at = next) {
        uint64_t *cell = &table[level_index(at, level)];
        uint64_t entry = entry_load(cell);
        next = level_entry_end(at, pages.end, level);
        if (entry_kind(&change->space->rules, level, entry) != ENTRY_IS_TABLE)
            continue;
        if (entry_is_owned(entry)) {
            entry_store(cell, 0);
            vmem_drop_table(change, entry, level - 1, at);
        } else {
            uint64_t *below = vmem_table(change->space, entry_table_address(entry));
            drop_own_tables(change, below, level - 1, (struct vmem_pages){at, next});
        }
    }
}

enum vmem_status vmem_destroy(struct vmem *space, struct vmem_flush *flush) {
    struct vmem_pages lower = vmem_pages_lower(space->levels);
    struct vmem_pages upper = vmem_pages_upper(space->levels);
    bool is_alone = space->next == NULL;
    struct vmem_change change;
    vmem_change_begin(&change, space, flush);
    uint64_t *root = vmem_table(space, space->root);
    enum vmem_status status =
        root != NULL ? vmem_visit(&change, &vmem_drop_visitor, root, space->levels, lower)
                     : VMEM_ERR_CORRUPT;
    if (status == VMEM_OK && is_alone)
        status = vmem_visit(&change, &vmem_drop_visitor, root, space->levels, upper);
    if (status != VMEM_OK)
        return status;
    drop_own_tables(&change, root, space->levels, lower);
    if (is_alone)
        drop_own_tables(&change, root, space->levels, upper);
    vmem_change_end(&change);
    vmem_flush_finish(space, flush);
    leave_ring(space);
    if (space->owns_root)
        space->ops->table_free(space->context, space->root);
    *space = (struct vmem){0};
    return VMEM_OK;
}

const char *vmem_status_text(enum vmem_status status) {
    switch (status) {
    case VMEM_OK:
        return "ok";
    case VMEM_ERR_UNALIGNED:
        return "address or length is not a multiple of 4 KiB";
    case VMEM_ERR_EMPTY:
        return "length is 0";
    case VMEM_ERR_WRAPS:
        return "range runs past the top of the address space";
    case VMEM_ERR_NONCANONICAL:
        return "range touches the canonical hole";
    case VMEM_ERR_PADDR_WIDTH:
        return "physical address is beyond the CPU's width";
    case VMEM_ERR_RIGHTS:
        return "rights that the tables cannot express";
    case VMEM_ERR_NO_NX:
        return "the CPU cannot forbid execution";
    case VMEM_ERR_CACHE:
        return "no such cache type";
    case VMEM_ERR_PAGE_SIZE:
        return "no such page size on this CPU";
    case VMEM_ERR_MAPPED:
        return "something is mapped there already";
    case VMEM_ERR_NOT_MAPPED:
        return "nothing is mapped there";
    case VMEM_ERR_NO_MEMORY:
        return "no memory for a page table";
    case VMEM_ERR_LEVELS:
        return "neither 4 nor 5 paging levels";
    case VMEM_ERR_ROOT:
        return "not the address of a root table";
    case VMEM_ERR_CORRUPT:
        return "the page tables are corrupt";
    case VMEM_ERR_STOPPED:
        return "stopped by the visitor";
    }
    return "unknown status";
}
