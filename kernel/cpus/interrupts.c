#include "kernel/cpus/interrupts.h"

#include "common/x86/cpu.h"
#include "common/x86/uart.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"

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

    // 16550: interrupt enable register and its bits, interrupt identification (PC16550D table II).
    UART_IER = UART_COM1 + 1,
    UART_IIR = UART_COM1 + 2,
    IER_RECEIVED = 0x01,
    IER_TRANSMITTER_EMPTY = 0x02,

    RING_BYTES = 256, // a power of two
    // Rounds of PAUSE to wait for the trial interrupt: some milliseconds on any CPU.
    TRIAL_ROUNDS = 200000,
};

static char ring[RING_BYTES];
static unsigned ring_written; // both only grow; their difference is what waits
static unsigned ring_read;
static bool by_interrupt;
static volatile bool interrupt_seen;

// A CPU that tries interrupts.
static struct {
    interrupts_handler handler; // null: it does not
    unsigned microseconds;
} tried[CPUS_MAX];

// The last place that is free is for the news that there was no room.
static void ring_put(char byte) {
    unsigned waiting = ring_written - ring_read;
    if (waiting + 1 == RING_BYTES)
        byte = INPUT_LOST;
    if (waiting < RING_BYTES)
        ring[ring_written++ % RING_BYTES] = byte;
}

// Empties the UART: its interrupt is edge triggered here, so a byte left behind would silence it.
static void receive(void) {
    int byte;
    while ((byte = uart_read()) >= 0)
        ring_put((char)byte);
    if (uart_overrun()) // those that the UART had still room for came before
        ring_put(INPUT_LOST);
}

static void handle_com1(void) {
    interrupt_seen = true;
    (void)cpu_in8(UART_IIR); // acknowledges "transmitter empty"
    receive();
}

// One more may come after interrupts_try_stop, for which it was too late to be stopped.
static void handle_timer(void) {
    unsigned cpu = cpus_current();
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
    if (vector == COM1_VECTOR)
        handle_com1();
    else if (vector == TIMER_VECTOR)
        handle_timer();
    else if (vector == RAISED_VECTOR && tried[cpus_current()].handler != NULL)
        tried[cpus_current()].handler(INTERRUPTS_RAISED);
    if (vector >= PIC1_VECTOR && vector < PIC2_VECTOR + PIC_LINES)
        pic_end((unsigned)vector - PIC1_VECTOR);
    if (apic_is_on())
        apic_end_of_interrupt((uint8_t)vector);
}

// Starts both controllers with COM1's interrupt alone let through and none in service: the data
// sheet does not say that a start ends any.
static void pic_start(void) {
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

bool input_start(void) {
    pic_start();
    // "Transmitter empty" is true now, so enabling that interrupt raises it at once: if it arrives,
    // so will the ones for received bytes.
    cpu_out8(UART_IER, IER_TRANSMITTER_EMPTY);
    cpu_interrupts_on();
    for (unsigned round = 0; round < TRIAL_ROUNDS && !interrupt_seen; round++)
        cpu_pause();
    cpu_interrupts_off();
    cpu_out8(UART_IER, IER_RECEIVED);
    receive(); // what came before is in no interrupt
    by_interrupt = interrupt_seen;
    return by_interrupt;
}

char input_read(void) {
    while (ring_read == ring_written) {
        if (by_interrupt) {
            cpu_interrupts_on_wait();
            cpu_interrupts_off();
        } else {
            cpu_pause();
            receive();
        }
    }
    return ring[ring_read++ % RING_BYTES];
}

void interrupts_try_start(unsigned microseconds, interrupts_handler handler) {
    unsigned cpu = cpus_current();
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
    tried[cpus_current()].handler = NULL;
}
