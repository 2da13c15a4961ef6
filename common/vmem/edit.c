// An edit of leaves in place. Prepares: looks at the whole range and sets aside the tables that
// splitting takes. Commits: edits the leaves.
#include "common/vmem/edit.h"

#include <stddef.h>

// Whether the edit changes the leaf. If not, the leaf stays whole, even where the range cuts it.
static bool leaf_changes(const struct vmem_edit *edit, unsigned level, uint64_t leaf) {
    return entry_edited(leaf, edit->bits[level]) != leaf;
}

// Like leaf_changes, but assumes that a CPU sets accessed and dirty before the commit comes to the
// leaf.
static bool leaf_may_change(const struct vmem_edit *edit, unsigned level, uint64_t leaf) {
    return leaf_changes(edit, level, leaf | (edit->bits[level].clear & ENTRY_MARKS));
}

static struct vmem_edit *edit_of(struct vmem_change *change) {
    _Static_assert(offsetof(struct vmem_edit, change) == 0);
    return (struct vmem_edit *)change;
}

static uint64_t skip_leaves(struct vmem_change *change, const uint64_t *cell, unsigned level,
                            struct vmem_pages pages) {
    uint64_t whole = level_whole_entries(pages.first, pages.end, level);
    return entry_count_leaves(&change->space->rules, level, cell, whole,
                              &edit_of(change)->seen[level]);
}

static enum vmem_status prepare_absent(struct vmem_change *change, unsigned level,
                                       struct vmem_pages within) {
    (void)level;
    (void)within;
    return edit_of(change)->skips_holes ? VMEM_OK : VMEM_ERR_NOT_MAPPED;
}

// A leaf that the range cuts is split if it changes.
static enum vmem_status prepare_leaf(struct vmem_change *change, uint64_t leaf, unsigned level,
                                     struct vmem_pages within) {
    struct vmem_edit *edit = edit_of(change);
    if (leaf_may_change(edit, level, leaf)) {
        change->tables += vmem_count_tables_below(within, level, level);
        for (unsigned below = 1; below < level; below++) // its parts will be among them
            edit->seen[below] = ENTRY_SUMMARY_ANY;
    }
    return VMEM_OK;
}

static enum vmem_status prepare_table(struct vmem_change *change, uint64_t entry, unsigned level,
                                      struct vmem_pages within);

static const struct vmem_visitor edit_visitor = {
    .skip = skip_leaves,
    .absent = prepare_absent,
    .leaf = prepare_leaf,
    .table = prepare_table,
};

static enum vmem_status prepare_table(struct vmem_change *change, uint64_t entry, unsigned level,
                                      struct vmem_pages within) {
    return vmem_visit_below(change, &edit_visitor, edit_of(change)->rights, entry, level, within);
}

static void commit_table(struct vmem_edit *edit, uint64_t *table, unsigned level,
                         struct vmem_pages pages);

// Edits the pages below an entry: a table, or a leaf that the range cuts.
static void commit_entry(struct vmem_edit *edit, uint64_t *cell, unsigned level,
                         struct vmem_pages within) {
    ASSERT(level > 1);
    struct vmem_change *change = &edit->change;
    uint64_t entry = entry_load(cell);
    uint64_t *below;
    if (entry_kind(&change->space->rules, level, entry) == ENTRY_IS_LEAF) {
        if (!leaf_changes(edit, level, entry)) {
            if (edit->keep != NULL)
                edit->keep(edit, entry, within);
            return;
        }
        below = vmem_split_leaf(change, cell, level, within.first);
    } else {
        below = vmem_table(change->space, entry_table_address(entry));
    }
    if (edit->rights & VMEM_USER)
        vmem_allow_user(change, cell, level, within.first);
    commit_table(edit, below, level - 1, within);
}

static void commit_table(struct vmem_edit *edit, uint64_t *table, unsigned level,
                         struct vmem_pages pages) {
    ASSERT(level_is_one_table(pages.first, pages.end, level));
    uint64_t at = pages.first;
    while (at < pages.end) {
        uint64_t *cell = &table[level_index(at, level)];
        uint64_t leaves = level_whole_entries(at, pages.end, level);
        struct entry_summary seen = {0};
        if (level > 1 || edit->skips_holes) // else all were leaves when prepared
            leaves = entry_count_leaves(&edit->change.space->rules, level, cell, leaves, &seen);
        if (leaves != 0) {
            edit->apply(edit, cell, level, at, leaves);
            at += leaves << level_shift(level);
            continue;
        }
        struct vmem_pages within = {at, level_entry_end(at, pages.end, level)};
        if (entry_is_present(entry_load(cell)))
            commit_entry(edit, cell, level, within);
        at = within.end;
    }
}

// Whether loads and stores lose no mark: all marks of the leaves are set, or no CPU has loaded the
// tables.
static bool stores_suffice(const struct vmem_edit *edit, struct entry_summary leaves) {
    bool are_loaded = edit->change.flush->ops->execute != NULL;
    return !are_loaded || (ENTRY_MARKS & ~entry_summary_all(leaves)) == 0;
}

// Whether the edit changes one of the leaves.
static bool changes_any(struct entry_summary leaves, struct entry_edit bits) {
    return (entry_summary_any(leaves) & bits.clear & ~bits.set) != 0 ||
           (~entry_summary_all(leaves) & bits.set) != 0;
}

// Edits the leaves of a group, which may differ. Returns what they were.
static struct entry_summary apply_group(const struct vmem_edit *edit, uint64_t *cell,
                                        uint64_t count, struct entry_edit bits) {
    ASSERT(count <= ENTRY_GROUP);
    struct entry_summary were = {0};
    for (uint64_t i = 0; i < count; i++)
        were = entry_summary_add(were, entry_load(&cell[i]));
    bool by_stores = stores_suffice(edit, were);
    for (uint64_t i = 0; i < count; i++) {
        if (by_stores)
            entry_store(&cell[i], entry_edited(entry_load(&cell[i]), bits));
        else
            entry_edit_live(&cell[i], bits);
    }
    return were;
}

static void apply_general(struct vmem_edit *edit, uint64_t *cell, unsigned level, uint64_t at,
                          uint64_t count) {
    bool changed = false;
    bool global = false;
    for (uint64_t left = count, group; left != 0; left -= group, cell += group) {
        group = min_u64(left, ENTRY_GROUP);
        struct entry_summary were = apply_group(edit, cell, group, edit->bits[level]);
        changed |= changes_any(were, edit->bits[level]);
        global |= entry_is_global(entry_summary_any(were));
    }
    if (changed)
        vmem_flush_add_leaves(edit->change.flush, at, count, level, global);
}

void vmem_edit_apply_bits(struct vmem_edit *edit, uint64_t *cell, unsigned level, uint64_t at,
                          uint64_t count) {
    ASSERT(level >= 1 && level <= VMEM_PAGE_SIZES && count != 0);
    struct entry_edit bits = edit->bits[level];
    struct entry_summary seen = edit->seen[level];
    bool are_alike = (seen.apart & (bits.clear | bits.set)) == 0;
    if (!are_alike || !stores_suffice(edit, seen)) {
        apply_general(edit, cell, level, at, count);
    } else if (changes_any(seen, bits)) {
        uint64_t inverted = entry_edited(seen.sample, bits) ^ seen.sample;
        entry_invert(cell, count, inverted);
        vmem_flush_add_leaves(edit->change.flush, at, count, level,
                              entry_is_global(entry_summary_any(seen)));
    }
}

enum vmem_status vmem_edit_pages(struct vmem_edit *edit, struct vmem_pages pages) {
    ASSERT(edit->apply != NULL && (edit->skips_holes || edit->keep == NULL));
    const struct vmem *space = edit->change.space;
    struct vmem_path path;
    enum vmem_status status = vmem_descend(space, pages, edit->rights, 1, &path);
    if (status == VMEM_OK)
        status = vmem_prepare(&edit->change, &edit_visitor, &path, pages);
    if (status != VMEM_OK)
        return status;
    vmem_path_allow(&edit->change, &path, pages.first);
    commit_table(edit, path.table, path.level, pages);
    vmem_change_end(&edit->change);
    return VMEM_OK;
}
