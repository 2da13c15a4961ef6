// Files of as many program headers as the file's header can count, in any order.
#include "loader/elf.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "loader/elf_format.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>

enum { MANY = ELF_PN_XNUM - 1 };

// Program header `place` is that of segment `number`: a page and a hole each, and every third
// segment may be written.
static struct elf64_phdr make_segment(uint32_t number) {
    return (struct elf64_phdr){
        .type = ELF_PT_LOAD,
        .flags = number % 3 == 1 ? ELF_PF_W : ELF_PF_X,
        .virt = ELF_FILE_BASE + number * UINT64_C(0x2000) + number % 4096,
        .offset = number % 4096,
        .file_bytes = 1,
        .mem_bytes = 1,
        .align = FRAME_BYTES,
    };
}

static void expect_sorted(const struct elf64_phdr *phdrs, const uint32_t *numbers, uint32_t count) {
    struct elf_header_view header = {
        .type = ELF_TYPE_EXEC,
        .entry = ELF_FILE_BASE,
        .phdrs_bytes = count * sizeof(*phdrs),
        .phdr_count = count,
        .phdr_bytes = sizeof(*phdrs),
    };
    struct elf_image image;
    struct elf_error error;
    void *lists = malloc(elf_lists_bytes(count));
    assert_int_equal(elf_parse_segments(&header, phdrs, 8192, lists, &image, &error), ELF_OK);
    assert_int_equal(image.segment_count, count);
    assert_int_equal(image.run_count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct elf64_phdr want = make_segment(i);
        const struct elf_segment *segment = &image.segments[i];
        const struct elf_run *run = &image.runs[i];
        uint64_t page = ELF_FILE_BASE + i * UINT64_C(0x2000);
        if (segment->virt != want.virt || segment->file_offset != want.offset ||
            numbers[segment->phdr] != i || segment->write != (i % 3 == 1) || run->start != page ||
            run->end != page + FRAME_BYTES ||
            run->rights != (i % 3 == 1 ? SLIPWAY_RIGHT_WRITE : SLIPWAY_RIGHT_EXECUTE))
            fail_msg("segment %u of %u", i, count);
    }
    free(lists);
}

TEST("elf many: the lists have room for one run more than there are headers, and for no other") {
    const uint64_t each = sizeof(struct elf_segment) + sizeof(struct elf_range);
    assert_int_equal(elf_lists_bytes(0), sizeof(struct elf_run));
    assert_int_equal(elf_lists_bytes(2), 2 * each + 3 * sizeof(struct elf_run));
    const struct elf64_phdr phdrs[] = {
        {.type = ELF_PT_LOAD, .flags = ELF_PF_X, .virt = ELF_FILE_BASE, .mem_bytes = 1},
        {.type = ELF_PT_LOAD,
         .flags = ELF_PF_W,
         .virt = ELF_FILE_BASE + FRAME_BYTES,
         .mem_bytes = 3 * FRAME_BYTES},
        {.type = ELF_PT_GNU_RELRO,
         .virt = ELF_FILE_BASE + 2 * FRAME_BYTES,
         .mem_bytes = FRAME_BYTES},
    };
    const struct elf_header_view header = {
        .type = ELF_TYPE_EXEC,
        .entry = ELF_FILE_BASE,
        .phdrs_bytes = sizeof(phdrs),
        .phdr_count = ARRAY_LEN(phdrs),
        .phdr_bytes = sizeof(phdrs[0]),
    };
    struct elf_image image;
    struct elf_error error;
    void *lists = malloc(elf_lists_bytes(header.phdr_count));
    assert_int_equal(elf_parse_segments(&header, phdrs, 0, lists, &image, &error), ELF_OK);
    assert_int_equal(image.run_count, header.phdr_count + 1);
    for (uint32_t i = 1; i < 4; i++) {
        assert_int_equal(image.runs[i].start, ELF_FILE_BASE + i * FRAME_BYTES);
        assert_int_equal(image.runs[i].rights, i == 2 ? 0 : SLIPWAY_RIGHT_WRITE);
    }
    free(lists);
}

static void expect_any_order(uint32_t count) {
    struct elf64_phdr *phdrs = calloc(count, sizeof(*phdrs));
    uint32_t *numbers = calloc(count, sizeof(*numbers));
    uint64_t random = 1;
    enum { RISING, FALLING, LOWEST_LAST, LOWEST_SECOND, SHUFFLED, ORDERS };
    for (int order = 0; order < ORDERS; order++) {
        for (uint32_t i = 0; i < count; i++)
            numbers[i] = order == FALLING       ? count - 1 - i
                         : order == LOWEST_LAST ? (i + 1) % count
                                                : i;
        if (order == LOWEST_SECOND && count > 1) {
            numbers[0] = 1;
            numbers[1] = 0;
        }
        for (uint32_t left = order == SHUFFLED ? count : 0; left > 1; left--) {
            random = random * 6364136223846793005 + 1442695040888963407;
            uint32_t other = (uint32_t)((random >> 33) % left);
            uint32_t number = numbers[left - 1];
            numbers[left - 1] = numbers[other];
            numbers[other] = number;
        }
        for (uint32_t i = 0; i < count; i++)
            phdrs[i] = make_segment(numbers[i]);
        expect_sorted(phdrs, numbers, count);
    }
    free(numbers);
    free(phdrs);
}

TEST("elf: segments may come in any order, as many as the header can count") {
    for (uint32_t count = 1; count < 40; count++)
        expect_any_order(count);
    expect_any_order(5000);
    expect_any_order(MANY);
}

TEST("elf: two of many segments that overlap are named, wherever they stand in the file") {
    struct elf_file file = elf_file_make();
    while (file.header.phdr_count < 60)
        elf_file_add(&file, ELF_PT_LOAD, 0x1000,
                     ELF_FILE_BASE + UINT64_C(0x1000) * (100 - file.header.phdr_count), 16);
    struct elf64_phdr first = file.phdrs[0];
    file.phdrs[0] = file.phdrs[40];
    file.phdrs[40] = first;
    elf_file_accept(&file);
    file.phdrs[55].virt = ELF_FILE_BASE + 0x7f8;
    file.phdrs[55].offset = 0x17f8;
    elf_file_refuse(
        &file, ELF_ERR_OVERLAP,
        "segment 55 [0xffffffff800007f8, 0xffffffff80000808) overlaps segment 40 [0xffffffff80000000, 0xffffffff80000800)");
}

TEST("elf: as many notes are listed as the header can count") {
    struct elf64_phdr *phdrs = calloc(MANY, sizeof(*phdrs));
    struct elf_header_view header = {
        .type = ELF_TYPE_EXEC,
        .entry = ELF_FILE_BASE,
        .phdrs_bytes = MANY * sizeof(*phdrs),
        .phdr_count = MANY,
        .phdr_bytes = sizeof(*phdrs),
    };
    phdrs[0] = make_segment(0);
    for (uint32_t i = 1; i < MANY; i++)
        phdrs[i] = (struct elf64_phdr){.type = ELF_PT_NOTE, .offset = i, .file_bytes = 7};
    struct elf_image image;
    struct elf_error error;
    void *lists = malloc(elf_lists_bytes(MANY));
    assert_int_equal(elf_parse_segments(&header, phdrs, 70000, lists, &image, &error), ELF_OK);
    assert_int_equal(image.note_count, MANY - 1);
    for (uint32_t i = 1; i < MANY; i++)
        if (image.notes[i - 1].file_offset != i || image.notes[i - 1].bytes != 7)
            fail_msg("note %u", i);
    free(lists);
    free(phdrs);
}
