// See sha256.h. Names as in FIPS 180-4.
#include "common/hash/sha256.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

enum { ROUNDS = 64, WORDS = 16 };

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2).
_Alignas(16) const uint32_t sha256_k[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned n) {
    return x >> n | x << (32 - n);
}

static uint32_t load_big_endian(const uint8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    return __builtin_bswap32(word);
}

static void store_big_endian(uint8_t *bytes, uint32_t word) {
    word = __builtin_bswap32(word);
    memcpy(bytes, &word, sizeof(word));
}

// The sums of three rotations, as one chain each: rotr 6, 11, 25 and rotr 2, 13, 22.
static uint32_t sum1(uint32_t x) {
    return rotr(rotr(rotr(x, 14) ^ x, 5) ^ x, 6);
}

static uint32_t sum0(uint32_t x) {
    return rotr(rotr(rotr(x, 9) ^ x, 11) ^ x, 2);
}

// The message schedule W_t (6.2.2 step 1), of which only the last 16 words are kept; `t` modulo 16.
static inline uint32_t next_word(uint32_t w[WORDS], unsigned t) {
    uint32_t w15 = w[(t + 1) % WORDS];
    uint32_t w2 = w[(t + 14) % WORDS];
    uint32_t sigma0 = rotr(rotr(w15, 11) ^ w15, 7) ^ w15 >> 3; // rotr 7, 18
    uint32_t sigma1 = rotr(rotr(w2, 2) ^ w2, 17) ^ w2 >> 10;   // rotr 17, 19
    return w[t] += sigma1 + w[(t + 9) % WORDS] + sigma0;
}

// Round `t` on the variables a to h, which begin one place further back in each: so none is moved.
[[gnu::always_inline]] static inline void take_round(uint32_t v[8], unsigned t, uint32_t input) {
    uint32_t a = v[(8 - t) % 8], b = v[(9 - t) % 8], c = v[(10 - t) % 8];
    uint32_t e = v[(12 - t) % 8], f = v[(13 - t) % 8], g = v[(14 - t) % 8];
    uint32_t t1 = v[(15 - t) % 8] + sum1(e) + (g ^ (e & (f ^ g))) + input;
    v[(11 - t) % 8] += t1;
    v[(15 - t) % 8] = t1 + sum0(a) + ((a & b) | (c & (a | b)));
}

#define ROUND(t) take_round(v, (t) % 8, k[t] + (k == sha256_k ? w[t] : next_word(w, (t))))

// The first 16 words are those of the block.
[[gnu::always_inline]] static inline void take_16_rounds(uint32_t v[8], uint32_t w[WORDS],
                                                         const uint32_t *k) {
    ROUND(0), ROUND(1), ROUND(2), ROUND(3), ROUND(4), ROUND(5), ROUND(6), ROUND(7);
    ROUND(8), ROUND(9), ROUND(10), ROUND(11), ROUND(12), ROUND(13), ROUND(14), ROUND(15);
}

static void take_block(uint32_t state[8], const uint8_t *block) {
    uint32_t w[WORDS];
    uint32_t v[8] = {state[0], state[1], state[2], state[3],
                     state[4], state[5], state[6], state[7]};
    for (unsigned t = 0; t < WORDS; t++)
        w[t] = load_big_endian(block + 4 * t);
    take_16_rounds(v, w, sha256_k);
    for (unsigned t = WORDS; t < ROUNDS; t += WORDS)
        take_16_rounds(v, w, sha256_k + t);
    for (unsigned i = 0; i < 8; i++)
        state[i] += v[i];
}

void sha256_blocks(uint32_t state[8], const uint8_t *data, uint64_t blocks) {
    for (; blocks != 0; blocks--, data += SHA256_BLOCK_BYTES)
        take_block(state, data);
}

void sha256_begin_with(struct sha256 *hash, sha256_blocks_f *blocks) {
    *hash = (struct sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                  0x1f83d9ab, 0x5be0cd19},
        .blocks = blocks,
    };
}

void sha256_begin(struct sha256 *hash) {
    sha256_begin_with(hash, sha256_blocks);
}

void sha256_add(struct sha256 *hash, const void *data, uint64_t bytes) {
    const uint8_t *at = data;
    if (bytes == 0) // then data may be null
        return;
    uint64_t waiting = hash->bytes % SHA256_BLOCK_BYTES;
    hash->bytes += bytes;
    if (waiting != 0) {
        uint64_t taken = min_u64(bytes, SHA256_BLOCK_BYTES - waiting);
        memcpy(hash->block + waiting, at, taken);
        at += taken;
        bytes -= taken;
        if (waiting + taken < SHA256_BLOCK_BYTES)
            return;
        hash->blocks(hash->state, hash->block, 1);
    }
    uint64_t blocks = bytes / SHA256_BLOCK_BYTES;
    hash->blocks(hash->state, at, blocks);
    memcpy(hash->block, at + blocks * SHA256_BLOCK_BYTES, bytes % SHA256_BLOCK_BYTES);
}

void sha256_end(struct sha256 *hash, uint8_t ret_digest[SHA256_BYTES]) {
    // Padding (5.1.1): a one bit, zeros, and the length in bits as a 64-bit big-endian number that
    // ends a block.
    static const uint8_t padding[SHA256_BLOCK_BYTES] = {0x80};
    uint64_t bits = hash->bytes * 8;
    uint8_t length[8];
    store_big_endian(length, (uint32_t)(bits >> 32));
    store_big_endian(length + 4, (uint32_t)bits);
    uint64_t used = (hash->bytes + sizeof(length)) % SHA256_BLOCK_BYTES;
    sha256_add(hash, padding, SHA256_BLOCK_BYTES - used);
    sha256_add(hash, length, sizeof(length));
    for (unsigned i = 0; i < 8; i++)
        store_big_endian(ret_digest + 4 * i, hash->state[i]);
}

void sha256(const void *data, uint64_t bytes, uint8_t ret_digest[SHA256_BYTES]) {
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, data, bytes);
    sha256_end(&hash, ret_digest);
}
