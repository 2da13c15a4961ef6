// The kernel's command line: the config's, or that of the load options.
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <string.h>

// Boots with these load options in place of the config's command line, or not; a line of the log.
static void expect(const void *options, uint32_t bytes, const char *want, const char *said) {
    setup_boot(SETUP_CONFIG);
    fake.load_options = options;
    fake.load_options_bytes = bytes;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->cmdline, want);
    assert_int_equal(info->modules.count, 2); // all else is the config's
    const char *log = (const char *)(uintptr_t)info->log.address;
    if (strstr(log, said) == NULL)
        fail_msg("'%s' is not in %s", said, log);
}

#define OWN "root=ram0 verbose"

TEST("cmdline: load options take the place of the config's command line, with a NUL or without") {
    expect(L"a  b=c", 14, "a  b=c", "slipway: command line: 6 bytes of the load options\n");
    expect(L"a  b=c", 12, "a  b=c", "slipway: command line: 6 bytes of the load options\n");
}

TEST("cmdline: 65536 bytes of load options are the most") {
    enum { UNITS = 32768 };
    static CHAR16 options[UNITS];
    static char want[UNITS + 1];
    for (unsigned i = 0; i < UNITS; i++)
        want[i] = (char)(options[i] = 'a');
    expect(options, sizeof(options), want, "command line: 32768 bytes of the load options\n");
    expect(options, sizeof(options) + 2, OWN, "ignored: more than 65536\n");
}

TEST("cmdline: without load options the config's holds, and nothing is said or asked") {
    static const struct {
        const void *options;
        uint32_t bytes;
    } cases[] = {{NULL, 0}, {NULL, 12}, {L"a b", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(cases[i].options, cases[i].bytes, OWN, "slipway: kernel ");
        const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
        assert_null(strstr(log, "load options"));
        uint32_t optional = 0;
        for (uint64_t call = 0; call < fake.calls; call++)
            optional += fake.kinds[call] == FAKE_HANDLE_OPTIONAL;
        assert_int_equal(optional, 2); // path and network of the boot device
    }
}

TEST("cmdline: load options that are none are ignored, with the reason") {
    static const uint8_t guid[16] = {0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d,
                                     0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2};
    expect(
        guid, 16, OWN,
        "slipway: load options: 16 bytes, ignored: not text: less than half of it would be ASCII "
        "(efibootmgr: -u)\n");
    expect(L"a b", 7, OWN, "slipway: load options: 7 bytes, ignored: an odd number, ");
    expect(L"\r\n ", 6, OWN, "slipway: load options: 6 bytes, ignored: no text\n");
    expect(&guid, UINT32_MAX, OWN,
           "slipway: load options: 4294967295 bytes, ignored: more than 65536\n");
}

// Of the loader's.
static uint64_t count_ranges(const void *options, uint32_t bytes, const char *want) {
    expect(options, bytes, want, "load options");
    const struct slipway_boot_info *info = setup_expect_kernel();
    uint64_t count = 0;
    while (setup_find_range(info, SLIPWAY_RANGE_LOADER, (uint32_t)count) != NULL)
        count++;
    return count;
}

TEST("cmdline: no page is kept for load options that are none") {
    uint64_t without = count_ranges(L"a b", 7, OWN);
    assert_int_equal(count_ranges(L"", 2, OWN), without);
    assert_int_equal(count_ranges(L"a", 2, "a"), without + 1);
}

static const struct {
    EFI_DEVICE_PATH head;
    CHAR16 name[10];
    EFI_DEVICE_PATH end;
} own_path = {{MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {24, 0}},
              L"\\boot.efi",
              {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {4, 0}}};

TEST("cmdline: the shell's program name is left out, and that of the loader's file by whomever") {
    static const struct {
        const CHAR16 *line;
        bool is_shell;
        const char *want;
    } cases[] = {{L"fs0:\\boot a b", true, "a b"},
                 {L"boot a b", false, "boot a b"},
                 {L"FS0:\\BOOT.EFI a b", true, "a b"},
                 {L"FS0:\\BOOT.EFI a b", false, "a b"},
                 {L"other.efi a", false, "other.efi a"},
                 {L"boot.efi", false, OWN},
                 {L"boot", true, OWN}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        setup_boot(SETUP_CONFIG);
        uint32_t units = 0;
        while (cases[i].line[units] != 0)
            units++;
        fake.load_options = cases[i].line;
        fake.load_options_bytes = 2 * (units + 1);
        fake.is_shell = cases[i].is_shell;
        fake.image_path = &own_path;
        fake_boot();
        setup_expect_text(&setup_expect_kernel()->cmdline, cases[i].want);
    }
}

TEST("cmdline: load options that have no room in memory are a failure") {
    setup_boot(NULL);
    fake.load_options = L"a b";
    fake.load_options_bytes = 8;
    fake.refused = FAKE_ALLOCATE_PAGES;
    fake.fail_status = EFI_OUT_OF_RESOURCES;
    fake_boot();
    setup_expect_failure("load options: no room for 13 bytes (out of memory)");
}
