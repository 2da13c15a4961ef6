// The kernel's entropy: every source that there is goes into all of it, one that fails or repeats
// itself does not count, and the loader keeps nothing of it.
#include "common/base/arith.h"
#include "common/hash/sha256.h"
#include "loader/entropy.h"
#include "loader/firmware.h"
#include "loader/timeline.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/setup.h"

#include <string.h>

enum { WORDS = 8, JITTER = SLIPWAY_ENTROPY_JITTER };

static uint64_t firmware_words[WORDS];

// The CPU's generators: a word is `start` and the number of words before; each is ready at the
// `tries`th try.
static struct generator {
    uint64_t start;
    unsigned tries;
    bool repeats;
    unsigned failed; // tries since the last word
    unsigned words;
} generators[2];

static bool generate(struct generator *generator, uint64_t *ret_value) {
    *ret_value = 0; // as the CPU does
    if (++generator->failed < generator->tries)
        return false;
    generator->failed = 0;
    *ret_value = generator->start + (generator->repeats ? 0 : generator->words);
    generator->words++;
    return true;
}

static bool generate_rdrand(uint64_t *ret_value) {
    return generate(&generators[0], ret_value);
}

static bool generate_rdseed(uint64_t *ret_value) {
    return generate(&generators[1], ret_value);
}

// A machine with these sources, in order.
static void set_up(uint32_t sources) {
    setup_boot(NULL);
    for (unsigned i = 0; i < WORDS; i++)
        firmware_words[i] = 0x0123456789abcdef * (i + 1);
    generators[0] = (struct generator){.start = 0x1111111100000000, .tries = 1};
    generators[1] = (struct generator){.start = 0x2222222200000000, .tries = 1};
    fake.rng = sources & SLIPWAY_ENTROPY_FIRMWARE ? firmware_words : NULL;
    fake.rdrand = sources & SLIPWAY_ENTROPY_RDRAND ? generate_rdrand : NULL;
    fake.rdseed = sources & SLIPWAY_ENTROPY_RDSEED ? generate_rdseed : NULL;
}

struct entropy {
    uint8_t bytes[ENTROPY_BYTES];
};

// Boots and expects these sources.
static struct entropy boot(uint32_t sources) {
    struct entropy entropy;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->entropy_sources, sources | JITTER);
    memcpy(&entropy, info->entropy, sizeof(entropy));
    return entropy;
}

// How many of the 512 bits differ: half of them, if the two have nothing to do with each other.
static void assert_unlike(const void *one, const void *other, uint64_t bytes) {
    unsigned bits = 0;
    for (uint64_t i = 0; i < bytes; i++)
        bits +=
            (unsigned)__builtin_popcount(((const uint8_t *)one)[i] ^ ((const uint8_t *)other)[i]);
    assert_in_range(bits, bytes * 4 - bytes, bytes * 4 + bytes);
}

static const uint32_t single[] = {SLIPWAY_ENTROPY_FIRMWARE, SLIPWAY_ENTROPY_RDSEED,
                                  SLIPWAY_ENTROPY_RDRAND};

TEST("entropy: the sources are those that the machine has, any of them") {
    for (uint32_t sources = 0; sources < 8; sources++) {
        set_up(sources);
        struct entropy first = boot(sources);
        set_up(sources);
        struct entropy again = boot(sources); // the fake's clock is the same, too
        assert_memory_equal(&first, &again, sizeof(first));
        assert_unlike(first.bytes, first.bytes + 32, 32);
    }
}

static void change_source(uint32_t source) {
    if (source == SLIPWAY_ENTROPY_FIRMWARE)
        firmware_words[WORDS - 1] ^= 1;
    else
        generators[source == SLIPWAY_ENTROPY_RDSEED].start ^= 1;
}

TEST("entropy: each source changes all of it, whatever the others are") {
    for (uint32_t sources = 1; sources < 8; sources++) {
        set_up(sources);
        struct entropy plain = boot(sources);
        for (unsigned i = 0; i < ARRAY_LEN(single); i++) {
            if (!(sources & single[i]))
                continue;
            set_up(sources);
            change_source(single[i]);
            struct entropy changed = boot(sources);
            assert_unlike(&plain, &changed, 32);
            assert_unlike(plain.bytes + 32, changed.bytes + 32, 32);
        }
    }
}

static void wait_for_disk([[maybe_unused]] uint64_t bytes) {
    fake_pass_time(1);
}

TEST("entropy: the time that the disk takes changes all of it") {
    for (uint32_t sources = 0; sources < 8; sources += 7) {
        set_up(sources);
        struct entropy plain = boot(sources);
        set_up(sources);
        fake.in_read = wait_for_disk;
        struct entropy changed = boot(sources);
        assert_unlike(&plain, &changed, 32);
        assert_unlike(plain.bytes + 32, changed.bytes + 32, 32);
    }
}

static uint32_t reads;
static uint32_t slow_read; // of which number, from 1

static void wait_once([[maybe_unused]] uint64_t bytes) {
    if (++reads == slow_read)
        fake_pass_time(1);
}

static struct entropy boot_slowly(uint32_t read) {
    setup_boot(SETUP_CONFIG);
    fake.in_read = wait_once;
    reads = 0;
    slow_read = read;
    return boot(0);
}

TEST("entropy: of two boots that take the same time in all, the stages' own times set them apart") {
    struct entropy first = boot_slowly(1);
    assert_true(reads > 3);
    struct entropy last = boot_slowly(reads);
    assert_unlike(&first, &last, sizeof(first));
}

TEST("entropy: a generator of the CPU may fail 9 or 99 times for each word, and not once more") {
    static const unsigned most[] = {10, 100};
    static const uint32_t sources[] = {SLIPWAY_ENTROPY_RDRAND, SLIPWAY_ENTROPY_RDSEED};
    for (unsigned i = 0; i < 2; i++) {
        set_up(7);
        generators[i].tries = most[i];
        boot(7);
        assert_int_equal(generators[i].words, WORDS);
        set_up(7);
        generators[i].tries = most[i] + 1;
        boot(7 & ~sources[i]);
        assert_int_equal(generators[i].words, 0);
        assert_int_equal(generators[i].failed, most[i]);
    }
}

static unsigned pauses;

static void count_pause(void) {
    pauses++;
}

TEST("entropy: the CPU waits for RDSEED's source between two tries") {
    set_up(SLIPWAY_ENTROPY_RDSEED);
    generators[1].tries = 100;
    fake.in_pause = count_pause;
    pauses = 0;
    boot(SLIPWAY_ENTROPY_RDSEED);
    assert_int_equal(pauses, 99 * WORDS);
}

TEST("entropy: a source that gives a number twice in a row does not count") {
    for (unsigned i = 0; i < 2; i++) {
        set_up(7);
        generators[i].repeats = true;
        boot(7 & ~(i == 0 ? SLIPWAY_ENTROPY_RDRAND : SLIPWAY_ENTROPY_RDSEED));
    }
    set_up(7);
    memset(firmware_words, 0xff, sizeof(firmware_words));
    boot(7 & ~SLIPWAY_ENTROPY_FIRMWARE);
    for (unsigned i = 1; i < WORDS; i++) { // twice in a row is enough
        set_up(7);
        firmware_words[i] = firmware_words[i - 1];
        boot(7 & ~SLIPWAY_ENTROPY_FIRMWARE);
    }
    set_up(7);
    firmware_words[WORDS - 1] = firmware_words[0];
    boot(7);
}

TEST("entropy: firmware that writes less than it says is no source") {
    for (uint64_t words = 0; words <= WORDS; words++) {
        set_up(7);
        fake.rng_writes = words * 8;
        fake.rng_is_short = true;
        boot(words < WORDS - 1 ? 7 & ~SLIPWAY_ENTROPY_FIRMWARE : 7);
    }
}

TEST("entropy: firmware that fails to give random numbers is no source, and no harm") {
    for (int failing = FAKE_LOCATE_PROTOCOL; failing != 0;
         failing = failing == FAKE_LOCATE_PROTOCOL ? FAKE_GET_RNG : 0) {
        set_up(7);
        fake.refused = (enum fake_call)failing;
        boot(7 & ~SLIPWAY_ENTROPY_FIRMWARE);
    }
}

static struct cpuid without_leaf_7(uint32_t leaf, uint32_t subleaf) {
    fake.cpuid = NULL;
    struct cpuid registers = cpu_cpuid(leaf, subleaf);
    fake.cpuid = without_leaf_7;
    if (leaf == 0)
        registers.eax = 6;
    return registers;
}

TEST("entropy: a CPU whose CPUID does not reach leaf 7 has no RDSEED, whatever stands there") {
    set_up(SLIPWAY_ENTROPY_RDSEED);
    fake.cpuid = without_leaf_7;
    fake_boot();
    assert_int_equal(generators[1].words, 0);
}

// What goes into a half of it, if the last reading of the TSC is `now`.
static uint64_t put_material(uint64_t words[64], uint64_t half, const struct slipway_stage *stages,
                             uint32_t stage_count, uint64_t now) {
    uint64_t used = 0;
    words[used++] = half;
    for (unsigned i = 0; i < WORDS; i++)
        words[used++] = firmware_words[i];
    for (unsigned i = 0; i < 2 * WORDS; i++)
        words[used++] = generators[i < WORDS].start + i % WORDS; // RDSEED's first
    for (uint32_t i = 0; i < stage_count; i++)
        words[used++] = stages[i].tsc_end;
    words[used++] = now;
    return used * sizeof(words[0]);
}

TEST("entropy: each half is the digest of its number, what each source gave, and the times") {
    set_up(7);
    struct entropy found = boot(7);
    const struct slipway_boot_info *info = setup_expect_kernel();
    struct entropy made = {0};
    uint64_t words[64];
    for (uint32_t count = 1; count < info->stages.count; count++) {
        const struct slipway_stage *stages = setup_record(&info->stages, 0);
        // It is gathered behind these stages, before the next one ends.
        for (uint64_t now = stages[count - 1].tsc_end;
             now < stages[count].tsc_end && memcmp(&made, &found, sizeof(made)) != 0;
             now += FAKE_TSC_STEP) {
            for (uint64_t half = 0; half < 2; half++) {
                uint64_t bytes = put_material(words, half, stages, count, now);
                sha256(words, bytes, made.bytes + half * SHA256_BYTES);
            }
        }
    }
    assert_memory_equal(&made, &found, sizeof(made));
}

// All that went into it lies side by side: what the firmware gave, and before and after it.
TEST("entropy: nothing of it is left in the loader's memory") {
    enum { BEFORE = sizeof(struct sha256) + 8, AFTER = 2 * ENTROPY_BYTES + 8 };
    set_up(7);
    boot(7);
    static const uint8_t nothing[BEFORE + ENTROPY_BYTES + AFTER];
    assert_non_null(fake.rng_buffer);
    assert_memory_equal(fake.rng_buffer - BEFORE, nothing, sizeof(nothing));
}

static EFI_STATUS EFIAPI locate_none([[maybe_unused]] EFI_GUID *guid,
                                     [[maybe_unused]] void *registration,
                                     [[maybe_unused]] void **ret_interface) {
    return EFI_NOT_FOUND;
}

static uint8_t stack[8192];

// What calls have left below the caller's frame, and below what they save of the caller's
// registers.
[[gnu::noinline, gnu::no_sanitize_address]] static void take_stack(void) {
    const volatile uint8_t *end = (const volatile uint8_t *)__builtin_frame_address(0) - 64;
    for (unsigned i = 0; i < sizeof(stack); i++)
        stack[i] = end[(int)i - (int)sizeof(stack)];
}

// From RDRAND alone.
[[gnu::noinline]] static void gather(void) {
    static EFI_BOOT_SERVICES services = {.LocateProtocol = locate_none};
    static uint8_t entropy[ENTROPY_BYTES];
    timeline_init();
    BS = &services;
    uint32_t sources = entropy_gather(entropy);
    take_stack();
    BS = NULL;
    assert_int_equal(sources, SLIPWAY_ENTROPY_RDRAND | JITTER);
}

TEST("entropy: what is left on the stack is the same whatever the sources gave") {
    static uint8_t first[sizeof(stack)];
    set_up(SLIPWAY_ENTROPY_RDRAND);
    gather();
    memcpy(first, stack, sizeof(stack));
    set_up(SLIPWAY_ENTROPY_RDRAND);
    generators[0].start ^= 0x5555555555555555;
    gather();
    assert_memory_equal(stack, first, sizeof(stack));
}
