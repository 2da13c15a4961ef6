// Text on the displays without the firmware. From the first ExitBootServices on the firmware's
// console must not be used, and a machine without a serial port would stop in silence. Position
// independent, like the fault handler that uses it (see enter.h).
#pragma once

#include "common/base/fmt.h"
#include "common/boot/slipway_boot.h"

#include <stdbool.h>

// Starts at the first line of a framebuffer, which is mapped at its `address`. False if its numbers
// contradict each other: then nothing is drawn.
bool screen_start(const struct slipway_framebuffer *framebuffer);

// A sink on that framebuffer: text from the top, each line on a paper of its own. Lines that do not
// fit below are left out. Drops everything before screen_start.
struct sink screen_sink(void);
