// KASLR: what its generator is seeded with, and that the seed is left nowhere. All else:
// test_kaslr.c.
#include "common/base/addr.h"
#include "common/base/arith.h"
#include "loader/drbg.h"
#include "loader/entropy.h"
#include "loader/firmware.h"
#include "loader/kaslr.h"
#include "loader/timeline.h"
#include "tests/firmware/setup_kaslr.h"

#include <string.h>

static EFI_STATUS EFIAPI locate_none([[maybe_unused]] EFI_GUID *guid,
                                     [[maybe_unused]] void *registration,
                                     [[maybe_unused]] void **ret_interface) {
    return EFI_NOT_FOUND;
}

static EFI_BOOT_SERVICES services = {.LocateProtocol = locate_none};

// So that the next look at the sources, and at the clock, gives the same as the last.
static void begin(uint64_t seed) {
    fake_reset();
    setup_add_sources(SLIPWAY_ENTROPY_RDRAND, seed);
    timeline_init();
}

static uint8_t stack[16384];

// What calls have left below the caller's frame.
[[gnu::noinline, gnu::no_sanitize_address]] static void take_stack(void) {
    const volatile uint8_t *end = (const volatile uint8_t *)__builtin_frame_address(0);
    for (unsigned i = 0; i < sizeof(stack); i++)
        stack[i] = end[(int)i - (int)sizeof(stack)];
}

// Leaves a pattern there, as a function does that does not wipe its variables. It is there often,
// since the next call covers the first of it.
[[gnu::noinline]] static void leave(const uint8_t pattern[8]) {
    volatile uint8_t local[256];
    for (unsigned i = 0; i < sizeof(local); i++)
        local[i] = pattern[i % 8];
}

static bool is_on_stack(const uint8_t bytes[8]) {
    for (unsigned i = 0; i + 8 <= sizeof(stack); i++) {
        if (memcmp(stack + i, bytes, 8) == 0)
            return true;
    }
    return false;
}

// Whether the program's data have these bytes, of a generator.
[[gnu::no_sanitize_address]] static bool is_in_data(const uint8_t bytes[DRBG_STATE_BYTES]) {
    extern const uint8_t __data_start[], _end[];
    for (const volatile uint8_t *at = __data_start; at + DRBG_STATE_BYTES <= _end; at++) {
        unsigned same = 0;
        while (same < DRBG_STATE_BYTES && at[same] == bytes[same])
            same++;
        if (same == DRBG_STATE_BYTES)
            return true;
    }
    return false;
}

static struct kernel kernel; // in one piece

// How far an image is slid that may lie at 512 places and is linked to the first of them.
[[gnu::noinline]] static uint64_t move(uint64_t seed) {
    const struct config config = {.kaslr = CONFIG_KASLR_ON};
    kernel = (struct kernel){.elf = {.type = ELF_TYPE_DYN,
                                     .virt_start = SLIPWAY_KERNEL_DEFAULT,
                                     .virt_end = SLIPWAY_KERNEL_DEFAULT + FRAME_BYTES,
                                     .align = FRAME_BYTES,
                                     .dynamic_bytes = 16},
                             .piece_count = 1};
    begin(seed);
    BS = &services;
    kaslr_move_image(&config, &kernel);
    take_stack();
    BS = NULL;
    assert_int_equal(kaslr_facts()->image_places, 512);
    assert_int_equal(kernel.pieces[0].virt, kernel.elf.slide);
    assert_int_equal(kernel.memory[0].virt, kernel.elf.slide);
    assert_int_equal(kernel.pieces[1].virt, 0);
    assert_int_equal(kernel.memory[1].virt, 0);
    return kernel.elf.slide;
}

TEST("kaslr: what a function leaves on the stack would be seen") {
    static const uint8_t pattern[8] = {0x51, 0xd3, 0x0c, 0xa7, 0x66, 0x9e, 0x1f, 0xb8};
    leave(pattern);
    take_stack();
    assert_true(is_on_stack(pattern));
}

TEST("kaslr: the seed is the entropy and then what it is for, and is forgotten, as the generator") {
    static const char words[] = "Slipway KASLR";
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint8_t all[ENTROPY_BYTES + sizeof(words) - 1];
        struct drbg drbg;
        begin(seed);
        BS = &services;
        (void)entropy_gather(all);
        BS = NULL;
        memcpy(all + ENTROPY_BYTES, words, sizeof(words) - 1);
        drbg_begin(&drbg, all, sizeof(all));
        uint64_t place = drbg_below(&drbg, 512);
        assert_int_equal(move(seed), place * MIB(2));
        assert_false(is_on_stack(all));
        const struct plan_input plan = {.elf = &kernel.elf,
                                        .window_base = plan_choose_window(&kernel.elf),
                                        .hhdm_base = SLIPWAY_HHDM_BASE};
        assert_true(is_in_data(drbg.constant));
        assert_int_not_equal(kaslr_place_direct_map(&kernel, &plan, GIB(1), 4), 0);
        assert_false(is_in_data(drbg.constant));
    }
}
