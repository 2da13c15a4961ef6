// What faults, clones and ends of spaces cost, printed on the console in ticks of the TSC: under
// QEMU's -icount a measure of instructions, else of time. Under -icount each byte that is zeroed or
// copied counts as one. A part of the self-test.
#pragma once

void selftest_spaces_cost(void);
