// The TLB of this CPU. tlb.c is the only file that executes INVLPG or reloads a paging register
// after the tables changed.
#pragma once

#include "common/base/addr.h"

#include <stdint.h>

// Drops every cached translation, global ones included, of [virt, virt + bytes), and with them the
// paging-structure caches of those addresses (SDM 3A 4.10.4.1). `bytes` is a multiple of 4 KiB.
void tlb_flush_range(vaddr_t virt, uint64_t bytes);

// Drops everything, global translations included.
void tlb_flush_all(void);
