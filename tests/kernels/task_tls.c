// The kernel with thread-local data: it makes a block from the template and reads its variables.
#include "cpu.h"
#include "image.h"
#include "kit.h"
#include "tasks.h"

#ifdef TLS

enum {
    ALIGN = 64,
    BLOCK_BYTES = 4096,
    POINTER_BYTES = 8, // at the base of FS
};

// Relocated where the kernel is slid. Volatile: read through FS, whatever the compiler knows.
static _Thread_local volatile uint64_t number = 0x1122334455667788;
static _Thread_local char *volatile pointer = link_image_start;
static _Thread_local struct {
    _Alignas(ALIGN) volatile uint64_t first;
    volatile uint8_t last;
} zeros;

static _Alignas(ALIGN) uint8_t block[BLOCK_BYTES];

// As slipway_boot.h says.
static uint64_t make_block(void) {
    uint64_t bytes = (boot->tls_bytes + boot->tls_align - 1) & ~(boot->tls_align - 1);
    uint64_t base = (uint64_t)block + bytes;
    const uint8_t *template = (const uint8_t *)boot->tls_address;
    CHECK(bytes + POINTER_BYTES <= sizeof(block), bytes);
    for (uint64_t i = 0; i < boot->tls_file_bytes; i++)
        block[i] = template[i];
    *(uint64_t *)base = base;
    return base;
}

void task_check_tls(void) {
    check_begin("thread-local data is what its template in the image says");
    uint64_t image = (uint64_t)link_image_start;
    CHECK(boot->tls_address > image && boot->tls_address < (uint64_t)link_image_end,
          boot->tls_address);
    CHECK_EQUAL(boot->tls_file_bytes, 16);
    CHECK_EQUAL(boot->tls_bytes, ALIGN + sizeof(zeros));
    CHECK_EQUAL(boot->tls_align, ALIGN);
    write_msr(MSR_FS_BASE, make_block());
    CHECK_EQUAL(number, 0x1122334455667788);
    CHECK_EQUAL((uint64_t)pointer, image);
    CHECK_EQUAL(zeros.first, 0);
    CHECK_EQUAL(zeros.last, 0);
    CHECK_EQUAL((uint64_t)&zeros % ALIGN, 0);
    CHECK((uint64_t)&number >= (uint64_t)block && (uint64_t)&number < (uint64_t)block + 16,
          (uint64_t)&number);
    CHECK_EQUAL((uint64_t)(&zeros + 1), read_msr(MSR_FS_BASE));
    write_msr(MSR_FS_BASE, 0);
}

#else

void task_check_tls(void) {
    check_begin("a kernel without thread-local data has no template");
    CHECK_EQUAL(boot->tls_address | boot->tls_file_bytes | boot->tls_bytes | boot->tls_align, 0);
}

#endif
