// Many spaces of 64 MiB at once, each touched page by page and cloned, with each child writing some
// of it: 24 of them, or as many as there is memory for. All have what was written, and when they
// have ended nothing is missing. A part of the self-test.
#pragma once

void selftest_spaces_full(void);
