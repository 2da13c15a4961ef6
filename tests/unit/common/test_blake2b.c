// BLAKE2b against the example of RFC 7693 (appendix A) and digests that Python's hashlib has
// computed.
#include "common/hash/blake2b.h"

#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_digest(const void *message, uint64_t bytes, const char *expected) {
    uint8_t digest[BLAKE2B_BYTES];
    char text[2 * BLAKE2B_BYTES + 1];
    blake2b(message, bytes, digest);
    for (unsigned i = 0; i < BLAKE2B_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, expected);
}

TEST("blake2b: the example of the RFC") {
    expect_digest("abc", 3,
                  "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                  "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

// Byte i is 7 i + 3. Each message ends where its memory does.
TEST("blake2b: messages around the ends of blocks") {
    static const struct {
        uint64_t bytes;
        const char *digest;
    } cases[] = {
        {0, "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419"
            "d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce"},
        {1, "4fe4da61bcc756071b226843361d74944c72245d23e8245ea678c13fdcd7fe2a"
            "e529cf999ad99cc24f7a73416a18ba53e76c0afef83b16a568b12fbfc1a2674d"},
        {3, "76ce7e90c577d436a65b691e51f0a1ad536130d70a18df3bf5368551327258b6"
            "f706f4a47c45f2d0d8147cfbb5623077e798247972e4f9338603a13abc05a4db"},
        {127, "71546bbf9110ad184cc60f2eb120fcfd9b4dbbca7a7f1270045b8a23a6a4f433"
              "0f65c1f030dd2f5fabc6c57617242c37cf427bd90407fac5b9deffd3ae888c39"},
        {128, "2d9e329f42afa3601d646692b81c13e87fcaff5bf15972e9813d7373cb6d181f"
              "9599f4d513d4af4fd6ebd37497aceb29aba5ee23ed764d8510b552bd088814fb"},
        {129, "47889df9eb4d717afc5019df5c6a83df00a0b8677395e078cd5778ace0f338a6"
              "18e68b7d9afb065d9e6a01ccd31d109447e7fae771c3ee3e105709194122ba2b"},
        {255, "1a5199ac66a00e8a87ad1c7fbad30b33137dd8312bf6d98602dacf8f40ea2cb6"
              "23a7fbc63e5a6bfa434d337ae7da5ca1a52502a215a3fe0297a151be85d88789"},
        {256, "91019c558584980249ca43eceed27e19f1c3c24161b93eed1eee2a6a774f60bf"
              "8a81b43750870bee1698feac9c5336ae4d5c842e7ead159bf3916387e8ded9ae"},
        {257, "9f1975efca45e7b74b020975d4d2c22802906ed8bfefca51ac497bd23147fc8f"
              "303890d8e5471ab6caaa02362e831a9e8d3435279912ccd4842c7806b096c348"},
        {1000, "4bdd2c9cf31d797a81d245c989ffb7515143ca345c66f73087dd5c58bf642bf0"
               "83ba16894eab79e3b08d5126404d833e7510271b50be36a7b7cbbb46f5c89fac"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t *message = malloc(cases[i].bytes == 0 ? 1 : cases[i].bytes);
        for (uint64_t at = 0; at < cases[i].bytes; at++)
            message[at] = (uint8_t)(at * 7 + 3);
        expect_digest(message, cases[i].bytes, cases[i].digest);
        free(message);
    }
}
