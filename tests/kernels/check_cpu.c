// The state of the CPU at the first instruction.
#include "checks.h"
#include "cpu.h"
#include "entry.h"
#include "fault.h"
#include "kit.h"

bool fault_sse_works(void);

void check_registers(void) {
    check_begin("RDI is the boot info, an address in the direct map");
    uint64_t rdi = entry_state.registers[ENTRY_RDI];
    CHECK(rdi >= boot->hhdm_base && rdi < boot->hhdm_end, rdi);
    CHECK_EQUAL(boot->magic, SLIPWAY_BOOT_MAGIC);
    CHECK_EQUAL(boot->version, SLIPWAY_BOOT_VERSION);
    check_entry(boot->stack_top);
}

void check_entry(uint64_t stack_top) {
    check_begin("all other general registers are 0");
    for (unsigned i = 0; i < 16; i++)
        if (i != ENTRY_RDI && i != ENTRY_RSP)
            CHECK_EQUAL(entry_state.registers[i], 0);

    check_begin("every flag is clear: interrupts are off and strings go upwards");
    CHECK_EQUAL(entry_state.rflags, RFLAGS_ALWAYS);

    check_begin("RSP is the stack's top, 16-byte aligned minus 8, with return address 0");
    uint64_t rsp = entry_state.registers[ENTRY_RSP];
    CHECK_EQUAL(rsp, stack_top - 8);
    CHECK_EQUAL(rsp % 16, 8);
    CHECK_EQUAL(entry_state.return_address, 0);
}

static void check_cr4(void) {
    uint64_t cr4 = read_cr4();
    uint64_t always = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    struct cpuid_result features = {0};
    if (cpuid(0).eax >= 7)
        features = cpuid(7);
    check_begin("CR4 has PAE PGE OSFXSR OSXMMEXCPT, and LA57 only with 5 levels");
    CHECK_EQUAL(cr4 & always, always);
    CHECK_EQUAL(!!(cr4 & CR4_LA57), boot->paging_levels == 5);
    check_begin("CR4 has MCE SMEP SMAP UMIP exactly where the CPU has them");
    CHECK_EQUAL(!!(cr4 & CR4_MCE), !!(cpuid(1).edx & 1U << 7));
    CHECK_EQUAL(!!(cr4 & CR4_SMEP), !!(features.ebx & 1U << 7));
    CHECK_EQUAL(!!(cr4 & CR4_SMAP), !!(features.ebx & 1U << 20));
    CHECK_EQUAL(!!(cr4 & CR4_UMIP), !!(features.ecx & 1U << 2));
    check_begin("CR4 has nothing else");
    CHECK_EQUAL(cr4 & ~(always | CR4_LA57 | CR4_MCE | CR4_SMEP | CR4_SMAP | CR4_UMIP), 0);
    kit_fact("cr4", cr4);
}

// What FNSTENV stores in 64-bit mode, SDM 1 figure 8-9.
struct fpu_environment {
    uint32_t control, status, tags, instruction[2], operand[2];
};

static void check_fpu(void) {
    struct fpu_environment fpu;
    uint32_t mxcsr;
    __asm__ volatile("fnstenv %0" : "=m"(fpu));
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    check_begin("the FPU is as after FNINIT, its control word 0x37f");
    CHECK_EQUAL(fpu.control & 0xffff, 0x37f);
    CHECK_EQUAL(fpu.status & 0xffff, 0);
    CHECK_EQUAL(fpu.tags & 0xffff, 0xffff);
    check_begin("MXCSR is 0x1f80");
    CHECK_EQUAL(mxcsr, 0x1f80);

    check_begin("SSE instructions work");
    CHECK(fault_sse_works(), 0);
}

void check_control(void) {
    check_begin("CR0 has PE MP ET NE WP PG and nothing else");
    CHECK_EQUAL(read_cr0(), CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);

    check_cr4();
    check_fpu();

    check_begin("EFER has LME LMA NXE and nothing else");
    CHECK_EQUAL(read_msr(MSR_EFER), EFER_LME | EFER_LMA | EFER_NXE);

    check_begin("no breakpoint is enabled");
    CHECK_EQUAL(read_dr7(), DR7_RESET);

    check_begin("the PAT is SLIPWAY_PAT");
    CHECK_EQUAL(read_msr(MSR_PAT), SLIPWAY_PAT);

    check_begin("CR3 is the root that the boot info names");
    CHECK_EQUAL(read_cr3(), boot->root_phys);
    CHECK(boot->paging_levels == 4 || boot->paging_levels == 5, boot->paging_levels);

    check_begin("the legacy PIC is masked");
    CHECK_EQUAL(in8(0x21), 0xff);
    CHECK_EQUAL(in8(0xa1), 0xff);
}

// Segment and system descriptors, SDM 3A 3.4.5 and 8.2.3.
enum { GDT_PRESENT = 0x80, GDT_CODE = 0x18, GDT_DATA_WRITABLE = 0x12, GDT_LONG = 0x20 };
enum { TSS_BUSY = 0x8b, TSS_BYTES = 104, TSS_IST1 = 36, INTERRUPT_STACKS = 7 };
enum { GATE_BYTES = 16, EXCEPTIONS = 32, GATE_INTERRUPT = 0x8e };

static uint8_t access_of(uint64_t descriptor) {
    return (uint8_t)(descriptor >> 40);
}

static void check_selectors(void) {
    check_begin("CS is SLIPWAY_CS; DS SS ES FS GS are SLIPWAY_DS");
    CHECK_EQUAL(entry_state.selectors[0], SLIPWAY_CS);
    for (unsigned i = 1; i < 6; i++)
        CHECK_EQUAL(entry_state.selectors[i], SLIPWAY_DS);

    check_begin("the bases of FS and GS and the one that SWAPGS swaps in are 0");
    CHECK_EQUAL(read_msr(MSR_FS_BASE), 0);
    CHECK_EQUAL(read_msr(MSR_GS_BASE), 0);
    CHECK_EQUAL(read_msr(MSR_KERNEL_GS), 0);
}

static void check_tss(const uint64_t *gdt) {
    check_begin("a TSS is loaded, in loader memory, its interrupt stacks mapped writable, apart");
    uint16_t selector;
    __asm__ volatile("str %0" : "=r"(selector));
    CHECK_EQUAL(selector, SLIPWAY_TSS);
    uint64_t low = gdt[SLIPWAY_TSS / 8];
    uint64_t base = (low >> 16 & 0xffffff) | (low >> 56) << 24 | gdt[SLIPWAY_TSS / 8 + 1] << 32;
    CHECK_EQUAL(access_of(low), TSS_BUSY);
    CHECK((low & 0xffff) >= TSS_BYTES - 1, low & 0xffff);
    CHECK(manifest_in_range(base, TSS_BYTES, manifest_loader_purpose()), base);
    uint64_t tops[INTERRUPT_STACKS];
    memcpy(tops, (const char *)base + TSS_IST1, sizeof(tops));
    for (unsigned i = 0; i < INTERRUPT_STACKS; i++) {
        const struct slipway_mapping *mapping = manifest_find(tops[i] - 1);
        CHECK(!tops[i] || (mapping && mapping->rights == SLIPWAY_RIGHT_WRITE), tops[i]);
        for (unsigned j = 0; j < i; j++)
            CHECK(!tops[i] || tops[i] - tops[j] + PAGE_BYTES > 2 * PAGE_BYTES, tops[i]);
    }
}

static void check_idt(void) {
    check_begin("the IDT is in loader memory; every exception has a handler that is mapped");
    struct table_register idt;
    __asm__ volatile("sidt %0" : "=m"(idt));
    CHECK(idt.limit >= EXCEPTIONS * GATE_BYTES - 1, idt.limit);
    CHECK(manifest_in_range(idt.base, idt.limit + UINT64_C(1), manifest_loader_purpose()),
          idt.base);
    for (unsigned i = 0; i < EXCEPTIONS; i++) {
        const uint64_t *gate = (const uint64_t *)idt.base + 2 * (uint64_t)i;
        uint64_t handler = (gate[0] & 0xffff) | (gate[0] >> 48) << 16 | gate[1] << 32;
        const struct slipway_mapping *mapping = manifest_find(handler);
        CHECK_EQUAL(gate[0] >> 16 & 0xffff, SLIPWAY_CS);
        CHECK_EQUAL(gate[0] >> 40 & 0xff, GATE_INTERRUPT);
        CHECK(mapping && mapping->rights == SLIPWAY_RIGHT_EXECUTE, handler);
    }
}

void check_descriptors(void) {
    check_selectors();
    check_begin("the GDT is in loader memory, with 64-bit code and writable data");
    struct table_register gdt;
    __asm__ volatile("sgdt %0" : "=m"(gdt));
    const uint64_t *entries = (const uint64_t *)gdt.base;
    CHECK(gdt.limit >= SLIPWAY_TSS + 15, gdt.limit);
    CHECK(manifest_in_range(gdt.base, gdt.limit + UINT64_C(1), manifest_loader_purpose()),
          gdt.base);
    uint64_t code = entries[SLIPWAY_CS / 8];
    uint64_t data = entries[SLIPWAY_DS / 8];
    CHECK_EQUAL(access_of(code) & (GDT_PRESENT | GDT_CODE), GDT_PRESENT | GDT_CODE);
    CHECK_EQUAL(code >> 48 & GDT_LONG, GDT_LONG);
    CHECK_EQUAL(access_of(data) & (GDT_PRESENT | GDT_DATA_WRITABLE),
                GDT_PRESENT | GDT_DATA_WRITABLE);
    CHECK_EQUAL(access_of(code) & 0x60, 0); // privilege level 0
    CHECK_EQUAL(access_of(data) & 0x60, 0);
    check_tss(entries);
    check_idt();
}
