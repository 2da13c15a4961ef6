#include "tables.h"
#include "boot.h"
#include "paging.h"
#include "requests.h"

#include <stdbool.h>
#include <stddef.h>

enum { TABLES_MAX = 64, RSDP_BYTES = 20, RSDP_REVISION = 15, RSDP_RSDT = 16, RSDP_LENGTH = 20 };
enum { RSDP_XSDT = 24, FADT_FACS = 36, FADT_DSDT = 40, FADT_X_FACS = 132, FADT_X_DSDT = 140 };
enum { MADT_ENTRIES = 44, FACS_LENGTH = 4 };

// What has been mapped.
static struct {
    uint64_t physical;
    const struct acpi_header *table;
} mapped[TABLES_MAX];
static unsigned mapped_count;

uint32_t read_32(const void *at) {
    const uint8_t *b = at;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t read_64(const void *at) {
    return read_32(at) | (uint64_t)read_32((const uint8_t *)at + 4) << 32;
}

uint64_t physical_address(uint64_t told) {
    return told >= boot.hhdm ? told - boot.hhdm : told;
}

static const struct acpi_header *map_table(uint64_t physical) {
    for (unsigned i = 0; i < mapped_count; i++) {
        if (mapped[i].physical == physical)
            return mapped[i].table;
    }
    const struct acpi_header *header = window_memory(physical, sizeof(*header));
    const struct acpi_header *table = window_memory(physical, header->bytes);
    if (mapped_count < TABLES_MAX) {
        mapped[mapped_count].physical = physical;
        mapped[mapped_count++].table = table;
    }
    return table;
}

static uint64_t rsdp_physical(void) {
    const struct limine_value_response *response = response_of(LIMINE_RSDP);
    return response ? physical_address(response->value) : 0;
}

static const uint8_t *find_rsdp(void) {
    static const uint8_t *rsdp;
    if (!rsdp && rsdp_physical())
        rsdp = window_memory(rsdp_physical(), 64);
    return rsdp;
}

// The index-th entry of XSDT, or RSDT without one; 0 behind the last.
static uint64_t root_entry(unsigned index) {
    const uint8_t *rsdp = find_rsdp();
    if (!rsdp)
        return 0;
    bool is_wide = rsdp[RSDP_REVISION] >= 2 && read_64(rsdp + RSDP_XSDT);
    const struct acpi_header *root =
        map_table(is_wide ? read_64(rsdp + RSDP_XSDT) : read_32(rsdp + RSDP_RSDT));
    uint64_t size = is_wide ? 8 : 4;
    if (sizeof(*root) + (index + 1) * size > root->bytes)
        return 0;
    const uint8_t *at = (const uint8_t *)(root + 1) + index * size;
    return is_wide ? read_64(at) : read_32(at);
}

const struct acpi_header *acpi_find(const char *signature, unsigned index) {
    for (unsigned i = 0; root_entry(i); i++) {
        const struct acpi_header *table = map_table(root_entry(i));
        if (bytes_equal(table->signature, signature, sizeof(table->signature)) && index-- == 0)
            return table;
    }
    return NULL;
}

typedef void visit_function(uint64_t physical, uint64_t bytes, const char *name);

static void visit_table(visit_function *visit, uint64_t physical, const char *name) {
    if (physical)
        visit(physical, map_table(physical)->bytes, name);
}

// FACS has its length where others have it, too.
static void visit_fadt(visit_function *visit, const struct acpi_header *fadt) {
    const uint8_t *at = (const uint8_t *)fadt;
    visit_table(visit, read_32(at + FADT_DSDT), "DSDT");
    visit_table(visit, read_32(at + FADT_FACS), "FACS");
    if (fadt->bytes < FADT_X_DSDT + 8)
        return;
    visit_table(visit, read_64(at + FADT_X_DSDT), "X_DSDT");
    visit_table(visit, read_64(at + FADT_X_FACS), "X_FACS");
}

void acpi_visit(visit_function *visit) {
    const uint8_t *rsdp = find_rsdp();
    if (!rsdp)
        return;
    bool is_wide = rsdp[RSDP_REVISION] >= 2;
    visit(rsdp_physical(), is_wide ? read_32(rsdp + RSDP_LENGTH) : RSDP_BYTES, "RSDP");
    visit_table(visit, read_32(rsdp + RSDP_RSDT), "RSDT");
    if (is_wide)
        visit_table(visit, read_64(rsdp + RSDP_XSDT), "XSDT");
    for (unsigned i = 0; root_entry(i); i++)
        visit_table(visit, root_entry(i), "a table");
    const struct acpi_header *fadt = acpi_find("FACP", 0);
    if (fadt)
        visit_fadt(visit, fadt);
}

const uint8_t *madt_next(const uint8_t *last, uint8_t type) {
    const struct acpi_header *madt = acpi_find("APIC", 0);
    if (!madt)
        return NULL;
    const uint8_t *at = last ? last + last[1] : (const uint8_t *)madt + MADT_ENTRIES;
    const uint8_t *end = (const uint8_t *)madt + madt->bytes;
    while (at + 2 <= end && at[1] >= 2 && at + at[1] <= end) {
        if (at[0] == type)
            return at;
        at += at[1];
    }
    return NULL;
}
