// What SLIPWAY_NOTE_DIRECT changes: where stack, descriptor tables and framebuffers are.
#include "checks.h"
#include "cpu.h"
#include "kit.h"
#include "pages.h"

#ifdef DIRECT

static bool is_direct(uint64_t virt) {
    const struct slipway_mapping *m = manifest_find(virt);
    return m && m->purpose == SLIPWAY_MAP_DIRECT && m->rights == SLIPWAY_RIGHT_WRITE;
}

static void check_tables_in_direct(void) {
    struct table_register gdt, idt;
    check_begin("GDT, IDT, TSS and interrupt stacks are at their addresses in the direct map");
    __asm__ volatile("sgdt %0" : "=m"(gdt));
    __asm__ volatile("sidt %0" : "=m"(idt));
    const uint64_t *entries = (const uint64_t *)gdt.base;
    uint64_t low = entries[SLIPWAY_TSS / 8];
    uint64_t tss = (low >> 16 & 0xffffff) | (low >> 56) << 24 | entries[SLIPWAY_TSS / 8 + 1] << 32;
    CHECK_EQUAL(gdt.base, boot->hhdm_base + boot->gdt_phys);
    CHECK_EQUAL(idt.base, boot->hhdm_base + boot->idt_phys);
    CHECK_EQUAL(tss, boot->hhdm_base + boot->tss_phys);
    CHECK(is_direct(gdt.base) && is_direct(idt.base) && is_direct(tss), gdt.base);
    unsigned stacks = 0;
    for (unsigned i = 0; i < 7; i++) {
        uint64_t top; // SDM 3A figure 8-11
        memcpy(&top, (const char *)tss + 36 + i * sizeof(top), sizeof(top));
        CHECK(top == 0 || (is_direct(top - 1) && is_direct(top - PAGE_BYTES)), top);
        stacks += top != 0;
    }
    CHECK(stacks != 0, stacks);
}

static void check_guards_in_direct(void) {
    uint64_t guards = 0, beside = 0;
    check_begin("guards are frames that are reserved, not to be reclaimed, and that nothing maps");
    for (uint32_t i = 0; i < boot->ranges.count; i++) {
        const struct slipway_range *r = manifest_range(i);
        uint64_t virt = boot->hhdm_base + r->start_phys;
        struct leaf leaf;
        if (r->purpose != SLIPWAY_RANGE_GUARD)
            continue;
        CHECK_EQUAL(r->bytes, PAGE_BYTES);
        CHECK(!manifest_find_phys(r->start_phys), r->start_phys);
        CHECK(!pages_translate(virt, &leaf), virt);
        guards++;
        beside += virt == boot->stack_bottom - PAGE_BYTES || virt == boot->stack_top;
    }
    uint64_t cpus = boot->cpus.count;
    CHECK_EQUAL(beside, 2);
    CHECK_EQUAL(guards, cpus > 1 ? 2 + cpus : 2);
    kit_fact("guards", guards);
}

void check_direct(void) {
    check_begin("the boot stack is at its address in the direct map");
    CHECK_EQUAL(boot->stack_bottom, boot->hhdm_base + boot->stack_phys);
    check_tables_in_direct();
    check_guards_in_direct();

    check_begin("the window has the loader's image and the firmware's tables alone");
    for (uint32_t i = 0; i < boot->mappings.count; i++) {
        const struct slipway_mapping *m = manifest_mapping(i);
        bool in_window = m->virt >= SLIPWAY_WINDOW_BASE && m->virt < SLIPWAY_WINDOW_END;
        CHECK_EQUAL(in_window,
                    m->purpose == SLIPWAY_MAP_LOADER || m->purpose == SLIPWAY_MAP_FIRMWARE);
    }

    if (boot->framebuffers.count == 0)
        return;
    check_begin("framebuffers are at their addresses in the direct map");
    for (uint32_t i = 0; i < boot->framebuffers.count; i++) {
        const struct slipway_framebuffer *f = kit_record(boot->framebuffers, i);
        CHECK_EQUAL(f->address, boot->hhdm_base + f->address_phys);
    }
}

#else

void check_direct(void) {}

#endif
