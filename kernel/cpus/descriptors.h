// The kernel's own GDT and TSS, one each for every CPU, and the IDT that they share.
#pragma once

// Fills and loads those of CPU `cpu`, which runs this, in place of the loader's or the
// trampoline's; from now on this_cpu() knows it. Needs no memory. On CPU 0 the first thing that
// runs after the console, so that from then on every fault has a report of the kernel's own.
void descriptors_load(unsigned cpu);
