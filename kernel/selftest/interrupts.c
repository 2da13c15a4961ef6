#include "kernel/selftest/interrupts.h"

#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/base/panic.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/selftest/check.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    FIRST_VECTOR = 32, // those below are exceptions
    VECTORS = 256,
    SPURIOUS_LINE_7 = 0x27, // of the legacy controllers, as interrupts.c places them
    SPURIOUS_LINE_15 = 0x2F,
    TIMER_VECTOR = 0x31, // it raises itself again when it is handled
    TIMER_US = 5,
    LET_IN_US = 1,       // STI lets them in one instruction later
    LIMIT_US = 10000000, // a virtual CPU waits for a turn on a busy machine
    CLASS_VECTORS = 16,  // one that is in service holds up its class, and those below
};

// How often interrupts_try_start's handler was called on this CPU.
static struct { volatile unsigned timer, raised; } seen[CPUS_MAX];

static void see(enum interrupts_source source) {
    if (source == INTERRUPTS_TIMER)
        seen[this_cpu()].timer++;
    else
        seen[this_cpu()].raised++;
}

static const struct interrupts_counts *own_counts(void) {
    return interrupts_counts(this_cpu());
}

// How many have come to this CPU but those of COM1, at which somebody may type meanwhile.
static uint64_t arrived(void) {
    const struct interrupts_counts *own = own_counts();
    return __atomic_load_n(&own->all, __ATOMIC_ACQUIRE) - own->of[INTERRUPTS_KIND_COM1];
}

// Whatever is pending comes now: a device's that the firmware left firing, or one that the timer
// has raised before it was stopped.
static void let_in(void) {
    cpu_interrupts_on();
    clock_wait(LET_IN_US);
    cpu_interrupts_off();
}

// Until so many have come to this CPU in all. False: they do not.
static bool wait_for(uint64_t all) {
    uint64_t end = clock_after(LIMIT_US);
    while (arrived() < all) {
        if (clock_reached(end))
            return false;
        cpu_pause();
    }
    return true;
}

// True if since `before` `vector` has come, and nothing else but COM1's.
static bool came_once(const struct interrupts_counts *before, unsigned vector) {
    bool was_typed = own_counts()->of[INTERRUPTS_KIND_COM1] != before->of[INTERRUPTS_KIND_COM1];
    uint64_t count = before->all - before->of[INTERRUPTS_KIND_COM1] + 1;
    return arrived() == count && (own_counts()->last == vector || was_typed);
}

// An interrupt of any other vector that had not been ended would hold up the timer's, unless its
// priority is below: so the caller looks at the one that it has raised, too.
static bool timer_comes(void) {
    unsigned before = seen[this_cpu()].timer;
    uint64_t end = clock_after(LIMIT_US);
    interrupts_try_start(TIMER_US, see);
    while (seen[this_cpu()].timer == before && !clock_reached(end))
        cpu_pause();
    interrupts_try_stop();
    return seen[this_cpu()].timer != before;
}

// --- By the local APIC

// The vector is pending before interrupts are let in: it must come once, and be ended.
static void test_own(unsigned vector) {
    let_in();
    struct interrupts_counts before = *own_counts();
    uint64_t count = arrived() + 1;
    apic_send(apic_id(), (uint8_t)vector);
    cpu_interrupts_on();
    bool came = wait_for(count);
    cpu_interrupts_off();
    check(came, "a vector that the local APIC raises comes");
    check(came_once(&before, vector), "it comes once");
    check(!apic_is_in_service((uint8_t)vector), "it is ended");
    if (vector % CLASS_VECTORS == CLASS_VECTORS - 1)
        check(timer_comes(), "the timer comes after a class of vectors");
}

// Each CPU raises every vector on the next one: so most are raised while others are in service.
static void raise_on_next(void *argument) {
    (void)argument;
    unsigned next = (this_cpu() + 1) % cpus_started();
    uint64_t before = arrived();
    cpu_interrupts_on();
    for (unsigned vector = FIRST_VECTOR; vector < VECTORS; vector++)
        apic_send(cpus_apic_id(next), (uint8_t)vector);
    if (!wait_for(before + VECTORS - FIRST_VECTOR))
        panic("self-test: CPU %u has got %lu interrupts of the %u that the CPU before it sent",
              this_cpu(), arrived() - before, VECTORS - FIRST_VECTOR);
    cpu_interrupts_off();
    for (unsigned vector = FIRST_VECTOR; vector < VECTORS; vector++) {
        if (apic_is_in_service((uint8_t)vector))
            panic("self-test: CPU %u has not ended vector %u", this_cpu(), vector);
    }
    if (!timer_comes())
        panic("self-test: the timer of CPU %u comes no more", this_cpu());
}

// --- By INT

// None of these is in service anywhere, so each is handled and ends nothing.
static void test_raised(unsigned vector) {
    struct interrupts_counts before = *own_counts();
    interrupts_raise_vector(vector);
    check(came_once(&before, vector), "a vector that INT raises comes once");
}

static volatile unsigned ended_early; // vectors that ended the timer's interrupt

// Inside of the timer's interrupt every other vector comes by INT.
static void raise_all_inside(enum interrupts_source source) {
    if (source != INTERRUPTS_TIMER) {
        see(source);
        return;
    }
    for (unsigned vector = FIRST_VECTOR; vector < VECTORS; vector++) {
        if (vector == TIMER_VECTOR)
            continue;
        interrupts_raise_vector(vector);
        ended_early += !apic_is_in_service(TIMER_VECTOR);
    }
    see(source);
}

static void test_raised_inside(void) {
    unsigned before = seen[this_cpu()].timer;
    ended_early = 0;
    uint64_t end = clock_after(LIMIT_US);
    interrupts_try_start(TIMER_US, raise_all_inside);
    while (seen[this_cpu()].timer == before && !clock_reached(end))
        cpu_pause();
    interrupts_try_stop();
    check(seen[this_cpu()].timer != before, "the timer came, to be interrupted by INT");
    check(ended_early == 0, "INT ends no interrupt that is in service");
}

// What a legacy controller says when the line that asked asks no more is in service nowhere, as a
// vector by INT is.
static void test_spurious(void) {
    uint64_t before = own_counts()->of[INTERRUPTS_KIND_SPURIOUS_LEGACY];
    interrupts_raise_vector(SPURIOUS_LINE_7);
    interrupts_raise_vector(SPURIOUS_LINE_15);
    check(own_counts()->of[INTERRUPTS_KIND_SPURIOUS_LEGACY] == before + 2,
          "a spurious interrupt of either legacy controller is known as one");
    before = own_counts()->of[INTERRUPTS_KIND_SPURIOUS_APIC];
    interrupts_raise_vector(APIC_SPURIOUS_VECTOR);
    check(own_counts()->of[INTERRUPTS_KIND_SPURIOUS_APIC] == before + 1,
          "a spurious interrupt of the local APIC is known as one");
}

// --- All of it

static struct interrupts_counts counted[CPUS_MAX];

// What was pending at the hand-over is counted.
static void begin(void *argument) {
    (void)argument;
    let_in();
    counted[this_cpu()] = *own_counts();
}

static void end(void *argument) {
    (void)argument;
    let_in();
    interrupts_restore_counts(&counted[this_cpu()]);
}

static void test_by_apic(void) {
    for (unsigned vector = FIRST_VECTOR; vector < VECTORS; vector++)
        test_own(vector);
    test_raised_inside();
    let_in();
    if (cpus_started() > 1)
        cpus_run(raise_on_next, NULL);
}

void selftest_interrupts(void) {
    cpus_run(begin, NULL);
    for (unsigned vector = FIRST_VECTOR; vector < VECTORS; vector++)
        test_raised(vector);
    test_spurious();
    if (apic_is_on())
        test_by_apic();
    cpus_run(end, NULL);
}
