// Rights of pages: those that the fake firmware enforces in all its tests, and code of the loader's
// in pages that it has allocated.
#include "common/base/arith.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "tests/firmware/setup.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

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

// ---- Code in pages of data

enum { PAGES = 3 };
static uint64_t start; // of pages, the first two of which are to be code

static void allocate(uint64_t *ret_start) {
    assert_int_equal(
        firmware_alloc_pages(PAGES * FRAME_BYTES, FRAME_BYTES, SLIPWAY_RANGE_LOADER, ret_start),
        EFI_SUCCESS);
}

// Between two other ranges, which stay data.
static void begin(bool has_attributes, uint64_t attributes) {
    uint64_t other;
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake.has_attributes = has_attributes;
    fake.attributes = attributes;
    fake_boot(); // which leaves the firmware's tables known
    log_init();
    allocate(&other);
    allocate(&start);
    allocate(&other);
    for (unsigned i = 0; i < PAGES; i++)
        *(uint8_t *)firmware_pointer(start + i * FRAME_BYTES) = 0xc3; // RET
}

static EFI_STATUS make_code(void) {
    return firmware_make_executable(start, 2 * FRAME_BYTES);
}

static void expect_rights(unsigned page, bool writable, bool executable) {
    uintptr_t address = start + page * FRAME_BYTES;
    assert_int_equal(!faults(write_same, address), writable);
    assert_int_equal(!faults(execute, address), executable);
}

static void expect_code(void) {
    expect_rights(0, false, true);
    expect_rights(1, false, true);
    expect_rights(2, true, false);
    assert_string_equal(log_failure(), "");
}

// Frees the pages, which takes so many calls, and the rest.
static void end(uint64_t calls) {
    uint64_t before = fake.calls;
    firmware_free_pages(start);
    assert_int_equal(fake.calls, before + calls);
    firmware_free_all();
    assert_string_equal(fake.breach, "");
    assert_int_equal(fake_allocated_pages(), 0);
}

TEST("rights: pages become code, the others stay data, and all are data when they go back") {
    begin(true, FAKE_XP);
    assert_int_equal(make_code(), EFI_SUCCESS);
    expect_code();
    end(3);
    begin(true, FAKE_XP);
    assert_int_equal(make_code(), EFI_SUCCESS);
    firmware_free_all();
    end(0);
}

TEST("rights: what can be executed already stops being writable, and is so again at the end") {
    begin(true, 0);
    assert_int_equal(make_code(), EFI_SUCCESS);
    expect_code();
    end(2);
}

TEST("rights: what cannot be written becomes executable, and is not at the end") {
    begin(true, FAKE_XP | FAKE_RO);
    assert_int_equal(make_code(), EFI_SUCCESS);
    expect_code();
    end(2);
}

TEST("rights: code is data again when it goes back, even if the firmware finds no protocol then") {
    begin(true, FAKE_XP);
    assert_int_equal(make_code(), EFI_SUCCESS);
    fake.refused = FAKE_LOCATE_PROTOCOL;
    end(3);
}

TEST("rights: firmware that cannot change them is asked nothing, and that is no failure") {
    begin(false, FAKE_XP);
    uint64_t calls = fake.calls;
    assert_int_equal(make_code(), EFI_SUCCESS);
    assert_int_equal(fake.calls, calls + 1);
    expect_rights(0, true, false);
    assert_string_equal(log_failure(), "");
    end(1);
}

TEST("rights: whichever call fails is said, with the pages, and all are data when they go back") {
    static const struct {
        enum fake_call refused;
        bool writable;
        uint64_t calls; // when the pages go back
    } cases[] = {{FAKE_GET_ATTRIBUTES, true, 1},
                 {FAKE_SET_ATTRIBUTES, true, 1},
                 {FAKE_CLEAR_ATTRIBUTES, false, 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char want[128];
        begin(true, FAKE_XP);
        fake.refused = cases[i].refused;
        fake.fail_status = EFI_UNSUPPORTED;
        assert_int_equal(make_code(), EFI_UNSUPPORTED);
        snprintf(want, sizeof(want),
                 "code at [0x%lx, 0x%lx): cannot be made executable (unsupported)", start,
                 start + 2 * FRAME_BYTES);
        assert_string_equal(log_failure(), want);
        expect_rights(0, cases[i].writable, false);
        expect_rights(2, true, false);
        fake.refused = FAKE_NONE;
        end(cases[i].calls);
    }
}
