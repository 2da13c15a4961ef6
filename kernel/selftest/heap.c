#include "kernel/selftest/heap.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "kernel/base/boot.h"
#include "kernel/base/panic.h"
#include "kernel/console/console.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"

#include <stddef.h>

enum {
    ROUNDS = 4000, // of the running code of all CPUs; each interrupt adds one
    LONG_ROUNDS = 64000,
    SLOTS = 64,
    ROUNDS_PER_RAISE = 8,
    TIMER_US = 5,
    WORDS_MAX = 1024,
    LARGE_BYTES = 8 << 20,
    LEFT_FRAMES = (32 << 20) / FRAME_BYTES, // for the heap, at its end
};

static const uint64_t sizes[] = {0, 1, 16, 17, 100, 511, 1008, 2016, 2017, 4096, 10000, 1 << 20};

// ---- Alone

static void *alloc_filled(uint64_t bytes, uint8_t value) {
    uint8_t *object = heap_alloc(bytes);
    check(object != NULL, "an object");
    memset(object, value, bytes);
    return object;
}

static bool is_filled(const uint8_t *object, uint64_t bytes, uint8_t value) {
    for (uint64_t i = 0; i < bytes; i++) {
        if (object[i] != value)
            return false;
    }
    return true;
}

static void test_sizes(void) {
    uint8_t *object[ARRAY_LEN(sizes)];
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
        object[i] = alloc_filled(sizes[i], (uint8_t)(i + 1));
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        check(is_aligned((uintptr_t)object[i], 16), "an object is aligned to 16");
        check(is_filled(object[i], sizes[i], (uint8_t)(i + 1)), "an object keeps what it is told");
        heap_free(object[i]);
        object[i] = heap_alloc_zeroed(sizes[i]);
        check(object[i] != NULL && is_filled(object[i], sizes[i], 0), "a zeroed object is zero");
    }
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
        heap_free(object[i]);
    heap_free(NULL);
}

// W^X: an object is writable, so it must not execute.
static void test_rights(void) {
    static const uint64_t both[] = {64, 3 * FRAME_BYTES};
    for (unsigned i = 0; i < ARRAY_LEN(both); i++) {
        uint8_t *object = alloc_filled(both[i], 0);
        struct vmem_translation found;
        vaddr_t last = vaddr((uint64_t)(uintptr_t)object + both[i] - 1);
        check_vmem(vmem_translate(space_kernel(), last, &found), VMEM_OK, "finding an object");
        check(space_is_direct(last.value), "an object lies in the direct map");
        check((found.rights & VMEM_WRITE) != 0 && (found.rights & VMEM_EXECUTE) == 0,
              "an object is writable and never executable");
        heap_free(object);
    }
}

// As many objects as several slabs have room for.
static void test_frames(void) {
    enum { OBJECTS = 500, BYTES = 100 };
    void **object = heap_alloc(OBJECTS * sizeof(*object));
    check(object != NULL, "an object for addresses");
    struct heap_statistics before = heap_statistics();
    for (unsigned i = 0; i < OBJECTS; i++)
        object[i] = alloc_filled(BYTES, (uint8_t)i);
    struct heap_statistics now = heap_statistics();
    check(now.objects == before.objects + OBJECTS, "objects are counted");
    check(now.bytes - before.bytes >= OBJECTS * BYTES, "and their bytes");
    check((now.frames - before.frames) * FRAME_BYTES >= OBJECTS * BYTES - FRAME_BYTES,
          "and the frames that they lie in");
    for (unsigned i = 0; i < OBJECTS; i++)
        heap_free(object[i]);
    heap_free(object);
    heap_trim();
    check(heap_statistics().frames <= before.frames, "frames go back when their objects have");
}

static bool keeps_interrupts(bool are_on) {
    void *object = heap_alloc(10);
    bool kept = object != NULL && cpu_interrupts_are_on() == are_on;
    heap_free(object);
    return kept && cpu_interrupts_are_on() == are_on;
}

#ifdef SLIPWAY_DEBUG
static void test_leaks(void) {
    char text[256];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    heap_mark();
    void *leak = heap_alloc(123);
    check(heap_leaks(&sink) == 1, "an object that is not freed is a leak");
    static const char expected[] = "  1 object, 123 bytes: kernel/selftest/heap.c:";
    check(memcmp(text, expected, sizeof(expected) - 1) == 0, "and told by its place");
    heap_free(leak);
    check(heap_leaks(NULL) == 0, "an object that is freed is none");
}
#endif

void selftest_heap(void) {
    test_sizes();
    test_rights();
    test_frames();
    check(heap_alloc(UINT64_MAX) == NULL, "there is no object as large as can be");
    check(heap_alloc(UINT64_C(1) << 46) == NULL, "nor one larger than all memory");
    check(keeps_interrupts(false), "interrupts that were off stay off");
#ifdef SLIPWAY_DEBUG
    test_leaks();
#endif
}

uint64_t selftest_heap_cost(void) {
    enum { TIMES = 256, BYTES = 64 };
    heap_free(heap_alloc(BYTES));
    uint64_t start = cpu_rdtsc();
    for (unsigned i = 0; i < TIMES; i++)
        heap_free(heap_alloc(BYTES));
    return (cpu_rdtsc() - start) / TIMES;
}

// ---- All CPUs at once

// Objects on their way from one CPU to any other; each begins with its size and ends with it.
static uint64_t *slots[SLOTS];
static uint64_t seeds[2 * CPUS_MAX]; // of each CPU: of running code and of interrupts

static uint64_t next_random(uint64_t *seed) { // xorshift64
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

// Half of the objects are of any size, the others of one class, of which a CPU has few at hand.
static uint64_t *make_object(uint64_t random) {
    uint64_t words = random % 2 == 0 ? 100 : 2 + (random >> 8) % (WORDS_MAX - 1);
    uint64_t *object = heap_alloc(words * sizeof(*object));
    if (object == NULL)
        panic("heap: no memory for %lu words", words);
    object[0] = words;
    object[words - 1] = words;
    return object;
}

static void end_object(uint64_t *object) {
    if (object == NULL)
        return;
    uint64_t words = object[0];
    if (words < 2 || words > WORDS_MAX || object[words - 1] != words)
        panic("heap: object 0x%lx was given to two: its words are %lu", (uint64_t)(uintptr_t)object,
              words);
    object[0] = 0;
    heap_free(object);
}

static void exchange(uint64_t *seed) {
    uint64_t random = next_random(seed);
    uint64_t *object = make_object(random);
    end_object(__atomic_exchange_n(&slots[(random >> 40) % SLOTS], object, __ATOMIC_ACQ_REL));
}

static void handle(enum interrupts_source source) {
    (void)source;
    exchange(&seeds[2 * this_cpu() + 1]);
}

static void exchange_many(void *rounds) {
    uint64_t *seed = &seeds[2 * this_cpu()];
    interrupts_try_start(TIMER_US, handle);
    for (unsigned i = 0; i < *(unsigned *)rounds / cpus_started(); i++) {
        exchange(seed);
        if (!cpu_interrupts_are_on())
            panic("heap: interrupts are off after round %u", i);
        if (i % ROUNDS_PER_RAISE == 0)
            interrupts_raise();
    }
    interrupts_try_stop();
}

static void run_all_cpus(unsigned rounds) {
    struct heap_statistics before = heap_statistics();
    for (unsigned i = 0; i < ARRAY_LEN(seeds); i++)
        seeds[i] = i + 1;
    cpus_run(exchange_many, &rounds);
    struct heap_statistics now = heap_statistics();
    uint64_t left = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        left += slots[i] != NULL;
    check(now.objects == before.objects + left, "what is on its way is all that is allocated");
    for (unsigned i = 0; i < SLOTS; i++) {
        end_object(slots[i]);
        slots[i] = NULL;
    }
    check(memory_verify(console_sink()) == 0, "the frame allocator is sound after all");
}

void selftest_heap_cpus(void) {
    run_all_cpus(ROUNDS);
}

void selftest_heap_long(void) {
    run_all_cpus(LONG_ROUNDS);
}

// ---- Exhaustion

// What was taken, each with the one before.
struct taken {
    struct taken *before;
    uint64_t frames;
};

// Takes memory past the heap until there is little: that much is not to be waited for.
static struct taken *take_most(void) {
    struct taken *last = NULL;
    uint64_t free;
    while ((free = memory_free_frames()) > LEFT_FRAMES) {
        uint64_t frames = min_u64(free - LEFT_FRAMES, LARGE_BYTES / FRAME_BYTES);
        struct frames_request request = {.count = frames};
        paddr_t first;
        while (memory_alloc_run(&request, &first) != FRAMES_OK)
            request.count = (request.count + 1) / 2;
        struct taken *taken = memory_frame_bytes(first);
        *taken = (struct taken){last, request.count};
        last = taken;
    }
    return last;
}

static void give_back(struct taken *last) {
    while (last != NULL) {
        struct taken taken = *last;
        paddr_t first = paddr((uint64_t)(uintptr_t)last - boot_info()->hhdm_base);
        check_frames(memory_free_run(first, taken.frames), FRAMES_OK, "freeing what was taken");
        last = taken.before;
    }
}

// Objects of so many bytes until there are no more.
static uint64_t take_all(uint64_t bytes, struct taken **last) {
    uint64_t count = 0;
    struct taken *object;
    while ((object = heap_alloc(bytes)) != NULL) {
        object->before = *last;
        *last = object;
        count++;
    }
    return count;
}

// Sizes fall, so that nothing is left but what smaller classes have at hand.
static void exhaust_heap(void) {
    static const uint64_t falling[] = {LARGE_BYTES, LARGE_BYTES >> 4, LARGE_BYTES >> 8, 3000, 16};
    struct heap_statistics before = heap_statistics();
    struct taken *last = NULL;
    uint64_t count = 0;
    for (unsigned i = 0; i < ARRAY_LEN(falling); i++)
        count += take_all(falling[i], &last);
    check(memory_free_frames() == 0, "small objects take the last frame");
    check(heap_alloc(16) == NULL, "then there is none of them");
    check(heap_alloc(3000) == NULL && heap_alloc(LARGE_BYTES) == NULL, "nor any that is larger");
    check(heap_statistics().objects == before.objects + count, "what was refused is not counted");
    for (; last != NULL; count--) {
        struct taken *object = last;
        last = object->before;
        heap_free(object);
    }
    check(count == 0, "all of them can be freed");
    heap_trim();
    check(heap_statistics().frames <= before.frames, "frames go back when their objects have");
}

void selftest_heap_exhaust(void) {
    struct taken *most = take_most();
    exhaust_heap();
    give_back(most);
    check(memory_verify(console_sink()) == 0, "the frame allocator is sound after all");
}
