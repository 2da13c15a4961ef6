// The 16550 at COM1 (I/O port 0x3F8): output by polling, 115200 8N1. Owns the port's registers;
// buffers nothing. Output to a machine without a UART returns at once.
#pragma once

#include "common/base/fmt.h"

#include <stdbool.h>
#include <stdint.h>

#define UART_COM1 0x3F8

// Sets 115200 8N1 with FIFOs, interrupts off. False if no UART answers at the port (its scratch
// register does not keep a value); output is then dropped.
bool uart_init(void);

// Puts the port back as uart_init found it, for those who use it next; output is dropped from then
// on.
void uart_restore(void);

// True after a successful uart_init, until output got stuck.
bool uart_present(void);

// Writes text; '\n' goes out as CR LF. Waits for room, but never longer than a bounded number of
// polls a byte.
void uart_write(const char *text, size_t bytes);

// One received byte, or -1 when there is none.
int uart_read(void);

// A sink on the UART.
struct sink uart_sink(void);
