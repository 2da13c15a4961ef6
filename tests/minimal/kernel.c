// A whole kernel. It says hello on COM1, with the memory it may use, and paints every screen blue.
#include "slipway_boot.h"

static void print(const char *text) {
    for (; *text; text++) {
        uint8_t status;
        do
            __asm__ volatile("inb %1, %0" : "=a"(status) : "d"((uint16_t)0x3fd));
        while (!(status & 0x20)); // until the UART can take a byte
        __asm__ volatile("outb %0, %1" ::"a"(*text), "d"((uint16_t)0x3f8));
    }
}

static void print_number(uint64_t number) {
    char text[21];
    char *first = text + sizeof(text) - 1;
    *first = 0;
    do
        *--first = (char)('0' + number % 10);
    while (number /= 10);
    print(first);
}

static void paint(const struct slipway_framebuffer *screen) {
    for (uint32_t y = 0; y < screen->height; y++) {
        volatile uint32_t *line = (uint32_t *)(screen->address + (uint64_t)y * screen->pitch);
        for (uint32_t x = 0; x < screen->width; x++)
            line[x] = screen->blue_mask;
    }
}

// Slipway jumps here, on a stack of 64 KiB, with the address of the hand-over as first argument.
void kernel_start(const struct slipway_boot_info *boot) {
    uint64_t usable_bytes = 0;
    for (uint32_t i = 0; i < boot->memory.count; i++) {
        const struct slipway_memory *memory =
            (void *)(boot->memory.address + (uint64_t)i * boot->memory.stride);
        if (memory->kind == SLIPWAY_MEM_USABLE)
            usable_bytes += memory->bytes;
    }
    for (uint32_t i = 0; i < boot->framebuffers.count; i++)
        paint((void *)(boot->framebuffers.address + (uint64_t)i * boot->framebuffers.stride));
    print("Hello from a kernel of my own, with ");
    print_number(usable_bytes >> 20);
    print(" MiB of memory to use.\n");
    for (;;)
        __asm__ volatile("hlt");
}
