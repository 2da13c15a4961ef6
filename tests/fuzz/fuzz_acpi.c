// ACPI tables of anything: the visit of all of them ends, reads nothing outside of what it asked
// for, and visits only what can be read.
#include "common/acpi/acpi_tables.h"

#include "tests/fuzz/patch.h"

#include <stdlib.h>

// The tables to be patched.
#include "tests/unit/support/acpi_fake.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum {
    FADT_BYTES = 148,
    FACS = 0x500,
    DSDT = 0x600,
    WITH_SUMS = 1,
    // Every address of both lists is a FADT that leads to four tables; and the lists themselves.
    VISITS_MAX = 5 * (ACPI_BYTES / 8 + ACPI_BYTES / 4) + 3,
};

static void require(bool condition) {
    if (!condition)
        abort();
}

struct visits {
    const struct acpi_fake *tables;
    uint32_t count;
};

static void visit(void *context, uint64_t phys, uint32_t bytes) {
    struct visits *visits = context;
    require(phys >= ACPI_BASE && bytes >= 20 && bytes <= ACPI_BYTES);
    require(phys - ACPI_BASE <= ACPI_BYTES - bytes);
    if (visits->count != 0) {
        uint32_t length;
        memcpy(&length, visits->tables->bytes + (phys - ACPI_BASE) + ACPI_TABLE_LENGTH, 4);
        require(bytes >= ACPI_HEADER_BYTES && bytes == length);
    } else {
        require(phys == ACPI_BASE + ACPI_RSDP);
    }
    require(++visits->count <= VISITS_MAX);
}

static void fill(struct acpi_fake *tables) {
    acpi_fake_fill(tables);
    put_table(tables, FACS, "FACS", 64);
    put_table(tables, DSDT, "DSDT", 100);
    put32(tables->bytes + ACPI_FADT + 36, (uint32_t)ACPI_BASE + FACS);
    put32(tables->bytes + ACPI_FADT + 40, (uint32_t)ACPI_BASE + DSDT);
    put64(tables->bytes + ACPI_FADT + 132, ACPI_BASE + FACS);
    put64(tables->bytes + ACPI_FADT + 140, ACPI_BASE + DSDT);
    acpi_fake_set_length(tables, ACPI_FADT, FADT_BYTES);
}

// The first byte says whether the sums are made right after the patches.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0)
        return 0;
    struct acpi_fake *tables = malloc(sizeof(*tables));
    fill(tables);
    patch_apply(data + 1, bytes - 1, tables->bytes, ACPI_BYTES);
    if (data[0] & WITH_SUMS) {
        acpi_fake_sum_rsdp(tables);
        acpi_fake_sum(tables, ACPI_RSDT);
        acpi_fake_sum(tables, ACPI_XSDT);
    }
    struct visits visits = {tables, 0};
    const struct acpi_visitor visitor = {visit, &visits};
    struct acpi_memory memory = acpi_fake_memory(tables);
    enum acpi_status status = acpi_visit_tables(&memory, ACPI_BASE + ACPI_RSDP, &visitor);
    require((status == ACPI_OK) == (visits.count != 0));
    acpi_fake_forget(tables);
    free(tables);
    return 0;
}
