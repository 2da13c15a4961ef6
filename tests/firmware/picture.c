#include "tests/firmware/picture.h"

#include "common/screen/font.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/test.h"

#include <sys/mman.h>

uint32_t *picture_map(uint64_t base, uint32_t width, uint32_t height) {
    fake_add_display(base, width, height);
    void *pixels = mmap((void *)(uintptr_t)base, (size_t)width * height * 4, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(pixels, (void *)(uintptr_t)base);
    return pixels;
}

void picture_unmap(uint32_t *pixels, uint32_t width, uint32_t height) {
    munmap(pixels, (size_t)width * height * 4);
}

char picture_read(const uint32_t *pixels, uint32_t width, uint32_t column, uint32_t row) {
    for (char character = FONT_FIRST; character <= FONT_LAST; character++) {
        uint32_t wrong = 0;
        for (uint32_t y = 0; y < GLYPH_HEIGHT; y++) {
            for (uint32_t x = 0; x < GLYPH_WIDTH; x++) {
                bool ink = font_glyphs[character - FONT_FIRST][y] >> (GLYPH_WIDTH - 1 - x) & 1;
                uint32_t at = (row * GLYPH_HEIGHT + y) * width + column * GLYPH_WIDTH + x;
                wrong += pixels[at] != (ink ? 0xffffff : 0x7f0000);
            }
        }
        if (wrong == 0)
            return character;
    }
    return 0;
}
