// Random numbers from a seed: Hash_DRBG over SHA-256 (NIST SP 800-90A Rev. 1, 10.1.1), without the
// parts that a loader has no use for: it is never reseeded, and takes no additional input. Owns
// no source of entropy: who begins it answers for the seed. Pure.
#pragma once

#include "common/hash/sha256.h"

#include <stdint.h>

#define DRBG_STATE_BYTES 55 // seedlen: 440 bits (table 2)

// Between drbg_begin and drbg_end.
struct drbg {
    uint8_t value[DRBG_STATE_BYTES];    // V
    uint8_t constant[DRBG_STATE_BYTES]; // C
    uint64_t requests;                  // reseed_counter: the number of the next one, from 1
    uint8_t block[SHA256_BYTES];        // what the last request gave,
    uint32_t left;                      // the last so many bytes of it not used yet
};

// Begins with `bytes` bytes at `seed`: entropy, nonce and personalization string, one behind the
// other (10.1.1.2). For the strength of SHA-256 they hold 48 bytes of entropy at least (8.6.7).
void drbg_begin(struct drbg *drbg, const void *seed, uint64_t bytes);

// One request of 32 bytes (10.1.1.4). Of 2^48 that the publication allows no boot makes more than a
// few.
void drbg_generate(struct drbg *drbg, uint8_t ret_bytes[SHA256_BYTES]);

// A number below `bound`, which is not 0, each with the same probability: numbers of as many bits
// as bound - 1 has are drawn until one is below `bound` (A.5.1, the simple discard method). Half of
// all draws, or more, are.
uint64_t drbg_below(struct drbg *drbg, uint64_t bound);

// Forgets all of it.
void drbg_end(struct drbg *drbg);
