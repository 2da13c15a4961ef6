// A kernel of the Limine boot protocol, base revision 3. What it asks for stands in requests: the
// loader finds each by its id and stores the address of the answer into its last word.
#include <cstddef>
#include <cstdint>

namespace {

struct MemoryEntry {
    uint64_t base, bytes, type; // type 0: usable
};

struct MemoryResponse {
    uint64_t revision, count;
    const MemoryEntry *const *entries;
};

template <typename Response> struct Request {
    uint64_t id[4];
    uint64_t revision;
    const Response *response;
};

[[gnu::used]] alignas(8) volatile uint64_t base_revision[3] = {0xf9562b2d5c95a6c8,
                                                               0x6a7b384944536bdc, 3};

[[gnu::used]] alignas(8) volatile Request<MemoryResponse> memory_request = {
    {0xc7b1dd30df4c8b88, 0x0a82e883a194f07b, 0x67cf3d9d378a806f, 0xe304acdfc50c3c62}, 0, nullptr};

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

[[noreturn]] void stop() {
    for (;;)
        asm volatile("cli; hlt");
}

} // namespace

extern "C" {

extern void (*__init_array_start[])();
extern void (*__init_array_end[])();

void kernel_start() {
    for (auto constructor = __init_array_start; constructor != __init_array_end; constructor++)
        (*constructor)();
    const MemoryResponse *memory = memory_request.response;
    uint64_t usable = 0;
    if (base_revision[2] != 0 || memory == nullptr) {
        com1 << "This loader does not know base revision 3 of the protocol.\n";
        stop();
    }
    for (uint64_t i = 0; i < memory->count; i++) {
        if (memory->entries[i]->type == 0)
            usable += memory->entries[i]->bytes;
    }
    com1 << "Hello from @NAME@: " << (usable >> 20) << " MiB of memory are free.\n";
    port_write(0xf4, 0x10); // ends QEMU, if `slipway` has started it
    stop();
}
}
