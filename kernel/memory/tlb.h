// The TLB of this CPU. tlb.c is the only file that executes INVLPG or reloads a paging register
// after the tables changed.
#pragma once

#include "common/vmem/vmem.h"

// Makes this CPU, the only one that is awake (cpus.h), forget what the record names. An op of
// vmem_flush_ops; `context` is not used.
void tlb_execute(void *context, const struct vmem_flush *flush);

// Makes this CPU forget every translation, global ones too.
void tlb_flush_all(void);

// Lets this CPU use the tables at `root`, in which all that it runs on is mapped as it is now.
void tlb_load_root(paddr_t root);
