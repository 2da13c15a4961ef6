// See blake2b.h. Section numbers are those of RFC 7693.
#include "common/hash/blake2b.h"

#include "common/base/mem.h"

enum { BLOCK_BYTES = 128, ROUNDS = 12 };

// The first 64 bits of the fractions of the square roots of the first eight primes (2.6).
static const uint64_t start_vector[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                         0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                         0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

// Which words of the block a round takes, in which order (2.7). After the tenth they begin again.
static const uint8_t order[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                      {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                      {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                      {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                      {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                      {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                      {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                      {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                      {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                      {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

static uint64_t rotate_right(uint64_t word, unsigned bits) {
    return word >> bits | word << (64 - bits);
}

// The mixing function (3.1), of four words of `v`.
static void mix(uint64_t v[16], const uint8_t at[4], uint64_t x, uint64_t y) {
    uint64_t *a = &v[at[0]], *b = &v[at[1]], *c = &v[at[2]], *d = &v[at[3]];
    *a += *b + x;
    *d = rotate_right(*d ^ *a, 32);
    *c += *d;
    *b = rotate_right(*b ^ *c, 24);
    *a += *b + y;
    *d = rotate_right(*d ^ *a, 16);
    *c += *d;
    *b = rotate_right(*b ^ *c, 63);
}

// The compression function (3.2). `bytes`: of the message so far, this block included.
static void compress(uint64_t state[8], const uint8_t block[BLOCK_BYTES], uint64_t bytes,
                     uint64_t is_last) {
    // Columns of the 4 x 4 matrix, and its diagonals.
    static const uint8_t mixed[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14},
                                        {3, 7, 11, 15}, {0, 5, 10, 15}, {1, 6, 11, 12},
                                        {2, 7, 8, 13},  {3, 4, 9, 14}};
    uint64_t words[16], v[16];
    memcpy(words, block, sizeof(words)); // little endian, as the CPU is
    memcpy(v, state, 8 * sizeof(*v));
    memcpy(v + 8, start_vector, 8 * sizeof(*v));
    v[12] ^= bytes;
    v[14] ^= 0 - is_last;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint8_t *turn = order[round % 10];
        for (unsigned i = 0; i < 8; i++)
            mix(v, mixed[i], words[turn[2 * i]], words[turn[2 * i + 1]]);
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] ^= v[i] ^ v[i + 8];
}

// The last block, which is not empty unless the message is, is filled up with zeroes (3.3).
void blake2b(const void *data, uint64_t bytes, uint8_t ret_digest[BLAKE2B_BYTES]) {
    const uint8_t *at = data;
    uint8_t last[BLOCK_BYTES] = {0};
    uint64_t state[8], done = 0;
    memcpy(state, start_vector, sizeof(state));
    state[0] ^= 0x01010000 ^ BLAKE2B_BYTES; // the parameters: fan-out and depth 1, no key (2.5)
    for (; bytes - done > BLOCK_BYTES; done += BLOCK_BYTES)
        compress(state, at + done, done + BLOCK_BYTES, 0);
    if (bytes != done)
        memcpy(last, at + done, bytes - done);
    compress(state, last, bytes, 1);
    memcpy(ret_digest, state, BLAKE2B_BYTES);
}
