// PE files and Linux's header: what is read of them, at every length that a file can be cut to.
#include "loader/protocol/pe.h"

#include "common/base/arith.h"
#include "tests/unit/support/pe_file.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

static uint8_t file[PE_FILE_BYTES];

// A block of their size, so that ASan sees every byte read too many.
static bool parse_pe(uint64_t count, struct pe *ret_pe) {
    uint8_t *copy = malloc(count + 1);
    memcpy(copy + 1, file, count);
    bool found = pe_parse(copy + 1, count, ret_pe);
    free(copy);
    return found;
}

TEST("pe: machine, kind, subsystem and version are read of the headers") {
    struct pe pe;
    pe_file_make(file);
    pe_file_put(file, PE_FILE_IMAGE_MAJOR, 2, 0x1234);
    assert_true(parse_pe(sizeof(file), &pe));
    assert_int_equal(pe.machine, 0x8664);
    assert_int_equal(pe.magic, 0x20b);
    assert_int_equal(pe.subsystem, 10);
    assert_int_equal(pe.image_major, 0x1234);
}

TEST("pe: of a file that is cut off what is there is read, and no more") {
    pe_file_make(file);
    for (uint64_t count = 0; count <= PE_FILE_END; count++) {
        struct pe pe = {.machine = 7};
        assert_int_equal(parse_pe(count, &pe), count >= PE_FILE_MAGIC);
        assert_int_equal(pe.machine, count >= PE_FILE_MAGIC ? 0x8664 : 7);
        assert_int_equal(pe.subsystem, count >= PE_FILE_END ? 10 : 0);
    }
}

TEST("pe: a PE header is where the DOS header says, and has both signatures") {
    const uint32_t outside[] = {PE_FILE_BYTES - 23, PE_FILE_BYTES, PE_FILE_BYTES + 1, INT32_MAX,
                                UINT32_MAX};
    const uint32_t signature[] = {
        0, 1, PE_FILE_HEADER, PE_FILE_HEADER + 1, PE_FILE_HEADER + 2, PE_FILE_HEADER + 3};
    struct pe pe;
    for (uint64_t i = 0; i < ARRAY_LEN(signature); i++) {
        pe_file_make(file);
        file[signature[i]]++;
        assert_false(parse_pe(sizeof(file), &pe));
    }
    for (uint64_t i = 0; i < ARRAY_LEN(outside); i++) {
        pe_file_make(file);
        memcpy(file + PE_FILE_BYTES - 23, "PE\0", 4);
        pe_file_put(file, 0x3c, 4, outside[i]);
        assert_false(parse_pe(sizeof(file), &pe));
    }
    memcpy(file + PE_FILE_BYTES - 24, "PE\0", 4);
    pe_file_put(file, 0x3c, 4, PE_FILE_BYTES - 24);
    assert_true(parse_pe(sizeof(file), &pe));
    assert_int_equal(pe.magic, 0);
}

TEST("pe: an EFI application for x86-64 is one by machine, magic and subsystem") {
    const struct pe good = {.machine = 0x8664, .magic = 0x20b, .subsystem = 10};
    struct pe pe = good;
    assert_int_equal(pe_check(&pe), PE_OK);
    pe.subsystem = 11;
    assert_int_equal(pe_check(&pe), PE_ERR_SUBSYSTEM);
    pe.magic = 0x10b;
    assert_int_equal(pe_check(&pe), PE_ERR_MAGIC);
    pe.machine = 0xaa64;
    assert_int_equal(pe_check(&pe), PE_ERR_MACHINE);
}

static bool parse_linux(uint64_t count, struct linux_header *ret_header, char ret_release[65]) {
    uint8_t *copy = malloc(count + 1);
    memcpy(copy + 1, file, count);
    bool found = linux_parse(copy + 1, count, ret_header);
    memset(ret_release, 0, 65);
    if (found && ret_header->release_bytes != 0)
        memcpy(ret_release, ret_header->release, ret_header->release_bytes);
    if (found)
        assert_int_equal(ret_header->release == NULL, ret_header->release_bytes == 0);
    free(copy);
    return found;
}

TEST("linux: version, command line's room and release are read of the header") {
    struct linux_header header;
    char release[65];
    pe_file_make_linux(file);
    assert_true(parse_linux(sizeof(file), &header, release));
    assert_int_equal(header.version, 0x20f);
    assert_int_equal(header.cmdline_max, 2047);
    assert_string_equal(release, "6.1.0-test");
    pe_file_put(file, PE_FILE_LINUX_VERSION, 2, 0x205); // which does not tell yet
    assert_true(parse_linux(sizeof(file), &header, release));
    assert_int_equal(header.cmdline_max, 0);
    const uint32_t signature[] = {0x1fe, 0x1ff, 0x202, 0x203, 0x204, 0x205};
    for (uint64_t i = 0; i < ARRAY_LEN(signature); i++) {
        pe_file_make_linux(file);
        file[signature[i]]++;
        assert_false(parse_linux(sizeof(file), &header, release));
    }
}

TEST("linux: of a file that is cut off what is there is read, and no more") {
    pe_file_make_linux(file);
    for (uint64_t count = 0; count <= PE_FILE_RELEASE + 40; count++) {
        struct linux_header header;
        char release[65];
        assert_int_equal(parse_linux(count, &header, release), count >= PE_FILE_LINUX_END);
        assert_string_equal(release, count > PE_FILE_RELEASE + 10 ? "6.1.0-test" : "");
    }
}

TEST("linux: a release is one word of at most 64 characters, in the file") {
    struct linux_header header;
    char release[65], want[66];
    pe_file_make_linux(file);
    for (uint32_t bytes = 63; bytes < 66; bytes++) {
        memset(want, 0, sizeof(want));
        memset(want, 'v', bytes);
        memcpy(file + PE_FILE_RELEASE, want, bytes + 1);
        assert_true(parse_linux(sizeof(file), &header, release));
        assert_string_equal(release, bytes <= 64 ? want : "");
    }
    memcpy(file + PE_FILE_RELEASE, "6\x80 ", 4); // no character of a release
    assert_true(parse_linux(sizeof(file), &header, release));
    assert_string_equal(release, "");
    memcpy(file + PE_FILE_RELEASE, "6 ", 3);
    assert_true(parse_linux(sizeof(file), &header, release));
    assert_string_equal(release, "6");
    pe_file_put(file, PE_FILE_RELEASE_AT, 2, 0xffff); // outside
    assert_true(parse_linux(sizeof(file), &header, release));
    assert_string_equal(release, "");
    pe_file_put(file, PE_FILE_RELEASE_AT, 2, 0); // none
    memcpy(file + 0x200, "ab\0", 2);
    assert_true(parse_linux(sizeof(file), &header, release));
    assert_string_equal(release, "");
}

TEST("linux: a stub asks for its initrd by the lowest bit of the image's version") {
    for (uint16_t major = 0; major < 8; major++)
        assert_int_equal(linux_asks_for_initrd(&(struct pe){.image_major = major}), major % 2);
}

TEST("pe: a section is found by its name, if its header is in what was read") {
    uint64_t offset = 7, bytes = 7;
    pe_file_make(file);
    assert_false(pe_find_section(file, sizeof(file), ".osrel", &offset, &bytes));
    pe_file_add_section(file, ".osrel", "ID=x", 4);
    assert_false(pe_find_section(file, PE_FILE_SECTION + 39, ".osrel", &offset, &bytes));
    assert_false(pe_find_section(file, sizeof(file), ".osre", &offset, &bytes));
    assert_false(pe_find_section(file, sizeof(file), ".osrelx", &offset, &bytes));
    assert_int_equal(offset, 7);
    assert_true(pe_find_section(file, PE_FILE_SECTION + 40, ".osrel", &offset, &bytes));
    assert_int_equal(offset, PE_FILE_CONTENTS);
    assert_int_equal(bytes, 4);
    pe_file_put(file, PE_FILE_SECTION + 16, 4, 3); // the file has less of it
    assert_true(pe_find_section(file, sizeof(file), ".osrel", &offset, &bytes));
    assert_int_equal(bytes, 3);
    memcpy(file + PE_FILE_SECTION, ".osrelxy", 8);
    assert_true(pe_find_section(file, sizeof(file), ".osrelxy", &offset, &bytes));
    file[0] = 'x';
    assert_false(pe_find_section(file, sizeof(file), ".osrelxy", &offset, &bytes));
}
