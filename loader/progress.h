// A line on the firmware's console that moves while a read lasts: file, part, speed. It appears
// after a second, moves once a second (a serial console can be slow), and is gone when the read
// ends. It belongs to the console alone, whatever the log's level: neither to the log nor to COM1,
// unless COM1 is one of the firmware's consoles.
#pragma once

#include <stdint.h>

struct progress {
    const char *name; // of what is read; must outlive the read
    uint64_t bytes;   // that will be read
    uint64_t started; // timeline_now
    uint64_t next;    // when the line is to be written or the time to be looked at again
    uint64_t hz;      // of the TSC; 0: not known yet
    uint32_t columns; // of the line that stands on the console
};

// From now on lines are shown, or none are: where the screen is to stay as the firmware has left
// it.
void progress_allow(void);
void progress_forbid(void);

// A read starts. Shows nothing.
struct progress progress_begin(const char *name, uint64_t bytes);

// `done` bytes have been read when timeline_now was `now`. Where the TSC's frequency is unknown, or
// there is no console, nothing is shown.
void progress_show(struct progress *progress, uint64_t done, uint64_t now);

// The read has ended, as it may: takes the line away.
void progress_end(struct progress *progress);
