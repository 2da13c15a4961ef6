// An image that is moved is the same as one that was planned there.
#include "common/base/arith.h"
#include "loader/elf.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

#define LINK (SLIPWAY_KERNEL_MIN + GIB(5))

// Linked there, where it is not slid.
static struct elf_file file_at(uint64_t link, bool has_all) {
    struct elf_file file = elf_file_make_dyn();
    if (has_all) {
        elf_file_add(&file, ELF_PT_DYNAMIC, 0x3010, 0x2010, 0x40);
        elf_file_add(&file, ELF_PT_GNU_RELRO, 0x3000, 0x2000, 0x1000);
        elf_file_add(&file, ELF_PT_TLS, 0x3100, 0x2100, 0x40)->align = 0x100;
    }
    elf_file_move(&file, link);
    return file;
}

// What an image says besides its slide and the addresses of its lists.
static struct elf_image without_lists(struct elf_image image) {
    image.slide = 0;
    image.segments = NULL;
    image.runs = NULL;
    image.notes = NULL;
    return image;
}

static void *copy(const void *from, uint64_t bytes) {
    void *to = malloc(bytes);
    assert_non_null(to);
    return memcpy(to, from, bytes);
}

static void expect_moved(bool has_all, uint64_t by) {
    struct elf_file file = file_at(LINK, has_all);
    struct elf_file twin = file_at(LINK + by, has_all);
    struct elf_image moved = elf_file_accept(&file);
    elf_slide(&moved, by);
    assert_int_equal(moved.slide, by);
    uint64_t segments_bytes = moved.segment_count * sizeof(*moved.segments);
    uint64_t runs_bytes = moved.run_count * sizeof(*moved.runs);
    void *segments = copy(moved.segments, segments_bytes); // the lists are valid until the next
    void *runs = copy(moved.runs, runs_bytes);
    struct elf_image want = elf_file_accept(&twin);
    assert_memory_equal(segments, want.segments, segments_bytes);
    assert_memory_equal(runs, want.runs, runs_bytes);
    const struct elf_image found = without_lists(moved), planned = without_lists(want);
    assert_memory_equal(&found, &planned, sizeof(found));
    free(segments);
    free(runs);
}

TEST("elf: an image that is moved is the one that is linked there, with all that it may have") {
    for (unsigned has_all = 0; has_all < 2; has_all++) {
        expect_moved(has_all != 0, 0);
        expect_moved(has_all != 0, MIB(2));
        expect_moved(has_all != 0, GIB(1000));
        expect_moved(has_all != 0, -GIB(4));
    }
}

TEST("elf: one that has been slid already is slid on") {
    struct elf_file file = elf_file_make_dyn();
    struct elf_image image = elf_file_accept(&file);
    elf_slide(&image, MIB(6));
    assert_int_equal(image.slide, SLIPWAY_KERNEL_DEFAULT + MIB(6));
    assert_int_equal(image.entry, SLIPWAY_KERNEL_DEFAULT + MIB(6) + 0x10);
}
