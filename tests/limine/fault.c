#include "fault.h"
#include "cpu.h"
#include "tap.h"

enum { STUBS = 32, STUB_BYTES = 16, CODE = 0x28, GATE_INTERRUPT = 0x8e };

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t stack;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t unused;
};

// As the protocol's, of which the first 64-bit ones are used.
static const uint64_t gdt[] = {
    0, 0, 0, 0, 0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff)};
static struct gate idt[STUBS];

extern const uint8_t fault_stubs[STUBS][STUB_BYTES] __attribute__((visibility("hidden")));
void fault_load_tables(const struct table_register *gdt_register,
                       const struct table_register *idt_register);
_Noreturn void fault_unexpected(uint64_t vector, uint64_t error, uint64_t rip, uint64_t cr2);

void fault_start(void) {
    for (int i = 0; i < STUBS; i++) {
        uint64_t stub = (uint64_t)fault_stubs[i];
        idt[i] = (struct gate){.offset_low = (uint16_t)stub,
                               .selector = CODE,
                               .type = GATE_INTERRUPT,
                               .offset_middle = (uint16_t)(stub >> 16),
                               .offset_high = (uint32_t)(stub >> 32)};
    }
    struct table_register gdtr = {sizeof(gdt) - 1, (uint64_t)gdt};
    struct table_register idtr = {sizeof(idt) - 1, (uint64_t)idt};
    fault_load_tables(&gdtr, &idtr);
}

void fault_unexpected(uint64_t vector, uint64_t error, uint64_t rip, uint64_t cr2) {
    tap_bail_out("exception %lu, error code %lx, RIP %lx, CR2 %lx", vector, error, rip, cr2);
}
