// Files by themselves: their names in messages, and the chunks in which they are read.
#include "loader/file.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct file file;

// A volume with one file more, of which only the size is there.
static void open_volume(uint64_t bytes) {
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot(); // which leaves the firmware's tables known
    fake_add_file("\\file", NULL, bytes);
    assert_int_equal(file_open_volume(), EFI_SUCCESS);
}

static EFI_STATUS open_path(const char *path, size_t bytes) {
    return file_open(&file, (struct config_text){path, bytes}, "");
}

TEST("file: a name of 199 bytes stands whole in messages, of a longer one the last 196") {
    char path[300];
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = (char)('a' + i % 26);
    open_volume(0);
    for (size_t bytes = 198; bytes < sizeof(path); bytes++) {
        assert_int_equal(open_path(path, bytes), EFI_NOT_FOUND);
        bool is_cut = bytes > 199;
        assert_int_equal(strlen(file.name), is_cut ? 199 : bytes);
        assert_memory_equal(file.name, is_cut ? "..." : path, 3);
        assert_memory_equal(file.name + strlen(file.name) - 196, path + bytes - 196, 196);
    }
    file_close_volume();
}

TEST("file: a long name is cut between two characters, and one without any at its end") {
    open_volume(0);
    for (int last = 0x80; last < 0xc0; last++) {
        char path[301];
        for (size_t i = 0; i < sizeof(path); i++)
            path[i] = (char)(i % 2 ? last : 0xc3);
        assert_int_equal(open_path(path, 300), EFI_NOT_FOUND);
        assert_memory_equal(file.name, "...", 3);
        assert_memory_equal(file.name + 3, path, 196);
        path[300] = 'a';
        assert_int_equal(open_path(path, 301), EFI_NOT_FOUND);
        assert_memory_equal(file.name + 3, path + 106, 195);
        assert_int_equal(strlen(file.name), 3 + 195);
    }
    char *invalid = malloc(300); // with nothing behind that can be read
    memset(invalid, 0x80, 300);
    assert_int_equal(open_path(invalid, 300), EFI_INVALID_PARAMETER);
    assert_string_equal(file.name, "...");
    free(invalid);
    file_close_volume();
}

// Bytes that were asked for, read by read.
static uint64_t asked[64];
static uint32_t asked_count;

static void record(uint64_t bytes) {
    assert_true(asked_count < ARRAY_LEN(asked));
    asked[asked_count++] = bytes;
}

static void read_file(uint64_t bytes, uint64_t fails_above) {
    open_volume(bytes);
    fake.files[fake.file_count - 1].fails_above = fails_above;
    assert_int_equal(open_path("\\file", 5), EFI_SUCCESS);
    assert_int_equal(file.bytes, bytes);
    asked_count = 0;
    fake.in_read = record;
    // Addresses alone: the fake firmware has no bytes of this file to write there.
    void *to = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(to, MAP_FAILED);
    assert_int_equal(file_read(&file, 0, to, bytes), EFI_SUCCESS);
    munmap(to, bytes);
    file_close(&file);
    file_close_volume();
}

TEST("file: it is read in chunks of 1 MiB at first, then of 2 and 4, then of up to 1 GiB") {
    static const uint64_t want[] = {MIB(1),  MIB(1), MIB(2), MIB(4),
                                    MIB(64), GIB(1), GIB(1), MIB(952) + 5};
    read_file(GIB(3) + 5, 0);
    assert_int_equal(asked_count, ARRAY_LEN(want));
    assert_memory_equal(asked, want, sizeof(want));
}

// Whatever has more than 1 MiB takes long.
static void record_slowly(uint64_t bytes) {
    record(bytes);
    fake_pass_time(bytes > MIB(1) ? bytes : bytes / 8);
}

TEST(
    "file: where larger chunks cost more it goes back to 1 MiB, for the volume's other files too") {
    static const uint64_t want[] = {MIB(1), MIB(1), MIB(2), MIB(1), MIB(1), 7,
                                    MIB(1), MIB(1), MIB(1), MIB(1), 1};
    open_volume(MIB(6) + 7);
    fake_add_file("\\other", NULL, MIB(4) + 1);
    asked_count = 0;
    fake.in_read = record_slowly;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(open_path(i ? "\\other" : "\\file", i ? 6 : 5), EFI_SUCCESS);
        assert_int_equal(file_read(&file, 0, &asked, file.bytes), EFI_SUCCESS);
        file_close(&file);
    }
    file_close_volume();
    assert_int_equal(asked_count, ARRAY_LEN(want));
    assert_memory_equal(asked, want, sizeof(want));
}

TEST("file: what reads of one volume have shown says nothing of another") {
    static const uint64_t want[] = {MIB(1), MIB(1), MIB(2), MIB(4), MIB(1),
                                    MIB(1), MIB(2), MIB(4), MIB(1), MIB(1)}; // 8, 8 and 2 MiB
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    uint32_t other = fake_add_volume(NULL, L"other");
    fake_add_file("\\file", NULL, MIB(8));
    fake_add_file("\\there", NULL, MIB(8));
    fake.files[fake.file_count - 1].volume = other;
    fake_boot(); // which leaves the firmware's tables known
    assert_int_equal(file_open_volume(), EFI_SUCCESS);
    static const char *const paths[] = {"\\file", "label(other)/there", "\\file"};
    asked_count = 0;
    fake.in_read = record;
    for (uint32_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(open_path(paths[i], strlen(paths[i])), EFI_SUCCESS);
        assert_int_equal(file_read(&file, 0, &asked, i < 2 ? file.bytes : MIB(2)), EFI_SUCCESS);
        file_close(&file);
    }
    file_close_volume();
    assert_int_equal(asked_count, ARRAY_LEN(want));
    assert_memory_equal(asked, want, sizeof(want));
}

TEST("file: where a chunk fails it is halved for good, until the volume is opened again") {
    read_file(KIB(2000), KIB(300));
    const uint64_t want[] = {MIB(1),   KIB(512), KIB(256), KIB(256), KIB(256),
                             KIB(256), KIB(256), KIB(256), KIB(256), KIB(208)};
    assert_int_equal(asked_count, ARRAY_LEN(want));
    assert_memory_equal(asked, want, sizeof(want));
    read_file(MIB(1), 0);
    assert_int_equal(asked_count, 1);
}

static void refuse_to_open(uint64_t bytes) {
    record(bytes);
    fake.refused = FAKE_OPEN;
    fake.fail_status = EFI_VOLUME_CORRUPTED;
}

TEST("file: one that cannot be opened again has no handle, and nothing is closed twice") {
    open_volume(MIB(1));
    fake.files[fake.file_count - 1].fails_above = KIB(300);
    assert_int_equal(open_path("\\file", 5), EFI_SUCCESS);
    asked_count = 0;
    fake.in_read = refuse_to_open;
    assert_int_equal(file_read(&file, 0, &asked, MIB(1)), EFI_DEVICE_ERROR);
    assert_int_equal(asked_count, 1);
    assert_null(file.handle);
    uint64_t calls = fake.calls;
    file_close(&file);
    assert_int_equal(fake.calls, calls);
    file_close_volume();
    assert_int_equal(fake.calls, calls + 1);
    file_close_volume();
    assert_int_equal(fake.calls, calls + 1);
}

// Opens the file, of so many bytes, whose size by GetInfo is another; the end is known or not.
static EFI_STATUS open_lying(uint64_t bytes, uint64_t info_bytes, bool end_is_fixed) {
    open_volume(bytes);
    struct fake_file *lying = &fake.files[fake.file_count - 1];
    lying->lies_by_info = true;
    lying->info_bytes = info_bytes;
    lying->end_is_fixed = end_is_fixed;
    asked_count = 0;
    fake.in_read = record;
    EFI_STATUS status = open_path("\\file", 5);
    file_close(&file);
    assert_null(file.handle);
    file_close_volume();
    return status;
}

TEST("file: the larger of two sizes is right if it has a last byte, be it the first one") {
    static const uint64_t sizes[][2] = {{1000, 1001}, {1000, 999}, {1000, 1}, {1, 5},
                                        {1, 0},       {1, 1},      {0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_int_equal(open_lying(sizes[i][0], sizes[i][1], false), EFI_SUCCESS);
        assert_int_equal(file.bytes, sizes[i][0]);
        for (uint32_t read = 0; read < asked_count; read++)
            assert_int_equal(asked[read], 1);
    }
    assert_int_equal(open_lying(1, 0, true), EFI_VOLUME_CORRUPTED); // not empty, as both say
    assert_int_equal(open_lying(2, 0, true), EFI_VOLUME_CORRUPTED);
}

TEST("file: of two sizes none is right if neither has a last byte, or none can be read") {
    open_volume(1000);
    struct fake_file *lying = &fake.files[fake.file_count - 1];
    lying->lies_by_info = true;
    lying->info_bytes = 900;
    lying->ends_early = 500;
    assert_int_equal(open_path("\\file", 5), EFI_VOLUME_CORRUPTED);
    assert_null(file.handle);
    file_close_volume();

    open_volume(1000);
    lying = &fake.files[fake.file_count - 1];
    lying->lies_by_info = true;
    lying->info_bytes = 900;
    lying->bad_offset = 999;
    asked_count = 0;
    fake.in_read = refuse_to_open;
    assert_int_equal(open_path("\\file", 5), EFI_VOLUME_CORRUPTED);
    assert_int_equal(asked_count, 1);
    assert_null(file.handle);
    file_close_volume();
}

TEST("file: a directory is one, though GetInfo does not say so") {
    for (int knows = 0; knows < 2; knows++) {
        open_volume(0);
        fake.files[fake.file_count - 1].is_directory = true;
        fake.files[fake.file_count - 1].has_no_info = !knows;
        assert_int_equal(open_path("\\file", 5), EFI_UNSUPPORTED);
        assert_null(file.handle);
        file_close_volume();
    }
}

TEST("file: a size of 2^63 is none, one byte less is one, whoever says so") {
    const uint64_t largest = UINT64_MAX >> 1;
    for (int who = 0; who < 3; who++) {
        for (uint64_t more = 0; more < 2; more++) {
            open_volume(largest + more);
            fake.files[fake.file_count - 1].has_no_info = who == 1;
            fake.files[fake.file_count - 1].end_is_unknown = who == 2;
            assert_int_equal(open_path("\\file", 5), more ? EFI_DEVICE_ERROR : EFI_SUCCESS);
            assert_int_equal(file.bytes, more ? 0 : largest);
            file_close(&file);
            file_close_volume();
        }
    }
}

TEST("file: the longest name that there is has room in what the firmware says of the file") {
    char path[257] = "\\";
    memset(path + 1, 'x', 255);
    open_volume(0);
    fake_add_file(path, NULL, 1000)->end_is_unknown = true;
    assert_int_equal(open_path(path, 256), EFI_SUCCESS);
    assert_int_equal(file.bytes, 1000);
    file_close(&file);
    file_close_volume();
}
