// Machine state at entry: registers, control registers, descriptor tables, stack.
#include "boot.h"
#include "checks.h"
#include "memory.h"
#include "requests.h"
#include "tap.h"

#include <stddef.h>

enum { CODE_SELECTOR = 0x28, DATA_SELECTOR = 0x30, GDT_ENTRIES = 7 };

#define BY_CPU "of the CPU with RSP %lx: %lx"

void expect_general(const struct state *state, uint64_t rdi) {
    const struct entry_state *e = &state->entry;
    const uint64_t zeros[] = {e->rax, e->rcx, e->rdx, e->rbx, e->rbp, e->rsi, e->r8,
                              e->r9,  e->r10, e->r11, e->r12, e->r13, e->r14, e->r15};
    for (size_t i = 0; i < sizeof(zeros) / sizeof(*zeros); i++)
        EXPECT(zeros[i] == 0, "the register of place %lu of RAX RCX RDX RBX RBP RSI R8-R15 is %lx",
               i, zeros[i]);
    EXPECT(e->rdi == rdi, "RDI is %lx, not %lx", e->rdi, rdi);
}

void expect_flags(const struct state *state) {
    uint64_t flags = state->entry.rflags;
    EXPECT(!(flags & (RFLAGS_IF | RFLAGS_DF | RFLAGS_VM)), BY_CPU, state->entry.rsp, flags);
    if (boot.revision >= 5)
        EXPECT(flags == 2, BY_CPU, state->entry.rsp, flags);
}

void expect_selectors(const struct state *state) {
    EXPECT(state->cs == CODE_SELECTOR, "CS is %lx", (uint64_t)state->cs);
    EXPECT(state->ds == DATA_SELECTOR, "DS is %lx", (uint64_t)state->ds);
    EXPECT(state->es == DATA_SELECTOR, "ES is %lx", (uint64_t)state->es);
    EXPECT(state->ss == DATA_SELECTOR, "SS is %lx", (uint64_t)state->ss);
    EXPECT(state->fs == DATA_SELECTOR, "FS is %lx", (uint64_t)state->fs);
    EXPECT(state->gs == DATA_SELECTOR, "GS is %lx", (uint64_t)state->gs);
    EXPECT(state->fs_base == 0, "FS's base is %lx", state->fs_base);
    EXPECT(state->gs_base == 0, "GS's base is %lx", state->gs_base);
}

// Bits of a descriptor that the CPU sets, or that mean nothing where they stand, Intel SDM
// 3A, 3.4.5.
#define ACCESSED  (UINT64_C(1) << 40)
#define AVAILABLE (UINT64_C(1) << 52)
#define SIZE_32   (UINT64_C(1) << 54)
#define PAGES     (UINT64_C(1) << 55)
#define LIMIT     UINT64_C(0x000f00000000ffff)

void expect_gdt(const struct state *state) {
    static const struct {
        uint64_t value, ignored;
    } wanted[GDT_ENTRIES] = {
        {0, 0},
        {UINT64_C(0x00009a000000ffff), ACCESSED | AVAILABLE},
        {UINT64_C(0x000092000000ffff), ACCESSED | AVAILABLE},
        {UINT64_C(0x00cf9a000000ffff), ACCESSED | AVAILABLE},
        {UINT64_C(0x00cf92000000ffff), ACCESSED | AVAILABLE},
        {UINT64_C(0x00209a0000000000), ACCESSED | AVAILABLE | LIMIT | PAGES},
        {UINT64_C(0x0000920000000000), ACCESSED | AVAILABLE | LIMIT | PAGES | SIZE_32},
    };
    uint64_t base = state->gdtr.base, limit = state->gdtr.limit;
    EXPECT(limit >= sizeof(uint64_t) * GDT_ENTRIES - 1, "the limit is %lx", limit);
    EXPECT(is_given(base, limit + 1), "[%lx, +%lx] is not in bootloader-reclaimable memory", base,
           limit);
    const uint64_t *gdt = (const uint64_t *)base;
    for (uint64_t i = 0; i < GDT_ENTRIES && is_given(base, limit + 1); i++)
        EXPECT(((gdt[i] ^ wanted[i].value) & ~wanted[i].ignored) == 0,
               "descriptor %lu is %lx, not like %lx", i, gdt[i], wanted[i].value);
}

void expect_control(const struct state *state) {
    uint64_t cr0 = CR0_PE | CR0_ET | CR0_WP | CR0_PG;
    uint64_t cr4 = CR4_PAE;
    uint64_t efer = EFER_LME | EFER_LMA;
    if (cpuid(0x80000001).edx & CPUID_NX)
        efer |= EFER_NXE;
    EXPECT((state->cr0 & cr0) == cr0, "CR0 is %lx", state->cr0);
    EXPECT((state->cr4 & cr4) == cr4, "CR4 is %lx", state->cr4);
    EXPECT((state->efer & efer) == efer, "EFER is %lx", state->efer);
    if (boot.revision < 5)
        return;
    EXPECT(state->cr0 == cr0, "CR0 is %lx, not %lx", state->cr0, cr0);
    EXPECT((state->cr4 & ~CR4_LA57) == cr4, "CR4 is %lx, not %lx", state->cr4, cr4);
    EXPECT(state->efer == efer, "EFER is %lx, not %lx", state->efer, efer);
}

// The base and limit that TR really has can be read by no instruction.
static void expect_no_task(const struct state *state) {
    uint64_t selector = state->tr & ~UINT64_C(7);
    if (selector == 0)
        return;
    bool is_inside = selector + 15 <= state->gdtr.limit && !(state->tr & 4);
    EXPECT(is_inside, "TR is %lx", (uint64_t)state->tr);
    if (!is_inside)
        return;
    const uint64_t *descriptor = (const uint64_t *)(state->gdtr.base + selector);
    EXPECT((descriptor[0] & UINT64_C(0xff0f00ffffffffff)) == 0 && (uint32_t)descriptor[1] == 0,
           "TR's descriptor is %lx %lx", descriptor[0], descriptor[1]);
}

void expect_tables(const struct state *state) {
    EXPECT(state->idtr.base == 0 && state->idtr.limit == 0, "IDTR is %lx, limit %lx",
           state->idtr.base, (uint64_t)state->idtr.limit);
    EXPECT(state->ldtr == 0, "LDTR is %lx", (uint64_t)state->ldtr);
    expect_no_task(state);
}

void expect_stack(const struct state *state) {
    uint64_t wanted = variant.asks_stack ? WANTED_STACK_BYTES : SMALLEST_STACK_BYTES;
    uint64_t top = state->entry.rsp + 8;
    EXPECT(state->entry.return_address == 0, "the word at RSP is %lx", state->entry.return_address);
    EXPECT(top % 16 == 0, "RSP is %lx: not that of a function just called", state->entry.rsp);
    EXPECT(is_given(top - wanted, wanted),
           "[%lx, %lx) is not all HHDM addresses of bootloader-reclaimable memory", top - wanted,
           top);
    if (is_given(top - wanted, wanted))
        claim(top - wanted - boot.hhdm, wanted, "a stack");
}

static void check_pat(void) {
    static const uint8_t wanted[] = {6, 4, 7, 0, 5, 1};
    tap_check("the PAT's first six entries are WB, WT, UC-, UC, WP and WC");
    if (!(cpuid(1).edx & CPUID_PAT)) {
        tap_skip("this CPU has no PAT");
        return;
    }
    for (unsigned i = 0; i < sizeof(wanted); i++)
        EXPECT((boot.state.pat >> 8 * i & 0xff) == wanted[i], "PAT is %lx", boot.state.pat);
}

void check_cpu(void) {
    const struct state *state = &boot.state;
    tap_check("RIP is the entry: the file's, or that of the entry point request");
    EXPECT(state->entry.start == (variant.asks_entry ? ENTRY_BY_REQUEST : ENTRY_BY_FILE),
           "entered by %lu", state->entry.start);

    tap_check("all general registers but RSP are 0");
    expect_general(state, 0);
    tap_check("RFLAGS has IF, VM and DF clear; from base revision 5 on it is 2");
    expect_flags(state);
    tap_check("CS is 0x28, DS, ES, SS, FS and GS are 0x30, FS and GS have base 0");
    expect_selectors(state);
    tap_check("the GDT lies in bootloader-reclaimable memory, by an HHDM address, as described");
    expect_gdt(state);
    if (is_given(state->gdtr.base, state->gdtr.limit + 1u))
        claim(state->gdtr.base - boot.hhdm, state->gdtr.limit + 1u, "the GDT");
    tap_check("CR0, CR4 and EFER have what is promised; from base revision 5 on nothing else");
    expect_control(state);
    tap_check("IDTR has base and limit 0, LDTR is null, there is no TSS");
    if (boot.revision >= 5)
        expect_tables(state);
    else
        tap_skip("undefined before base revision 5");
    tap_check("RSP is the top of a stack of the size asked for, less a return address of 0");
    expect_stack(state);
    check_pat();
    tap_note("RFLAGS %lx CR0 %lx CR4 %lx EFER %lx PAT %lx", state->entry.rflags, state->cr0,
             state->cr4, state->efer, state->pat);
    tap_note("IDTR %lx:%lx LDTR %lx TR %lx GDTR %lx:%lx RSP %lx", state->idtr.base,
             (uint64_t)state->idtr.limit, (uint64_t)state->ldtr, (uint64_t)state->tr,
             state->gdtr.base, (uint64_t)state->gdtr.limit, state->entry.rsp);
}
