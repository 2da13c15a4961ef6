// The words of every refusal: see limine_requests.h.
#include "loader/protocol/limine_requests.h"

#include "common/base/arith.h"
#include "common/base/assert.h"

// In a template, $a to $d are the values in hexadecimal, $A to $D the same in decimal, $i is the
// index and $k the kind of request.
static const char *const templates[] = {
    [LIMINE_OK] = "no error",
    [LIMINE_ERR_TAG_TWICE] =
        "a second base revision tag at $a, the first is at $b: a kernel may have one",
    [LIMINE_ERR_TAG_CUT] = "the base revision tag at $a runs past the end of the image at $b",
    [LIMINE_ERR_TWICE] = "a second $k request at $a, the first is at $b: a kernel may have one",
    [LIMINE_ERR_CUT] = "the $k request at $a, $B bytes, runs past the end of the image at $c",
    [LIMINE_ERR_SECTION] =
        "section .limine_reqs, $B bytes at $a, does not lie in the image [$c, $d): place it in a segment",
    [LIMINE_ERR_POINTER] =
        "address $i in section .limine_reqs, $a, is no request's in the image [$c, $d)",
    [LIMINE_ERR_STACK] =
        "the STACK_SIZE request at $a asks for $B bytes, more than the $C that there may be",
    [LIMINE_ERR_ENTRY] =
        "the ENTRY_POINT request at $a asks for $b, which lies in no executable segment",
    [LIMINE_ERR_PAGING] =
        "the PAGING_MODE request at $a asks for modes $B to $C, and the CPU has 0 to $D (0: 4 levels, 1: 5 levels)",
    [LIMINE_ERR_MODULES] =
        "the list of $B internal modules at $a does not lie in the image [$c, $d)",
    [LIMINE_ERR_MODULE] = "internal module $i, at $a, does not lie in the image [$c, $d)",
    [LIMINE_ERR_PATH] =
        "the path of internal module $i, at $a, does not lie in the image [$c, $d) with a NUL among its first $B bytes",
    [LIMINE_ERR_STRING] =
        "the string of internal module $i, at $a, does not lie in the image [$c, $d) with a NUL among its first $B bytes",
    [LIMINE_ERR_UTF8] = "a text of internal module $i is not UTF-8: byte $b at $a",
    [LIMINE_ERR_ROOM] = "the responses need more than the $A bytes that there are for them",
};

const char *limine_request_name(enum limine_request_kind kind) {
#define NAME(name, word2, word3) [LIMINE_##name] = #name,
    static const char *const request_names[LIMINE_REQUEST_KINDS] = {LIMINE_REQUESTS(NAME)};
#undef NAME
    ASSERT(kind < LIMINE_REQUEST_KINDS);
    return request_names[kind];
}

static void print_value(const struct sink *sink, char what, const void *context) {
    const struct limine_error *error = context;
    const uint64_t values[] = {error->a, error->b, error->c, error->d};
    if (what == 'k')
        fmt_print(sink, "%s", limine_request_name(error->kind));
    else if (what == 'i')
        fmt_print(sink, "%lu", error->index);
    else if (what >= 'a')
        fmt_print(sink, "0x%lx", values[what - 'a']);
    else
        fmt_print(sink, "%lu", values[what - 'A']);
}

void limine_error_print(const struct sink *sink, const struct limine_error *error) {
    ASSERT(error->status < ARRAY_LEN(templates) && templates[error->status] != NULL);
    fmt_template(sink, templates[error->status], print_value, error);
}
