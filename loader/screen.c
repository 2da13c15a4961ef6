// See screen.h.
#include "loader/screen.h"

#include "common/screen/framebuffer.h"

#define INK   0xffffff
#define PAPER 0x7f0000

static uint32_t column, row; // the next character, in cells
static bool started;

bool screen_start(const struct slipway_framebuffer *framebuffer) {
    column = 0;
    row = 0;
    started = framebuffer_start(framebuffer);
    return started;
}

static void put(char character) {
    if (character != '\n' && (column + 1) * GLYPH_WIDTH > framebuffer_width()) {
        column = 0;
        row++;
    }
    if (column == 0)
        framebuffer_fill(0, row * GLYPH_HEIGHT, framebuffer_width(), GLYPH_HEIGHT, PAPER);
    if (character == '\n') {
        column = 0;
        row++;
    } else {
        framebuffer_glyph(column++ * GLYPH_WIDTH, row * GLYPH_HEIGHT, character, 1, INK, PAPER);
    }
}

static void write_text(void *context, const char *text, size_t bytes) {
    (void)context;
    for (size_t i = 0; started && i < bytes; i++)
        put(text[i]);
}

struct sink screen_sink(void) {
    return (struct sink){.write = write_text};
}
