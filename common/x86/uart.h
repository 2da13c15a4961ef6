// The 16550 at COM1 (I/O port 0x3F8): output by polling. Owns the port's registers; buffers
// nothing. Output to a machine without a UART returns at once.
#pragma once

#include "common/base/fmt.h"

#include <stdbool.h>
#include <stdint.h>

#define UART_COM1 0x3F8

// Takes the port over: interrupts off, FIFOs on. A port that firmware or a loader has set up keeps
// speed and frame; any other gets 115200 8N1. Bytes that are still to be sent are sent first. False
// if there is no UART at the port (its scratch register does not keep a value) or it does not send;
// output is then dropped.
bool uart_init(void);

// Waits until all is sent and puts the port back as uart_init found it, for its next user. Output
// is dropped from then on.
void uart_restore(void);

// True after a successful uart_init, until output got stuck.
bool uart_present(void);

// Writes text; '\n' goes out as CR LF. Waits for room, but never longer than a bounded number of
// polls a byte.
void uart_write(const char *text, size_t bytes);

// One received byte, or -1 when there is none.
int uart_read(void);

// True if received bytes were lost since uart_init or the last call, because nobody read them in
// time. The bytes that uart_read returns are older than the lost ones.
bool uart_overrun(void);

// A sink on the UART.
struct sink uart_sink(void);
