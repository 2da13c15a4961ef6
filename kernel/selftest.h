// What only running code can show: the allocator gives, takes and refuses; pages that are mapped,
// protected and unmapped behave so at once; rights that the hand-over promises really fault.
#pragma once

// Runs every check and leaves everything as it was. Panics with the first that does not hold.
// Returns how many held.
unsigned selftest_run(void);
