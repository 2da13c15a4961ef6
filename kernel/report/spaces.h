// The prompt's view of the address spaces of processes.
#pragma once

// Prints each space, a line each, or with a number the areas of that space. Harvests each space
// that it prints: cold is what was not accessed since the last time, and an area is idle for as
// many harvests as nothing of it was.
void show_spaces(const char *argument);
