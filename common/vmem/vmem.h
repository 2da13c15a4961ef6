// common/vmem: x86-64 page tables, 4 and 5 levels, with 4 KiB, 2 MiB and 1 GiB leaves.
//
// Owns: the format of the tables, and every change of them. Does not own: memory (the caller's ops
// allocate and free table frames), the TLB (every change fills a record, struct vmem_flush, which
// the caller's code executes), or any policy beyond what the hardware can express. No globals, no
// EFI, no assembly: the same source runs in the loader, in the kernel and in host programs.
//
// Every change is all-or-nothing: it first checks and prepares (which may fail, and then the tables
// are bit-identical to before and no frame is lost), then commits (which cannot fail). Nothing is
// rounded.
//
// Cost of a range operation grows with the entries touched, not with the 4 KiB pages spanned.
//
// Own_tables is for kernels that are built on this: neither the loader nor the reference kernel
// calls it. Of set_cache the kernel's self-test is the only caller.
//
// One caller changes an address space at a time, and none reads it meanwhile; spaces that share
// their upper half count as one. CPUs may walk the tables at any moment:
//   - an entry is read and written by single 64-bit accesses, never in parts;
//   - a table is filled before the entry that leads to it is stored;
//   - until the flush a detached table keeps its entries, except entry 0, which becomes absent;
//   - what stays mapped is never absent, whatever is split, merged, protected or replaced;
//   - accessed and dirty bits that a CPU sets meanwhile are not lost in leaves that stay mapped.
//
// Tables that table_alloc allocated are the space's own: software bit 9 is set in the entry that
// points to such a table. The space frees no others. It uses and changes a table of somebody else,
// but never removes it, even if it is empty.
//
// Whoever adopts tables audits them first. Translate, walk, audit and dump end on any tables,
// however hostile. Changes rely on tables in which vmem_audit found nothing.
//
// Errors: a function answers those that its comment names. The errors of a range are
// VMEM_ERR_UNALIGNED, VMEM_ERR_EMPTY, VMEM_ERR_WRAPS and VMEM_ERR_NONCANONICAL.
//
// Format: Intel SDM volume 3A chapter 4 (4.5, tables 4-14 to 4-20), AMD APM volume 2 chapter 5.
#pragma once

#include "common/base/addr.h"
#include "common/base/sink.h"

#include <stdbool.h>
#include <stdint.h>

// The versions of this interface: of its source, and of what is compiled (symbols, layouts,
// values), as common/sdk/vmem.abi records it. A change that users must follow raises one or both.
#define VMEM_API_VERSION 1
#define VMEM_ABI_VERSION 1

enum vmem_status {
    VMEM_OK,
    VMEM_ERR_UNALIGNED,    // an address or a length is not a multiple of 4 KiB
    VMEM_ERR_EMPTY,        // length 0
    VMEM_ERR_WRAPS,        // the range runs past the top of the address space
    VMEM_ERR_NONCANONICAL, // the range touches the canonical hole
    VMEM_ERR_PADDR_WIDTH,  // physical range beyond the CPU's width
    VMEM_ERR_RIGHTS,       // rights that the tables cannot express
    VMEM_ERR_NO_NX,        // not executable was asked for, and the CPU has no NX
    VMEM_ERR_CACHE,        // not a cache type
    VMEM_ERR_PAGE_SIZE,    // a page size that does not exist, or 1 GiB where the CPU lacks it
    VMEM_ERR_MAPPED,       // something is mapped there already
    VMEM_ERR_NOT_MAPPED,   // nothing is mapped somewhere in the range
    VMEM_ERR_NO_MEMORY,    // a table frame could not be had
    VMEM_ERR_LEVELS,       // neither 4 nor 5
    VMEM_ERR_ROOT,         // a root that is no table's address
    VMEM_ERR_CORRUPT,      // the tables hold something that no operation of this library makes
    VMEM_ERR_STOPPED,      // a visitor asked to stop
};

// A few words on `status`, for people; static text.
const char *vmem_status_text(enum vmem_status status);

struct vmem_direct;

// How the library reaches the world.
struct vmem_ops {
    // A 4 KiB frame for a table, within the CPU's width, with a pointer, now owned by the address
    // space; PADDR_NONE if there is none. Its contents do not matter.
    paddr_t (*table_alloc)(void *context);
    // Frees a frame that table_alloc allocated, or for which may_free of vmem_own_tables said yes.
    // Either nothing ever led to the table, or nothing has led to it since before the last flush;
    // its contents are then not zero.
    void (*table_free)(void *context, paddr_t table);
    // The pointer through which `table` can be read and written; null if that is no table's
    // address.
    uint64_t *(*table_pointer)(void *context, paddr_t table);
    // Optional, for speed: memory in which every frame can be read and written. Asked for once,
    // when a space is made or adopted; from then on table_pointer is asked for other frames only.
    struct vmem_direct (*direct)(void *context);
};

// Physical memory [start, start + bytes), both multiples of 4 KiB and within the CPU's width, which
// the caller sees at `pointer`. With 0 bytes: it sees none as a whole.
struct vmem_direct {
    paddr_t start;
    uint64_t bytes;
    unsigned char *pointer;
};

// What the CPU can do (CPUID 0x80000001 EDX bits 20 and 26, 0x80000008 EAX 7:0).
struct vmem_cpu {
    uint8_t paddr_bits; // physical address width, 32 to 52
    bool has_nx;
    bool has_1g;
};

#define VMEM_LEVELS_MAX 5
#define VMEM_INDEX_BITS 9 // of an address, that choose the entry of one level

// Which entries are sound on one CPU (entry.h).
struct entry_rules {
    uint64_t reserved;                       // bits that must be zero in every entry
    uint64_t leaf_mask[VMEM_LEVELS_MAX + 1]; // [n]: bits that tell a leaf of level n; 0: no leaves
};

struct vmem {
    const struct vmem_ops *ops;
    void *context; // handed to every op
    paddr_t root;
    struct vmem_cpu cpu;
    uint8_t levels;    // 4 or 5
    bool owns_root;    // the root is freed with the space
    struct vmem *next; // in the ring of the spaces that share an upper half; null: alone

    // Derived from the above, once.
    struct entry_rules rules;
    uint64_t direct_first;  // entry_number of an entry that points to the first frame seen directly
    uint64_t direct_frames; // how many there are
    uintptr_t direct_origin; // the pointer to physical address 0, if it were seen there
    uint64_t *direct_root;   // null: the root is not seen directly
};

// Rights of a mapping. A present x86 page is always readable.
enum {
    VMEM_READ = 1,
    VMEM_WRITE = 2,
    VMEM_USER = 4,
    VMEM_EXECUTE = 8,
};

// Cache types: their values are the indices into the PAT that SLIPWAY_PAT programs.
enum vmem_cache {
    VMEM_CACHE_WB = 0,
    VMEM_CACHE_WT = 1,
    VMEM_CACHE_UC_MINUS = 2,
    VMEM_CACHE_UC = 3,
    VMEM_CACHE_WP = 4,
    VMEM_CACHE_WC = 5,
};

// Leaf sizes; the value is the level above the 4 KiB leaf.
enum vmem_page {
    VMEM_4K = 0,
    VMEM_2M = 1,
    VMEM_1G = 2,
};
#define VMEM_PAGE_SIZES 3

// Bytes of a page of this size.
static inline uint64_t vmem_page_bytes(enum vmem_page page) {
    return FRAME_BYTES << (VMEM_INDEX_BITS * (unsigned)page);
}

// A maximal run: virtually and physically contiguous, equal effective rights, cache type and global
// bit, whatever leaves it is made of.
struct vmem_run {
    vaddr_t virt;
    paddr_t phys;
    uint64_t bytes; // 0 would be 2^64; a run never spans the canonical hole, so it fits
    unsigned rights;
    enum vmem_cache cache;
    bool global;
    uint64_t leaves[VMEM_PAGE_SIZES]; // how many leaves of each size
};

// The flush record: translations that CPUs may still remember, and tables and memory that must not
// be used for anything else before the CPUs have forgotten them. Every change gets a record and
// adds to it. Several changes of one space may share a record. vmem_flush_finish ends it. Its size
// is fixed, and enough: too many pages become one full flush, tables are chained through
// themselves, and when there are too many runs the change flushes and releases in its middle.
#define VMEM_FLUSH_PAGES_MAX 64 // above, one full flush: some 100 cycles a page against a refill
#define VMEM_FLUSH_RANGES    16
#define VMEM_FLUSH_RUNS      16

// Translations of [virt, virt + bytes), one for each `page`: one INVLPG each.
struct vmem_flush_range {
    vaddr_t virt;
    uint64_t bytes; // a multiple of the page's size
    enum vmem_page page;
};

struct vmem_flush;

struct vmem_flush_ops {
    // Makes every CPU that may have used the tables forget what `flush` names. Null: no CPU has
    // loaded them, there is nothing to forget.
    void (*execute)(void *context, const struct vmem_flush *flush);
    // Called after the flush, with memory that a change unmapped or replaced. Null: nobody asks for
    // it. `run` is maximal within one change, except where the limit above splits it. Its rights
    // are those of the leaves alone.
    void (*release)(void *context, const struct vmem_run *run);
};

struct vmem_flush {
    const struct vmem_flush_ops *ops;
    void *context; // handed to every op
    bool full;     // everything is to be forgotten, whatever the ranges say
    bool global;   // some of the translations survive a load of CR3
    // Paging-structure caches are concerned. Any INVLPG, and any load of CR3, drops all of them
    // (SDM 3A 4.10.4.1); with neither full nor ranges it takes one INVLPG of any address.
    bool structures;
    uint8_t range_count;
    uint8_t run_count;
    uint8_t pages; // INVLPGs that the ranges take
    uint64_t table_count;
    paddr_t tables; // newest of table_count detached tables, each holding the address of the next
    struct vmem_flush_range range[VMEM_FLUSH_RANGES];
    struct vmem_run run[VMEM_FLUSH_RUNS];
};

// For tables that no CPU has loaded and memory that nobody asks for: finishing only frees tables.
extern const struct vmem_flush_ops vmem_unloaded;

// An empty record. `ops` stays readable until it is finished.
static inline void vmem_flush_begin(struct vmem_flush *flush, const struct vmem_flush_ops *ops,
                                    void *context) {
    flush->ops = ops;
    flush->context = context;
    flush->full = flush->global = flush->structures = false;
    flush->range_count = flush->run_count = flush->pages = 0;
    flush->table_count = 0;
}

// Executes the flush, if there is anything to forget, then frees the tables and releases the runs.
// The record is empty again. `space` is the one that was changed.
void vmem_flush_finish(const struct vmem *space, struct vmem_flush *flush);

// Makes an empty address space with a fresh root. `space` is untouched on failure.
// Errors: VMEM_ERR_LEVELS, VMEM_ERR_PADDR_WIDTH (no width from 32 to 52), VMEM_ERR_NO_MEMORY.
[[nodiscard]] enum vmem_status vmem_new(struct vmem *space, const struct vmem_ops *ops,
                                        void *context, struct vmem_cpu cpu, unsigned levels);

// Describes the tables that stand at `root` (a CR3 value: bits 11:0 and the bits above the physical
// width are masked off) without reading them. The root is not the space's own. Tables below it are
// the space's own if bit 9 says so, which is right for tables of this library; for all others
// vmem_own_tables decides. `space` is untouched on failure.
// Errors: VMEM_ERR_LEVELS, VMEM_ERR_PADDR_WIDTH, VMEM_ERR_ROOT (table_pointer knows no such table).
[[nodiscard]] enum vmem_status vmem_adopt(struct vmem *space, const struct vmem_ops *ops,
                                          void *context, struct vmem_cpu cpu, unsigned levels,
                                          uint64_t root);

// Decides which tables of an adopted space are its own: asks of the root and of each table below
// whether table_free may free it, and sets or clears bit 9 in the entry that points to it. The
// tables are sound.
void vmem_own_tables(struct vmem *space, bool (*may_free)(void *argument, paddr_t table),
                     void *argument);

// Makes a space with an empty lower half that shares the upper half of `source` for good: a later
// change there, through any of the spaces that share it, is seen in all of them. They form a ring:
// from now on neither structure may move. `ret_clone` is untouched on failure. Errors:
// VMEM_ERR_NO_MEMORY, VMEM_ERR_CORRUPT (table_pointer knows no such root).
[[nodiscard]] enum vmem_status vmem_clone(struct vmem *source, struct vmem *ret_clone);

// Ends a space that no CPU uses. Adds to `flush` all that is mapped in the lower half and, if no
// other space shares it, in the upper; finishes it; frees the space's own tables. Tables of
// somebody else keep what they map, which is not released. Afterwards `space` is all zero. Errors:
// VMEM_ERR_CORRUPT, with nothing changed.
[[nodiscard]] enum vmem_status vmem_destroy(struct vmem *space, struct vmem_flush *flush);

// One mapping to be made.
struct vmem_mapping {
    vaddr_t virt;
    paddr_t phys;
    uint64_t bytes;
    unsigned rights; // VMEM_READ with VMEM_WRITE, VMEM_EXECUTE, VMEM_USER
    enum vmem_cache cache;
    enum vmem_page largest; // largest leaf allowed
    bool global;
    bool replace; // what is mapped there is replaced; else VMEM_ERR_MAPPED
};

// Maps the range with the largest leaves that fit, up to `largest`. Leaves start with accessed,
// dirty, software bits and protection key 0. Table entries allow writing and executing, so that
// leaves alone decide. They allow user mode only where a user leaf lies or lay below. Without
// `replace`, an empty table that stands where a large leaf would fit is used, not replaced.
//
// With `replace`, each old leaf and table is replaced by one store; leaves that stick out are
// split; what was mapped is released through `flush`. Without, the flush concerns at most the
// paging-structure caches, of table entries that now let user mode through.
//
// Errors: those of the range, VMEM_ERR_UNALIGNED of `phys` too; VMEM_ERR_PADDR_WIDTH;
// VMEM_ERR_RIGHTS (no VMEM_READ, unknown rights, or an adopted table entry forbids writing or
// executing that is asked for); VMEM_ERR_NO_NX; VMEM_ERR_CACHE; VMEM_ERR_PAGE_SIZE;
// VMEM_ERR_MAPPED; VMEM_ERR_NO_MEMORY; VMEM_ERR_CORRUPT.
[[nodiscard]] enum vmem_status vmem_map(struct vmem *space, const struct vmem_mapping *mapping,
                                        struct vmem_flush *flush);

// Unmaps whatever is mapped in the range and releases it through `flush`; holes are skipped. Large
// leaves that stick out are split. Tables that become empty are freed, except the root and, since
// an upper half can be shared, those directly below it there. Accessed and dirty bits go with the
// leaves: a caller that needs them first takes away the right to write, flushes and harvests.
// Errors: those of the range, VMEM_ERR_NO_MEMORY (for tables of split leaves), VMEM_ERR_CORRUPT.
[[nodiscard]] enum vmem_status vmem_unmap(struct vmem *space, vaddr_t virt, uint64_t bytes,
                                          struct vmem_flush *flush);

// Changes rights, in place; all else stays. Every page of the range must be mapped. Large leaves
// that stick out are split, unless they have the rights already. Table entries as vmem_map. Errors:
// those of the range, VMEM_ERR_RIGHTS and VMEM_ERR_NO_NX as vmem_map, VMEM_ERR_NOT_MAPPED,
// VMEM_ERR_NO_MEMORY, VMEM_ERR_CORRUPT.
[[nodiscard]] enum vmem_status vmem_protect(struct vmem *space, vaddr_t virt, uint64_t bytes,
                                            unsigned rights, struct vmem_flush *flush);

// As vmem_protect, but changes the cache type. The caller writes back what the CPUs' caches hold of
// the memory (SDM 3A 12.12.4). Errors: those of the range, VMEM_ERR_CACHE, VMEM_ERR_NOT_MAPPED,
// VMEM_ERR_NO_MEMORY, VMEM_ERR_CORRUPT.
[[nodiscard]] enum vmem_status vmem_set_cache(struct vmem *space, vaddr_t virt, uint64_t bytes,
                                              enum vmem_cache cache, struct vmem_flush *flush);

// Splits every leaf that touches the range until those in the range are no larger than `page`.
// Translations and all bits stay as they are; holes are skipped.
// Errors: those of the range, VMEM_ERR_PAGE_SIZE, VMEM_ERR_NO_MEMORY, VMEM_ERR_CORRUPT.
[[nodiscard]] enum vmem_status vmem_split(struct vmem *space, vaddr_t virt, uint64_t bytes,
                                          enum vmem_page page, struct vmem_flush *flush);

// The inverse of vmem_split: a table inside the range becomes one leaf if its 512 entries are
// leaves that continue each other, with equal rights, cache type, global bit, software bits and
// key, and if the leaf is no larger than `largest`. The leaf is accessed or dirty if one of the 512
// was. From any layout this reaches the layout that vmem_map chooses, except where a table of
// somebody else stands. Executes `flush` itself, once for up to 32 tables: until then CPUs may mark
// what the old tables map. Allocates nothing. Errors: those of the range, VMEM_ERR_PAGE_SIZE,
// VMEM_ERR_CORRUPT.
[[nodiscard]] enum vmem_status vmem_merge(struct vmem *space, vaddr_t virt, uint64_t bytes,
                                          enum vmem_page largest, struct vmem_flush *flush);

// The marks that CPUs set in leaves.
enum {
    VMEM_ACCESSED = 1,
    VMEM_DIRTY = 2,
};

// Called for each maximal run of pages with equal marks, in rising order; not for pages without
// marks.
typedef void (*vmem_visit_marks)(void *argument, vaddr_t virt, uint64_t bytes, unsigned marks);

// Reads the marks of all leaves in the range and clears those in `clear`. Each leaf is read and
// cleared in one step, so that no mark is lost or seen twice. Holes are skipped. A large leaf that
// sticks out and has marks to clear is split; its parts inherit its marks. Errors: those of the
// range, VMEM_ERR_RIGHTS (unknown marks in `clear`), VMEM_ERR_NO_MEMORY, VMEM_ERR_CORRUPT.
[[nodiscard]] enum vmem_status vmem_harvest(struct vmem *space, vaddr_t virt, uint64_t bytes,
                                            unsigned clear, vmem_visit_marks visit, void *argument,
                                            struct vmem_flush *flush);

// What one address translates to.
struct vmem_translation {
    paddr_t phys;   // of the byte asked for
    uint64_t entry; // the leaf entry, as it stands
    enum vmem_page page;
    unsigned rights; // effective along the walk
};

// What else the leaf says: its cache type, whether it is global, its marks (VMEM_ACCESSED,
// VMEM_DIRTY).
enum vmem_cache vmem_translation_cache(const struct vmem_translation *translation);
bool vmem_translation_is_global(const struct vmem_translation *translation);
unsigned vmem_translation_marks(const struct vmem_translation *translation);

// Translates one address. Errors: VMEM_ERR_NONCANONICAL, VMEM_ERR_NOT_MAPPED, VMEM_ERR_CORRUPT;
// then *ret_translation is untouched.
[[nodiscard]] enum vmem_status vmem_translate(const struct vmem *space, vaddr_t virt,
                                              struct vmem_translation *ret_translation);

// Called once a run, in rising order; false ends the walk with VMEM_ERR_STOPPED.
typedef bool (*vmem_visit_run)(void *argument, const struct vmem_run *run);

// Visits all mapped runs within [virt, virt + bytes); runs are cut at the range's edges (a leaf
// that sticks out counts as one leaf). bytes == 0 with virt 0 means: the whole address space.
// A table that is reached in several places is visited in each, which can take very long: unknown
// tables are for the audit, which enters each table once. Errors: those of the range;
// VMEM_ERR_STOPPED; VMEM_ERR_CORRUPT, after the runs before it, at an entry that is malformed, that
// points to no table of the space, or that leads back to a table above it.
[[nodiscard]] enum vmem_status vmem_walk(const struct vmem *space, vaddr_t virt, uint64_t bytes,
                                         vmem_visit_run visit, void *argument);

// What the audit of the tables' own structure may find.
enum vmem_violation_kind {
    VMEM_BAD_RESERVED_BITS, // a bit is set that must be zero
    VMEM_BAD_TABLE_ADDRESS, // the claim said: no table of this space
    VMEM_BAD_TABLE_TWICE,   // the claim said: already reached
    VMEM_BAD_WRITE_EXECUTE, // a leaf is writable and executable, effectively
};

struct vmem_violation {
    enum vmem_violation_kind kind;
    unsigned level; // of the table with the entry, root = space->levels; 0: the root pointer
    vaddr_t virt;   // lowest address that the entry translates
    uint64_t entry; // as it stands; at level 0 the root's address
};

enum vmem_claim {
    VMEM_CLAIM_OK,
    VMEM_CLAIM_FOREIGN, // not a frame that may hold a table of this space
    VMEM_CLAIM_TWICE,   // claimed before in this audit
};

struct vmem_auditor {
    // Asked once for the root and once for every entry that points to a table. An answer other than
    // VMEM_CLAIM_OK is a violation, and the audit does not enter the table. It must answer
    // VMEM_CLAIM_OK once for a frame at most: that bounds the time of the audit.
    enum vmem_claim (*claim)(void *context, paddr_t table);
    void (*report)(void *context, const struct vmem_violation *violation);
    void *context;
};

struct vmem_audit_result {
    uint64_t violations;
    uint64_t tables; // entered, root included
};

// Walks every table as the CPU would and checks what is true of any sound tables: reserved bits,
// table addresses, no table reached twice, no leaf writable and executable.
struct vmem_audit_result vmem_audit(const struct vmem *space, const struct vmem_auditor *auditor);

// What a violation is, in a few words; static text.
const char *vmem_violation_text(enum vmem_violation_kind kind);

// Prints every run of the space, a line each: first and last address, first physical address, size,
// rights, cache type, global, leaves. Errors: VMEM_ERR_CORRUPT as vmem_walk, printed too.
[[nodiscard]] enum vmem_status vmem_dump(const struct vmem *space, const struct sink *sink);

// Prints the walk of one address, an entry a line from the root down, and where and why it ends.
// For fault reports: follows nothing whose table_pointer is null, and runs wherever its code has
// been copied to (it uses no absolute address).
void vmem_dump_walk(const struct vmem *space, vaddr_t virt, const struct sink *sink);
