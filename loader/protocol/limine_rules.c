// See limine_rules.h.
#include "loader/protocol/limine_rules.h"

#define KIND(name)   (UINT32_C(1) << SLIPWAY_MEM_##name)
#define EVERY_KIND   ((UINT32_C(1) << SLIPWAY_MEM_KINDS) - 2)                 // from 1 on
#define KINDS_LOADER (KIND(BOOT_SERVICES) | KIND(LOADER) | KIND(PAGE_TABLES)) // type 5
#define KINDS_OWN    (KIND(USABLE) | KINDS_LOADER | KIND(KERNEL) | KIND(MODULE))
#define KINDS_ACPI   (KIND(ACPI_RECLAIM) | KIND(ACPI_NVS))

const struct elf_rules limine_elf_rules = {
    .lowest = UINT64_C(0xffffffff80000000),
    .may_write_execute = true,
    .ignores_relro = true,
    .relocates_all = true,
    .is_one_run = true,
};

struct space_rules limine_space_rules(uint64_t base_revision, bool is_lax) {
    struct space_rules rules = {
        .kinds = KINDS_OWN | KINDS_ACPI,
        .firmware = SPACE_FIRMWARE_NONE,
        .all_below_4g = base_revision <= 2,
        .identity = base_revision == 0,
        .executes_direct = is_lax,
        .unsealed = is_lax,
        .writes_and_executes = true,
        .has_no_global = true,
        .has_no_guards = true,
    };
    if (base_revision == 0)
        rules.kinds = EVERY_KIND;
    if (base_revision == 3)
        rules.kinds = KINDS_OWN;
    if (base_revision == 4)
        rules.firmware = SPACE_FIRMWARE_ACPI;
    if (base_revision >= 5) {
        rules.kinds |= KIND(RUNTIME);
        rules.firmware = SPACE_FIRMWARE_ALL;
    }
    return rules;
}
