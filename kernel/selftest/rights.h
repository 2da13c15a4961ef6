// What the hand-over promises really faults. Parts of the self-test.
#pragma once

void selftest_rights(void);   // of the kernel's image, the direct map, the boot stack
void selftest_stacks(void);   // the kernel's own stacks have their guard pages
void selftest_adoption(void); // the loader's tables cannot be adopted twice
