// The loop that clears framebuffers, byte for byte.
#include "loader/clear.h"
#include "tests/unit/support/test.h"

#include <stdint.h>
#include <string.h>

enum { BYTES = 5 * 1024, MARGIN = 64 };

static uint8_t memory[MARGIN + BYTES + MARGIN] __attribute__((aligned(64)));

static void expect_cleared(uint64_t offset, uint64_t bytes) {
    static uint8_t want[sizeof(memory)];
    memset(memory, 0xa5, sizeof(memory));
    memset(want, 0xa5, sizeof(want));
    memset(want + MARGIN + offset, 0, bytes);
    clear_memory(memory + MARGIN + offset, bytes);
    assert_memory_equal(memory, want, sizeof(memory));
}

TEST("clear: exactly the bytes given are cleared, wherever they begin and end") {
    for (uint64_t offset = 0; offset < 32; offset++) {
        for (uint64_t bytes = 0; bytes < 80; bytes++)
            expect_cleared(offset, bytes);
        for (uint64_t chunks = 1; chunks <= 4; chunks++) {
            for (uint64_t more = 0; more < 40; more++)
                expect_cleared(offset, chunks * 1024 - 20 + more);
        }
    }
}
