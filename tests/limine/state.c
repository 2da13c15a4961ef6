#include "state.h"

enum { MTRR_FIXED_FIRST = 0x250, MTRR_FIXED_MANY = 0x268, MTRR_FIXED_LAST = 0x26f };
enum { MTRR_FIXED_16K = 0x258, MTRR_FIXED_16K_LAST = 0x259, MTRR_VARIABLE = 0x200 };

static uint64_t mix(uint64_t digest, uint64_t value) {
    return (digest ^ value) * UINT64_C(0x100000001b3) ^ digest >> 29;
}

static uint64_t digest_mtrrs(void) {
    uint64_t digest = mix(UINT64_C(0xcbf29ce484222325), read_msr(MSR_MTRR_TYPE));
    uint64_t capabilities = read_msr(MSR_MTRR_CAP);
    for (uint32_t i = 0; i < 2 * (capabilities & 0xff); i++)
        digest = mix(digest, read_msr(MTRR_VARIABLE + i));
    if (!(capabilities & 1 << 8))
        return digest;
    digest = mix(digest, read_msr(MTRR_FIXED_FIRST));
    for (uint32_t msr = MTRR_FIXED_16K; msr <= MTRR_FIXED_16K_LAST; msr++)
        digest = mix(digest, read_msr(msr));
    for (uint32_t msr = MTRR_FIXED_MANY; msr <= MTRR_FIXED_LAST; msr++)
        digest = mix(digest, read_msr(msr));
    return digest;
}

void state_read(struct state *ret_state) {
    uint32_t features = cpuid(1).edx;
    *ret_state = (struct state){
        .entry = entry_state,
        .cr0 = read_cr0(),
        .cr3 = read_cr3(),
        .cr4 = read_cr4(),
        .efer = read_msr(MSR_EFER),
        .pat = features & CPUID_PAT ? read_msr(MSR_PAT) : 0,
        .apic_base = features & CPUID_APIC ? read_msr(MSR_APIC_BASE) : 0,
        .fs_base = read_msr(MSR_FS_BASE),
        .gs_base = read_msr(MSR_GS_BASE),
        .mtrrs = features & CPUID_MTRR ? digest_mtrrs() : 0,
        .cs = read_cs(),
        .ds = read_ds(),
        .es = read_es(),
        .ss = read_ss(),
        .fs = read_fs(),
        .gs = read_gs(),
        .ldtr = read_ldtr(),
        .tr = read_tr(),
        .gdtr = read_gdtr(),
        .idtr = read_idtr(),
    };
}
