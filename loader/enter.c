// See enter.h.
#include "loader/enter.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "common/x86/trap.h"
#include "common/x86/uart.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/screen.h"

enum {
    FAULT_STACK_BYTES = 8192,
    VECTOR_PAGE_FAULT = 14,
    PIC_MASTER_MASK = 0x21,
    PIC_SLAVE_MASK = 0xA1,
};

// From loader.ld.
extern const char ImageBase[];
extern const char _text[];
extern const char _etext[];

// All of this is used in the kernel half, at its address there. The first three and the stacks the
// CPU itself finds, at addresses that it is told: in the direct map, if the kernel wishes.
static union enter_gdt gdt;
static struct trap_tss tss;
static struct trap_gate idt[TRAP_VECTORS];
static struct trap_table_pointer gdt_pointer;
static struct trap_table_pointer idt_pointer;
static _Alignas(16) char fault_stacks[TRAP_IST_COUNT][FAULT_STACK_BYTES];

// What enter_kernel writes and the kernel half reads. The addresses in it are those of that half.
static struct {
    struct enter_cpu cpu; // for enter.S; the rest is for the report of a fault
    struct vmem space;
    struct vmem_ops ops; // of space
    enum machine_state state;
    uint64_t hhdm_base;
    uint64_t hhdm_end;
    struct slipway_framebuffer screen;
} kernel_half;

EFI_STATUS enter_own_image(struct plan_loader_image *ret_image) {
    EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
    EFI_LOADED_IMAGE *image;
    EFI_STATUS status = BS->HandleProtocol(firmware_image, &guid, (void **)&image);
    if (EFI_ERROR(status))
        return log_fail(status, "own image: %s", log_status_text(status));
    *ret_image = (struct plan_loader_image){
        .phys = (uintptr_t)image->ImageBase,
        .bytes = align_up(image->ImageSize, FRAME_BYTES),
        .text_start = align_down((uint64_t)(_text - ImageBase), FRAME_BYTES),
        .text_end = align_up((uint64_t)(_etext - ImageBase), FRAME_BYTES),
    };
    return EFI_SUCCESS;
}

static enum vmem_status map_at_itself(struct vmem *space, uint64_t page, unsigned rights,
                                      enum vmem_cache cache) {
    const struct vmem_mapping mapping = {
        .virt = vaddr(page),
        .phys = paddr(page),
        .bytes = FRAME_BYTES,
        .rights = VMEM_READ | rights,
        .cache = cache,
        .largest = VMEM_4K,
    };
    struct vmem_flush flush;
    vmem_flush_begin(&flush, &vmem_unloaded, NULL);
    enum vmem_status status = vmem_map(space, &mapping, &flush);
    vmem_flush_finish(space, &flush);
    return status;
}

struct enter_tables enter_find_tables(void) {
    return (struct enter_tables){(uintptr_t)&gdt, (uintptr_t)&tss, (uintptr_t)idt};
}

enum vmem_status enter_make_crossing(struct vmem *space, const struct enter_pages *pages,
                                     void *context, struct vmem *ret_crossing) {
    uint64_t own_code = align_down((uintptr_t)enter_switch_start, FRAME_BYTES);
    void *own = space->context;
    space->context = context; // a clone allocates by the context of its source
    enum vmem_status status = vmem_clone(space, ret_crossing);
    space->context = own;
    if (status == VMEM_OK)
        status = map_at_itself(ret_crossing, own_code, VMEM_EXECUTE, VMEM_CACHE_WB);
    if (status == VMEM_OK && pages->startup != 0)
        status = map_at_itself(ret_crossing, pages->startup, VMEM_EXECUTE, VMEM_CACHE_WB);
    if (status == VMEM_OK && pages->apic != 0)
        status = map_at_itself(ret_crossing, pages->apic, VMEM_WRITE, VMEM_CACHE_UC);
    return status;
}

// ---- Faults before the kernel has its own IDT

static uint64_t *fault_table_pointer(void *context, paddr_t table) {
    (void)context;
    if (table.value >= kernel_half.hhdm_end - kernel_half.hhdm_base)
        return NULL;
    return (uint64_t *)(uintptr_t)(kernel_half.hhdm_base + table.value);
}

// A fault of the report itself would start the next report, for ever; and another CPU's would be
// mixed with this one.
static unsigned reports_begun;

// For a kernel that relies on rights which its protocol promises: whether the loader's tables give
// less here is told by the tables themselves. It may have put others in their place, or its own
// rights into them.
static void report_stricter_rights(const struct sink *sink, const struct trap_frame *frame) {
    struct vmem_translation translation;
    uint64_t address = cpu_read_cr2();
    if (kernel_half.state == MACHINE_SLIPWAY || frame->vector != VECTOR_PAGE_FAULT ||
        kernel_half.space.root.value != kernel_half.cpu.root || address < kernel_half.hhdm_base ||
        address >= kernel_half.hhdm_end ||
        vmem_translate(&kernel_half.space, vaddr(address), &translation) != VMEM_OK ||
        translation.phys.value != address - kernel_half.hhdm_base)
        return;
    if ((frame->error & PF_FETCH) && !(translation.rights & VMEM_EXECUTE))
        fmt_print(
            sink,
            "slipway: the direct map is not executable here: strict = off in slipway.conf allows it\n");
    else if ((frame->error & PF_WRITE) && !(translation.rights & VMEM_WRITE))
        fmt_print(
            sink,
            "slipway: the kernel's read-only pages are so in the direct map, too: strict = off in slipway.conf allows writes there\n");
}

static void report(const struct sink *sink, const struct trap_frame *frame) {
    fmt_print(sink, "\nslipway: fault before the kernel has its own IDT\n");
    trap_report(sink, frame, &kernel_half.space);
    report_stricter_rights(sink, frame);
    fmt_print(sink, "slipway: stopped\n");
}

// The kernel may run on tables of its own that do not have the loader's window of the framebuffer.
static bool screen_is_mapped(void) {
    const struct slipway_framebuffer *screen = &kernel_half.screen;
    struct vmem_translation translation;
    uint64_t last = (uint64_t)screen->pitch * screen->height - 1;
    return vmem_translate(&kernel_half.space, vaddr(screen->address), &translation) == VMEM_OK &&
           translation.phys.value == screen->address_phys &&
           vmem_translate(&kernel_half.space, vaddr(screen->address + last), &translation) ==
               VMEM_OK &&
           translation.phys.value == screen->address_phys + last;
}

void trap_handle(struct trap_frame *frame) {
    struct sink sink = uart_sink();
    if (__atomic_fetch_add(&reports_begun, 1, __ATOMIC_RELAXED) != 0) {
        fmt_print(&sink, "\nslipway: fault in the fault report: vector %lu, rip 0x%lx, cr2 0x%lx\n",
                  frame->vector, frame->rip, cpu_read_cr2());
        cpu_stop();
    }
    // The kernel may run on tables of its own.
    kernel_half.space.root = paddr(cpu_read_cr3() & CR3_ROOT);
    report(&sink, frame);
    if (screen_is_mapped() && screen_start(&kernel_half.screen)) {
        sink = screen_sink();
        report(&sink, frame);
    }
    cpu_stop();
}

static uint64_t in_kernel_half(const void *pointer, uint64_t slide) {
    return (uintptr_t)pointer + slide;
}

// Code is executable in the loader's window alone.
static void prepare_descriptors(const struct enter_target *target, uint64_t slide) {
    uint64_t to_tables = target->is_direct ? target->hhdm_base : slide;
    tss = (struct trap_tss){.iomap_base = sizeof(tss)};
    for (unsigned i = 0; i < TRAP_IST_COUNT; i++)
        tss.ist[i] = in_kernel_half(fault_stacks[i], to_tables) + FAULT_STACK_BYTES;
    uint16_t gdt_limit = enter_gdt_fill(&gdt, target->state, in_kernel_half(&tss, to_tables));
    trap_idt_fill(idt, in_kernel_half(trap_stubs, slide), enter_selectors_of(target->state).code);
    gdt_pointer = (struct trap_table_pointer){gdt_limit, in_kernel_half(&gdt, to_tables)};
    idt_pointer = (struct trap_table_pointer){sizeof(idt) - 1, in_kernel_half(idt, to_tables)};
    if (target->state == MACHINE_LIMINE_STRICT)
        idt_pointer = (struct trap_table_pointer){0, 0};
}

static void prepare_traps(const struct enter_target *target, uint64_t slide) {
    prepare_descriptors(target, slide);
    kernel_half.state = target->state;
    kernel_half.hhdm_base = target->hhdm_base;
    kernel_half.hhdm_end = target->hhdm_end;
    kernel_half.screen = (struct slipway_framebuffer){0}; // without a width there is none
    if (target->screen_count != 0)
        kernel_half.screen = target->screens[0];
    uint64_t translate = in_kernel_half((const void *)(uintptr_t)fault_table_pointer, slide);
    kernel_half.ops.table_pointer = (uint64_t * (*)(void *, paddr_t))(uintptr_t)translate;
    kernel_half.space = *target->space;
    kernel_half.space.ops =
        (const struct vmem_ops *)(uintptr_t)in_kernel_half(&kernel_half.ops, slide);
}

uint64_t enter_slide(uint64_t loader_virt) {
    return loader_virt - (uintptr_t)ImageBase;
}

struct startup_target enter_startup_target(uint64_t slide) {
    return (struct startup_target){in_kernel_half(enter_loaded, slide),
                                   in_kernel_half(&kernel_half.cpu, slide)};
}

static uint64_t cr0_of(enum machine_state state) {
    uint64_t always = CR0_PE | CR0_ET | CR0_WP | CR0_PG;
    return state == MACHINE_SLIPWAY ? always | CR0_MP | CR0_NE : always;
}

static uint64_t cr4_of(struct cpu_features features, unsigned levels) {
    return CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | (features.mce ? CR4_MCE : 0) |
           (features.smep ? CR4_SMEP : 0) | (features.smap ? CR4_SMAP : 0) |
           (features.umip ? CR4_UMIP : 0) | (levels == 5 ? CR4_LA57 : 0);
}

// Black is 0 in every pixel format.
static void list_clears(const struct enter_target *target, struct enter_clear *ret_clears) {
    _Static_assert(ENTER_CLEARS_MAX == PLAN_FRAMEBUFFERS_MAX);
    ASSERT(target->screen_count <= ENTER_CLEARS_MAX);
    for (uint32_t i = 0; i < target->screen_count; i++) {
        const struct slipway_framebuffer *screen = &target->screens[i];
        ret_clears[i] =
            (struct enter_clear){screen->address, (uint64_t)screen->pitch * screen->height};
    }
}

const struct enter_cpu *enter_prepare(const struct enter_target *target) {
    ASSERT(target->state == MACHINE_SLIPWAY || target->is_direct);
    uint64_t slide = enter_slide(target->loader_virt);
    cpu_interrupts_off();
    cpu_out8(PIC_MASTER_MASK, 0xff);
    cpu_out8(PIC_SLAVE_MASK, 0xff);
    if (target->features.cet) // a kernel that turns CET on starts from nothing
        cpu_wrmsr(MSR_S_CET, 0);
    prepare_traps(target, slide);
    unsigned levels = target->space->levels;
    uint64_t limine_cr4 = CR4_PAE | (levels == 5 ? CR4_LA57 : 0);
    kernel_half.cpu = (struct enter_cpu){
        .crossing_root = target->crossing->root.value,
        .root = target->space->root.value,
        .slide = slide,
        .cr0 = cr0_of(target->state),
        .cr4 = target->state == MACHINE_SLIPWAY ? cr4_of(target->features, levels) : limine_cr4,
        .efer = EFER_LME | EFER_LMA | EFER_NXE,
        .pat = SLIPWAY_PAT,
        .gdt = in_kernel_half(&gdt_pointer, slide),
        .idt = in_kernel_half(&idt_pointer, slide),
        .stack_top = target->stack_top,
        .boot_info = target->boot_info,
        .entry = target->entry,
        .startup = target->startup == 0 ? 0 : startup_boot_entry(target->startup),
        .crossing_cr4 = cr4_of(target->features, target->features.paging_levels) &
                        ~(uint64_t)(CR4_PGE | CR4_SMEP | CR4_SMAP),
        .selectors = enter_selectors_of(target->state),
    };
    if (target->clears_screens)
        list_clears(target, kernel_half.cpu.clears);
    return &kernel_half.cpu;
}

void enter_kernel(void) {
    enter_switch(&kernel_half.cpu);
}
