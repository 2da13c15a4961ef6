// A picture of the frame allocator in place of the text: a square for each 2 MiB block, or for
// several where there are more blocks than squares, in a colour that says how full it is.
#pragma once

// Takes the text from the screen and draws the picture. Without a screen, or on one that is too
// small, nothing happens, here and below.
void blocks_begin(void);

// Draws the squares whose colour has changed. Allocates nothing, so that it may be called while
// frames are used up.
void blocks_update(void);

// The text comes back.
void blocks_end(void);
