// The startup page: its code is a copy, its orders are what the CPU needs at that place, and the
// rest of it is empty. Selectors and bits are the manual's (SDM 3A 2.5, 3.4.2; volume 4).
#include "loader/startup.h"

#include "common/base/addr.h"
#include "common/boot/slipway_boot.h"
#include "tests/unit/support/test.h"

#include <string.h>

// From startup.S.
extern const char startup_begin[], startup_end[], startup_boot[], startup_protected[],
    startup_long[], startup_gdt[], startup_orders[];

static _Alignas(FRAME_BYTES) uint8_t memory[FRAME_BYTES];

static uint64_t offset_of(const char *symbol) {
    return (uint64_t)(symbol - startup_begin);
}

TEST("startup: the page is the code, with its orders for that place, and nothing behind them") {
    const uint64_t place = (uintptr_t)memory;
    const struct startup startup = {
        .page = place,
        .root = 0x89abc000,
        .cr4 = 0x1020,
        .others = {0xffffc00000012345, 0xffffc00000023456},
        .boot = {0xffffc00000034567, 0xffffc00000045678},
    };
    const struct startup_orders want = {
        .gdt_limit = 4 * 8 - 1,
        .gdt_base = place + offset_of(startup_gdt),
        .to_protected = {(uint32_t)place + (uint32_t)offset_of(startup_protected), 0x18},
        .to_long = {(uint32_t)place + (uint32_t)offset_of(startup_long), 0x08},
        .root = 0x89abc000,
        .cr0 = 0x80010033,
        .cr4 = 0x1020,
        .efer = 0x900,
        .pat = SLIPWAY_PAT,
        .others = {0xffffc00000012345, 0xffffc00000023456},
        .boot = {0xffffc00000034567, 0xffffc00000045678},
    };
    uint8_t page[FRAME_BYTES] = {0};
    memcpy(page, startup_begin, offset_of(startup_orders));
    memcpy(page + offset_of(startup_orders), &want, sizeof(want));
    memset(memory, 0xee, sizeof(memory));
    startup_write(&startup);
    assert_memory_equal(memory, page, sizeof(page));
    assert_int_equal(offset_of(startup_end), offset_of(startup_orders) + sizeof(want));
}

TEST(
    "startup: the boot CPU enters the page where its own way begins, and others at its beginning") {
    assert_int_equal(startup_boot_entry(0x9a000), 0x9a000 + offset_of(startup_boot));
    const uint8_t cli = 0xfa; // in real mode, too
    assert_int_equal((uint8_t)startup_begin[0], cli);
}

TEST("startup: the GDT has the selectors of the kernel's, and 32-bit code") {
    static const uint64_t want[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff};
    assert_memory_equal(startup_gdt, want, sizeof(want));
    assert_int_equal(SLIPWAY_CS, 1 * 8);
    assert_int_equal(SLIPWAY_DS, 2 * 8);
}
