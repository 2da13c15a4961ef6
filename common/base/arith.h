// Checked and aligning arithmetic on 64-bit sizes and addresses, and the array length macro.
// `align` is always a power of two.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define KIB(n) (UINT64_C(n) << 10)
#define MIB(n) (UINT64_C(n) << 20)
#define GIB(n) (UINT64_C(n) << 30)
#define TIB(n) (UINT64_C(n) << 40)

// True when a + b does not fit in 64 bits; else *ret_sum is the sum.
[[nodiscard]] static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *ret_sum) {
    return __builtin_add_overflow(a, b, ret_sum);
}

// True when a * b does not fit in 64 bits; else *ret_product is the product.
[[nodiscard]] static inline bool mul_overflows(uint64_t a, uint64_t b, uint64_t *ret_product) {
    return __builtin_mul_overflow(a, b, ret_product);
}

static inline bool is_power_of_two(uint64_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

static inline bool is_aligned(uint64_t value, uint64_t align) {
    return (value & (align - 1)) == 0;
}

static inline uint64_t align_down(uint64_t value, uint64_t align) {
    return value & ~(align - 1);
}

// The caller knows that value + align - 1 does not wrap.
static inline uint64_t align_up(uint64_t value, uint64_t align) {
    return (value + align - 1) & ~(align - 1);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}
