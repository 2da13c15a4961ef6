// The picture of the allocator's blocks over a framebuffer in host memory.
#include "common/screen/font.h"
#include "kernel/console/blocks.c"

#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

// What the picture asks of the rest of the kernel: a font of blanks, blocks, and the area of
// the text.
const uint8_t font_glyphs[FONT_LAST - FONT_FIRST + 1][GLYPH_HEIGHT];

enum { BLOCKS_MAX = 70000 };

static struct {
    uint64_t address;
    unsigned free;
} blocks[BLOCKS_MAX];
static uint64_t block_count;
static bool has_screen, is_hidden;
static struct screen_area area;
static uint32_t *pixels;

void memory_visit_blocks(frames_see_block see, void *context) {
    for (uint64_t i = 0; i < block_count; i++)
        see(context, paddr(blocks[i].address), blocks[i].free);
}

bool screen_find_area(struct screen_area *ret_area) {
    *ret_area = area;
    return has_screen;
}

// The heap: objects that were not freed, and whether there is memory.
static unsigned objects;
static bool has_memory = true;

void *heap_alloc_from(struct heap_place *place, uint64_t bytes) {
    (void)place;
    objects += has_memory;
    return has_memory ? malloc(bytes) : NULL;
}

void heap_free_from(struct heap_place *place, void *object) {
    (void)place;
    objects--;
    free(object);
}

void screen_hide_text(void) {
    is_hidden = true;
}

void screen_show_text(void) {
    is_hidden = false;
}

static void start(uint32_t width, uint32_t height, uint32_t top, uint32_t scale) {
    free(pixels);
    pixels = calloc((size_t)width * height, 4);
    assert_non_null(pixels);
    const struct slipway_framebuffer framebuffer = {
        .address = (uint64_t)(uintptr_t)pixels,
        .bytes = (uint64_t)width * height * 4,
        .width = width,
        .height = height,
        .pitch = width * 4,
        .red_mask = 0xff0000,
        .green_mask = 0xff00,
        .blue_mask = 0xff,
    };
    assert_true(framebuffer_start(&framebuffer));
    area = (struct screen_area){8 * scale, top, width - 16 * scale, height - top, scale};
    has_screen = true;
}

static void set_blocks(uint64_t count, unsigned free) {
    block_count = count;
    for (uint64_t i = 0; i < count; i++) {
        blocks[i].address = i * MIB(2);
        blocks[i].free = free;
    }
}

static colour_t colour_of_square(uint64_t square) {
    uint32_t x = area.left + (uint32_t)(square % picture.columns) * picture.side;
    uint32_t y = picture.top + (uint32_t)(square / picture.columns) * picture.side;
    return pixels[(size_t)y * framebuffer_width() + x];
}

TEST("blocks: each block is a square in the colour of how full it is, and follows it") {
    static const struct {
        unsigned free, level;
    } cases[] = {{512, 0}, {511, 1}, {384, 1}, {383, 2}, {256, 2},
                 {255, 3}, {128, 3}, {127, 4}, {1, 4},   {0, 5}};
    start(640, 480, 100, 1);
    set_blocks(ARRAY_LEN(cases), 512);
    blocks_begin();
    assert_true(is_hidden);
    assert_int_equal(picture.squares, ARRAY_LEN(cases));
    assert_int_equal(picture.blocks_a_square, 1);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(colour_of_square(i), levels[0].colour);
        blocks[i].free = cases[i].free;
    }
    blocks_update();
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(colour_of_square(i), levels[cases[i].level].colour);
    blocks_end();
    assert_false(is_hidden);
}

TEST("blocks: both halves of the block that 1 MiB cuts are one square") {
    start(640, 480, 0, 1);
    set_blocks(3, 512);
    blocks[1].address = 0;
    blocks[0].free = 100;
    blocks[1].free = 412;
    blocks[2].free = 0;
    blocks_begin();
    assert_int_equal(picture.squares, 2);
    assert_int_equal(colour_of_square(0), levels[0].colour);
    assert_int_equal(colour_of_square(1), levels[5].colour);
    blocks_end();
}

TEST("blocks: where there are more blocks than squares, a square stands for several") {
    static const uint32_t sizes[][3] = {{320, 200, 1},   {640, 480, 1},   {1024, 768, 1},
                                        {1920, 1080, 1}, {3840, 2160, 2}, {7680, 1080, 1}};
    static const uint64_t counts[] = {1, 2, 127, 1000, 32768, BLOCKS_MAX};
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        for (unsigned k = 0; k < ARRAY_LEN(counts); k++) {
            start(sizes[i][0], sizes[i][1], 60, sizes[i][2]);
            set_blocks(counts[k], 512);
            blocks[counts[k] - 1].free = 0;
            blocks_begin();
            assert_true(picture.squares != 0 && picture.squares <= SQUARES_MAX);
            assert_true((picture.squares - 1) * picture.blocks_a_square < counts[k]);
            assert_true(picture.squares * picture.blocks_a_square >= counts[k]);
            uint64_t rows = (picture.squares + picture.columns - 1) / picture.columns;
            assert_true(picture.top + rows * picture.side <= sizes[i][1]);
            assert_true(area.left + picture.columns * picture.side <= sizes[i][0]);
            assert_int_not_equal(colour_of_square(picture.squares - 1), levels[0].colour);
            assert_int_not_equal(colour_of_square(picture.squares - 1), 0);
            if (picture.squares > 1)
                assert_int_equal(colour_of_square(0), levels[0].colour);
            blocks_end();
        }
    }
}

TEST("blocks: without a screen, room on it or memory, there is no picture") {
    start(640, 480, 100, 1);
    set_blocks(10, 512);
    is_hidden = false;
    for (unsigned i = 0; i < 2; i++) {
        has_screen = i != 0;
        has_memory = i == 0;
        blocks_begin();
        blocks_update();
        assert_false(is_hidden);
        blocks_end();
    }
    has_memory = true;
    assert_int_equal(objects, 0);
    start(64, 34, 0, 1);
    blocks_begin();
    blocks_update();
    assert_int_equal(picture.squares, 0);
    assert_false(is_hidden);
    blocks_end();
    free(pixels);
    pixels = NULL;
}
