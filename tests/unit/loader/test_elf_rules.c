// What a boot protocol asks of an image: rights, RELRO, how low it may lie; and its alignment.
#include "loader/elf.h"
#include "loader/elf_format.h"
#include "loader/protocol/limine_rules.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/test.h"

static const struct elf_rules slipway = {0};

static struct elf_image parse(const struct elf_file *file) {
    struct elf_image image;
    struct elf_error error;
    if (elf_file_parse_any(file, sizeof(*file), &image, &error) != ELF_OK)
        fail_msg("refused: status %d", (int)error.status);
    return image;
}

static void refuse(struct elf_image *image, const struct elf_rules *rules, enum elf_status status,
                   const char *text) {
    struct elf_error error = {0};
    assert_int_equal(elf_apply_rules(image, rules, &error), status);
    assert_int_equal(error.status, status);
    elf_file_expect_text(&error, text);
}

static void accept(struct elf_image *image, const struct elf_rules *rules) {
    struct elf_error error = {.status = ELF_ERR_READ};
    assert_int_equal(elf_apply_rules(image, rules, &error), ELF_OK);
    assert_int_equal(error.status, ELF_ERR_READ); // left alone
}

static void expect_run(const struct elf_image *image, uint32_t index, uint64_t start, uint64_t end,
                       uint32_t rights) {
    assert_true(index < image->run_count);
    assert_int_equal(image->runs[index].start, start);
    assert_int_equal(image->runs[index].end, end);
    assert_int_equal(image->runs[index].rights, rights);
}

TEST("elf: of segments with both rights the first program header is named") {
    struct elf_file file = elf_file_make();
    struct elf_image image = parse(&file);
    assert_null(elf_find_write_execute(&image));
    accept(&image, &slipway);
    file.phdrs[0].flags |= ELF_PF_W;
    file.phdrs[2].flags |= ELF_PF_X;
    image = parse(&file);
    assert_int_equal(elf_find_write_execute(&image)->phdr, 0);
    refuse(&image, &slipway, ELF_ERR_WRITE_EXECUTE,
           "segment 0 [0xffffffff80000000, 0xffffffff80000800) is writable and executable");
    // The lowest segment is not the first one.
    struct elf_file moved = file;
    moved.phdrs[0] = file.phdrs[2];
    moved.phdrs[2] = file.phdrs[0];
    image = parse(&moved);
    assert_int_equal(elf_find_write_execute(&image)->phdr, 0);
    refuse(&image, &slipway, ELF_ERR_WRITE_EXECUTE,
           "segment 0 [0xffffffff80002000, 0xffffffff80005000) is writable and executable");
}

TEST("elf: a refusal of rights says link addresses") {
    struct elf_file file = elf_file_make_dyn();
    file.phdrs[2].flags |= ELF_PF_X;
    struct elf_image image = parse(&file);
    refuse(&image, &slipway, ELF_ERR_WRITE_EXECUTE,
           "segment 2 [0x2000, 0x5000) is writable and executable");
}

TEST("elf: where the rules allow it pages are writable and executable") {
    const struct elf_rules rules = {.may_write_execute = true};
    struct elf_file file = elf_file_make();
    file.phdrs[2].flags |= ELF_PF_X;
    struct elf_image image = parse(&file);
    accept(&image, &rules);
    assert_int_equal(image.run_count, 3);
    expect_run(&image, 0, ELF_FILE_BASE, ELF_FILE_BASE + 0x1000, SLIPWAY_RIGHT_EXECUTE);
    expect_run(&image, 1, ELF_FILE_BASE + 0x1000, ELF_FILE_BASE + 0x2000, 0);
    expect_run(&image, 2, ELF_FILE_BASE + 0x2000, ELF_FILE_BASE + 0x5000,
               SLIPWAY_RIGHT_WRITE | SLIPWAY_RIGHT_EXECUTE);
}

TEST("elf: RELRO takes the right to write alone, and is ignored where the rules say so") {
    const uint32_t both = SLIPWAY_RIGHT_WRITE | SLIPWAY_RIGHT_EXECUTE;
    const struct elf_rules honours = {.may_write_execute = true};
    struct elf_file file = elf_file_make();
    file.phdrs[2].flags |= ELF_PF_X;
    elf_file_add(&file, ELF_PT_GNU_RELRO, 0x3000, ELF_FILE_BASE + 0x2000, 0x1000);
    struct elf_image image = parse(&file);
    accept(&image, &honours);
    assert_int_equal(image.run_count, 4);
    expect_run(&image, 2, ELF_FILE_BASE + 0x2000, ELF_FILE_BASE + 0x3000, SLIPWAY_RIGHT_EXECUTE);
    expect_run(&image, 3, ELF_FILE_BASE + 0x3000, ELF_FILE_BASE + 0x5000, both);
    accept(&image, &limine_elf_rules);
    assert_int_equal(image.relro_start, image.relro_end);
    assert_int_equal(image.run_count, 3);
    expect_run(&image, 1, ELF_FILE_BASE + 0x1000, ELF_FILE_BASE + 0x2000, 0);
    expect_run(&image, 2, ELF_FILE_BASE + 0x2000, ELF_FILE_BASE + 0x5000, both);
}

TEST("elf: the Limine protocol's kernels lie in the highest 2 GiB, whatever their rights") {
    struct elf_file file = elf_file_make();
    file.phdrs[1].flags |= ELF_PF_W | ELF_PF_X;
    struct elf_image image = parse(&file);
    accept(&image, &limine_elf_rules);
    elf_file_move(&file, UINT64_C(0) - 0x1000);
    image = parse(&file);
    refuse(
        &image, &limine_elf_rules, ELF_ERR_BELOW,
        "segment 0 [0xffffffff7ffff000, 0xffffffff7ffff800) lies below 0xffffffff80000000, where kernels of its protocol begin");
    refuse(&image, &slipway, ELF_ERR_WRITE_EXECUTE,
           "segment 1 [0xffffffff80000000, 0xffffffff80000400) is writable and executable");
    // One that is slid comes to the lowest address.
    file = elf_file_make_dyn();
    image = parse(&file);
    accept(&image, &limine_elf_rules);
    assert_int_equal(image.virt_start, UINT64_C(0xffffffff80000000));
}

TEST("elf: the image's alignment is the largest of its segments, a page at least") {
    struct elf_file file = elf_file_make();
    file.phdrs[0].align = file.phdrs[1].align = file.phdrs[2].align = 16;
    assert_int_equal(parse(&file).align, 0x1000);
    file.phdrs[1].align = 0x200000;
    file.phdrs[1].offset = 0x201000;
    file.phdrs[1].file_bytes = 0;
    assert_int_equal(parse(&file).align, 0x200000);
}
