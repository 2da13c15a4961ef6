// Pixels on the first framebuffer: rectangles and glyphs. The memory is write-combining: it is only
// ever written, in rising order.
#pragma once

#include "common/boot/slipway_boot.h"

#include <stdbool.h>
#include <stdint.h>

// A colour as 0xRRGGBB, whatever the pixel format.
typedef uint32_t colour_t;

// A glyph of the font, before scaling (scripts/make-font).
#define GLYPH_WIDTH  8
#define GLYPH_HEIGHT 16

// Takes `framebuffer` into use. False if its numbers contradict each other; nothing is drawn then.
bool framebuffer_start(const struct slipway_framebuffer *framebuffer);

// Size in pixels; 0 before framebuffer_start.
uint32_t framebuffer_width(void);
uint32_t framebuffer_height(void);

// Fills a rectangle, clipped at the edges.
void framebuffer_fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, colour_t colour);

// Draws a character, enlarged `scale` times, or nothing if the whole glyph does not fit. A
// character that the font lacks is drawn as '?'.
void framebuffer_glyph(uint32_t x, uint32_t y, char character, uint32_t scale, colour_t ink,
                       colour_t paper);
