// Typed addresses. A physical and a virtual address are one-field structs, so that swapping them,
// or passing a bare number for either, does not compile.
//
// Ranges are half-open, [start, end). A range that reaches the top of the 64-bit space has no
// representable end; code that may meet one keeps (start, bytes) and compares last addresses.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct physical_address {
    uint64_t value;
} paddr_t;

typedef struct virtual_address {
    uint64_t value;
} vaddr_t;

// No frame: what an allocation that failed returns. It is not page aligned, so it is no frame's
// address.
#ifdef __cplusplus
#define PADDR_NONE (paddr_t{UINT64_MAX})
#else
#define PADDR_NONE ((paddr_t){UINT64_MAX})
#endif

#define FRAME_BYTES UINT64_C(4096)
#define FRAME_SHIFT 12

// No CPU has wider physical addresses (Intel SDM 3A, 4.1.4); where the upper half begins (there,
// 4.5: canonical addresses).
#define PHYS_END           (UINT64_C(1) << 52)
#define UPPER_HALF_4LEVELS UINT64_C(0xffff800000000000)
#define UPPER_HALF_5LEVELS UINT64_C(0xff00000000000000)

static inline paddr_t paddr(uint64_t value) {
    paddr_t address = {value};
    return address;
}

static inline vaddr_t vaddr(uint64_t value) {
    vaddr_t address = {value};
    return address;
}

static inline bool paddr_is_none(paddr_t address) {
    return address.value == UINT64_MAX;
}

static inline paddr_t paddr_add(paddr_t address, uint64_t bytes) {
    address.value += bytes;
    return address;
}

static inline vaddr_t vaddr_add(vaddr_t address, uint64_t bytes) {
    address.value += bytes;
    return address;
}
