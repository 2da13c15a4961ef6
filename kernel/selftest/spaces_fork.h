// Spaces that are cloned: which frames parent and child share, who copies one and who takes it,
// for small and large pages. A part of the self-test.
#pragma once

void selftest_spaces_fork(void);
