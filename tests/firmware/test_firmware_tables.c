// The tables of the firmware's that are not in RAM: in a window of their own.
#include "common/base/arith.h"
#include "loader/plan.h"
#include "tests/firmware/setup.h"

#include <string.h>

#define FIRMWARE_WINDOW (SLIPWAY_WINDOW_BASE + GIB(512))
// The next page above those of the system table and of what it leads to: RAM, but with addresses.
#define BEHIND_SYSTEM (FIRMWARE_WINDOW + 0xb000)

TEST("a table of the firmware's is in the direct map, or in a window, or cannot be read at all") {
    static const struct {
        uint64_t phys;
        uint64_t virt; // 0: nowhere; 1: in the direct map
    } tables[] = {
        {0x10, 1},                               // in frame 0, which is RAM
        {FAKE_ARENA_START + 0xb0000, 1},         // where a region begins
        {FAKE_ARENA_START + 0x100000 - 0x18, 1}, // where RAM ends
        // Where reserved memory begins: below are two pages of ACPI and SMBIOS.
        {FAKE_ARENA_START + 0x100000, BEHIND_SYSTEM + 0x3000},
        {FAKE_ARENA_START + 0x80010, BEHIND_SYSTEM + 0x10}, // reserved, near other tables
        {UINT64_C(0x7fffffffff), 0},                        // in no region
    };
    for (uint32_t i = 0; i < ARRAY_LEN(tables); i++) {
        setup_boot(NULL);
        fake.smbios = tables[i].phys;
        fake_boot();
        const struct slipway_boot_info *info = setup_expect_kernel();
        assert_int_equal(info->smbios_phys, tables[i].phys);
        uint64_t direct = info->hhdm_base + tables[i].phys;
        assert_int_equal(info->smbios, tables[i].virt == 1 ? direct : tables[i].virt);
    }
}

// The mappings of the firmware's tables, in rising order.
static void expect_window(const struct slipway_boot_info *info, const struct slipway_mapping *want,
                          uint32_t count) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < info->mappings.count; i++) {
        const struct slipway_mapping *mapping = setup_record(&info->mappings, i);
        if (mapping->purpose != SLIPWAY_MAP_FIRMWARE)
            continue;
        assert_true(found < count);
        assert_memory_equal(mapping, &want[found++], sizeof(*want));
    }
    assert_int_equal(found, count);
}

TEST("what the firmware's tables take of reserved memory is mapped, and of RAM nothing twice") {
    const uint64_t reserved = FAKE_ARENA_START + 0x80000;
    const struct slipway_mapping want[] = {
        {BEHIND_SYSTEM, reserved, 0x1000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {BEHIND_SYSTEM + 0x2000, reserved + 0x1d000, 0x2000, 0, 0, SLIPWAY_MAP_FIRMWARE},
    };
    setup_boot(NULL);
    fake_boot();
    expect_window(setup_expect_kernel(), NULL, 0);
    setup_boot(NULL);
    fake.smbios = reserved;
    fake.structures = reserved + 0x1dff8;
    fake_boot();
    expect_window(setup_expect_kernel(), want, ARRAY_LEN(want));
}

TEST("reserved memory that cannot be write-back is mapped uncached") {
    setup_boot(NULL);
    fake.smbios = FAKE_ARENA_START + 0x80000;
    EFI_MEMORY_DESCRIPTOR uncached = {.Type = EfiReservedMemoryType,
                                      .PhysicalStart = FAKE_ARENA_START + 0x80000,
                                      .NumberOfPages = 1,
                                      .Attribute = EFI_MEMORY_UC};
    fake_add_descriptor(&uncached);
    fake_boot();
    const struct slipway_mapping want = {BEHIND_SYSTEM,    uncached.PhysicalStart, 0x1000, 0,
                                         SLIPWAY_CACHE_UC, SLIPWAY_MAP_FIRMWARE};
    expect_window(setup_expect_kernel(), &want, 1);
}

static void reserve_acpi(uint32_t reading) {
    if (reading == 2)
        fake_set_memory(FAKE_ACPI_PHYS, FRAME_BYTES, EfiReservedMemoryType);
}

TEST("tables whose RAM is none in the last map move to their window") {
    setup_boot(NULL);
    fake.before_map = reserve_acpi;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->rsdp, BEHIND_SYSTEM);
    const struct slipway_mapping want = {BEHIND_SYSTEM,       FAKE_ACPI_PHYS, 0x1000, 0, 0,
                                         SLIPWAY_MAP_FIRMWARE};
    expect_window(info, &want, 1);
}

static void free_reserved(uint32_t reading) {
    if (reading == 2)
        fake_set_memory(FAKE_ARENA_START + 0x80000, FRAME_BYTES, EfiACPIReclaimMemory);
}

TEST(
    "tables in what is RAM in the last map are in the direct map, and others stay where they are") {
    const uint64_t reserved = FAKE_ARENA_START + 0x80000;
    const struct slipway_mapping want = {BEHIND_SYSTEM + 0x2000, reserved + 0x2000, 0x1000, 0, 0,
                                         SLIPWAY_MAP_FIRMWARE};
    setup_boot(NULL);
    fake.smbios = reserved;
    fake.structures = reserved + 0x2000;
    fake.before_map = free_reserved;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->smbios, info->hhdm_base + reserved);
    expect_window(info, &want, 1);
}

TEST(
    "a framebuffer in reserved memory that a table is said to lie in stays write-combining alone") {
    setup_boot(NULL);
    fake.structures = FAKE_ARENA_START + 0x80000;
    fake_add_display(FAKE_ARENA_START + 0x80000, 16, 16);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->framebuffers.count, 1);
    expect_window(info, NULL, 0);
}

// ---- What leads where

TEST("the system table is mapped with all that it leads to: services, vendor, list of tables") {
    const struct slipway_mapping want[] = {
        {FIRMWARE_WINDOW, FAKE_SYSTEM_PHYS, 0x1000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x2000, FAKE_SYSTEM_PHYS + 0x2000, 0x2000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x5000, FAKE_SYSTEM_PHYS + 0x5000, 0x2000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x8000, FAKE_SYSTEM_PHYS + 0x8000, 0x2000, 0, 0, SLIPWAY_MAP_FIRMWARE},
    };
    setup_boot(NULL);
    fake_set_memory(FAKE_SYSTEM_PHYS, 0x10000, EfiReservedMemoryType);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    expect_window(info, want, ARRAY_LEN(want));
    assert_int_equal(info->efi_system_table, FIRMWARE_WINDOW);
}

TEST("of the vendor's name 512 bytes are mapped at most, or as much as the firmware maps") {
    // Not behind the two pages and a gap of the usual name.
    struct slipway_mapping want = {BEHIND_SYSTEM - 0x3000, FAKE_ARENA_START + 0x80000, 0, 0, 0,
                                   SLIPWAY_MAP_FIRMWARE};
    for (uint64_t behind = 0; behind <= 2; behind += 2) { // bytes in the second page
        setup_boot(NULL);
        fake.long_vendor = want.phys + 0x1000 - 512 + behind;
        want.bytes = behind == 0 ? 0x1000 : 0x2000;
        fake_boot();
        expect_window(setup_expect_kernel(), &want, 1);
    }
    setup_boot(NULL);
    fake.long_vendor = FAKE_ARENA_END - 6;
    fake_boot();
    setup_expect_kernel();
}

static const EFI_GUID other_guid = {1, 2, 3, {4, 5, 6, 7, 8, 9, 10, 11}};

static void add_table(EFI_GUID guid, uint64_t phys) {
    fake.tables[fake.table_count++] = (EFI_CONFIGURATION_TABLE){guid, (void *)(uintptr_t)phys};
}

// Reserved memory that no table takes, before a test says so.
#define RESERVED_PHYS (FAKE_ARENA_START + 0x80000)

TEST("of any other configuration table the page is mapped in which it begins") {
    const struct slipway_mapping want[] = {
        {BEHIND_SYSTEM, RESERVED_PHYS, 0x1000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {BEHIND_SYSTEM + 0x2000, RESERVED_PHYS + 0x2000, 0x2000, 0, 0, SLIPWAY_MAP_FIRMWARE},
    };
    setup_boot(NULL);
    add_table(other_guid, RESERVED_PHYS + 0x3000);
    add_table(other_guid, RESERVED_PHYS + 0xfff);
    add_table(other_guid, RESERVED_PHYS + 0x2345);
    fake_boot();
    expect_window(setup_expect_kernel(), want, ARRAY_LEN(want));
}

TEST("a configuration table may lie at either end of what the firmware maps, but for page 0") {
    const struct slipway_mapping want[] = {
        {FIRMWARE_WINDOW, 0x1000, 0x1000, 0, SLIPWAY_CACHE_UC, SLIPWAY_MAP_FIRMWARE},
        {FIRMWARE_WINDOW + 0x2000, MIB(2) - 0x1000, 0x1000, 0, SLIPWAY_CACHE_UC,
         SLIPWAY_MAP_FIRMWARE},
    };
    setup_boot(NULL);
    for (uint32_t i = 0; i < ARRAY_LEN(want); i++) {
        const EFI_MEMORY_DESCRIPTOR reserved = {
            .Type = EfiReservedMemoryType, .PhysicalStart = want[i].phys, .NumberOfPages = 1};
        fake_add_descriptor(&reserved);
    }
    add_table(other_guid, 0x1000);
    add_table(other_guid, MIB(2) - 1);
    fake_boot();
    expect_window(setup_expect_kernel(), want, ARRAY_LEN(want));
}

TEST("a configuration table that is null, or not mapped one to one, is passed over") {
    setup_boot(NULL);
    add_table(other_guid, 0);
    add_table(other_guid, 0xfff);
    add_table(other_guid, FAKE_ELSEWHERE);
    add_table(other_guid, FAKE_ARENA_START - MIB(4)); // below all that is mapped but page 0
    add_table(other_guid, UINT64_C(0xfd00000000));
    add_table(other_guid, UINT64_MAX);
    add_table((EFI_GUID)ACPI_TABLE_GUID, 0);
    add_table((EFI_GUID)ACPI_TABLE_GUID, UINT64_MAX - 3);
    add_table((EFI_GUID)SMBIOS_TABLE_GUID, 0);
    add_table((EFI_GUID)SMBIOS_TABLE_GUID, UINT64_C(0xfd00000000));
    add_table((EFI_GUID)SMBIOS_TABLE_GUID, MIB(2) - 1); // mapped so far
    add_table(other_guid, RESERVED_PHYS);
    fake_boot();
    const struct slipway_mapping want = {BEHIND_SYSTEM,       RESERVED_PHYS, 0x1000, 0, 0,
                                         SLIPWAY_MAP_FIRMWARE};
    expect_window(setup_expect_kernel(), &want, 1);
}

static void put_smbios_2(uint64_t phys, uint64_t structures) {
    uint8_t *entry = (uint8_t *)fake_make_readable(phys, 31);
    memcpy(entry, "_SM_", 4);
    entry[5] = 31;
    memcpy(entry + 16, "_DMI_", 5);
    entry[23] = 0x10; // of the length
    memcpy(entry + 24, &structures, 4);
    for (unsigned i = 0; i < 31; i++)
        entry[4] = (uint8_t)(entry[4] - (i == 4 ? 0 : entry[i]));
}

TEST("the structures of SMBIOS 2 are mapped beside those of SMBIOS 3") {
    const struct slipway_mapping want[] = {
        {BEHIND_SYSTEM, RESERVED_PHYS, 0x1000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {BEHIND_SYSTEM + 0x2000, RESERVED_PHYS + 0x4000, 0x2000, 0, 0, SLIPWAY_MAP_FIRMWARE},
        {BEHIND_SYSTEM + 0x5000, RESERVED_PHYS + 0x8000, 0x1000, 0, 0, SLIPWAY_MAP_FIRMWARE},
    };
    setup_boot(NULL);
    fake.structures = RESERVED_PHYS + 0x8000;
    add_table((EFI_GUID)SMBIOS_TABLE_GUID, RESERVED_PHYS + 0x10);
    put_smbios_2(RESERVED_PHYS + 0x10, RESERVED_PHYS + 0x4001);
    fake_boot();
    expect_window(setup_expect_kernel(), want, ARRAY_LEN(want));
    setup_boot("log = debug\n");
    add_table((EFI_GUID)SMBIOS_TABLE_GUID, RESERVED_PHYS + 0x10);
    ++*fake_make_readable(RESERVED_PHYS + 0x10, 31);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    expect_window(info, NULL, 0);
    setup_expect_logged("the SMBIOS entry point at 0x10080010 is none");
}

TEST("tables of ACPI are found through an RSDP of ACPI 1.0, too") {
    const struct slipway_mapping want = {BEHIND_SYSTEM,       RESERVED_PHYS, 0x1000, 0, 0,
                                         SLIPWAY_MAP_FIRMWARE};
    setup_boot("log = debug\n");
    fake.has_pm_timer = false; // and with it the RSDP of ACPI 2.0
    uint8_t *rsdp = (uint8_t *)fake_make_readable(RESERVED_PHYS, 20);
    memcpy(rsdp, "RSD PTR ", 8);
    for (unsigned i = 0; i < 8; i++)
        rsdp[8] = (uint8_t)(rsdp[8] - rsdp[i]);
    add_table((EFI_GUID)ACPI_TABLE_GUID, RESERVED_PHYS);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    expect_window(info, &want, 1);
    assert_int_equal(info->rsdp, BEHIND_SYSTEM);
    assert_null(strstr(setup_log(), "the RSDP"));
    setup_boot("log = debug\n");
    add_table((EFI_GUID)ACPI_TABLE_GUID, RESERVED_PHYS + 1);
    fake_make_readable(RESERVED_PHYS, 40);
    fake_boot();
    info = setup_expect_kernel();
    expect_window(info, NULL, 0);
    setup_expect_logged("the RSDP at 0x10080001 is none");
}

TEST("an RSDP that the tables of ACPI 1.0 and 2.0 share is looked at once") {
    setup_boot("log = debug\n");
    fake.has_pm_timer = false;
    add_table((EFI_GUID)ACPI_20_TABLE_GUID, FAKE_ACPI_PHYS + 0xf000);
    add_table((EFI_GUID)ACPI_TABLE_GUID, FAKE_ACPI_PHYS + 0xf000);
    fake_make_readable(FAKE_ACPI_PHYS + 0xf000, 40);
    fake_boot();
    static const char line[] = "the RSDP at 0x100af000 is none\n";
    const char *first = strstr(setup_log(), line);
    assert_non_null(first);
    assert_null(strstr(first + 1, line));
}

TEST("tables in more places than there is room for are left out, and the log names them") {
    setup_boot("log = info\n");
    for (uint64_t i = 0; i < FAKE_TABLES_MAX; i++)
        add_table(other_guid, FAKE_ARENA_START + 0x400000 + i * 0x2000);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    expect_window(info, NULL, 0);
    assert_non_null(strstr(setup_log(), "firmware's table at 0x104"));
    assert_non_null(strstr(setup_log(), ", 1 bytes, left out: there are too many\n"));
    assert_null(strstr(setup_log(), "too many parts"));
}

TEST("when memory of several cache types cuts tables into too many parts, the log says how much") {
    const uint64_t start = FAKE_ARENA_START + 0x400000;
    setup_boot("log = info\n");
    fake_set_memory(start, FAKE_TABLES_MAX * FRAME_BYTES, EfiReservedMemoryType);
    for (uint64_t i = 0; i < FAKE_TABLES_MAX; i++) {
        const EFI_MEMORY_DESCRIPTOR uncached = {.Type = EfiReservedMemoryType,
                                                .PhysicalStart = start + i * FRAME_BYTES,
                                                .NumberOfPages = 1};
        add_table(other_guid, start + i * FRAME_BYTES);
        if (i % 2 == 0)
            fake_add_descriptor(&uncached);
    }
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    struct slipway_mapping want[PLAN_FIRMWARE_MAX];
    const uint32_t before = 5; // ranges: the system table's four, and those of ACPI and SMBIOS
    for (uint32_t i = 0; i < PLAN_FIRMWARE_MAX - before; i++)
        want[i] = (struct slipway_mapping){.virt = BEHIND_SYSTEM + 0x3000 + i * FRAME_BYTES,
                                           .phys = start + i * FRAME_BYTES,
                                           .bytes = FRAME_BYTES,
                                           .cache = i % 2 == 0 ? SLIPWAY_CACHE_UC : 0,
                                           .purpose = SLIPWAY_MAP_FIRMWARE};
    expect_window(info, want, PLAN_FIRMWARE_MAX - before);
    setup_expect_logged("firmware's tables: 86016 bytes left out: they are in too many parts");
}
