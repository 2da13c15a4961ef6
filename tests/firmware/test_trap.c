// The tables and the report of CPU exceptions, bit by bit and word by word (Intel SDM 3A: segments
// 3.4.5, TSS 7.2.3, gates 6.14.1, exceptions 6.3.1 and 6.15, error codes 4.7 and 6.13).
#include "common/x86/trap.h"

#include "common/base/arith.h"
#include "common/boot/slipway_boot.h"
#include "common/x86/regs.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <string.h>

TEST("trap: the GDT has flat segments for code and data, and the TSS in two slots") {
    struct trap_gdt gdt;
    memset(&gdt, 0xff, sizeof(gdt));
    trap_gdt_fill(&gdt, 0x123456789bbcdef1);
    assert_int_equal(gdt.null, 0);
    assert_int_equal(gdt.code, 0x00af9b000000ffff);
    assert_int_equal(gdt.data, 0x00cf93000000ffff);
    assert_int_equal(gdt.tss[0], 0x9b0089bcdef10067);
    assert_int_equal(gdt.tss[1], 0x12345678);
}

TEST("trap: every gate leads to its own stub, and those that need one have a stack of their own") {
    static struct trap_gate idt[TRAP_VECTORS];
    static const uint8_t stacks[TRAP_VECTORS] = {[8] = 1, [2] = 2, [18] = 3, [14] = 4};
    memset(idt, 0xff, sizeof(idt));
    trap_idt_fill(idt, 0x123456789abcf000, 0xfedc);
    for (unsigned i = 0; i < TRAP_VECTORS; i++) {
        const struct trap_gate want = {.offset_low = (uint16_t)(0xf000 + 16 * i),
                                       .selector = 0xfedc,
                                       .ist = stacks[i],
                                       .type = 0x8e,
                                       .offset_middle = 0x9abc,
                                       .offset_high = 0x12345678};
        assert_memory_equal(&idt[i], &want, sizeof(want));
    }
}

static char text[4096];

static const char *report(const struct trap_frame *frame, const struct vmem *space) {
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    fake_reset();
    fake.cpu.root = 0x1234000;
    trap_report(&sink, frame, space);
    assert_int_equal(buffer.dropped, 0);
    return text;
}

TEST("trap: a report has the name, the error code and every register in its place") {
    const struct trap_frame frame = {.r15 = 15,
                                     .r14 = 14,
                                     .r13 = 13,
                                     .r12 = 12,
                                     .r11 = 11,
                                     .r10 = 10,
                                     .r9 = 9,
                                     .r8 = 8,
                                     .rbp = 7,
                                     .rdi = 6,
                                     .rsi = 5,
                                     .rdx = 4,
                                     .rcx = 3,
                                     .rbx = 2,
                                     .rax = 1,
                                     .vector = 6,
                                     .error = 0,
                                     .rip = 0xfedcba9876543210,
                                     .cs = 0x8,
                                     .rflags = 0x202,
                                     .rsp = 0xffffc00000005000,
                                     .ss = 0x10};
    assert_string_equal(report(&frame, NULL),
                        "\n"
                        "CPU exception: invalid opcode (vector 6) at rip 0xfedcba9876543210\n"
                        "  error code 0x0: none\n"
                        "  rax 0000000000000001  rbx 0000000000000002  rcx 0000000000000003\n"
                        "  rdx 0000000000000004  rsi 0000000000000005  rdi 0000000000000006\n"
                        "  rbp 0000000000000007  rsp ffffc00000005000  rip fedcba9876543210\n"
                        "  r8  0000000000000008  r9  0000000000000009  r10 000000000000000a\n"
                        "  r11 000000000000000b  r12 000000000000000c  r13 000000000000000d\n"
                        "  r14 000000000000000e  r15 000000000000000f  rflags 00000202\n"
                        "  cs 0008  ss 0010  cr0 80010001  cr4 00000020  efer 0d00\n"
                        "  cr2 0000000000000000  cr3 0000000001234000\n");
}

TEST("trap: every exception has its name of the manual") {
    static const char *const names[] = {
        "divide error",
        "debug",
        "non-maskable interrupt",
        "breakpoint",
        "overflow",
        "bound range exceeded",
        "invalid opcode",
        "device not available",
        "double fault",
        "reserved exception",
        "invalid TSS",
        "segment not present",
        "stack-segment fault",
        "general protection fault",
        "page fault",
        "reserved exception",
        "x87 floating-point error",
        "alignment check",
        "machine check",
        "SIMD floating-point error",
        "virtualization exception",
        "control protection exception",
        "reserved exception",
        "reserved exception",
        "reserved exception",
        "reserved exception",
        "reserved exception",
        "reserved exception",
        "hypervisor injection",
        "VMM communication",
        "security exception",
        "reserved exception",
        "interrupt",
    };
    for (unsigned vector = 0; vector < ARRAY_LEN(names); vector++) {
        char want[96];
        snprintf(want, sizeof(want), "\nCPU exception: %s (vector %u) at rip 0x0\n", names[vector],
                 vector);
        report(&(struct trap_frame){.vector = vector}, NULL);
        text[strlen(want)] = '\0';
        assert_string_equal(text, want);
    }
}

static void expect_code(uint64_t vector, uint64_t error, const char *want_meaning) {
    char want[128];
    snprintf(want, sizeof(want), "  error code 0x%lx: %s\n", error, want_meaning);
    const struct trap_frame frame = {.vector = vector, .error = error};
    const char *line = strchr(report(&frame, NULL) + 1, '\n') + 1;
    if (strncmp(line, want, strlen(want)) != 0)
        fail_msg("not '%s' in:\n%s", want, text);
}

TEST("trap: the error code of a page fault says who did what to which page") {
    expect_code(14, 0x00, "read from a page that is not present, in supervisor mode");
    expect_code(14, 0x01, "read from a page without that right, in supervisor mode");
    expect_code(14, 0x02, "write to a page that is not present, in supervisor mode");
    expect_code(14, 0x04, "read from a page that is not present, in user mode");
    expect_code(14, 0x09,
                "read from a page whose tables have a reserved bit set, in supervisor mode");
    expect_code(14, 0x10, "instruction fetch from a page that is not present, in supervisor mode");
    expect_code(14, 0x17, "instruction fetch from a page without that right, in user mode");
}

TEST("trap: the error code of a segment fault says which entry of which table") {
    for (uint64_t vector = 10; vector <= 13; vector++) {
        expect_code(vector, 0, "no selector is to blame");
        expect_code(vector, 0x10, "entry 2 of the GDT");
        expect_code(vector, 0x14, "entry 2 of the LDT");
        expect_code(vector, 0x72, "entry 14 of the IDT");
        expect_code(vector, 0x76, "entry 14 of the IDT");
        expect_code(vector, 0x11, "entry 2 of the GDT, during an external event");
        expect_code(vector, 0xffff8, "entry 8191 of the GDT");
    }
    expect_code(9, 0x10, "no meaning known");
}

TEST("trap: the error code of control protection says what was wrong") {
    static const char *const causes[] = {"unknown cause",     "near return", "far return",
                                         "missing ENDBRANCH", "RSTORSSP",    "SETSSBSY",
                                         "unknown cause"};
    for (uint64_t cause = 0; cause < ARRAY_LEN(causes); cause++)
        expect_code(21, 0x8000 + cause, causes[cause]); // bit 15: within an enclave
    expect_code(21, 0x4003, "unknown cause");
}

static uint64_t *empty_table(void *context, paddr_t table) {
    static uint64_t entries[512];
    (void)context;
    return table.value == 0x1234000 ? entries : NULL;
}

TEST("trap: a page fault, and no other, shows the walk of its address if there are tables") {
    static const struct vmem_ops ops = {.table_pointer = empty_table};
    const struct vmem_cpu cpu = {40, true, true};
    struct vmem space;
    assert_int_equal(vmem_adopt(&space, &ops, NULL, cpu, 4, 0x1234000), VMEM_OK);
    static char without[sizeof(text)];
    strcpy(without, report(&(struct trap_frame){.vector = 14}, NULL));
    report(&(struct trap_frame){.vector = 14}, &space);
    assert_memory_equal(text, without, strlen(without));
    assert_non_null(strstr(text + strlen(without), "level 4"));
    strcpy(without, report(&(struct trap_frame){.vector = 13}, NULL));
    assert_string_equal(report(&(struct trap_frame){.vector = 13}, &space), without);
}
