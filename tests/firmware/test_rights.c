// Rights of pages: those that the fake firmware enforces in all its tests.
#include "loader/firmware.h"
#include "tests/firmware/setup.h"

#include <setjmp.h>
#include <signal.h>

// ---- A probe: does this access fault?

static sigjmp_buf after_fault;
static uintptr_t fault_address;

static void note_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    fault_address = info->si_code == SEGV_ACCERR ? (uintptr_t)info->si_addr : 0;
    siglongjmp(after_fault, 1);
}

// `access` must fault at `address` for want of a right, if it faults.
static bool faults(void (*access)(uintptr_t), uintptr_t address) {
    struct sigaction before;
    const struct sigaction probe = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO};
    volatile bool has_faulted = true;
    sigaction(SIGSEGV, &probe, &before);
    if (sigsetjmp(after_fault, 1) == 0) {
        access(address);
        has_faulted = false;
    }
    sigaction(SIGSEGV, &before, NULL);
    if (has_faulted)
        assert_int_equal(fault_address, address);
    return has_faulted;
}

// Also where the sanitizer would say that nobody may.
[[gnu::no_sanitize_address]] static void write_same(uintptr_t address) {
    volatile uint8_t *byte = (volatile uint8_t *)address;
    *byte = *byte;
}

static void execute(uintptr_t address) {
    ((void (*)(void))address)();
}

// ---- What is enforced

TEST("rights: what the firmware allocates can be written and not executed") {
    setup_boot(SETUP_CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_true(info->ranges.count > 5);
    for (uint32_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = setup_record(&info->ranges, i);
        if (range->start_phys == FAKE_IMAGE_PHYS)
            continue;
        assert_false(faults(write_same, range->start_phys));
        assert_true(faults(execute, range->start_phys));
    }
}

TEST(
    "rights: the loader's text cannot be written, nor can its constants; its data not be executed") {
    extern const char ImageBase[], _text[], _etext[]; // from image.S
    uint64_t text = (uint64_t)(_text - ImageBase), text_end = (uint64_t)(_etext - ImageBase);
    static const uint8_t constants[] = {1};
    static uint8_t data[] = {0xc3}; // RET
    fake_reset();
    assert_true(faults(write_same, FAKE_IMAGE_PHYS));
    assert_true(faults(execute, FAKE_IMAGE_PHYS));
    assert_true(faults(write_same, FAKE_IMAGE_PHYS + text));
    assert_true(faults(write_same, FAKE_IMAGE_PHYS + text_end - 1));
    assert_true(faults(execute, FAKE_IMAGE_PHYS + text_end));
    assert_false(faults(write_same, FAKE_IMAGE_PHYS + text_end));
    // What runs in these tests for it.
    assert_true(faults(write_same, (uintptr_t)firmware_alloc_pages));
    assert_true(faults(write_same, (uintptr_t)constants));
    assert_true(faults(execute, (uintptr_t)data));
}
