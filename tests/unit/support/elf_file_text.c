// Assertions, apart from elf_file.c, which the fuzz target uses too, without a test framework.
#include "tests/unit/support/elf_file.h"

#include "common/base/fmt.h"
#include "tests/unit/support/test.h"

#include <string.h>

void elf_file_expect_text(const struct elf_error *error, const char *want) {
    char text[256];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    elf_error_print(&sink, error);
    assert_string_equal(text, want);
    assert_int_equal(buffer.dropped, 0);
}

struct elf_image elf_file_accept(const struct elf_file *file) {
    struct elf_image image;
    struct elf_error error = {.status = ELF_ERR_MAGIC, .a = 42};
    assert_int_equal(elf_file_parse(file, sizeof(*file), &image, &error), ELF_OK);
    assert_int_equal(error.a, 42);
    return image;
}

void elf_file_expect_runs(const struct elf_image *image, const struct elf_run *want,
                          uint32_t count) {
    assert_int_equal(image->run_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(image->runs[i].start, want[i].start);
        assert_int_equal(image->runs[i].end, want[i].end);
        assert_int_equal(image->runs[i].rights, want[i].rights);
    }
}

void elf_file_refuse_cut(const struct elf_file *file, uint64_t file_bytes, enum elf_status want,
                         const char *text) {
    struct elf_image image, before;
    memset(&image, 0xa5, sizeof(image));
    before = image;
    struct elf_error error = {0};
    assert_int_equal(elf_file_parse(file, file_bytes, &image, &error), want);
    assert_int_equal(error.status, want);
    elf_file_expect_text(&error, text);
    assert_memory_equal(&image, &before, sizeof(image));
}

void elf_file_refuse(const struct elf_file *file, enum elf_status want, const char *text) {
    elf_file_refuse_cut(file, sizeof(*file), want, text);
}
