// The order of entries, and of versions. See bls.h.
#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/bls.h"
#include "loader/config_text.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool counts(char c) {
    return is_digit(c) || is_letter(c) || c == '~' || c == '-' || c == '^' || c == '.';
}

static int sign(uint64_t one, uint64_t other) {
    return (one > other) - (one < other);
}

static bool begins_with(struct config_text text, char c) {
    return text.bytes != 0 && text.text[0] == c;
}

static void skip(struct config_text *text, uint64_t bytes) {
    *text = config_cut(*text, bytes, text->bytes);
}

// Takes the run of digits, or of letters, from the beginning.
static struct config_text take(struct config_text *text, bool (*is_of)(char c)) {
    uint64_t end = 0;
    while (end < text->bytes && is_of(text->text[end]))
        end++;
    struct config_text run = config_cut(*text, 0, end);
    skip(text, end);
    return run;
}

static int compare_texts(struct config_text one, struct config_text other) {
    int order = memcmp(one.text, other.text, min_u64(one.bytes, other.bytes));
    return order != 0 ? order : sign(one.bytes, other.bytes);
}

// No digits are less than a 0.
static int compare_numbers(struct config_text one, struct config_text other) {
    int order = sign(one.bytes != 0, other.bytes != 0);
    while (begins_with(one, '0'))
        skip(&one, 1);
    while (begins_with(other, '0'))
        skip(&other, 1);
    if (order == 0)
        order = sign(one.bytes, other.bytes);
    return order != 0 ? order : compare_texts(one, other);
}

// Of the marks, in their order: the side that has one where the other has none is the older.
static bool compare_marks(struct config_text *one, struct config_text *other, const char *marks,
                          int *ret_order) {
    for (; *marks != '\0'; marks++) {
        bool has_one = begins_with(*one, *marks);
        bool has_other = begins_with(*other, *marks);
        if (has_one != has_other) {
            *ret_order = has_one ? -1 : 1;
            return true;
        }
        if (has_one) {
            skip(one, 1);
            skip(other, 1);
        }
    }
    return false;
}

int bls_compare_versions(struct config_text one, struct config_text other) {
    for (int order = 0;;) {
        while (one.bytes != 0 && !counts(one.text[0]))
            skip(&one, 1);
        while (other.bytes != 0 && !counts(other.text[0]))
            skip(&other, 1);
        if (compare_marks(&one, &other, "~", &order))
            return order;
        if (one.bytes == 0 || other.bytes == 0)
            return sign(one.bytes, other.bytes);
        if (compare_marks(&one, &other, "-^.", &order))
            return order;
        bool is_number = (one.bytes != 0 && is_digit(one.text[0])) ||
                         (other.bytes != 0 && is_digit(other.text[0]));
        struct config_text one_run = take(&one, is_number ? is_digit : is_letter);
        struct config_text other_run = take(&other, is_number ? is_digit : is_letter);
        order = is_number ? compare_numbers(one_run, other_run) : compare_texts(one_run, other_run);
        if (order != 0)
            return order;
    }
}

static int compare(const struct bls_entry *one, const struct bls_entry *other) {
    bool has_keys = one->sort_key.bytes != 0; // and so has the other, if the order is 0
    int order = sign(one->is_spent, other->is_spent);
    if (order == 0)
        order = sign(one->sort_key.bytes == 0, other->sort_key.bytes == 0);
    if (order == 0 && has_keys)
        order = compare_texts(one->sort_key, other->sort_key);
    if (order == 0 && has_keys)
        order = compare_texts(one->machine_id, other->machine_id);
    if (order == 0 && has_keys)
        order = -bls_compare_versions(one->version, other->version);
    if (order == 0)
        order = -bls_compare_versions(one->name, other->name);
    return order != 0 ? order : compare_texts(one->file, other->file);
}

// Each entry that is `gap` or more from the start goes to its place among those `gap` apart.
static void sort_apart(struct bls_entry *entries, uint32_t count, uint32_t gap) {
    for (uint32_t i = gap; i < count; i++) {
        const struct bls_entry entry = entries[i];
        uint32_t at = i;
        for (; at >= gap && compare(&entry, &entries[at - gap]) < 0; at -= gap)
            entries[at] = entries[at - gap];
        entries[at] = entry;
    }
}

// Shell's method: a volume may have thousands of entries.
void bls_sort(struct bls_entry *entries, uint32_t count) {
    for (uint32_t gap = count / 2; gap != 0; gap /= 2)
        sort_apart(entries, count, gap);
}
