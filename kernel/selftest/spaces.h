// The address spaces of processes: each call, each of its errors, and what memory looks like to the
// CPU after it. Parts of the self-test.
#pragma once

void selftest_spaces(void);
