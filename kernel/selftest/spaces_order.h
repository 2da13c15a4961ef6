// What may not happen before every CPU has forgotten what was there: a CPU that is held up goes on
// using an old translation, while another one changes the page, and a third makes the next step. A
// part of the self-test, for as many CPUs as there are.
#pragma once

void selftest_spaces_order(void);
