// SHA-256 (FIPS 180-4, sections 4.1.2, 5.1.1, 5.3.3, 6.2). Pure and without allocation.
#pragma once

#include <stdint.h>

#define SHA256_BYTES       32
#define SHA256_BLOCK_BYTES 64

// Takes `blocks` blocks of 64 bytes, any number, that lie at `data`, into `state`.
typedef void sha256_blocks_f(uint32_t state[8], const uint8_t *data, uint64_t blocks);
sha256_blocks_f sha256_blocks;

// The constants of the rounds (4.2.2), aligned to 16 bytes.
extern const uint32_t sha256_k[64];

// A digest in the making.
struct sha256 {
    sha256_blocks_f *blocks;
    uint32_t state[8];
    uint64_t bytes;                    // taken so far; the message must be shorter than 2^61 bytes
    uint8_t block[SHA256_BLOCK_BYTES]; // the first bytes % 64 wait for the rest of their block
};

// Starts a digest.
void sha256_begin(struct sha256 *hash);

// The same, with a faster way to take blocks than sha256_blocks.
void sha256_begin_with(struct sha256 *hash, sha256_blocks_f *blocks);

// Takes the next `bytes` bytes of the message, any number.
void sha256_add(struct sha256 *hash, const void *data, uint64_t bytes);

// Ends the digest, which must be begun again before it is used again.
void sha256_end(struct sha256 *hash, uint8_t ret_digest[SHA256_BYTES]);

// The digest of one message that lies in memory.
void sha256(const void *data, uint64_t bytes, uint8_t ret_digest[SHA256_BYTES]);
