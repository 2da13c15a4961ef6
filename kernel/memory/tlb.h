// The TLB of this CPU. tlb.c is the only file that executes INVLPG or reloads a paging register
// after the tables changed; shootdown.h says when each CPU has to.
#pragma once

#include "common/vmem/vmem.h"

// Makes this CPU forget what the record names.
void tlb_forget(const struct vmem_flush *flush);

// Makes this CPU forget every translation, global ones too.
void tlb_forget_all(void);

// Lets this CPU use the tables at `root`, in which all that it runs on is mapped as it is now. It
// forgets all translations that are not global.
void tlb_load_root(paddr_t root);
