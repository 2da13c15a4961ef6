// Entries of the Boot Loader Specification on the fake volume: what is found, in which order, what
// a bad file costs, and what is started.
#include "common/base/arith.h"
#include "tests/firmware/setup_menu.h"
#include "tests/unit/support/pe_file.h"

#include <stdio.h>
#include <string.h>

#define OLD "title Debian\nversion 6.1\nsort-key debian\nmachine-id 1\nlinux /old\noptions old\n"
#define NEW                                                                                        \
    "title Debian\nversion 6.10\nsort-key debian\nmachine-id 1\nlinux /kernel.elf\n"               \
    "initrd /boot/initrd.img\ninitrd /empty\noptions root=x quiet\ndevicetree /d\n"

static uint8_t image[PE_FILE_BYTES];

static void add(const char *path, const char *text) {
    fake_add_file(path, text, strlen(text));
}

static void add_folder(const char *path) {
    fake_add_file(path, NULL, 0)->is_directory = true;
}

// Linux, as \kernel.elf, and two entries for it. Nobody types anything.
static void set_up(const char *config) {
    setup_image(config, pe_file_make_linux);
    fake.has_uart = false;
    fake.key_at_stall = 0;
    add_folder("\\loader\\entries");
    add("\\loader\\entries\\debian-6.1.conf", OLD);
    add("\\loader\\entries\\debian-6.10+3-1.conf", NEW);
}

static char screen[FAKE_ROWS_MAX][FAKE_COLUMNS_MAX + 1];

static void watch(void) {
    for (uint32_t row = 0; row < fake.screen.rows; row++)
        setup_read_row(row, screen[row]);
}

static CHAR16 options[400];

static EFI_STATUS note_options(EFI_LOADED_IMAGE *started) {
    memset(options, 0, sizeof(options));
    if (started->LoadOptions != NULL)
        memcpy(options, started->LoadOptions, started->LoadOptionsSize);
    return EFI_SUCCESS;
}

TEST(
    "bls: with `bls = on` what the volume has are entries, the newest first, and Linux is started") {
    set_up("bls = on\ntimeout = 1\nlog = info\n");
    fake.in_stall = watch;
    fake.in_image = note_options;
    fake_boot();
    assert_int_equal(fake.end, FAKE_RETURNED);
    assert_string_equal(fake.breach, "");
    assert_int_equal(fake.starts, 1);
    assert_string_equal(screen[2], "> 1. Debian (6.10)");
    assert_string_equal(screen[3], "  2. Debian (6.1)");
    assert_string_equal(screen[4], "");
    assert_memory_equal(options, L"root=x quiet", 24);
    assert_non_null(
        strstr(fake.console,
               "/loader/entries/debian-6.10+3-1.conf: line 9: key 'devicetree' does not count\n"));
    assert_non_null(strstr(fake.console, "entry debian-6.10.conf: by time-out, after 10"));
    assert_int_equal(fake_allocated_pages(), 0);
}

TEST("bls: without it no folder is opened") {
    set_up("log = info\n");
    fake_boot();
    assert_int_equal(fake.starts, 1);
    assert_null(strstr(fake.console, "debian"));
}

TEST("bls: sections come first, the default may be any, and load options name them") {
    set_up("bls = on\ntimeout = 1\ndefault = debian-6.10.conf\n[own]\nkernel = /own\n");
    fake.in_stall = watch;
    fake_boot();
    assert_int_equal(fake.starts, 1);
    assert_string_equal(screen[2], "  1. own");
    assert_string_equal(screen[3], "> 2. Debian (6.10)");
    assert_string_equal(screen[4], "  3. Debian (6.1)");
    set_up("bls = on\n[own]\nkernel = /own\n");
    fake.load_options = L"entry=debian-6.1.conf";
    fake.load_options_bytes = 42;
    fake.has_uart = true;
    fake_boot();
    setup_expect_failure("/old: not found (/loader/entries/debian-6.1.conf line 5)");
    set_up("bls = on\n[own]\nkernel = /own\n");
    fake.load_options = L"entry=x";
    fake.load_options_bytes = 14;
    fake.has_uart = true;
    fake_boot();
    setup_expect_failure("load options: in /slipway.conf there is no entry 'x'; entries are own, "
                         "debian-6.10.conf, debian-6.1.conf");
}

static void watch_once(void) {
    if (fake.stalls == 20)
        watch();
}

TEST("bls: a default may be a pattern, and a name counts before it") {
    static const struct {
        const char *name, *marked;
        uint32_t row;
    } defaults[] = {
        {"debian-*", "> 3. Debian (6.10)", 4},
        {"*-6.?.CONF", "> 4. Debian (6.1)", 5},
        {"o*", "> 1. own", 2},
        {"*", "> 2. star", 3},
        {"x*", "> 1. own", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        char config[200];
        snprintf(config, sizeof(config),
                 "bls = on\ntimeout = 1\ndefault = %s\n[own]\nlog = info\n[*]\ntitle = star\n",
                 defaults[i].name);
        set_up(config);
        fake.in_stall = watch_once;
        fake_boot();
        assert_string_equal(screen[defaults[i].row], defaults[i].marked);
    }
}

TEST("bls: a default that is gone is a line in the log, and a section keeps its name") {
    set_up("bls = on\ntimeout = 1\nlog = info\ndefault = gone.conf\n"
           "[debian-6.1.conf]\nprotocol = linux\n");
    fake.in_stall = watch;
    fake_boot();
    assert_int_equal(fake.starts, 1);
    assert_string_equal(screen[2], "> 1. debian-6.1.conf");
    assert_string_equal(screen[4], "");
    assert_non_null(
        strstr(fake.console, "the default, entry gone.conf, is not there: the first is"));
    assert_non_null(strstr(fake.console, "there is another entry 'debian-6.1.conf'"));
}

TEST("bls: with one entry nobody is asked, and with none the config alone is booted") {
    setup_image("bls = on\ncmdline = own\n", pe_file_make_linux);
    fake.has_uart = false;
    fake.in_image = note_options;
    fake_boot();
    assert_int_equal(fake.starts, 1);
    assert_memory_equal(options, L"own", 6);
    add_folder("\\loader\\entries");
    setup_image("bls = on\ncmdline = own\n", pe_file_make_linux);
    fake.has_uart = false;
    fake.in_image = note_options;
    add_folder("\\loader\\entries");
    add("\\loader\\entries\\a.conf", "linux /kernel.elf\noptions one\n");
    fake_boot();
    assert_int_equal(fake.starts, 1);
    assert_int_equal(fake.stalls, 0);
    assert_memory_equal(options, L"one", 6);
}

TEST("bls: load options that name an entry boot no other, also where there is none at all") {
    static const CHAR16 named[] = L"entry=gone.conf quiet";
    setup_image("bls = on\ncmdline = own\n", pe_file_make_linux);
    fake.load_options = named;
    fake.load_options_bytes = sizeof(named);
    fake_boot();
    setup_expect_failure("load options: in /slipway.conf there is no entry 'gone.conf', nor any: "
                         "a line [NAME] begins one");
    setup_image("cmdline = own\n", pe_file_make_linux); // nothing can be named here
    fake.load_options = named;
    fake.load_options_bytes = sizeof(named);
    fake.in_image = note_options;
    fake_boot();
    assert_int_equal(fake.starts, 1);
    assert_memory_equal(options, named, sizeof(named));
}

TEST("bls: a bad file is a line in the log and no entry") {
    static char large[20000];
    memset(large, '#', sizeof(large) - 1);
    set_up("bls = on\ntimeout = 1\nlog = info\n");
    add("\\loader\\entries\\a.conf", "linux\n");
    add("\\loader\\entries\\large.conf", large);
    add("\\loader\\entries\\empty.conf", "");
    add("\\loader\\entries\\b.conf", "linux /b\n");
    fake.files[fake.file_count - 1].bad_offset = 3;
    add("\\loader\\entries\\c.conf", "linux /c\n");
    fake.files[fake.file_count - 1].lies_by_info = true;
    fake.files[fake.file_count - 1].info_bytes = 8; // one less than it has
    add("\\loader\\entries\\readme.txt", "linux /x\n");
    add_folder("\\loader\\entries\\d.conf");
    fake.in_stall = watch;
    fake_boot();
    assert_int_equal(fake.starts, 1);
    assert_string_equal(fake.breach, "");
    assert_string_equal(screen[3], "  2. Debian (6.1)");
    assert_string_equal(screen[4], "");
    static const char *const lines[] = {
        "/loader/entries/a.conf: none of linux, efi and uki; it is no entry\n",
        "/loader/entries/large.conf: 19999 bytes, more than 16384; it is no entry\n",
        "/loader/entries/empty.conf: none of linux, efi and uki; it is no entry\n",
        "/loader/entries/b.conf: read of 9 bytes at offset 0 failed (device error)\n",
        "/loader/entries/c.conf: the firmware gives two sizes, 8 and 9 bytes\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (strstr(fake.console, lines[i]) == NULL)
            fail_msg("no '%s' in '%s'", lines[i], fake.console);
    }
}

// A PE file with a section .osrel.
static void add_image(const char *path, const char *osrel) {
    pe_file_make_linux(image);
    pe_file_add_section(image, ".osrel", osrel, (uint32_t)strlen(osrel));
    fake_add_file(path, image, sizeof(image));
}

TEST("bls: an image of \\EFI\\Linux is an entry by its os-release, or by its name") {
    set_up("bls = on\ntimeout = 1\nlog = info\ndefault = arch.efi\n");
    add_folder("\\EFI\\Linux");
    add_image("\\EFI\\Linux\\arch.efi", "PRETTY_NAME=\"Arch Linux\"\nID=arch\nVERSION_ID=7\n");
    fake_add_file("\\EFI\\Linux\\plain.efi", "MZ", 2);
    fake.in_stall = watch;
    fake_boot();
    assert_string_equal(screen[2], "> 1. Arch Linux");
    assert_string_equal(screen[3], "  2. Debian (6.10)");
    assert_string_equal(screen[5], "  4. plain.efi");
    assert_int_equal(fake.starts, 1);
    assert_memory_equal(fake.image_bytes, image, sizeof(image));
    assert_string_equal(fake.breach, "");
}

enum { OWN_BYTES = 300 };

// Boots an image, whose own command line is so many 'x' but for two controls, by the menu with
// these keys, and with these load options.
static void boot_arch(const struct fake_key *keys, uint32_t count, const CHAR16 *given) {
    set_up("bls = on\ntimeout = 1\ndefault = arch.efi\n");
    char own[OWN_BYTES + 1];
    memset(own, 'x', OWN_BYTES);
    own[100] = '\n';
    own[101] = '\x7f';
    own[OWN_BYTES] = '\n';
    add_folder("\\EFI\\Linux");
    add_image("\\EFI\\Linux\\arch.efi", "ID=arch\n");
    pe_file_add_section(image, ".cmdline", own, sizeof(own));
    fake.load_options = given;
    fake.load_options_bytes = given == NULL ? 0 : 12;
    fake.typed = keys;
    fake.typed_count = count;
    fake.in_image = note_options;
    fake.in_stall = watch;
    fake_boot();
    assert_int_equal(fake.starts, 1);
    assert_memory_equal(screen[2], "> 1. arch", 9);
    assert_int_not_equal(screen[2][9], '.'); // that would be its name
}

TEST("bls: an image's own command line is edited in the menu, and given only if it was") {
    static const struct fake_key chosen[] = {{100, 0, '\r'}};
    static const struct fake_key edited[] = {
        {100, 0, 'e'}, {200, 0, '!'}, {300, 0, '\r'}, {400, 0, '\r'}};
    static const struct fake_key looked_at[] = {
        {100, 0, 'e'}, {200, 0, '!'}, {250, 0, '\b'}, {300, 0, '\r'}, {400, 0, '\r'}};
    boot_arch(chosen, ARRAY_LEN(chosen), NULL);
    assert_int_equal(options[0], 0);
    boot_arch(looked_at, ARRAY_LEN(looked_at), NULL);
    assert_int_equal(options[0], 0);
    boot_arch(edited, ARRAY_LEN(edited), NULL);
    for (int i = 0; i < OWN_BYTES; i++)
        assert_int_equal(options[i], i == 100 || i == 101 ? ' ' : 'x');
    assert_memory_equal(options + OWN_BYTES, L"!", 4);
    boot_arch(chosen, ARRAY_LEN(chosen), L"given");
    assert_memory_equal(options, L"given", 12);
    boot_arch(edited, ARRAY_LEN(edited), L"given");
    assert_memory_equal(options, L"given!", 14);
}

TEST("bls: of very many files all are entries") {
    static char paths[FAKE_FILES_MAX][40];
    set_up("bls = on\ntimeout = 1\nlog = debug\n");
    uint32_t others = fake.file_count;
    for (int i = 0; fake.file_count < FAKE_FILES_MAX; i++) {
        snprintf(paths[i], sizeof(paths[i]), "\\loader\\entries\\many-%d.conf", i);
        add(paths[i], "linux /x\n");
    }
    fake_boot();
    char line[40];
    snprintf(line, sizeof(line), "bls: %u entries\n", 2 + FAKE_FILES_MAX - others);
    assert_in_range(FAKE_FILES_MAX - others, 65, 200); // the list has grown twice
    assert_non_null(strstr(fake.console, line));
    assert_int_equal(fake.starts, 1);
    assert_int_equal(fake_allocated_pages(), 0);
}

static bool says(const char *folder, const char *cause) {
    char line[120];
    snprintf(line, sizeof(line), "%s: cannot be listed to its end (%s); what comes behind is",
             folder, cause);
    return strstr(fake.console, line) != NULL;
}

TEST("bls: a folder that the firmware cannot list to its end is a line in the log") {
    unsigned failed[2] = {0}, odd[2] = {0};
    set_up("bls = on\ntimeout = 1\nlog = info\n");
    add_folder("\\EFI\\Linux");
    add_image("\\EFI\\Linux\\arch.efi", "ID=arch\n");
    const struct fake base = fake;
    fake_boot();
    const struct fake seen = fake;
    for (uint64_t at = 1; at <= seen.calls; at++) {
        if (seen.kinds[at - 1] != FAKE_READ)
            continue;
        fake = base;
        fake.fail_at = at;
        fake.fail_status = EFI_DEVICE_ERROR;
        fake_boot();
        failed[0] += says("/loader/entries/", "device error");
        failed[1] += says("/EFI/Linux/", "device error");
    }
    for (uint64_t at = 1; at <= seen.reads; at++) {
        fake = base;
        fake.odd_read = at;
        fake.odd = FAKE_ODD_OVER;
        fake_boot();
        odd[0] += says("/loader/entries/", "volume corrupted");
        odd[1] += says("/EFI/Linux/", "volume corrupted");
    }
    // Two files, and one: each is a read, as is the end.
    assert_int_equal(failed[0], 3);
    assert_int_equal(failed[1], 2);
    assert_int_equal(odd[0], 2);
    assert_int_equal(odd[1], 1);
}
