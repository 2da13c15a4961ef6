// The record of what a change leaves to be done.
#include "common/vmem/change.h"

const struct vmem_flush_ops vmem_unloaded = {.execute = NULL, .release = NULL};

void vmem_flush_add_leaves(struct vmem_flush *flush, uint64_t page, uint64_t count, unsigned level,
                           bool global) {
    ASSERT(level >= 1 && level <= VMEM_PAGE_SIZES && count != 0);
    ASSERT(is_aligned(page, level_pages(level)));
    ASSERT(flush->pages <= VMEM_FLUSH_PAGES_MAX);
    flush->global |= global;
    if (flush->full || count > VMEM_FLUSH_PAGES_MAX - (uint64_t)flush->pages) {
        flush->full = true;
        return;
    }
    flush->pages = (uint8_t)(flush->pages + count);
    vaddr_t virt = page_address(page);
    uint64_t bytes = count << (level_shift(level) + FRAME_SHIFT);
    if (flush->range_count != 0) {
        struct vmem_flush_range *last = &flush->range[flush->range_count - 1];
        if (last->page + 1 == level && last->virt.value + last->bytes == virt.value) {
            last->bytes += bytes;
            return;
        }
    }
    if (flush->range_count == VMEM_FLUSH_RANGES)
        flush->full = true;
    else
        flush->range[flush->range_count++] =
            (struct vmem_flush_range){virt, bytes, (enum vmem_page)(level - 1)};
}

// Bit 0 of a table's address is clear: a CPU that still walks the table finds entry 0 absent.
void vmem_flush_add_table(const struct vmem *space, struct vmem_flush *flush, paddr_t table) {
    ASSERT(is_aligned(table.value, FRAME_BYTES));
    entry_store(vmem_table(space, table), flush->table_count == 0 ? 0 : flush->tables.value);
    flush->tables = table;
    flush->table_count++;
    flush->structures = true;
}

void vmem_flush_add_run(const struct vmem *space, struct vmem_flush *flush,
                        const struct vmem_run *run) {
    ASSERT(run->bytes != 0 && flush->run_count <= VMEM_FLUSH_RUNS);
    if (flush->ops->release == NULL)
        return;
    if (flush->run_count == VMEM_FLUSH_RUNS)
        vmem_flush_finish(space, flush);
    flush->run[flush->run_count++] = *run;
}

void vmem_flush_finish(const struct vmem *space, struct vmem_flush *flush) {
    ASSERT(flush->range_count <= VMEM_FLUSH_RANGES && flush->run_count <= VMEM_FLUSH_RUNS);
    const struct vmem_flush_ops *ops = flush->ops;
    bool is_due = flush->full || flush->structures || flush->range_count != 0;
    if (is_due && ops->execute != NULL)
        ops->execute(flush->context, flush);
    for (; flush->table_count != 0; flush->table_count--) {
        paddr_t table = flush->tables;
        flush->tables = paddr(entry_load(vmem_table(space, table)));
        space->ops->table_free(space->context, table);
    }
    for (unsigned i = 0; i < flush->run_count; i++)
        ops->release(flush->context, &flush->run[i]);
    vmem_flush_begin(flush, ops, flush->context);
}
