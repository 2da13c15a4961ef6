// Apart from elf_file.c, which the fuzz target uses too, without a test framework.
#include "tests/unit/support/elf_file.h"

#include "tests/unit/support/test.h"

void elf_file_expect_text(const struct elf_error *error, const char *want) {
    char text[256];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    elf_error_print(&sink, error);
    assert_string_equal(text, want);
    assert_int_equal(buffer.dropped, 0);
}
