// See mtrr.h. Position independent: the loader runs it in the kernel's half as well.
#include "common/x86/mtrr.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"

static uint32_t fixed_register(unsigned index) {
    if (index == 0)
        return MSR_MTRR_FIX64K;
    return index < 3 ? MSR_MTRR_FIX16K + index - 1 : MSR_MTRR_FIX4K + index - 3;
}

void mtrr_read(struct mtrr_state *ret_state) {
    ret_state->is_there = cpu_cpuid(1, 0).edx & CPUID_1_EDX_MTRR;
    if (!ret_state->is_there)
        return;
    uint64_t capabilities = cpu_rdmsr(MSR_MTRR_CAP);
    ret_state->has_fixed = capabilities & MTRR_CAP_FIXED;
    ret_state->variable_count =
        (uint32_t)min_u64(capabilities & MTRR_CAP_VARIABLE, MTRR_VARIABLE_MAX);
    ret_state->default_type = cpu_rdmsr(MSR_MTRR_DEFAULT);
    for (unsigned i = 0; ret_state->has_fixed && i < MTRR_FIXED; i++)
        ret_state->fixed[i] = cpu_rdmsr(fixed_register(i));
    for (unsigned i = 0; i < ret_state->variable_count; i++) {
        ret_state->base[i] = cpu_rdmsr(MSR_MTRR_BASE(i));
        ret_state->mask[i] = cpu_rdmsr(MSR_MTRR_MASK(i));
    }
}

static bool is_this_cpus(const struct mtrr_state *state) {
    bool is_same = cpu_rdmsr(MSR_MTRR_DEFAULT) == state->default_type;
    for (unsigned i = 0; state->has_fixed && i < MTRR_FIXED; i++)
        is_same &= cpu_rdmsr(fixed_register(i)) == state->fixed[i];
    for (unsigned i = 0; i < state->variable_count; i++)
        is_same &= cpu_rdmsr(MSR_MTRR_BASE(i)) == state->base[i] &&
                   cpu_rdmsr(MSR_MTRR_MASK(i)) == state->mask[i];
    return is_same;
}

// SDM 3A 11.11.8: caches off and written back, no translation cached, the ranges off, and all of
// it back.
void mtrr_adopt(const struct mtrr_state *state) {
    if (!state->is_there || is_this_cpus(state))
        return;
    uint64_t cr0 = cpu_read_cr0();
    uint64_t cr4 = cpu_read_cr4();
    cpu_write_cr0((cr0 | CR0_CD) & ~(uint64_t)CR0_NW);
    cpu_write_back_caches();
    cpu_write_cr4(cr4 & ~(uint64_t)CR4_PGE);
    cpu_write_cr3(cpu_read_cr3());
    cpu_wrmsr(MSR_MTRR_DEFAULT, state->default_type & ~(uint64_t)MTRR_DEFAULT_ON);
    for (unsigned i = 0; state->has_fixed && i < MTRR_FIXED; i++)
        cpu_wrmsr(fixed_register(i), state->fixed[i]);
    for (unsigned i = 0; i < state->variable_count; i++) {
        cpu_wrmsr(MSR_MTRR_BASE(i), state->base[i]);
        cpu_wrmsr(MSR_MTRR_MASK(i), state->mask[i]);
    }
    cpu_wrmsr(MSR_MTRR_DEFAULT, state->default_type);
    cpu_write_back_caches();
    cpu_write_cr3(cpu_read_cr3());
    cpu_write_cr0(cr0);
    cpu_write_cr4(cr4);
}
