// Address spaces as such: making and adopting them, and the words for what can go wrong.
#include "common/vmem/tables.h"

enum vmem_status vmem_new(struct vmem *space, const struct vmem_ops *ops, void *context,
                          struct vmem_cpu cpu, unsigned levels) {
    enum vmem_status status = vmem_check_cpu(cpu, levels);
    if (status != VMEM_OK)
        return status;
    paddr_t root = ops->table_alloc(context);
    if (paddr_is_none(root))
        return VMEM_ERR_NO_MEMORY;
    *space = (struct vmem){ops, context, root, cpu, (uint8_t)levels};
    return VMEM_OK;
}

enum vmem_status vmem_adopt(struct vmem *space, const struct vmem_ops *ops, void *context,
                            struct vmem_cpu cpu, unsigned levels, uint64_t root) {
    enum vmem_status status = vmem_check_cpu(cpu, levels);
    if (status != VMEM_OK)
        return status;
    uint64_t width_mask = (UINT64_C(1) << cpu.paddr_bits) - 1;
    paddr_t table = paddr(align_down(root & width_mask, FRAME_BYTES));
    if (ops->table_pointer(context, table) == NULL)
        return VMEM_ERR_ROOT;
    *space = (struct vmem){ops, context, table, cpu, (uint8_t)levels};
    return VMEM_OK;
}

const char *vmem_status_text(enum vmem_status status) {
    switch (status) {
    case VMEM_OK:
        return "ok";
    case VMEM_ERR_UNALIGNED:
        return "address or length is not a multiple of 4 KiB";
    case VMEM_ERR_EMPTY:
        return "length is 0";
    case VMEM_ERR_WRAPS:
        return "range runs past the top of the address space";
    case VMEM_ERR_NONCANONICAL:
        return "range touches the canonical hole";
    case VMEM_ERR_PADDR_WIDTH:
        return "physical address is beyond the CPU's width";
    case VMEM_ERR_RIGHTS:
        return "rights that the tables cannot express";
    case VMEM_ERR_NO_NX:
        return "the CPU cannot forbid execution";
    case VMEM_ERR_CACHE:
        return "no such cache type";
    case VMEM_ERR_PAGE_SIZE:
        return "no such page size on this CPU";
    case VMEM_ERR_MAPPED:
        return "something is mapped there already";
    case VMEM_ERR_NOT_MAPPED:
        return "nothing is mapped there";
    case VMEM_ERR_NO_MEMORY:
        return "no memory for a page table";
    case VMEM_ERR_LEVELS:
        return "neither 4 nor 5 paging levels";
    case VMEM_ERR_ROOT:
        return "not the address of a root table";
    case VMEM_ERR_CORRUPT:
        return "the page tables are corrupt";
    case VMEM_ERR_STOPPED:
        return "stopped by the visitor";
    }
    return "unknown status";
}
