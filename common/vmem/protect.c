// vmem_protect and vmem_set_cache: edits of leaves by bits alone.
#include "common/vmem/edit.h"

enum vmem_status vmem_protect(struct vmem *space, vaddr_t virt, uint64_t bytes, unsigned rights,
                              struct vmem_flush *flush) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    if (status == VMEM_OK)
        status = vmem_check_rights(space->cpu, rights);
    if (status != VMEM_OK)
        return status;
    struct vmem_edit edit = {.rights = rights, .apply = vmem_edit_apply_bits};
    vmem_change_begin(&edit.change, space, flush);
    for (unsigned level = 1; level <= VMEM_PAGE_SIZES; level++)
        edit.bits[level] = entry_edit_rights(rights);
    return vmem_edit_pages(&edit, pages);
}

enum vmem_status vmem_set_cache(struct vmem *space, vaddr_t virt, uint64_t bytes,
                                enum vmem_cache cache, struct vmem_flush *flush) {
    struct vmem_pages pages;
    enum vmem_status status = vmem_check_range(space->levels, virt, bytes, &pages);
    if (status != VMEM_OK)
        return status;
    if ((unsigned)cache > VMEM_CACHE_WC)
        return VMEM_ERR_CACHE;
    struct vmem_edit edit = {.apply = vmem_edit_apply_bits};
    vmem_change_begin(&edit.change, space, flush);
    for (unsigned level = 1; level <= VMEM_PAGE_SIZES; level++)
        edit.bits[level] = entry_edit_cache(cache, level);
    return vmem_edit_pages(&edit, pages);
}
