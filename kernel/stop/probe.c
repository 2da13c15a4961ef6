#include "kernel/stop/probe.h"

#include "common/x86/regs.h"

enum { VECTOR_PAGE_FAULT = 14 };

bool probe_access_read(uint64_t address);
bool probe_access_write(uint64_t address);
bool probe_access_execute(uint64_t address);
bool probe_access_load(uint64_t address, uint64_t *ret_value);
bool probe_access_store(uint64_t address, uint64_t value);
extern const char probe_access_read_at[], probe_access_write_at[], probe_access_load_at[],
    probe_access_store_at[], probe_access_failed[];

// Where an instruction fetch is being tried; 0 while none is. A fetch that faults does so at its
// target, which no label can mark.
static volatile uint64_t execute_target;

bool probe_read(uint64_t address) {
    return probe_access_read(address);
}

bool probe_write(uint64_t address) {
    return probe_access_write(address);
}

bool probe_load(uint64_t address, uint64_t *ret_value) {
    return probe_access_load(address, ret_value);
}

bool probe_store(uint64_t address, uint64_t value) {
    return probe_access_store(address, value);
}

bool probe_execute(uint64_t address) {
    execute_target = address;
    bool executed = probe_access_execute(address);
    execute_target = 0;
    return executed;
}

bool probe_recover(struct trap_frame *frame) {
    if (frame->vector != VECTOR_PAGE_FAULT)
        return false;
    bool access = frame->rip == (uint64_t)(uintptr_t)probe_access_read_at ||
                  frame->rip == (uint64_t)(uintptr_t)probe_access_write_at ||
                  frame->rip == (uint64_t)(uintptr_t)probe_access_load_at ||
                  frame->rip == (uint64_t)(uintptr_t)probe_access_store_at;
    bool fetch =
        (frame->error & PF_FETCH) != 0 && execute_target != 0 && frame->rip == execute_target;
    if (!access && !fetch)
        return false;
    frame->rip = (uint64_t)(uintptr_t)probe_access_failed;
    return true;
}
