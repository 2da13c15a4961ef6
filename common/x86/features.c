// See features.h.
#include "common/x86/features.h"

#include "common/base/arith.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"

enum {
    LEAF_FEATURES = 1,
    LEAF_STRUCTURED = 7,
    LEAF_TDX = 0x21,
    LEAF_EXTENDED_FEATURES = 0x80000001,
    LEAF_ADDRESS_WIDTHS = 0x80000008,
    LEAF_ENCRYPTION = 0x8000001F,
    PADDR_BITS_DEFAULT = 36, // of a CPU that does not say (SDM 3A 4.1.4)
    PADDR_BITS_MAX = 52,
};

// SEV: AMD APM 2, 15.34.10. TDX: leaf 0x21 is "IntelTDX    " in EBX, EDX, ECX (Intel TDX module
// specification, CPUID virtualization).
static bool is_memory_encrypted(uint32_t basic_leaves, uint32_t extended_leaves) {
    if (basic_leaves >= LEAF_TDX && cpu_cpuid(LEAF_TDX, 0).ebx == 0x65746e49)
        return true;
    return extended_leaves >= LEAF_ENCRYPTION &&
           (cpu_cpuid(LEAF_ENCRYPTION, 0).eax & CPUID_8000001F_EAX_SEV) && (cpu_rdmsr(MSR_SEV) & 1);
}

struct cpu_features cpu_find_features(void) {
    struct cpu_features features = {.paging.paddr_bits = PADDR_BITS_DEFAULT};
    features.paging_levels = cpu_read_cr4() & CR4_LA57 ? 5 : 4;
    features.paging_levels_max = 4;
    features.mce = cpu_cpuid(LEAF_FEATURES, 0).edx & CPUID_1_EDX_MCE;
    uint32_t basic = cpu_cpuid(0, 0).eax;
    if (basic >= LEAF_STRUCTURED) {
        struct cpuid structured = cpu_cpuid(LEAF_STRUCTURED, 0);
        features.smep = structured.ebx & CPUID_7_EBX_SMEP;
        features.smap = structured.ebx & CPUID_7_EBX_SMAP;
        features.umip = structured.ecx & CPUID_7_ECX_UMIP;
        features.paging_levels_max = structured.ecx & CPUID_7_ECX_LA57 ? 5 : 4;
        features.cet =
            (structured.ecx & CPUID_7_ECX_CET_SS) || (structured.edx & CPUID_7_EDX_CET_IBT);
    }
    uint32_t extended = cpu_cpuid(0x80000000, 0).eax;
    if (extended >= LEAF_EXTENDED_FEATURES) {
        struct cpuid paging = cpu_cpuid(LEAF_EXTENDED_FEATURES, 0);
        features.paging.has_nx = paging.edx & CPUID_80000001_EDX_NX;
        features.paging.has_1g = paging.edx & CPUID_80000001_EDX_1G;
    }
    if (extended >= LEAF_ADDRESS_WIDTHS) {
        uint32_t bits = cpu_cpuid(LEAF_ADDRESS_WIDTHS, 0).eax & 0xff;
        features.paging.paddr_bits = (uint8_t)min_u64(bits, PADDR_BITS_MAX);
    }
    features.memory_encrypted = is_memory_encrypted(basic, extended);
    return features;
}
