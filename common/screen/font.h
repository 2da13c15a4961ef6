// The font that scripts/make-font makes of a Debian package's at build time: 8 by 16 pixels, a byte
// a line, the leftmost pixel in bit 7.
#pragma once

#include "common/screen/framebuffer.h"

#define FONT_FIRST ' '
#define FONT_LAST  '~'

extern const uint8_t font_glyphs[FONT_LAST - FONT_FIRST + 1][GLYPH_HEIGHT];
