// Boots whose files come from the ISO 9660 tree around the loader's volume: which file counts, and
// what comes of discs and firmware that fail.
#include "common/base/arith.h"
#include "loader/device_path.h"
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

TEST("disc: it is looked for once, and nothing is said of it") {
    set_up();
    fake_boot();
    expect_modules();
    uint64_t looks = 0;
    for (uint64_t call = 0; call < fake.calls; call++)
        looks += fake.kinds[call] == FAKE_LOCATE_DEVICE_PATH;
    assert_int_equal(looks, 1);
    assert_null(strstr(setup_log(), "disc: "));
    set_up();
    setup_disc_image[16 * SETUP_SECTOR + 1] = 'X'; // no tree, which is no fault
    fake_add_file("\\kernel.elf", &setup_kernel, sizeof(setup_kernel));
    fake_boot();
    setup_expect_kernel();
    assert_null(strstr(setup_log(), "disc: "));
}

TEST("disc: a file may end where the disc ends") {
    uint64_t sector = SETUP_SECTORS - align_up(sizeof(setup_module), SETUP_SECTOR) / SETUP_SECTOR;
    setup_disc(CONFIG, NULL);
    setup_put_32(setup_disc_image + SETUP_DISC_ROOT * SETUP_SECTOR + 34 + 46 + 2, sector);
    memcpy(setup_disc_image + sector * SETUP_SECTOR, setup_module, sizeof(setup_module));
    fake_boot();
    expect_modules();
}

// The CD's path behind one more node, so that the way to the disc has so many bytes.
static void set_path(uint64_t bytes) {
    static uint8_t path[2048];
    uint64_t way = device_path_whole_bytes(fake.device_path);
    const EFI_DEVICE_PATH node = {HARDWARE_DEVICE_PATH,
                                  HW_VENDOR_DP,
                                  {(uint8_t)(bytes - way), (uint8_t)((bytes - way) >> 8)}};
    memset(path, 0, sizeof(path));
    memcpy(path, &node, sizeof(node));
    memcpy(path + (bytes - way), fake.device_path,
           device_path_bytes(fake.device_path) + sizeof(EFI_DEVICE_PATH));
    fake.device_path = path;
    assert_int_equal(device_path_whole_bytes(path), bytes);
}

TEST("disc: the way to it has 1024 bytes at most") {
    set_up();
    set_path(1024);
    fake_boot();
    expect_modules();
    set_up();
    set_path(1025);
    fake_boot();
    setup_expect_failure("\\kernel.elf: not found" DEFAULT_KERNEL);
}

TEST("disc: the longest name is looked for, of whatever characters") {
    enum { CHARACTERS = 1024, LINE = sizeof("module = /") - 1 };
    static char config[LINE + 3 * CHARACTERS + 2] = "module = /";
    for (unsigned i = 0; i < CHARACTERS; i++)
        memcpy(config + LINE + 3 * i, "\xe4\xb8\xad", 3);
    config[LINE + 3 * CHARACTERS] = '\n';
    const char *line;
    setup_disc(config, NULL);
    fake_boot();
    setup_expect_return(&line);
    assert_non_null(strstr(line, ": not found" WHERE));
}

TEST("disc: a read that fails as if the disc were not found does not make a file absent") {
    static uint8_t kinds[FAKE_CALLS_RECORDED];
    uint32_t said = 0;
    set_up();
    fake_boot();
    uint64_t calls = fake.calls;
    memcpy(kinds, fake.kinds, calls);
    for (uint64_t number = 1; number <= calls; number++) {
        if (kinds[number - 1] != FAKE_READ_DISK)
            continue;
        const char *line;
        set_up();
        fake.fail_at = number;
        fake.fail_status = EFI_NOT_FOUND;
        fake_boot();
        if (strstr(fake.com1, "the disc cannot be read (not found)") == NULL)
            continue;
        setup_expect_return(&line);
        assert_int_equal(fake.status, EFI_DEVICE_ERROR);
        said++;
    }
    assert_true(said != 0);
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
