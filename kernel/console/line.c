#include "kernel/console/line.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

#include <stdint.h>

enum {
    KEY_HOME = 'A' - '@',
    KEY_CANCEL = 'C' - '@',
    KEY_END = 'E' - '@',
    KEY_ERASE_BEFORE = 'U' - '@',
    KEY_ERASE_WORD = 'W' - '@',
    KEY_BELL = '\a',
    KEY_BACKSPACE = '\b',
    KEY_RUBOUT = 0x7f, // what most terminals send for backspace
    KEY_ESCAPE = 0x1b,
};

void line_init(struct line *line, const char *prompt, line_words words) {
    *line = (struct line){.prompt = prompt, .words = words};
}

static void write(const struct sink *out, const char *text, size_t bytes) {
    if (bytes != 0)
        out->write(out->context, text, bytes);
}

static void write_times(const struct sink *out, char character, size_t times) {
    while (times-- != 0)
        write(out, &character, 1);
}

static void ring(const struct sink *out) {
    write_times(out, KEY_BELL, 1);
}

// --- The terminal

// Moves the terminal's cursor: to the left by backspaces, to the right over what stands there.
static void show_cursor(const struct line_state *shown, size_t from, size_t to,
                        const struct sink *out) {
    if (to < from)
        write_times(out, '\b', from - to);
    else
        write(out, shown->text + from, to - from);
}

// Makes the terminal show the line as it is now, from the first character on that differs.
static void show(struct line *line, const struct sink *out) {
    const struct line_state *now = &line->now, *shown = &line->shown;
    size_t same = 0;
    while (same < now->length && same < shown->length && now->text[same] == shown->text[same])
        same++;
    size_t at = shown->cursor;
    if (same < now->length || same < shown->length) {
        show_cursor(shown, at, same, out);
        write(out, now->text + same, now->length - same);
        size_t blanks = shown->length - min_u64(shown->length, now->length);
        write_times(out, ' ', blanks);
        at = now->length + blanks;
    }
    show_cursor(now, at, now->cursor, out);
    line->shown = *now;
}

// Prompt and line once more, where the terminal's cursor is at the start of a line.
static void show_anew(struct line *line, const struct sink *out) {
    fmt_print(out, "%s", line->prompt);
    line->shown = (struct line_state){0};
    show(line, out);
}

// --- Changes

static void insert(struct line *line, char character, const struct sink *out) {
    struct line_state *now = &line->now;
    if (line->excess != 0 || now->length == LINE_CHARACTERS) {
        line->excess++;
        ring(out);
        return;
    }
    memmove(now->text + now->cursor + 1, now->text + now->cursor, now->length - now->cursor + 1);
    now->text[now->cursor++] = character;
    now->length++;
}

// Erases [start, end), which the cursor is at an edge of.
static void erase(struct line *line, size_t start, size_t end) {
    struct line_state *now = &line->now;
    memmove(now->text + start, now->text + end, now->length - end + 1);
    now->length -= end - start;
    now->cursor = start;
}

static void erase_before(struct line *line) {
    struct line_state *now = &line->now;
    if (line->excess != 0)
        line->excess--;
    else if (now->cursor != 0)
        erase(line, now->cursor - 1, now->cursor);
}

static void erase_at(struct line *line) {
    struct line_state *now = &line->now;
    if (now->cursor != now->length)
        erase(line, now->cursor, now->cursor + 1);
}

// Where the word begins that ends at `end`.
static size_t word_start(const struct line_state *now, size_t end) {
    size_t start = end;
    while (start != 0 && now->text[start - 1] != ' ')
        start--;
    return start;
}

static void erase_word(struct line *line) {
    struct line_state *now = &line->now;
    size_t end = now->cursor;
    while (end != 0 && now->text[end - 1] == ' ')
        end--;
    line->excess = 0; // was the end of the word
    erase(line, word_start(now, end), now->cursor);
}

static void erase_all_before(struct line *line) {
    line->excess = 0;
    erase(line, 0, line->now.cursor);
    line->has_lost &= line->now.length != 0;
}

// --- The lines before

static void replace(struct line *line, const char *text) {
    struct line_state *now = &line->now;
    now->length = now->cursor = strlen(text);
    memcpy(now->text, text, now->length + 1);
    line->excess = 0;
}

static void step_back(struct line *line, const struct sink *out) {
    if (line->back == min_u64(line->remembered, LINE_HISTORY)) {
        ring(out);
        return;
    }
    if (line->back++ == 0)
        memcpy(line->draft, line->now.text, sizeof(line->draft));
    replace(line, line->history[(line->remembered - line->back) % LINE_HISTORY]);
}

static void step_forth(struct line *line, const struct sink *out) {
    if (line->back == 0)
        ring(out);
    else if (--line->back == 0)
        replace(line, line->draft);
    else
        replace(line, line->history[(line->remembered - line->back) % LINE_HISTORY]);
}

static bool is_remembered_last(const struct line *line, const char *text) {
    if (line->remembered == 0)
        return false;
    const char *last = line->history[(line->remembered - 1) % LINE_HISTORY];
    return strlen(last) == strlen(text) && memcmp(last, text, strlen(text)) == 0;
}

static void remember(struct line *line) {
    const char *text = line->now.text;
    if (*text != '\0' && !is_remembered_last(line, text))
        memcpy(line->history[line->remembered++ % LINE_HISTORY], text, line->now.length + 1);
}

// --- Completion

// The words that begin as the one does that ends at the cursor.
struct completion {
    char before[LINE_CHARACTERS + 1]; // the text before that
    const char *begin;                // what there is of it
    size_t length;
    unsigned matches;
    const char *first; // of the words
    size_t common;     // as many characters they have in common
};

static bool is_match(const struct completion *it, const char *word) {
    return strlen(word) >= it->length && memcmp(word, it->begin, it->length) == 0;
}

static void find_words(const struct line *line, struct completion *it) {
    const struct line_state *now = &line->now;
    size_t start = word_start(now, now->cursor);
    *it = (struct completion){.begin = now->text + start, .length = now->cursor - start};
    memcpy(it->before, now->text, start);
    const char *word;
    for (unsigned i = 0; line->words != NULL && (word = line->words(it->before, i)) != NULL; i++) {
        if (!is_match(it, word))
            continue;
        if (it->matches++ == 0) {
            it->first = word;
            it->common = strlen(word);
        }
        size_t same = 0;
        while (same < it->common && word[same] == it->first[same])
            same++;
        it->common = same;
    }
}

static void list_words(struct line *line, const struct completion *it, const struct sink *out) {
    const char *word;
    size_t column = 0;
    for (unsigned i = 0; (word = line->words(it->before, i)) != NULL; i++) {
        if (!is_match(it, word))
            continue;
        bool is_new = column == 0 || column + 2 + strlen(word) > LINE_LIST_WIDTH;
        fmt_print(out, "%s  %s", is_new ? "\n" : "", word);
        column = (is_new ? 0 : column) + 2 + strlen(word);
    }
    fmt_print(out, "\n");
    show_anew(line, out);
}

static void complete(struct line *line, const struct sink *out) {
    struct completion it;
    find_words(line, &it);
    if (it.matches == 0 || line->excess != 0) {
        ring(out);
    } else if (it.matches > 1 && it.common == it.length) {
        list_words(line, &it, out);
    } else {
        for (size_t i = it.length; i < it.common; i++)
            insert(line, it.first[i], out);
        if (it.matches == 1)
            insert(line, ' ', out);
    }
}

// --- Bytes

// The final byte of an escape sequence, or what a number says in its place.
static void take_sequence(struct line *line, char final, const struct sink *out) {
    static const char by_number[] = {[1] = 'H', [3] = 'P', [4] = 'F', [7] = 'H', [8] = 'F'};
    struct line_state *now = &line->now;
    if (final == '~' && line->parameter < sizeof(by_number))
        final = by_number[line->parameter];
    if (final == 'A')
        step_back(line, out);
    else if (final == 'B')
        step_forth(line, out);
    else if (final == 'C')
        now->cursor += now->cursor != now->length;
    else if (final == 'D')
        now->cursor -= now->cursor != 0;
    else if (final == 'H')
        now->cursor = 0;
    else if (final == 'F')
        now->cursor = now->length;
    else if (final == 'P')
        erase_at(line);
}

// Bytes of an escape sequence: ESC [ parameters letter, or ESC O letter. Others are dropped.
static void take_escape(struct line *line, char byte, const struct sink *out) {
    if (line->expected == LINE_ESCAPE) {
        line->parameter = 0;
        line->expected = byte == '[' ? LINE_SEQUENCE : byte == 'O' ? LINE_SINGLE_SHIFT : LINE_KEYS;
    } else if (byte >= '@' && byte <= '~') {
        line->expected = LINE_KEYS;
        take_sequence(line, byte, out);
    } else if (byte >= '0' && byte <= '9') {
        line->parameter = (line->parameter * 10 + (unsigned)(byte - '0')) % 1000;
    }
}

static void take_key(struct line *line, char key, const struct sink *out) {
    struct line_state *now = &line->now;
    if (key == KEY_ESCAPE)
        line->expected = LINE_ESCAPE;
    else if (key == KEY_BACKSPACE || key == KEY_RUBOUT)
        erase_before(line);
    else if (key == KEY_ERASE_WORD)
        erase_word(line);
    else if (key == KEY_ERASE_BEFORE)
        erase_all_before(line);
    else if (key == KEY_HOME)
        now->cursor = 0;
    else if (key == KEY_END)
        now->cursor = now->length;
    else if (key == '\t')
        complete(line, out);
    else if (key >= ' ' && key <= '~')
        insert(line, key, out);
}

static void end(struct line *line, const struct sink *out) {
    line->now.cursor = line->now.length;
    show(line, out);
    fmt_print(out, line->is_cancelled ? "^C\n" : "\n");
    if (line->excess != 0 || line->has_lost || line->is_cancelled)
        line->now.text[0] = '\0';
    remember(line);
}

void line_begin(struct line *line, const struct sink *out) {
    line->now = (struct line_state){0};
    line->excess = 0;
    line->has_lost = false;
    line->is_cancelled = false;
    line->expected = LINE_KEYS;
    line->back = 0;
    show_anew(line, out);
}

// A control character in an escape sequence ends that, and means what it always does.
bool line_take(struct line *line, char byte, const struct sink *out) {
    if (byte == LINE_LOST) {
        line->has_lost = true;
        return false;
    }
    if (line->expected != LINE_KEYS && byte >= ' ') {
        take_escape(line, byte, out);
    } else {
        line->expected = LINE_KEYS;
        line->is_cancelled = byte == KEY_CANCEL;
        if (byte == '\r' || byte == '\n' || line->is_cancelled) {
            end(line, out);
            return true;
        }
        take_key(line, byte, out);
    }
    show(line, out);
    return false;
}

void line_explain(const struct line *line, const struct sink *out) {
    if (line->is_cancelled)
        return;
    if (line->has_lost)
        fmt_print(out, "Part of the line was lost on its way here. Nothing was run.\n");
    else if (line->excess != 0)
        fmt_print(out, "The line has %lu characters, more than %d. Nothing was run.\n",
                  line->now.length + line->excess, LINE_CHARACTERS);
}
