// An image for which no free memory has room as a whole.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "loader/kernel_file.h"
#include "tests/firmware/setup.h"

#include <string.h>

// The arena's free memory: a lower part, where the firmware's own things are, and an upper one.
#define UPPER_START (FAKE_ARENA_START + MIB(8))
#define UPPER_BYTES (FAKE_ARENA_END - UPPER_START)

// Memory is free in these two parts only, and the image needs so much more than the upper one.
static void set_up(uint64_t more) {
    setup_boot(NULL);
    fake_set_memory(MIB(1), FAKE_ARENA_START - MIB(1), EfiReservedMemoryType);
    fake_set_memory(FAKE_HIGH_PHYS, FAKE_HIGH_BYTES, EfiReservedMemoryType);
    fake_set_memory(UPPER_START - FRAME_BYTES, FRAME_BYTES, EfiReservedMemoryType);
    fake.fresh = 0xa5;
    setup_file("\\kernel.elf")->bytes = 0x3000 + 0x1800; // nothing follows the data
    setup_kernel.phdrs[ELF_FILE_DATA].mem_bytes = UPPER_BYTES + more - 0x2000;
    elf_file_move(&setup_kernel, FRAME_BYTES); // to no multiple of 2 MiB
}

static void expect_image(const struct slipway_boot_info *info) {
    static uint8_t want[KIB(256) + 0x4000];
    uint64_t data = setup_kernel.phdrs[ELF_FILE_DATA].virt - setup_kernel.phdrs[ELF_FILE_TEXT].virt;
    const uint8_t *file = (const uint8_t *)&setup_kernel;
    memset(want, 0, sizeof(want));
    memcpy(want, file + 0x1000, 0x800);
    memcpy(want + 0x1000, file + 0x2000, 0x400);
    memcpy(want + data, file + 0x3000, 0x1800);
    for (uint64_t i = 0; i < info->kernel_bytes; i += FRAME_BYTES) {
        static const uint8_t zeros[FRAME_BYTES];
        const void *page = (const void *)(uintptr_t)setup_image_phys(info, info->kernel_virt + i);
        if (memcmp(page, i < sizeof(want) ? want + i : zeros, FRAME_BYTES) != 0)
            fail_msg("page 0x%lx of the image is wrong", i);
    }
}

TEST("an image that no free memory has room for as a whole stands in as few pieces as can be") {
    set_up(FRAME_BYTES);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->kernel_pieces.count, 2);
    const struct slipway_piece *piece = setup_record(&info->kernel_pieces, 0);
    assert_true(piece->phys < UPPER_START);
    // More than is missing above, since the memory map takes some while it is read.
    uint64_t first_bytes = piece->bytes;
    assert_true(first_bytes < KIB(256));
    // Now the first piece ends within the data of the file.
    set_up(FRAME_BYTES);
    struct elf64_phdr *data = &setup_kernel.phdrs[ELF_FILE_DATA];
    uint64_t by = first_bytes - 0x1000 - 0x2000;
    data->virt += by;
    data->mem_bytes -= by;
    fake_boot();
    info = setup_expect_kernel();
    assert_int_equal(info->kernel_pieces.count, 2);
    piece = setup_record(&info->kernel_pieces, 0);
    assert_int_equal(piece->bytes, first_bytes);
    piece = setup_record(&info->kernel_pieces, 1);
    assert_int_equal(piece->phys, UPPER_START);
    assert_true(data->virt < piece->virt && data->virt + data->file_bytes > piece->virt);
    expect_image(info);
    setup_expect_logged("kernel: in 2 pieces, for want of room for one");
    assert_int_equal(setup_find_range(info, SLIPWAY_RANGE_KERNEL, 0)->start_phys,
                     info->kernel_phys);
    assert_int_equal(setup_find_range(info, SLIPWAY_RANGE_KERNEL, 1)->bytes, piece->bytes);
}

// Boots a kernel without a note whose read-only data, 0x1400 bytes at file offset 0x2000, lie in
// two pieces, and whose data follow from 0x5000 on, with another protocol's request at `offset`.
static void boot_with_request(uint64_t first_bytes, uint64_t offset) {
    static const char config[] = "protocol = slipway\n";
    static const uint64_t request[2] = {0xc7b1dd30df4c8b88, 0x0a82e883a194f07b};
    set_up(FRAME_BYTES);
    fake_add_file("\\slipway.conf", config, sizeof(config) - 1);
    setup_file("\\kernel.elf")->bytes = sizeof(setup_kernel);
    struct elf64_phdr *rodata = &setup_kernel.phdrs[ELF_FILE_RODATA];
    struct elf64_phdr *data = &setup_kernel.phdrs[ELF_FILE_DATA];
    uint64_t by = first_bytes - 0x1000 - 0x1000;
    rodata->virt += by;
    rodata->file_bytes = rodata->mem_bytes = 0x1400;
    data->virt += by + 0x1000;
    data->mem_bytes -= by + 0x1000;
    data->offset = 0x5000;
    memcpy((uint8_t *)&setup_kernel + offset, request, sizeof(request));
    fake_boot();
}

TEST("another protocol's request is found in the second piece of a segment, and in the next") {
    set_up(FRAME_BYTES);
    fake_boot();
    const struct slipway_piece *piece = setup_record(&setup_expect_kernel()->kernel_pieces, 0);
    uint64_t first_bytes = piece->bytes;
    boot_with_request(first_bytes, 0x3200);
    setup_expect_failure(
        "\\kernel.elf: no SLIPWAY_KERNEL_NOTE; made for the Limine protocol (its magic is at offset 0x3200): protocol = limine boots such kernels");
    boot_with_request(first_bytes, 0x5000);
    setup_expect_failure(
        "\\kernel.elf: no SLIPWAY_KERNEL_NOTE; made for the Limine protocol (its magic is at offset 0x5000): protocol = limine boots such kernels");
}

TEST("an image is in one piece where there is room, and the list says so") {
    setup_boot(NULL);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->kernel_pieces.count, 1);
    const struct slipway_piece *piece = setup_record(&info->kernel_pieces, 0);
    assert_int_equal(piece->virt, info->kernel_virt);
    assert_int_equal(piece->phys, info->kernel_phys);
    assert_int_equal(piece->bytes, info->kernel_bytes);
}

TEST("an image linked at 2 MiB is cut at multiples of 2 MiB, in its memory too") {
    set_up(0);
    elf_file_move(&setup_kernel, UINT64_C(0) - FRAME_BYTES);
    fake_set_memory(UPPER_START + MIB(6) + FRAME_BYTES, FRAME_BYTES, EfiReservedMemoryType);
    setup_kernel.phdrs[ELF_FILE_DATA].mem_bytes = MIB(18) - 0x2000;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->kernel_pieces.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct slipway_piece *piece = setup_record(&info->kernel_pieces, i);
        assert_true(is_aligned(piece->virt | piece->phys | piece->bytes, MIB(2)));
    }
    expect_image(info);
}

TEST("an image that all free memory together has no room for is refused with both sizes") {
    set_up(MIB(9));
    fake_boot();
    static const char want[] =
        "\\kernel.elf: no room for the image of 34603008 bytes (out of memory); the 64 largest free "
        "runs have ";
    const char *line;
    setup_expect_return(&line);
    assert_memory_equal(line, want, strlen(want));
}
