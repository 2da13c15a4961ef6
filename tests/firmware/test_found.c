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

TEST("firmware that lists as its own what it has given ends the boot") {
    const struct {
        uint64_t page;
        uint64_t start, end; // the loader's range with that page
    } taken[] = {
        // The kernel, which was allocated first.
        {FAKE_ARENA_END - 18 * FRAME_BYTES, FAKE_ARENA_END - 22 * FRAME_BYTES,
         FAKE_ARENA_END - 17 * FRAME_BYTES},
        // The loader's image begins and ends.
        {FAKE_IMAGE_PHYS, FAKE_IMAGE_PHYS, FAKE_IMAGE_PHYS + 6 * FRAME_BYTES},
        {FAKE_IMAGE_PHYS + 5 * FRAME_BYTES, FAKE_IMAGE_PHYS, FAKE_IMAGE_PHYS + 6 * FRAME_BYTES},
    };
    for (unsigned i = 0; i < ARRAY_LEN(taken); i++) {
        char want[160];
        setup_boot(NULL);
        taken_page = taken[i].page;
        fake.before_map = take_page;
        fake_boot();
        snprintf(
            want, sizeof(want),
            "memory map: the last one does not fit the page tables: [0x%lx, 0x%lx), which the loader uses, is not all RAM",
            taken[i].start, taken[i].end);
        setup_expect_failure(want);
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
