// See framebuffer.h.
#include "common/screen/framebuffer.h"

#include "common/base/arith.h"
#include "common/screen/font.h"

#define PIXEL_BYTES 4

static struct slipway_framebuffer target;

bool framebuffer_start(const struct slipway_framebuffer *framebuffer) {
    const struct slipway_framebuffer *f = framebuffer;
    uint64_t line_bytes = (uint64_t)f->width * PIXEL_BYTES;
    bool sound = f->width != 0 && f->height != 0 && is_aligned(f->address, PIXEL_BYTES) &&
                 is_aligned(f->pitch, PIXEL_BYTES) && f->pitch >= line_bytes &&
                 (uint64_t)f->pitch * (f->height - 1) + line_bytes <= f->bytes;
    if (sound)
        target = *f;
    return sound;
}

uint32_t framebuffer_width(void) {
    return target.width;
}

uint32_t framebuffer_height(void) {
    return target.height;
}

// An 8-bit intensity moved to where `mask` has that channel.
static uint32_t channel(uint32_t intensity, uint32_t mask) {
    if (mask == 0)
        return 0;
    unsigned shift = (unsigned)__builtin_ctz(mask);
    uint32_t most = mask >> shift;
    return (uint32_t)((uint64_t)intensity * most / 0xff) << shift & mask;
}

static uint32_t pixel_of(colour_t colour) {
    return channel(colour >> 16 & 0xff, target.red_mask) |
           channel(colour >> 8 & 0xff, target.green_mask) |
           channel(colour & 0xff, target.blue_mask);
}

static volatile uint32_t *line_at(uint32_t x, uint32_t y) {
    uint64_t offset = (uint64_t)y * target.pitch + (uint64_t)x * PIXEL_BYTES;
    return (volatile uint32_t *)(uintptr_t)(target.address + offset);
}

void framebuffer_fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, colour_t colour) {
    if (x >= target.width || y >= target.height)
        return;
    uint32_t columns = (uint32_t)min_u64(width, target.width - x);
    uint32_t lines = (uint32_t)min_u64(height, target.height - y);
    uint32_t pixel = pixel_of(colour);
    for (uint32_t line = 0; line < lines; line++) {
        volatile uint32_t *at = line_at(x, y + line);
        for (uint32_t column = 0; column < columns; column++)
            at[column] = pixel;
    }
}

void framebuffer_glyph(uint32_t x, uint32_t y, char character, uint32_t scale, colour_t ink,
                       colour_t paper) {
    if ((uint64_t)x + (uint64_t)GLYPH_WIDTH * scale > target.width ||
        (uint64_t)y + (uint64_t)GLYPH_HEIGHT * scale > target.height)
        return;
    bool known = character >= FONT_FIRST && character <= FONT_LAST;
    const uint8_t *glyph = font_glyphs[(known ? character : '?') - FONT_FIRST];
    uint32_t pixels[2] = {pixel_of(paper), pixel_of(ink)};
    for (uint32_t line = 0; line < GLYPH_HEIGHT * scale; line++) {
        volatile uint32_t *at = line_at(x, y + line);
        unsigned bits = glyph[line / scale];
        for (unsigned column = 0; column < GLYPH_WIDTH; column++) {
            uint32_t pixel = pixels[bits >> (GLYPH_WIDTH - 1 - column) & 1];
            for (uint32_t i = 0; i < scale; i++)
                *at++ = pixel;
        }
    }
}
