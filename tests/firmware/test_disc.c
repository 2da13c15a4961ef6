// Boots whose files come from the ISO 9660 tree around the loader's volume: which file counts, and
// what comes of discs and firmware that fail.
#include "common/base/arith.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

enum { SECTOR = 2048, SECTORS = 256, ROOT = 20, FIRST_FILE = 24 };

static uint8_t image[SECTORS * SECTOR];
static uint64_t root_used, next_sector;

static const struct {
    PCI_DEVICE_PATH controller;
    CDROM_DEVICE_PATH cd;
    EFI_DEVICE_PATH end;
} __attribute__((packed)) cd_path = {
    {{HARDWARE_DEVICE_PATH, HW_PCI_DP, {sizeof(PCI_DEVICE_PATH), 0}}, 0, 0x1f},
    {{MEDIA_DEVICE_PATH, MEDIA_CDROM_DP, {sizeof(CDROM_DEVICE_PATH), 0}}, 0, 0, 0},
    {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
};

static void put_32(uint8_t *at, uint64_t value) {
    for (unsigned i = 0; i < 4; i++)
        at[i] = at[7 - i] = (uint8_t)(value >> 8 * i);
}

static void put_record(uint8_t *record, const char *name, uint64_t name_bytes, uint64_t sector,
                       uint64_t bytes, unsigned flags) {
    record[0] = (uint8_t)align_up(33 + name_bytes, 2);
    put_32(record + 2, sector);
    put_32(record + 10, bytes);
    record[25] = (uint8_t)flags;
    record[32] = (uint8_t)name_bytes;
    memcpy(record + 33, name, name_bytes);
}

static uint8_t *add_file(const char *name, const void *contents, uint64_t bytes) {
    uint8_t *record = image + ROOT * SECTOR + root_used;
    put_record(record, name, strlen(name), next_sector, bytes, 0);
    memcpy(image + next_sector * SECTOR, contents, bytes);
    root_used += record[0];
    next_sector += align_up(bytes, SECTOR) / SECTOR;
    return record;
}

// A volume with nothing but this config, if any, on a disc that has another one, if any, a kernel
// and two modules.
static void set_up_with(const char *on_volume, const char *on_disc) {
    setup_boot(on_volume);
    setup_file("\\kernel.elf")->path = "\\elsewhere";
    setup_file("\\boot\\initrd.img")->path = "\\elsewhere 2";
    setup_file("\\empty")->path = "\\elsewhere 3";
    memset(image, 0, sizeof(image));
    root_used = 0;
    next_sector = FIRST_FILE;
    uint8_t *primary = image + 16 * SECTOR;
    memcpy(primary, "\1CD001\1", 7);
    memcpy(image + 17 * SECTOR, "\377CD001\1", 7);
    primary[129] = SECTOR >> 8;
    put_record(primary + 156, "\0", 1, ROOT, SECTOR, 2);
    put_record(image + ROOT * SECTOR, "\0", 1, ROOT, SECTOR, 2);
    root_used = image[ROOT * SECTOR];
    add_file("KERNEL.ELF;1", &setup_kernel, sizeof(setup_kernel));
    add_file("INITRD.IMG;1", setup_module, sizeof(setup_module));
    add_file("EMPTY.;1", "", 0);
    if (on_disc != NULL)
        add_file("SLIPWAY.CON;1", "", 0); // another file
    if (on_disc != NULL)
        add_file("SLIPWAY.CONF;1", on_disc, strlen(on_disc));
    fake.device_path = &cd_path;
    fake.disc.contents = image;
    fake.disc.bytes = sizeof(image);
}

#define CONFIG "module = /initrd.img\nmodule = \\empty x\n"
#define WHERE  " (key 'module', /slipway.conf line 1)"

static void set_up(void) {
    set_up_with(NULL, CONFIG);
}

static void set_up_volume(void) {
    set_up_with(CONFIG, NULL);
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
    set_up_with("module = /elsewhere of the volume\n", CONFIG);
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
    set_up_with("kernel = /kernel.elf\nsha256 = "
                "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
                NULL);
    fake_boot();
    setup_expect_return(&line);
    assert_non_null(strstr(line, "/kernel.elf: its SHA-256 is "));
    set_up_with(CONFIG "digest = sha256\n", NULL);
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
            image[16 * SECTOR + 1] = 'X'; // no tree
        fake_boot();
        setup_expect_failure("\\kernel.elf: not found" DEFAULT_KERNEL);
    }
}

TEST("disc: a disc whose tree is damaged, or cannot be read, is said in the log") {
    set_up();
    put_32(image + 16 * SECTOR + 158, SECTORS);
    fake_add_file("\\kernel.elf", &setup_kernel, sizeof(setup_kernel));
    fake_boot();
    setup_expect_logged(
        "disc: the disc's ISO 9660 tree is damaged; only the volume of the loader's is looked at");
    set_up();
    fake.disc.bad_offset = 16 * SECTOR;
    fake_add_file("\\kernel.elf", &setup_kernel, sizeof(setup_kernel));
    fake_boot();
    setup_expect_logged(
        "disc: the disc cannot be read; only the volume of the loader's is looked at");
}

TEST("disc: what is wrong with a file or the disc is said, and the file named") {
    set_up_with("module = /initrd.img\n", NULL);
    put_32(image + ROOT * SECTOR + 34 + 46 + 2, SECTORS);
    fake_boot();
    setup_expect_failure("/initrd.img: the disc's ISO 9660 tree is damaged" WHERE);
    set_up_with("module = /initrd.img\n", NULL);
    fake.disc.bad_offset = (FIRST_FILE + 16) * SECTOR + 5000;
    fake_boot();
    setup_expect_failure("/initrd.img: read of 145904 bytes at offset 4096 failed (device error)");
    set_up_with("module = /\n", NULL);
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
    set_up_with("module = label(OTHER)/initrd.img\n", NULL);
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

TEST("disc: whichever call fails, and however, all is given back or the kernel runs") {
    static const EFI_STATUS statuses[] = {EFI_DEVICE_ERROR, EFI_NOT_FOUND, EFI_NO_MEDIA,
                                          EFI_MEDIA_CHANGED, EFI_OUT_OF_RESOURCES};
    static void (*const starts[])(void) = {set_up, set_up_volume};
    for (unsigned i = 0; i < ARRAY_LEN(statuses) * ARRAY_LEN(starts); i++) {
        for (uint64_t number = 1;; number++) {
            starts[i % ARRAY_LEN(starts)]();
            fake.fail_at = number;
            fake.fail_status = statuses[i / ARRAY_LEN(starts)];
            fake_boot();
            if (fake.calls < number)
                break;
            const char *line;
            // A config that is not found is none.
            bool is_config = fake.kinds[number - 1] == FAKE_OPEN &&
                             fake.fail_status == EFI_NOT_FOUND && fake.failed_file != NULL;
            if (fake.end == FAKE_ENTERED && !is_config)
                expect_modules();
            else if (fake.end == FAKE_ENTERED)
                setup_expect_kernel();
            else if (fake.end == FAKE_RETURNED)
                setup_expect_return(&line);
        }
    }
}
