// Which config is read, and what is said of it.
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

// The loader's path, in one node.
static struct {
    EFI_DEVICE_PATH head;
    CHAR16 name[100];
    EFI_DEVICE_PATH end;
} path = {.head = {MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {204, 0}},
          .end = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {4, 0}}};

// A machine whose loader has this path, with a config in the root that says so.
static void set_up(const CHAR16 *loader) {
    memset(path.name, 0, sizeof(path.name));
    for (unsigned i = 0; loader[i] != 0; i++)
        path.name[i] = loader[i];
    setup_boot("cmdline = root\n");
    fake.image_path = &path;
}

static void add_config(const char *name, const char *text) {
    fake_add_file(name, text, strlen(text));
}

// Boots, and the command line and a line of the log are these.
static void expect(const char *cmdline, const char *said) {
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->cmdline, cmdline);
    if (strstr((const char *)(uintptr_t)info->log.address, said) == NULL)
        fail_msg("'%s' is not in %s", said, (const char *)(uintptr_t)info->log.address);
}

static uint32_t count_opens(void) {
    uint32_t opens = 0;
    for (uint64_t i = 0; i < fake.calls; i++)
        opens += fake.kinds[i] == FAKE_OPEN;
    return opens;
}

TEST("config file: the one beside the loader is read, whatever its folder, and that is said") {
    set_up(L"\\EFI\\slipway\\loader.efi");
    add_config("\\EFI\\slipway\\slipway.conf", "cmdline = beside\n");
    expect("beside", "slipway: config /EFI/slipway/slipway.conf: 17 bytes\n");
    set_up(L"\\EFI\\BOOT\\BOOTX64.EFI");
    add_config("\\EFI\\BOOT\\slipway.conf", "cmdline = beside\n");
    expect("beside", "slipway: config /EFI/BOOT/slipway.conf: 17 bytes\n");
    set_up(L"x\\loader.efi"); // no separator first
    add_config("\\x\\slipway.conf", "cmdline = beside\n");
    expect("beside", "slipway: config /x/slipway.conf: 17 bytes\n");
}

TEST("config file: where there is none beside the loader that in the root is read") {
    set_up(L"\\EFI\\BOOT\\BOOTX64.EFI");
    add_config("\\EFI\\slipway.conf", "cmdline = between\n");
    expect("root", "slipway: config /slipway.conf: 15 bytes\n");
}

TEST("config file: of a loader in the root, or without a path, only the root is looked at") {
    static const CHAR16 *const loaders[] = {L"\\loader.efi", L"loader.efi", L""};
    for (size_t i = 0; i < ARRAY_LEN(loaders); i++) {
        set_up(loaders[i]);
        expect("root", "slipway: config /slipway.conf: 15 bytes\n");
        assert_int_equal(count_opens(), 2); // it and the kernel
    }
    setup_boot(NULL);
    expect("", "slipway: slipway.conf: not found, defaults hold\n");
    assert_int_equal(count_opens(), 2);
}

TEST("config file: a folder that no path of a config can name has none") {
    set_up(L"\\\xd83d\xde00\\loader.efi");
    expect("root", "slipway: config /slipway.conf: 15 bytes\n");
    assert_int_equal(count_opens(), 2);
    set_up(L"\\\x20ac\\loader.efi"); // this one can; nothing is there
    expect("root", "slipway: config /slipway.conf: 15 bytes\n");
    assert_int_equal(count_opens(), 3);
}

static struct fake_file *set_up_beside(const char *text) {
    set_up(L"\\EFI\\BOOT\\BOOTX64.EFI");
    add_config("\\EFI\\BOOT\\slipway.conf", text);
    return &fake.files[fake.file_count - 1];
}

TEST("config file: one beside the loader that cannot be read is not passed over") {
    set_up_beside("x")->is_directory = true;
    fake_boot();
    setup_expect_failure("/EFI/BOOT/slipway.conf: is a directory");
    struct fake_file *file = set_up_beside("cmdline = beside\n");
    file->bad_offset = 5;
    fake_boot();
    setup_expect_failure(
        "/EFI/BOOT/slipway.conf: read of 17 bytes at offset 0 failed (device error)");
}

TEST("config file: an empty one beside the loader is one") {
    set_up_beside("");
    expect("", "slipway: config /EFI/BOOT/slipway.conf: is empty, defaults hold\n");
    set_up_beside("");
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: not found (the default kernel: /EFI/BOOT/slipway.conf is empty)");
}

TEST("config file: every message names the one that was read") {
    set_up_beside("\nkernel = /none\n");
    fake_boot();
    setup_expect_failure("/none: not found (key 'kernel', /EFI/BOOT/slipway.conf line 2)");
    set_up_beside("kernel = \"/none");
    fake_boot();
    setup_expect_failure(
        "/EFI/BOOT/slipway.conf: line 1, column 10: no closing quote in '\"/none'");
}

TEST("config file: a line and a path may be long, and a path too long for firmware is refused") {
    static char config[5000];
    for (size_t bytes = 1024; bytes < 1026; bytes++) {
        const char *line;
        memset(config, 0, sizeof(config));
        memcpy(config, "module = /", 10);
        memset(config + 10, 'x', bytes);
        setup_boot(config);
        fake_boot();
        setup_expect_return(&line);
        assert_non_null(
            strstr(line, bytes == 1024
                             ? "xxx: not found (key 'module', /slipway.conf line 1)"
                             : "xxx: path too long (key 'module', /slipway.conf line 1); firmware "
                               "may not know paths of more than 255 characters: move the file up"));
    }
    memcpy(config, "cmdline = ", 10);
    setup_boot(config);
    fake_boot();
    assert_int_equal(setup_expect_kernel()->cmdline.bytes, 1025);
}
