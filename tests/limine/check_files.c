// The executable's file, its command line, and modules.
//
// The kernel's file ends with a line of text that limine.mk puts there, of TRAILER_BYTES: the CRC
// of all before it, by POSIX cksum, as ten digits, and some more. A module whose string begins with
// `pattern ` and a number has as many bytes, the i-th being i * 7 + i / 251 + 3.
#include "boot.h"
#include "checks.h"
#include "memory.h"
#include "requests.h"
#include "tables.h"
#include "tap.h"

#include <stddef.h>

enum { TRAILER_BYTES = 32, CRC_DIGITS = 10 };
static const char trailer_text[] = " is the CRC of it all\n";
_Static_assert(CRC_DIGITS + sizeof(trailer_text) - 1 == TRAILER_BYTES, "as limine.mk has it");

#define CONTENT_TYPES (TYPE(EXECUTABLE_AND_MODULES) | TYPES_OF_LOADER)

static uint32_t add_to_crc(uint32_t crc, uint8_t byte) {
    crc ^= (uint32_t)byte << 24;
    for (int bit = 0; bit < 8; bit++)
        crc = crc << 1 ^ (crc & UINT32_C(0x80000000) ? UINT32_C(0x04c11db7) : 0);
    return crc;
}

static uint32_t crc_of(const uint8_t *data, uint64_t bytes) {
    uint32_t crc = 0;
    for (uint64_t i = 0; i < bytes; i++)
        crc = add_to_crc(crc, data[i]);
    for (; bytes; bytes >>= 8)
        crc = add_to_crc(crc, (uint8_t)bytes);
    return ~crc;
}

// The parts that hold for any file; false if its contents cannot be read.
static bool expect_file(const struct limine_file *file) {
    EXPECT(is_given((uint64_t)file, sizeof(*file)), "the structure is at %lx", (uint64_t)file);
    EXPECT(file->revision == 0, "revision %lu", file->revision);
    EXPECT(file->address % PAGE_BYTES == 0, "its contents are at %lx", file->address);
    bool is_mapped = file->address >= boot.hhdm &&
                     memory_all_in(file->address - boot.hhdm, file->bytes, CONTENT_TYPES);
    EXPECT(is_mapped, "[%lx, +%lx) is not memory of modules or of the loader", file->address,
           file->bytes);
    EXPECT(is_given_text(file->path, TYPES_OF_LOADER) && *(const char *)file->path == '/',
           "its path is at %lx", file->path);
    // That of an internal module is in the image already.
    EXPECT(is_given_text(file->string, CONTENT_TYPES), "its string is at %lx", file->string);
    EXPECT(file->media <= LIMINE_MEDIA_TFTP, "media type %lu", (uint64_t)file->media);
    if (is_mapped && file->bytes > 0)
        // All of its last page, too.
        claim(file->address - boot.hhdm, (file->bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1),
              "a file");
    return is_mapped;
}

static void note_file(const struct limine_file *file) {
    tap_note("file %s, %lu bytes at %lx, string: %s", (const char *)file->path, file->bytes,
             file->address - boot.hhdm, (const char *)file->string);
    tap_note("its media %lu, partition %lu, MBR %lx, disk %lx...", (uint64_t)file->media,
             (uint64_t)file->partition, (uint64_t)file->mbr_disk_id, (uint64_t)file->gpt_disk.a);
}

static void check_executable(void) {
    const struct limine_value_response *response = response_of(LIMINE_EXECUTABLE_FILE);
    tap_check("EXECUTABLE_FILE: a file, with path and string");
    if (!response) {
        tap_skip_choice("no answer to EXECUTABLE_FILE");
        tap_check("the executable's file is the file as it was on the disk, all of it");
        tap_skip("no answer to EXECUTABLE_FILE");
        return;
    }
    const struct limine_file *file = (const struct limine_file *)response->value;
    bool is_mapped = expect_file(file);
    note_file(file);

    tap_check("the executable's file is the file as it was on the disk, all of it");
    EXPECT(is_mapped && file->bytes > TRAILER_BYTES, "%lu bytes", file->bytes);
    if (!is_mapped || file->bytes <= TRAILER_BYTES)
        return;
    const uint8_t *data = (const uint8_t *)file->address;
    const uint8_t *trailer = data + file->bytes - TRAILER_BYTES;
    static const uint8_t magic[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    EXPECT(bytes_equal(data, magic, sizeof(magic)), "it begins with %lx", read_64(data));
    EXPECT(bytes_equal(trailer + CRC_DIGITS, trailer_text, sizeof(trailer_text) - 1),
           "it ends with %lx", read_64(trailer + TRAILER_BYTES - 8));
    uint64_t wanted = 0;
    for (int i = 0; i < CRC_DIGITS; i++)
        wanted = 10 * wanted + (uint64_t)(trailer[i] - '0');
    uint64_t crc = crc_of(data, file->bytes - TRAILER_BYTES);
    EXPECT(crc == wanted, "its CRC is %lu, not %lu", crc, wanted);
}

// Each may be 0, for what the loader does not tell.
static void expect_told(const char *name, uint64_t found) {
    uint64_t wanted = cmdline_number(name, 0);
    EXPECT(found == wanted || found == 0, "%s is %lu, not %lu", name, found, wanted);
    if (found != wanted)
        tap_note("the loader does not tell %s", name);
}

// What the command line says of the volume: the partition's number, first words of GUIDs, the
// disk's number of an MBR.
static void check_volume(void) {
    const struct limine_value_response *response = response_of(LIMINE_EXECUTABLE_FILE);
    tap_check(
        "the executable's volume is that of the command line (partition=, disk=, part=, mbr=, media=)");
    if (!response || !cmdline_find("partition")) {
        tap_skip("it does not say, or no answer to EXECUTABLE_FILE");
        return;
    }
    const struct limine_file *file = (const struct limine_file *)response->value;
    expect_told("partition", file->partition);
    expect_told("disk", file->gpt_disk.a);
    expect_told("part", file->gpt_partition.a);
    expect_told("mbr", file->mbr_disk_id);
    EXPECT(file->media == cmdline_number("media", LIMINE_MEDIA_GENERIC) && file->tftp_port == 0,
           "media type %lu, port %lu", (uint64_t)file->media, (uint64_t)file->tftp_port);
}

static void check_cmdline(void) {
    const struct limine_value_response *cmdline = response_of(LIMINE_EXECUTABLE_CMDLINE);
    const struct limine_value_response *file = response_of(LIMINE_EXECUTABLE_FILE);
    tap_check("EXECUTABLE_CMDLINE: the command line, by the address of the file's string");
    if (!cmdline) {
        tap_skip_choice("no answer to EXECUTABLE_CMDLINE");
    } else {
        EXPECT(is_given_text(cmdline->value, TYPES_OF_LOADER), "at %lx", cmdline->value);
        if (file)
            EXPECT(cmdline->value == ((const struct limine_file *)file->value)->string,
                   "%lx, not %lx", cmdline->value,
                   ((const struct limine_file *)file->value)->string);
    }
    tap_check("the executable's path is that of the command line (path=)");
    const char *wanted = cmdline_find("path");
    if (!wanted || !file) {
        tap_skip("it does not say, or no answer to EXECUTABLE_FILE");
        return;
    }
    const char *path = (const char *)((const struct limine_file *)file->value)->path;
    uint64_t at = 0;
    while (path[at] && path[at] == wanted[at])
        at++;
    EXPECT(path[at] == 0 && (wanted[at] == ' ' || wanted[at] == 0), "it is %s", path);
}

static void expect_pattern(const struct limine_file *file) {
    static const char word[] = "pattern ";
    const char *text = (const char *)file->string;
    if (!bytes_equal(text, word, sizeof(word) - 1))
        return;
    uint64_t bytes = 0;
    for (text += sizeof(word) - 1; *text >= '0' && *text <= '9'; text++)
        bytes = 10 * bytes + (uint64_t)(*text - '0');
    EXPECT(file->bytes == bytes, "%s: %lu bytes", (const char *)file->path, file->bytes);
    const uint8_t *data = (const uint8_t *)file->address;
    for (uint64_t i = 0; i < file->bytes; i++) {
        if (data[i] != (uint8_t)(i * 7 + i / 251 + 3)) {
            EXPECT(false, "%s: byte %lu is %lx", (const char *)file->path, i, (uint64_t)data[i]);
            return;
        }
    }
}

static const struct limine_file *module(uint64_t index) {
    const struct limine_list_response *modules = response_of(LIMINE_MODULE);
    return ((const struct limine_file *const *)modules->list)[index];
}

// Whether the path ends with a slash and this name.
static bool path_ends_with(const char *path, const char *name) {
    const char *last = path;
    for (; *path; path++)
        last = *path == '/' ? path + 1 : last;
    return text_equal(last, name);
}

static uint64_t count_internal(void) {
    const struct limine_list_response *modules = response_of(LIMINE_MODULE);
    return !modules || modules->revision < 1 ? 0 : variant.asks_compressed ? 3 : 2;
}

static void expect_internal(uint64_t index, const char *path, const char *text, uint64_t crc) {
    const struct limine_file *file = module(index);
    EXPECT(path_ends_with((const char *)file->path, path), "module %lu is %s", index,
           (const char *)file->path);
    EXPECT(text_equal((const char *)file->string, text), "its string is %s",
           (const char *)file->string);
    uint64_t found = crc_of((const uint8_t *)file->address, file->bytes);
    EXPECT(found == crc, "its CRC is %lu, not %lu", found, crc);
}

static void check_internal_modules(void) {
    const struct limine_list_response *modules = response_of(LIMINE_MODULE);
    uint64_t count = modules ? modules->count : 0, internal = count_internal();
    tap_check("internal modules come first, in order, with their strings; one that is missing and "
              "not required is left out");
    EXPECT(count >= internal, "%lu modules", count);
    if (internal == 0) {
        tap_skip_choice("no response of MODULE, or one of a revision without internal modules");
    } else if (count >= internal) {
        expect_internal(0, INTERNAL_PATH, INTERNAL_STRING, INTERNAL_CRC);
        expect_internal(1, INTERNAL_PATH, DIGESTED_STRING, INTERNAL_CRC);
    }

    tap_check("a compressed internal module is expanded, if the response's revision is 2 or more");
    if (!variant.asks_compressed || count < internal || internal == 0)
        tap_skip("this kernel does not ask for one");
    else
        expect_internal(2, COMPRESSED_PATH, COMPRESSED_STRING,
                        modules->revision >= 2 ? INTERNAL_CRC : COMPRESSED_CRC);
}

static void check_modules(void) {
    const struct limine_list_response *modules = response_of(LIMINE_MODULE);
    tap_check("MODULE: an array of files in memory of their own, with path and string");
    uint64_t count = modules ? modules->count : 0;
    if (!modules) {
        tap_skip_choice("no answer to MODULE");
    } else {
        EXPECT(count > 0 && is_given(modules->list, 8 * count), "%lu at %lx", count, modules->list);
        for (uint64_t i = 0; i < count; i++) {
            if (expect_file(module(i)))
                note_file(module(i));
        }
    }
    check_internal_modules();

    tap_check("there are as many other modules as the command line says (modules=)");
    uint64_t internal = count_internal();
    if (cmdline_find("modules"))
        EXPECT(count - internal == cmdline_number("modules", 0), "%lu", count - internal);
    else
        tap_skip("it does not say");
    tap_check("modules have all of their contents (by the pattern that their string names)");
    if (count == internal)
        tap_skip("there are no other modules");
    for (uint64_t i = internal; i < count; i++) {
        EXPECT(module(i)->bytes > 0, "module %lu is empty", i);
        expect_pattern(module(i));
    }
}

void check_files(void) {
    check_executable();
    check_cmdline();
    check_volume();
    check_modules();
}
