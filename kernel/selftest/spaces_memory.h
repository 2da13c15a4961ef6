// Spaces without memory: each call that needs some is refused its first request, its second, and so
// on, until it needs no more. It fails with nothing changed, or does without. A part of the
// self-test.
#pragma once

void selftest_spaces_memory(void);
