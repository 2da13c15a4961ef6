#include "kernel/console/input.h"

#include "common/x86/cpu.h"
#include "common/x86/uart.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/interrupts.h"

#include <stdint.h>

enum {
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
    if (uart_overrun()) // the bytes that are lost came after all that the UART had room for
        ring_put(INPUT_LOST);
}

static void handle_com1(void) {
    interrupt_seen = true;
    (void)cpu_in8(UART_IIR); // acknowledges "transmitter empty"
    receive();
}

bool input_start(void) {
    interrupts_start_com1(handle_com1);
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

static char ring_take(void) {
    return ring[ring_read++ % RING_BYTES];
}

char input_read(void) {
    while (ring_read == ring_written) {
        cpus_idle(by_interrupt);
        if (!by_interrupt) {
            cpu_pause();
            receive();
        }
    }
    return ring_take();
}

// Interrupts are off, and may have been for long: what the UART has is not in the ring yet.
int input_poll(void) {
    receive();
    return ring_read == ring_written ? -1 : (uint8_t)ring_take();
}
