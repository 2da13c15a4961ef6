// Assertions of a release.
#undef SLIPWAY_DEBUG
#include "common/base/assert.h"

#include "tests/unit/support/test.h"

#include <stdbool.h>

static unsigned evaluated;

static bool count(void) {
    evaluated++;
    return false;
}

TEST("assert: in a release the condition is compiled and never evaluated") {
    ASSERT(count());
    assert_int_equal(evaluated, 0);
    assert_false(count());
}
