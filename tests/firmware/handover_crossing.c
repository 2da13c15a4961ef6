// The way to the kernel: the tables of the crossing, the startup page, and the loader's image,
// which is mapped for both sides.
#include "common/base/arith.h"
#include "common/x86/regs.h"
#include "loader/cpus.h"
#include "loader/enter.h"
#include "loader/park.h"
#include "loader/startup.h"
#include "tests/firmware/handover.h"

#include <string.h>
#include <sys/mman.h>

static const struct slipway_boot_info *info;

// The run of the startup page and the crossing's tables, where there is need of one; or null.
static const struct slipway_range *find_startup(void) {
    const struct slipway_range *range;
    for (uint32_t i = 0; (range = setup_find_range(info, SLIPWAY_RANGE_LOADER, i)); i++) {
        if (fake.cpu.crossing_root == range->start_phys + FRAME_BYTES)
            return range;
    }
    return NULL;
}

// Whole, but for what the orders hold for other CPUs, which these have followed if there are any.
static void check_startup_page(uint64_t page) {
    static _Alignas(FRAME_BYTES) uint8_t found[FRAME_BYTES];
    uint8_t *bytes = (uint8_t *)(uintptr_t)page;
    const struct startup startup = {
        .page = page,
        .root = fake.cpu.crossing_root,
        .cr4 = CR4_PAE | (handover_levels() == 5 ? CR4_LA57 : 0),
        .others = cpus_startup_target(fake.cpu.slide),
        .boot = {(uintptr_t)enter_loaded + fake.cpu.slide, fake.cpu_address + fake.cpu.slide},
    };
    memcpy(found, bytes, sizeof(found));
    assert_int_equal(mprotect(bytes, FRAME_BYTES, PROT_READ | PROT_WRITE), 0); // it is code
    startup_write(&startup);
    assert_memory_equal(found, bytes, sizeof(found));
    assert_int_equal(startup.others.entry, (uintptr_t)park_find + fake.cpu.slide);
    if (fake.others_entry != 0) {
        assert_int_equal(fake.others_entry, startup.others.entry);
        assert_int_equal(fake.others_argument, startup.others.argument);
    }
    uint64_t limit = setup_count_others(info) != 0 ? MIB(1) : GIB(4);
    assert_int_equal(fake.code_limit, limit - 1);
    assert_true(page + FRAME_BYTES <= limit && fake.cpu.crossing_root < GIB(4));
}

static void check_at_itself(const struct vmem *crossing, uint64_t address, unsigned rights,
                            enum vmem_cache cache) {
    struct vmem_translation translation;
    assert_int_equal(vmem_translate(crossing, vaddr(address), &translation), VMEM_OK);
    assert_int_equal(translation.phys.value, address);
    assert_int_equal(translation.rights, VMEM_READ | rights);
    assert_int_equal(vmem_translation_cache(&translation), cache);
}

// The kernel's upper half, and of the lower one, one to one, the page of the switch and the startup
// page alone. There is a startup page only where there is need of it.
static void check_crossing(void) {
    const char *crossing_root = (const char *)(uintptr_t)fake.cpu.crossing_root;
    const char *root = (const char *)(uintptr_t)fake.cpu.root;
    bool changes_levels = handover_levels() != fake.paging_levels;
    bool has_startup = changes_levels || setup_count_others(info) != 0;
    const struct slipway_range *startup = find_startup();
    struct vmem crossing;
    uint64_t mapped = 0;
    bool has_apic = setup_machine.state == MACHINE_LIMINE_STRICT && fake.has_apic &&
                    setup_count_others(info) != 0;
    uint64_t half = UINT64_C(1) << (9 * handover_levels() + 11);
    assert_memory_equal(crossing_root + 2048, root + 2048, 2048);
    handover_adopt(&crossing, fake.cpu.crossing_root);
    assert_int_equal(vmem_walk(&crossing, vaddr(0), half, handover_count_bytes, &mapped), VMEM_OK);
    assert_int_equal(mapped, (1U + has_startup + has_apic) * FRAME_BYTES);
    if (has_apic)
        check_at_itself(&crossing, FAKE_LAPIC_PHYS, VMEM_WRITE, VMEM_CACHE_UC);
    check_at_itself(&crossing, align_down((uintptr_t)enter_switch_start, FRAME_BYTES), VMEM_EXECUTE,
                    VMEM_CACHE_WB);
    if (!has_startup) {
        assert_int_equal(fake.cpu.startup, 0);
        assert_int_equal(fake.code_limit, 0);
        return;
    }
    assert_non_null(startup);
    uint64_t page = startup->start_phys;
    check_at_itself(&crossing, page, VMEM_EXECUTE, VMEM_CACHE_WB);
    check_startup_page(page);
    assert_int_equal(fake.cpu.startup, changes_levels ? startup_boot_entry(page) : 0);
}

static void check_slide(void) {
    uint32_t i = 0;
    const struct slipway_mapping *mapping;
    do
        mapping = setup_record(&info->mappings, i++);
    while (mapping->purpose != SLIPWAY_MAP_LOADER);
    assert_int_equal((uintptr_t)ImageBase + fake.cpu.slide, mapping->virt);
}

void handover_check_crossing(const struct slipway_boot_info *copy) {
    info = copy;
    check_crossing();
    check_slide();
}
