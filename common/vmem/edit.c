// Checks the whole range and counts the tables that splitting takes, sets them aside, then edits
// the leaves.
#include "common/vmem/edit.h"

// A leaf that the edit leaves as it is stays whole, even where the range cuts it.
static bool leaf_changes(const struct vmem_edit *edit, unsigned level, uint64_t leaf) {
    return entry_edited(leaf, edit->bits[level]) != leaf;
}

// Whether it may have to be edited by the time that the edit comes to it: a CPU may mark it.
static bool leaf_may_change(const struct vmem_edit *edit, unsigned level, uint64_t leaf) {
    return leaf_changes(edit, level, leaf | (edit->bits[level].clear & ENTRY_MARKS));
}

static enum vmem_status check_table(struct vmem_edit *edit, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages);

static enum vmem_status check_entry(struct vmem_edit *edit, uint64_t entry, unsigned level,
                                    struct vmem_pages piece) {
    uint64_t *table;
    enum vmem_status status;
    switch (entry_kind(edit->change.rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        return edit->skips_holes ? VMEM_OK : VMEM_ERR_NOT_MAPPED;
    case ENTRY_IS_TABLE:
        status = vmem_enter(edit->change.space, entry, edit->rights, &table);
        return status == VMEM_OK ? check_table(edit, table, level - 1, piece) : status;
    case ENTRY_IS_LEAF:
        if (leaf_may_change(edit, level, entry))
            edit->change.tables += vmem_count_tables_below(piece, level, level);
        return VMEM_OK;
    case ENTRY_IS_BAD:
        break;
    }
    return VMEM_ERR_CORRUPT;
}

static enum vmem_status check_table(struct vmem_edit *edit, const uint64_t *table, unsigned level,
                                    struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (at < pages.end) {
        const uint64_t *slot = &table[level_index(at, level)];
        uint64_t whole = level_whole_entries(at, pages.end, level);
        uint64_t leaves = entry_count_leaves(edit->change.rules, level, slot, whole);
        if (leaves != 0) {
            at += leaves << level_shift(level);
            continue;
        }
        uint64_t next = level_piece_end(at, pages.end, level);
        struct vmem_pages piece = {at, next};
        enum vmem_status status = check_entry(edit, entry_load(slot), level, piece);
        if (status != VMEM_OK)
            return status;
        at = next;
    }
    return VMEM_OK;
}

static void commit_table(struct vmem_edit *edit, uint64_t *table, unsigned level,
                         struct vmem_pages pages);

// Edits what a table, or a leaf that the piece cuts, translates of the piece.
static void commit_entry(struct vmem_edit *edit, uint64_t *slot, unsigned level,
                         struct vmem_pages piece) {
    struct vmem_change *change = &edit->change;
    uint64_t entry = entry_load(slot);
    uint64_t *below;
    if (entry_kind(change->rules, level, entry) == ENTRY_IS_LEAF) {
        if (!leaf_changes(edit, level, entry)) {
            if (edit->keep != NULL)
                edit->keep(edit, entry, piece);
            return;
        }
        below = vmem_split_leaf(change, slot, level, piece.first);
    } else {
        below = vmem_table(change->space, entry_table_address(entry));
    }
    if (edit->rights & VMEM_USER)
        vmem_allow_user(change, slot, level, piece.first);
    commit_table(edit, below, level - 1, piece);
}

static void commit_table(struct vmem_edit *edit, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (at < pages.end) {
        uint64_t *slot = &table[level_index(at, level)];
        uint64_t leaves = level_whole_entries(at, pages.end, level);
        if (level > 1 || edit->skips_holes) // else the check has seen leaves alone
            leaves = entry_count_leaves(edit->change.rules, level, slot, leaves);
        if (leaves != 0) {
            edit->edit(edit, slot, level, at, leaves);
            at += leaves << level_shift(level);
            continue;
        }
        struct vmem_pages piece = {at, level_piece_end(at, pages.end, level)};
        if (entry_is_present(entry_load(slot)))
            commit_entry(edit, slot, level, piece);
        at = piece.end;
    }
}

// Edits a block of leaves in which a CPU can set no more bits, and so writes none: plain stores do.
static void edit_settled(uint64_t *slot, struct entry_edit bits) {
#pragma GCC unroll 8
    for (unsigned i = 0; i < ENTRY_BLOCK; i++)
        entry_store(&slot[i], entry_edited(entry_load(&slot[i]), bits));
}

// Edits leaves that a CPU may mark meanwhile. Returns what they were.
static struct entry_block edit_live(uint64_t *slot, uint64_t count, struct entry_edit bits) {
    struct entry_block were = ENTRY_BLOCK_NONE;
    for (uint64_t *end = slot + count; slot != end; slot++) {
        uint64_t leaf = entry_edit_live(slot, bits);
        were = entry_join_blocks(were, (struct entry_block){leaf, leaf});
    }
    return were;
}

void vmem_edit_by_bits(struct vmem_edit *edit, uint64_t *slot, unsigned level, uint64_t at,
                       uint64_t count) {
    struct entry_edit bits = edit->bits[level];
    // What a CPU may set: nothing, if none has loaded the tables.
    uint64_t marks = edit->change.flush->ops->execute != NULL ? ENTRY_MARKS : 0;
    struct entry_block were = ENTRY_BLOCK_NONE;
    uint64_t left = count;
    for (; left >= ENTRY_BLOCK; left -= ENTRY_BLOCK, slot += ENTRY_BLOCK) {
        struct entry_block block = entry_load_block(slot);
        if ((block.all & marks) == marks)
            edit_settled(slot, bits);
        else
            block = edit_live(slot, ENTRY_BLOCK, bits);
        were = entry_join_blocks(were, block);
    }
    were = entry_join_blocks(were, edit_live(slot, left, bits));
    if ((were.any & bits.clear & ~bits.set) != 0 || (~were.all & bits.set) != 0)
        vmem_flush_add_leaves(edit->change.flush, at, count, level, entry_is_global(were.any));
}

enum vmem_status vmem_edit_pages(struct vmem_edit *edit, struct vmem_pages pages) {
    const struct vmem *space = edit->change.space;
    struct vmem_path path;
    enum vmem_status status = vmem_descend(space, pages, edit->rights, 1, &path);
    if (status == VMEM_OK)
        status = check_table(edit, path.table, path.level, pages);
    if (status == VMEM_OK)
        status = vmem_reserve_take(&edit->change);
    if (status != VMEM_OK)
        return status;
    vmem_path_allow(&edit->change, &path, pages.first);
    commit_table(edit, path.table, path.level, pages);
    vmem_change_end(&edit->change);
    return VMEM_OK;
}
