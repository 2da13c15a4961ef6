// SHA-256 (FIPS 180-4, sections 4.1.2, 5.1.1, 5.3.3, 6.2). Pure and without allocation.
#pragma once

#include <stdint.h>

#define SHA256_BYTES       32
#define SHA256_BLOCK_BYTES 64

// A digest in the making.
struct sha256 {
    uint32_t state[8];
    uint64_t bytes;                    // taken so far; the message must be shorter than 2^61 bytes
    uint8_t block[SHA256_BLOCK_BYTES]; // the first bytes % 64 wait for the rest of their block
};

// Starts a digest.
void sha256_begin(struct sha256 *hash);

// Takes the next `bytes` bytes of the message, any number.
void sha256_add(struct sha256 *hash, const void *data, uint64_t bytes);

// Ends the digest, which must be begun again before it is used again.
void sha256_end(struct sha256 *hash, uint8_t ret_digest[SHA256_BYTES]);

// The digest of one message that lies in memory.
void sha256(const void *data, uint64_t bytes, uint8_t ret_digest[SHA256_BYTES]);
