// ACPI tables of anything: the search for the MADT's CPUs, for the controllers of any kind, or for
// another table, ends, reads nothing outside of what it asked for, and what it finds fits.
#include "common/acpi/madt.h"
#include "loader/controllers.h"

#include "tests/fuzz/patch.h"

#include <stdlib.h>

// The tables to be patched.
#include "tests/unit/support/acpi_fake.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { CAPACITY = 8, BOOT_ID = 0, FADT_BYTES = 116, WITH_SUMS = 1, RAW_MADT = 2, OTHER_SHIFT = 2 };

static void require(bool condition) {
    if (!condition)
        abort();
}

static bool adds_up(const uint8_t *bytes, uint32_t count) {
    uint8_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

static void check_found(const struct madt_cpus *cpus) {
    uint32_t own = 0;
    require(cpus->kept <= cpus->capacity && cpus->found >= cpus->kept);
    require(cpus->kept == cpus->capacity || cpus->found == cpus->kept);
    for (uint32_t i = 0; i < cpus->kept; i++) {
        own += cpus->cpus[i].apic_id == BOOT_ID;
        for (uint32_t j = 0; j < i; j++)
            require(cpus->cpus[i].apic_id != cpus->cpus[j].apic_id);
    }
    require(own == (cpus->capacity == 0 ? 0 : 1));
}

static void find_cpus(struct acpi_fake *tables, uint32_t capacity) {
    struct madt_cpu *list = malloc(capacity * sizeof(*list));
    struct madt_cpus cpus = {.cpus = list, .capacity = capacity};
    struct acpi_memory memory = acpi_fake_memory(tables);
    enum acpi_status status = madt_find_cpus(&memory, ACPI_BASE + ACPI_RSDP, BOOT_ID, &cpus);
    require(strcmp(acpi_status_text(status), "unknown") != 0);
    if (status == ACPI_OK)
        check_found(&cpus);
    else
        require(cpus.kept == 0 && cpus.found == 0);
    acpi_fake_forget(tables);
    free(list);
}

static void find_fadt(struct acpi_fake *tables) {
    struct acpi_memory memory = acpi_fake_memory(tables);
    struct acpi_table fadt = {NULL, 0};
    if (acpi_find_table(&memory, ACPI_BASE + ACPI_RSDP, "FACP", FADT_BYTES, &fadt) == ACPI_OK) {
        require(fadt.length >= FADT_BYTES && memcmp(fadt.bytes, "FACP", 4) == 0);
        require(adds_up(fadt.bytes, fadt.length)); // and all of it can be read
    } else {
        require(fadt.bytes == NULL);
    }
    acpi_fake_forget(tables);
}

static void find_controllers(struct acpi_fake *tables) {
    struct controllers *found = malloc(sizeof(*found));
    struct acpi_memory memory = acpi_fake_memory(tables);
    found->count = 0;
    for (enum controller_kind kind = 0; kind < CONTROLLER_KINDS; kind++) {
        enum acpi_status status = controllers_add(found, kind, &memory, ACPI_BASE + ACPI_RSDP);
        require(strcmp(acpi_status_text(status), "unknown") != 0);
        require(found->count <= CONTROLLERS_MAX);
    }
    for (uint32_t i = 0; i < found->count; i++) {
        for (uint32_t j = 0; j < i; j++)
            require(found->list[i].phys != found->list[j].phys ||
                    found->list[i].kind != found->list[j].kind);
    }
    acpi_fake_forget(tables);
    free(found);
}

static void make_sums(struct acpi_fake *tables) {
    acpi_fake_sum_rsdp(tables);
    acpi_fake_sum(tables, ACPI_RSDT);
    acpi_fake_sum(tables, ACPI_XSDT);
    acpi_fake_sum(tables, ACPI_FADT);
    acpi_fake_sum(tables, ACPI_MADT);
}

// The first byte says whether what follows are patches of tables that are in order, or the entries
// of the MADT; whether the sums are made right afterwards; and whether the MADT is to be, instead,
// the table of another kind of controllers.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0)
        return 0;
    struct acpi_fake *tables = malloc(sizeof(*tables));
    acpi_fake_fill(tables);
    size_t room = ACPI_BYTES - ACPI_MADT - ACPI_MADT_ENTRIES;
    size_t count = bytes - 1;
    if (data[0] & RAW_MADT) {
        acpi_fake_add(tables, data + 1, (uint32_t)(count < room ? count : room));
    } else {
        acpi_fake_add_apic(tables, BOOT_ID, 1);
        acpi_fake_add_apic(tables, 1, 1);
        acpi_fake_add_x2apic(tables, 300, 1);
        patch_apply(data + 1, count, tables->bytes, ACPI_BYTES);
    }
    const char *signature = controllers_signature((data[0] >> OTHER_SHIFT) % CONTROLLER_KINDS);
    if (strcmp(signature, "APIC") != 0)
        memcpy(tables->bytes + ACPI_MADT, signature, 4);
    if (data[0] & WITH_SUMS)
        make_sums(tables);
    for (uint32_t capacity = 0; capacity <= CAPACITY; capacity += CAPACITY / 2)
        find_cpus(tables, capacity);
    find_fadt(tables);
    find_controllers(tables);
    free(tables);
    return 0;
}
