// See trap.h.
#include "common/x86/trap.h"

#include "common/boot/slipway_boot.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"

#include <stddef.h>

enum {
    TSS_AVAILABLE = 0x89,  // present 64-bit TSS, not busy (SDM 3A 7.2.3)
    INTERRUPT_GATE = 0x8e, // present, ring 0, clears IF on entry (SDM 3A 6.14.1)
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_NMI = 2,
    VECTOR_PAGE_FAULT = 14,
    VECTOR_MACHINE_CHECK = 18,
    VECTOR_CONTROL_PROTECTION = 21,
    EXCEPTIONS = 32,

    LEAF_FEATURES = 1,
};

_Static_assert(sizeof(struct trap_tss) == 104, "SDM 3A figure 8-11");
_Static_assert(sizeof(struct trap_gate) == 16, "SDM 3A figure 6-8");
_Static_assert(sizeof(struct trap_gdt) == SLIPWAY_TSS + 16, "the selectors are those of the boot");
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "the entries push these");

void trap_tss_fill(uint64_t ret_slots[2], uint64_t address, uint16_t limit) {
    ret_slots[0] = limit | (address & 0xffffff) << 16 | (uint64_t)TSS_AVAILABLE << 40 |
                   (address >> 24 & 0xff) << 56;
    ret_slots[1] = address >> 32;
}

void trap_gdt_fill(struct trap_gdt *gdt, uint64_t tss_address) {
    *gdt = (struct trap_gdt){.code = TRAP_GDT_CODE, .data = TRAP_GDT_DATA};
    trap_tss_fill(gdt->tss, tss_address, sizeof(struct trap_tss) - 1);
}

static uint8_t ist_of(unsigned vector) {
    switch (vector) {
    case VECTOR_DOUBLE_FAULT:
        return TRAP_IST_DOUBLE_FAULT;
    case VECTOR_NMI:
        return TRAP_IST_NMI;
    case VECTOR_MACHINE_CHECK:
        return TRAP_IST_MACHINE_CHECK;
    case VECTOR_PAGE_FAULT:
        return TRAP_IST_PAGE_FAULT;
    default:
        return TRAP_IST_NONE;
    }
}

void trap_idt_fill(struct trap_gate idt[TRAP_VECTORS], uint64_t stubs_address, uint16_t code) {
    for (unsigned vector = 0; vector < TRAP_VECTORS; vector++) {
        uint64_t stub = stubs_address + (uint64_t)vector * TRAP_STUB_BYTES;
        idt[vector] = (struct trap_gate){
            .offset_low = (uint16_t)stub,
            .selector = code,
            .ist = ist_of(vector),
            .type = INTERRUPT_GATE,
            .offset_middle = (uint16_t)(stub >> 16),
            .offset_high = (uint32_t)(stub >> 32),
        };
    }
}

// Text in place rather than pointers to text: a pointer would be an address from link time.
static const char exception_names[EXCEPTIONS][32] = {
    [0] = "divide error",
    [1] = "debug",
    [2] = "non-maskable interrupt",
    [3] = "breakpoint",
    [4] = "overflow",
    [5] = "bound range exceeded",
    [6] = "invalid opcode",
    [7] = "device not available",
    [8] = "double fault",
    [10] = "invalid TSS",
    [11] = "segment not present",
    [12] = "stack-segment fault",
    [13] = "general protection fault",
    [14] = "page fault",
    [16] = "x87 floating-point error",
    [17] = "alignment check",
    [18] = "machine check",
    [19] = "SIMD floating-point error",
    [20] = "virtualization exception",
    [21] = "control protection exception",
    [28] = "hypervisor injection",
    [29] = "VMM communication",
    [30] = "security exception",
};

const char *trap_name(uint64_t vector) {
    if (vector >= EXCEPTIONS)
        return "interrupt";
    return exception_names[vector][0] != '\0' ? exception_names[vector] : "reserved exception";
}

// SDM 3A 4.7. A reserved bit is a fault of the tables, whatever the access was: it decides the
// words.
static void report_page_fault_code(const struct sink *sink, uint64_t error) {
    const char *access = "read from";
    if (error & PF_FETCH)
        access = "instruction fetch from";
    else if (error & PF_WRITE)
        access = "write to";
    const char *why =
        error & PF_PRESENT ? "a page without that right" : "a page that is not present";
    if (error & PF_RESERVED)
        why = "a page whose tables have a reserved bit set";
    fmt_print(sink, "%s %s, in %s mode", access, why, error & PF_USER ? "user" : "supervisor");
}

// SDM 3A 6.13: bit 0 external event, bit 1 IDT, bit 2 LDT, then the index of the descriptor.
static void report_selector_code(const struct sink *sink, uint64_t error) {
    if (error == 0) {
        fmt_print(sink, "no selector is to blame");
        return;
    }
    const char *table = error & 4 ? "LDT" : "GDT";
    if (error & 2)
        table = "IDT";
    fmt_print(sink, "entry %lu of the %s%s", error >> 3 & 0x1fff, table,
              error & 1 ? ", during an external event" : "");
}

// SDM 3A 6.15, interrupt 21.
static const char control_protection_causes[][24] = {
    "unknown cause", "near return", "far return", "missing ENDBRANCH", "RSTORSSP", "SETSSBSY",
};

static void report_error_code(const struct sink *sink, const struct trap_frame *frame) {
    fmt_print(sink, "  error code 0x%lx: ", frame->error);
    if (frame->vector == VECTOR_PAGE_FAULT) {
        report_page_fault_code(sink, frame->error);
    } else if (frame->vector >= 10 && frame->vector <= 13) {
        report_selector_code(sink, frame->error);
    } else if (frame->vector == VECTOR_CONTROL_PROTECTION) {
        uint64_t cause = frame->error & 0x7fff;
        fmt_print(sink, "%s", control_protection_causes[cause <= 5 ? cause : 0]);
    } else {
        fmt_print(sink, "%s", frame->error == 0 ? "none" : "no meaning known");
    }
    fmt_print(sink, "\n");
}

static void report_registers(const struct sink *sink, const struct trap_frame *f) {
    fmt_print(sink, "  rax %016lx  rbx %016lx  rcx %016lx\n", f->rax, f->rbx, f->rcx);
    fmt_print(sink, "  rdx %016lx  rsi %016lx  rdi %016lx\n", f->rdx, f->rsi, f->rdi);
    fmt_print(sink, "  rbp %016lx  rsp %016lx  rip %016lx\n", f->rbp, f->rsp, f->rip);
    fmt_print(sink, "  r8  %016lx  r9  %016lx  r10 %016lx\n", f->r8, f->r9, f->r10);
    fmt_print(sink, "  r11 %016lx  r12 %016lx  r13 %016lx\n", f->r11, f->r12, f->r13);
    fmt_print(sink, "  r14 %016lx  r15 %016lx  rflags %08lx\n", f->r14, f->r15, f->rflags);
    fmt_print(sink, "  cs %04lx  ss %04lx  cr0 %08lx  cr4 %08lx  efer %04lx\n", f->cs, f->ss,
              cpu_read_cr0(), cpu_read_cr4(), cpu_rdmsr(MSR_EFER));
    fmt_print(sink, "  cr2 %016lx  cr3 %016lx\n", cpu_read_cr2(), cpu_read_cr3());
}

// SDM 3B 16.3.1, 16.3.2. A CPU with machine checks may lack the registers that say more.
static void report_machine_check(const struct sink *sink) {
    if (!(cpu_cpuid(LEAF_FEATURES, 0).edx & CPUID_1_EDX_MCA))
        return;
    fmt_print(sink, "  machine-check status 0x%lx\n", cpu_rdmsr(MSR_MCG_STATUS));
    uint32_t banks = cpu_rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS;
    for (uint32_t bank = 0; bank < banks && bank < MC_BANKS_MAX; bank++) {
        uint64_t status = cpu_rdmsr(MSR_MC_STATUS(bank));
        if (!(status & MC_STATUS_VALID))
            continue;
        fmt_print(sink, "  bank %u: status 0x%lx, %s", bank, status,
                  status & MC_STATUS_UNCORRECTED ? "uncorrected" : "corrected");
        if (status & MC_STATUS_ADDRESS)
            fmt_print(sink, ", address 0x%lx", cpu_rdmsr(MSR_MC_ADDRESS(bank)));
        fmt_print(sink, "\n");
    }
}

void trap_report(const struct sink *sink, const struct trap_frame *frame,
                 const struct vmem *space) {
    fmt_print(sink, "\nCPU exception: %s (vector %lu) at rip 0x%lx\n", trap_name(frame->vector),
              frame->vector, frame->rip);
    report_error_code(sink, frame);
    report_registers(sink, frame);
    if (frame->vector == VECTOR_PAGE_FAULT && space != NULL)
        vmem_dump_walk(space, vaddr(cpu_read_cr2()), sink);
    if (frame->vector == VECTOR_MACHINE_CHECK)
        report_machine_check(sink);
}
