#include "kernel/selftest/processes.h"

#include "common/base/mem.h"
#include "common/x86/cpu.h"
#include "kernel/base/clock.h"
#include "kernel/base/layout.h"
#include "kernel/base/panic.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/heap.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/memory/memory.h"
#include "kernel/process/process.h"
#include "kernel/programs/slipway_user.h"
#include "kernel/selftest/check.h"

#include <stddef.h>

enum {
    CHILDREN = 3, // of a worker, which returns that
    SLOTS = 12,   // workers at once
    RUN_US = 1000,
    SHORT_MS = 30,
    LONG_MS = 3000,
    ENTRY_OFFSET = 24, // of an ELF file's header
};

extern const uint8_t process_file[], process_file_end[];
extern const uint8_t process_worker[], process_spin[];

// Without a check: how often it is called is not the same in each run.
static uint32_t start(const uint8_t *entry) {
    uint64_t bytes = (uint64_t)(process_file_end - process_file);
    uint8_t *file = heap_alloc(bytes);
    if (file == NULL)
        panic("self-test: there is no memory for a program's file");
    memcpy(file, process_file, bytes);
    uint64_t offset = (uint64_t)(entry - process_file), address;
    memcpy(&address, file + ENTRY_OFFSET, sizeof(address));
    address += offset - (uint64_t)(process_worker - process_file);
    memcpy(file + ENTRY_OFFSET, &address, sizeof(address));
    uint32_t pid = 0;
    const char *refusal = process_start("test", file, bytes, true, &pid);
    heap_free(file);
    if (refusal != NULL)
        panic("self-test: a process cannot be started: %s", refusal);
    return pid;
}

static int wait(uint32_t pid) {
    int status = 0;
    while (!process_take(pid, &status))
        cpus_idle(true);
    return status;
}

static bool are_none(void) {
    struct process_facts facts;
    return !process_next(0, &facts);
}

static void end_while_it_runs(void) {
    uint32_t pid = start(process_spin);
    for (uint64_t end = clock_after(RUN_US); !clock_reached(end);)
        cpus_idle(false);
    check(process_kill(pid, NULL) && wait(pid) == SLIPWAY_KILLED, "also while it runs");
}

static void calm(void *nothing) {
    (void)nothing;
}

// A CPU on which a process has ended frees it when nobody knows it any more, and has when it runs
// this.
static void let_cpus_free(void) {
    cpus_run(calm, NULL);
}

void selftest_processes(void) {
    check(are_none(), "there are no processes");
    check(wait(start(process_worker)) == CHILDREN, "a process waits for its children");
    uint32_t pid = start(process_spin);
    check(process_kill(pid, NULL) && wait(pid) == SLIPWAY_KILLED, "one that spins is ended");
    check(!process_kill(pid, NULL), "once");
    if (apic_is_on()) // without one nothing takes the CPU from it
        end_while_it_runs();
    check(are_none(), "nothing is left of them");
    let_cpus_free();
}

// A change of the kernel half, of which every CPU has to hear, whatever it runs.
static bool change_kernel_half(paddr_t frame) {
    struct vmem_mapping mapping = {
        .virt = vaddr(KERNEL_SCRATCH),
        .phys = frame,
        .bytes = FRAME_BYTES,
        .rights = VMEM_READ | VMEM_WRITE,
        .largest = VMEM_4K,
    };
    if (space_map(&mapping) != VMEM_OK)
        return false;
    *(volatile uint64_t *)(uintptr_t)KERNEL_SCRATCH = frame.value;
    return space_unmap(mapping.virt, FRAME_BYTES) == VMEM_OK;
}

static void send_nmis(void) {
    for (unsigned cpu = 1; cpu < cpus_started(); cpu++)
        cpus_send_nmi(cpu);
}

// Every slot has a worker, and a new one when that has ended; now and then one is ended before.
static void stress(unsigned milliseconds) {
    uint32_t pid[SLOTS] = {0};
    unsigned rounds = 0, ended = 0;
    bool is_over = false, is_sound = true;
    paddr_t frame;
    check_frames(memory_alloc(FRAMES_ANY, &frame), FRAMES_OK, "a frame to map");
    cpus_try_nmis(true);
    for (uint64_t end = clock_after(milliseconds * UINT64_C(1000)); !is_over; rounds++) {
        bool is_late = clock_reached(end);
        is_over = is_late;
        for (unsigned i = 0; i < SLOTS; i++) {
            int status;
            bool is_killed = rounds % 16 == i;
            if (pid[i] != 0 && is_killed)
                (void)process_kill(pid[i], NULL);
            if (pid[i] != 0 && process_take(pid[i], &status)) {
                is_sound &= status == CHILDREN || status == SLIPWAY_KILLED;
                pid[i] = 0;
                ended++;
            }
            if (pid[i] == 0 && !is_late)
                pid[i] = start(process_worker);
            is_over = is_over && pid[i] == 0;
        }
        is_sound &= change_kernel_half(frame);
        send_nmis();
        cpus_idle(false);
    }
    cpus_run(calm, NULL); // a CPU that runs this has taken its last NMI before
    cpus_try_nmis(false);
    check_frames(memory_free(frame), FRAMES_OK, "freeing the frame");
    check(is_sound && ended != 0, "processes in a crowd end as they are to");
    while (!are_none()) // children of those that were killed
        cpus_idle(false);
    let_cpus_free();
}

void selftest_process_stress(void) {
    stress(SHORT_MS);
}

void selftest_process_long(void) {
    stress(LONG_MS);
}
