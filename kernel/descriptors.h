// The kernel's own GDT, TSS and IDT.
#pragma once

// Fills and loads them in place of the loader's. Needs no memory; the first thing that runs after
// the console, so that from then on every fault has a report of the kernel's own.
void descriptors_load(void);
