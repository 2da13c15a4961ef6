// Processes, as the kernel sees them: how each ends, that nothing is left of it, and many at once
// on all CPUs, while the kernel's own pages change and NMIs come.
#pragma once

// One of each kind, to its end.
void selftest_processes(void);

// Many, for a moment; the other one takes seconds.
void selftest_process_stress(void);
void selftest_process_long(void);
