// The frames that the loader's page tables are made of.
#include "loader/table_pool.h"

#include "common/base/addr.h"
#include "tests/unit/support/test.h"

#define START UINT64_C(0x10000)

static struct table_pool make(void) {
    return (struct table_pool){.start = START, .frames = 3};
}

static uint64_t take(struct table_pool *pool) {
    return table_pool_ops.table_alloc(pool).value;
}

static void give(struct table_pool *pool, uint64_t table) {
    table_pool_ops.table_free(pool, paddr(table));
}

TEST("table pool: frames are taken in order until there are none") {
    struct table_pool pool = make();
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(take(&pool), START + i * FRAME_BYTES);
    assert_int_equal(take(&pool), PADDR_NONE.value);
    assert_int_equal(pool.used, 3);
}

TEST("table pool: the newest frame goes back and is taken again, down to the first") {
    struct table_pool pool = make();
    take(&pool), take(&pool);
    give(&pool, START + FRAME_BYTES);
    assert_int_equal(pool.used, 1);
    give(&pool, START);
    assert_int_equal(pool.used, 0);
    assert_int_equal(take(&pool), START);
}

TEST("table pool: a frame that is not the newest stays, and so does one of an empty pool") {
    struct table_pool pool = make();
    give(&pool, START - FRAME_BYTES);
    assert_int_equal(pool.used, 0);
    take(&pool), take(&pool);
    give(&pool, START);
    give(&pool, START + 2 * FRAME_BYTES);
    assert_int_equal(pool.used, 2);
}
