#include "kernel/base/stages.h"

#include "common/x86/cpu.h"
#include "kernel/base/panic.h"

enum { STAGES_MAX = 16 };

static struct stage stages[STAGES_MAX];
static unsigned stage_count;

void stages_begin(const char *name) {
    if (stage_count == STAGES_MAX)
        panic("stage %s is one more than the timeline's %u", name, stage_count);
    stages[stage_count].name = name;
    stages[stage_count].tsc_start = cpu_rdtsc();
}

void stages_end(uint64_t bytes) {
    stages[stage_count].bytes = bytes;
    stages[stage_count].tsc_end = cpu_rdtsc();
    stage_count++;
}

const struct stage *stages_get(unsigned *ret_count) {
    *ret_count = stage_count;
    return stages;
}
