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
    switch (entry_kind(&edit->change.space->rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        return edit->skips_holes ? VMEM_OK : VMEM_ERR_NOT_MAPPED;
    case ENTRY_IS_TABLE:
        status = vmem_enter(edit->change.space, entry, edit->rights, &table);
        return status == VMEM_OK ? check_table(edit, table, level - 1, piece) : status;
    case ENTRY_IS_LEAF:
        if (leaf_may_change(edit, level, entry)) {
            edit->change.tables += vmem_count_tables_below(piece, level, level);
            for (unsigned below = 1; below < level; below++) // its parts will be there, too
                edit->seen[below] = ENTRY_GROUP_ANY;
        }
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
        uint64_t leaves =
            entry_count_leaves(&edit->change.space->rules, level, slot, whole, &edit->seen[level]);
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
    if (entry_kind(&change->space->rules, level, entry) == ENTRY_IS_LEAF) {
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
        struct entry_group seen = {0};
        if (level > 1 || edit->skips_holes) // else the check has seen leaves alone
            leaves = entry_count_leaves(&edit->change.space->rules, level, slot, leaves, &seen);
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

// Whether no CPU can set a mark in the leaves any more: all are set, or none has loaded the tables.
// Then plain stores lose nothing.
static bool is_settled(const struct vmem_edit *edit, struct entry_group leaves) {
    bool are_loaded = edit->change.flush->ops->execute != NULL;
    return !are_loaded || (ENTRY_MARKS & ~entry_group_all(leaves)) == 0;
}

// Whether the edit changes one of the leaves.
static bool changes_any(struct entry_group leaves, struct entry_edit bits) {
    return (entry_group_any(leaves) & bits.clear & ~bits.set) != 0 ||
           (~entry_group_all(leaves) & bits.set) != 0;
}

// Edits leaves that may differ. Returns what they were.
static struct entry_group edit_leaves(const struct vmem_edit *edit, uint64_t *slot, uint64_t count,
                                      struct entry_edit bits) {
    struct entry_group were = {0};
    for (uint64_t i = 0; i < count; i++)
        were = entry_group_add(were, entry_load(&slot[i]));
    bool plain = is_settled(edit, were);
    for (uint64_t i = 0; i < count; i++) {
        if (plain)
            entry_store(&slot[i], entry_edited(entry_load(&slot[i]), bits));
        else
            entry_edit_live(&slot[i], bits);
    }
    return were;
}

static void edit_any(struct vmem_edit *edit, uint64_t *slot, unsigned level, uint64_t at,
                     uint64_t count) {
    bool changed = false;
    bool global = false;
    for (uint64_t left = count, block; left != 0; left -= block, slot += block) {
        block = min_u64(left, ENTRY_BLOCK);
        struct entry_group were = edit_leaves(edit, slot, block, edit->bits[level]);
        changed |= changes_any(were, edit->bits[level]);
        global |= entry_is_global(entry_group_any(were));
    }
    if (changed)
        vmem_flush_add_leaves(edit->change.flush, at, count, level, global);
}

void vmem_edit_by_bits(struct vmem_edit *edit, uint64_t *slot, unsigned level, uint64_t at,
                       uint64_t count) {
    struct entry_edit bits = edit->bits[level];
    struct entry_group seen = edit->seen[level];
    bool are_alike = (seen.apart & (bits.clear | bits.set)) == 0;
    if (!are_alike || !is_settled(edit, seen)) {
        edit_any(edit, slot, level, at, count);
    } else if (changes_any(seen, bits)) {
        uint64_t inverted = entry_edited(seen.sample, bits) ^ seen.sample;
        entry_invert_settled(slot, count, inverted);
        vmem_flush_add_leaves(edit->change.flush, at, count, level,
                              entry_is_global(entry_group_any(seen)));
    }
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
