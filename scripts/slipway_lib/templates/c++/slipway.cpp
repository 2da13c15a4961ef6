// What Slipway enters. slipway_boot.h says what a kernel finds, and what it may ask for in the note.
#include <slipway_boot.h>

SLIPWAY_KERNEL_NOTE(SLIPWAY_BOOT_VERSION, 0, 0, 0, 0, 0, 0);

namespace {

void port_write(uint16_t port, uint8_t value) {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

uint8_t port_read(uint16_t port) {
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

class Serial {
public:
    explicit Serial(uint16_t port) : port_(port) {}

    const Serial &operator<<(const char *text) const {
        for (; *text != '\0'; text++) {
            while ((port_read(port_ + 5) & 0x20) == 0) {
            }
            port_write(port_, static_cast<uint8_t>(*text));
        }
        return *this;
    }

    const Serial &operator<<(uint64_t number) const {
        char text[21];
        char *at = &text[20];
        *at = '\0';
        do
            *--at = static_cast<char>('0' + number % 10);
        while ((number /= 10) != 0);
        return *this << at;
    }

private:
    uint16_t port_;
};

Serial com1(0x3f8);

// Of an array of the loader's: it tells how far its records lie apart.
template <typename Record> const Record &record(const slipway_array &array, uint32_t index) {
    return *reinterpret_cast<const Record *>(array.address + uint64_t{index} * array.stride);
}

} // namespace

extern "C" {

extern void (*__init_array_start[])();
extern void (*__init_array_end[])();

void kernel_start(const slipway_boot_info *boot) {
    for (auto constructor = __init_array_start; constructor != __init_array_end; constructor++)
        (*constructor)();
    uint64_t usable = 0;
    for (uint32_t i = 0; i < boot->memory.count; i++) {
        const auto &memory = record<slipway_memory>(boot->memory, i);
        if (memory.kind == SLIPWAY_MEM_USABLE)
            usable += memory.bytes;
    }
    com1 << "Hello from @NAME@: " << (usable >> 20) << " MiB of memory are free.\n";
    port_write(0xf4, 0x10); // ends QEMU, if `slipway` has started it
    for (;;)
        asm volatile("cli; hlt");
}
}
