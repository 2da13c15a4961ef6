// A line as it is typed at a terminal: a cursor, editing, the lines before, and completion. Pure:
// host tests run the same file. Reads bytes as a terminal sends them (ECMA-48, xterm) and writes
// what changes the terminal's line, with characters and backspaces alone, so that a screen needs no
// more than those.
//
//     left, right, home, end, Ctrl-A, Ctrl-E   move the cursor
//     backspace, delete                        erase the character before, at the cursor
//     Ctrl-W, Ctrl-U                           erase the word, everything before the cursor
//     up, down                                 the lines before
//     Tab                                      completes a word, or lists what it may be
//     Ctrl-C                                   ends the line, as if nothing had been typed
//
// A line is run as it was meant or not at all: one that was typed longer than what is kept, or of
// which a part was lost on its way, is no line. A character without room rings the bell, and has to
// be erased like any other.
#pragma once

#include "common/base/fmt.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    LINE_CHARACTERS = 63,
    LINE_HISTORY = 16,    // lines that are remembered
    LINE_LOST = '\0',     // the byte that stands for those that were lost
    LINE_LIST_WIDTH = 76, // columns of a list of words
};

// The words, in the order in which they are listed, that may stand behind `before`, the text up to
// the word that is being completed: number `index`, or null behind the last.
typedef const char *(*line_words)(const char *before, unsigned index);

struct line {
    const char *prompt; // with it a line must fit in the width of the terminal
    line_words words;

    // The line now, and what the terminal shows of it.
    struct line_state {
        char text[LINE_CHARACTERS + 1]; // ends with a NUL
        size_t length;
        size_t cursor;
    } now, shown;
    size_t excess; // characters that had no room
    bool has_lost; // a part was lost
    bool is_cancelled;

    enum { LINE_KEYS, LINE_ESCAPE, LINE_SEQUENCE, LINE_SINGLE_SHIFT } expected;
    unsigned parameter; // of an escape sequence

    char history[LINE_HISTORY][LINE_CHARACTERS + 1];
    unsigned remembered;             // lines so far; the last LINE_HISTORY are there
    unsigned back;                   // how many lines back `now` is; 0: it is none of them
    char draft[LINE_CHARACTERS + 1]; // what was typed before the first step back
};

// A line of `prompt` whose words `words` knows (null: none are completed), without a history. Both
// have to stay.
void line_init(struct line *line, const char *prompt, line_words words);

// Begins a line: writes the prompt.
void line_begin(struct line *line, const struct sink *out);

// One byte has come. True if it ends the line, which then stands in now.text until line_begin: as
// an empty text if it is no line (see above), of which line_explain says why.
bool line_take(struct line *line, char byte, const struct sink *out);

// Says in a sentence and a newline why the line that ended is no line; nothing if it is one.
void line_explain(const struct line *line, const struct sink *out);
