// The names in a folder of the loader's volume, by themselves.
#include "loader/listing.h"

#include "loader/file.h"
#include "tests/firmware/setup.h"

#include <string.h>

static struct listing listing;
static struct listing_entry entry;

static void open_folder(bool is_endless) {
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot(); // which leaves the firmware's tables known
    struct fake_file *folder = fake_add_file("\\d", NULL, 0);
    folder->is_directory = true;
    folder->is_endless = is_endless;
    fake_add_file("\\d\\one", "1", 1);
    fake_add_file("\\d\\two", NULL, 0)->is_directory = true;
    assert_int_equal(file_open_volume(), EFI_SUCCESS);
    assert_true(listing_open(&listing, L"\\d"));
}

static void close_folder(void) {
    listing_close(&listing);
    file_close_volume();
    setup_expect_no_breach();
}

TEST("listing: each name with its size and whether it is a folder, then the end") {
    EFI_STATUS status;
    open_folder(/*is_endless=*/false);
    assert_true(listing_next(&listing, &entry, &status));
    assert_int_equal(entry.name.bytes, 3);
    assert_memory_equal(entry.name.text, "one", 3);
    assert_int_equal(entry.bytes, 1);
    assert_false(entry.is_folder);
    assert_true(listing_next(&listing, &entry, &status));
    assert_memory_equal(entry.name.text, "two", 3);
    assert_true(entry.is_folder);
    assert_false(listing_next(&listing, &entry, &status));
    assert_int_equal(status, EFI_SUCCESS);
    close_folder();
}

TEST("listing: of a folder that never ends as many names come as one on FAT can have") {
    EFI_STATUS status;
    open_folder(/*is_endless=*/true);
    for (uint32_t i = 0; i < 65536; i++) {
        fake.calls = 0; // of which only so many may be
        assert_true(listing_next(&listing, &entry, &status));
    }
    assert_false(listing_next(&listing, &entry, &status));
    assert_int_equal(status, EFI_ABORTED);
    close_folder();
}
