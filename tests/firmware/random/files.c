// The config and the modules at random.
#include "tests/firmware/random/boot.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { POOL_BYTES = 3 << 20 };

static uint8_t pool[POOL_BYTES]; // what modules are made of
static char config[BOOT_TEXT_BYTES];
static size_t config_bytes;
static bool has_other_config;       // before it in the list of files, and unread
static char texts[BOOT_TEXT_BYTES]; // that outlive the boot
static size_t texts_bytes;

static void fill_pool(void) {
    struct random random = {1};
    for (uint64_t at = 0; pool[0] == 0 && at < POOL_BYTES; at += 8) {
        uint64_t bytes = random_next(&random) | 1;
        memcpy(pool + at, &bytes, sizeof(bytes));
    }
}

[[gnu::format(printf, 1, 2)]] static char *keep_text(const char *format, ...) {
    char *text = texts + texts_bytes;
    va_list arguments;
    va_start(arguments, format);
    texts_bytes += (size_t)vsnprintf(text, sizeof(texts) - texts_bytes, format, arguments) + 1;
    va_end(arguments);
    return text;
}

static void write_config(const char *text) {
    size_t bytes = strlen(text);
    memcpy(config + config_bytes, text, bytes);
    config_bytes += bytes;
}

// Words, with spaces between them and none around them; no quote comes first.
static char *random_line(struct boot *boot, uint64_t words) {
    static const char *const all[] = {
        "quiet", "root=ram0",     "=",    "x#y", "a=b", "\xc3\xa9t\xc3\xa9", "\\",
        "0",     "console=ttyS0", "\"q\""};
    char *text = keep_text("%s", "");
    for (uint64_t i = 0; i < words; i++) {
        texts_bytes--;
        keep_text("%s%s",
                  i == 0                  ? ""
                  : boot_chance(boot, 80) ? " "
                                          : "\t ",
                  all[boot_below(boot, ARRAY_LEN(all) - (i == 0))]);
    }
    return text;
}

// The path of a file as the config may spell it: separators of either kind, one or more or, at the
// start, none.
static const char *spell(struct boot *boot, const char *path) {
    char *spelling = keep_text("%s", "");
    const char *at = path + (boot_chance(boot, 20) ? 1 : 0);
    for (; *at != '\0'; at++) {
        texts_bytes--;
        if (*at == '\\')
            keep_text("%s", boot_chance(boot, 50) ? "/" : boot_chance(boot, 90) ? "\\" : "/\\/");
        else
            keep_text("%c", *at);
    }
    return spelling;
}

// ---- The config's lines

static const char *blanks(struct boot *boot) {
    static const char *const all[] = {"", " ", " ", "\t", "  "};
    return all[boot_below(boot, ARRAY_LEN(all))];
}

static void end_line(struct boot *boot) {
    write_config(blanks(boot));
    write_config(boot_chance(boot, 10) ? "\r\n" : "\n");
}

static void write_key(struct boot *boot, const char *key, const char *value) {
    while (boot_chance(boot, 15)) {
        write_config(boot_chance(boot, 50) ? "# = a comment" : "");
        end_line(boot);
    }
    write_config(blanks(boot));
    write_config(key);
    write_config(blanks(boot));
    write_config("=");
    write_config(blanks(boot));
    write_config(value);
}

// In quotes, where it must be or, if it has none, at random.
static void write_text(struct boot *boot, const char *text, bool must_quote) {
    bool is_quoted = must_quote || (strchr(text, '"') == NULL && boot_chance(boot, 30));
    write_config(is_quoted ? "\"" : "");
    write_config(text);
    write_config(is_quoted ? "\"" : "");
}

static void write_module(struct boot *boot, const struct boot_module *module) {
    write_key(boot, "module", "");
    write_text(boot, module->path, strchr(module->path, ' ') != NULL);
    if (module->cmdline[0] != '\0') {
        write_config(boot_chance(boot, 80) ? " " : "\t ");
        write_text(boot, module->cmdline, false);
    }
    end_line(boot);
}

enum { SINGLE_KEYS = 6 };

// One of the keys that stand once; those with their defaults may be missing.
static void write_single(struct boot *boot, uint64_t which) {
    switch (which) {
    case 0:
        if (strcmp(boot->kernel_path, "\\kernel.elf") != 0 || boot_chance(boot, 20)) {
            write_key(boot, "kernel", "");
            write_text(boot, boot->kernel_path, false);
            end_line(boot);
        }
        break;
    case 1:
        if (boot->cmdline[0] != '\0' || boot_chance(boot, 10)) {
            write_key(boot, "cmdline", "");
            write_text(boot, boot->cmdline, boot->cmdline[0] == '\0');
            end_line(boot);
        }
        break;
    case 2:
        if (strcmp(boot->log, "quiet") != 0 || boot_chance(boot, 20)) {
            write_key(boot, "log", boot->log);
            end_line(boot);
        }
        break;
    case 3:
        if (boot->resolution != NULL) {
            write_key(boot, "resolution", boot->resolution);
            end_line(boot);
        }
        break;
    case 4:
        if (boot_chance(boot, 20)) {
            bool keeps = boot_chance(boot, 50);
            boot->keeps_screen |= keeps;
            write_key(boot, "clear", keeps ? "off" : "on");
            end_line(boot);
        }
        break;
    default:
        if (boot->has_digests || boot_chance(boot, 20)) {
            write_key(boot, "digest", boot->has_digests ? "sha256" : "none");
            end_line(boot);
        }
        break;
    }
}

static void write_all(struct boot *boot) {
    uint64_t first = boot_below(boot, SINGLE_KEYS);
    uint32_t module = 0;
    if (boot_chance(boot, 10))
        write_config("\xef\xbb\xbf");
    for (uint64_t i = 0; i < SINGLE_KEYS; i++) {
        while (module < boot->module_count && boot_chance(boot, 40))
            write_module(boot, &boot->modules[module++]);
        write_single(boot, (first + i) % SINGLE_KEYS);
    }
    while (module < boot->module_count)
        write_module(boot, &boot->modules[module++]);
    if (config_bytes != 0 && config[config_bytes - 1] == '\n' && boot_chance(boot, 20))
        config_bytes--; // no newline at the end
}

// ---- Modules

static uint64_t random_bytes(struct boot *boot) {
    switch (boot_below(boot, 8)) {
    case 0:
        return 0;
    case 1:
        return FRAME_BYTES * (1 + boot_below(boot, 4));
    case 2:
        return FRAME_BYTES * (1 + boot_below(boot, 4)) - 1 + 2 * boot_below(boot, 2);
    case 3:
        return boot_chance(boot, 8) ? MIB(2) - 2 + boot_below(boot, 40000) : 1;
    default:
        return 1 + boot_below(boot, 20000);
    }
}

// Firmware that fails on large reads, or gives less than it was asked for.
static void make_slow(struct boot *boot, struct fake_file *file) {
    if (boot_chance(boot, 10))
        file->fails_above = FRAME_BYTES << boot_below(boot, 8);
    if (boot_chance(boot, 10))
        file->gives_at_most = max_u64(1 + boot_below(boot, 5000), file->bytes / 64);
    if (file->fails_above != 0 || file->gives_at_most != 0)
        boot_tell(boot, "reads of at most %lu bytes, giving %lu; ", file->fails_above,
                  file->gives_at_most);
}

static void add_module(struct boot *boot) {
    uint64_t bytes = random_bytes(boot);
    uint64_t cost = bytes / FRAME_BYTES + 3 + (bytes >= MIB(2) ? MIB(2) / FRAME_BYTES : 0);
    if (boot->pages < cost + 1000)
        return;
    boot->pages -= cost;
    char *path = keep_text("\\%sm%u%s", boot_chance(boot, 50) ? "boot\\" : "", boot->module_count,
                           boot_chance(boot, 50)   ? ".img"
                           : boot_chance(boot, 20) ? " b"
                                                   : "");
    struct boot_module *module = &boot->modules[boot->module_count++];
    *module = (struct boot_module){
        .path = spell(boot, path),
        .cmdline = random_line(boot, boot_below(boot, 2) * boot_below(boot, 6)),
        .contents = pool + boot_below(boot, POOL_BYTES - bytes),
        .bytes = bytes,
    };
    boot_tell(boot, "module of %lu bytes, ", bytes);
    make_slow(boot, fake_add_file(path, module->contents, bytes));
}

static void make_modules(struct boot *boot) {
    static const uint64_t bounds[] = {1, 3, 3, 3, 8};
    uint64_t count = boot_below(boot, bounds[boot_below(boot, ARRAY_LEN(bounds))]);
    if (boot_chance(boot, 3))
        count = BOOT_MODULES_MAX - boot_below(boot, 4);
    for (uint64_t i = 0; i < count; i++)
        add_module(boot);
}

// In the loader's folder, with another in the root or without; or in the root. Of an image without
// a path nobody knows the folder.
static const char *choose_config_path(struct boot *boot) {
    static const struct {
        EFI_DEVICE_PATH head;
        CHAR16 name[16];
        EFI_DEVICE_PATH end;
    } path = {{MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {36, 0}},
              L"\\EFI\\x\\boot.efi",
              {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {4, 0}}};
    bool is_beside = boot_chance(boot, 30);
    fake.image_path = is_beside || boot_chance(boot, 50) ? &path : NULL;
    if (!is_beside)
        return "\\slipway.conf";
    boot_tell(boot, "beside the loader: ");
    has_other_config = boot_chance(boot, 50);
    if (has_other_config)
        fake_add_file("\\slipway.conf", "cmdline = of another", 20);
    return "\\EFI\\x\\slipway.conf";
}

void boot_make_files(struct boot *boot) {
    static const char *const paths[] = {"\\kernel.elf", "\\kernel.elf", "\\boot\\my kernel",
                                        "\\a\\b\\c"};
    static const char *const levels[] = {"quiet", "quiet", "info", "debug"};
    config_bytes = texts_bytes = 0;
    has_other_config = false;
    fill_pool();
    boot->has_config = boot->resolution != NULL || boot_chance(boot, 90);
    const char *path = boot->has_config ? paths[boot_below(boot, ARRAY_LEN(paths))] : paths[0];
    boot->kernel_path = boot->has_config ? spell(boot, path) : path;
    boot->cmdline = boot->log = "";
    make_slow(boot, fake_add_file(path, boot_kernel_file, boot->kernel.file_bytes));
    if (!boot->has_config) {
        boot->log = "quiet";
        return;
    }
    boot->cmdline = random_line(boot, boot_below(boot, boot_chance(boot, 25) ? 120 : 8));
    boot->log = levels[boot_below(boot, ARRAY_LEN(levels))];
    boot->has_digests = boot_chance(boot, 10);
    make_modules(boot);
    write_all(boot);
    boot_tell(boot, "log %s, config of %lu bytes%s; ", boot->log, config_bytes,
              boot->has_digests ? ", digests" : "");
    make_slow(boot, fake_add_file(choose_config_path(boot), config, config_bytes));
}

// ---- What can be wrong

static void break_config(struct boot *boot, struct fake_file *file) {
    static const char *const lines[] = {
        "kernl = x",     "log = loud", "cmdline",       "= x",
        "cmdline =",     "\x01 = a",   "module = \xff", "log=quiet\nlog=quiet",
        "module = \\no", "digest=sha1"};
    const char *line = lines[boot_below(boot, ARRAY_LEN(lines))];
    write_config("\n");
    write_config(line);
    file->bytes = config_bytes;
    file->gives_at_most = 0;
    boot->files_must_fail = true;
    boot_tell(boot, "WRONG: the config ends in '%s'; ", line);
}

static void break_reads(struct boot *boot, struct fake_file *file) {
    uint64_t offset = 1 + boot_below(boot, max_u64(file->bytes, 1));
    boot->may_fail = true;
    boot_tell(boot, "WRONG: from byte %lu on, ", offset);
    if (boot_chance(boot, 40)) {
        file->ends_early = offset;
        boot_tell(boot, "reads give nothing; ");
    } else {
        file->bad_offset = offset;
        boot_tell(boot, "reads fail; ");
    }
}

// A size has two sources. One that lies is found out by the other and a byte that can be read; for
// an empty file there is none, and both sizes may be what it has.
static void lie_of_size(struct boot *boot, struct fake_file *file) {
    const uint64_t claims[] = {UINT64_MAX, UINT64_MAX - 1,      file->bytes + 1,
                               1,          file->bytes / 2 + 1, UINT64_C(1) << 40};
    uint64_t info = boot_below(boot, 3);
    uint64_t end = boot_below(boot, 3);
    file->has_no_info = info == 1;
    file->lies_by_info = info == 2;
    file->info_bytes = claims[boot_below(boot, ARRAY_LEN(claims))];
    file->end_is_fixed = end == 1;
    file->end_is_unknown = end == 2;
    bool is_lost = info != 0 && end != 0;
    boot->has_odd_size = end != 0;
    boot->may_fail |= is_lost || (info == 2 && file->bytes == 0);
    boot->has_lies |= is_lost && info == 2;
    boot->files_must_fail |= info == 1 && (end == 2 || (end == 1 && file->bytes != 0));
    boot_tell(boot, "WRONG: GetInfo %s (%lu), its end %s; ",
              info == 0   ? "is right"
              : info == 1 ? "fails"
                          : "lies",
              file->info_bytes,
              end == 0   ? "is right"
              : end == 1 ? "is not reached"
                         : "is unknown");
}

// What is read is nothing that firmware could have written: the loader must notice.
static void exaggerate(struct boot *boot, struct fake_file *file) {
    file->claims_more = 1 + boot_below(boot, 5000);
    file->gives_at_most = 0; // within what was asked for nobody could notice
    if (boot_chance(boot, 50)) {
        file->claims_more = 1;
        file->fails_above = FRAME_BYTES; // what was asked for is not all that is wanted
    }
    boot->may_fail = true;
    boot->files_must_fail |= file->bytes != 0;
    boot_tell(boot, "WRONG: a read claims %lu bytes more; ", file->claims_more);
}

// One fault of one file: two could hide each other.
void boot_break_files(struct boot *boot) {
    uint32_t number = (uint32_t)boot_below(boot, fake.file_count);
    number += has_other_config && number == fake.file_count - 2;
    struct fake_file *file = &fake.files[number];
    bool is_config = boot->has_config && number == fake.file_count - 1;
    if (boot->has_broken_files)
        return;
    boot->has_broken_files = true;
    boot_tell(boot, "%s: ", file->path);
    switch (boot_below(boot, 8)) {
    case 0:
    case 1:
        if (boot->has_config)
            break_config(boot, &fake.files[fake.file_count - 1]);
        break;
    case 2:
        file->path = "\\elsewhere";
        boot->files_must_fail = !is_config;
        boot->has_lies = is_config;
        boot->may_fail = true;
        boot_tell(boot, "WRONG: missing; ");
        break;
    case 3:
        file->is_directory = true;
        boot->files_must_fail = true;
        boot_tell(boot, "WRONG: a directory; ");
        break;
    case 4:
        lie_of_size(boot, file);
        break;
    case 5:
        exaggerate(boot, file);
        break;
    default:
        break_reads(boot, file);
        break;
    }
}
