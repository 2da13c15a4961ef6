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

bool uart_init(void) {
    cpu_out8(UART_COM1 + UART_SCRATCH, 0xA5);
    uart_found = cpu_in8(UART_COM1 + UART_SCRATCH) == 0xA5;
    if (!uart_found)
        return false;
    cpu_out8(UART_COM1 + UART_IER, 0);
    cpu_out8(UART_COM1 + UART_LCR, LCR_DIVISOR | LCR_8N1);
    cpu_out8(UART_COM1 + UART_DATA, 1); // divisor 1: 115200
    cpu_out8(UART_COM1 + UART_IER, 0);
    cpu_out8(UART_COM1 + UART_LCR, LCR_8N1);
    cpu_out8(UART_COM1 + UART_FCR, FCR_ENABLE_CLEAR);
    cpu_out8(UART_COM1 + UART_MCR, MCR_DTR_RTS_OUT2);
    return true;
}

bool uart_present(void) {
    return uart_found;
}

static void uart_put(char byte) {
    for (unsigned polls = 0; polls < POLLS_MAX; polls++) {
        if (cpu_in8(UART_COM1 + UART_LSR) & LSR_ROOM)
            break;
    }
    cpu_out8(UART_COM1 + UART_DATA, (uint8_t)byte);
}

void uart_write(const char *text, size_t bytes) {
    if (!uart_found)
        return;
    for (size_t i = 0; i < bytes; i++) {
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
