// Entries of the Boot Loader Specification: texts as kernel-install writes them, os-release, order.
#include "loader/bls.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "loader/config_text.h"
#include "tests/unit/support/config_texts.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH "/loader/entries/6a9857a393724b7a981ebb5b8495b9ea-6.1.0-13-amd64.conf"

// As 90-loaderentry.install of systemd 252 writes it.
static const char kernel_install[] =
    "# Boot Loader Specification type#1 entry\n"
    "# File created by /usr/lib/kernel/install.d/90-loaderentry.install (systemd 252.17-1~deb12u1)\n"
    "title      Debian GNU/Linux 12 (bookworm)\n"
    "version    6.1.0-13-amd64\n"
    "machine-id 6a9857a393724b7a981ebb5b8495b9ea\n"
    "sort-key   debian\n"
    "options    root=UUID=0a1b quiet  splash\n"
    "linux      /6a9857a393724b7a981ebb5b8495b9ea/6.1.0-13-amd64/linux\n"
    "initrd     /6a9857a393724b7a981ebb5b8495b9ea/6.1.0-13-amd64/initrd.img-6.1.0-13-amd64\n";

static struct bls_entry entry;
static struct bls_error error;
static void *room;

// In memory of exactly the size, so that the sanitizer sees who goes beyond.
static struct config_text exact(const char *text) {
    static char *copies[3];
    static unsigned next;
    char **copy = &copies[next++ % ARRAY_LEN(copies)];
    free(*copy);
    *copy = malloc(strlen(text) + (*text == '\0'));
    memcpy(*copy, text, strlen(text));
    return (struct config_text){*copy, strlen(text)};
}

static enum bls_status parse(const char *path, const char *text) {
    free(room);
    room = malloc(bls_room(strlen(path), strlen(text)));
    return bls_parse(exact(path), exact(text), room, &entry, &error);
}

static void accept(const char *path, const char *text) {
    assert_int_equal(parse(path, text), BLS_OK);
}

static void refuse(const char *text, const char *want) {
    char storage[200];
    struct fmt_buffer buffer = fmt_buffer_make(storage, sizeof(storage));
    struct sink sink = fmt_buffer_sink(&buffer);
    entry = (struct bls_entry){.path_line = 77};
    assert_int_not_equal(parse(PATH, text), BLS_OK);
    assert_int_equal(entry.path_line, 77);
    bls_error_print(&sink, &error);
    assert_string_equal(storage, want);
}

TEST("bls: what kernel-install writes is an entry") {
    const struct config base = {.log = CONFIG_LOG_INFO, .kernel_digest = {.line = 1}};
    accept(PATH, kernel_install);
    config_expect_text(entry.file, PATH);
    config_expect_text(entry.name, "6a9857a393724b7a981ebb5b8495b9ea-6.1.0-13-amd64.conf");
    config_expect_text(entry.title, "Debian GNU/Linux 12 (bookworm) (6.1.0-13-amd64)");
    config_expect_text(entry.version, "6.1.0-13-amd64");
    config_expect_text(entry.sort_key, "debian");
    config_expect_text(entry.machine_id, "6a9857a393724b7a981ebb5b8495b9ea");
    assert_false(entry.is_spent);
    assert_int_equal(entry.ignored_line, 0);
    struct config config = bls_config(&entry, &base);
    config_expect_text(config.kernel, "/6a9857a393724b7a981ebb5b8495b9ea/6.1.0-13-amd64/linux");
    assert_int_equal(config.kernel_line, 8);
    assert_int_equal(config.kernel_digest.line, 0);
    config_expect_text(config.cmdline, "root=UUID=0a1b quiet  splash");
    assert_int_equal(config.protocol, CONFIG_PROTOCOL_LINUX);
    assert_int_equal(config.log, CONFIG_LOG_INFO);
    assert_int_equal(config.module_count, 1);
    config_expect_text(
        config.modules[0].path,
        "/6a9857a393724b7a981ebb5b8495b9ea/6.1.0-13-amd64/initrd.img-6.1.0-13-amd64");
    config_expect_text(config.modules[0].cmdline, "");
    assert_int_equal(config.modules[0].line, 9);
}

TEST("bls: initrds and options may be several, and other keys do not count") {
    accept("/loader/entries/f.conf", "linux /l\r\n"
                                     "\t initrd \t/a\n"
                                     "options a  b\n"
                                     "grub_users $grub_users\n"
                                     "devicetree /x.dtb\n"
                                     "options\n"
                                     "options c\n"
                                     "initrd /b c\n"
                                     "architecture x64\n"
                                     "#title x\n"
                                     "title T");
    config_expect_text(entry.cmdline, "a  b c");
    config_expect_text(entry.title, "T");
    config_expect_text(entry.ignored, "grub_users");
    assert_int_equal(entry.ignored_line, 4);
    assert_int_equal(entry.initrd_count, 2);
    config_expect_text(entry.initrds[1].path, "/b c");
    assert_int_equal(entry.initrds[1].line, 8);
    accept("f.conf", "efi /EFI/x.efi\n");
    assert_true(entry.is_efi);
    config_expect_text(entry.title, "f.conf");
    config_expect_text(entry.cmdline, "");
    assert_int_equal(bls_config(&entry, &(struct config){0}).protocol, CONFIG_PROTOCOL_EFI);
    accept("f.conf", "uki /x\nversion 1\n");
    assert_true(entry.is_efi);
    config_expect_text(entry.title, "f.conf");
}

TEST("bls: the room is enough for the most that a text can have") {
    accept("f.conf", "linux x\ninitrd a\ninitrd b\ninitrd c\ninitrd d\n");
    assert_int_equal(entry.initrd_count, 4);
    accept("+.conf", "title t\nversion v\noptions o\noptions p\noptions q\nlinux x");
    config_expect_text(entry.title, "t (v)");
    config_expect_text(entry.cmdline, "o p q");
    config_expect_text(entry.name, "+.conf");
    char many[17 + 100 * 9] = "options o\nuki x";
    for (unsigned i = 0; i < 100; i++)
        strcat(many, "\ninitrd a");
    accept("f.conf", many);
    assert_int_equal(entry.initrd_count, 100);
    config_expect_text(entry.initrds[99].path, "a");
    config_expect_text(entry.cmdline, "o");
    config_expect_text(entry.name, "f.conf");
}

TEST("bls: a key sets what it says and nothing else, and a line of nothing is no key") {
    accept("f.conf", "\nsort-key s\r\n\r\nmachine-id m\nversion v\ntitle t\n\t\nlinux /l\n#");
    config_expect_text(entry.title, "t (v)");
    config_expect_text(entry.version, "v");
    config_expect_text(entry.machine_id, "m");
    config_expect_text(entry.sort_key, "s");
    config_expect_text(entry.path, "/l");
    assert_int_equal(entry.ignored_line, 0);
    accept("f.conf", "x\nlinux /l");
    config_expect_text(entry.ignored, "x");
}

TEST("bls: a text that is none is refused, by line and key") {
    static char large[BLS_TEXT_MAX_BYTES + 2];
    refuse("", "none of linux, efi and uki");
    refuse("title x\nlinux\n", "none of linux, efi and uki");
    refuse("linux /a\nlinux /b", "line 2: 'linux' is there a second time");
    refuse("linux /a\n\nefi /b", "line 3: 'efi' is there besides another file to start");
    refuse("title a\ntitle b", "line 2: 'title' is there a second time");
    refuse("architecture aa64", "line 1: 'aa64' is another architecture than x64");
    // Of a long value the first 80 bytes are quoted, but for a character that does not fit.
    char long_value[] = "architecture [-----------------------------------------------------------"
                        "------------------\xe2\x82\xac";
    char long_text[200] = "line 1: '";
    strncat(long_text, strchr(long_value, '['), 78);
    refuse(long_value, strcat(long_text, "' is another architecture than x64"));
    refuse("initrd x", "none of linux, efi and uki"); // which has been put down by then
    refuse("linux /a\ntitle \xff", "line 2: not valid UTF-8");
    refuse("linux /a\ntitle a\x1b", "line 2: a control character");
    refuse("# \x7f", "line 1: a control character");
    refuse("\x1f", "line 1: a control character");
    memset(large, '#', sizeof(large) - 1);
    refuse(large, "more than 16 KiB");
    memcpy(large, "linux /a\n", 9);
    large[BLS_TEXT_MAX_BYTES] = '\0';
    accept("f.conf", large);
}

TEST("bls: a boot counter is no part of the name") {
    static const struct {
        const char *path, *name;
        bool is_spent;
    } cases[] = {
        {"/x/a+3.conf", "a.conf", false},      {"a+3-1.conf", "a.conf", false},
        {"a+0-3.conf", "a.conf", true},        {"a+0.conf", "a.conf", true},
        {"a+00-3.conf", "a.conf", true},       {"a+10-0.conf", "a.conf", false},
        {"a+01.conf", "a.conf", false},        {"a+b+2-2.conf", "a+b.conf", false},
        {"a+.conf", "a+.conf", false},         {"a+3-.conf", "a+3-.conf", false},
        {"a+3x.conf", "a+3x.conf", false},     {"a+3.1-2.conf", "a+3.1-2.conf", false},
        {"a-0.CONF", "a-0.CONF", false},       {"+3.conf", ".conf", false},
        {"a+9-9.conf", "a.conf", false},       {"a+x3.conf", "a+x3.conf", false},
        {"a+3-x1.conf", "a+3-x1.conf", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        accept(cases[i].path, "linux x");
        config_expect_text(entry.name, cases[i].name);
        assert_int_equal(entry.is_spent, cases[i].is_spent);
    }
}

static bool matches(const char *pattern, const char *name) {
    uint64_t pattern_bytes = strlen(pattern), name_bytes = strlen(name);
    char *copies[2] = {malloc(pattern_bytes), malloc(name_bytes)}; // exact
    memcpy(copies[0], pattern, pattern_bytes);
    memcpy(copies[1], name, name_bytes);
    bool is_one = bls_matches((struct config_text){copies[0], pattern_bytes},
                              (struct config_text){copies[1], name_bytes});
    free(copies[0]);
    free(copies[1]);
    return is_one;
}

TEST("bls: a pattern is for names as in sd-boot's loader.conf") {
    static const char *const good[][2] = {
        {"a.conf", "A.conf"},
        {"*", ""},
        {"*", "x"},
        {"arch*", "arch.conf"},
        {"*-arch.conf", "6-arch.conf"},
        {"*-A*.conf", "x-b-arch.conf"},
        {"**a**", "a"},
        {"?", "\xc3\xa4"},
        {"a?c", "abc"},
        {"aZ", "Az"},
        {"*ab*ab", "abaabcab"},
        {"*\xc3\xa4?", "x\xc3\xa4\xe2\x82\xac"},
    };
    static const char *const bad[][2] = {
        {"", "x"},           {"x", ""},           {"?", ""},
        {"a.conf", "a.con"}, {"a.con", "a.conf"}, {"*-arch.conf", "arch.conf"},
        {"?", "ab"},         {"a*b*c", "acb"},    {"*a", "ab"},
        {"[a]", "{a}"},      {"a*?", "a"},        {"ab*bx", "abx"},
    };
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(matches(good[i][0], good[i][1]));
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(matches(bad[i][0], bad[i][1]));
}

TEST("bls: files are known by their names") {
    static const char *const texts[] = {"a.conf", "A.CONF", "a.b.Conf"};
    static const char *const images[] = {"a.efi", "A.EFI"};
    static const char *const others[] = {"",        ".conf", ".efi",   ".a.conf", "conf",
                                         "a.conf~", "efi",   "a_conf", "a.cone"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_true(bls_is_text_name(exact(texts[i])));
    for (size_t i = 0; i < ARRAY_LEN(images); i++) {
        assert_true(bls_is_image_name(exact(images[i])));
        assert_false(bls_is_text_name(exact(images[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_false(bls_is_text_name(exact(others[i])));
        assert_false(bls_is_image_name(exact(others[i])));
    }
}

static void describe_with(const char *path, const char *osrel, struct config_text cmdline) {
    const struct bls_image image = {exact(path), exact(osrel), cmdline};
    free(room);
    room = malloc(bls_room(strlen(path), strlen(osrel)));
    bls_describe_image(&image, room, &entry);
}

static void describe(const char *path, const char *osrel) {
    describe_with(path, osrel, exact(""));
}

TEST("bls: an image's own command line is without what its section is filled up with") {
    describe_with("/a.efi", "ID=a\n\n", (struct config_text){"root=x \xc3\xa4 y \r\n\t\0\0", 17});
    config_expect_text(entry.embedded, "root=x \xc3\xa4 y");
    config_expect_text(entry.sort_key, "a");
    config_expect_text(entry.cmdline, "");
    static const char *const refused[] = {"", " \n", "a\nb", "\xff", "a\x7f"};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        describe_with("/a.efi", "", exact(refused[i]));
        config_expect_text(entry.embedded, "");
    }
}

TEST("bls: an image is described by its os-release") {
    describe("/EFI/Linux/debian+3-0.efi", "NAME=Debian\n"
                                          "PRETTY_NAME=\"Debian GNU/Linux 12\"\n"
                                          "ID=debian\nVERSION_ID='12'\n#IMAGE_ID=x\nIMAGE_ID=\n");
    config_expect_text(entry.file, "/EFI/Linux/debian+3-0.efi");
    config_expect_text(entry.path, "/EFI/Linux/debian+3-0.efi");
    config_expect_text(entry.name, "debian.efi");
    config_expect_text(entry.title, "Debian GNU/Linux 12");
    config_expect_text(entry.version, "12");
    config_expect_text(entry.sort_key, "debian");
    assert_true(entry.is_efi);
    assert_int_equal(entry.path_line, 0);
    describe("/EFI/Linux/a.efi", "PRETTY_NAME=\"\xff\"\nNAME=\"a\nID=\"");
    config_expect_text(entry.title, "\"a");
    config_expect_text(entry.sort_key, "\"");
    describe("/EFI/Linux/a.efi", "NAME=\"\"\nPRETTY_NAME='\nIMAGE_ID=~\nID=i\n");
    config_expect_text(entry.title, "'");
    config_expect_text(entry.sort_key, "~");
    describe("/EFI/Linux/a.efi", "PRETTY_NAME=\"\"\nNAME=\x1f"
                                 "b\nIMAGE_ID=c\x7f\nID=d\n");
    config_expect_text(entry.title, "d");
    describe("/EFI/Linux/a.efi", "");
    config_expect_text(entry.title, "a.efi");
    config_expect_text(entry.sort_key, "");
}

// ---- Order

TEST("bls: versions are in the order of the version format's examples") {
    static const char *const rising[] = {"~",    "",     "0",    "1~rc1", "1",   "1-1",
                                         "1-2",  "1^",   "1^1",  "1.0",   "1.1", "1.1a",
                                         "1.1b", "1.02", "1.10", "2",     "10"};
    for (size_t i = 0; i < ARRAY_LEN(rising); i++) {
        for (size_t j = 0; j < ARRAY_LEN(rising); j++) {
            int order = bls_compare_versions(exact(rising[i]), exact(rising[j]));
            bool is_same = strcmp(rising[i], rising[j]) == 0;
            if (is_same ? order != 0 : (order < 0) != (i < j))
                fail_msg("'%s' and '%s': %d", rising[i], rising[j], order);
        }
    }
    static const char *const same[][2] = {
        {"123", "0123"}, {"a_", "a"}, {"1 2", "1 2"}, {"", "_"}, {"1-", "1-"}};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        assert_int_equal(bls_compare_versions(exact(same[i][0]), exact(same[i][1])), 0);
    static const char *const less[][2] = {
        {"a", "b"},      {"B", "a"},  {"ab", "abc"}, {"a", "1"}, {"6.1.0-9-x", "6.1.0-13-x"},
        {"122", "0123"}, {"-a", "a"}, {"", "1"},     {"", "0"},  {"", "9"},
        {"", "a"},       {"", "z"},   {"", "A"},     {"", "Z"}};
    for (size_t i = 0; i < ARRAY_LEN(less); i++) {
        assert_true(bls_compare_versions(exact(less[i][0]), exact(less[i][1])) < 0);
        assert_true(bls_compare_versions(exact(less[i][1]), exact(less[i][0])) > 0);
    }
}

static struct bls_entry make(const char *name, const char *sort_key, const char *machine_id,
                             const char *version, bool is_spent) {
    return (struct bls_entry){
        .file = config_text_of(""),
        .name = config_text_of(name),
        .sort_key = config_text_of(sort_key),
        .machine_id = config_text_of(machine_id),
        .version = config_text_of(version),
        .is_spent = is_spent,
    };
}

TEST("bls: entries are sorted as the specification says") {
    const struct bls_entry sorted[] = {
        make("a", "arch", "2", "1", false),    make("z", "debian", "1", "10", false),
        make("y", "debian", "1", "9", false),  make("c", "debian", "1", "9", false),
        make("b", "debian", "2", "11", false), make("x-10", "", "9", "1", false),
        make("x-9", "", "1", "2", false),      make("a", "arch", "1", "2", true),
        make("z", "", "1", "2", true),
    };
    enum { COUNT = ARRAY_LEN(sorted) };
    for (unsigned seed = 1; seed < 60; seed++) {
        struct bls_entry entries[COUNT];
        for (unsigned i = 0; i < COUNT; i++)
            entries[i] = sorted[(i * (seed % 8 == 2 || seed % 8 == 5 ? 2 : 4) + seed) % COUNT];
        bls_sort(entries, COUNT);
        for (unsigned i = 0; i < COUNT; i++) {
            assert_ptr_equal(entries[i].name.text, sorted[i].name.text);
            assert_int_equal(entries[i].is_spent, sorted[i].is_spent);
        }
    }
    bls_sort(NULL, 0);
}

TEST("bls: thousands are sorted, those of one name by their files") {
    enum { COUNT = 5000 };
    static struct bls_entry entries[COUNT];
    static char files[COUNT][8];
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t number = (i * 2671 + 7) % COUNT; // each once
        entries[i] = make("same", "", "", "", false);
        snprintf(files[i], sizeof(files[i]), "f%04u", number);
        entries[i].file = config_text_of(files[i]);
    }
    bls_sort(entries, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        char want[8];
        snprintf(want, sizeof(want), "f%04u", i);
        config_expect_text(entries[i].file, want);
    }
}

TEST("bls: a sort-key of one letter is one, and entries that are the same stay in their order") {
    struct bls_entry entries[] = {make("a", "s", "2", "1", false), make("z", "s", "1", "1", false),
                                  make("a", "", "1", "1", false), make("a", "", "1", "1", false),
                                  make("a", "", "1", "1", false)};
    for (uint32_t i = 0; i < ARRAY_LEN(entries); i++)
        entries[i].path_line = i;
    bls_sort(entries, ARRAY_LEN(entries));
    static const uint32_t want[] = {1, 0, 2, 3, 4};
    for (uint32_t i = 0; i < ARRAY_LEN(entries); i++)
        assert_int_equal(entries[i].path_line, want[i]);
}
