// Address spaces under all CPUs at once. In spaces that all share each CPU writes words of its own,
// into pages that all write; clones those spaces while the others write on; maps, protects and
// unmaps areas of its own. In spaces of its own it takes and gives back memory meanwhile.
//
// Each word has to hold what was written last, each word of a child what its parent had, and no
// page anything of another space. Parts of the self-test.
#pragma once

void selftest_spaces_stress(void);
void selftest_spaces_stress_long(void); // for seconds, not for a moment
