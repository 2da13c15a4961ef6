// The report of the boot: for people on the console, for programs on COM1.
#pragma once

#include "kernel/selftest/selftest.h"

// Things that other parts found out and the report tells.
struct report_results {
    struct selftest_results selftest;
    unsigned long reclaimed_frames;
    const char *input; // how the prompt gets its input
};

// Counts the leaves of the direct map and keeps `results`; before the other functions.
void report_prepare(const struct report_results *results);

// The whole report for people.
void report_print(void);

// The report for programs: key=value lines between BOOT-REPORT-BEGIN and BOOT-REPORT-END, on COM1
// only. Figures of the allocator are those of its start, before anything was reclaimed; frames.peak
// and frames.now are of the moment of the report.
void report_print_block(void);

// Parts of the report for people.
void report_print_memory(void);
void report_print_direct_map(void);
void report_print_frames(void);
void report_print_timeline(void);
