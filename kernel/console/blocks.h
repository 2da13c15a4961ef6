// A picture of the frame allocator in place of the text: a cell for each 2 MiB block, or for
// several where there are more blocks than cells, in a colour that says how full it is.
#pragma once

// Takes the text from the screen and draws the picture. Without a screen, or on one that is too
// small, nothing happens, here and below.
void blocks_begin(void);

// Draws the cells whose colour has changed. Allocates nothing, so that it may be called while
// frames are used up.
void blocks_update(void);

// The text comes back.
void blocks_end(void);
