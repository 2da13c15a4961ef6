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
                                    struct vmem_pages within) {
    uint64_t *table;
    enum vmem_status status;
    switch (entry_kind(&edit->change.space->rules, level, entry)) {
    case ENTRY_IS_ABSENT:
        return edit->skips_holes ? VMEM_OK : VMEM_ERR_NOT_MAPPED;
    case ENTRY_IS_TABLE:
        status = vmem_enter(edit->change.space, entry, edit->rights, &table);
        return status == VMEM_OK ? check_table(edit, table, level - 1, within) : status;
    case ENTRY_IS_LEAF:
        if (leaf_may_change(edit, level, entry)) {
            edit->change.tables += vmem_count_tables_below(within, level, level);
            for (unsigned below = 1; below < level; below++) // its parts will be there, too
                edit->seen[below] = ENTRY_SUMMARY_ANY;
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
        uint64_t next = level_entry_end(at, pages.end, level);
        struct vmem_pages within = {at, next};
        enum vmem_status status = check_entry(edit, entry_load(slot), level, within);
        if (status != VMEM_OK)
            return status;
        at = next;
    }
    return VMEM_OK;
}

static void commit_table(struct vmem_edit *edit, uint64_t *table, unsigned level,
                         struct vmem_pages pages);

// Edits what a table, or a leaf that the range cuts, translates within the pages.
static void commit_entry(struct vmem_edit *edit, uint64_t *slot, unsigned level,
                         struct vmem_pages within) {
    struct vmem_change *change = &edit->change;
    uint64_t entry = entry_load(slot);
    uint64_t *below;
    if (entry_kind(&change->space->rules, level, entry) == ENTRY_IS_LEAF) {
        if (!leaf_changes(edit, level, entry)) {
            if (edit->keep != NULL)
                edit->keep(edit, entry, within);
            return;
        }
        below = vmem_split_leaf(change, slot, level, within.first);
    } else {
        below = vmem_table(change->space, entry_table_address(entry));
    }
    if (edit->rights & VMEM_USER)
        vmem_allow_user(change, slot, level, within.first);
    commit_table(edit, below, level - 1, within);
}

static void commit_table(struct vmem_edit *edit, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    uint64_t at = pages.first;
    while (at < pages.end) {
        uint64_t *slot = &table[level_index(at, level)];
        uint64_t leaves = level_whole_entries(at, pages.end, level);
        struct entry_summary seen = {0};
        if (level > 1 || edit->skips_holes) // else the check has seen leaves alone
            leaves = entry_count_leaves(&edit->change.space->rules, level, slot, leaves, &seen);
        if (leaves != 0) {
            edit->apply(edit, slot, level, at, leaves);
            at += leaves << level_shift(level);
            continue;
        }
        struct vmem_pages within = {at, level_entry_end(at, pages.end, level)};
        if (entry_is_present(entry_load(slot)))
            commit_entry(edit, slot, level, within);
        at = within.end;
    }
}

// Whether no CPU can set a mark in the leaves any more: all are set, or none has loaded the tables.
// Then plain stores lose nothing.
static bool stores_suffice(const struct vmem_edit *edit, struct entry_summary leaves) {
    bool are_loaded = edit->change.flush->ops->execute != NULL;
    return !are_loaded || (ENTRY_MARKS & ~entry_summary_all(leaves)) == 0;
}

// Whether the edit changes one of the leaves.
static bool changes_any(struct entry_summary leaves, struct entry_edit bits) {
    return (entry_summary_any(leaves) & bits.clear & ~bits.set) != 0 ||
           (~entry_summary_all(leaves) & bits.set) != 0;
}

// Edits leaves that may differ. Returns what they were.
static struct entry_summary apply_group(const struct vmem_edit *edit, uint64_t *slot,
                                        uint64_t count, struct entry_edit bits) {
    struct entry_summary were = {0};
    for (uint64_t i = 0; i < count; i++)
        were = entry_summary_add(were, entry_load(&slot[i]));
    bool by_stores = stores_suffice(edit, were);
    for (uint64_t i = 0; i < count; i++) {
        if (by_stores)
            entry_store(&slot[i], entry_edited(entry_load(&slot[i]), bits));
        else
            entry_edit_live(&slot[i], bits);
    }
    return were;
}

static void apply_general(struct vmem_edit *edit, uint64_t *slot, unsigned level, uint64_t at,
                          uint64_t count) {
    bool changed = false;
    bool global = false;
    for (uint64_t left = count, group; left != 0; left -= group, slot += group) {
        group = min_u64(left, ENTRY_GROUP);
        struct entry_summary were = apply_group(edit, slot, group, edit->bits[level]);
        changed |= changes_any(were, edit->bits[level]);
        global |= entry_is_global(entry_summary_any(were));
    }
    if (changed)
        vmem_flush_add_leaves(edit->change.flush, at, count, level, global);
}

void vmem_edit_apply_bits(struct vmem_edit *edit, uint64_t *slot, unsigned level, uint64_t at,
                          uint64_t count) {
    struct entry_edit bits = edit->bits[level];
    struct entry_summary seen = edit->seen[level];
    bool are_alike = (seen.apart & (bits.clear | bits.set)) == 0;
    if (!are_alike || !stores_suffice(edit, seen)) {
        apply_general(edit, slot, level, at, count);
    } else if (changes_any(seen, bits)) {
        uint64_t inverted = entry_edited(seen.sample, bits) ^ seen.sample;
        entry_invert(slot, count, inverted);
        vmem_flush_add_leaves(edit->change.flush, at, count, level,
                              entry_is_global(entry_summary_any(seen)));
    }
}

enum vmem_status vmem_edit_pages(struct vmem_edit *edit, struct vmem_pages pages) {
    const struct vmem *space = edit->change.space;
    struct vmem_path path;
    enum vmem_status status = vmem_descend(space, pages, edit->rights, 1, &path);
    if (status == VMEM_OK)
        status = check_table(edit, path.table, path.level, pages);
    if (status == VMEM_OK)
        status = vmem_reserve_alloc(&edit->change);
    if (status != VMEM_OK)
        return status;
    vmem_path_allow(&edit->change, &path, pages.first);
    commit_table(edit, path.table, path.level, pages);
    vmem_change_end(&edit->change);
    return VMEM_OK;
}
