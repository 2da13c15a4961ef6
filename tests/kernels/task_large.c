// The large kernel: several MiB of text from the file and more of zeroed memory.
#include "kit.h"
#include "tasks.h"

#ifdef LARGE

enum { BSS_BYTES = 6 << 20 };

// Filled by large.S: word i holds i.
extern const uint32_t large_text[], large_text_end[];

static uint64_t large_bss[BSS_BYTES / sizeof(uint64_t)];

void task_check_large(void) {
    check_begin("megabytes of text are those of the file");
    uint64_t words = (uint64_t)(large_text_end - large_text);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < words; i++)
        wrong += large_text[i] != i;
    CHECK_EQUAL(wrong, 0);
    CHECK(words * sizeof(uint32_t) >= 4 << 20, words);

    check_begin("megabytes of bss are zero");
    uint64_t bits = 0;
    for (uint64_t i = 0; i < BSS_BYTES / sizeof(uint64_t); i++)
        bits |= ((volatile uint64_t *)large_bss)[i];
    CHECK_EQUAL(bits, 0);
}

#else

void task_check_large(void) {}

#endif
