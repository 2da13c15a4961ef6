// Page faults of processes. The tables may have changed between the fault and the lock: so a fault
// is judged by the areas and the tables alone, and one that finds the access allowed is over.
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "kernel/process/space_state.h"
#include "kernel/process/supply.h"

// A block takes long to zero. It is taken outside of the lock, for the next try.
struct spare {
    paddr_t block; // or PADDR_NONE
    bool is_wanted;
    bool is_refused;
};

struct fault {
    uint64_t address;
    unsigned needed; // the right
    struct user_space *space;
    struct vmem_flush *flush;
    struct spare *spare;
};

static unsigned needed_right(uint64_t error) {
    if (error & PF_WRITE)
        return VMEM_WRITE;
    return error & PF_FETCH ? VMEM_EXECUTE : VMEM_READ;
}

// What is there is replaced, and nothing then is writable yet; what is absent comes with all
// rights.
static enum user_space_status map(const struct fault *fault, const struct area *area, paddr_t phys,
                                  enum vmem_page page, bool replace) {
    uint64_t bytes = vmem_page_bytes(page);
    struct vmem_mapping mapping = {
        .virt = vaddr(align_down(fault->address, bytes)),
        .phys = phys,
        .bytes = bytes,
        .rights = space_leaf_rights(area, !replace),
        .largest = page,
        .replace = replace,
    };
    enum vmem_status status = vmem_map(&fault->space->tables, &mapping, fault->flush);
    return status == VMEM_OK ? USER_SPACE_OK : USER_SPACE_ERR_NO_MEMORY;
}

// Maps a frame of which the caller is an owner: from now on the page is, or nobody.
static enum user_space_status map_frame(const struct fault *fault, const struct area *area,
                                        paddr_t frame, bool replace) {
    enum user_space_status status = map(fault, area, frame, VMEM_4K, replace);
    if (status != USER_SPACE_OK)
        counted_put(frame, FRAME_BYTES);
    return status;
}

// ---- Pages that are absent

// Whether the 2 MiB around the address lie in a writable area whole, and nothing is there.
static bool may_be_block(const struct fault *fault, const struct area *area) {
    uint64_t part = align_down(fault->address, BLOCK_BYTES);
    struct vmem_run run;
    return (area->rights & VMEM_WRITE) && part >= area->start && area->end - part >= BLOCK_BYTES &&
           !space_find_run(fault->space, part, part + BLOCK_BYTES, &run);
}

static enum user_space_status add_anonymous(const struct fault *fault, const struct area *area) {
    struct spare *spare = fault->spare;
    if (!spare->is_refused && may_be_block(fault, area)) {
        spare->is_wanted = paddr_is_none(spare->block);
        if (spare->is_wanted)
            return USER_SPACE_OK;
        enum user_space_status status = map(fault, area, spare->block, VMEM_2M, false);
        if (status == USER_SPACE_OK)
            spare->block = PADDR_NONE;
        return status;
    }
    paddr_t frame = supply_frame();
    if (paddr_is_none(frame))
        return USER_SPACE_ERR_NO_MEMORY;
    return map_frame(fault, area, frame, false);
}

static enum user_space_status add_shared(const struct fault *fault, const struct area *area) {
    uint64_t page = align_down(fault->address, FRAME_BYTES);
    paddr_t frame = shared_frame(area->shared, area->offset + (page - area->start));
    if (!counted_get(frame, FRAME_BYTES))
        return USER_SPACE_ERR_NO_MEMORY;
    return map_frame(fault, area, frame, false);
}

// ---- Pages that are shared, and written

static bool is_alone(const struct vmem_translation *leaf) {
    bool is_alone = false;
    uint64_t bytes = vmem_page_bytes(leaf->page);
    paddr_t first = paddr(align_down(leaf->phys.value, bytes));
    return counted_alike(first, bytes, &is_alone) == bytes && is_alone;
}

// Copies a page that no CPU can write. The copy cannot be written either, until all have forgotten
// the old page: so it does not matter who reads which of the two. Else:
//
//     this CPU                   another one             a third one, which remembers the page
//     stores the writable copy
//                                writes it
//                                                        reads the old page, after that write
//     flush: too late
static enum user_space_status copy_page(const struct fault *fault, const struct area *area,
                                        paddr_t shared) {
    paddr_t copy = supply_copy(shared);
    if (paddr_is_none(copy))
        return USER_SPACE_ERR_NO_MEMORY;
    enum user_space_status status = map_frame(fault, area, copy, true);
    if (status != USER_SPACE_OK)
        return status;
    space_flush(fault->space, fault->flush);
    space_set_rights(fault->space, align_down(fault->address, FRAME_BYTES), FRAME_BYTES,
                     space_leaf_rights(area, true), fault->flush);
    return USER_SPACE_OK;
}

// Of a large leaf the page that is written alone is copied.
static enum user_space_status own_page(const struct fault *fault, const struct area *area,
                                       const struct vmem_translation *leaf) {
    uint64_t bytes = vmem_page_bytes(leaf->page);
    if (is_alone(leaf)) {
        space_set_rights(fault->space, align_down(fault->address, bytes), bytes,
                         space_leaf_rights(area, true), fault->flush);
        return USER_SPACE_OK;
    }
    if (!space_split_leaf(fault->space, fault->address, fault->flush))
        return USER_SPACE_ERR_NO_MEMORY;
    struct vmem_translation page = *leaf;
    page.page = VMEM_4K;
    if (leaf->page != VMEM_4K && is_alone(&page)) // other parts were shared
        return own_page(fault, area, &page);
    return copy_page(fault, area, paddr(align_down(leaf->phys.value, FRAME_BYTES)));
}

// ---- Faults

static enum user_space_status resolve(const struct fault *fault) {
    const struct area *area = areas_find(&fault->space->areas, fault->address);
    if (area == NULL)
        return USER_SPACE_ERR_NONE;
    if (area->kind == USER_AREA_GUARD)
        return USER_SPACE_ERR_GUARD;
    if (fault->needed & ~area->rights)
        return USER_SPACE_ERR_RIGHTS;
    struct vmem_translation leaf;
    if (vmem_translate(&fault->space->tables, vaddr(fault->address), &leaf) != VMEM_OK)
        return area->kind == USER_AREA_SHARED ? add_shared(fault, area)
                                              : add_anonymous(fault, area);
    return fault->needed & ~leaf.rights ? own_page(fault, area, &leaf) : USER_SPACE_OK;
}

static enum user_space_status resolve_locked(struct user_space *space, uint64_t address,
                                             uint64_t error, struct spare *spare) {
    struct vmem_flush flush;
    struct fault fault = {address, needed_right(error), space, &flush, spare};
    space_change_begin(space, &flush);
    spare->is_wanted = false;
    enum user_space_status status = resolve(&fault);
    space_change_end(space, &flush);
    return status;
}

enum user_space_status user_space_fault(struct user_space *space, uint64_t address,
                                        uint64_t error) {
    struct spare spare = {.block = PADDR_NONE};
    enum user_space_status status = resolve_locked(space, address, error, &spare);
    while (spare.is_wanted) {
        spare.block = supply_block();
        spare.is_refused = paddr_is_none(spare.block);
        status = resolve_locked(space, address, error, &spare);
    }
    if (!paddr_is_none(spare.block))
        counted_put(spare.block, BLOCK_BYTES);
    return status;
}
