// Changes of page tables, each tried at once on the CPU: what is mapped, protected, replaced and
// unmapped behaves so when the call returns. Parts of the self-test.
#pragma once

void selftest_mapping(void);    // a page through its life, with every kind of access
void selftest_flush(void);      // a page that the CPU remembers is forgotten, by each kind of flush
void selftest_other_cpus(void); // and CPUs that slept meanwhile know it
void selftest_caches(void);     // the PAT has the cache types that entries select
void selftest_clone(void);      // what the kernel maps is there in a space that was cloned before
