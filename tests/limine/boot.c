#include "boot.h"
#include "requests.h"
#include "tap.h"

#include <stddef.h>

struct boot boot;

// Compilers may call these for copies and clears.
void *memset(void *target, int byte, size_t bytes);
void *memcpy(void *restrict target, const void *restrict source, size_t bytes);

static void read_cmdline(void) {
    const struct limine_value_response *told = response_of(LIMINE_EXECUTABLE_CMDLINE);
    const struct limine_value_response *file = response_of(LIMINE_EXECUTABLE_FILE);
    boot.cmdline = told   ? (const char *)told->value
                   : file ? (const char *)((const struct limine_file *)file->value)->string
                          : "";
    boot.is_strict = cmdline_has("strict");
}

void boot_read(void) {
    // A loader that knows revision 3 says which it follows; an older one that does not know the
    // kernel's leaves the tag alone.
    boot.revision = variant.revision;
    if (variant.has_tag && base_tag[2] != 0) {
        if (base_tag[1] == LIMINE_TAG_1)
            tap_skip_all("the loader does not know base revision %lu", variant.revision);
        tap_skip_all("the loader follows base revision %lu instead of %lu", (uint64_t)base_tag[1],
                     variant.revision);
    }
    if (!response_address(LIMINE_HHDM) || !response_address(LIMINE_MEMMAP))
        tap_bail_out("without HHDM and memory map nothing can be checked");
    boot.hhdm = ((const struct limine_value_response *)response_of(LIMINE_HHDM))->value;
    boot.levels = boot.state.cr4 & CR4_LA57 ? 5 : 4;
    read_cmdline();
}

// What is behind a word, where this begins with one of `ends`; or null.
static const char *find_word(const char *word, const char *ends) {
    for (const char *text = boot.cmdline; *text;) {
        const char *at = text, *w = word;
        while (*w && *at == *w)
            at++, w++;
        if (!*w && (*at == ends[0] || *at == ends[1]))
            return at;
        while (*text && *text != ' ')
            text++;
        while (*text == ' ')
            text++;
    }
    return NULL;
}

bool cmdline_has(const char *word) {
    return find_word(word, " ") != NULL;
}

const char *cmdline_find(const char *name) {
    const char *end = find_word(name, "==");
    return end ? end + 1 : NULL;
}

uint64_t cmdline_number(const char *name, uint64_t missing) {
    const char *text = cmdline_find(name);
    if (!text)
        return missing;
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = 10 * value + (uint64_t)(*text - '0');
    return value;
}

bool bytes_equal(const void *a, const void *b, uint64_t bytes) {
    const uint8_t *x = a, *y = b;
    for (uint64_t i = 0; i < bytes; i++) {
        if (x[i] != y[i])
            return false;
    }
    return true;
}

bool text_equal(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

uint8_t sum_bytes(const void *data, uint64_t bytes) {
    uint8_t sum = 0;
    for (uint64_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
    return sum;
}

void *memset(void *target, int byte, size_t bytes) {
    void *at = target;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(byte) : "memory");
    return target;
}

void *memcpy(void *restrict target, const void *restrict source, size_t bytes) {
    void *at = target;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(source), "+c"(bytes)::"memory");
    return target;
}
