// See setup_kaslr.h.
#include "tests/firmware/setup_kaslr.h"

#include <string.h>

#define RELA UINT64_C(0x2100) // link address of the relocations

uint64_t setup_words_given;
bool setup_sources_are_stuck;

static uint64_t firmware_words[SETUP_SOURCE_WORDS];
static uint64_t next_word; // of the CPU's generators

static bool generate(uint64_t *ret_value) {
    next_word += setup_sources_are_stuck ? 0 : UINT64_C(0x9e3779b97f4a7c15);
    setup_words_given++;
    *ret_value = next_word ^ next_word >> 29;
    return true;
}

void setup_add_sources(uint32_t sources, uint64_t seed) {
    next_word = seed;
    setup_words_given = 0;
    setup_sources_are_stuck = false;
    for (unsigned i = 0; i < SETUP_SOURCE_WORDS; i++)
        firmware_words[i] = seed + UINT64_C(0x0123456789abcdef) * (i + 1);
    fake.rng = sources & SLIPWAY_ENTROPY_FIRMWARE ? firmware_words : NULL;
    fake.rdseed = sources & SLIPWAY_ENTROPY_RDSEED ? generate : NULL;
    fake.rdrand = sources & SLIPWAY_ENTROPY_RDRAND ? generate : NULL;
}

void setup_put(uint64_t link, const void *data, uint64_t bytes) {
    memcpy((char *)&setup_kernel + 0x1000 + link, data, bytes);
}

void setup_kaslr(const char *config, struct slipway_note_wishes wishes, uint64_t seed) {
    const struct elf64_rela rela = {
        .target = SETUP_RELOCATED, .type = ELF_R_X86_64_RELATIVE, .addend = SETUP_ADDEND};
    const struct elf64_dynamic dynamic[] = {
        {ELF_DT_RELA, RELA}, {ELF_DT_RELASZ, sizeof(rela)}, {ELF_DT_RELAENT, sizeof(rela)}, {0, 0}};
    setup_boot(config);
    setup_kernel = elf_file_make_dyn();
    elf_file_add(&setup_kernel, ELF_PT_DYNAMIC, 0x1000 + SETUP_DYNAMIC, SETUP_DYNAMIC,
                 sizeof(dynamic));
    setup_put(SETUP_DYNAMIC, dynamic, sizeof(dynamic));
    setup_put(RELA, &rela, sizeof(rela));
    wishes.version = SLIPWAY_BOOT_VERSION;
    setup_wishes(wishes);
    setup_kernel.phdrs[4].virt -= ELF_FILE_BASE;
    setup_add_sources(SETUP_SOURCES, seed);
}
