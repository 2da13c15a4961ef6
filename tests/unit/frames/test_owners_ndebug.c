// The tests of owners once more in a program that is compiled with NDEBUG as a whole (frames.mk): a
// call inside of an assertion would be missing there.
#include "tests/unit/support/test.h"

#include <assert.h>
#include <stdbool.h>

TEST("owners: this program has no assertions") {
    bool was_called = false;
    assert((was_called = true));
    assert_false(was_called);
}
