// See table_pool.h.
#include "loader/table_pool.h"

#include "loader/firmware.h"

static paddr_t pool_alloc(void *context) {
    struct table_pool *pool = context;
    if (pool->used == pool->frames)
        return PADDR_NONE;
    return paddr(pool->start + pool->used++ * FRAME_BYTES);
}

// Only the newest frame can be freed. After a failed operation vmem frees its tables in reverse.
static void pool_free(void *context, paddr_t table) {
    struct table_pool *pool = context;
    if (pool->used != 0 && table.value == pool->start + (pool->used - 1) * FRAME_BYTES)
        pool->used--;
}

static uint64_t *pool_pointer(void *context, paddr_t table) {
    (void)context;
    return firmware_pointer(table.value);
}

// No `direct`: the fault report reaches a copy of the space by a table_pointer of its own.
const struct vmem_ops table_pool_ops = {
    .table_alloc = pool_alloc,
    .table_free = pool_free,
    .table_pointer = pool_pointer,
};
