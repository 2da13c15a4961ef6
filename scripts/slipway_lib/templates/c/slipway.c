// What Slipway enters. slipway_boot.h says what a kernel finds, and what it may ask for in the note.
#include <slipway_boot.h>

SLIPWAY_KERNEL_NOTE(.version = SLIPWAY_BOOT_VERSION);

enum { COM1 = 0x3f8, LINE_STATUS = COM1 + 5, LINE_EMPTY = 0x20, DEBUG_EXIT = 0xf4, GOOD = 0x10 };

static void port_write(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t port_read(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void print(const char *text) {
    for (; *text != '\0'; text++) {
        while ((port_read(LINE_STATUS) & LINE_EMPTY) == 0) {
        }
        port_write(COM1, (uint8_t)*text);
    }
}

static void print_number(uint64_t number) {
    char text[21];
    char *at = &text[20];
    *at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    print(at);
}

void kernel_start(const struct slipway_boot_info *boot);

void kernel_start(const struct slipway_boot_info *boot) {
    uint64_t usable = 0;
    for (uint32_t i = 0; i < boot->memory.count; i++) {
        const struct slipway_memory *memory =
            (const void *)(boot->memory.address + (uint64_t)i * boot->memory.stride);
        if (memory->kind == SLIPWAY_MEM_USABLE)
            usable += memory->bytes;
    }
    print("Hello from @NAME@: ");
    print_number(usable >> 20);
    print(" MiB of memory are free.\n");
    port_write(DEBUG_EXIT, GOOD); // ends QEMU, if `slipway` has started it
    for (;;)
        __asm__ volatile("cli; hlt");
}
