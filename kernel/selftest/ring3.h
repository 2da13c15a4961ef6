// Ring 3, entered and left by hand, with a space and a few instructions of the test's own: that a
// program's registers and flags are kept, that none of its flags holds in the kernel, that SMEP and
// SMAP hold, and that NMIs come at every moment.
#pragma once

void selftest_ring3(void);
