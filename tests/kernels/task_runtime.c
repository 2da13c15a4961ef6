// The firmware's runtime services at addresses that a kernel has chosen (UEFI 2.9, 8.4): page
// tables of the kernel's own map the RUNTIME ranges of the EFI memory map one to one, for the call
// of SetVirtualAddressMap alone, and in the upper half, where they stay. There the rights are those
// of the memory attributes table (UEFI 2.9, 4.6.4): code is not writable.
#include "checks.h"
#include "cpu.h"
#include "kit.h"
#include "pages.h"
#include "tasks.h"

#define RUNTIME_BASE UINT64_C(0xffffe00000000000) // where nothing else is
#define EFI_RUNTIME  (UINT64_C(1) << 63)
#define EFI_WB       UINT64_C(8)
#define EFI_RO       UINT64_C(0x20000)
#define EFI_XP       UINT64_C(0x4000)
#define NOT_FOUND    UINT64_C(0x800000000000000e)

enum {
    RUNTIME_CODE = 5, // EFI_MEMORY_TYPE
    RUNTIME_DATA = 6,
    RANGES_MAX = 64,
    MAP_BYTES_MAX = 8192,
    STATE_BYTES = 64,
    VARIABLE_BYTES = 300,
    // Non-volatile, at boot, at run time.
    VARIABLE_ATTRIBUTES = 7,
    // In the system table and in that of runtime services.
    SYSTEM_RUNTIME = 88,
    SYSTEM_TABLE_COUNT = 104,
    SYSTEM_TABLES = 112,
    RUNTIME_GET_TIME = 24,
    RUNTIME_SET_MAP = 56,
    RUNTIME_GET_VARIABLE = 72,
    RUNTIME_SET_VARIABLE = 88,
};

struct descriptor {
    uint32_t type;
    uint32_t padding;
    uint64_t phys;
    uint64_t virt;
    uint64_t pages;
    uint64_t attributes;
};

struct guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
};

struct time {
    uint16_t year;
    uint8_t month, day, hour, minute, second, padding;
    uint32_t nanosecond;
    int16_t zone;
    uint8_t daylight, padding_2;
};

// The firmware's functions.
#define FIRMWARE __attribute__((ms_abi))
typedef uint64_t FIRMWARE set_map_t(uint64_t bytes, uint64_t stride, uint32_t version, void *map);
typedef uint64_t FIRMWARE get_time_t(struct time *time, void *capabilities);
typedef uint64_t FIRMWARE get_variable_t(const uint16_t *name, const struct guid *vendor,
                                         uint32_t *attributes, uint64_t *bytes, void *data);
typedef uint64_t FIRMWARE set_variable_t(const uint16_t *name, const struct guid *vendor,
                                         uint32_t attributes, uint64_t bytes, const void *data);

static struct descriptor ranges[RANGES_MAX];
static uint32_t range_count;
static uint64_t root;

// ---- Page tables of the kernel's own, in memory that is usable

static uint64_t next_frame, last_frame;

static void find_frames(void) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < boot->memory.count; i++) {
        const struct slipway_memory *m = manifest_memory(i);
        if (m->kind != SLIPWAY_MEM_USABLE || m->bytes <= most)
            continue;
        most = m->bytes;
        next_frame = m->start_phys;
        last_frame = m->start_phys + m->bytes - PAGE_BYTES;
    }
    CHECK(most >= 256 * PAGE_BYTES, most);
}

static uint64_t alloc_table(void) {
    CHECK(next_frame < last_frame, next_frame);
    memset(kit_direct(next_frame), 0, PAGE_BYTES);
    next_frame += PAGE_BYTES;
    return next_frame - PAGE_BYTES;
}

// The table below an entry; made if there is none.
static uint64_t *step_down(uint64_t *entry) {
    if (!(*entry & ENTRY_PRESENT))
        *entry = alloc_table() | ENTRY_PRESENT | ENTRY_WRITE;
    CHECK(!(*entry & ENTRY_LARGE), *entry);
    return kit_direct(*entry & ENTRY_ADDRESS);
}

static void map_page(uint64_t virt, uint64_t bits) {
    uint64_t *table = kit_direct(root);
    for (unsigned level = boot->paging_levels; level > 1; level--)
        table = step_down(&table[virt >> (9 * level + 3) & (TABLE_ENTRIES - 1)]);
    table[virt >> 12 & (TABLE_ENTRIES - 1)] = bits | ENTRY_PRESENT;
}

static bool is_device(const struct descriptor *range) {
    return range->type != RUNTIME_CODE && range->type != RUNTIME_DATA;
}

static void map_range(const struct descriptor *range, uint64_t virt, uint64_t rights) {
    bool write_back = !is_device(range) && range->attributes & EFI_WB;
    for (uint64_t at = 0; at < range->pages * PAGE_BYTES; at += PAGE_BYTES)
        map_page(virt + at, (range->phys + at) | rights | (write_back ? 0 : ENTRY_PWT | ENTRY_PCD));
}

// The kernel's half as it is, and nothing in the other.
static void make_root(void) {
    root = alloc_table();
    memcpy((char *)kit_direct(root) + PAGE_BYTES / 2,
           (const char *)kit_direct(boot->root_phys) + PAGE_BYTES / 2, PAGE_BYTES / 2);
}

// ---- What is to be mapped

static void find_ranges(void) {
    uint64_t virt = RUNTIME_BASE;
    range_count = 0;
    for (uint64_t at = 0; at < boot->efi_map_bytes; at += boot->efi_map_stride) {
        const struct descriptor *found = (const void *)(boot->efi_map + at);
        if (!(found->attributes & EFI_RUNTIME))
            continue;
        CHECK(range_count < RANGES_MAX, range_count);
        ranges[range_count] = *found;
        ranges[range_count++].virt = virt;
        virt += (found->pages + 3) * PAGE_BYTES; // so that each range moves by another distance
    }
    CHECK(range_count > 0, range_count);
}

// Where a physical address is to be; 0 if in no range.
static uint64_t virt_of(uint64_t phys) {
    for (uint32_t i = 0; i < range_count; i++)
        if (phys >= ranges[i].phys && phys - ranges[i].phys < ranges[i].pages * PAGE_BYTES)
            return ranges[i].virt + (phys - ranges[i].phys);
    return 0;
}

// While the firmware moves its images it writes to their code.
static void map_identity(void) {
    for (uint32_t i = 0; i < range_count; i++)
        map_range(&ranges[i], ranges[i].phys,
                  ENTRY_WRITE | (ranges[i].type == RUNTIME_CODE ? 0 : ENTRY_NX));
}

static void map_upper(void) {
    for (uint32_t i = 0; i < range_count; i++)
        map_range(&ranges[i], ranges[i].virt,
                  ENTRY_WRITE | (ranges[i].type == RUNTIME_CODE ? 0 : ENTRY_NX));
}

static uint64_t load64(uint64_t address) {
    return *(const uint64_t *)address;
}

// The memory attributes table, or 0.
static uint64_t find_attributes_table(void) {
    static const struct guid wanted = {
        0xdcfa911d, 0x26eb, 0x469f, {0xa2, 0x20, 0x38, 0xb7, 0xdc, 0x46, 0x12, 0x20}};
    enum { ENTRY_BYTES = 24, ENTRY_TABLE = 16 };
    uint64_t tables = load64(boot->efi_system_table + SYSTEM_TABLES);
    uint64_t count = load64(boot->efi_system_table + SYSTEM_TABLE_COUNT);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t entry = manifest_address(tables + i * ENTRY_BYTES);
        if (load64(entry) == load64((uint64_t)&wanted) &&
            load64(entry + 8) == load64((uint64_t)&wanted + 8))
            return manifest_address(load64(entry + ENTRY_TABLE));
    }
    return 0;
}

// Takes away what its entries, parts of the ranges, do not need.
static void restrict_rights(uint64_t table) {
    enum { COUNT = 4, STRIDE = 8, FIRST = 16 };
    CHECK(table, table);
    if (!table)
        return;
    uint64_t count = *(const uint32_t *)(table + COUNT), both = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct descriptor part =
            *(const struct descriptor *)(table + FIRST + i * *(const uint32_t *)(table + STRIDE));
        uint64_t virt = virt_of(part.phys);
        CHECK(virt, part.phys);
        both += !(part.attributes & (EFI_RO | EFI_XP));
        if (virt)
            map_range(&part, virt,
                      (part.attributes & EFI_RO ? 0 : ENTRY_WRITE) |
                          (part.attributes & EFI_XP ? ENTRY_NX : 0));
    }
    CHECK(count > 0, count);
    CHECK_EQUAL(both, 0); // nothing is writable and executable
    kit_fact("runtime.parts", count);
}

// ---- Calls

static uint64_t services; // the table's address, in virtual mode

static void *service(uint64_t offset) {
    return (void *)load64(services + offset);
}

static void set_virtual_map(void) {
    static uint8_t map[MAP_BYTES_MAX];
    uint64_t bytes = range_count * boot->efi_map_stride;
    uint64_t table = load64(boot->efi_system_table + SYSTEM_RUNTIME);
    CHECK(bytes <= sizeof(map), bytes);
    for (uint32_t i = 0; i < range_count; i++)
        memcpy(map + i * boot->efi_map_stride, &ranges[i], sizeof(ranges[i]));
    write_cr3(root);
    set_map_t *set_map = (set_map_t *)load64(table + RUNTIME_SET_MAP);
    uint64_t status = set_map(bytes, boot->efi_map_stride, boot->efi_map_version, map);
    CHECK_EQUAL(status, 0);
    services = virt_of(table);
}

// Nothing is left in the lower half.
static void drop_identity(void) {
    memset(kit_direct(root), 0, PAGE_BYTES / 2);
    write_cr3(root);
}

static void check_services(void) {
    struct leaf leaf;
    CHECK(pages_translate(services, &leaf), services);
    CHECK_EQUAL(load64(services), UINT64_C(0x56524553544e5552)); // "RUNTSERV"
    uint64_t system = virt_of(boot->efi_system_table_phys);
    CHECK_EQUAL(load64(system + SYSTEM_RUNTIME), services); // the firmware says so, too
    static const uint32_t used[] = {RUNTIME_GET_TIME, RUNTIME_GET_VARIABLE, RUNTIME_SET_VARIABLE};
    for (unsigned i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
        uint64_t address = load64(services + used[i]);
        CHECK(pages_translate(address, &leaf), address);
        CHECK(leaf.executable && !leaf.writable, address);
    }
}

// Days from 1970-01-01 on, counted one by one.
static int64_t days_until(uint32_t year, uint32_t month, uint32_t day) {
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = day - 1;
    for (uint32_t y = 1970; y < year; y++)
        days += 365 + (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
    for (uint32_t m = 1; m < month; m++)
        days += lengths[m - 1] + (m == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    return days;
}

static void check_time(void) {
    enum { LATEST_SECONDS = 600 };
    struct time time;
    get_time_t *get_time = service(RUNTIME_GET_TIME);
    uint64_t status = get_time(&time, NULL);
    CHECK_EQUAL(status, 0);
    CHECK(time.month >= 1 && time.month <= 12 && time.day >= 1, time.month);
    int64_t now = days_until(time.year, time.month, time.day) * 86400 + time.hour * 3600 +
                  time.minute * 60 + time.second;
    CHECK(now >= boot->boot_time && now - boot->boot_time < LATEST_SECONDS, (uint64_t)now);
}

static const uint16_t variable_name[] = {'S', 'l', 'i', 'p', 'w', 'a', 'y', 'T', 'e', 's', 't', 0};
static const struct guid variable_vendor = {
    0x51495053, 0x7277, 0x4d1e, {0x91, 0x76, 0x61, 0x72, 0x69, 0x61, 0x62, 0x6c}};

static void set_variable(const uint8_t *data, uint64_t bytes) {
    set_variable_t *set = service(RUNTIME_SET_VARIABLE);
    uint64_t status = set(variable_name, &variable_vendor, VARIABLE_ATTRIBUTES, bytes, data);
    CHECK_EQUAL(status, 0);
}

static void expect_variable(uint64_t want, const uint8_t *data, uint64_t want_bytes) {
    static uint8_t found[2 * VARIABLE_BYTES];
    uint32_t attributes = 0;
    uint64_t bytes = sizeof(found), wrong = 0;
    get_variable_t *get = service(RUNTIME_GET_VARIABLE);
    uint64_t status = get(variable_name, &variable_vendor, &attributes, &bytes, found);
    CHECK_EQUAL(status, want);
    if (want != 0)
        return;
    CHECK_EQUAL(bytes, want_bytes);
    CHECK_EQUAL(attributes, VARIABLE_ATTRIBUTES);
    for (uint64_t i = 0; i < want_bytes; i++)
        wrong += found[i] != data[i];
    CHECK_EQUAL(wrong, 0);
}

static void check_variable(void) {
    static uint8_t data[VARIABLE_BYTES];
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + 1);
    expect_variable(NOT_FOUND, NULL, 0);
    set_variable(data, sizeof(data));
    expect_variable(0, data, sizeof(data));
    if (kit_cmdline_has("keep"))
        return;
    set_variable(NULL, 0);
    expect_variable(NOT_FOUND, NULL, 0);
}

void task_use_runtime(void) {
    check_begin("the EFI memory map has ranges for runtime services, and there is room for tables");
    find_frames();
    find_ranges();
    make_root();
    map_identity();
    map_upper();
    uint64_t attributes_table = find_attributes_table(); // by physical addresses, the last time
    check_begin("the firmware moves its runtime services to addresses of the kernel's choice");
    set_virtual_map();
    drop_identity();
    check_begin("the memory attributes table says of every part how little it needs");
    restrict_rights(attributes_table);
    write_cr3(root);
    check_begin("the runtime services are where they were told to be, and their code is read-only");
    check_services();
    check_begin("the firmware's clock goes on, at run time");
    check_time();
    check_begin(
        "a variable can be written and read at run time, and deleted if it is not to be kept");
    check_variable();
    write_cr3(boot->root_phys);
}
