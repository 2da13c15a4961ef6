// EFI applications and Linux: what the firmware is given to load and start, what the image finds,
// and that nothing is left of it when it comes back.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/hash/sha256.h"
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

// The paths of the boot device and of the loader's file, and what an image is to be given.
static const struct {
    PCI_DEVICE_PATH controller;
    EFI_DEVICE_PATH end;
} __attribute__((packed)) device_path = {
    {{HARDWARE_DEVICE_PATH, HW_PCI_DP, {sizeof(PCI_DEVICE_PATH), 0}}, 3, 1},
    {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
};
static const struct {
    PCI_DEVICE_PATH controller;
    EFI_DEVICE_PATH file;
    CHAR16 name[sizeof("\\kernel.elf")];
    EFI_DEVICE_PATH end;
} __attribute__((packed)) image_path = {
    {{HARDWARE_DEVICE_PATH, HW_PCI_DP, {sizeof(PCI_DEVICE_PATH), 0}}, 3, 1},
    {MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {4 + 2 * 12, 0}},
    L"\\kernel.elf",
    {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
};

// What the image found when it ran.
static struct {
    char options[2000]; // load options as they are
    uint32_t options_bytes;
    EFI_HANDLE device;
    UINTN watchdog_seconds;
    uint64_t pages;
    uint32_t interfaces;
} found;

static EFI_STATUS look(EFI_LOADED_IMAGE *image) {
    memset(&found, 0, sizeof(found));
    assert_true(image->LoadOptionsSize <= sizeof(found.options));
    if (image->LoadOptionsSize != 0)
        memcpy(found.options, image->LoadOptions, image->LoadOptionsSize);
    found.options_bytes = image->LoadOptionsSize;
    found.device = image->DeviceHandle;
    found.watchdog_seconds = fake.watchdog_seconds;
    found.pages = fake_allocated_pages();
    found.interfaces = fake.interfaces;
    return EFI_SUCCESS;
}

static void set_up(const char *config, void (*make)(uint8_t *file)) {
    setup_image(config, make);
    fake.device_path = &device_path;
    fake.in_image = look;
}

static void expect_loaded(void) {
    assert_int_equal(fake.starts, 1);
    assert_int_equal(fake.image_count, sizeof(setup_pe));
    assert_memory_equal(fake.image_bytes, setup_pe, sizeof(setup_pe));
}

static void expect_options(const void *options, uint32_t bytes) {
    assert_int_equal(found.options_bytes, bytes);
    assert_memory_equal(found.options, options, bytes);
}

#define EXPECT_OPTIONS(text) expect_options(text, sizeof(text))

// ---- EFI applications

TEST("efi: an application is loaded from its bytes, by the path of its file, and started") {
    static const char *const configs[] = {NULL, "protocol = efi\n"};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        set_up(configs[i], pe_file_make);
        fake_boot();
        setup_expect_success();
        expect_loaded();
        assert_memory_equal(fake.image_given, &image_path, sizeof(image_path));
        assert_ptr_equal(found.device, fake_device());
        assert_int_equal(found.options_bytes, 0);
        assert_int_equal(found.interfaces, 0);
    }
}

TEST("efi: the command line is in its load options, in UTF-16 with a NUL") {
    set_up("cmdline = a \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80!\n", pe_file_make);
    fake_boot();
    setup_expect_success();
    EXPECT_OPTIONS(L"a \x00e4 \x20ac \xd83d\xde00!");

    set_up("cmdline = of the config\n", pe_file_make);
    fake.load_options = L"boot typed";
    fake.load_options_bytes = 22;
    fake.is_shell = true;
    fake_boot();
    setup_expect_success();
    EXPECT_OPTIONS(L"typed");
}

TEST(
    "efi: an application finds the watchdog armed for five minutes, and the loader's pages freed") {
    set_up("cmdline = x\n", pe_file_make);
    setup_file("\\kernel.elf")->bytes = sizeof(setup_pe);
    fake_boot();
    setup_expect_success();
    assert_int_equal(found.watchdog_seconds, 300);
    assert_int_equal(fake.watchdog_seconds, 0);
    assert_true(fake.watchdog_is_off);
    assert_int_equal(found.pages, 2); // the config, and the load options
}

TEST("efi: COM1 is the firmware's while an application runs") {
    set_up("log = info\n", pe_file_make);
    fake.com1_registers[4] = 0x10; // MCR, as the firmware left it
    fake_boot();
    assert_int_equal(fake.com1_registers[4], 0x10);
    assert_string_equal(
        fake.com1, "slipway: config /slipway.conf: 11 bytes\n"
                   "slipway: \\kernel.elf: 6000 bytes, EFI application, 0 bytes of load options\n"
                   "slipway: \\kernel.elf: has returned\n");
    assert_string_equal(fake.breach, "");
}

static EFI_STATUS warn([[maybe_unused]] EFI_LOADED_IMAGE *image) {
    return EFI_WARN_DELETE_FAILURE;
}

static EFI_STATUS abort_image([[maybe_unused]] EFI_LOADED_IMAGE *image) {
    return EFI_ABORTED;
}

TEST("efi: what an application returns goes to the firmware, an error with a message") {
    set_up(NULL, pe_file_make);
    fake.in_image = warn;
    fake_boot();
    assert_int_equal(fake.status, EFI_WARN_DELETE_FAILURE);
    assert_int_equal(fake_allocated_pages(), 0);
    assert_string_equal(fake.com1, "");
    assert_int_equal(fake.stalls, 0); // nobody waits for a key

    set_up(NULL, pe_file_make);
    fake.in_image = abort_image;
    fake_boot();
    setup_expect_failure("\\kernel.elf: EFI application has returned an error (aborted)");
    assert_int_equal(fake.status, EFI_ABORTED);
}

TEST("efi: what an application has to say at its end is in the message, and freed") {
    static const CHAR16 text[] = L"no\x00e4\r\ndisk\0data";
    set_up(NULL, pe_file_make);
    fake.in_image = abort_image;
    fake.exit_data = text;
    fake.exit_data_bytes = sizeof(text);
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: EFI application has returned an error (aborted): no\xc3\xa4  disk");

    static CHAR16 endless[500]; // without a NUL
    char want[400] = "\\kernel.elf: EFI application has returned an error (aborted): ";
    for (size_t i = 0; i < ARRAY_LEN(endless); i++)
        endless[i] = 'x';
    memset(want + strlen(want), 'x', 120);
    set_up(NULL, pe_file_make);
    fake.in_image = abort_image;
    fake.exit_data = endless;
    fake.exit_data_bytes = sizeof(endless);
    fake_boot();
    setup_expect_failure(want);

    set_up(NULL, pe_file_make); // with success there is none to show
    fake.exit_data = text;
    fake.exit_data_bytes = sizeof(text);
    fake_boot();
    setup_expect_success();
}

TEST("efi: an image that cannot be loaded is named, with what helps, and none is left") {
    static const struct {
        EFI_STATUS status;
        const char *want;
    } cases[] = {
        {EFI_SECURITY_VIOLATION,
         "(security violation); Secure Boot wants it signed by a key that this firmware knows"},
        {EFI_ACCESS_DENIED,
         "(access denied); Secure Boot wants it signed by a key that this firmware knows"},
        {EFI_UNSUPPORTED,
         "(unsupported); the PE file is malformed, cut off, or none that this firmware runs"},
        {EFI_LOAD_ERROR,
         "(load error); the PE file is malformed, cut off, or none that this firmware runs"},
        {EFI_OUT_OF_RESOURCES, "(out of memory)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char want[200];
        set_up("cmdline = x\n", pe_file_make);
        fake.load_status = cases[i].status;
        fake_boot();
        snprintf(want, sizeof(want), "\\kernel.elf: cannot be loaded %s", cases[i].want);
        setup_expect_failure(want);
        assert_int_equal(fake.status, cases[i].status);
        assert_int_equal(fake.starts, 0);
    }
}

TEST("efi: an image that the firmware does not start is unloaded") {
    set_up(NULL, pe_file_make);
    fake.refused = FAKE_START_IMAGE;
    fake.fail_status = EFI_SECURITY_VIOLATION;
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: EFI application has returned an error (security violation)");
}

TEST("efi: the device is told where the firmware does not find it") {
    set_up(NULL, pe_file_make);
    fake.image_has_no_device = true;
    fake_boot();
    setup_expect_success();
    assert_ptr_equal(found.device, fake_device());

    set_up(NULL, pe_file_make);
    fake.device_path = NULL; // it has none
    fake_boot();
    setup_expect_success();
    assert_null(fake.image_given);
    assert_ptr_equal(found.device, fake_device());
}

TEST("efi: a file on another volume has the path and the device of that") {
    static const struct {
        EFI_DEVICE_PATH media;
        CHAR16 data[2];
        EFI_DEVICE_PATH end;
    } __attribute__((packed))
    other = {{MEDIA_DEVICE_PATH, MEDIA_CDROM_DP, {8, 0}},
             L"ab",
             {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}}};
    set_up("kernel = label(two)/kernel.elf\n", pe_file_make);
    setup_file("\\kernel.elf")->volume = fake_add_volume(NULL, L"one") + 1;
    assert_int_equal(fake_add_volume(&other, L"two"), 2);
    fake_boot();
    setup_expect_success();
    expect_loaded();
    assert_memory_equal(fake.image_given, &other, 8);
    assert_memory_equal((const char *)fake.image_given + 8, &image_path.file,
                        sizeof(image_path) - sizeof(image_path.controller));
}

TEST("efi: with a digest the bytes that have it are started, and others are not") {
    char config[200];
    uint8_t digest[SHA256_BYTES];
    pe_file_make(setup_pe);
    sha256(setup_pe, sizeof(setup_pe), digest);
    for (int wrong = 0; wrong < 2; wrong++) {
        int used = snprintf(config, sizeof(config), "kernel = \\kernel.elf\nsha256 = ");
        digest[31] ^= (uint8_t)wrong;
        for (int i = 0; i < SHA256_BYTES; i++)
            used += snprintf(config + used, sizeof(config) - (size_t)used, "%02x", digest[i]);
        snprintf(config + used, sizeof(config) - (size_t)used, "\n");
        set_up(config, pe_file_make);
        fake_boot();
        if (wrong) {
            const char *line;
            setup_expect_return(&line);
            assert_non_null(strstr(line, "\\kernel.elf: its SHA-256 is "));
            assert_int_equal(fake.status, EFI_SECURITY_VIOLATION);
        } else {
            setup_expect_success();
            expect_loaded();
        }
    }
}

// ---- Refusals

static void expect_refusal(const char *want) {
    fake_boot();
    setup_expect_failure(want);
    assert_int_equal(fake.starts, 0);
    assert_null(fake.image_bytes);
}

TEST("efi: an application takes no modules") {
    set_up("\nmodule = \\empty\n", pe_file_make);
    expect_refusal("\\kernel.elf: an EFI application takes no modules (key 'module', "
                   "/slipway.conf line 2)");
}

TEST("efi: a PE file for something else is refused by what it is for") {
    set_up(NULL, pe_file_make);
    pe_file_put(setup_pe, PE_FILE_MACHINE, 2, 0x14c);
    expect_refusal("\\kernel.elf: a PE file not for x86-64 (machine 0x14c)");
    set_up(NULL, pe_file_make);
    pe_file_put(setup_pe, PE_FILE_MAGIC, 2, 0x10b);
    expect_refusal("\\kernel.elf: a PE file without a PE32+ header (magic 0x10b)");
    set_up(NULL, pe_file_make);
    pe_file_put(setup_pe, PE_FILE_SUBSYSTEM, 2, 11);
    expect_refusal("\\kernel.elf: a PE file but no EFI application (subsystem 11)");
    set_up(NULL, pe_file_make);
    setup_file("\\kernel.elf")->bytes = PE_FILE_END - 1;
    expect_refusal("\\kernel.elf: a PE file without a PE32+ header (magic 0x0)");
}

TEST("efi: a file of another kind than the protocol is refused by what it is") {
    setup_boot("protocol = efi\n");
    expect_refusal("\\kernel.elf: protocol = efi is for PE files; found: an ELF file");
    setup_boot("protocol = linux\n");
    expect_refusal(
        "\\kernel.elf: protocol = linux is for Linux kernels with an EFI stub; found: an "
        "ELF file");
    set_up("protocol = linux\n", pe_file_make);
    expect_refusal("\\kernel.elf: protocol = linux is for Linux kernels with an EFI stub; found: a "
                   "PE file without Linux's header");
    set_up("protocol = efi\n", pe_file_make);
    setup_file("\\kernel.elf")->bytes = 0;
    expect_refusal("\\kernel.elf: protocol = efi is for PE files; found: an empty file");
    set_up("protocol = efi\n", pe_file_make);
    memcpy(setup_pe, "\x1f\x8b\x08", 3);
    expect_refusal(
        "\\kernel.elf: protocol = efi is for PE files; found: gzip-compressed: decompress it");
    set_up("protocol = slipway\n", pe_file_make);
    expect_refusal("\\kernel.elf: not an ELF file; a PE file (EFI application), which protocol = "
                   "efi starts");
    set_up("protocol = slipway\n", pe_file_make_linux);
    expect_refusal("\\kernel.elf: not an ELF file; a Linux kernel (bzImage), which protocol = "
                   "linux starts");
}

TEST("efi: a file that is neither ELF nor PE is refused by what it is, or begins with") {
    set_up(NULL, pe_file_make);
    memcpy(setup_pe, "#!/bin/sh", 9);
    expect_refusal("\\kernel.elf: neither an ELF nor a PE file; found: an unknown file that begins "
                   "with 23 21 2f 62 69 6e 2f 73");
    set_up(NULL, pe_file_make);
    memcpy(setup_pe,
           "\x7f"
           "ELG",
           4);
    setup_file("\\kernel.elf")->bytes = 4;
    expect_refusal("\\kernel.elf: neither an ELF nor a PE file; found: an unknown file that begins "
                   "with 7f 45 4c 47");
    set_up(NULL, pe_file_make);
    memcpy(setup_pe,
           "\x7f"
           "ELF",
           4);
    setup_file("\\kernel.elf")->bytes = 4;
    expect_refusal("\\kernel.elf: 4 bytes are too few for an ELF header");
    set_up(NULL, pe_file_make);
    memcpy(setup_pe, "\x1f\x8b\x08", 3);
    setup_file("\\kernel.elf")->bytes = 5;
    expect_refusal("\\kernel.elf: neither an ELF nor a PE file; found: an unknown file that begins "
                   "with 1f 8b 08 00 00");
    set_up(NULL, pe_file_make);
    memcpy(setup_pe, "\x1f\x8b\x08", 3);
    setup_file("\\kernel.elf")->bytes = 8;
    expect_refusal(
        "\\kernel.elf: neither an ELF nor a PE file; found: gzip-compressed: decompress it");
    set_up(NULL, pe_file_make_linux);
    memcpy(setup_pe, "ab", 2);
    expect_refusal("\\kernel.elf: neither an ELF nor a PE file; found: a Linux kernel (bzImage) "
                   "without an EFI stub (CONFIG_EFI_STUB)");
}

TEST("efi: a file that is a directory, or is not there, is said to be so") {
    set_up(NULL, pe_file_make);
    setup_file("\\kernel.elf")->is_directory = true;
    fake_boot();
    setup_expect_failure("\\kernel.elf: is a directory" DEFAULT_KERNEL);
    static const char *const configs[] = {"kernel = nothing\n",
                                          "kernel = nothing\nprotocol = efi\n",
                                          "kernel = nothing\nprotocol = linux\n"};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        set_up(configs[i], pe_file_make);
        expect_refusal("nothing: not found (key 'kernel', /slipway.conf line 1)");
    }
}

TEST("efi: the loader does not start its own file") {
    static const struct {
        EFI_DEVICE_PATH head;
        CHAR16 name[sizeof("\\KERNEL.elf")];
        EFI_DEVICE_PATH end;
    } __attribute__((packed))
    own = {{MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {4 + 2 * 12, 0}},
           L"\\KERNEL.elf",
           {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}}};
    set_up(NULL, pe_file_make);
    fake.image_path = &own;
    expect_refusal("\\kernel.elf: is this loader itself" DEFAULT_KERNEL);
    set_up("kernel = /kernel.elf2\n", pe_file_make); // a longer name, and a shorter one
    setup_file("\\kernel.elf")->path = "\\kernel.elf2";
    fake.image_path = &own;
    fake_boot();
    setup_expect_success();
    set_up("kernel = /kernel.el\n", pe_file_make);
    setup_file("\\kernel.elf")->path = "\\kernel.el";
    fake.image_path = &own;
    fake_boot();
    setup_expect_success();
    set_up("kernel = label(two)/kernel.elf\n", pe_file_make); // on another volume
    setup_file("\\kernel.elf")->volume = fake_add_volume(NULL, L"two");
    fake.image_path = &own;
    fake_boot();
    setup_expect_success();
}

// ---- Linux

struct load_file2 {
    EFI_STATUS(EFIAPI *load)
    (struct load_file2 *self, EFI_DEVICE_PATH *path, BOOLEAN is_boot, UINTN *bytes, void *buffer);
};

static const EFI_GUID load_file2 = {
    0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}};
// As the kernel looks for it.
static const uint8_t initrd_path[24] = {4,    3,    20,   0,    0x27, 0xe4, 0x68, 0x55,
                                        0xfc, 0x68, 0x3d, 0x4f, 0xac, 0x74, 0xca, 0x55,
                                        0x52, 0x31, 0xcc, 0x68, 0x7f, 0xff, 4,    0};

static uint8_t initrd[2 * SETUP_MODULE_BYTES];
static UINTN initrd_bytes; // 0: there was none

// What a kernel does, and what it does not.
static EFI_STATUS read_initrd(EFI_LOADED_IMAGE *image) {
    const EFI_GUID device_path_id = DEVICE_PATH_PROTOCOL;
    EFI_DEVICE_PATH end = device_path.end;
    struct load_file2 *file = fake_find_installed(&load_file2);
    initrd_bytes = 0;
    (void)look(image);
    if (file == NULL)
        return EFI_SUCCESS;
    assert_memory_equal(fake_find_installed(&device_path_id), initrd_path, sizeof(initrd_path));
    UINTN bytes = 0;
    assert_int_equal(file->load(file, &end, FALSE, &bytes, NULL), EFI_BUFFER_TOO_SMALL);
    initrd_bytes = bytes--;
    assert_int_equal(file->load(file, &end, FALSE, &bytes, initrd), EFI_BUFFER_TOO_SMALL);
    assert_int_equal(bytes, initrd_bytes);
    assert_int_equal(file->load(file, &end, FALSE, &bytes, NULL), EFI_BUFFER_TOO_SMALL);
    assert_int_equal(file->load(file, &end, TRUE, &bytes, initrd), EFI_UNSUPPORTED);
    assert_int_equal(file->load(file, NULL, FALSE, &bytes, initrd), EFI_INVALID_PARAMETER);
    assert_int_equal(file->load(NULL, &end, FALSE, &bytes, initrd), EFI_INVALID_PARAMETER);
    assert_int_equal(file->load(file, &end, FALSE, NULL, initrd), EFI_INVALID_PARAMETER);
    bytes++; // a larger buffer, of which the rest stays
    memset(initrd, 0xee, sizeof(initrd));
    assert_int_equal(file->load(file, &end, FALSE, &bytes, initrd), EFI_SUCCESS);
    assert_int_equal(bytes, initrd_bytes);
    assert_int_equal(initrd[bytes], 0xee);
    return EFI_SUCCESS;
}

static void boot_linux(const char *config) {
    set_up(config, pe_file_make_linux);
    fake_add_file("\\five", "12345", 5);
    fake.in_image = read_initrd;
    fake_boot();
}

TEST("linux: a kernel is started as an application, with its command line") {
    static const char *const configs[] = {"cmdline = quiet\n",
                                          "cmdline = quiet\nprotocol = linux\n",
                                          "cmdline = quiet\nprotocol = efi\n"};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        boot_linux(configs[i]);
        setup_expect_success();
        expect_loaded();
        EXPECT_OPTIONS(L"quiet");
        assert_int_equal(initrd_bytes, 0);
        assert_int_equal(found.interfaces, 0);
    }
}

TEST("linux: its modules are its initrd, one behind the other at multiples of 4") {
    boot_linux("module = \\boot\\initrd.img\n");
    setup_expect_success();
    assert_int_equal(initrd_bytes, SETUP_MODULE_BYTES);
    assert_memory_equal(initrd, setup_module, SETUP_MODULE_BYTES);

    boot_linux("module = \\five\nmodule = \\empty\nmodule = \\boot\\initrd.img\nmodule = \\five\n"
               "digest = sha256\n");
    setup_expect_success();
    assert_int_equal(initrd_bytes, 8 + SETUP_MODULE_BYTES + 8);
    assert_memory_equal(initrd, "12345\0\0", 8);
    assert_memory_equal(initrd + 8, setup_module, SETUP_MODULE_BYTES);
    assert_memory_equal(initrd + 8 + SETUP_MODULE_BYTES, "12345\0\0", 8);
    assert_int_equal(found.interfaces, 2);
}

TEST("linux: without a byte of modules no initrd is offered") {
    boot_linux("module = \\empty\nmodule = \\empty\n");
    setup_expect_success();
    assert_int_equal(fake.starts, 1);
    assert_int_equal(found.interfaces, 0);
}

TEST("linux: the log names release and initrd") {
    boot_linux("log = info\nmodule = \\five\n");
    assert_string_equal(
        fake.com1, "slipway: config /slipway.conf: 26 bytes\n"
                   "slipway: \\kernel.elf: 6000 bytes, Linux 6.1.0-test, 0 bytes of load options\n"
                   "slipway: initrd: 8 bytes of 1 modules\n"
                   "slipway: \\kernel.elf: has returned\n");
}

TEST("linux: an initrd of somebody else's is in the way, and said to be so") {
    set_up("module = \\boot\\initrd.img\n", pe_file_make_linux);
    fake.offers_initrd = true;
    fake_boot();
    setup_expect_failure("initrd: the program that has started this loader offers one");
    set_up(NULL, pe_file_make_linux); // without one of ours it is the kernel's
    fake.offers_initrd = true;
    fake_boot();
    setup_expect_success();
}

TEST("linux: a kernel that comes back is named with its error") {
    set_up(NULL, pe_file_make_linux);
    fake.in_image = abort_image;
    fake_boot();
    setup_expect_failure("\\kernel.elf: Linux has returned an error (aborted)");
}

TEST("linux: a module takes no text") {
    set_up("module = \\empty\nmodule = my initrd\n", pe_file_make_linux);
    expect_refusal("\\kernel.elf: a module of Linux's is its initrd and takes no text (key "
                   "'module', /slipway.conf line 2); a path with blanks wants quotes");
}

TEST("linux: a kernel that does not ask for its initrd is refused only if it has one") {
    for (unsigned major = 0; major < 4; major++) {
        set_up("module = \\empty\n", pe_file_make_linux);
        pe_file_put(setup_pe, PE_FILE_IMAGE_MAJOR, 2, major);
        if (major % 2 == 0)
            expect_refusal("\\kernel.elf: this kernel asks no loader for its initrd, as Linux 5.8 "
                           "and later do (key 'module', /slipway.conf line 1)");
        fake_boot();
        set_up(NULL, pe_file_make_linux);
        pe_file_put(setup_pe, PE_FILE_IMAGE_MAJOR, 2, major);
        fake_boot();
        setup_expect_success();
    }
    set_up("module = \\empty\nprotocol = efi\n", pe_file_make_linux);
    expect_refusal(
        "\\kernel.elf: an EFI application takes no modules (key 'module', /slipway.conf line 1)");
}

TEST("linux: a command line that the kernel would cut off is refused") {
    char config[100];
    static const char line[] = "123456789";
    snprintf(config, sizeof(config), "cmdline = %s\n", line);
    for (uint32_t max = 8; max < 10; max++) {
        set_up(config, pe_file_make_linux);
        pe_file_put(setup_pe, PE_FILE_CMDLINE_MAX, 4, max);
        if (max == 8)
            expect_refusal(
                "\\kernel.elf: the command line has 9 bytes, of which this kernel takes 8");
        fake_boot();
        if (max == 9)
            setup_expect_success();
    }
    set_up(config, pe_file_make_linux); // an older header does not tell
    pe_file_put(setup_pe, PE_FILE_CMDLINE_MAX, 4, 8);
    pe_file_put(setup_pe, PE_FILE_LINUX_VERSION, 2, 0x205);
    fake_boot();
    setup_expect_success();
    set_up("cmdline = 123456789\nprotocol = efi\n", pe_file_make_linux); // nor does anybody look
    pe_file_put(setup_pe, PE_FILE_CMDLINE_MAX, 4, 8);
    fake_boot();
    setup_expect_success();
}

TEST("efi: the kernel's file is opened once, to look at it and to read it") {
    uint64_t opens = 0; // of the config, and of the kernel
    set_up(NULL, pe_file_make);
    fake_boot();
    for (uint64_t call = 0; call < fake.calls; call++)
        opens += fake.kinds[call] == FAKE_OPEN;
    setup_expect_success();
    assert_int_equal(opens, 2);
}
