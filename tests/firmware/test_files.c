// Reading from the volume: firmware that gives less than was asked for, and files that are wrong.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <string.h>

#define INITRD "\\boot\\initrd.img"

static uint8_t large_file[MIB(2) + 5000];

static void expect_module(const struct slipway_boot_info *info) {
    const struct slipway_module *module = setup_record(&info->modules, 0);
    uint64_t phys = module->address - info->hhdm_base;
    assert_int_equal(module->bytes, SETUP_MODULE_BYTES);
    assert_memory_equal((const void *)(uintptr_t)phys, setup_module, SETUP_MODULE_BYTES);
}

TEST("firmware that fails on reads above 64 KiB, or above 4 KiB, is read in smaller chunks") {
    for (uint64_t limit = KIB(4); limit <= KIB(64); limit *= 16) {
        setup_boot(SETUP_CONFIG);
        setup_file(INITRD)->fails_above = limit;
        setup_file("\\kernel.elf")->fails_above = limit;
        fake_boot();
        expect_module(setup_expect_kernel());
    }
}

TEST("firmware that fails on reads above 4095 bytes is given up with a message") {
    setup_boot(SETUP_CONFIG);
    setup_file(INITRD)->fails_above = 4095;
    fake_boot();
    setup_expect_failure(
        "\\boot\\initrd.img: read of 150000 bytes at offset 0 failed (device error)");
}

TEST("a large module is wanted at the end of free memory above 4 GiB, and taken elsewhere if not") {
    setup_boot("module = \\large\n");
    fake_add_file("\\large", large_file, sizeof(large_file));
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(fake.asked_address, FAKE_HIGH_PHYS + FAKE_HIGH_BYTES - MIB(4));
    assert_int_equal(fake.asked_pages, 512 + 2);
    const struct slipway_module *module = setup_record(&info->modules, 0);
    assert_int_equal((module->address - info->hhdm_base) % MIB(2), 0);

    setup_boot("module = \\small\n");
    fake_add_file("\\small", large_file, MIB(2) - 1);
    fake_boot();
    setup_expect_kernel();
    assert_int_equal(fake.asked_pages, 0);
}

TEST("firmware that gives less than it was asked for is asked again") {
    setup_boot(SETUP_CONFIG);
    setup_file(INITRD)->gives_at_most = 1000;
    setup_file("\\kernel.elf")->gives_at_most = 77;
    setup_file("\\slipway.conf")->gives_at_most = 1;
    fake_boot();
    expect_module(setup_expect_kernel());
}

TEST("a file that ends before its size is refused: file, offset, bytes wanted and got") {
    setup_boot(SETUP_CONFIG);
    setup_file(INITRD)->ends_early = 100000;
    fake_boot();
    setup_expect_failure(
        "\\boot\\initrd.img: short read at offset 0: wanted 150000 bytes, got 100000");
    setup_boot(SETUP_CONFIG);
    setup_file("\\kernel.elf")->ends_early = 0x3100;
    fake_boot();
    setup_expect_failure("\\kernel.elf: short read at offset 4096: wanted 14336 bytes, got 8448");
}

TEST("a bad sector in a module is named by its offset") {
    setup_boot(SETUP_CONFIG);
    setup_file(INITRD)->bad_offset = 123456;
    fake_boot();
    setup_expect_failure(
        "\\boot\\initrd.img: read of 27120 bytes at offset 122880 failed (device error)");
}

TEST("a module's pages are its bytes and zeros, in its range") {
    setup_boot(SETUP_CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    expect_module(info);
    const struct slipway_module *module = setup_record(&info->modules, 0);
    const struct slipway_range *range = setup_find_range(info, SLIPWAY_RANGE_MODULE, 0);
    assert_int_equal(range->start_phys, module->address - info->hhdm_base);
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)range->start_phys;
    for (uint64_t i = SETUP_MODULE_BYTES; i < range->bytes; i++)
        assert_int_equal(bytes[i], 0);
    const struct slipway_module *empty = setup_record(&info->modules, 1);
    assert_int_equal(empty->bytes, 0);
    assert_int_equal(empty->address, 0);
}

TEST("a module of more than 2 MiB stands at a multiple of 2 MiB, and no page is lost for it") {
    setup_boot("module = \\large\n");
    memset(large_file, 0x3c, sizeof(large_file));
    fake_add_file("\\large", large_file, sizeof(large_file));
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const struct slipway_module *module = setup_record(&info->modules, 0);
    assert_true(is_aligned(module->address, MIB(2)));
    uint64_t listed = 0;
    for (uint32_t i = 0; i < info->ranges.count; i++)
        listed += ((const struct slipway_range *)setup_record(&info->ranges, i))->bytes;
    uint64_t image_bytes = align_up(FAKE_IMAGE_BYTES, FRAME_BYTES);
    assert_int_equal(listed, fake_allocated_pages() * FRAME_BYTES + image_bytes);
}

TEST("a module of 2 MiB stands at a multiple of 2 MiB, and a smaller one where there is room") {
    for (int is_smaller = 0; is_smaller < 2; is_smaller++) {
        setup_boot("module = \\large\n");
        fake_add_file("\\large", large_file, MIB(2) - (is_smaller ? FRAME_BYTES : 0));
        fake_boot();
        const struct slipway_module *module = setup_record(&setup_expect_kernel()->modules, 0);
        assert_int_equal(is_aligned(module->address, MIB(2)), !is_smaller);
    }
}

TEST("a kernel of more than 2 MiB stands at a multiple of 2 MiB, zeroed beyond its file") {
    setup_boot(NULL);
    setup_kernel.phdrs[ELF_FILE_DATA].mem_bytes = MIB(2);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_true(is_aligned(info->kernel_phys, MIB(2)));
    const uint8_t *image = (const uint8_t *)(uintptr_t)info->kernel_phys;
    assert_memory_equal(image, (const uint8_t *)&setup_kernel + 0x1000, 0x800);
    assert_memory_equal(image + 0x2000, (const uint8_t *)&setup_kernel + 0x3000, 0x1800);
    for (uint64_t i = 0x2000 + 0x1800; i < info->kernel_bytes; i++)
        assert_int_equal(image[i], 0);
}

static uint64_t read_bytes[8];
static uint32_t read_count;

static void record_read(uint64_t bytes) {
    read_bytes[read_count++ % ARRAY_LEN(read_bytes)] = bytes;
}

// Boots with the data at this offset of the file, and looks at every byte of the image.
static void expect_image(uint64_t data_offset) {
    setup_boot(NULL);
    setup_kernel.phdrs[ELF_FILE_DATA].offset = data_offset;
    fake.fresh = 0xa5;
    fake.in_read = record_read;
    read_count = 0;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const uint8_t *image = (const uint8_t *)(uintptr_t)info->kernel_phys;
    const uint8_t *bytes = (const uint8_t *)&setup_kernel;
    static uint8_t want[0x5000];
    memset(want, 0, sizeof(want));
    memcpy(want, bytes + 0x1000, 0x800);
    memcpy(want + 0x1000, bytes + 0x2000, 0x400);
    memcpy(want + 0x2000, bytes + data_offset, 0x1800);
    assert_int_equal(info->kernel_bytes, sizeof(want));
    assert_memory_equal(image, want, sizeof(want));
}

TEST("segments that lie in the file as in memory are read as one, and their gaps are zero") {
    expect_image(0x3000);
    assert_int_equal(read_count, 2); // the head, and
    assert_int_equal(read_bytes[1], 0x3800);
    expect_image(0x4000);
    assert_int_equal(read_count, 3);
    assert_int_equal(read_bytes[1], 0x1400);
    assert_int_equal(read_bytes[2], 0x1800);
}

TEST("a segment without bytes in the file is read with none, be its offset before or behind it") {
    for (uint32_t i = ELF_FILE_RODATA; i <= ELF_FILE_DATA; i++) {
        setup_boot(NULL);
        struct elf64_phdr *rodata = &setup_kernel.phdrs[ELF_FILE_RODATA];
        struct elf64_phdr *data = &setup_kernel.phdrs[ELF_FILE_DATA];
        rodata->offset = i == ELF_FILE_RODATA ? UINT64_C(0) - 0x1000 : 0x7000;
        data->offset = rodata->offset + 0x2000; // as far from there as in memory
        data->virt = rodata->virt + 0x2000;
        setup_kernel.phdrs[i].file_bytes = 0;
        fake.fresh = 0xa5;
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        const uint8_t *bytes = (const uint8_t *)&setup_kernel;
        static uint8_t want[0x6000];
        memset(want, 0, sizeof(want));
        memcpy(want, bytes + 0x1000, 0x800);
        memcpy(want + 0x1000, bytes + 0x7000, rodata->file_bytes);
        memcpy(want + 0x3000, bytes + 0x1000, data->file_bytes);
        assert_int_equal(info->kernel_bytes, sizeof(want));
        assert_memory_equal((const void *)(uintptr_t)info->kernel_phys, want, sizeof(want));
    }
}

// The note of setup_wishes, moved to this offset of the file; the reads that its kernel takes.
static uint32_t count_reads_with_note(uint64_t offset) {
    setup_boot(NULL);
    setup_wishes(
        (struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION, .stack_bytes = KIB(128)});
    struct elf64_phdr *note = &setup_kernel.phdrs[setup_kernel.header.phdr_count - 1];
    memmove((char *)&setup_kernel + offset, (char *)&setup_kernel + note->offset, note->file_bytes);
    note->offset = offset;
    fake.in_read = record_read;
    read_count = 0;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->stack_top - info->stack_bottom, KIB(128));
    return read_count;
}

TEST("a note in a segment is not read once more, one that begins or ends elsewhere is") {
    assert_int_equal(count_reads_with_note(0x2000), 2);
    assert_int_equal(count_reads_with_note(0x2400 - sizeof(struct slipway_note)), 2);
    assert_int_equal(count_reads_with_note(0x2404 - sizeof(struct slipway_note)), 3);
    assert_int_equal(count_reads_with_note(0x1ffc), 3);
    assert_int_equal(count_reads_with_note(0x7000), 3);
}

// A gap of this size before the data, in memory and in a file that is long enough.
static uint32_t count_reads(uint64_t gap) {
    static uint8_t file[0x40000];
    setup_boot(NULL);
    setup_kernel.phdrs[ELF_FILE_DATA].offset = 0x2400 + gap;
    setup_kernel.phdrs[ELF_FILE_DATA].virt = ELF_FILE_BASE + 0x1400 + gap;
    memcpy(file, &setup_kernel, sizeof(setup_kernel));
    setup_file("\\kernel.elf")->contents = file;
    setup_file("\\kernel.elf")->bytes = sizeof(file);
    fake.in_read = record_read;
    read_count = 0;
    fake_boot();
    setup_expect_kernel();
    return read_count;
}

TEST("a gap of 64 KiB between segments is read over, a longer one is not") {
    assert_int_equal(count_reads(KIB(64)), 2);
    assert_int_equal(count_reads(KIB(64) + 16), 3);
}

TEST("without a config the defaults hold") {
    setup_boot(NULL);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->cmdline, "");
    assert_int_equal(info->modules.count, 0);
    assert_int_equal(info->modules.address, 0);
    const struct slipway_stage *config = setup_record(&info->stages, 1);
    assert_string_equal(config->name, "config");
    assert_int_equal(config->bytes, 0);
}

TEST("an empty config is a config") {
    setup_boot("");
    fake_boot();
    setup_expect_kernel();
}

TEST("a config that is too large, wrong or a directory is refused") {
    setup_boot("");
    setup_file("\\slipway.conf")->bytes = GIB(2);
    fake_boot();
    setup_expect_failure("/slipway.conf: 2147483648 bytes, more than 2147483647");
    assert_int_equal(fake.allocations, 0); // unread

    setup_boot("");
    setup_file("\\slipway.conf")->bytes = GIB(1);
    fake_boot(); // with 88 bytes of a module for each 9 of the file
    setup_expect_failure("/slipway.conf: no room for 17299173864 bytes (out of memory)");

    setup_boot("# a comment\nkernl = \\kernel.elf\n");
    fake_boot();
    setup_expect_failure("/slipway.conf: line 2, column 1: unknown key 'kernl'; keys here are "
                         "kernel, cmdline, log, module, digest, sha256, paging, resolution, clear, "
                         "protocol, strict, kaslr, default, timeout, bls");

    setup_boot("");
    setup_file("\\slipway.conf")->is_directory = true;
    fake_boot();
    setup_expect_failure("/slipway.conf: is a directory");
}

TEST("a kernel that is missing, empty, cut off, a directory or none is refused") {
    setup_boot("kernel = \\os\\kernel");
    fake_boot();
    setup_expect_failure("\\os\\kernel: not found (key 'kernel', /slipway.conf line 1)");
    assert_int_equal(fake.status, EFI_NOT_FOUND);

    setup_boot(NULL);
    setup_file("\\kernel.elf")->bytes = 0;
    fake_boot();
    setup_expect_failure("\\kernel.elf: 0 bytes are too few for an ELF header");

    setup_boot(NULL);
    setup_file("\\kernel.elf")->is_directory = true;
    fake_boot();
    setup_expect_failure("\\kernel.elf: is a directory" DEFAULT_KERNEL);

    setup_boot(NULL);
    setup_kernel.header.machine = 183;
    fake_boot();
    setup_expect_failure("\\kernel.elf: not for x86-64 (machine 183)");
}

TEST("a kernel that has no room in memory is refused") {
    setup_boot(NULL);
    setup_kernel.phdrs[ELF_FILE_DATA].mem_bytes = MIB(64);
    fake_boot();
    setup_expect_failure("\\kernel.elf: no room for the image of 67117056 bytes (out of memory); "
                         "the 64 largest free runs have 2436890624");
}

TEST("a module that is missing, a directory or has no room is refused") {
    setup_boot("module = \\no\\such.img text\n");
    fake_boot();
    setup_expect_failure(
        "\\no\\such.img: not found (key 'module', /slipway.conf line 1); a path with "
        "blanks wants quotes");

    setup_boot("module = \\empty\n");
    setup_file("\\empty")->is_directory = true;
    fake_boot();
    setup_expect_failure("\\empty: is a directory (key 'module', /slipway.conf line 1)");

    setup_boot("module = \\huge\n");
    fake_add_file("\\huge", "", GIB(1));
    fake_boot();
    setup_expect_failure("\\huge: no room for the module of 1073741824 bytes (out of memory); the "
                         "largest free run has 2147483648");

    setup_boot("module = \\huge\n");
    fake_add_file("\\huge", "", UINT64_C(0xf9ffffff));
    fake_add_memory(TIB(1), GIB(3), EfiConventionalMemory);
    fake_boot();
    setup_expect_failure("\\huge: no room for the module of 4194303999 bytes (out of memory); the "
                         "largest free run has 3221225472");
}
