// What a file is instead of a kernel for Slipway: told by its signatures, each at its own place.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

// A file of a few pages without a signature: bytes that are all alike.
enum { FILE_BYTES = 40000, FILLING = 0x01 };

struct bytes {
    uint64_t count;
    const void *bytes;
};

#define BYTES(text)                                                                                \
    { sizeof(text) - 1, text }

#define LIMINE_REQUEST "\x88\x8b\x4c\xdf\x30\xdd\xb1\xc7\x7b\xf0\x94\xa1\x83\xe8\x82\x0a"
#define LIMINE_MARKER  "\xae\xd1\xe7\x9d\xb3\xf4\xb8\xf6\xcf\xb9\xfc\x40\x69\x1a\xb9\xfa"
#define LIMINE_TAG     "\xc8\xa6\x95\x5c\x2d\x2b\x56\xf9\xdc\x6b\x53\x44\x49\x38\x7b\x6a"
#define MULTIBOOT      "\x02\xb0\xad\x1b\x03\x00\x00\x00\xfb\x4f\x52\xe4"
#define MULTIBOOT2     "\xd6\x50\x52\xe8\x00\x00\x00\x00\x18\x00\x00\x00\x12\xaf\xad\x17"

// What is found in `count` bytes that stand at `offset` in a file. They are copied to a block of
// their size, so that ASan sees every byte read too many.
static enum elf_status find(const uint8_t *file, uint64_t count, uint64_t offset,
                            uint64_t want_at) {
    uint8_t *copy = malloc(count);
    struct elf_error origin = {.status = ELF_OK, .a = 42};
    memcpy(copy, file + offset, count);
    bool found = elf_find_origin(copy, count, offset, &origin);
    free(copy);
    assert_int_equal(found, origin.status != ELF_OK);
    assert_int_equal(origin.a, found ? want_at : 42);
    return origin.status;
}

static enum elf_status find_signature(struct bytes signature, uint64_t at) {
    static uint8_t file[FILE_BYTES];
    memset(file, FILLING, sizeof(file));
    memcpy(file + at, signature.bytes, signature.count);
    return find(file, sizeof(file), 0, at);
}

static void expect_words(enum elf_status status, uint64_t at, const char *text) {
    elf_file_expect_text(&(struct elf_error){.status = status, .a = at}, text);
}

TEST("elf origin: compressed files are named by their first bytes, and only by those") {
    const struct {
        struct bytes signature;
        enum elf_status status;
    } formats[] = {
        {BYTES("\x1f\x8b\x08"), ELF_IS_GZIP},
        {BYTES("\xfd"
               "7zXZ\0"),
         ELF_IS_XZ},
        {BYTES("\x28\xb5\x2f\xfd"), ELF_IS_ZSTD},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(formats); i++) {
        struct bytes signature = formats[i].signature;
        assert_int_equal(find_signature(signature, 0), formats[i].status);
        assert_int_equal(find_signature(signature, 8), ELF_OK);
        for (uint64_t byte = 0; byte < signature.count; byte++) {
            char changed[8];
            memcpy(changed, signature.bytes, signature.count);
            changed[byte]++;
            assert_int_equal(find_signature((struct bytes){signature.count, changed}, 0), ELF_OK);
        }
    }
    expect_words(ELF_IS_GZIP, 0, "gzip-compressed: decompress it");
    expect_words(ELF_IS_XZ, 0, "xz-compressed: decompress it");
    expect_words(ELF_IS_ZSTD, 0, "zstd-compressed: decompress it");
}

TEST("elf origin: a PE file is one whose PE header is where the DOS header says") {
    static uint8_t file[FILE_BYTES];
    const uint32_t places[] = {4, 0x40, 0x80, FILE_BYTES - 4};
    for (uint64_t i = 0; i < ARRAY_LEN(places); i++) {
        memset(file, 0, sizeof(file));
        memcpy(file, "MZ", 2);
        memcpy(file + 0x3c, &places[i], 4);
        assert_int_equal(find(file, sizeof(file), 0, 0), ELF_OK);
        memcpy(file + places[i], "PE\0\1", 4);
        assert_int_equal(find(file, sizeof(file), 0, 0), ELF_OK);
        memcpy(file + places[i], "PE\0", 4);
        assert_int_equal(find(file, sizeof(file), 0, 0), ELF_IS_PE);
        const uint64_t end = max_u64(places[i] + 4, 0x40);
        assert_int_equal(find(file, end, 0, 0), ELF_IS_PE);
        assert_int_equal(find(file, end - 1, 0, 0), ELF_OK);
    }
    const uint32_t outside[] = {FILE_BYTES - 3, FILE_BYTES, INT32_MAX, UINT32_MAX - 3, UINT32_MAX};
    for (uint64_t i = 0; i < ARRAY_LEN(outside); i++) {
        memcpy(file + 0x3c, &outside[i], 4);
        assert_int_equal(find(file, sizeof(file), 0, 0), ELF_OK);
    }
    for (uint64_t bytes = 2; bytes < 0x40; bytes++) // cut off before the place is said
        assert_int_equal(find(file, bytes, 0, 0), ELF_OK);
    expect_words(ELF_IS_PE, 0, "a PE file (EFI application), which protocol = efi starts");
}

TEST("elf origin: a Linux kernel is one, also where it is a PE file as well") {
    static uint8_t file[FILE_BYTES];
    const uint32_t pe = 0x40;
    memcpy(file, "MZ", 2);
    memcpy(file + 0x3c, &pe, 4);
    memcpy(file + pe, "PE\0", 4);
    memcpy(file + 0x1fe,
           "\x55\xaa\xeb\x6a"
           "HdrS",
           8);
    assert_int_equal(find(file, sizeof(file), 0, 0x1fe), ELF_IS_BZIMAGE);
    assert_int_equal(find(file, 8, 0x1fe, 0x1fe), ELF_IS_BZIMAGE); // a part that begins with it
    file[0x1ff] = 0;
    assert_int_equal(find(file, sizeof(file), 0, 0), ELF_IS_PE);
    expect_words(ELF_IS_BZIMAGE, 0x1fe, "a Linux kernel (bzImage), which protocol = linux starts");
}

// A header of a Multiboot protocol, at multiples of `step` and inside the first `limit` bytes.
static void expect_multiboot(struct bytes header, uint64_t step, uint64_t limit,
                             enum elf_status status) {
    for (uint64_t at = 0; at < 20; at++)
        assert_int_equal(find_signature(header, at), at % step == 0 ? status : ELF_OK);
    assert_int_equal(find_signature(header, limit - header.count), status);
    assert_int_equal(find_signature(header, limit - header.count + step), ELF_OK);
    uint8_t changed[16];
    for (uint64_t i = 0; i < header.count; i++) {
        memcpy(changed, header.bytes, header.count);
        changed[i]++;
        assert_int_equal(find_signature((struct bytes){header.count, changed}, 16), ELF_OK);
    }
    memcpy(changed, header.bytes, header.count); // another magic, with its checksum
    changed[0]++;
    changed[header.count - 4]--;
    assert_int_equal(find_signature((struct bytes){header.count, changed}, 16), ELF_OK);
}

TEST("elf origin: a Multiboot header is aligned to 4, in the first 8 KiB, with its checksum") {
    expect_multiboot((struct bytes)BYTES(MULTIBOOT), 4, 8192, ELF_IS_MULTIBOOT);
    expect_words(
        ELF_IS_MULTIBOOT, 0x1000,
        "made for the Multiboot protocol (its magic is at offset 0x1000): use a loader of that protocol");
}

TEST("elf origin: a Multiboot2 header is aligned to 8, in the first 32 KiB, with its checksum") {
    expect_multiboot((struct bytes)BYTES(MULTIBOOT2), 8, 32768, ELF_IS_MULTIBOOT2);
    expect_words(
        ELF_IS_MULTIBOOT2, 0x1000,
        "made for the Multiboot2 protocol (its magic is at offset 0x1000): use a loader of that protocol");
}

TEST("elf origin: a request, a marker or a tag of Limine's is found anywhere, aligned to 8") {
    const struct bytes signatures[] = {BYTES(LIMINE_REQUEST), BYTES(LIMINE_MARKER),
                                       BYTES(LIMINE_TAG)};
    for (uint64_t i = 0; i < ARRAY_LEN(signatures); i++) {
        for (uint64_t at = 0; at < 20; at++)
            assert_int_equal(find_signature(signatures[i], at),
                             at % 8 == 0 ? ELF_IS_LIMINE : ELF_OK);
        assert_int_equal(find_signature(signatures[i], FILE_BYTES - 16), ELF_IS_LIMINE);
        for (uint64_t byte = 0; byte < 16; byte++) {
            char changed[16];
            memcpy(changed, signatures[i].bytes, 16);
            changed[byte]++;
            assert_int_equal(find_signature((struct bytes){16, changed}, 16), ELF_OK);
        }
    }
    expect_words(
        ELF_IS_LIMINE, 0x3000,
        "made for the Limine protocol (its magic is at offset 0x3000): protocol = limine boots such kernels");
}

TEST("elf origin: where a signature stands is said, and judged, by its offset in the file") {
    static uint8_t file[FILE_BYTES];
    memcpy(file, MULTIBOOT, 12);
    memcpy(file + 8192, MULTIBOOT, 12);
    memcpy(file + 32768, MULTIBOOT2, 16);
    memcpy(file + 36000, LIMINE_REQUEST, 16);
    assert_int_equal(find(file, sizeof(file), 0, 0), ELF_IS_MULTIBOOT);
    assert_int_equal(find(file, sizeof(file) - 1, 1, 36000), ELF_IS_LIMINE);
    assert_int_equal(find(file, sizeof(file) - 8192, 8192, 36000), ELF_IS_LIMINE);
    assert_int_equal(find(file, 36016 - 35999, 35999, 36000), ELF_IS_LIMINE);
    assert_int_equal(find(file, sizeof(file) - 36001, 36001, 0), ELF_OK);
}

TEST("elf origin: parts of every size that end within a signature hold none") {
    const struct bytes signatures[] = {BYTES(MULTIBOOT2), BYTES(MULTIBOOT), BYTES(LIMINE_REQUEST),
                                       BYTES(LIMINE_MARKER)};
    uint8_t part[32];
    for (uint64_t i = 0; i < ARRAY_LEN(signatures); i++) {
        for (uint64_t before = 0; before <= 16; before += 16) {
            memset(part, FILLING, sizeof(part));
            memcpy(part + before, signatures[i].bytes, signatures[i].count);
            for (uint64_t bytes = 1; bytes < signatures[i].count; bytes++)
                assert_int_equal(find(part, before + bytes, 0, 0), ELF_OK);
            assert_int_not_equal(find(part, before + signatures[i].count, 0, before), ELF_OK);
        }
    }
    struct elf_error origin;
    assert_false(elf_find_origin(part, 0, 0, &origin));
}
