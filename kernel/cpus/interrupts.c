#include "kernel/cpus/interrupts.h"

#include "common/x86/cpu.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/shootdown.h"

#include <stddef.h>

enum {
    // 8259A: command and data ports, initialisation words (Intel 8259A data sheet).
    PIC1_COMMAND = 0x20,
    PIC1_DATA = 0x21,
    PIC2_COMMAND = 0xA0,
    PIC2_DATA = 0xA1,
    ICW1_EDGE_CASCADE_ICW4 = 0x11,
    ICW3_SLAVE_ON_2 = 0x04,
    ICW3_SLAVE_ID = 0x02,
    ICW4_8086 = 0x01,
    OCW2_END_OF = 0x60, // and the line
    OCW3_READ_IN_SERVICE = 0x0B,
    PIC_LINES = 8,
    PIC1_LINE_OF_PIC2 = 2,

    PIC1_VECTOR = 0x20, // vectors below are the CPU's own
    PIC2_VECTOR = 0x28,
    COM1_IRQ = 4,
    COM1_VECTOR = PIC1_VECTOR + COM1_IRQ,
    RAISED_VECTOR = 0x30, // no controller's
    TIMER_VECTOR = 0x31,  // of the local APIC
    ALL_MASKED = 0xFF,
};

static void (*com1_handler)(void);

// A CPU that tries interrupts.
static struct {
    interrupts_handler handler; // null: it does not
    unsigned microseconds;
} tried[CPUS_MAX];

// One more may come after interrupts_try_stop, for which it was too late to be stopped.
static void handle_timer(void) {
    unsigned cpu = this_cpu();
    if (tried[cpu].handler != NULL) {
        tried[cpu].handler(INTERRUPTS_TIMER);
        apic_timer_once(TIMER_VECTOR, tried[cpu].microseconds);
    }
}

// Ends a line's interrupt at one controller, if that has it in service: a spurious one, which comes
// as line 7, is not.
static void pic_end_line(uint16_t command, unsigned line) {
    cpu_out8(command, OCW3_READ_IN_SERVICE);
    if (cpu_in8(command) >> line & 1)
        cpu_out8(command, (uint8_t)(OCW2_END_OF | line));
}

// The second controller's are the first one's as well, a spurious one of the second too.
static void pic_end(unsigned irq) {
    if (irq >= PIC_LINES)
        pic_end_line(PIC2_COMMAND, irq - PIC_LINES);
    pic_end_line(PIC1_COMMAND, irq >= PIC_LINES ? PIC1_LINE_OF_PIC2 : irq);
}

// A vector that means nothing here may be the firmware's, still on its way when that left: it ends
// as all do, or it would hold up the others for good.
void interrupts_handle(uint64_t vector) {
    if (vector == COM1_VECTOR && com1_handler != NULL)
        com1_handler();
    else if (vector == TIMER_VECTOR)
        handle_timer();
    else if (vector == INTERRUPTS_SHOOTDOWN_VECTOR)
        shootdown_serve();
    else if (vector == RAISED_VECTOR && tried[this_cpu()].handler != NULL)
        tried[this_cpu()].handler(INTERRUPTS_RAISED);
    if (vector >= PIC1_VECTOR && vector < PIC2_VECTOR + PIC_LINES)
        pic_end((unsigned)vector - PIC1_VECTOR);
    if (apic_is_on())
        apic_end_of_interrupt((uint8_t)vector);
}

// Starts both controllers with COM1's interrupt alone let through and none in service: the data
// sheet does not say that a start ends any.
void interrupts_start_com1(void (*handler)(void)) {
    com1_handler = handler;
    cpu_out8(PIC1_COMMAND, ICW1_EDGE_CASCADE_ICW4);
    cpu_out8(PIC2_COMMAND, ICW1_EDGE_CASCADE_ICW4);
    cpu_out8(PIC1_DATA, PIC1_VECTOR);
    cpu_out8(PIC2_DATA, PIC2_VECTOR);
    cpu_out8(PIC1_DATA, ICW3_SLAVE_ON_2);
    cpu_out8(PIC2_DATA, ICW3_SLAVE_ID);
    cpu_out8(PIC1_DATA, ICW4_8086);
    cpu_out8(PIC2_DATA, ICW4_8086);
    cpu_out8(PIC1_DATA, (uint8_t) ~(1u << COM1_IRQ));
    cpu_out8(PIC2_DATA, ALL_MASKED);
    for (unsigned irq = 0; irq < 2 * PIC_LINES; irq++)
        pic_end(irq);
}

void interrupts_try_start(unsigned microseconds, interrupts_handler handler) {
    unsigned cpu = this_cpu();
    tried[cpu].handler = handler;
    tried[cpu].microseconds = microseconds;
    if (apic_is_on())
        apic_timer_once(TIMER_VECTOR, microseconds);
    cpu_interrupts_on();
}

void interrupts_raise(void) {
    cpu_raise(RAISED_VECTOR);
}

void interrupts_try_stop(void) {
    cpu_interrupts_off();
    if (apic_is_on())
        apic_timer_stop();
    tried[this_cpu()].handler = NULL;
}
