#include "kernel/console/blocks.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/frames/blocks.h"
#include "common/screen/framebuffer.h"
#include "kernel/base/units.h"
#include "kernel/console/picture.h"
#include "kernel/console/screen.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/memory.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SQUARES_MAX = 16384,
    SQUARE_LEAST = 4, // pixels of its side and the gap, times scale, as below
    SQUARE_MOST = 40,
    BLOCK_FRAMES = 512,
    LEVELS = 6,
    NOTHING_SHOWN = 0xFF,
};

#define INK 0xd8dee9

// How much of a square is used: nothing, up to a quarter, and so on; all of it.
static const struct {
    colour_t colour;
    char name[8];
} levels[LEVELS] = {
    {0x35503a, "free"},   {0x7fb069, "to 1/4"}, {0xebcb8b, "to 1/2"},
    {0xd8863b, "to 3/4"}, {0xd0603f, "more"},   {0xb48ead, "full"},
};

static struct {
    struct screen_area area;
    uint32_t top, side, columns; // of the squares, in pixels, and how many are in a row
    uint64_t blocks_a_square;
    uint64_t squares; // 0: there is no picture
    uint8_t *shown;   // the level of each
} picture;

// --- Which blocks

// What has been seen of the square that is being added up.
struct visit {
    uint64_t last_block; // its address
    uint64_t blocks;     // all so far
    uint64_t square, free, frames;
    void (*see_square)(uint64_t square, unsigned level);
};

static unsigned level_of(uint64_t free, uint64_t frames) {
    uint64_t used = frames - free;
    if (used == 0)
        return 0;
    return free == 0 ? LEVELS - 1 : 1 + (unsigned)(used * 4 / (frames + 1));
}

static void end_square(struct visit *visit) {
    if (visit->frames != 0 && visit->see_square != NULL)
        visit->see_square(visit->square, level_of(visit->free, visit->frames));
    visit->square++;
    visit->free = 0;
    visit->frames = 0;
}

// Frames that are not the allocator's count as used. Both halves of the block that 1 MiB cuts are
// one.
static void see_block(void *context, paddr_t block, unsigned free_frames) {
    struct visit *visit = context;
    if (visit->blocks == 0 || block.value != visit->last_block) {
        if (visit->frames == picture.blocks_a_square * BLOCK_FRAMES)
            end_square(visit);
        visit->frames += BLOCK_FRAMES;
        visit->blocks++;
        visit->last_block = block.value;
    }
    visit->free += free_frames;
}

// Returns how many blocks there are.
static uint64_t visit_squares(void (*see_square)(uint64_t square, unsigned level)) {
    struct visit visit = {.see_square = see_square};
    memory_visit_blocks(see_block, &visit);
    end_square(&visit);
    return visit.blocks;
}

// --- Where

// The largest squares of which all fit in `width` by `height`, or the smallest, with more blocks in
// each. False: not even one fits.
static bool lay_out(uint64_t blocks, uint32_t width, uint32_t height) {
    uint32_t least = SQUARE_LEAST * picture.area.scale;
    uint32_t side = SQUARE_MOST * picture.area.scale;
    while (side > least && (uint64_t)(width / side) * (height / side) < blocks)
        side--;
    uint64_t room = min_u64((uint64_t)(width / side) * (height / side), SQUARES_MAX);
    if (room == 0)
        return false;
    picture.side = side;
    picture.columns = width / side;
    picture.blocks_a_square = (blocks + room - 1) / room;
    picture.squares = (blocks + picture.blocks_a_square - 1) / picture.blocks_a_square;
    return true;
}

// --- Drawing

static uint32_t draw_text(uint32_t x, uint32_t y, const char *text) {
    for (; *text != '\0'; text++) {
        framebuffer_glyph(x, y, *text, picture.area.scale, INK, PICTURE_PAPER);
        x += GLYPH_WIDTH * picture.area.scale;
    }
    return x;
}

static void draw_legend(void) {
    char size[UNITS_BYTES_MAX];
    char text[64];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    uint32_t glyph = GLYPH_WIDTH * picture.area.scale;
    fmt_print(&sink, "a square is %s:", units_bytes(size, picture.blocks_a_square * MIB(2)));
    uint32_t y = picture.area.top;
    uint32_t x = draw_text(picture.area.left, y, text) + glyph;
    for (unsigned level = 0; level < LEVELS; level++) {
        framebuffer_fill(x, y + 2 * picture.area.scale, glyph, glyph, levels[level].colour);
        x = draw_text(x + 2 * glyph, y, levels[level].name) + 2 * glyph;
    }
}

static void draw_square(uint64_t square, unsigned level) {
    if (square >= picture.squares || picture.shown[square] == level)
        return;
    picture.shown[square] = (uint8_t)level;
    uint32_t side = picture.side - picture.area.scale; // and a gap
    framebuffer_fill(picture.area.left + (uint32_t)(square % picture.columns) * picture.side,
                     picture.top + (uint32_t)(square / picture.columns) * picture.side, side, side,
                     levels[level].colour);
}

void blocks_begin(void) {
    picture.squares = 0;
    if (!screen_find_area(&picture.area))
        return;
    uint32_t legend_height = 2 * GLYPH_HEIGHT * picture.area.scale;
    picture.blocks_a_square = 1;
    uint64_t blocks = visit_squares(NULL);
    if (picture.area.height <= legend_height ||
        !lay_out(blocks, picture.area.width, picture.area.height - legend_height))
        return;
    picture.shown = heap_alloc(picture.squares);
    if (picture.shown == NULL) {
        picture.squares = 0;
        return;
    }
    picture.top = picture.area.top + legend_height;
    for (uint64_t square = 0; square < picture.squares; square++)
        picture.shown[square] = NOTHING_SHOWN;
    screen_hide_text();
    draw_legend();
    blocks_update();
}

void blocks_update(void) {
    if (picture.squares != 0)
        (void)visit_squares(draw_square);
}

void blocks_end(void) {
    if (picture.squares == 0)
        return;
    screen_show_text();
    heap_free(picture.shown);
    picture.squares = 0;
}
