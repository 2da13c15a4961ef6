// What programs have on any system: user.h has its calls. A program that is measured under Linux
// finds that system's user.h first (tests/bench/linux/).
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline volatile uint64_t *user_word(uint64_t address) {
    return (volatile uint64_t *)address;
}

static inline uint64_t user_ticks(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

// Prints text, as printf does: %s, %u, %d and %x, with l for 64 bits. One line is one call, so that
// lines of several processes do not mix.
[[gnu::format(printf, 1, 2)]] void user_print(const char *format, ...);

// Ends the program with status 1 unless `holds`, and says what did not.
void user_check(bool holds, const char *what);

// Runs `task` in a child, and returns its status.
int user_try(void (*task)(uint64_t argument), uint64_t argument);
