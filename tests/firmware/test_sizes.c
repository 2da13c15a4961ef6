// How large a file is, by firmware that does not know or lies; and reads that lie.
#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

#define INITRD "\\boot\\initrd.img"
#define CONFIG "cmdline = as it was\nmodule = \\boot\\initrd.img\n"

static const char *const paths[] = {"\\slipway.conf", "\\kernel.elf", INITRD};
enum { PATHS = 3 };

// The boot that has the three files whole, whatever is said of their sizes.
static void expect_whole_files(void) {
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    setup_expect_text(&info->cmdline, "as it was");
    assert_int_equal(info->kernel_file_bytes, sizeof(struct elf_file));
    const struct slipway_module *module = setup_record(&info->modules, 0);
    assert_int_equal(module->bytes, SETUP_MODULE_BYTES);
    const void *bytes = (const void *)(uintptr_t)(module->address - info->hhdm_base);
    assert_memory_equal(bytes, setup_module, SETUP_MODULE_BYTES);
}

TEST(
    "sizes: firmware that accepts a position at the end and does not move is believed by GetInfo") {
    for (int i = 0; i < PATHS; i++) {
        setup_boot(CONFIG);
        setup_file(paths[i])->end_is_fixed = true;
        expect_whole_files();
    }
}

TEST("sizes: firmware that answers ~0 for the position of the end is believed by GetInfo") {
    for (int i = 0; i < PATHS; i++) {
        setup_boot(CONFIG);
        setup_file(paths[i])->end_is_unknown = true;
        expect_whole_files();
    }
}

TEST("sizes: firmware without GetInfo is believed by the position of the end") {
    for (int i = 0; i < PATHS; i++) {
        setup_boot(CONFIG);
        setup_file(paths[i])->has_no_info = true;
        expect_whole_files();
    }
}

TEST("sizes: where the two differ, a byte that can be read tells which is right") {
    static const uint64_t lies[] = {0, 1, 7, UINT64_MAX, UINT64_MAX >> 1, 1 << 30};
    for (int i = 0; i < PATHS; i++) {
        for (size_t lie = 0; lie < sizeof(lies) / sizeof(lies[0]); lie++) {
            setup_boot(CONFIG);
            setup_file(paths[i])->lies_by_info = true;
            setup_file(paths[i])->info_bytes = lies[lie];
            expect_whole_files();
        }
    }
}

TEST("sizes: two sizes of which none can be right are refused, with both") {
    setup_boot(CONFIG);
    struct fake_file *file = setup_file(INITRD);
    file->lies_by_info = true;
    file->info_bytes = 1 << 20;
    file->ends_early = 149999;
    fake_boot();
    setup_expect_failure(
        "\\boot\\initrd.img: the firmware gives two sizes, 1048576 and 150000 bytes "
        "(key 'module', /slipway.conf line 2)");
    setup_boot(CONFIG);
    file = setup_file(INITRD);
    file->lies_by_info = true;
    file->info_bytes = 1;
    file->bytes = 0; // the position of the end
    fake_boot();
    setup_expect_failure("\\boot\\initrd.img: the firmware gives two sizes, 1 and 0 bytes "
                         "(key 'module', /slipway.conf line 2)");
}

TEST("sizes: firmware that knows none is refused") {
    for (int unknown = 0; unknown < 2; unknown++) {
        setup_boot(NULL);
        struct fake_file *file = setup_file("\\kernel.elf");
        file->has_no_info = unknown;
        file->lies_by_info = !unknown;
        file->info_bytes = UINT64_MAX;
        file->end_is_unknown = true;
        fake_boot();
        setup_expect_failure("\\kernel.elf: cannot find the size (device error)" DEFAULT_KERNEL);
    }
}

TEST("sizes: an empty file is empty, however it is asked, and a directory is one") {
    for (int i = 0; i < 3; i++) {
        setup_boot("module = \\empty\n");
        struct fake_file *file = setup_file("\\empty");
        file->has_no_info = i == 1;
        file->end_is_unknown = i == 2;
        fake_boot();
        const struct slipway_module *module = setup_record(&setup_expect_kernel()->modules, 0);
        assert_int_equal(module->bytes, 0);
        assert_int_equal(module->address, 0);
        file->is_directory = true;
        setup_boot("module = \\empty\n");
        setup_file("\\empty")->is_directory = true;
        setup_file("\\empty")->has_no_info = i == 1;
        fake_boot();
        setup_expect_failure("\\empty: is a directory (key 'module', /slipway.conf line 1)");
    }
}

TEST("sizes: an empty config is told from none in the log") {
    setup_boot("");
    fake_boot();
    const char *log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
    assert_non_null(strstr(log, "slipway: config /slipway.conf: is empty, defaults hold\n"));
    setup_boot(NULL);
    fake_boot();
    log = (const char *)(uintptr_t)setup_expect_kernel()->log.address;
    assert_non_null(strstr(log, "slipway: slipway.conf: not found, defaults hold\n"));
}

TEST("sizes: a read that says it gave more than it was asked for is no success") {
    setup_boot(CONFIG);
    setup_file(INITRD)->claims_more = 1;
    fake_boot();
    setup_expect_failure(
        "\\boot\\initrd.img: read at offset 0 gave 150001 bytes, asked for were 150000");
    // Less than what is left of the file.
    static char large[(1 << 20) + 5000];
    setup_boot("module = \\large\n");
    fake_add_file("\\large", large, sizeof(large))->claims_more = 4096;
    fake_boot();
    setup_expect_failure("\\large: read at offset 0 gave 1052672 bytes, asked for were 1048576");
}

TEST("sizes: a path of three hundred characters, or as long as its line, leads to its file") {
    static const size_t lengths[] = {300, 1015};
    for (size_t i = 0; i < 2; i++) {
        char path[1100] = "";
        for (size_t at = 0; at < lengths[i]; at++)
            path[at] = at % 60 == 0 ? '\\' : (char)('a' + at % 26);
        path[lengths[i]] = '\0';
        char config[1200];
        snprintf(config, sizeof(config), "module = %s\n", path);
        setup_boot(config);
        setup_file(INITRD)->path = path;
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        const struct slipway_module *module = setup_record(&info->modules, 0);
        assert_int_equal(module->bytes, SETUP_MODULE_BYTES);
        setup_expect_text(&module->path, path);
        setup_boot(config);
        fake.path_max = 256;
        fake_boot();
        const char *line;
        setup_expect_return(&line);
        assert_non_null(strstr(line,
                               ": cannot open (invalid parameter) (key 'module', /slipway.conf "
                               "line 1); firmware may not know paths of more than 255 "
                               "characters: move the file up"));
    }
}

TEST("sizes: a path of 255 characters that cannot be opened is not said to be too long") {
    for (int longer = 0; longer < 2; longer++) {
        char config[300] = "module = /";
        memset(config + 10, 'x', (size_t)(255 + longer));
        setup_boot(config);
        fake.path_max = 20; // enough for config and kernel
        fake_boot();
        const char *line;
        setup_expect_return(&line);
        assert_int_equal(strstr(line, "cannot open (invalid parameter)") != NULL, 1);
        assert_int_equal(strstr(line, "255 characters") != NULL, longer);
    }
}

TEST(
    "sizes: a module whose name has blanks is written in quotes, and missing ones are told apart") {
    setup_boot("module = \"\\my initrd.img\" text\n");
    setup_file(INITRD)->path = "\\my initrd.img";
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    const struct slipway_module *module = setup_record(&info->modules, 0);
    setup_expect_text(&module->path, "\\my initrd.img");
    setup_expect_text(&module->cmdline, "text");
    setup_boot("module = \\my initrd.img\n");
    setup_file(INITRD)->path = "\\my initrd.img";
    fake_boot();
    setup_expect_failure(
        "\\my: not found (key 'module', /slipway.conf line 1); a path with blanks wants "
        "quotes");
    setup_boot("module = \\my\n");
    fake_boot();
    setup_expect_failure("\\my: not found (key 'module', /slipway.conf line 1)");
}

TEST("sizes: of two sizes none is believed if the volume dies for good before a byte tells") {
    unsigned refusals = 0;
    bool boots = false;
    for (uint64_t call = 1; !boots; call++) {
        setup_boot(CONFIG);
        setup_file(INITRD)->lies_by_info = true;
        setup_file(INITRD)->info_bytes = 1 << 20;
        fake.fail_at = call;
        fake.fails_on = true;
        fake_boot();
        boots = fake.calls < call;
        const char *line;
        if (!boots && fake.end == FAKE_RETURNED) {
            setup_expect_return(&line);
            refusals += strstr(line, "two sizes, 1048576 and 150000 bytes") != NULL;
        }
    }
    setup_expect_kernel();
    assert_int_equal(refusals, 6); // three calls for each of the two bytes
}
