// See entropy.h.
#include "loader/entropy.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/wipe.h"
#include "common/hash/sha256.h"
#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "loader/firmware.h"
#include "loader/timeline.h"

enum {
    SOURCE_WORDS = ENTROPY_BYTES / 8, // that each source is asked for
    // Ten failures of RDRAND in a row mean that it is broken (SDM 1, 7.3.17.1). RDSEED may have to
    // wait for its source (7.3.17.2).
    RDRAND_TRIES = 10,
    RDSEED_TRIES = 100,
};

// All that is known of it, to be wiped at once.
static struct {
    struct sha256 hash;
    // What goes into a digest. The first word counts the digests, so that they differ.
    uint64_t words[1 + 3 * SOURCE_WORDS + TIMELINE_STAGES_MAX + 1];
    uint32_t used;
} material;

// Keeps what a source has written behind the words in use, if none of these is the same as the one
// before it. Some CPUs give one number for ever, or from some moment on, and say that it is random;
// and where firmware has written less than it says there are zeros.
static bool keep(void) {
    const uint64_t *words = material.words + material.used;
    for (unsigned i = 1; i < SOURCE_WORDS; i++) {
        if (words[i] == words[i - 1])
            return false;
    }
    material.used += SOURCE_WORDS;
    return true;
}

static bool ask_firmware(void) {
    EFI_GUID guid = EFI_RNG_PROTOCOL_GUID;
    EFI_RNG_PROTOCOL *rng;
    if (EFI_ERROR(BS->LocateProtocol(&guid, NULL, (void **)&rng)))
        return false;
    UINT8 *words = (UINT8 *)(material.words + material.used);
    return !EFI_ERROR(rng->GetRNG(rng, NULL, ENTROPY_BYTES, words)) && keep();
}

static bool ask_rdrand(void) {
    if (!(cpu_cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND))
        return false;
    for (unsigned i = 0; i < SOURCE_WORDS; i++) {
        for (unsigned left = RDRAND_TRIES; !cpu_rdrand(&material.words[material.used + i]);) {
            if (--left == 0)
                return false;
        }
    }
    return keep();
}

static bool ask_rdseed(void) {
    if (cpu_cpuid(0, 0).eax < 7 || !(cpu_cpuid(7, 0).ebx & CPUID_7_EBX_RDSEED))
        return false;
    for (unsigned i = 0; i < SOURCE_WORDS; i++) {
        for (unsigned left = RDSEED_TRIES; !cpu_rdseed(&material.words[material.used + i]);) {
            if (--left == 0)
                return false;
            cpu_pause();
        }
    }
    return keep();
}

// When each stage ended: how long the disk took, above all.
static void take_times(void) {
    uint32_t count;
    const struct slipway_stage *stages = timeline_stages(&count);
    ASSERT(count <= TIMELINE_STAGES_MAX &&
           material.used + TIMELINE_STAGES_MAX + 1 <= ARRAY_LEN(material.words));
    for (uint32_t i = 0; i < count; i++)
        material.words[material.used++] = stages[i].tsc_end;
    material.words[material.used++] = cpu_rdtsc();
}

uint32_t entropy_gather(uint8_t ret_entropy[ENTROPY_BYTES]) {
    uint32_t sources = SLIPWAY_ENTROPY_JITTER;
    material.used = 1;
    sources |= ask_firmware() ? SLIPWAY_ENTROPY_FIRMWARE : 0U;
    sources |= ask_rdseed() ? SLIPWAY_ENTROPY_RDSEED : 0U;
    sources |= ask_rdrand() ? SLIPWAY_ENTROPY_RDRAND : 0U;
    take_times();
    for (; material.words[0] < ENTROPY_BYTES / SHA256_BYTES; material.words[0]++) {
        sha256_begin(&material.hash);
        sha256_add(&material.hash, material.words, material.used * sizeof(material.words[0]));
        sha256_end(&material.hash, ret_entropy + material.words[0] * SHA256_BYTES);
    }
    // The digest of zeros takes the same places on the stack, and overwrites what is left there.
    static const uint8_t zeros[SHA256_BLOCK_BYTES];
    uint8_t unused[SHA256_BYTES];
    sha256_begin(&material.hash);
    sha256_add(&material.hash, zeros, sizeof(zeros));
    sha256_end(&material.hash, unused);
    wipe(&material, sizeof(material));
    return sources;
}
