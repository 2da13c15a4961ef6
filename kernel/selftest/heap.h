// The heap, on the machine's frames: parts of the self-test.
#pragma once

// Sizes, contents, rights, what comes back; in the debug build that leaks are told by place.
void selftest_heap(void);

// All CPUs and their interrupts at once, each freeing what another has allocated.
void selftest_heap_cpus(void);
void selftest_heap_long(void); // for longer

// Until there is no memory: null then, and nothing is lost.
void selftest_heap_exhaust(void);
