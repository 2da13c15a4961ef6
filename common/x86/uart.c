// See uart.h.
#include "common/x86/uart.h"

#include "common/x86/cpu.h"

// Registers and bits: National Semiconductor PC16550D, table II.
enum {
    UART_DATA = 0,
    UART_IER = 1,
    UART_FCR = 2, // write-only; reading gives the IIR
    UART_IIR = 2,
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_SCRATCH = 7,

    LCR_8N1 = 0x03,
    LCR_FRAME = 0x3F, // word length, stop bits, parity; 0 (5N1) after a reset
    LCR_DIVISOR = 0x80,
    FCR_ENABLE_CLEAR = 0x07,
    IIR_FIFOS_ENABLED = 0xC0,
    MCR_DTR_RTS_OUT2 = 0x0B,
    MCR_LOOP = 0x10,
    LSR_DATA_READY = 0x01,
    LSR_OVERRUN = 0x02,
    LSR_ROOM = 0x20,
    LSR_EMPTY = 0x40, // nothing left to send, in the FIFO or on the line

    // At 115200 baud a byte takes 87 us, and a port access about 1 us on hardware. A UART that
    // stays full for 10 ms, six times as long as a FIFO of 16 bytes takes, is not draining, and
    // output to it must not hang the boot. Slower ports get proportionally longer, down to 1200
    // baud.
    POLLS_MAX = 10000,
    DIVISOR_115200 = 1,
    DIVISOR_1200 = 96,
};

static bool uart_found; // there is a UART, and it sends
static bool is_ours;    // uart_init has written its registers
static unsigned polls_max;
static bool overrun;

// The registers as uart_init found them; `set_up`: firmware uses the port, its speed stays.
static struct {
    uint8_t ier, lcr, mcr, divisor_low, divisor_high;
    bool set_up;
} before;

// A reading clears the overrun.
static uint8_t read_status(void) {
    uint8_t status = cpu_in8(UART_COM1 + UART_LSR);
    overrun |= (status & LSR_OVERRUN) != 0;
    return status;
}

static bool wait_for(uint8_t status) {
    for (unsigned polls = 0; polls < polls_max; polls++) {
        if (read_status() & status)
            return true;
    }
    return false;
}

static void write_divisor(uint8_t low, uint8_t high, uint8_t lcr) {
    cpu_out8(UART_COM1 + UART_LCR, LCR_DIVISOR | LCR_8N1);
    cpu_out8(UART_COM1 + UART_DATA, low);
    cpu_out8(UART_COM1 + UART_IER, high);
    cpu_out8(UART_COM1 + UART_LCR, lcr);
}

// Reading the divisor does not disturb what is being sent.
static void remember(void) {
    before.lcr = cpu_in8(UART_COM1 + UART_LCR);
    cpu_out8(UART_COM1 + UART_LCR, before.lcr & (uint8_t)~LCR_DIVISOR);
    before.ier = cpu_in8(UART_COM1 + UART_IER);
    before.mcr = cpu_in8(UART_COM1 + UART_MCR);
    cpu_out8(UART_COM1 + UART_LCR, before.lcr | LCR_DIVISOR);
    before.divisor_low = cpu_in8(UART_COM1 + UART_DATA);
    before.divisor_high = cpu_in8(UART_COM1 + UART_IER);
    cpu_out8(UART_COM1 + UART_LCR, before.lcr & (uint8_t)~LCR_DIVISOR);
    unsigned divisor = before.divisor_low | (unsigned)before.divisor_high << 8;
    before.set_up = (before.lcr & LCR_FRAME) != 0 && divisor != 0;
    if (!before.set_up)
        divisor = DIVISOR_115200;
    polls_max = POLLS_MAX * (divisor < DIVISOR_1200 ? divisor : DIVISOR_1200);
}

bool uart_init(void) {
    is_ours = false;
    cpu_out8(UART_COM1 + UART_SCRATCH, 0xA5);
    uart_found = cpu_in8(UART_COM1 + UART_SCRATCH) == 0xA5;
    if (!uart_found)
        return false;
    remember();
    cpu_out8(UART_COM1 + UART_IER, 0);
    // Another speed, or other FIFOs, would lose what is still being sent.
    uart_found = wait_for(LSR_EMPTY);
    if (!uart_found) {
        cpu_out8(UART_COM1 + UART_IER, before.ier);
        return false;
    }
    is_ours = true;
    if (!before.set_up)
        write_divisor(DIVISOR_115200, 0, LCR_8N1);
    if ((cpu_in8(UART_COM1 + UART_IIR) & IIR_FIFOS_ENABLED) != IIR_FIFOS_ENABLED)
        cpu_out8(UART_COM1 + UART_FCR, FCR_ENABLE_CLEAR);
    cpu_out8(UART_COM1 + UART_MCR, (before.mcr | MCR_DTR_RTS_OUT2) & (uint8_t)~MCR_LOOP);
    overrun = false; // of before
    return true;
}

void uart_restore(void) {
    if (!is_ours)
        return;
    if (uart_found)
        (void)wait_for(LSR_EMPTY);
    if (!before.set_up)
        write_divisor(before.divisor_low, before.divisor_high, before.lcr);
    cpu_out8(UART_COM1 + UART_MCR, before.mcr);
    cpu_out8(UART_COM1 + UART_IER, before.ier);
    uart_found = false;
    is_ours = false;
}

bool uart_present(void) {
    return uart_found;
}

// A UART that does not drain counts as absent from then on: a wait for every byte would take
// minutes.
static void uart_put(char byte) {
    uart_found = uart_found && wait_for(LSR_ROOM);
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
    if (!uart_found || !(read_status() & LSR_DATA_READY))
        return -1;
    return cpu_in8(UART_COM1 + UART_DATA);
}

bool uart_overrun(void) {
    bool was_overrun = overrun;
    overrun = false;
    return was_overrun;
}

static void uart_sink_write(void *context, const char *text, size_t bytes) {
    (void)context;
    uart_write(text, bytes);
}

struct sink uart_sink(void) {
    return (struct sink){.write = uart_sink_write};
}
