// The first page tables of a kernel with SLIPWAY_NOTE_DIRECT: the direct map and the kernel, while
// the stack, the GDT and the TSS are still the loader's.
#include "checks.h"
#include "cpu.h"
#include "fault.h"
#include "kit.h"
#include "tasks.h"

// fault.S
void fault_switch_tables(uint64_t offset, uint64_t root);

// A line through the middle of each screen.
static void draw(void) {
    for (uint32_t i = 0; i < boot->framebuffers.count; i++) {
        const struct slipway_framebuffer *f = kit_record(boot->framebuffers, i);
        volatile uint32_t *line =
            (volatile uint32_t *)(f->address + f->height / 2 * (uint64_t)f->pitch);
        for (uint32_t x = 0; x < f->width; x++)
            line[x] = f->green_mask;
        CHECK_EQUAL(line[f->width - 1] & f->green_mask, f->green_mask);
    }
}

static void check_first_stack(uint64_t rsp) {
    uint64_t top;
    memcpy(&top, (const char *)kit_direct(boot->tss_phys) + 36, sizeof(top)); // SDM 3A figure 8-11
    CHECK_EQUAL(rsp, top - 5 * 8); // SS, RSP, RFLAGS, CS, RIP
}

// An IDT, and nothing else, is the kernel's own.
void task_stay_on_stack(void) {
    uint64_t root = tables_make_root(0);
    fault_take_over_idt();
    fault_switch_tables(0, root);
    check_begin(
        "on tables with the direct map and the kernel alone, the loader's stack still holds");
    CHECK_EQUAL(read_cr3(), root);
    CHECK(!manifest_find(boot->stack_top), boot->stack_top);
    CHECK(fault_attempt(ATTEMPT_READ, SLIPWAY_WINDOW_BASE + PAGE_BYTES), SLIPWAY_WINDOW_BASE);
    check_begin("and so do its GDT, its TSS and the interrupt stacks of that");
    check_first_stack(fault_take_breakpoint());
    check_begin("touching a guard of the boot stack faults there, too");
    CHECK(fault_attempt(ATTEMPT_WRITE, boot->stack_bottom - 1), boot->stack_bottom);
    CHECK_EQUAL(fault.vector, VECTOR_PAGE_FAULT);
    CHECK_EQUAL(fault.cr2, boot->stack_bottom - 1);
    CHECK(fault_attempt(ATTEMPT_WRITE, boot->stack_top), boot->stack_top);
    CHECK_EQUAL(fault.cr2, boot->stack_top);
    if (boot->framebuffers.count == 0)
        return;
    check_begin("framebuffers can be drawn on there");
    draw();
    if (!kit_cmdline_has("hold"))
        return;
    kit_print("drawn\n");
    __asm__ volatile("1: hlt; jmp 1b");
}

void task_keep_image_alone(void) {
    fault_switch_tables(0, tables_make_root(1));
}
