// Accesses that the page tables must refuse.
#include "checks.h"
#include "cpu.h"
#include "fault.h"
#include "image.h"
#include "kit.h"
#include "pages.h"
#include "tasks.h"

static uint64_t alias_of(uint64_t virt) {
    struct leaf leaf;
    if (!pages_translate(virt, &leaf))
        return 0;
    return boot->hhdm_base + leaf.phys + (virt - leaf.virt);
}

static void check_attempt(enum attempt kind, uint64_t address, uint64_t error) {
    bool faulted = fault_attempt(kind, address);
    CHECK(faulted, address);
    if (!faulted)
        return;
    CHECK_EQUAL(fault.vector, VECTOR_PAGE_FAULT);
    CHECK_EQUAL(fault.error, error);
    CHECK_EQUAL(fault.cr2, address);
}

static void check_absent(uint64_t address) {
    check_attempt(ATTEMPT_READ, address, 0);
    check_attempt(ATTEMPT_WRITE, address, FAULT_WRITE);
    check_attempt(ATTEMPT_EXECUTE, address, FAULT_FETCH);
}

// Where there may be a framebuffer, in the direct map.
static void check_absent_but_screen(uint64_t address) {
    const struct slipway_mapping *m = manifest_find(address);
    if (!m || m->purpose != SLIPWAY_MAP_FRAMEBUFFER)
        check_absent(address);
}

static void check_absent_places(void) {
    check_begin("touching a guard page faults");
    check_absent(boot->stack_bottom - 1);
    check_absent(boot->stack_bottom - PAGE_BYTES);
    check_absent(boot->stack_top);
    check_absent(boot->stack_top + PAGE_BYTES - 1);

    check_begin("the null pointer and every 512 GiB of the lower half fault");
    for (uint64_t slot = 0; slot < TABLE_ENTRIES / 2; slot++)
        check_absent(slot << 39);

    check_begin("holes, MMIO and the end of the direct map fault");
    check_absent_but_screen(boot->hhdm_end);
    check_absent(boot->hhdm_base + 0xfee00000); // the local APIC
    for (uint32_t i = 0; i < boot->memory.count; i++) {
        const struct slipway_memory *m = manifest_memory(i);
        if (!m->in_direct && m->start_phys < SLIPWAY_HHDM_MAX_BYTES)
            check_absent_but_screen(boot->hhdm_base + m->start_phys);
    }
}

static void check_read_only(const struct image_part *part) {
    for (uint64_t page = part->start; page < part->end; page += PAGE_BYTES) {
        check_attempt(ATTEMPT_WRITE, page, FAULT_PRESENT | FAULT_WRITE);
        check_attempt(ATTEMPT_WRITE, alias_of(page), FAULT_PRESENT | FAULT_WRITE);
    }
}

static void check_no_execute(uint64_t address) {
    check_attempt(ATTEMPT_EXECUTE, address, FAULT_PRESENT | FAULT_FETCH);
}

void task_check_faults(void) {
    static uint8_t return_instruction = 0xc3;
    fault_take_over();
    check_absent_places();

    check_begin("writing to text, read-only data and RELRO faults, also through the alias");
    for (unsigned i = 0; i < IMAGE_PARTS; i++) {
        struct image_part part = image_part(i);
        if (!(part.rights & SLIPWAY_RIGHT_WRITE))
            check_read_only(&part);
    }

    check_begin("executing data, the stack or anything through the direct map faults");
    uint8_t on_stack = 0xc3;
    check_no_execute((uint64_t)&return_instruction);
    check_no_execute((uint64_t)&on_stack);
    check_no_execute(alias_of((uint64_t)&return_instruction));
    check_no_execute(alias_of((uint64_t)link_image_start));
    check_no_execute((uint64_t)link_rodata_start);
    for (uint32_t i = 0; i < boot->mappings.count; i++)
        if (manifest_mapping(i)->purpose == SLIPWAY_MAP_DIRECT)
            check_no_execute(manifest_mapping(i)->virt);
}

static void read_null(void) {
    __asm__ volatile("movb (%0), %%al" ::"r"((uint64_t)0) : "rax", "memory");
}

// The loader's report reads page tables through the direct map: without it, the report faults too.
// Only images and stacks may be touched afterwards. For four levels: of five, the root's entry maps
// the kernel as well.
static void read_null_without_direct_map(void) {
    volatile uint64_t *root = kit_direct(read_cr3() & ENTRY_ADDRESS);
    root[boot->hhdm_base >> 39 & (TABLE_ENTRIES - 1)] = 0;
    write_cr4(read_cr4() & ~CR4_PGE); // forgets the global pages too, SDM 3A 4.10.4.1
    read_null();
}

// The first byte behind the direct map is where a table would be that the report cannot read.
static void read_null_through_table_outside(void) {
    volatile uint64_t *root = kit_direct(read_cr3() & ENTRY_ADDRESS);
    root[0] = (boot->hhdm_end - boot->hhdm_base) | ENTRY_PRESENT;
    read_null();
}

bool task_fault_into_loader(void) {
    volatile char *at = NULL;
    uint64_t alias = alias_of((uint64_t)link_image_start);
    if (kit_cmdline_has("fault=guard-below"))
        at = (char *)boot->stack_bottom - 1;
    else if (kit_cmdline_has("fault=guard-above"))
        at = (char *)boot->stack_top;
    else if (kit_cmdline_has("fault=text-alias"))
        at = (char *)alias;
    else if (!kit_cmdline_has("fault=null") && !kit_cmdline_has("fault=execute") &&
             !kit_cmdline_has("fault=overflow") && !kit_cmdline_has("fault=opcode") &&
             !kit_cmdline_has("fault=in-report") && !kit_cmdline_has("fault=table-outside") &&
             !kit_cmdline_has("fault=wait"))
        return false;

    kit_fact("text", (uint64_t)link_image_start);
    kit_fact("stack.bottom", boot->stack_bottom);
    kit_fact("stack.top", boot->stack_top);
    kit_fact("alias", alias);
    kit_fact("root.alias", (uint64_t)kit_direct(read_cr3() & ENTRY_ADDRESS));
    kit_print("about to fault\n");
    if (kit_cmdline_has("fault=execute"))
        ((void (*)(void))alias)();
    else if (kit_cmdline_has("fault=overflow"))
        __asm__ volatile("1: push %%rax; jmp 1b" ::: "memory");
    else if (kit_cmdline_has("fault=opcode"))
        __asm__ volatile("ud2");
    else if (kit_cmdline_has("fault=wait")) // for one that comes from outside
        __asm__ volatile("1: hlt; jmp 1b");
    else if (kit_cmdline_has("fault=null"))
        read_null();
    else if (kit_cmdline_has("fault=in-report"))
        read_null_without_direct_map();
    else if (kit_cmdline_has("fault=table-outside"))
        read_null_through_table_outside();
    else
        *at = 1;
    kit_print("survived\n");
    check_begin("the access faults");
    CHECK_FAILED("survived", (uint64_t)at);
    check_finish();
}
