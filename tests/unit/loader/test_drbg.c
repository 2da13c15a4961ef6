// Hash_DRBG. Expected: the four requests are those of HASH-DRBG over SHA-256 in OpenSSL 3.0, with
// the same entropy, nonce and personalization string; the digest over many is of a script after the
// publication, with Python's hashlib.
#include "loader/drbg.h"

#include "tests/unit/support/test.h"

#include <stdio.h>
#include <string.h>

static void expect(const uint8_t bytes[SHA256_BYTES], const char *want) {
    char text[2 * SHA256_BYTES + 1];
    for (int i = 0; i < SHA256_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(text, want);
}

TEST("drbg: requests give what another program gives") {
    static const char *const wants[] = {
        "9dcbfc023ec200a39fadabef6c3a657d928fdfaef41c96d585d05b396c33ae49",
        "319e8fbc0943b80bea5cabdda67b06d7e6fe7d3b28616ad79c391fffc7927b11",
        "01c1b33bdf4f2512de5860104d23e6a46b77d27acb27cc99694254d075b23745",
        "e18fdc5bf94102558d1cb67b3fa9282f74f6cbc95d09ea101c1a3e85e8210057",
    };
    struct drbg drbg;
    uint8_t seed[64 + 13], bytes[SHA256_BYTES];
    for (uint8_t i = 0; i < 64; i++)
        seed[i] = i;
    memcpy(seed + 64, "Slipway KASLR", 13);
    drbg_begin(&drbg, seed, sizeof(seed));
    for (unsigned i = 0; i < 4; i++) {
        drbg_generate(&drbg, bytes);
        expect(bytes, wants[i]);
    }
}

TEST("drbg: a thousand requests, with every carry that there is") {
    struct drbg drbg;
    struct sha256 hash;
    uint8_t seed[64], bytes[SHA256_BYTES];
    memset(seed, 0xff, sizeof(seed));
    drbg_begin(&drbg, seed, sizeof(seed));
    sha256_begin(&hash);
    for (unsigned i = 0; i < 1000; i++) {
        drbg_generate(&drbg, bytes);
        sha256_add(&hash, bytes, sizeof(bytes));
    }
    sha256_end(&hash, bytes);
    expect(bytes, "c4d4ea289b2f89b430a89e8e8c9033c0c0b902f32bf782870cb36b4e7e1eb064");
}

TEST("drbg: one that has ended is zero") {
    static const struct drbg nothing;
    struct drbg drbg;
    drbg_begin(&drbg, "seed", 4);
    drbg_below(&drbg, 1000);
    drbg_end(&drbg);
    assert_memory_equal(&drbg, &nothing, sizeof(drbg));
}

TEST("drbg: numbers are the words of each request in turn, of as many bits as needed") {
    struct drbg drbg, twin;
    uint64_t words[4];
    drbg_begin(&drbg, "seed", 4);
    drbg_begin(&twin, "seed", 4);
    for (unsigned i = 0; i < 100; i++) {
        if (i % 4 == 0)
            drbg_generate(&twin, (uint8_t *)words);
        assert_int_equal(drbg_below(&drbg, UINT64_C(1) << (i % 63)),
                         words[i % 4] & ((UINT64_C(1) << (i % 63)) - 1));
    }
}

// What a number is of which the generator's first words are these.
TEST("drbg: a number that is not below the bound is passed over, not folded") {
    static const uint64_t words[4] = {7, 6, 5, 4};
    struct drbg drbg = {.left = sizeof(words)};
    memcpy(drbg.block, words, sizeof(words));
    assert_int_equal(drbg_below(&drbg, 5), 4);
    assert_int_equal(drbg.left, 0);
    drbg.left = sizeof(words);
    assert_int_equal(drbg_below(&drbg, 8), 7);
    assert_int_equal(drbg_below(&drbg, 7), 6);
    assert_int_equal(drbg_below(&drbg, 6), 5);
    assert_int_equal(drbg_below(&drbg, 1), 0);
    drbg.left = 2 * sizeof(words[0]);
    assert_int_equal(drbg_below(&drbg, 1), 0); // every number is below it
    assert_int_equal(drbg.left, sizeof(words[0]));
    drbg.left = sizeof(words);
    assert_int_equal(drbg_below(&drbg, UINT64_MAX), 7);
}

// ---- Uniformity

enum { BINS_MAX = 1000, DRAWS = 200 };

// The sum of (found - expected)^2 / expected, times 1000 and rounded down, over `bound` numbers of
// which each was to come DRAWS times.
static uint64_t chi_square(const uint32_t *counts, uint64_t bound) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < bound; i++) {
        int64_t off = (int64_t)counts[i] - DRAWS;
        sum += (uint64_t)(off * off);
    }
    return sum * 1000 / DRAWS;
}

// Its expectation is bound - 1 and its variance twice that: here within 4.5 standard deviations
// (integers: 4.5 * sqrt(2 k) = sqrt(40.5 k)). The seeds are fixed, so that it holds or does not.
static void assert_uniform(const uint32_t *counts, uint64_t bound) {
    int64_t freedom = (int64_t)bound - 1;
    int64_t off = (int64_t)chi_square(counts, bound) - freedom * 1000;
    assert_true(off * off <= 40500000 * freedom);
    assert_true(counts[0] != 0 && counts[bound - 1] != 0);
}

static const uint64_t bounds[] = {2, 3, 5, 17, 100, 127, 128, 129, 383, 511, 512, 513, 1000};

TEST("drbg: numbers of one seed are uniform below every bound") {
    for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        uint32_t counts[BINS_MAX] = {0};
        struct drbg drbg;
        drbg_begin(&drbg, &bounds[i], sizeof(bounds[i]));
        for (uint64_t draw = 0; draw < bounds[i] * DRAWS; draw++) {
            uint64_t number = drbg_below(&drbg, bounds[i]);
            assert_true(number < bounds[i]);
            counts[number]++;
        }
        assert_uniform(counts, bounds[i]);
    }
}

TEST("drbg: the first numbers of many seeds are uniform, and so are the second") {
    for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i += 3) {
        uint32_t counts[2][BINS_MAX] = {0};
        for (uint64_t seed = 0; seed < bounds[i] * DRAWS; seed++) {
            struct drbg drbg;
            drbg_begin(&drbg, &seed, sizeof(seed));
            counts[0][drbg_below(&drbg, bounds[i])]++;
            counts[1][drbg_below(&drbg, bounds[i])]++;
        }
        assert_uniform(counts[0], bounds[i]);
        assert_uniform(counts[1], bounds[i]);
    }
}
