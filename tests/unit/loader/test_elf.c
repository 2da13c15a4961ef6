// Header and segments of kernels: what is accepted, what is refused, and in which words.
#include "loader/elf.h"

#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

TEST("elf: an ET_EXEC kernel runs where it is linked, its segments in order") {
    struct elf_file file = elf_file_make();
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.type, ELF_TYPE_EXEC);
    assert_int_equal(image.slide, 0);
    assert_int_equal(image.entry, ELF_FILE_BASE + 0x10);
    assert_int_equal(image.virt_start, ELF_FILE_BASE);
    assert_int_equal(image.virt_end, ELF_FILE_BASE + 0x5000);
    assert_int_equal(image.segment_count, 3);
    const struct elf_segment want[] = {
        {ELF_FILE_BASE, 0x1000, 0x800, 0x800, 0, false, true},
        {ELF_FILE_BASE + 0x1000, 0x2000, 0x400, 0x400, 1, false, false},
        {ELF_FILE_BASE + 0x2000, 0x3000, 0x1800, 0x3000, 2, true, false},
    };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(image.segments[i].virt, want[i].virt);
        assert_int_equal(image.segments[i].file_offset, want[i].file_offset);
        assert_int_equal(image.segments[i].file_bytes, want[i].file_bytes);
        assert_int_equal(image.segments[i].mem_bytes, want[i].mem_bytes);
        assert_int_equal(image.segments[i].phdr, want[i].phdr);
        assert_int_equal(image.segments[i].write, want[i].write);
        assert_int_equal(image.segments[i].execute, want[i].execute);
    }
    assert_int_equal(image.dynamic_bytes, 0);
    assert_int_equal(image.relro_end - image.relro_start, 0);
    assert_int_equal(image.note_count, 0);
}

TEST("elf: segments in any order come out sorted, with the numbers of their headers") {
    struct elf_file file = elf_file_make();
    struct elf64_phdr first = file.phdrs[0];
    file.phdrs[0] = file.phdrs[2];
    file.phdrs[2] = first;
    struct elf_image image = elf_file_accept(&file);
    const uint32_t phdrs[] = {2, 1, 0};
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(image.segments[i].virt, ELF_FILE_BASE + 0x1000 * i);
        assert_int_equal(image.segments[i].phdr, phdrs[i]);
    }
}

TEST("elf: an ET_DYN kernel linked low is slid to the default address") {
    struct elf_file file = elf_file_make_dyn();
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.type, ELF_TYPE_DYN);
    assert_int_equal(image.slide, SLIPWAY_KERNEL_DEFAULT);
    assert_int_equal(image.entry, SLIPWAY_KERNEL_DEFAULT + 0x10);
    assert_int_equal(image.virt_start, SLIPWAY_KERNEL_DEFAULT);
    assert_int_equal(image.virt_end, SLIPWAY_KERNEL_DEFAULT + 0x5000);
    assert_int_equal(image.segments[2].virt, SLIPWAY_KERNEL_DEFAULT + 0x2000);
}

TEST("elf: a slide keeps the largest alignment of a segment") {
    struct elf_file file = elf_file_make_dyn();
    elf_file_move(&file, 0x401000);
    file.phdrs[ELF_FILE_TEXT].align = 0x200000;
    file.phdrs[ELF_FILE_TEXT].offset = 0x1000;
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.slide, SLIPWAY_KERNEL_DEFAULT - 0x400000);
    assert_int_equal(image.virt_start, SLIPWAY_KERNEL_DEFAULT + 0x1000);
    assert_int_equal(image.entry, SLIPWAY_KERNEL_DEFAULT + 0x1010);
}

TEST("elf: an ET_DYN kernel linked in the kernel's window is not slid, one partly below it is") {
    struct elf_file file = elf_file_make_dyn();
    elf_file_move(&file, SLIPWAY_KERNEL_MIN);
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.slide, 0);
    assert_int_equal(image.virt_start, SLIPWAY_KERNEL_MIN);
    elf_file_move(&file, -UINT64_C(0x1000));
    image = elf_file_accept(&file);
    assert_int_equal(image.virt_start, SLIPWAY_KERNEL_DEFAULT);
    assert_int_equal(image.segments[2].virt, SLIPWAY_KERNEL_DEFAULT + 0x2000);
}

TEST("elf: the kernel's window is used to its last byte") {
    struct elf_file file = elf_file_make();
    elf_file_move(&file, SLIPWAY_KERNEL_MAX - 0x5000 - ELF_FILE_BASE);
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.virt_end, SLIPWAY_KERNEL_MAX);

    file.phdrs[ELF_FILE_DATA].mem_bytes++;
    elf_file_refuse(
        &file, ELF_ERR_WINDOW,
        "segment 2 [0xffffffffffffc000, 0xfffffffffffff001) lies outside the kernel's window [0xffff800000000000, 0xfffffffffffff000)");
}

TEST("elf: a program header at any offset and file bytes up to the last byte are accepted") {
    struct elf_file file = elf_file_make();
    memcpy(&file.contents[3], file.phdrs, 3 * sizeof(file.phdrs[0]));
    file.header.phdrs_offset = (uint64_t)(&file.contents[3] - (uint8_t *)&file);
    elf_file_accept(&file);

    file = elf_file_make();
    struct elf_image image;
    struct elf_error error;
    assert_int_equal(elf_file_parse(&file, 0x4800, &image, &error), ELF_OK);
    elf_file_refuse_cut(
        &file, 0x47ff, ELF_ERR_FILE_RANGE,
        "segment 2, 6144 bytes at offset 0x3000, lies outside the file of 18431 bytes");
}

TEST("elf: a file that is too short for a header is refused") {
    struct elf_file file = elf_file_make();
    elf_file_refuse_cut(&file, 0, ELF_ERR_SHORT, "0 bytes are too few for an ELF header");
    elf_file_refuse_cut(&file, 63, ELF_ERR_SHORT, "63 bytes are too few for an ELF header");
}

TEST("elf: a header that is not an x86-64 executable's is refused") {
    struct elf_file file = elf_file_make();
    for (int i = 0; i < 4; i++) {
        file.header.ident[i] ^= 0x20;
        elf_file_refuse(&file, ELF_ERR_MAGIC, "not an ELF file");
        file.header.ident[i] ^= 0x20;
    }
    file.header.ident[ELF_IDENT_CLASS] = 1;
    elf_file_refuse(&file, ELF_ERR_CLASS, "not a 64-bit ELF file (class 1)");
    file = elf_file_make();
    file.header.ident[ELF_IDENT_DATA] = 2;
    elf_file_refuse(&file, ELF_ERR_ENDIAN, "not a little-endian ELF file (data encoding 2)");
    file = elf_file_make();
    file.header.ident[ELF_IDENT_VERSION] = 2;
    elf_file_refuse(&file, ELF_ERR_VERSION, "ELF version 2 is unknown");
    file = elf_file_make();
    file.header.version = 0;
    elf_file_refuse(&file, ELF_ERR_VERSION, "ELF version 0 is unknown");
    file = elf_file_make();
    file.header.machine = 183;
    elf_file_refuse(&file, ELF_ERR_MACHINE, "not for x86-64 (machine 183)");
    file = elf_file_make();
    file.header.type = 1;
    elf_file_refuse(&file, ELF_ERR_TYPE,
                    "neither executable nor position-independent executable (type 1)");
    file = elf_file_make();
    file.header.header_bytes = 52;
    elf_file_refuse(&file, ELF_ERR_HEADER_SIZE, "the ELF header claims 52 bytes instead of 64");
}

TEST("elf: impossible program headers are refused") {
    struct elf_file file = elf_file_make();
    file.header.phdr_bytes = 32;
    elf_file_refuse(&file, ELF_ERR_PHDR_SIZE, "a program header claims 32 bytes instead of 56");
    file = elf_file_make();
    file.header.phdr_count = 0;
    elf_file_refuse(&file, ELF_ERR_PHDRS_NONE, "no program headers");
    file.header.phdr_count = ELF_PN_XNUM;
    elf_file_refuse(
        &file, ELF_ERR_PHDRS_MANY,
        "65535 or more program headers (PN_XNUM), of which 65534 are supported; put more sections into a segment");
    file.header.phdr_count = ELF_FILE_PHDRS; // the rest is PT_NULL
    elf_file_accept(&file);
}

TEST("elf: program headers outside the file are refused, however far") {
    struct elf_file file = elf_file_make();
    file.header.phdrs_offset = sizeof(file) - 167;
    elf_file_refuse(
        &file, ELF_ERR_PHDRS_OUTSIDE,
        "the program headers, 168 bytes at offset 0x7f59, lie outside the file of 32768 bytes");
    file.header.phdrs_offset = UINT64_MAX - 100; // offset + size wraps
    elf_file_refuse(
        &file, ELF_ERR_PHDRS_OUTSIDE,
        "the program headers, 168 bytes at offset 0xffffffffffffff9b, lie outside the file of 32768 bytes");
}

TEST("elf: a file cut anywhere in its headers is refused without a read beyond its end") {
    const struct elf_file whole = elf_file_make();
    struct elf_header_view header;
    struct elf_error error;
    for (uint64_t bytes = 0; bytes < 64 + 3 * 56; bytes++) {
        uint8_t *cut = malloc(bytes == 0 ? 1 : bytes);
        memcpy(cut, &whole, bytes);
        enum elf_status want = bytes < 64 ? ELF_ERR_SHORT : ELF_ERR_PHDRS_OUTSIDE;
        assert_int_equal(elf_parse_header(cut, bytes, bytes, &header, &error), want);
        free(cut);
    }
}

TEST("elf: a file cut anywhere in its contents is refused") {
    const struct elf_file whole = elf_file_make();
    struct elf_image image;
    struct elf_error error;
    for (uint64_t bytes = 64 + 3 * 56; bytes < 0x4800; bytes++)
        assert_int_equal(elf_file_parse(&whole, bytes, &image, &error), ELF_ERR_FILE_RANGE);
}

TEST("elf: file bytes outside the file are refused, also where the sum wraps") {
    struct elf_file file = elf_file_make();
    file.phdrs[1].offset = 0x8000;
    elf_file_refuse(&file, ELF_ERR_FILE_RANGE,
                    "segment 1, 1024 bytes at offset 0x8000, lies outside the file of 32768 bytes");
    file.phdrs[1].offset = 0xfffffffffffff000;
    file.phdrs[1].file_bytes = 0x2000;
    file.phdrs[1].mem_bytes = 0x2000;
    elf_file_refuse(
        &file, ELF_ERR_FILE_RANGE,
        "segment 1, 8192 bytes at offset 0xfffffffffffff000, lies outside the file of 32768 bytes");
}

TEST("elf: a segment without file bytes may have any offset") {
    struct elf_file file = elf_file_make();
    file.phdrs[ELF_FILE_DATA].file_bytes = 0;
    file.phdrs[ELF_FILE_DATA].offset = 0x7fffffff000;
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.segments[2].file_bytes, 0);
    assert_int_equal(image.segments[2].mem_bytes, 0x3000);
}

TEST("elf: a segment without memory is ignored, whatever else it says") {
    struct elf_file file = elf_file_make();
    *elf_file_add(&file, ELF_PT_LOAD, 0, 0, 0) = (struct elf64_phdr){
        .type = ELF_PT_LOAD, .flags = ELF_PF_W | ELF_PF_X, .virt = 123, .align = 3};
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.segment_count, 3);
}

TEST("elf: more file bytes than memory are refused") {
    struct elf_file file = elf_file_make();
    file.phdrs[1].mem_bytes = 0x3ff;
    elf_file_refuse(&file, ELF_ERR_FILE_SIZE,
                    "segment 1 has 1024 bytes in the file but only 1023 in memory");
    file.phdrs[1].mem_bytes = 0;
    elf_file_refuse(&file, ELF_ERR_FILE_SIZE,
                    "segment 1 has 1024 bytes in the file but only 0 in memory");
}

TEST("elf: an alignment that is no power of two up to 1 GiB is refused; 0 and 1 mean none") {
    struct elf_file file = elf_file_make();
    file.phdrs[1].align = 0x3000;
    elf_file_refuse(&file, ELF_ERR_ALIGN,
                    "segment 1: alignment 0x3000 is not a power of two up to 1 GiB");
    file.phdrs[1].align = UINT64_C(1) << 31;
    elf_file_refuse(&file, ELF_ERR_ALIGN,
                    "segment 1: alignment 0x80000000 is not a power of two up to 1 GiB");
    file.phdrs[1].align = UINT64_C(1) << 30;
    file.phdrs[1].offset = 0x1000;
    elf_file_accept(&file);
    for (uint64_t align = 0; align < 2; align++) {
        file.phdrs[1].align = align;
        file.phdrs[1].offset = 0x2001; // congruent to nothing
        elf_file_accept(&file);
    }
}

TEST("elf: an address that differs from the offset modulo the alignment is refused") {
    struct elf_file file = elf_file_make();
    file.phdrs[1].offset = 0x2010;
    elf_file_refuse(
        &file, ELF_ERR_CONGRUENCE,
        "segment 1: address 0xffffffff80001000 and file offset 0x2010 differ modulo the alignment 0x1000");
    file.phdrs[1].virt += 0x10;
    elf_file_accept(&file);
}

TEST("elf: a segment that runs past the end of the address space is refused") {
    struct elf_file file = elf_file_make();
    file.phdrs[2].virt = 0xffffffffffffd000;
    elf_file_refuse(
        &file, ELF_ERR_WRAPS,
        "segment 2, 0x3000 bytes at 0xffffffffffffd000, runs past the end of the address space");
    file.phdrs[2].mem_bytes = UINT64_MAX;
    elf_file_refuse(
        &file, ELF_ERR_WRAPS,
        "segment 2, 0xffffffffffffffff bytes at 0xffffffffffffd000, runs past the end of the address space");
}

TEST("elf: a segment that is writable and executable is refused") {
    struct elf_file file = elf_file_make();
    file.phdrs[0].flags |= ELF_PF_W;
    elf_file_refuse(
        &file, ELF_ERR_WRITE_EXECUTE,
        "segment 0 [0xffffffff80000000, 0xffffffff80000800) is writable and executable");
}

TEST("elf: overlapping segments are refused, whatever their order") {
    struct elf_file file = elf_file_make();
    file.phdrs[0].mem_bytes = 0x1001;
    elf_file_refuse(
        &file, ELF_ERR_OVERLAP,
        "segment 1 [0xffffffff80001000, 0xffffffff80001400) overlaps segment 0 [0xffffffff80000000, 0xffffffff80001001)");
    file.phdrs[0].mem_bytes = 0x1000;
    elf_file_accept(&file);

    // The first holds the second whole, and the headers come in falling order.
    file = elf_file_make();
    file.phdrs[2].virt = ELF_FILE_BASE + 0x1000;
    file.phdrs[1].virt = ELF_FILE_BASE + 0x2000;
    file.phdrs[1].flags = ELF_PF_W;
    elf_file_refuse(
        &file, ELF_ERR_OVERLAP,
        "segment 1 [0xffffffff80002000, 0xffffffff80002400) overlaps segment 2 [0xffffffff80001000, 0xffffffff80004000)");

    file = elf_file_make(); // twice the same
    file.phdrs[1] = file.phdrs[0];
    elf_file_refuse(
        &file, ELF_ERR_OVERLAP,
        "segment 1 [0xffffffff80000000, 0xffffffff80000800) overlaps segment 0 [0xffffffff80000000, 0xffffffff80000800)");
}

TEST("elf: a page shared by segments of different rights is refused, of equal rights accepted") {
    struct elf_file file = elf_file_make();
    file.phdrs[1].virt = ELF_FILE_BASE + 0x800;
    file.phdrs[1].offset = 0x1800;
    elf_file_refuse(
        &file, ELF_ERR_SHARED_PAGE,
        "segment 1 [0xffffffff80000800, 0xffffffff80000c00) shares a page with segment 0 [0xffffffff80000000, 0xffffffff80000800), which has other rights");
    file.phdrs[1].flags = ELF_PF_X;
    elf_file_accept(&file);

    file = elf_file_make();
    file.phdrs[1].mem_bytes = 0x1001; // a byte into the first page of the data, which is writable
    file.phdrs[2].virt += 0x800;
    file.phdrs[2].offset += 0x800;
    elf_file_refuse(
        &file, ELF_ERR_SHARED_PAGE,
        "segment 2 [0xffffffff80002800, 0xffffffff80005800) shares a page with segment 1 [0xffffffff80001000, 0xffffffff80002001), which has other rights");
    file.phdrs[1].mem_bytes = 0x1000; // ends where that page starts
    elf_file_accept(&file);
}

TEST("elf: the pages of segments are disjoint where two share one") {
    struct elf_file file = elf_file_make();
    file.phdrs[1].virt = ELF_FILE_BASE + 0x800;
    file.phdrs[1].offset = 0x1800;
    file.phdrs[1].flags = ELF_PF_X;
    struct elf_image image = elf_file_accept(&file);
    elf_file_expect_runs(&image,
                         (struct elf_run[]){{ELF_FILE_BASE, ELF_FILE_BASE + 0x1000, 2},
                                            {ELF_FILE_BASE + 0x2000, ELF_FILE_BASE + 0x5000, 1}},
                         2);
    file.phdrs[1].mem_bytes = 0x801; // now it has one of its own too
    image = elf_file_accept(&file);
    elf_file_expect_runs(&image,
                         (struct elf_run[]){{ELF_FILE_BASE, ELF_FILE_BASE + 0x2000, 2},
                                            {ELF_FILE_BASE + 0x2000, ELF_FILE_BASE + 0x5000, 1}},
                         2);
}

TEST("elf: an ET_EXEC segment outside the kernel's window is refused") {
    struct elf_file file = elf_file_make();
    file.phdrs[0].virt = 0x100000;
    elf_file_refuse(
        &file, ELF_ERR_WINDOW,
        "segment 0 [0x100000, 0x100800) lies outside the kernel's window [0xffff800000000000, 0xfffffffffffff000)");
    file = elf_file_make();
    file.phdrs[1].virt = SLIPWAY_KERNEL_MIN - 0x1000;
    elf_file_refuse(
        &file, ELF_ERR_WINDOW,
        "segment 1 [0xffff7ffffffff000, 0xffff7ffffffff400) lies outside the kernel's window [0xffff800000000000, 0xfffffffffffff000)");
    file.phdrs[1].virt = SLIPWAY_KERNEL_MIN;
    elf_file_accept(&file);
}

TEST("elf: an ET_DYN kernel too long for its place is refused in link addresses") {
    struct elf_file file = elf_file_make_dyn();
    file.phdrs[ELF_FILE_DATA].virt = 0x7fffe000;
    file.phdrs[ELF_FILE_DATA].mem_bytes = 0x1001;
    file.phdrs[ELF_FILE_DATA].file_bytes = 0;
    elf_file_refuse(
        &file, ELF_ERR_WINDOW,
        "segment 2 [0x7fffe000, 0x7ffff001) lies outside the kernel's window [0x0, 0x7ffff000)");
    file.phdrs[ELF_FILE_DATA].mem_bytes = 0x1000;
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.virt_end, SLIPWAY_KERNEL_MAX);
}

TEST("elf: a file with nothing to load is refused") {
    struct elf_file file = elf_file_make();
    for (int i = 0; i < 3; i++)
        file.phdrs[i].type = ELF_PT_NOTE;
    elf_file_refuse(&file, ELF_ERR_SEGMENTS_NONE, "nothing to load");
}

TEST("elf: the entry point must lie in an executable segment, zeroed memory included") {
    struct elf_file file = elf_file_make();
    file.phdrs[0].mem_bytes = 0x1000;
    file.header.entry = ELF_FILE_BASE + 0xfff;
    elf_file_accept(&file);
    file.header.entry = ELF_FILE_BASE + 0x1000;
    elf_file_refuse(&file, ELF_ERR_ENTRY,
                    "the entry point 0xffffffff80001000 lies in no executable segment");
    file.header.entry = 0;
    elf_file_refuse(&file, ELF_ERR_ENTRY, "the entry point 0x0 lies in no executable segment");
    file.header.entry = ELF_FILE_BASE - 1;
    elf_file_refuse(&file, ELF_ERR_ENTRY,
                    "the entry point 0xffffffff7fffffff lies in no executable segment");
}
