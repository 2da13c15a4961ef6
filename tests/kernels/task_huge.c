// The huge kernel: more zeroed memory than any one run of RAM has.
#include "kit.h"
#include "pages.h"
#include "tasks.h"

#ifdef HUGE

extern uint64_t huge_start[], huge_end[];

enum { WORDS_A_PAGE = PAGE_BYTES / sizeof(uint64_t) };

void task_check_huge(void) {
    volatile uint64_t *words = huge_start;
    uint64_t count = (uint64_t)(huge_end - huge_start);
    check_begin("gigabytes of bss are zero");
    CHECK_EQUAL(count * sizeof(*words), SLIPWAY_U64(3) << 30);
    uint64_t bits = 0;
    for (uint64_t i = 0; i < count; i += WORDS_A_PAGE)
        bits |= words[i] | words[i + WORDS_A_PAGE - 1];
    CHECK_EQUAL(bits, 0);

    check_begin("every page of it is memory of its own");
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < count; i += WORDS_A_PAGE)
        words[i] = i;
    for (uint64_t i = 0; i < count; i += WORDS_A_PAGE)
        wrong += words[i] != i;
    CHECK_EQUAL(wrong, 0);
}

#else

void task_check_huge(void) {}

#endif
