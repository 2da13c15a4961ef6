// Boots whose files come from the ISO 9660 tree around the loader's volume: which file counts, and
// what comes of discs and firmware that fail.
#include "common/base/arith.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/setup_disc.h"

#include <stdio.h>
#include <string.h>

#define CONFIG "module = /initrd.img\nmodule = \\empty x\n"
#define WHERE  " (key 'module', /slipway.conf line 1)"

static void set_up(void) {
    setup_disc(NULL, CONFIG);
}

static void set_up_volume(void) {
    setup_disc(CONFIG, NULL);
}

static const struct slipway_boot_info *expect_modules(void) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->modules.count, 2);
    const struct slipway_module *module = setup_record(&info->modules, 0);
    uint64_t phys = module->address - info->hhdm_base;
    assert_int_equal(module->bytes, sizeof(setup_module));
    assert_memory_equal((const void *)(uintptr_t)phys, setup_module, sizeof(setup_module));
    return info;
}

TEST("disc: config, kernel and modules come from the tree, where the volume has none") {
    set_up();
    fake_boot();
    expect_modules();
    set_up_volume();
    fake_boot();
    expect_modules();
}

TEST("disc: what the volume has counts, the config as well") {
    setup_disc("module = /elsewhere of the volume\n", CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->modules.count, 1);
    set_up();
    fake_add_file("\\initrd.img", "volume", 6);
    fake_boot();
    info = setup_expect_kernel();
    assert_int_equal(((const struct slipway_module *)setup_record(&info->modules, 0))->bytes, 6);
}

TEST("disc: a digest is that of the tree's file") {
    const char *line;
    setup_disc("kernel = /kernel.elf\nsha256 = "
               "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
               NULL);
    fake_boot();
    setup_expect_return(&line);
    assert_non_null(strstr(line, "/kernel.elf: its SHA-256 is "));
    setup_disc(CONFIG "digest = sha256\n", NULL);
    fake_boot();
    expect_modules();
}

TEST("disc: without a whole disc, or a way to it, the volume is all there is") {
    for (unsigned how = 0; how < 7; how++) {
        static EFI_DEVICE_PATH end = {
            END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(end), 0}};
        set_up();
        if (how == 0)
            fake.device_path = NULL;
        if (how == 1)
            fake.device_path = &end;
        if (how == 2)
            fake.disc.contents = NULL;
        fake.disc.is_elsewhere = how == 3;
        fake.disc.has_no_medium = how == 4;
        fake.disc.has_no_disk_io = how == 5;
        if (how == 6)
            setup_disc_image[16 * SETUP_SECTOR + 1] = 'X'; // no tree
        fake_boot();
        setup_expect_failure("\\kernel.elf: not found" DEFAULT_KERNEL);
    }
}

TEST("disc: a disc whose tree is damaged, or cannot be read, is said in the log") {
    set_up();
    setup_put_32(setup_disc_image + 16 * SETUP_SECTOR + 158, SETUP_SECTORS);
    fake_add_file("\\kernel.elf", &setup_kernel, sizeof(setup_kernel));
    fake_boot();
    setup_expect_logged(
        "disc: the disc's ISO 9660 tree is damaged; only the volume of the loader's is looked at");
    set_up();
    fake.disc.bad_offset = 16 * SETUP_SECTOR;
    fake_add_file("\\kernel.elf", &setup_kernel, sizeof(setup_kernel));
    fake_boot();
    setup_expect_logged(
        "disc: the disc cannot be read; only the volume of the loader's is looked at");
}

TEST("disc: what is wrong with a file or the disc is said, and the file named") {
    setup_disc("module = /initrd.img\n", NULL);
    setup_put_32(setup_disc_image + SETUP_DISC_ROOT * SETUP_SECTOR + 34 + 46 + 2, SETUP_SECTORS);
    fake_boot();
    setup_expect_failure("/initrd.img: the disc's ISO 9660 tree is damaged" WHERE);
    setup_disc("module = /initrd.img\n", NULL);
    fake.disc.bad_offset = (SETUP_DISC_FILES + 16) * SETUP_SECTOR + 5000;
    fake_boot();
    setup_expect_failure("/initrd.img: read of 145904 bytes at offset 4096 failed (device error)");
    setup_disc("module = /\n", NULL);
    fake_boot();
    const char *line;
    setup_expect_return(&line);
}

TEST("disc: a drive that fails on large reads is read in smaller ones") {
    set_up_volume();
    fake.disc.fails_above = KIB(64);
    fake_boot();
    expect_modules();
}

TEST("disc: paths of other volumes never lead to the tree") {
    setup_disc("module = label(OTHER)/initrd.img\n", NULL);
    fake_add_volume(NULL, L"OTHER");
    fake_boot();
    setup_expect_failure("label(OTHER)/initrd.img: not found" WHERE);
}

static void pass_a_second([[maybe_unused]] uint64_t bytes) {
    fake_pass_time(FAKE_TSC_HZ);
}

TEST("disc: what lasts is shown") {
    set_up_volume();
    fake.has_tsc_leaf = true;
    fake.in_read = pass_a_second;
    fake.console_keeps_cr = true;
    fake_boot();
    expect_modules();
    assert_non_null(strstr(fake.console, "slipway: /initrd.img: 100% of 0 MB"));
}
