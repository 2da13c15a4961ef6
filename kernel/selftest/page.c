#include "kernel/selftest/page.h"

#include "common/base/arith.h"
#include "kernel/base/layout.h"
#include "kernel/base/panic.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/stop/probe.h"

#include <stdbool.h>
#include <stddef.h>

enum { WORDS = 1 + OWNERS_MAX }; // of a page: its tag, and one that each owner writes

#define POISON UINT64_C(0xdeadbeefdeadbeef)
#define LOWER  UINT64_C(0x40000000) // where pages of a lower half are

// The state of a page: from bit 0 what it is, whether that changes now, and how many frames have
// been mapped there so far. The upper half counts changes, so that no state comes twice.
enum { ABSENT, READ_ONLY, WRITABLE };
#define WHAT     UINT64_C(3)
#define CHANGES  UINT64_C(4)
#define FRAME    UINT64_C(8)
#define FRAMES   UINT64_C(0xfffffff8)
#define ONE_MORE (UINT64_C(1) << 32)

enum change { UNMAP, MAP, FORBID_WRITES, ALLOW_WRITES };

static uint64_t frames_of(uint64_t state) {
    return (state & FRAMES) / FRAME;
}

// What the frame number `frame` of a page begins with.
static uint64_t tag_of(const struct page *page, uint64_t frame) {
    return (uint64_t)(uintptr_t)page << 32 | frame;
}

unsigned page_owner_choose(struct page_owner *owner, unsigned limit) {
    owner->random ^= owner->random << 13;
    owner->random ^= owner->random >> 7;
    owner->random ^= owner->random << 17;
    return (unsigned)(owner->random >> 16) % limit;
}

// Of the four pages of each the first shares its table with those of all owners, the second with
// that of the other owner on its CPU: so tables come and go. The others have the same addresses in
// two spaces.
void page_owner_start(struct page_owner *owner, unsigned number, const struct page_space *spaces) {
    *owner = (struct page_owner){.number = number, .random = number + 1};
    for (unsigned i = 0; i < PAGES_OF_EACH; i++) {
        uint64_t base = spaces[i].tlb == NULL ? KERNEL_SCRATCH : LOWER;
        uint64_t table = i == 0 ? 0 : 1 + number / 2;
        owner->pages[i] = (struct page){
            .virt = base + table * MIB(2) + number * FRAME_BYTES,
            .space = &spaces[i],
            .owner = owner,
        };
    }
    for (unsigned i = 0; i < RELEASED_MAX; i++)
        owner->released[i] = PADDR_NONE;
}

// ---- Released frames

static void free_released(struct page_owner *owner, paddr_t *frame) {
    if (paddr_is_none(*frame))
        return;
    const uint64_t *words = memory_frame_bytes(*frame);
    for (unsigned i = 0; i < WORDS; i++) {
        if (words[i] != POISON)
            panic("shoot-down: frame 0x%lx was released by owner %u, and word %u written later: "
                  "0x%lx",
                  frame->value, owner->number, i, words[i]);
    }
    enum frames_status status = memory_free(*frame);
    if (status != FRAMES_OK)
        panic("shoot-down: freeing frame 0x%lx: %s", frame->value, frames_status_text(status));
    *frame = PADDR_NONE;
}

// Of the two owners on a CPU the one that changes a page, between space_begin and space_end.
static struct page_owner *changing[CPUS_MAX];

// An op of vmem_flush_ops.
static void release(void *context, const struct vmem_run *run) {
    (void)context;
    struct page_owner *owner = changing[this_cpu()];
    paddr_t *released = &owner->released[owner->released_next++ % RELEASED_MAX];
    free_released(owner, released);
    uint64_t *words = memory_frame_bytes(run->phys);
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = POISON;
    *released = run->phys;
}

static const struct vmem_flush_ops ops = {.execute = shootdown_execute, .release = release};

// ---- Changes

static struct vmem_mapping new_mapping(struct page *page, uint64_t state) {
    struct vmem_mapping mapping = {
        .virt = vaddr(page->virt),
        .bytes = FRAME_BYTES,
        .rights = VMEM_READ | VMEM_WRITE,
        .largest = VMEM_4K,
        .global = page->space->tlb == NULL && page_owner_choose(page->owner, 2) == 0,
        .replace = true,
    };
    enum frames_status status = memory_alloc(FRAMES_ANY, &mapping.phys);
    if (status != FRAMES_OK)
        panic("shoot-down: a frame: %s", frames_status_text(status));
    uint64_t *words = memory_frame_bytes(mapping.phys);
    for (unsigned i = 1; i < WORDS; i++)
        words[i] = 0;
    words[0] = tag_of(page, frames_of(state));
    return mapping;
}

static enum vmem_status change_tables(struct vmem *tables, const struct page *page,
                                      enum change change, const struct vmem_mapping *mapping,
                                      struct vmem_flush *flush) {
    switch (change) {
    case UNMAP:
        return vmem_unmap(tables, vaddr(page->virt), FRAME_BYTES, flush);
    case MAP:
        return vmem_map(tables, mapping, flush);
    case FORBID_WRITES:
        return vmem_protect(tables, vaddr(page->virt), FRAME_BYTES, VMEM_READ, flush);
    case ALLOW_WRITES:
        return vmem_protect(tables, vaddr(page->virt), FRAME_BYTES, VMEM_READ | VMEM_WRITE, flush);
    }
    __builtin_unreachable();
}

// Makes `change`, after which the page's state is `next`.
static void apply(struct page *page, enum change change, uint64_t next) {
    struct vmem_mapping mapping;
    if (change == MAP)
        mapping = new_mapping(page, next);
    struct vmem_flush flush;
    struct vmem *kernel = space_begin(&flush);
    struct vmem *tables = page->space->tables == NULL ? kernel : page->space->tables;
    changing[this_cpu()] = page->owner;
    vmem_flush_begin(&flush, &ops, page->space->tlb);
    enum vmem_status status = change_tables(tables, page, change, &mapping, &flush);
    flush.full |= page_owner_choose(page->owner, 8) == 0; // as if there had been more pages
    space_end(tables, &flush);
    if (status != VMEM_OK)
        panic("shoot-down: changing page 0x%lx: %s", page->virt, vmem_status_text(status));
}

static void change_page(struct page *page, enum change change) {
    static const uint64_t becomes[] = {
        [UNMAP] = ABSENT, [MAP] = WRITABLE, [FORBID_WRITES] = READ_ONLY, [ALLOW_WRITES] = WRITABLE};
    uint64_t state = __atomic_load_n(&page->state, __ATOMIC_RELAXED);
    uint64_t next = ((state & ~WHAT) | becomes[change]) + ONE_MORE + (change == MAP ? FRAME : 0);
    __atomic_store_n(&page->state, state | CHANGES, __ATOMIC_SEQ_CST);
    apply(page, change, next);
    __atomic_store_n(&page->state, next, __ATOMIC_SEQ_CST);
    page->owner->changes++;
}

void page_owner_change(struct page_owner *owner) {
    struct page *page = &owner->pages[page_owner_choose(owner, PAGES_OF_EACH)];
    bool is_absent = (page->state & WHAT) == ABSENT;
    change_page(page, is_absent ? MAP : (enum change)page_owner_choose(owner, 4));
}

void page_owner_end(struct page_owner *owner) {
    for (unsigned i = 0; i < PAGES_OF_EACH; i++) {
        if ((owner->pages[i].state & WHAT) != ABSENT)
            change_page(&owner->pages[i], UNMAP);
    }
    for (unsigned i = 0; i < RELEASED_MAX; i++)
        free_released(owner, &owner->released[i]);
}

// ---- Uses

[[gnu::noreturn]] static void fail(const struct page *page, const char *what, uint64_t value,
                                   uint64_t before, uint64_t after) {
    panic("shoot-down: page 0x%lx of owner %u %s: value 0x%lx, tag of its frame 0x%lx, state 0x%lx "
          "to 0x%lx",
          page->virt, page->owner->number, what, value, tag_of(page, frames_of(before)), before,
          after);
}

static bool is_stable(uint64_t before, uint64_t after) {
    return before == after && (before & CHANGES) == 0;
}

// While it changes: the frame that was there before, those that were mapped meanwhile, and the one
// that may have been mapped already, if one of them can be read.
static bool is_possible(const struct page *page, uint64_t value, uint64_t before, uint64_t after) {
    bool was_absent = (before & WHAT) == ABSENT;
    uint64_t frame = value ^ tag_of(page, 0);
    return frame >= frames_of(before) + was_absent && frame <= frames_of(after) + 1;
}

static void use_to_read(struct page_owner *owner, const struct page *page) {
    uint64_t value = 0;
    uint64_t before = __atomic_load_n(&page->state, __ATOMIC_SEQ_CST);
    bool is_read = probe_load(page->virt, &value);
    uint64_t after = __atomic_load_n(&page->state, __ATOMIC_SEQ_CST);
    owner->faults += !is_read;
    bool is_absent = (before & WHAT) == ABSENT;
    if (!is_stable(before, after)) {
        if (is_read && !is_possible(page, value, before, after))
            fail(page, "was read while it changed, as it never was", value, before, after);
    } else if (is_read == is_absent) {
        fail(page, is_read ? "is absent and was read" : "cannot be read", value, before, after);
    } else if (is_read && value != tag_of(page, frames_of(before))) {
        fail(page, "was read as it is no more", value, before, after);
    }
}

// Each owner writes a word of its own.
static void use_to_write(struct page_owner *owner, const struct page *page) {
    uint64_t value = ++owner->written;
    uint64_t before = __atomic_load_n(&page->state, __ATOMIC_SEQ_CST);
    bool is_written = probe_store(page->virt + (1 + owner->number) * sizeof(value), value);
    uint64_t after = __atomic_load_n(&page->state, __ATOMIC_SEQ_CST);
    owner->faults += !is_written;
    if (is_stable(before, after) && is_written != ((before & WHAT) == WRITABLE))
        fail(page, is_written ? "is not writable and was written" : "cannot be written", value,
             before, after);
}

void page_use(struct page_owner *owner, const struct page *page) {
    owner->accesses += 2;
    use_to_read(owner, page);
    use_to_write(owner, page);
}
