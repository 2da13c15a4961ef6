#include "kernel/interrupts.h"

#include "common/x86/cpu.h"
#include "common/x86/uart.h"

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
    OCW2_END_OF_INTERRUPT = 0x20,

    PIC1_VECTOR = 0x20, // vectors below are the CPU's own
    PIC2_VECTOR = 0x28,
    TIMER_IRQ = 0,
    COM1_IRQ = 4,
    TIMER_VECTOR = PIC1_VECTOR + TIMER_IRQ,
    COM1_VECTOR = PIC1_VECTOR + COM1_IRQ,
    RAISED_VECTOR = 0x30, // no controller's
    ALL_MASKED = 0xFF,

    // 8254: channel 0 and control word (Intel 8254 data sheet).
    PIT_CHANNEL_0 = 0x40,
    PIT_CONTROL = 0x43,
    PIT_RATE = 0x34,   // channel 0, low byte then high byte, mode 2: an interrupt every n clocks
    PIT_SILENT = 0x30, // mode 0, which does nothing before a count is written
    PIT_HZ = 1193182,

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
static interrupts_handler tried; // null: nobody is trying interrupts

static void ring_put(char byte) {
    if (ring_written - ring_read < RING_BYTES)
        ring[ring_written++ % RING_BYTES] = byte;
}

// Empties the UART: its interrupt is edge triggered here, so a byte left behind would silence it.
static void receive(void) {
    int byte;
    while ((byte = uart_read()) >= 0)
        ring_put((char)byte);
}

// Any other vector is spurious, from the 8259A (which wants no end of interrupt then) or a local
// APIC.
void interrupts_handle(uint64_t vector) {
    if (vector == COM1_VECTOR) {
        interrupt_seen = true;
        (void)cpu_in8(UART_IIR); // acknowledges "transmitter empty"
        receive();
        cpu_out8(PIC1_COMMAND, OCW2_END_OF_INTERRUPT);
    } else if (vector == TIMER_VECTOR && tried != NULL) {
        tried(INTERRUPTS_TIMER);
        cpu_out8(PIC1_COMMAND, OCW2_END_OF_INTERRUPT);
    } else if (vector == RAISED_VECTOR && tried != NULL) {
        tried(INTERRUPTS_RAISED);
    }
}

// Starts both controllers with one interrupt let through.
static void pic_start(unsigned irq) {
    cpu_out8(PIC1_COMMAND, ICW1_EDGE_CASCADE_ICW4);
    cpu_out8(PIC2_COMMAND, ICW1_EDGE_CASCADE_ICW4);
    cpu_out8(PIC1_DATA, PIC1_VECTOR);
    cpu_out8(PIC2_DATA, PIC2_VECTOR);
    cpu_out8(PIC1_DATA, ICW3_SLAVE_ON_2);
    cpu_out8(PIC2_DATA, ICW3_SLAVE_ID);
    cpu_out8(PIC1_DATA, ICW4_8086);
    cpu_out8(PIC2_DATA, ICW4_8086);
    cpu_out8(PIC1_DATA, (uint8_t) ~(1u << irq));
    cpu_out8(PIC2_DATA, ALL_MASKED);
}

bool input_start(void) {
    pic_start(COM1_IRQ);
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

void interrupts_try_start(unsigned hz, interrupts_handler handler) {
    unsigned clocks = PIT_HZ / hz;
    tried = handler;
    pic_start(TIMER_IRQ);
    cpu_out8(PIT_CONTROL, PIT_RATE);
    cpu_out8(PIT_CHANNEL_0, (uint8_t)clocks);
    cpu_out8(PIT_CHANNEL_0, (uint8_t)(clocks >> 8));
    cpu_interrupts_on();
}

void interrupts_raise(void) {
    cpu_raise(RAISED_VECTOR);
}

void interrupts_try_stop(void) {
    cpu_interrupts_off();
    cpu_out8(PIT_CONTROL, PIT_SILENT);
    cpu_out8(PIC1_DATA, ALL_MASKED);
    tried = NULL;
}
