// What random boots have found, each told once more in plain words.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <string.h>

TEST("a UART that takes nothing is given back as it was") {
    const uint8_t registers[8] = {0, 0x0f, 0, 0x07, 0x03, 0, 0, 0};
    setup_boot("kernel = \\none\n");
    fake.uart_is_stuck = true;
    memcpy(fake.com1_registers, registers, sizeof(registers));
    fake.com1_divisor[0] = 12;
    fake_boot();
    assert_int_equal(fake.status, EFI_NOT_FOUND);
    assert_memory_equal(fake.com1_registers, registers, 7); // without the scratch register
    assert_int_equal(fake.com1_divisor[0], 12);
}

// The first page of what was allocated first: the config, or without one the kernel.
static void take_first_page(uint32_t reading) {
    if (reading == 2)
        fake_set_memory(FAKE_ARENA_END - 18 * FRAME_BYTES, FRAME_BYTES, EfiReservedMemoryType);
}

TEST("firmware that lists as its own what it has given ends the boot") {
    setup_boot(NULL);
    fake.before_map = take_first_page;
    fake_boot();
    setup_expect_failure("memory map: the last one does not fit the page tables");
}
