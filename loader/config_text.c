// See config_text.h.
#include "loader/config_text.h"

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/utf.h"

struct config_text config_text_of(const char *literal) {
    return (struct config_text){literal, strlen(literal)};
}

bool config_text_is(struct config_text text, const char *literal) {
    return config_is_same(text, config_text_of(literal));
}

bool config_is_same(struct config_text one, struct config_text other) {
    return one.bytes == other.bytes && memcmp(one.text, other.text, one.bytes) == 0;
}

struct config_text config_cut(struct config_text text, uint64_t start, uint64_t end) {
    ASSERT(start <= end && end <= text.bytes);
    return (struct config_text){text.text + start, end - start};
}

struct config_text config_fit(struct config_text text, uint64_t most) {
    if (text.bytes <= most)
        return text;
    while (utf8_is_inside(text.text[most]))
        most--;
    return config_cut(text, 0, most);
}

bool config_is_blank(char c) {
    return c == ' ' || c == '\t';
}

struct config_text config_trim(struct config_text text) {
    uint64_t start = 0;
    uint64_t end = text.bytes;
    while (start < end && config_is_blank(text.text[start]))
        start++;
    while (end > start && config_is_blank(text.text[end - 1]))
        end--;
    return config_cut(text, start, end);
}

// ---- Eight bytes at a time: most of a config is comments

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

static uint64_t word_at(struct config_text text, uint64_t at) {
    uint64_t word;
    memcpy(&word, text.text + at, sizeof(word));
    return word;
}

// True if a byte of the word is `wanted`: the lowest 0 of the differences borrows from bit 7, which
// it does not have.
static bool has_byte(uint64_t word, char wanted) {
    uint64_t differences = word ^ EACH_BYTE((unsigned char)wanted);
    return ((differences - EACH_BYTE(1)) & ~differences & EACH_BYTE(0x80)) != 0;
}

// True if all bytes of the word are printable ASCII. One that is not, 0x7f, or above, or below a
// blank, sets bit 7 of itself in one of the three; what it carries or borrows is above it.
static bool is_plain(uint64_t word) {
    return ((word | (word + EACH_BYTE(1)) | (word - EACH_BYTE(' '))) & EACH_BYTE(0x80)) == 0;
}

uint64_t config_find(struct config_text text, char wanted) {
    uint64_t at = 0;
    while (text.bytes - at >= sizeof(uint64_t) && !has_byte(word_at(text, at), wanted))
        at += sizeof(uint64_t);
    while (at < text.bytes && text.text[at] != wanted)
        at++;
    return at;
}

uint64_t config_count_plain(struct config_text text) {
    uint64_t at = 0;
    while (text.bytes - at >= sizeof(uint64_t) && is_plain(word_at(text, at)))
        at += sizeof(uint64_t);
    return at;
}
