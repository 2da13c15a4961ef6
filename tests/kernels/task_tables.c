// The first page tables of the kernel's own, by the recipe of slipway_boot.h: the direct map and
// the kernel, and not the loader's window.
#include "checks.h"
#include "cpu.h"
#include "fault.h"
#include "kit.h"
#include "pages.h"
#include "tasks.h"

enum { WINDOW_FIRST = 384, WINDOW_END = 400 }; // entries of a PML4 that map the loader's window

// fault.S
void fault_switch_tables(uint64_t offset, uint64_t root);

static uint64_t phys_of(uint64_t virt) {
    const struct slipway_mapping *m = manifest_find(virt);
    return m ? m->phys + (virt - m->virt) : 0;
}

static uint64_t free_frame(uint64_t index) {
    for (uint32_t i = 0; i < boot->memory.count; i++) {
        const struct slipway_memory *m = manifest_memory(i);
        if (m->kind == SLIPWAY_MEM_USABLE && m->bytes > 2 * PAGE_BYTES)
            return m->start_phys + index * PAGE_BYTES;
    }
    return 0;
}

// A copy of a table's upper half, or of all its entries if it is not the root.
static uint64_t *copy_table(uint64_t frame, uint64_t table, uint64_t first) {
    uint64_t *copy = kit_direct(frame);
    memset(copy, 0, PAGE_BYTES);
    memcpy(copy + first, (const uint64_t *)kit_direct(table) + first,
           (TABLE_ENTRIES - first) * sizeof(*copy));
    return copy;
}

uint64_t tables_make_root(unsigned kept) {
    uint64_t root = free_frame(0);
    uint64_t *pml4 = copy_table(root, read_cr3() & ENTRY_ADDRESS, TABLE_ENTRIES / 2);
    if (boot->paging_levels == 5) {
        uint64_t entry = pml4[TABLE_ENTRIES - 1];
        pml4[TABLE_ENTRIES - 1] = free_frame(1) | (entry & ~ENTRY_ADDRESS);
        pml4 = copy_table(free_frame(1), entry & ENTRY_ADDRESS, 0);
    }
    for (unsigned i = WINDOW_FIRST + kept; i < WINDOW_END; i++)
        pml4[i] = 0;
    return root;
}

static void check_addresses(void) {
    struct table_register gdt, idt;
    check_begin("stack, GDT, TSS and IDT have the physical addresses that the boot info names");
    __asm__ volatile("sgdt %0" : "=m"(gdt));
    __asm__ volatile("sidt %0" : "=m"(idt));
    const uint64_t *entries = (const uint64_t *)gdt.base;
    uint64_t low = entries[SLIPWAY_TSS / 8];
    uint64_t tss = (low >> 16 & 0xffffff) | (low >> 56) << 24 | entries[SLIPWAY_TSS / 8 + 1] << 32;
    CHECK_EQUAL(boot->gdt_phys, phys_of(gdt.base));
    CHECK_EQUAL(boot->idt_phys, phys_of(idt.base));
    CHECK_EQUAL(boot->tss_phys, phys_of(tss));
    CHECK_EQUAL(boot->stack_phys, phys_of(boot->stack_bottom));
    CHECK_EQUAL(manifest_address(boot->gdt_phys), boot->hhdm_base + boot->gdt_phys);
    CHECK_EQUAL(manifest_address(boot->idt_phys), boot->hhdm_base + boot->idt_phys);
    CHECK_EQUAL(manifest_address(boot->tss_phys), boot->hhdm_base + boot->tss_phys);
    CHECK_EQUAL(manifest_address(boot->stack_phys), boot->hhdm_base + boot->stack_phys);
}

void task_switch_tables(void) {
    check_addresses();
    uint64_t root = tables_make_root(0);
    fault_take_over();
    fault_switch_tables(boot->hhdm_base + boot->stack_phys - boot->stack_bottom, root);
    check_begin("on tables of its own the kernel goes on, and a fault is its own");
    CHECK_EQUAL(read_cr3(), root);
    CHECK(fault_attempt(ATTEMPT_READ, boot->stack_bottom), boot->stack_bottom);
    CHECK_EQUAL(fault.vector, VECTOR_PAGE_FAULT);
    CHECK_EQUAL(fault.cr2, boot->stack_bottom);
    CHECK(!fault_attempt(ATTEMPT_WRITE, boot->hhdm_base + boot->stack_phys), boot->stack_phys);
}
