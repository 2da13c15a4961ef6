// Text on COM1 and the end of the machine, for applications that run under the firmware. Port I/O
// of their own: what the firmware's console makes of a text is not what a test wants to read.
#pragma once

#include <efi.h>

static inline void port_write(UINT16 port, UINT8 value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline UINT8 port_read(UINT16 port) {
    UINT8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void serial_byte(char byte) {
    enum { COM1 = 0x3f8, LINE_STATUS = COM1 + 5, LINE_EMPTY = 0x20 };
    while (!(port_read(LINE_STATUS) & LINE_EMPTY))
        ;
    port_write(COM1, (UINT8)byte);
}

static inline void serial_text(const char *text) {
    while (*text)
        serial_byte(*text++);
}

// Names in these tests are ASCII.
static inline void serial_wide(const CHAR16 *text) {
    while (*text)
        serial_byte((char)*text++);
}

static inline void serial_hex(UINT64 value) {
    int digits = 1;
    while (digits < 16 && value >> (4 * digits))
        digits++;
    serial_text("0x");
    while (digits-- > 0)
        serial_byte("0123456789abcdef"[value >> (4 * digits) & 15]);
}

// Ends QEMU with status 2 * value + 1 through its isa-debug-exit device.
_Noreturn static inline void machine_exit(UINT8 value) {
    port_write(0xf4, value);
    for (;;)
        __asm__ volatile("cli; hlt" ::: "memory");
}
