#include "memory.h"
#include "boot.h"
#include "requests.h"
#include "tap.h"

enum { CLAIMS_MAX = 16384, TEXT_MAX = 4096 };

static struct {
    uint64_t start, end;
    const char *what;
} claims[CLAIMS_MAX];
static uint64_t claim_count;

uint64_t memory_count(void) {
    return ((const struct limine_list_response *)response_of(LIMINE_MEMMAP))->count;
}

const struct limine_memory_entry *memory_entry(uint64_t index) {
    const struct limine_list_response *response = response_of(LIMINE_MEMMAP);
    return ((const struct limine_memory_entry *const *)response->list)[index];
}

struct memory_at memory_look(uint64_t physical) {
    struct memory_at at = {0, UINT64_MAX};
    for (uint64_t i = 0; i < memory_count(); i++) {
        const struct limine_memory_entry *entry = memory_entry(i);
        uint64_t end = entry->base + entry->bytes;
        if (physical < entry->base) {
            at.end = at.end < entry->base ? at.end : entry->base;
        } else if (physical < end) {
            at.end = at.end < end ? at.end : end;
            at.types |= entry->type < 64 ? UINT64_C(1) << entry->type : 0;
        }
    }
    return at;
}

bool memory_all_in(uint64_t physical, uint64_t bytes, uint64_t types) {
    uint64_t end = physical + bytes;
    if (end < physical)
        return false;
    while (physical < end) {
        struct memory_at at = memory_look(physical);
        if (!(at.types & types))
            return false;
        physical = at.end;
    }
    return true;
}

bool memory_none_in(uint64_t physical, uint64_t bytes, uint64_t types) {
    uint64_t end = physical + bytes;
    while (physical < end) {
        struct memory_at at = memory_look(physical);
        if (at.types & types)
            return false;
        physical = at.end;
    }
    return true;
}

uint64_t memory_mapped_types(void) {
    uint64_t four =
        TYPE(USABLE) | TYPE(LOADER_RECLAIMABLE) | TYPE(EXECUTABLE_AND_MODULES) | TYPE(FRAMEBUFFER);
    switch (boot.revision) {
    case 0:
        return TYPES_ALL;
    case 1:
    case 2:
        return TYPES_ALL & ~(TYPE(RESERVED) | TYPE(BAD));
    case 3:
        return four;
    default:
        return four | TYPE(ACPI_RECLAIMABLE) | TYPE(ACPI_NVS) | TYPE(RESERVED_MAPPED);
    }
}

bool is_given(uint64_t address, uint64_t bytes) {
    return address >= boot.hhdm && memory_all_in(address - boot.hhdm, bytes, TYPES_OF_LOADER);
}

bool is_given_text(uint64_t address, uint64_t types) {
    for (uint64_t i = 0; i < TEXT_MAX; i++) {
        bool is_new_page = i == 0 || (address + i) % PAGE_BYTES == 0;
        if (is_new_page &&
            (address + i < boot.hhdm || !memory_all_in(address + i - boot.hhdm, 1, types)))
            return false;
        char byte = ((const char *)address)[i];
        if (byte == 0)
            return true;
        if (byte & 0x80)
            return false;
    }
    return false;
}

void claim(uint64_t physical, uint64_t bytes, const char *what) {
    if (claim_count == CLAIMS_MAX)
        tap_bail_out("more than %lu things in memory: enlarge CLAIMS_MAX", (uint64_t)CLAIMS_MAX);
    claims[claim_count].start = physical;
    claims[claim_count].end = physical + bytes;
    claims[claim_count++].what = what;
}

// By address: a heap, since page tables are thousands.
static void swap_claims(uint64_t i, uint64_t j) {
    __auto_type claim_i = claims[i];
    claims[i] = claims[j];
    claims[j] = claim_i;
}

static void sink_claim(uint64_t i, uint64_t count) {
    for (;;) {
        uint64_t child = 2 * i + 1;
        if (child >= count)
            return;
        if (child + 1 < count && claims[child + 1].start > claims[child].start)
            child++;
        if (claims[i].start >= claims[child].start)
            return;
        swap_claims(i, child);
        i = child;
    }
}

void check_claims(void) {
    tap_check("no two of what the loader put into memory lie over each other");
    for (uint64_t i = claim_count / 2; i-- > 0;)
        sink_claim(i, claim_count);
    for (uint64_t count = claim_count; count-- > 1;) {
        swap_claims(0, count);
        sink_claim(0, count);
    }
    uint64_t last = 0;
    for (uint64_t i = 1; i < claim_count; i++) {
        // One page table may serve two ranges.
        if (claims[i].start == claims[last].start && claims[i].what == claims[last].what)
            continue;
        EXPECT(claims[i].start >= claims[last].end, "%s [%lx, %lx) and %s [%lx, %lx)",
               claims[last].what, claims[last].start, claims[last].end, claims[i].what,
               claims[i].start, claims[i].end);
        if (claims[i].end > claims[last].end)
            last = i;
    }
}
