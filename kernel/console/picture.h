// The picture of the memory map at the top of the screen: a title, a strip coloured by kind, its
// addresses, and a legend with the bytes of each kind.
#pragma once

#include "common/screen/framebuffer.h"

// The screen's background.
#define PICTURE_PAPER 0x242933

// Paints the whole screen with the background and draws the picture, its text `scale` times
// enlarged. Returns the first pixel line below it: 0, without a picture, while the memory map is
// not known and on a screen that is too small.
uint32_t picture_draw(uint32_t scale);
