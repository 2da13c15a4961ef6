#include "fault.h"
#include "cpu.h"
#include "kit.h"

enum { EXCEPTIONS = 32, STUB_BYTES = 16, INTERRUPT_GATE = 0x8e, VECTOR_BREAKPOINT = 3 };

// Interrupt gate, SDM 3A 6.14.1.
struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

extern const char fault_stubs[], fault_breakpoint[];
void fault_load_tables(const struct table_register *gdt_register,
                       const struct table_register *idt_register);
_Noreturn void fault_unexpected(void);

static struct gate idt[EXCEPTIONS];
static uint64_t gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};

static struct gate make_gate(uint64_t handler, uint8_t ist) {
    return (struct gate){.offset_low = (uint16_t)handler,
                         .selector = SLIPWAY_CS,
                         .ist = ist,
                         .type = INTERRUPT_GATE,
                         .offset_middle = (uint16_t)(handler >> 16),
                         .offset_high = (uint32_t)(handler >> 32)};
}

static void fill_gates(void) {
    for (unsigned i = 0; i < EXCEPTIONS; i++)
        idt[i] = make_gate((uint64_t)fault_stubs + (uint64_t)i * STUB_BYTES, 0);
}

void fault_take_over_idt(void) {
    fill_gates();
    idt[VECTOR_BREAKPOINT] = make_gate((uint64_t)fault_breakpoint, 1);
    struct table_register idt_register = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" ::"m"(idt_register));
}

void fault_take_over(void) {
    fill_gates();
    struct table_register gdt_register = {sizeof(gdt) - 1, (uint64_t)gdt};
    struct table_register idt_register = {sizeof(idt) - 1, (uint64_t)idt};
    fault_load_tables(&gdt_register, &idt_register);
}

void fault_unexpected(void) {
    check_begin("no exception but those that were asked for");
    CHECK_FAILED("vector of an exception", fault.vector);
    CHECK_FAILED("error code of an exception", fault.error);
    CHECK_FAILED("RIP of an exception", fault.rip);
    CHECK_FAILED("CR2 of an exception", fault.cr2);
    check_finish();
}
