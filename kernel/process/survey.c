// A harvest rests on the accessed bits that CPUs set in leaves (SDM 3A 4.8): it reads and clears
// them, and flushes, so that the next access sets them again.
#include "kernel/process/survey.h"

#include "kernel/base/panic.h"
#include "kernel/process/space_state.h"

#include <stddef.h>

// ---- What is mapped

static void add_run(struct user_memory *memory, const struct vmem_run *run) {
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        memory->pages[page] += run->leaves[page];
    memory->bytes += run->bytes;
    for (uint64_t done = 0; done < run->bytes;) {
        bool is_alone;
        uint64_t alike = counted_alike(paddr_add(run->phys, done), run->bytes - done, &is_alone);
        memory->shared_bytes += is_alone ? 0 : alike;
        done += alike;
    }
}

static struct user_memory memory_of(const struct user_space *space, const struct area *area) {
    struct user_memory memory = {.bytes = 0};
    struct vmem_run run;
    for (uint64_t at = area->start; space_find_run(space, at, area->end, &run);
         at = run.virt.value + run.bytes)
        add_run(&memory, &run);
    return memory;
}

static void add_memory(struct user_memory *sum, const struct user_memory *memory) {
    for (unsigned page = 0; page < VMEM_PAGE_SIZES; page++)
        sum->pages[page] += memory->pages[page];
    sum->bytes += memory->bytes;
    sum->shared_bytes += memory->shared_bytes;
}

static struct user_space_facts facts_of(const struct user_space *space) {
    struct user_space_facts facts = {
        .id = space->tlb.id,
        .areas = space->areas.count,
        .tables = space->table_count,
        .cpus = space->tlb.cpus,
    };
    for (uint32_t i = 0; i < space->areas.count; i++) {
        const struct area *area = &space->areas.list[i];
        struct user_memory memory = memory_of(space, area);
        facts.area_bytes += area->kind == USER_AREA_GUARD ? 0 : area->end - area->start;
        add_memory(&facts.memory, &memory);
    }
    return facts;
}

bool user_space_next(uint64_t id, struct user_space_facts *ret_facts) {
    struct vmem_flush flush;
    struct user_space *space = space_change_begin_from(id + 1, &flush);
    if (space == NULL)
        return false;
    *ret_facts = facts_of(space);
    space_change_end(space, &flush);
    return true;
}

// Begins a change of the space with this number; null, with no change begun, if there is none.
static struct user_space *begin(uint64_t id, struct vmem_flush *flush) {
    struct user_space *space = space_change_begin_from(id, flush);
    if (space == NULL || space->tlb.id == id)
        return space;
    space_change_end(space, flush);
    return NULL;
}

bool user_space_next_area(uint64_t id, uint64_t address, struct user_area_facts *ret_facts) {
    struct vmem_flush flush;
    struct user_space *space = begin(id, &flush);
    if (space == NULL)
        return false;
    uint32_t index = areas_from(&space->areas, address);
    bool is_there = index < space->areas.count;
    if (is_there) {
        const struct area *area = &space->areas.list[index];
        *ret_facts = (struct user_area_facts){*area, memory_of(space, area)};
    }
    space_change_end(space, &flush);
    return is_there;
}

// ---- Harvests

static void add_accessed(void *argument, vaddr_t virt, uint64_t bytes, unsigned marks) {
    (void)virt;
    *(uint64_t *)argument += marks & VMEM_ACCESSED ? bytes : 0;
}

// No leaf sticks out of its area, so that none is split.
static uint64_t harvest_area(struct user_space *space, struct area *area,
                             struct vmem_flush *flush) {
    uint64_t accessed = 0;
    enum vmem_status status =
        vmem_harvest(&space->tables, vaddr(area->start), area->end - area->start, VMEM_ACCESSED,
                     add_accessed, &accessed, flush);
    if (status != VMEM_OK)
        panic("area 0x%lx cannot be harvested: %s", area->start, vmem_status_text(status));
    area->idle_harvests = accessed == 0 ? area->idle_harvests + 1 : 0;
    return accessed;
}

bool user_space_harvest(uint64_t id, uint64_t *ret_accessed_bytes) {
    struct vmem_flush flush;
    struct user_space *space = begin(id, &flush);
    if (space == NULL)
        return false;
    uint64_t accessed = 0;
    for (uint32_t i = 0; i < space->areas.count; i++) {
        struct area *area = &space->areas.list[i];
        accessed += harvest_area(space, area, &flush);
        space_merge_parts(space, area, area->start, area->end, &flush);
    }
    space_change_end(space, &flush);
    *ret_accessed_bytes = accessed;
    return true;
}
