#include "kernel/selftest/shoot.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/interrupts.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/selftest/check.h"
#include "kernel/selftest/page.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    ROUND_MS = 50,
    TIMER_US = 500,
    USES = 8, // of one operation
    BUSY_PAUSES_MAX = 30,
    CHANGES_ASLEEP = 20, // that CPU 0 makes while the others fall asleep
};

// Two spaces with a lower half of their own, besides the kernel's. The first two pages of each
// owner are in the kernel half.
static struct vmem clones[2];
static struct tlb_space tlbs[2];
static const struct page_space spaces[PAGES_OF_EACH] = {
    {NULL, NULL}, {NULL, NULL}, {&clones[0], &tlbs[0]}, {&clones[1], &tlbs[1]}};

static struct page_owner *owners; // of CPU n those from 2 * n on
static struct tlb_space *current[CPUS_MAX];
static volatile bool is_asleep[CPUS_MAX];
static uint64_t round_end;

static void use_some(struct page_owner *owner) {
    for (unsigned i = 0; i < USES; i++) {
        const struct page_owner *other = &owners[page_owner_choose(owner, 2 * cpus_started())];
        const struct page *page = &other->pages[page_owner_choose(owner, PAGES_OF_EACH)];
        if (page->space->tlb == NULL || page->space->tlb == current[this_cpu()])
            page_use(owner, page);
    }
}

static void switch_space(struct page_owner *owner) {
    unsigned choice = page_owner_choose(owner, 3);
    struct tlb_space *next = choice == 2 ? NULL : &tlbs[choice];
    bool were_on = cpu_interrupts_save();
    shootdown_switch(next);
    current[this_cpu()] = next;
    cpu_interrupts_restore(were_on);
}

// As a CPU without work does. An interrupt ends it, and uses no page.
static void nap(struct page_owner *owner) {
    cpu_interrupts_off();
    is_asleep[this_cpu()] = true;
    shootdown_sleep();
    if (apic_is_on())
        cpu_interrupts_on_wait();
    cpu_interrupts_off();
    shootdown_wake();
    is_asleep[this_cpu()] = false;
    owner->naps++;
    cpu_interrupts_on();
}

// As a CPU that is busy with interrupts off.
static void be_busy(struct page_owner *owner) {
    cpu_interrupts_off();
    for (unsigned i = page_owner_choose(owner, BUSY_PAUSES_MAX); i != 0; i--)
        cpu_pause();
    use_some(owner);
    cpu_interrupts_on();
}

static void handle(enum interrupts_source source) {
    (void)source;
    struct page_owner *owner = &owners[2 * this_cpu() + 1];
    if (is_asleep[this_cpu()])
        return;
    if (page_owner_choose(owner, 2) == 0)
        page_owner_change(owner);
    use_some(owner);
}

static void operate(struct page_owner *owner) {
    unsigned choice = page_owner_choose(owner, 32);
    if (choice < 5)
        page_owner_change(owner);
    else if (choice < 7)
        switch_space(owner);
    else if (choice < 9)
        nap(owner);
    else if (choice < 10)
        be_busy(owner);
    else
        use_some(owner);
}

static void work_here(void *argument) {
    (void)argument;
    interrupts_try_start(TIMER_US, handle);
    while (!clock_reached(round_end))
        operate(&owners[2 * this_cpu()]);
    interrupts_try_stop();
    shootdown_switch(NULL);
    current[this_cpu()] = NULL;
}

static struct frames_request owners_request(void) {
    uint64_t bytes = 2 * cpus_started() * sizeof(struct page_owner);
    return (struct frames_request){.count = align_up(bytes, FRAME_BYTES) / FRAME_BYTES};
}

static paddr_t begin(void) {
    struct frames_request request = owners_request();
    paddr_t frames;
    check_frames(memory_alloc_run(&request, &frames), FRAMES_OK, "frames for owners of pages");
    owners = memory_frame_bytes(frames);
    for (unsigned i = 0; i < 2 * cpus_started(); i++)
        page_owner_start(&owners[i], i, spaces);
    for (unsigned i = 0; i < ARRAY_LEN(clones); i++) {
        struct vmem_flush flush;
        struct vmem *kernel = space_begin(&flush);
        enum vmem_status status = vmem_clone(kernel, &clones[i]);
        space_end(kernel, &flush);
        check_vmem(status, VMEM_OK, "cloning the kernel's space");
        tlbs[i] = tlb_space_make(clones[i].root);
    }
    return frames;
}

static void end(paddr_t frames) {
    for (unsigned i = 0; i < 2 * cpus_started(); i++)
        page_owner_end(&owners[i]);
    for (unsigned i = 0; i < ARRAY_LEN(clones); i++) {
        check(tlbs[i].cpus == 0, "all CPUs have left a space");
        struct vmem_flush flush;
        struct vmem *kernel = space_begin(&flush);
        flush.context = &tlbs[i];
        enum vmem_status status = vmem_destroy(&clones[i], &flush);
        space_end(kernel, &flush);
        check_vmem(status, VMEM_OK, "ending a space");
    }
    check_frames(memory_free_run(frames, owners_request().count), FRAMES_OK,
                 "freeing the owners of pages");
}

static struct selftest_shoot sum_up(unsigned milliseconds, const struct shootdown_counts *before) {
    struct shootdown_counts now = shootdown_counts();
    struct selftest_shoot sum = {
        .milliseconds = milliseconds,
        .records = now.records - before->records,
        .requests = now.requests - before->requests,
        .interrupts = now.interrupts - before->interrupts,
        .missed = now.missed - before->missed,
    };
    for (unsigned i = 0; i < 2 * cpus_started(); i++) {
        sum.changes += owners[i].changes;
        sum.accesses += owners[i].accesses;
        sum.faults += owners[i].faults;
        sum.naps += owners[i].naps;
    }
    return sum;
}

struct selftest_shoot selftest_shoot(unsigned milliseconds) {
    struct shootdown_counts before = shootdown_counts();
    paddr_t frames = begin();
    uint64_t all_end = clock_after((uint64_t)milliseconds * 1000);
    do {
        round_end = clock_after(ROUND_MS * 1000);
        cpus_run(work_here, NULL);
        for (unsigned i = 0; i < CHANGES_ASLEEP; i++)
            page_owner_change(&owners[0]);
    } while (!clock_reached(all_end));
    struct selftest_shoot results = sum_up(milliseconds, &before);
    end(frames);
    return results;
}
