// Program headers of kernels that are no segment: dynamic section, RELRO, notes, and what is
// refused or of no concern.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/test.h"

static void expect_tls(const struct elf_file *file, struct elf_tls want) {
    struct elf_image image = elf_file_accept(file);
    assert_memory_equal(&image.tls, &want, sizeof(want));
}

TEST("elf: of thread-local data the template and the size of a block are handed over") {
    struct elf_file file = elf_file_make_dyn();
    uint64_t base = SLIPWAY_KERNEL_DEFAULT;
    expect_tls(&file, (struct elf_tls){0});
    struct elf64_phdr *tls = elf_file_add(&file, ELF_PT_TLS, 0x3100, 0x2100, 0x40);
    tls->mem_bytes = 0x5000; // more than its segment has
    tls->align = 0x100;
    expect_tls(&file, (struct elf_tls){base + 0x2100, 0x40, 0x5000, 0x100});
    tls->align = 0; // none
    expect_tls(&file, (struct elf_tls){base + 0x2100, 0x40, 0x5000, 1});
    tls->virt = 0x2101;
    tls->align = 1;
    expect_tls(&file, (struct elf_tls){base + 0x2101, 0x40, 0x5000, 1});
    tls->virt = 0x13c0; // to the end of the read-only data
    tls->align = 0x40;
    expect_tls(&file, (struct elf_tls){base + 0x13c0, 0x40, 0x5000, 0x40});
    tls->file_bytes = tls->mem_bytes = 0x40;
    expect_tls(&file, (struct elf_tls){base + 0x13c0, 0x40, 0x40, 0x40});
    tls->file_bytes = 0; // zeros alone, wherever they lie
    tls->virt = 0x4801;
    expect_tls(&file, (struct elf_tls){0, 0, 0x40, 0x40});
    tls->align = UINT64_C(1) << 30; // the largest
    expect_tls(&file, (struct elf_tls){0, 0, 0x40, UINT64_C(1) << 30});
    tls->mem_bytes = 0; // none, after all
    tls->align = 3;
    expect_tls(&file, (struct elf_tls){0});
}

TEST("elf: thread-local data that cannot be is refused") {
    struct elf_file file = elf_file_make_dyn();
    struct elf64_phdr *tls = elf_file_add(&file, ELF_PT_TLS, 0x3100, 0x13c1, 0x40);
    tls->align = 1;
    elf_file_refuse(
        &file, ELF_ERR_TLS_RANGE,
        "the thread-local data (program header 3), 0x40 bytes at 0x13c1, lies in no single segment");
    tls->align = 64;
    elf_file_refuse(
        &file, ELF_ERR_TLS_ALIGN,
        "the thread-local data (program header 3) at 0x13c1 is not aligned to 0x40, a power of two up to 1 GiB");
    tls->virt = 0x1380;
    tls->align = 24;
    elf_file_refuse(
        &file, ELF_ERR_TLS_ALIGN,
        "the thread-local data (program header 3) at 0x1380 is not aligned to 0x18, a power of two up to 1 GiB");
    tls->file_bytes = 0;
    tls->align = UINT64_C(1) << 31;
    elf_file_refuse(
        &file, ELF_ERR_TLS_ALIGN,
        "the thread-local data (program header 3) at 0x1380 is not aligned to 0x80000000, a power of two up to 1 GiB");
    tls->file_bytes = 0x41;
    elf_file_refuse(&file, ELF_ERR_FILE_SIZE,
                    "segment 3 has 65 bytes in the file but only 64 in memory");
    elf_file_add(&file, ELF_PT_TLS, 0x3100, 0x2100, 8);
    elf_file_refuse(&file, ELF_ERR_TWICE, "program header 4: a second PT_TLS, the first is 3");
}

TEST("elf: the dynamic section is found at its run address, inside one segment") {
    struct elf_file file = elf_file_make_dyn();
    struct elf64_phdr *dynamic = elf_file_add(&file, ELF_PT_DYNAMIC, 0x3100, 0x2100, 0x100);
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.dynamic_virt, SLIPWAY_KERNEL_DEFAULT + 0x2100);
    assert_int_equal(image.dynamic_bytes, 0x100);

    dynamic->virt = 0x4f01;
    elf_file_refuse(
        &file, ELF_ERR_DYNAMIC_RANGE,
        "the dynamic section (program header 3), 0x100 bytes at 0x4f01, lies in no single segment");
    dynamic->mem_bytes = UINT64_MAX;
    elf_file_refuse(
        &file, ELF_ERR_DYNAMIC_RANGE,
        "the dynamic section (program header 3), 0xffffffffffffffff bytes at 0x4f01, lies in no single segment");
    dynamic->virt = 0x2100;
    dynamic->mem_bytes = 16;
    elf_file_add(&file, ELF_PT_DYNAMIC, 0x3100, 0x2100, 16);
    elf_file_refuse(&file, ELF_ERR_TWICE, "program header 4: a second PT_DYNAMIC, the first is 3");
}

TEST("elf: a dynamic section or RELRO without memory is none, wherever it lies") {
    struct elf_file file = elf_file_make();
    elf_file_add(&file, ELF_PT_DYNAMIC, 0, 0, 0);
    elf_file_add(&file, ELF_PT_GNU_RELRO, 0, 0, 0);
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.dynamic_bytes, 0);
    assert_int_equal(image.relro_start, image.relro_end);
}

static void expect_relro(const struct elf_file *file, uint64_t start, uint64_t end) {
    struct elf_image image = elf_file_accept(file);
    assert_int_equal(image.relro_start, start);
    assert_int_equal(image.relro_end, end);
    for (uint32_t i = 0; i < image.run_count; i++) {
        const struct elf_run *run = &image.runs[i];
        assert_true(run->rights == 0 || run->end <= start || run->start >= end);
    }
}

TEST("elf: RELRO cuts the run of its segment, at both ends or one, or is all of it") {
    struct elf_file file = elf_file_make();
    uint64_t base = ELF_FILE_BASE, data = base + 0x2000;
    struct elf64_phdr *relro = elf_file_add(&file, ELF_PT_GNU_RELRO, 0x3000, data, 0x1000);
    file.phdrs[ELF_FILE_DATA].mem_bytes = 0x2800;
    struct elf_image image = elf_file_accept(&file);
    struct elf_run want[5] = {{base, base + 0x1000, SLIPWAY_RIGHT_EXECUTE},
                              {base + 0x1000, data + 0x1000, 0}, // one with the read-only data
                              {data + 0x1000, data + 0x3000, SLIPWAY_RIGHT_WRITE}};
    elf_file_expect_runs(&image, want, 3);
    relro->mem_bytes = 0x3000; // its last page, too
    image = elf_file_accept(&file);
    want[1].end = data + 0x3000;
    elf_file_expect_runs(&image, want, 2);
    relro->virt = data + 0x1000;
    relro->mem_bytes = 0x1000;
    image = elf_file_accept(&file);
    want[1].end = data;
    want[2] = (struct elf_run){data, data + 0x1000, SLIPWAY_RIGHT_WRITE};
    want[3] = (struct elf_run){data + 0x1000, data + 0x2000, 0};
    want[4] = (struct elf_run){data + 0x2000, data + 0x3000, SLIPWAY_RIGHT_WRITE};
    elf_file_expect_runs(&image, want, 5);
    relro->mem_bytes = 0x2000;
    image = elf_file_accept(&file);
    want[3].end = data + 0x3000;
    elf_file_expect_runs(&image, want, 4);
}

TEST("elf: RELRO covers the whole pages inside it, and its segment's first page") {
    struct elf_file file = elf_file_make();
    uint64_t data = ELF_FILE_BASE + 0x2000;
    struct elf64_phdr *relro = elf_file_add(&file, ELF_PT_GNU_RELRO, 0x3000, data, 0x1fff);
    expect_relro(&file, data, data + 0x1000);
    relro->mem_bytes = 0x2000;
    expect_relro(&file, data, data + 0x2000);
    relro->mem_bytes = 0xfff; // no whole page
    expect_relro(&file, 0, 0);
    relro->virt = data + 1; // the segment has a byte before it, in the same page
    relro->mem_bytes = 0x2000;
    expect_relro(&file, data + 0x1000, data + 0x2000);
    relro->virt = data + 0x2fff; // the segment's last byte
    relro->mem_bytes = 1;
    expect_relro(&file, 0, 0);

    file.phdrs[ELF_FILE_DATA].virt = data + 0x800; // not page aligned, as GNU ld makes them
    file.phdrs[ELF_FILE_DATA].offset = 0x3800;
    file.phdrs[ELF_FILE_DATA].file_bytes = 0x400;
    relro->virt = data + 0x800;
    relro->mem_bytes = 0x800;
    expect_relro(&file, data, data + 0x1000);
}

TEST("elf: RELRO ends with its segment's last page, however far its padding reaches") {
    struct elf_file file = elf_file_make();
    uint64_t data = ELF_FILE_BASE + 0x2000;
    struct elf64_phdr *relro = elf_file_add(&file, ELF_PT_GNU_RELRO, 0x3000, data, 0);
    file.phdrs[ELF_FILE_DATA].mem_bytes = 0x2801;
    const uint64_t sizes[] = {0x3000, 0x3001, 0x200000, UINT64_MAX - ELF_FILE_BASE, UINT64_MAX};
    for (uint64_t i = 0; i < ARRAY_LEN(sizes); i++) {
        relro->mem_bytes = sizes[i];
        expect_relro(&file, data, data + 0x3000);
    }
}

TEST("elf: RELRO that starts in no writable segment is refused") {
    struct elf_file file = elf_file_make();
    struct elf64_phdr *relro =
        elf_file_add(&file, ELF_PT_GNU_RELRO, 0x3000, ELF_FILE_BASE + 0x1000, 0x1000);
    elf_file_refuse(
        &file, ELF_ERR_RELRO_RANGE,
        "PT_GNU_RELRO (program header 3), 0x1000 bytes at 0xffffffff80001000, starts in no writable segment");
    relro->virt = 0;
    elf_file_refuse(
        &file, ELF_ERR_RELRO_RANGE,
        "PT_GNU_RELRO (program header 3), 0x1000 bytes at 0x0, starts in no writable segment");
    elf_file_add(&file, ELF_PT_GNU_RELRO, 0x3000, ELF_FILE_BASE + 0x2000, 0x1000);
    elf_file_refuse(&file, ELF_ERR_TWICE,
                    "program header 4: a second PT_GNU_RELRO, the first is 3");
}

TEST("elf: pages in which another segment has bytes are not RELRO, before, behind or both") {
    struct elf_file file = elf_file_make();
    uint64_t data = ELF_FILE_BASE + 0x2000;
    struct elf64_phdr *owner = &file.phdrs[ELF_FILE_DATA];
    owner->virt = data + 0x800;
    owner->offset = 0x3800;
    owner->file_bytes = 0x400;
    owner->mem_bytes = 0x2000; // up to the middle of the third page
    elf_file_add(&file, ELF_PT_GNU_RELRO, 0x3800, data + 0x800, 0x200000);
    struct elf64_phdr *behind = elf_file_add(&file, ELF_PT_LOAD, 0x5000, data + 0x3000, 0x100);
    behind->flags = ELF_PF_W;
    expect_relro(&file, data, data + 0x3000);
    behind->virt = data + 0x2fff;
    behind->offset = 0x4fff;
    expect_relro(&file, data, data + 0x2000);
    struct elf64_phdr *before = elf_file_add(&file, ELF_PT_LOAD, 0x3000, data, 1);
    before->flags = ELF_PF_W;
    expect_relro(&file, data + 0x1000, data + 0x2000);
    behind->virt = data + 0x1fff;
    behind->offset = 0x3fff;
    owner->mem_bytes = 0x17ff;
    expect_relro(&file, 0, 0);
    behind->virt = data + 0x900; // and where all three are in one page
    behind->offset = 0x3900;
    owner->file_bytes = owner->mem_bytes = 0x100;
    expect_relro(&file, 0, 0);
}

TEST("elf: notes are listed with their place, as many as there are") {
    struct elf_file file = elf_file_make();
    elf_file_add(&file, ELF_PT_NOTE, UINT64_MAX, 0, 0);
    for (uint64_t i = 4; i < ELF_FILE_PHDRS; i++)
        elf_file_add(&file, ELF_PT_NOTE, 0x2000 + i, 0, 60 + i);
    struct elf_image image = elf_file_accept(&file);
    assert_int_equal(image.note_count, ELF_FILE_PHDRS - 4);
    for (uint64_t i = 4; i < ELF_FILE_PHDRS; i++) {
        assert_int_equal(image.notes[i - 4].file_offset, 0x2000 + i);
        assert_int_equal(image.notes[i - 4].bytes, 60 + i);
    }
}

TEST("elf: notes outside the file are refused") {
    struct elf_file file = elf_file_make();
    struct elf64_phdr *note = elf_file_add(&file, ELF_PT_NOTE, 0x7ff1, 0, 16);
    elf_file_refuse(&file, ELF_ERR_FILE_RANGE,
                    "segment 3, 16 bytes at offset 0x7ff1, lies outside the file of 32768 bytes");
    note->offset = 0x7ff0;
    elf_file_accept(&file);
}

TEST("elf: program headers that are of no concern are ignored") {
    struct elf_file file = elf_file_make();
    const uint32_t types[] = {0,          ELF_PT_INTERP, 5,          6,
                              0x6474e550, 0x6474e551,    0x6474e553, 0x7fffffff};
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        elf_file_add(&file, types[i], UINT64_MAX, UINT64_MAX, UINT64_MAX);
    elf_file_accept(&file);
}

TEST("elf: RELRO of a kernel that is slid is slid with it") {
    struct elf_file file = elf_file_make_dyn();
    struct elf_image image;
    struct elf_error error;
    elf_file_add(&file, ELF_PT_GNU_RELRO, 0x3000, 0x2000, 0x1000);
    assert_int_equal(elf_file_parse(&file, sizeof(file), &image, &error), ELF_OK);
    assert_int_equal(image.slide, SLIPWAY_KERNEL_DEFAULT);
    assert_int_equal(image.relro_start, SLIPWAY_KERNEL_DEFAULT + 0x2000);
    assert_int_equal(image.relro_end, SLIPWAY_KERNEL_DEFAULT + 0x3000);
}
