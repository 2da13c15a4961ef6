// See menu_keys.h.
#include "loader/menu_keys.h"

#include "common/base/arith.h"
#include "loader/utf.h"

#define ESCAPE 0x1b
#define DELETE 0x7f

// What ends a sequence that begins with CSI or SS3.
static enum menu_key_kind kind_of_final(uint8_t byte) {
    switch (byte) {
    case 'A':
        return MENU_KEY_UP;
    case 'B':
        return MENU_KEY_DOWN;
    case 'C':
        return MENU_KEY_RIGHT;
    case 'D':
        return MENU_KEY_LEFT;
    case 'F':
        return MENU_KEY_END;
    case 'H':
        return MENU_KEY_HOME;
    case 'M': // Enter of the keypad
        return MENU_KEY_ENTER;
    }
    return MENU_KEY_NONE;
}

// The number in a sequence that ends in '~'; what is no digit is no number of a key.
static enum menu_key_kind kind_of_number(uint32_t number) {
    static const uint8_t kinds[] = {
        [1] = MENU_KEY_HOME,      [3] = MENU_KEY_DELETE, [4] = MENU_KEY_END, [5] = MENU_KEY_PAGE_UP,
        [6] = MENU_KEY_PAGE_DOWN, [7] = MENU_KEY_HOME,   [8] = MENU_KEY_END,
    };
    return number < ARRAY_LEN(kinds) ? (enum menu_key_kind)kinds[number] : MENU_KEY_NONE;
}

// The sequence is ESC [ or ESC O, parameters, and the final byte, the last; or ESC and a key, one
// with Alt, perhaps.
static enum menu_key_kind kind_of_sequence(const struct menu_keys *keys) {
    uint8_t final = keys->bytes[keys->count - 1];
    if (final == '~')
        return keys->count == 4 ? kind_of_number(keys->bytes[2] - (uint32_t)'0') : MENU_KEY_NONE;
    return keys->count == 3 ? kind_of_final(final) : MENU_KEY_NONE;
}

static bool end(struct menu_keys *keys, enum menu_key_kind kind, uint32_t character,
                struct menu_key *ret_key) {
    keys->count = 0;
    *ret_key = (struct menu_key){kind, character};
    return true;
}

static bool add_to_sequence(struct menu_keys *keys, struct menu_key *ret_key) {
    uint8_t byte = keys->bytes[keys->count - 1];
    bool begins = keys->count == 1 || (keys->count == 2 && (byte == '[' || byte == 'O'));
    bool goes_on = keys->count > 2 && byte >= 0x20 && byte < 0x40;
    if (begins || (goes_on && keys->count < sizeof(keys->bytes)))
        return false;
    return end(keys, kind_of_sequence(keys), 0, ret_key);
}

// Bytes of the character that begins so; of one that none begins with, 1.
static uint32_t count_bytes(uint8_t first) {
    if (first < 0xc0 || first >= 0xf8)
        return 1;
    return first < 0xe0 ? 2 : (first < 0xf0 ? 3 : 4);
}

static bool add_to_character(struct menu_keys *keys, struct menu_key *ret_key) {
    uint32_t code_point = 0;
    if (keys->count < count_bytes(keys->bytes[0]))
        return false;
    bool is_valid = utf8_decode((const char *)keys->bytes, keys->count, &code_point) != 0;
    return end(keys, is_valid ? MENU_KEY_CHARACTER : MENU_KEY_NONE, code_point, ret_key);
}

bool menu_keys_add(struct menu_keys *keys, uint8_t byte, struct menu_key *ret_key) {
    bool ended_line = keys->ended_line;
    keys->ended_line = byte == '\r';
    if (keys->count != 0 && byte == ESCAPE) // of a sequence that was cut off
        keys->count = 0;
    keys->bytes[keys->count++] = byte;
    if (keys->bytes[0] == ESCAPE)
        return add_to_sequence(keys, ret_key);
    if (byte == '\n' && ended_line) {
        keys->count = 0;
        return false;
    }
    if (byte == '\r' || byte == '\n')
        return end(keys, MENU_KEY_ENTER, 0, ret_key);
    if (byte == DELETE || byte == '\b')
        return end(keys, MENU_KEY_BACKSPACE, 0, ret_key);
    return add_to_character(keys, ret_key);
}

bool menu_keys_pause(struct menu_keys *keys, struct menu_key *ret_key) {
    if (keys->count == 0)
        return false;
    return end(keys, keys->count == 1 && keys->bytes[0] == ESCAPE ? MENU_KEY_ESCAPE : MENU_KEY_NONE,
               0, ret_key);
}
