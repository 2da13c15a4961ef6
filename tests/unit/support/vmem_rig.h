// What the vmem tests share: an address space over fake memory, the audit of it, and raw access to
// its entries by the manual's numbers, independent of the library's header of entry bits.
#pragma once

#include "tests/unit/support/test.h"
#include "tests/unit/support/vmem_memory.h"

#define RIG_FRAMES 2200
#define RIG_RUNS   64

struct rig {
    struct vmem_memory memory;
    struct vmem space;
    struct vmem_tlb tlb;                // of a CPU that uses the space, and those after it
    struct vmem_run released[RIG_RUNS]; // by the last change
    unsigned released_count;
    bool too_early; // released while a CPU could still reach it
};

#define RIG_CPU       ((struct vmem_cpu){.paddr_bits = 46, .has_nx = true, .has_1g = true})
#define RIG_CPU_NO_1G ((struct vmem_cpu){.paddr_bits = 46, .has_nx = true})

// Makes an empty space; `rig` stays where it is, since the space points into it.
void rig_make(struct rig *rig, struct vmem_cpu cpu, unsigned levels);

// The same tables on another CPU, or seen in another way.
void rig_adopt(struct rig *rig, struct vmem_cpu cpu);

// Checks that every frame in use is a table of the space, then frees all.
void rig_destroy(struct rig *rig);

// A kernel mapping RW, NX, WB, not global, largest leaves.
struct vmem_mapping rig_mapping(uint64_t virt, uint64_t phys, uint64_t bytes);

// The entry of `level` on the way to `virt`; fails the test if a table above it is absent.
uint64_t *rig_slot(struct rig *rig, uint64_t virt, unsigned level);

// Runs the audit over the rig's memory, keeping the first few violations.
struct rig_audit {
    struct vmem_audit_result result;
    struct vmem_violation first[8];
};
struct rig_audit rig_audit(struct rig *rig);

// Asserts that the address translates to `phys` through a leaf of this size with these rights.
void rig_expect(struct rig *rig, uint64_t virt, uint64_t phys, enum vmem_page page,
                unsigned rights);

// Asserts that nothing is mapped at the address.
void rig_expect_absent(struct rig *rig, uint64_t virt);

// Begins a record for changes around a range, which all CPUs use just before; they do not mark what
// they use.
void rig_begin(struct rig *rig, struct vmem_flush *flush, uint64_t virt, uint64_t bytes);

// Finishes it, and asserts that no CPU remembers what is not so any more.
void rig_finish(struct rig *rig, struct vmem_flush *flush);

// The changes of vmem.h on the rig's space, each with a record of its own.
enum vmem_status rig_map(struct rig *rig, const struct vmem_mapping *mapping);
enum vmem_status rig_unmap(struct rig *rig, vaddr_t virt, uint64_t bytes);
enum vmem_status rig_protect(struct rig *rig, vaddr_t virt, uint64_t bytes, unsigned rights);
enum vmem_status rig_set_cache(struct rig *rig, vaddr_t virt, uint64_t bytes,
                               enum vmem_cache cache);
enum vmem_status rig_split(struct rig *rig, vaddr_t virt, uint64_t bytes, enum vmem_page page);
enum vmem_status rig_merge(struct rig *rig, vaddr_t virt, uint64_t bytes, enum vmem_page largest);
enum vmem_status rig_harvest(struct rig *rig, vaddr_t virt, uint64_t bytes, unsigned clear,
                             vmem_visit_marks visit, void *argument);

// An operation that a test runs many times over.
typedef enum vmem_status (*rig_operation)(struct rig *rig, const void *argument);

// Runs the operation with 0, 1, 2, ... allocations allowed until it succeeds, and asserts that each
// failure left every bit as it was. Returns how many allocations success took.
int64_t rig_starve(struct rig *rig, rig_operation operation, const void *argument);

// Runs the operation once and asserts that it refuses with `want` and changes nothing.
void rig_refuse(struct rig *rig, rig_operation operation, const void *argument,
                enum vmem_status want);

// A range for the operations below.
struct rig_range {
    uint64_t virt;
    uint64_t bytes;
    unsigned rights; // or cache type, page size, marks to clear
};
enum vmem_status rig_do_map(struct rig *rig, const void *mapping);
enum vmem_status rig_do_unmap(struct rig *rig, const void *range);
enum vmem_status rig_do_protect(struct rig *rig, const void *range);
enum vmem_status rig_do_set_cache(struct rig *rig, const void *range);
enum vmem_status rig_do_split(struct rig *rig, const void *range);
enum vmem_status rig_do_merge(struct rig *rig, const void *range);
enum vmem_status rig_do_harvest(struct rig *rig, const void *range);

#define RIG_R  VMEM_READ
#define RIG_RW (VMEM_READ | VMEM_WRITE)
#define RIG_RX (VMEM_READ | VMEM_EXECUTE)
