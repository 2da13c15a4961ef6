#include "common/x86/uart.h"

#include "common/x86/cpu.h"

// Registers and bits: National Semiconductor PC16550D, table II.
enum {
    UART_DATA = 0,
    UART_IER = 1,
    UART_FCR = 2,
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_SCRATCH = 7,

    LCR_8N1 = 0x03,
    LCR_DIVISOR = 0x80,
    FCR_ENABLE_CLEAR = 0x07,
    MCR_DTR_RTS_OUT2 = 0x0B,
    LSR_DATA_READY = 0x01,
    LSR_ROOM = 0x20,

    // At 115200 baud a byte takes 87 us; a port access takes about 1 us on hardware. A UART that
    // stays full a hundred times longer is not draining, and output to it must not hang the boot.
    POLLS_MAX = 10000,
};

static bool uart_found;

// The registers as uart_init found them.
static struct { uint8_t ier, lcr, mcr, divisor_low, divisor_high; } before;

bool uart_init(void) {
    cpu_out8(UART_COM1 + UART_SCRATCH, 0xA5);
    uart_found = cpu_in8(UART_COM1 + UART_SCRATCH) == 0xA5;
    if (!uart_found)
        return false;
    before.ier = cpu_in8(UART_COM1 + UART_IER);
    before.lcr = cpu_in8(UART_COM1 + UART_LCR);
    before.mcr = cpu_in8(UART_COM1 + UART_MCR);
    cpu_out8(UART_COM1 + UART_IER, 0);
    cpu_out8(UART_COM1 + UART_LCR, LCR_DIVISOR | LCR_8N1);
    before.divisor_low = cpu_in8(UART_COM1 + UART_DATA);
    before.divisor_high = cpu_in8(UART_COM1 + UART_IER);
    cpu_out8(UART_COM1 + UART_DATA, 1); // divisor 1: 115200
    cpu_out8(UART_COM1 + UART_IER, 0);
    cpu_out8(UART_COM1 + UART_LCR, LCR_8N1);
    cpu_out8(UART_COM1 + UART_FCR, FCR_ENABLE_CLEAR);
    cpu_out8(UART_COM1 + UART_MCR, MCR_DTR_RTS_OUT2);
    return true;
}

void uart_restore(void) {
    if (!uart_found)
        return;
    cpu_out8(UART_COM1 + UART_LCR, LCR_DIVISOR | LCR_8N1);
    cpu_out8(UART_COM1 + UART_DATA, before.divisor_low);
    cpu_out8(UART_COM1 + UART_IER, before.divisor_high);
    cpu_out8(UART_COM1 + UART_LCR, before.lcr);
    cpu_out8(UART_COM1 + UART_MCR, before.mcr);
    cpu_out8(UART_COM1 + UART_IER, before.ier);
    uart_found = false;
}

bool uart_present(void) {
    return uart_found;
}

static bool wait_for_room(void) {
    for (unsigned polls = 0; polls < POLLS_MAX; polls++) {
        if (cpu_in8(UART_COM1 + UART_LSR) & LSR_ROOM)
            return true;
    }
    return false;
}

// A UART that does not drain is none from then on: waiting for every byte would take minutes.
static void uart_put(char byte) {
    uart_found = uart_found && wait_for_room();
    if (uart_found)
        cpu_out8(UART_COM1 + UART_DATA, (uint8_t)byte);
}

void uart_write(const char *text, size_t bytes) {
    for (size_t i = 0; uart_found && i < bytes; i++) {
        if (text[i] == '\n')
            uart_put('\r');
        uart_put(text[i]);
    }
}

int uart_read(void) {
    if (!uart_found || !(cpu_in8(UART_COM1 + UART_LSR) & LSR_DATA_READY))
        return -1;
    return cpu_in8(UART_COM1 + UART_DATA);
}

static void uart_sink_write(void *context, const char *text, size_t bytes) {
    (void)context;
    uart_write(text, bytes);
}

struct sink uart_sink(void) {
    return (struct sink){.write = uart_sink_write};
}
