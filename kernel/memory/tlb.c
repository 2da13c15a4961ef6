#include "kernel/memory/tlb.h"

#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "kernel/base/this_cpu.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    LEAF_FEATURES = 1,
    LEAF_STRUCTURED = 7,
    PCIDS = 8, // in use on each CPU; the first is the kernel's own space's, for good
};

// What a CPU may remember under each identifier: nothing, or the space `id` after `changes`.
static struct {
    bool are_on;
    unsigned loaded;
    unsigned next; // to be given to another space
    struct {
        bool is_known;
        uint64_t id, changes;
    } pcid[PCIDS];
} cpus[CPUS_MAX];

struct tlb_space tlb_space_make(paddr_t root) {
    static uint64_t last_id; // 0 is the kernel's own space
    return (struct tlb_space){
        .root = root,
        .id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED),
    };
}

// Asked once: CPUs are alike, and CPUID is slow.
static struct { bool is_known, has_pcid, has_invpcid; } features;

static void find_features(void) {
    if (features.is_known)
        return;
    features.has_pcid = (cpu_cpuid(LEAF_FEATURES, 0).ecx & CPUID_1_ECX_PCID) != 0;
    features.has_invpcid = cpu_cpuid(0, 0).eax >= LEAF_STRUCTURED &&
                           (cpu_cpuid(LEAF_STRUCTURED, 0).ebx & CPUID_7_EBX_INVPCID) != 0;
    features.is_known = true;
}

// ---- Forgetting

// A change of CR4.PGE drops all that there is, which a load of CR3 does not: global translations,
// and those of other identifiers (SDM 3A 4.10.4.1).
void tlb_forget_all(void) {
    find_features();
    if (features.has_invpcid) {
        cpu_invpcid_all();
        return;
    }
    uint64_t cr4 = cpu_read_cr4();
    cpu_write_cr4(cr4 ^ CR4_PGE);
    cpu_write_cr4(cr4);
}

static void forget_range(const struct vmem_flush_range *range) {
    uint64_t step = vmem_page_bytes(range->page);
    for (uint64_t offset = 0; offset < range->bytes; offset += step)
        cpu_invlpg(range->virt.value + offset);
}

// The kernel half is in all spaces, and INVLPG drops what is not global, and paging-structure
// caches, of the identifier alone that is loaded: the others forget all when they are next loaded.
static void distrust_others(void) {
    unsigned cpu = this_cpu();
    for (unsigned i = 0; i < PCIDS; i++) {
        if (i != cpus[cpu].loaded)
            cpus[cpu].pcid[i].is_known = false;
    }
}

void tlb_forget(const struct tlb_space *space, const struct vmem_flush *flush) {
    if (space == NULL)
        distrust_others();
    if (flush->full && flush->global) {
        tlb_forget_all();
        return;
    }
    if (flush->full) {
        cpu_write_cr3(cpu_read_cr3());
        return;
    }
    for (unsigned i = 0; i < flush->range_count; i++)
        forget_range(&flush->range[i]);
    if (flush->range_count == 0 && flush->structures)
        cpu_invlpg(0); // any address: all paging-structure caches go with it (SDM 3A 4.10.4.1)
}

// ---- Loading

// With identifier 0 loaded, as it is until they are on.
static bool turn_on(unsigned cpu) {
    find_features();
    if (!cpus[cpu].are_on && features.has_pcid) {
        cpu_write_cr4(cpu_read_cr4() | CR4_PCIDE);
        cpus[cpu].are_on = true;
        cpus[cpu].pcid[0].is_known = true;
    }
    return cpus[cpu].are_on;
}

static unsigned find_pcid(unsigned cpu, uint64_t id) {
    if (id == 0)
        return 0;
    for (unsigned i = 1; i < PCIDS; i++) {
        if (cpus[cpu].pcid[i].id == id)
            return i;
    }
    unsigned oldest = 1 + cpus[cpu].next++ % (PCIDS - 1);
    cpus[cpu].pcid[oldest].id = id;
    cpus[cpu].pcid[oldest].is_known = false;
    return oldest;
}

void tlb_load(struct tlb_space *space, paddr_t kernel_root) {
    unsigned cpu = this_cpu();
    uint64_t root = space == NULL ? kernel_root.value : space->root.value;
    if (!turn_on(cpu)) {
        cpu_write_cr3(root);
        return;
    }
    unsigned i = find_pcid(cpu, space == NULL ? 0 : space->id);
    uint64_t changes = space == NULL ? 0 : __atomic_load_n(&space->changes, __ATOMIC_SEQ_CST);
    bool may_stay = cpus[cpu].pcid[i].is_known && cpus[cpu].pcid[i].changes == changes;
    cpus[cpu].pcid[i].is_known = true;
    cpus[cpu].pcid[i].changes = changes;
    cpus[cpu].loaded = i;
    cpu_write_cr3(root | i | (may_stay ? CR3_NO_FLUSH : 0));
}
