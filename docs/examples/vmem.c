// The paging library by itself: a space whose tables stand in an array, a mapping, its translation,
// and back to nothing. The same file is compiled for a kernel and, with main, for a host.
#include <slipway/vmem.h>

#include <stdbool.h>

// Eight frames for tables. Their physical addresses are counted from 1 MiB here; a kernel's are
// where its direct map says.
enum { TABLES = 8 };
static _Alignas(4096) uint64_t tables[TABLES][512];
static bool is_used[TABLES];
#define FIRST_TABLE UINT64_C(0x100000)

static paddr_t table_alloc(void *context) {
    (void)context;
    for (unsigned i = 0; i < TABLES; i++) {
        if (!is_used[i]) {
            is_used[i] = true;
            return paddr(FIRST_TABLE + i * FRAME_BYTES);
        }
    }
    return PADDR_NONE;
}

static void table_free(void *context, paddr_t table) {
    (void)context;
    is_used[(table.value - FIRST_TABLE) / FRAME_BYTES] = false;
}

static uint64_t *table_pointer(void *context, paddr_t table) {
    (void)context;
    uint64_t index = (table.value - FIRST_TABLE) / FRAME_BYTES;
    return table.value % FRAME_BYTES == 0 && index < TABLES ? tables[index] : NULL;
}

static const struct vmem_ops ops = {
    .table_alloc = table_alloc,
    .table_free = table_free,
    .table_pointer = table_pointer,
};

// 4 MiB + 4 KiB, writable: two leaves of 2 MiB and one of 4 KiB. Where its second page lies in
// physical memory, or 0.
uint64_t example_vmem(void);
uint64_t example_vmem(void) {
    const struct vmem_cpu cpu = {.paddr_bits = 40, .has_nx = true, .has_1g = false};
    const struct vmem_mapping mapping = {
        .virt = vaddr(UINT64_C(0xffff900000000000)),
        .phys = paddr(UINT64_C(0x40000000)),
        .bytes = 0x401000,
        .rights = VMEM_READ | VMEM_WRITE,
        .largest = VMEM_2M,
    };
    struct vmem space;
    struct vmem_flush flush;
    struct vmem_translation found;
    if (vmem_new(&space, &ops, NULL, cpu, 4) != VMEM_OK)
        return 0;
    // No CPU has loaded these tables, so that there is nothing to flush. A kernel's record names
    // the function that executes INVLPG, on all CPUs.
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    bool is_mapped =
        vmem_map(&space, &mapping, &flush) == VMEM_OK &&
        vmem_translate(&space, vaddr_add(mapping.virt, FRAME_BYTES), &found) == VMEM_OK;
    // Finishes the flush, and frees all tables.
    bool is_gone = vmem_destroy(&space, &flush) == VMEM_OK;
    return is_mapped && is_gone ? found.phys.value : 0;
}

#if __STDC_HOSTED__
#include <stdio.h>

int main(void) {
    uint64_t phys = example_vmem();
    printf("the second page is at 0x%llx\n", (unsigned long long)phys);
    return phys == 0x40001000 ? 0 : 1;
}
#endif
