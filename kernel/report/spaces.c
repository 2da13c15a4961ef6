#include "kernel/report/spaces.h"

#include "common/base/arith.h"
#include "kernel/base/text.h"
#include "kernel/base/units.h"
#include "kernel/console/console.h"
#include "kernel/process/survey.h"

enum { CPUS_SHOWN = 3 };

// The CPUs that run in a space, or how many if the line has no room for all.
static void print_cpus(uint64_t cpus) {
    unsigned count = 0;
    for (uint64_t rest = cpus; rest != 0; rest &= rest - 1)
        count++;
    if (count > CPUS_SHOWN) {
        console_print("%u CPUs\n", count);
        return;
    }
    for (unsigned i = 0; i < count; i++, cpus &= cpus - 1)
        console_print("%s%u", i == 0 ? "" : ",", (unsigned)__builtin_ctzll(cpus));
    console_print("%s\n", count == 0 ? "none" : "");
}

// Pages that came since the harvest are counted as cold, until the next.
static void print_space(const struct user_space_facts *facts, uint64_t accessed_bytes) {
    char size[UNITS_BYTES_MAX], shared[UNITS_BYTES_MAX], cold[UNITS_BYTES_MAX];
    const struct user_memory *memory = &facts->memory;
    uint64_t cold_bytes = memory->bytes - min_u64(memory->bytes, accessed_bytes);
    console_print("%5lu %6lu %10s %7lu %7lu %10s %10s %7lu  ", facts->id, facts->areas,
                  units_bytes(size, facts->area_bytes), memory->pages[VMEM_4K],
                  memory->pages[VMEM_2M], units_bytes(shared, memory->shared_bytes),
                  units_bytes(cold, cold_bytes), facts->tables);
    print_cpus(facts->cpus);
}

static void show_all(void) {
    struct user_space_facts facts;
    if (!user_space_next(0, &facts)) {
        console_print("There are no address spaces of processes.\n");
        return;
    }
    console_heading("space  areas       size   4 KiB   2 MiB     shared       cold  tables  CPUs");
    for (uint64_t id = 0; user_space_next(id, &facts); id = facts.id) {
        uint64_t accessed;
        if (user_space_harvest(facts.id, &accessed))
            print_space(&facts, accessed);
    }
}

static const char *kind_text(enum user_area_kind kind) {
    switch (kind) {
    case USER_AREA_ANONYMOUS:
        return "anonymous";
    case USER_AREA_GUARD:
        return "guard";
    case USER_AREA_SHARED:
        return "shared";
    }
    return "unknown";
}

static void print_area(const struct user_area_facts *facts) {
    const struct area *area = &facts->area;
    char shared[UNITS_BYTES_MAX];
    console_print("[0x%012lx, 0x%012lx) %c%c%c %-9s %7lu %7lu %10s %5u\n", area->start, area->end,
                  area->rights & VMEM_READ ? 'r' : '-', area->rights & VMEM_WRITE ? 'w' : '-',
                  area->rights & VMEM_EXECUTE ? 'x' : '-', kind_text(area->kind),
                  facts->memory.pages[VMEM_4K], facts->memory.pages[VMEM_2M],
                  units_bytes(shared, facts->memory.shared_bytes), area->idle_harvests);
}

static void show_areas(uint64_t id) {
    uint64_t accessed;
    struct user_area_facts facts;
    if (!user_space_harvest(id, &accessed)) {
        console_print("spaces: there is no space %lu\n", id);
        return;
    }
    console_heading("area                                          4 KiB   2 MiB     shared  idle");
    for (uint64_t at = 0; user_space_next_area(id, at, &facts); at = facts.area.end)
        print_area(&facts);
}

void show_spaces(const char *argument) {
    uint64_t id;
    if (*argument == '\0')
        show_all();
    else if (text_parse_decimal(argument, &id))
        show_areas(id);
    else
        console_print("spaces: \"%s\" is not a number\n", argument);
}
