#include "kernel/console/line.h"

#include "tests/unit/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT "slipway> "
#define UP     "\x1b[A"
#define DOWN   "\x1b[B"
#define RIGHT  "\x1b[C"
#define LEFT   "\x1b[D"

enum { COLUMNS = 80 };

// A terminal as simple as the kernel's screen: characters, backspace, newline.
static struct {
    char row[COLUMNS + 1]; // that the cursor is in, up to what was written last
    size_t cursor;
    char above[2048]; // what has been written, newlines included, before that row
    unsigned bells;
} terminal;

static struct line line;

static void take_output(void *context, const char *text, size_t bytes) {
    (void)context;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\a') {
            terminal.bells++;
        } else if (text[i] == '\b') {
            assert_true(terminal.cursor != 0);
            terminal.cursor--;
        } else if (text[i] == '\n') {
            assert_true(strlen(terminal.above) + COLUMNS + 2 < sizeof(terminal.above));
            strcat(strcat(terminal.above, terminal.row), "\n");
            memset(terminal.row, 0, sizeof(terminal.row));
            terminal.cursor = 0;
        } else {
            assert_true(text[i] >= ' ' && text[i] <= '~' && terminal.cursor < COLUMNS - 1);
            terminal.row[terminal.cursor++] = text[i];
        }
    }
}

static const struct sink out = {.write = take_output};

static void begin(void) {
    memset(&terminal, 0, sizeof(terminal));
    line_begin(&line, &out);
}

static void start(line_words words) {
    line_init(&line, PROMPT, words);
    begin();
}

static bool send_bytes(const char *bytes, size_t count) {
    bool ended = false;
    for (size_t i = 0; i < count; i++) {
        assert_false(ended);
        ended = line_take(&line, bytes[i], &out);
    }
    return ended;
}

// Types, and leaves the line open.
static void type(const char *keys) {
    assert_false(send_bytes(keys, strlen(keys)));
}

// The terminal's row is the line, with nothing but blanks behind it, and the cursor is where it is.
static void expect_shown(const char *text, size_t cursor) {
    char row[COLUMNS + 1];
    strcat(strcpy(row, PROMPT), text);
    assert_memory_equal(terminal.row, row, strlen(row));
    for (size_t i = strlen(row); i < COLUMNS; i++)
        assert_true(terminal.row[i] == ' ' || terminal.row[i] == '\0');
    assert_int_equal(terminal.cursor, strlen(PROMPT) + cursor);
}

static void expect(const char *text, size_t cursor) {
    assert_string_equal(line.now.text, text);
    assert_int_equal(line.now.cursor, cursor);
    expect_shown(text, cursor);
}

static void expect_explained(const char *expected) {
    char said[128];
    struct fmt_buffer buffer = fmt_buffer_make(said, sizeof(said));
    struct sink sink = fmt_buffer_sink(&buffer);
    line_explain(&line, &sink);
    assert_string_equal(said, expected);
}

// Types a line to its end, and begins another.
static void enter(const char *keys) {
    type(keys);
    assert_true(send_bytes("\r", 1));
    expect_explained("");
    begin();
}

TEST("line: what is typed is shown, and ends with carriage return or newline") {
    for (unsigned i = 0; i < 2; i++) {
        start(NULL);
        expect("", 0);
        type("walk ~!");
        expect("walk ~!", 7);
        assert_true(send_bytes(i == 0 ? "\r" : "\n", 1));
        assert_string_equal(line.now.text, "walk ~!");
        assert_string_equal(terminal.above, PROMPT "walk ~!\n");
        expect_explained("");
    }
}

TEST("line: characters go in and out where the cursor is") {
    start(NULL);
    type("ace" LEFT "d" LEFT LEFT "b");
    expect("abcde", 2);
    type(RIGHT "\b");
    expect("abde", 2);
    type("\x1b[3~");
    expect("abe", 2);
    type("\x7f\x7f\x7f");
    expect("e", 0);
    type("\x1b[3~\x1b[3~");
    expect("", 0);
    assert_int_equal(terminal.bells, 0);
}

TEST("line: the cursor moves by cursor keys, home, end and control characters, to the edges") {
    static const char *const homes[] = {"\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x01"};
    static const char *const ends[] = {"\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x05"};
    start(NULL);
    type("frames");
    for (unsigned i = 0; i < 5; i++) {
        type(homes[i]);
        expect("frames", 0);
        type(LEFT);
        expect("frames", 0);
        type(ends[i]);
        expect("frames", 6);
        type(RIGHT);
        expect("frames", 6);
    }
    type("\x1bOD\x1bOD");
    expect("frames", 4);
}

TEST("line: Ctrl-W erases the word before the cursor, Ctrl-U all before it") {
    start(NULL);
    type("walk  ffff8000 12" LEFT "\x17");
    expect("walk  ffff8000 2", 15);
    type("\x17");
    expect("walk  2", 6);
    type("\x17");
    expect("2", 0);
    type("\x17\x15");
    expect("2", 0);
    type("1\x05 3" LEFT LEFT "\x15");
    expect(" 3", 0);
}

TEST("line: sequences that mean nothing are dropped, and a control character ends one") {
    start(NULL);
    type("a\x1bxb\x1b[5~c\x1b[1;5Pd\x1b[200~e\x1bOPf\x1b[Zg");
    expect("abcdefg", 7);
    type("\x1b\x1b[D\x1b[\bh");
    expect("abcdehg", 6);
    assert_true(send_bytes("\x1b[\r", 3));
    assert_string_equal(line.now.text, "abcdehg");
}

TEST("line: a line has room for 63 characters, and more ring the bell and must be erased") {
    char full[LINE_CHARACTERS + 1] = {0};
    memset(full, 'x', LINE_CHARACTERS);
    start(NULL);
    type(full);
    assert_int_equal(terminal.bells, 0);
    type("\x01yyy");
    expect(full, 0);
    assert_int_equal(terminal.bells, 3);
    type("\b\b");
    expect(full, 0);
    assert_true(send_bytes("\r", 1));
    assert_string_equal(line.now.text, "");
    expect_explained("The line has 64 characters, more than 63. Nothing was run.\n");
    begin();
    type(full);
    type("yyy\b\b\b\b\b");
    full[LINE_CHARACTERS - 2] = '\0';
    expect(full, LINE_CHARACTERS - 2);
    assert_true(send_bytes("\r", 1));
    assert_string_equal(line.now.text, full);
    expect_explained("");
    static const char *const erasers[] = {"\x15", "\x17"};
    for (unsigned i = 0; i < 2; i++) {
        begin();
        for (unsigned n = 0; n < 100; n++)
            type("z");
        type(erasers[i]);
        expect("", 0);
        enter("mem");
    }
}

TEST("line: one of which a part was lost is no line, until all of it is erased") {
    start(NULL);
    assert_true(send_bytes("he\0lp\r", 6));
    assert_string_equal(line.now.text, "");
    expect_explained("Part of the line was lost on its way here. Nothing was run.\n");
    begin();
    assert_true(send_bytes("help" UP "\x1b[\0D\r", 4 + 3 + 4 + 1));
    expect_explained("Part of the line was lost on its way here. Nothing was run.\n");
    begin();
    assert_false(send_bytes("he\0lp" LEFT "\x15", 9));
    expect("p", 0);
    assert_true(line.has_lost);
    type(RIGHT "\x15mem");
    assert_true(send_bytes("\r", 1));
    assert_string_equal(line.now.text, "mem");
    expect_explained("");
}

TEST("line: Ctrl-C ends a line that then is none, whatever it was") {
    start(NULL);
    assert_true(send_bytes("he\0lp" LEFT "\x03", 9));
    assert_string_equal(line.now.text, "");
    assert_string_equal(terminal.above, PROMPT "help^C\n");
    expect_explained("");
    begin();
    type(UP);
    expect("", 0);
    assert_int_equal(terminal.bells, 1);
}

TEST("line: the lines before come back, and go on to what was typed") {
    start(NULL);
    type(UP DOWN);
    assert_int_equal(terminal.bells, 2);
    enter("one");
    enter("two words");
    enter("two words");
    enter("");
    type("dra" UP);
    expect("two words", 9);
    type(UP);
    expect("one", 3);
    type(UP);
    expect("one", 3);
    assert_int_equal(terminal.bells, 1);
    type("\b" DOWN);
    expect("two words", 9);
    type(DOWN);
    expect("dra", 3);
    type(DOWN);
    assert_int_equal(terminal.bells, 2);
    type("ft" UP UP "!");
    enter("");
    type(UP);
    expect("one!", 4);
    type(UP UP);
    expect("one", 3);
}

TEST("line: the last 16 lines are remembered") {
    start(NULL);
    char text[8];
    for (unsigned i = 0; i < LINE_HISTORY + 3; i++) {
        snprintf(text, sizeof(text), "mem %u", i);
        enter(text);
    }
    for (unsigned i = LINE_HISTORY + 3; i-- != 3;) {
        type(UP);
        snprintf(text, sizeof(text), "mem %u", i);
        expect(text, strlen(text));
    }
    type(UP);
    assert_int_equal(terminal.bells, 1);
}

TEST("line: what is too long to be a line can be replaced by one before") {
    start(NULL);
    enter("help");
    for (unsigned n = 0; n < 100; n++)
        type("z");
    type(UP);
    expect("help", 4);
    assert_true(send_bytes("\r", 1));
    assert_string_equal(line.now.text, "help");
}

static const char *find_word(const char *before, unsigned index) {
    static const char *const commands[] = {"mem", "map", "modules", "fault", NULL};
    static const char *const kinds[] = {"null-read", "null-write", "panic", NULL};
    if (before[0] == '\0')
        return commands[index];
    return strcmp(before, "fault ") == 0 ? kinds[index] : NULL;
}

TEST("line: Tab completes a word as far as it is certain") {
    start(find_word);
    type("f\t");
    expect("fault ", 6);
    type("n\t");
    expect("fault null-", 11);
    type("r\t");
    expect("fault null-read ", 16);
    assert_int_equal(terminal.bells, 0);
    type("\t");
    expect("fault null-read ", 16);
    assert_int_equal(terminal.bells, 1);
    type("\x15x\t");
    expect("x", 1);
    assert_int_equal(terminal.bells, 2);
    type("\x15"
         "o x\x01m\t");
    assert_int_equal(terminal.bells, 2);
    expect("mo x", 1); // "mo" is not what stands before the cursor
}

TEST("line: Tab lists the words that are possible, and shows the line once more") {
    start(find_word);
    type("m" LEFT RIGHT "\t");
    assert_string_equal(terminal.above, PROMPT "m\n  mem  map  modules\n");
    expect("m", 1);
    type("\x15\t");
    assert_non_null(strstr(terminal.above, "\n  mem  map  modules  fault\n"));
    expect("", 0);
    type("fault \t");
    assert_non_null(strstr(terminal.above, "\n  null-read  null-write  panic\n"));
    expect("fault ", 6);
}

static const char *find_long_word(const char *before, unsigned index) {
    static const char *const words[] = {"a-word-of-24-characters-", "b-word-of-24-characters-",
                                        "c-word-of-24-characters-", "d-word-of-24-characters-"};
    return before[0] == '\0' && index < 4 ? words[index] : NULL;
}

TEST("line: a long list of words is broken before the edge of the terminal") {
    start(find_long_word);
    type("\t");
    assert_string_equal(terminal.above,
                        PROMPT "\n  a-word-of-24-characters-  b-word-of-24-characters-\n"
                               "  c-word-of-24-characters-  d-word-of-24-characters-\n");
}

TEST("line: a word that has no room is not completed to a line") {
    start(find_word);
    for (unsigned i = 0; i < LINE_CHARACTERS - 1; i++)
        type(" ");
    type("\x01");
    type("fau\t");
    assert_int_equal(line.excess, 2);
    type("\t");
    assert_true(send_bytes("\r", 1));
    assert_string_equal(line.now.text, "");
}

TEST("line: whatever is typed, the terminal shows the line") {
    static const char *const keys[] = {
        "a",  "b",    " ",    "m",    "f",       LEFT,    RIGHT,   UP,        DOWN,  "\b",
        "\t", "\x17", "\x01", "\x05", "\x1b[3~", "word ", "\x1b[", "fault n", "\x15"};
    start(find_word);
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned key = (unsigned)rand() % (sizeof(keys) / sizeof(keys[0]) + 1);
        if (key == sizeof(keys) / sizeof(keys[0]))
            enter("\x05");
        else
            type(keys[key]);
        terminal.above[0] = '\0';
        assert_int_equal(strlen(line.now.text), line.now.length);
        assert_true(line.now.cursor <= line.now.length && line.now.length <= LINE_CHARACTERS);
        expect_shown(line.now.text, line.now.cursor);
        if (line.excess != 0)
            type("\x17");
    }
}
