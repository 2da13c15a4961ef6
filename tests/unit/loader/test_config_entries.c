#include "loader/config.h"

#include "loader/bls.h"
#include "loader/config_text.h"
#include "tests/unit/support/config_texts.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

#define LEAST ": at least one, such as title"

static struct config_room room;

static struct config_file accept(const char *text) {
    room = config_room_for(strlen(text));
    return config_accept(text, room);
}

static struct config choose(const struct config_file *file, uint32_t entry) {
    return config_of_entry(file, &file->entries[entry], room);
}

TEST("entries: what stands above the first holds for all, and an entry's keys take its place") {
    struct config_file file = accept("kernel = k\n"
                                     "log = info\n"
                                     "cmdline = all\n"
                                     "module = m\n"
                                     "sha256 = " DIGEST "\n"
                                     "[one]\n"
                                     "title = The first\n"
                                     "module = m1 x\r\n"
                                     "\n"
                                     "[two]\n"
                                     "# with blanks\n"
                                     "kernel = \"k 2\"\n"
                                     "log = debug\n"
                                     "cmdline = \"\"\n"
                                     "module = m2\n"
                                     "module = m3\n"
                                     "paging = 4");
    assert_int_equal(file.entry_count, 2);
    assert_int_equal(file.default_entry, 0);
    assert_int_equal(file.timeout, CONFIG_TIMEOUT_DEFAULT);
    assert_int_equal(file.config.log, CONFIG_LOG_INFO);
    assert_int_equal(file.config.module_count, 1);
    config_expect_text(file.entries[0].name, "one");
    config_expect_text(file.entries[0].title, "The first");
    assert_int_equal(file.entries[0].line, 6);
    config_expect_text(file.entries[1].title, "two");
    assert_int_equal(file.entries[1].line, 10);

    struct config two = choose(&file, 1);
    config_expect_text(two.kernel, "k 2");
    assert_int_equal(two.kernel_line, 12);
    config_expect_text(two.cmdline, "");
    assert_int_equal(two.log, CONFIG_LOG_DEBUG);
    assert_int_equal(two.paging, CONFIG_PAGING_4);
    assert_int_equal(two.module_count, 3);
    config_expect_text(two.modules[0].path, "m");
    assert_int_equal(two.modules[0].digest.line, 5);
    config_expect_text(two.modules[1].path, "m2");
    config_expect_text(two.modules[2].path, "m3");
    assert_int_equal(two.modules[2].line, 16);

    struct config one = choose(&file, 0);
    config_expect_text(one.kernel, "k");
    assert_int_equal(one.kernel_line, 1);
    config_expect_text(one.cmdline, "all");
    assert_int_equal(one.log, CONFIG_LOG_INFO);
    assert_int_equal(one.paging, CONFIG_PAGING_UNSET);
    assert_int_equal(one.module_count, 2);
    config_expect_text(one.modules[1].path, "m1");
    config_expect_text(one.modules[1].cmdline, "x");
    assert_int_equal(one.modules[1].line, 8);
}

TEST("entries: every key but those of the choice may stand in one") {
    static const char *const keys[] = {
        "title=x",
        "kernel=x",
        "cmdline=x",
        "log=debug",
        "module=x",
        "digest=none",
        "paging=5",
        "resolution=native",
        "clear=off",
        "protocol=efi",
        "strict=off",
        "kaslr=on",
        ("kernel=x\nsha256=" DIGEST),
    };
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char text[200];
        snprintf(text, sizeof(text), "[a]\n%s\n[b]\n%s", keys[i], keys[i]);
        struct config_file file = accept(text);
        assert_int_equal(file.entry_count, 2);
    }
}

TEST("entries: a digest is of the file named just before it, in the same section") {
    config_refuse("kernel=x\n[a]\nsha256=" DIGEST, CONFIG_ERR_NO_FILE,
                  "line 3, column 1: key 'sha256' has no kernel or module before it");
    struct config_file file = accept("kernel=x\n"
                                     "sha256=" DIGEST "\n"
                                     "[a]\nkernel=y\n[b]\nlog=info\n");
    assert_int_equal(choose(&file, 0).kernel_digest.line, 0);
    assert_int_equal(choose(&file, 1).kernel_digest.line, 2);
}

TEST("entries: the default is any of them, wherever it stands") {
    assert_int_equal(accept("default=b\n[a]\nlog=info\n[b]\nlog=info\n").default_entry, 1);
    assert_int_equal(accept("default = \"a\"\n[a]\nlog=info\n[b]\nlog=info\n").default_entry, 0);
    config_refuse("\ndefault =  c\n[a]\nlog=info\n[b]\nlog=info\n", CONFIG_ERR_NO_ENTRY,
                  "line 2, column 12: there is no entry 'c'; entries are a, b");
    config_refuse("default=c", CONFIG_ERR_NO_ENTRY,
                  "line 1, column 9: there is no entry 'c', nor any: a line [NAME] begins one");
    config_refuse("default=j\n[a]\nlog=info\n[b]\nlog=info\n[c]\nlog=info\n[d]\nlog=info\n"
                  "[e]\nlog=info\n[f]\nlog=info\n[g]\nlog=info\n[h]\nlog=info\n",
                  CONFIG_ERR_NO_ENTRY,
                  "line 1, column 9: there is no entry 'j'; entries are a, b, c, d, e, f, g, h");
    config_refuse("default=j\n[a]\nlog=info\n[b]\nlog=info\n[c]\nlog=info\n[d]\nlog=info\n"
                  "[e]\nlog=info\n[f]\nlog=info\n[g]\nlog=info\n[h]\nlog=info\n[i]\nlog=info\n",
                  CONFIG_ERR_NO_ENTRY,
                  "line 1, column 9: there is no entry 'j'; entries are a, b, c, d, e, f, g, h, "
                  "...");
}

TEST("entries: the time-out is a number of seconds, or none") {
    assert_int_equal(accept("timeout=0\n[a]\nlog=info").timeout, 0);
    assert_int_equal(accept("timeout=86400\n").timeout, 86400);
    assert_int_equal(accept("timeout = none\n").timeout, CONFIG_TIMEOUT_NONE);
    const char *const bad[] = {"86401", "-1", "5s", "99999999999999999999", "never"};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[100], message[200];
        snprintf(text, sizeof(text), "timeout=%s", bad[i]);
        snprintf(message, sizeof(message),
                 "line 1, column 9: '%s' is not a number of seconds (0 to 86400) or none", bad[i]);
        config_refuse(text, CONFIG_ERR_CHOICE, message);
    }
}

TEST("entries: a key in the wrong place is refused, and told its place") {
    config_refuse("title=x\n[a]\nlog=info", CONFIG_ERR_ONLY_IN_ENTRY,
                  "line 1, column 1: key 'title' belongs to an entry, below a line [NAME]");
    config_refuse("[a]\ndefault=a\n", CONFIG_ERR_ONLY_ABOVE,
                  "line 2, column 1: key 'default' belongs above the first entry");
    config_refuse("[a]\nlog=info\n timeout=1\n", CONFIG_ERR_ONLY_ABOVE,
                  "line 3, column 2: key 'timeout' belongs above the first entry");
}

TEST("entries: a key twice in one is refused, in two and above them it is not") {
    assert_int_equal(accept("log=info\n[a]\nlog=info\n[b]\nlog=info").entry_count, 2);
    config_refuse("log=info\n[a]\nlog=info\n[b]\nlog=info\nlog=info", CONFIG_ERR_DUPLICATE,
                  "line 6, column 1: key 'log' is set a second time, first in line 5");
    config_refuse("[a]\ntitle=x\ntitle=x", CONFIG_ERR_DUPLICATE,
                  "line 3, column 1: key 'title' is set a second time, first in line 2");
}

TEST("entries: a section's line is a name in brackets, and nothing else") {
    config_refuse(" [a\nlog=info", CONFIG_ERR_NO_BRACKET, "line 1, column 2: no ']' in '[a'");
    config_refuse("[a] x\nlog=info", CONFIG_ERR_AFTER_BRACKET,
                  "line 1, column 4: text after the ']' in '[a] x'");
    config_refuse("[]\nlog=info", CONFIG_ERR_NAME,
                  "line 1, column 2: '' is no name of an entry: blanks, quotes, '[', ']' and '=' "
                  "are not");
    config_refuse("[=]\nlog=info", CONFIG_ERR_NAME,
                  "line 1, column 2: '=' is no name of an entry: blanks, quotes, '[', ']' and '=' "
                  "are not");
    const char bytes[] = " \t\"[=";
    for (unsigned i = 0; i < sizeof(bytes) - 1; i++) {
        char text[40], message[200];
        snprintf(text, sizeof(text), "[ab%c]\nlog=info", bytes[i]);
        snprintf(message, sizeof(message),
                 "line 1, column 4: 'ab%c' is no name of an entry: blanks, quotes, '[', ']' and "
                 "'=' are not",
                 bytes[i]);
        config_refuse(text, CONFIG_ERR_NAME, message);
    }
    config_expect_text(accept(" \t[k\xc3\xa4se-1.2_x]\t\nlog=info").entries[0].name,
                       "k\xc3\xa4se-1.2_x");
}

TEST("entries: a name twice and an entry without a key are refused, the last one too") {
    config_refuse("[a]\nlog=info\n[b]\nlog=info\n[a]\nlog=info", CONFIG_ERR_SECOND_ENTRY,
                  "line 5, column 2: entry 'a' is there a second time, first in line 1");
    config_refuse("\n  [a]\n# log=info\n[b]\nlog=info", CONFIG_ERR_EMPTY_ENTRY,
                  "line 2, column 4: entry 'a' has no key below it" LEAST);
    config_refuse("[a]\nlog=info\n[b]", CONFIG_ERR_EMPTY_ENTRY,
                  "line 3, column 2: entry 'b' has no key below it" LEAST);
    config_refuse("[a]", CONFIG_ERR_EMPTY_ENTRY,
                  "line 1, column 2: entry 'a' has no key below it" LEAST);
}

TEST("entries: there is no limit but the text's, and each is found by its name") {
    enum { COUNT = 3000 };
    char *text = malloc(COUNT * 64);
    char *end = text;
    for (unsigned i = 0; i < COUNT; i++)
        end += sprintf(end, "[e%u]\nmodule=m%u\nmodule=n%u\n", i, i, i);
    struct config_file file = accept(text);
    assert_int_equal(file.entry_count, COUNT);
    for (unsigned i = 0; i < COUNT; i += 71) {
        char name[20], path[20];
        struct config_text wanted = {name, (uint64_t)sprintf(name, "e%u", i)};
        const struct config_entry *entry = config_find_entry(&file, wanted);
        assert_ptr_equal(entry, &file.entries[i]);
        struct config config = config_of_entry(&file, entry, room);
        assert_int_equal(config.module_count, 2);
        sprintf(path, "n%u", i);
        config_expect_text(config.modules[1].path, path);
    }
    assert_null(config_find_entry(&file, (struct config_text){"e", 1}));
    free(text);
}

TEST("entries: as short as can be, they fit into the room that a text of their length has") {
    char text[26 * 12];
    for (unsigned count = 1; count < 26; count++) {
        text[0] = '\0';
        for (unsigned i = 0; i < count; i++)
            sprintf(text + strlen(text), "%s[%c]\ntitle=x", i == 0 ? "" : "\n", 'a' + i);
        struct config_file file = accept(text);
        assert_int_equal(file.entry_count, count);
        // One more may be there when the text is refused for it.
        assert_int_equal(config_entry_bound(strlen(text)), count + 1);
    }
}

TEST("entries: a text cut at any byte is accepted or refused, and never read past its end") {
    const char text[] = "default=b\ntimeout=3\n[a]\ntitle=A\nmodule=m\n[b]\r\nkernel=k\r\n";
    for (uint64_t bytes = 0; bytes < sizeof(text); bytes++) {
        struct config_file file;
        struct config_error error = {.status = CONFIG_OK};
        char *copy = config_exact(text, bytes);
        struct config_room exact = config_room_for(bytes);
        enum config_status status = config_parse(copy, bytes, exact, &file, &error);
        assert_int_equal(status, error.status);
        for (uint32_t i = 0; status == CONFIG_OK && i < file.entry_count; i++)
            (void)config_of_entry(&file, &file.entries[i], exact);
        free(copy);
    }
}

TEST("entries: of what the volume has the default may be one, if that is asked for") {
    assert_false(accept("log=info").has_bls);
    assert_false(accept("bls=off").has_bls);
    struct config_file file = accept("default = x.conf\nbls = on\n[a]\nlog=info\n");
    assert_true(file.has_bls);
    config_expect_text(file.default_name, "x.conf");
    assert_int_equal(file.default_entry, 0);
    file = accept("bls = on\ndefault = b\n[a]\nlog=info\n[b]\nlog=info\n");
    assert_null(file.default_name.text);
    assert_int_equal(file.default_entry, 1);
    config_refuse("bls=yes", CONFIG_ERR_CHOICE, "line 1, column 5: 'yes' is not on or off");
    config_refuse("[a]\nbls=on", CONFIG_ERR_ONLY_ABOVE,
                  "line 2, column 1: key 'bls' belongs above the first entry");
    config_refuse("default = c\nbls = off\n[a]\nlog=info", CONFIG_ERR_NO_ENTRY,
                  "line 1, column 11: there is no entry 'c'; entries are a");
}

TEST("entries: one of the volume's has what holds for all but kernel, command line and modules") {
    struct config_file file = accept("bls = on\nkernel=k\ncmdline=c\nlog=info\nmodule=m\n");
    struct config_module initrd = {.path = config_text_of("/i")};
    const struct bls_entry bls = {.path = config_text_of("/l"),
                                  .path_line = 4,
                                  .cmdline = config_text_of("o"),
                                  .initrds = &initrd,
                                  .initrd_count = 1};
    const struct config_entry entry = {.bls = &bls};
    file.entry_count = 1;
    struct config config = config_of_entry(&file, &entry, room);
    config_expect_text(config.kernel, "/l");
    config_expect_text(config.cmdline, "o");
    assert_int_equal(config.kernel_line, 4);
    assert_int_equal(config.log, CONFIG_LOG_INFO);
    assert_int_equal(config.protocol, CONFIG_PROTOCOL_LINUX);
    assert_ptr_equal(config.modules, &initrd);
    assert_int_equal(config.module_count, 1);
}
