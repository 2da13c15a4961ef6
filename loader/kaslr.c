// See kaslr.h.
#include "loader/kaslr.h"

#include "common/base/arith.h"
#include "common/base/wipe.h"
#include "loader/drbg.h"
#include "loader/entropy.h"
#include "loader/log.h"

#define SOURCES (SLIPWAY_ENTROPY_FIRMWARE | SLIPWAY_ENTROPY_RDSEED | SLIPWAY_ENTROPY_RDRAND)

// Behind the seed's entropy: what the numbers are for (SP 800-90A, 8.7.1).
static const char personalization[] = "Slipway KASLR";

static struct {
    bool is_on;
    bool has_asked; // for a seed
    bool is_fine;   // the kernel knows that its direct map may lie at any GiB
    struct drbg drbg;
    struct slipway_kaslr facts;
} kaslr;

static bool is_on(const struct config *config, const struct kernel *kernel) {
    if (config->kaslr != CONFIG_KASLR_UNSET)
        return config->kaslr == CONFIG_KASLR_ON;
    return (kernel->wishes.flags & SLIPWAY_NOTE_KASLR) != 0;
}

static void log_sources(uint32_t sources) {
    log_line(CONFIG_LOG_INFO, "kaslr: seeded by%s%s%s",
             sources & SLIPWAY_ENTROPY_RDSEED ? " RDSEED" : "",
             sources & SLIPWAY_ENTROPY_RDRAND ? " RDRAND" : "",
             sources & SLIPWAY_ENTROPY_FIRMWARE ? " EFI_RNG_PROTOCOL" : "");
}

// Asks the sources, once a boot. False: there is none, and nothing is moved.
static bool has_seed(void) {
    uint8_t seed[ENTROPY_BYTES + sizeof(personalization) - 1];
    if (kaslr.has_asked)
        return kaslr.facts.sources != 0;
    kaslr.has_asked = true;
    kaslr.facts.sources = entropy_gather(seed) & SOURCES;
    if (kaslr.facts.sources == 0) {
        log_line(CONFIG_LOG_INFO,
                 "kaslr: nothing is moved: no RDSEED, RDRAND or EFI_RNG_PROTOCOL to seed it");
    } else {
        __builtin_memcpy(seed + ENTROPY_BYTES, personalization, sizeof(personalization) - 1);
        drbg_begin(&kaslr.drbg, seed, sizeof(seed));
        log_sources(kaslr.facts.sources);
    }
    wipe(seed, sizeof(seed));
    return kaslr.facts.sources != 0;
}

// One of the places; 0: there are not two, or nothing chooses between them.
static uint64_t choose(const char *what, const struct places *places, uint64_t *ret_count) {
    *ret_count = places_count(places);
    if (*ret_count < 2 && places->end != 0)
        log_line(CONFIG_LOG_INFO, "kaslr: the %s stays where it is: there is no other place", what);
    if (*ret_count < 2 || !has_seed())
        return 0;
    return places_at(places, drbg_below(&kaslr.drbg, *ret_count));
}

static void slide(struct kernel *kernel, uint64_t by) {
    elf_slide(&kernel->elf, by);
    for (uint32_t i = 0; i < kernel->piece_count; i++) {
        kernel->pieces[i].virt += by;
        kernel->memory[i].virt += by;
    }
}

struct places kaslr_image_places(const struct kernel *kernel) {
    bool may_move = kaslr.is_on && places_image_moves(&kernel->elf);
    return may_move ? places_of_image(&kernel->elf) : (struct places){0};
}

void kaslr_move_image(const struct config *config, struct kernel *kernel) {
    kaslr.facts = (struct slipway_kaslr){0};
    kaslr.has_asked = false;
    kaslr.is_on = is_on(config, kernel);
    kaslr.is_fine = kernel->protocol == CONFIG_PROTOCOL_LIMINE ||
                    (kernel->wishes.flags & SLIPWAY_NOTE_KASLR) != 0;
    if (!kaslr.is_on)
        return;
    if (!places_image_moves(&kernel->elf))
        log_line(CONFIG_LOG_INFO, "kaslr: the image runs where it is linked: it is %s",
                 kernel->elf.type == ELF_TYPE_DYN ? "without PT_DYNAMIC" : "ET_EXEC");
    const struct places places = kaslr_image_places(kernel);
    uint64_t count;
    uint64_t place = choose("image", &places, &count);
    if (place == 0)
        return;
    slide(kernel, place - places_image_base(&kernel->elf));
    kaslr.facts.moved |= SLIPWAY_KASLR_IMAGE;
    kaslr.facts.image_places = count;
    log_line(CONFIG_LOG_INFO, "kaslr: image at 0x%lx, slid by 0x%lx, one of %lu places",
             kernel->elf.virt_start, kernel->elf.slide, count);
}

// RAM that only the last memory map has may lie above all that is there now.
#define MORE_BYTES GIB(1)

struct places kaslr_direct_places(const struct kernel *kernel, const struct plan_input *plan,
                                  uint64_t bytes, unsigned levels) {
    if (!kaslr.is_on || kernel->wishes.hhdm_base != 0)
        return (struct places){0};
    return places_of_direct_map(plan, bytes + MORE_BYTES, levels,
                                kaslr.is_fine ? PLACES_DIRECT_FINE : PLACES_DIRECT_COARSE);
}

uint64_t kaslr_place_direct_map(const struct kernel *kernel, const struct plan_input *plan,
                                uint64_t bytes, unsigned levels) {
    const struct places places = kaslr_direct_places(kernel, plan, bytes, levels);
    uint64_t base = plan->hhdm_base;
    uint64_t count;
    if (kaslr.is_on && kernel->wishes.hhdm_base != 0)
        log_line(CONFIG_LOG_INFO, "kaslr: the direct map stays at 0x%lx: the note names its base",
                 base);
    uint64_t place = choose("direct map", &places, &count);
    if (place != 0) {
        base = place;
        kaslr.facts.moved |= SLIPWAY_KASLR_DIRECT;
        kaslr.facts.direct_places = count;
        log_line(CONFIG_LOG_INFO, "kaslr: direct map at 0x%lx, one of %lu places", base, count);
    }
    if (kaslr.has_asked)
        drbg_end(&kaslr.drbg);
    return base;
}

const struct slipway_kaslr *kaslr_facts(void) {
    return &kaslr.facts;
}
