// Text on the displays without the firmware: from the first ExitBootServices on its console may not
// be used any more, and a machine without a serial port would stop in silence. Position
// independent, as the fault handler that uses it (see enter.h).
#pragma once

#include "common/base/fmt.h"
#include "common/boot/slipway_boot.h"

#include <stdbool.h>

// Takes a framebuffer that is mapped at its `address`, and goes to its first line. False if it
// cannot be drawn on.
bool screen_start(const struct slipway_framebuffer *framebuffer);

// A sink on that framebuffer: text from the top, each line on a paper of its own; what does not fit
// below is left out. Drops everything before screen_start.
struct sink screen_sink(void);
