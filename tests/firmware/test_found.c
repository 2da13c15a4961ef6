// What random boots have found, each told once more in plain words.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
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

static uint64_t taken_page;

static void take_page(uint32_t reading) {
    if (reading == 2)
        fake_set_memory(taken_page, FRAME_BYTES, EfiReservedMemoryType);
}

static void expect_taken(uint64_t page, uint64_t start, uint64_t end) {
    char want[160];
    setup_boot(NULL);
    taken_page = page;
    fake.before_map = take_page;
    fake_boot();
    snprintf(
        want, sizeof(want),
        "memory map: the last one does not fit the page tables: [0x%lx, 0x%lx), which the loader uses, is not all RAM",
        start, end);
    setup_expect_failure(want);
}

TEST("firmware that lists as its own what it has given ends the boot") {
    struct slipway_range ranges[16];
    setup_boot(NULL);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    uint32_t count = info->ranges.count;
    assert_true(count <= ARRAY_LEN(ranges));
    memcpy(ranges, setup_record(&info->ranges, 0), count * sizeof(*ranges));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t start = ranges[i].start_phys;
        uint64_t end = start + ranges[i].bytes;
        for (uint64_t page = start; page < end; page += FRAME_BYTES)
            expect_taken(page, start, end);
    }
}

TEST("memory of the firmware that ends where the loader's image begins is not the loader's") {
    setup_boot(NULL);
    fake_set_memory(FAKE_IMAGE_PHYS - FRAME_BYTES, FRAME_BYTES, EfiReservedMemoryType);
    fake_boot();
    setup_expect_kernel();
}

TEST("the loader's image may be the lowest memory of all") {
    setup_boot(NULL);
    fake.map_start = FAKE_IMAGE_PHYS;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const struct slipway_memory *lowest = setup_record(&info->memory, 0);
    assert_int_equal(lowest->start_phys, FAKE_IMAGE_PHYS);
    assert_int_equal(lowest->kind, SLIPWAY_MEM_LOADER);
}
