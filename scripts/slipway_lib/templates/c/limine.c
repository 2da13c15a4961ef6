// A kernel of the Limine boot protocol, base revision 3. What it asks for stands in requests: the
// loader finds each by its id and stores the address of the answer into its last word.
#include <stddef.h>
#include <stdint.h>

#define REQUEST(id2, id3)                                                                          \
    {{0xc7b1dd30df4c8b88, 0x0a82e883a194f07b, id2, id3}, 0, NULL}

struct request {
    uint64_t id[4];
    uint64_t revision;
    const void *volatile response;
};

struct memory_entry {
    uint64_t base, bytes, type; // type 0: usable
};

struct memory_response {
    uint64_t revision, count;
    const struct memory_entry *const *entries;
};

__attribute__((used, aligned(8))) static volatile uint64_t base_revision[3] = {
    0xf9562b2d5c95a6c8, 0x6a7b384944536bdc, 3};

__attribute__((used, aligned(8))) static volatile struct request memory_request =
    REQUEST(0x67cf3d9d378a806f, 0xe304acdfc50c3c62);

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

static _Noreturn void stop(void) {
    for (;;)
        __asm__ volatile("cli; hlt");
}

void kernel_start(void);

void kernel_start(void) {
    const struct memory_response *memory = memory_request.response;
    uint64_t usable = 0;
    if (base_revision[2] != 0 || memory == NULL) {
        print("This loader does not know base revision 3 of the protocol.\n");
        stop();
    }
    for (uint64_t i = 0; i < memory->count; i++) {
        if (memory->entries[i]->type == 0)
            usable += memory->entries[i]->bytes;
    }
    print("Hello from @NAME@: ");
    print_number(usable >> 20);
    print(" MiB of memory are free.\n");
    port_write(DEBUG_EXIT, GOOD); // ends QEMU, if `slipway` has started it
    stop();
}
