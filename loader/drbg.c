// See drbg.h.
#include "loader/drbg.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/wipe.h"

enum {
    PREFIX_CONSTANT = 0x00, // of the hash that makes C,
    PREFIX_VALUE = 0x03,    // and of the one that moves V on
    WORD_BYTES = 8,         // of which a number is made
};

// Hash_df (10.3.1): DRBG_STATE_BYTES bytes of `prefix_bytes` bytes at `prefix` and then `bytes`
// bytes at `data`.
static void derive(const uint8_t *prefix, uint64_t prefix_bytes, const void *data, uint64_t bytes,
                   uint8_t ret_state[DRBG_STATE_BYTES]) {
    uint8_t digests[2][SHA256_BYTES];
    uint8_t head[5] = {0, 0, 0, DRBG_STATE_BYTES * 8 >> 8, (uint8_t)(DRBG_STATE_BYTES * 8)};
    struct sha256 hash;
    _Static_assert(sizeof(digests) >= DRBG_STATE_BYTES);
    for (unsigned i = 0; i < ARRAY_LEN(digests); i++) {
        head[0] = (uint8_t)(i + 1);
        sha256_begin(&hash);
        sha256_add(&hash, head, sizeof(head));
        sha256_add(&hash, prefix, prefix_bytes);
        sha256_add(&hash, data, bytes);
        sha256_end(&hash, digests[i]);
    }
    memcpy(ret_state, digests, DRBG_STATE_BYTES);
}

void drbg_begin(struct drbg *drbg, const void *seed, uint64_t bytes) {
    static const uint8_t prefix = PREFIX_CONSTANT;
    derive(NULL, 0, seed, bytes, drbg->value);
    derive(&prefix, 1, drbg->value, DRBG_STATE_BYTES, drbg->constant);
    drbg->requests = 1;
    drbg->left = 0;
}

// Adds `bytes` bytes at `number` to V; both are numbers with the highest byte first, modulo 2^440.
static void add(struct drbg *drbg, const uint8_t *number, uint32_t bytes) {
    unsigned carry = 0;
    for (uint32_t i = 1; i <= DRBG_STATE_BYTES; i++) {
        uint8_t *at = &drbg->value[DRBG_STATE_BYTES - i];
        carry += *at + (i <= bytes ? number[bytes - i] : 0U);
        *at = (uint8_t)carry;
        carry >>= 8;
    }
}

// One block of Hashgen is the digest of V itself.
void drbg_generate(struct drbg *drbg, uint8_t ret_bytes[SHA256_BYTES]) {
    static const uint8_t prefix = PREFIX_VALUE;
    uint8_t digest[SHA256_BYTES];
    uint8_t requests[WORD_BYTES];
    struct sha256 hash;
    sha256(drbg->value, sizeof(drbg->value), ret_bytes);
    sha256_begin(&hash);
    sha256_add(&hash, &prefix, 1);
    sha256_add(&hash, drbg->value, sizeof(drbg->value));
    sha256_end(&hash, digest);
    for (unsigned i = 0; i < WORD_BYTES; i++)
        requests[i] = (uint8_t)(drbg->requests >> 8 * (WORD_BYTES - 1 - i));
    add(drbg, digest, sizeof(digest));
    add(drbg, drbg->constant, sizeof(drbg->constant));
    add(drbg, requests, sizeof(requests));
    drbg->requests++;
}

static uint64_t next_word(struct drbg *drbg) {
    uint64_t word;
    if (drbg->left == 0) {
        drbg_generate(drbg, drbg->block);
        drbg->left = sizeof(drbg->block);
    }
    memcpy(&word, drbg->block + sizeof(drbg->block) - drbg->left, sizeof(word));
    drbg->left -= WORD_BYTES;
    return word;
}

uint64_t drbg_below(struct drbg *drbg, uint64_t bound) {
    ASSERT(bound != 0);
    const uint64_t mask = bound == 1 ? 0 : UINT64_MAX >> __builtin_clzll(bound - 1);
    for (;;) {
        uint64_t number = next_word(drbg) & mask;
        if (number < bound)
            return number;
    }
}

void drbg_end(struct drbg *drbg) {
    wipe(drbg, sizeof(*drbg));
}
