// An EDID base block of revision 1.4 that is in order, for tests to break.
#pragma once

#include <stdint.h>
#include <string.h>

// Makes the checksum right.
static inline void edid_block_sum(uint8_t block[128]) {
    uint8_t sum = 0;
    for (unsigned i = 0; i < 127; i++)
        sum = (uint8_t)(sum + block[i]);
    block[127] = (uint8_t)-sum;
}

// A display that prefers a picture of this size, below 4096 each way.
static inline void edid_block_make(uint8_t block[128], uint32_t width, uint32_t height) {
    memset(block, 0, 128);
    memset(block + 1, 0xff, 6);
    block[18] = 1;
    block[19] = 4;
    uint8_t *timing = block + 54;
    timing[0] = 0x20; // a pixel clock of 80 MHz
    timing[1] = 0x1f;
    timing[2] = (uint8_t)width;
    timing[4] = (uint8_t)(width >> 8 << 4);
    timing[5] = (uint8_t)height;
    timing[7] = (uint8_t)(height >> 8 << 4);
    edid_block_sum(block);
}
