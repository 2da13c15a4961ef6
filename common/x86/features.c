#include "common/x86/features.h"

#include "common/x86/cpu.h"
#include "common/x86/regs.h"

enum {
    LEAF_STRUCTURED = 7,
    LEAF_EXTENDED_FEATURES = 0x80000001,
    LEAF_ADDRESS_WIDTHS = 0x80000008,
    PADDR_BITS_DEFAULT = 36, // of a CPU that does not say (SDM 3A 4.1.4)
    PADDR_BITS_MAX = 52,
};

struct cpu_features cpu_find_features(void) {
    struct cpu_features features = {.paging.paddr_bits = PADDR_BITS_DEFAULT};
    features.paging_levels = cpu_read_cr4() & CR4_LA57 ? 5 : 4;
    if (cpu_cpuid(0, 0).eax >= LEAF_STRUCTURED) {
        struct cpuid structured = cpu_cpuid(LEAF_STRUCTURED, 0);
        features.smep = structured.ebx & CPUID_7_EBX_SMEP;
        features.smap = structured.ebx & CPUID_7_EBX_SMAP;
        features.umip = structured.ecx & CPUID_7_ECX_UMIP;
    }
    uint32_t extended = cpu_cpuid(0x80000000, 0).eax;
    if (extended >= LEAF_EXTENDED_FEATURES) {
        struct cpuid basic = cpu_cpuid(LEAF_EXTENDED_FEATURES, 0);
        features.paging.has_nx = basic.edx & CPUID_80000001_EDX_NX;
        features.paging.has_1g = basic.edx & CPUID_80000001_EDX_1G;
    }
    if (extended >= LEAF_ADDRESS_WIDTHS) {
        uint32_t bits = cpu_cpuid(LEAF_ADDRESS_WIDTHS, 0).eax & 0xff;
        features.paging.paddr_bits = (uint8_t)(bits > PADDR_BITS_MAX ? PADDR_BITS_MAX : bits);
    }
    return features;
}
