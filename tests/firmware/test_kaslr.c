// KASLR: where image and direct map of a kernel go, who may be moved, and what becomes of it where
// the sources of random numbers fail.
#include "common/base/arith.h"
#include "tests/firmware/setup_displays.h"
#include "tests/firmware/setup_kaslr.h"
#include "tests/firmware/setup_limine.h"

#include <string.h>

enum { ALL = SETUP_SOURCES, WORDS = SETUP_SOURCE_WORDS };

static bool give_none(uint64_t *ret_value) {
    *ret_value = 0;
    return false;
}

static const struct slipway_note_wishes kaslr = {.flags = SLIPWAY_NOTE_KASLR};

// Boots and expects that so much was moved, and that the image is relocated to where it is.
static const struct slipway_boot_info *boot(uint32_t moved) {
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    uint64_t word;
    assert_int_equal(info->kaslr.moved, moved);
    assert_int_equal(info->kernel_virt, info->kernel_slide);
    assert_int_equal(info->kernel_entry, info->kernel_slide + 0x10);
    memcpy(&word, (const char *)(uintptr_t)info->kernel_phys + SETUP_RELOCATED, sizeof(word));
    assert_int_equal(word, info->kernel_slide + SETUP_ADDEND);
    bool has_image = (moved & SLIPWAY_KASLR_IMAGE) != 0;
    bool has_direct = (moved & SLIPWAY_KASLR_DIRECT) != 0;
    if (!has_image)
        assert_int_equal(info->kernel_slide, SLIPWAY_KERNEL_DEFAULT);
    assert_true(is_aligned(info->kernel_slide, MIB(2)));
    assert_in_range(info->kernel_slide - SLIPWAY_KERNEL_DEFAULT, 0, GIB(1) - 1);
    assert_int_equal(info->kaslr.image_places, has_image ? 512 : 0);
    assert_true(is_aligned(info->hhdm_base, has_direct ? GIB(1) : GIB(512)));
    assert_int_equal(info->kaslr.direct_places != 0, has_direct);
    return info;
}

static const struct slipway_boot_info *boot_unmoved(void) {
    const struct slipway_boot_info *info = boot(0);
    assert_int_equal(info->hhdm_base, SLIPWAY_HHDM_BASE);
    return info;
}

static bool has_logged(const char *text) {
    return strstr(setup_log(), text) != NULL;
}

TEST("kaslr: image and direct map of a kernel that asks for it lie at random, by any source") {
    for (uint32_t sources = 1; sources <= ALL; sources++) {
        setup_kaslr("log = info\n", kaslr, 1);
        setup_add_sources(sources, 1);
        const struct slipway_boot_info *info = boot(3);
        assert_int_equal(info->kaslr.sources, sources);
        assert_true(has_logged("kaslr: seeded by "));
        assert_int_equal(has_logged(" RDSEED"), (sources & SLIPWAY_ENTROPY_RDSEED) != 0);
        assert_int_equal(has_logged(" RDRAND"), (sources & SLIPWAY_ENTROPY_RDRAND) != 0);
        assert_int_equal(has_logged(" EFI_RNG"), (sources & SLIPWAY_ENTROPY_FIRMWARE) != 0);
        // RAM of 6 GiB, and one more: all of the window's places but 6.
        assert_int_equal(info->kaslr.direct_places, 65536 - 6);
        char want[120];
        struct fmt_buffer buffer = fmt_buffer_make(want, sizeof(want));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink, "kaslr: image at 0x%lx, slid by 0x%lx, one of 512 places",
                  info->kernel_virt, info->kernel_slide);
        setup_expect_logged(want);
        buffer = fmt_buffer_make(want, sizeof(want));
        sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink, "kaslr: direct map at 0x%lx, one of 65530 places", info->hhdm_base);
        setup_expect_logged(want);
    }
}

TEST("kaslr: the same numbers give the same places, whatever source they are of gives others") {
    setup_kaslr(NULL, kaslr, 1);
    const struct slipway_boot_info *info = boot(3);
    uint64_t slide = info->kernel_slide, base = info->hhdm_base;
    setup_kaslr(NULL, kaslr, 1);
    info = boot(3);
    assert_int_equal(info->kernel_slide, slide);
    assert_int_equal(info->hhdm_base, base);
    for (uint32_t source = 1; source <= ALL; source <<= 1) {
        setup_kaslr(NULL, kaslr, 1);
        setup_add_sources(source, 1);
        info = boot(3);
        slide = info->kernel_slide;
        base = info->hhdm_base;
        setup_kaslr(NULL, kaslr, 1);
        setup_add_sources(source, 2);
        info = boot(3);
        assert_true(info->kernel_slide != slide || info->hhdm_base != base);
    }
}

TEST("kaslr: with time as the only source nothing is moved, which the log says") {
    setup_kaslr("log = info\nkaslr = on\n", kaslr, 1);
    setup_add_sources(0, 1);
    const struct slipway_boot_info *info = boot_unmoved();
    assert_int_equal(info->kaslr.sources, 0);
    setup_expect_logged(
        "kaslr: nothing is moved: no RDSEED, RDRAND or EFI_RNG_PROTOCOL to seed it");
    assert_false(has_logged("kaslr: seeded"));
}

TEST(
    "kaslr: a source that fails, repeats itself or writes too little is none, and the boot goes on") {
    setup_kaslr(NULL, kaslr, 1);
    setup_add_sources(SLIPWAY_ENTROPY_RDRAND, 1);
    setup_sources_are_stuck = true;
    boot_unmoved();
    setup_kaslr(NULL, kaslr, 1);
    fake.rdrand = fake.rdseed = give_none;
    assert_int_equal(boot(3)->kaslr.sources, SLIPWAY_ENTROPY_FIRMWARE);
    static const enum fake_call calls[] = {FAKE_GET_RNG, FAKE_LOCATE_PROTOCOL};
    for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
        setup_kaslr(NULL, kaslr, 1);
        fake.refused = calls[i];
        assert_int_equal(boot(3)->kaslr.sources, ALL & ~SLIPWAY_ENTROPY_FIRMWARE);
        setup_kaslr(NULL, kaslr, 1);
        setup_add_sources(SLIPWAY_ENTROPY_FIRMWARE, 1);
        fake.refused = calls[i];
        boot_unmoved();
    }
    setup_kaslr(NULL, kaslr, 1);
    setup_add_sources(SLIPWAY_ENTROPY_FIRMWARE, 1);
    fake.rng_is_short = true;
    fake.rng_writes = 8;
    boot_unmoved();
}

TEST("kaslr: a kernel that does not ask for it stays where it is, and no source is asked for it") {
    setup_kaslr(NULL, (struct slipway_note_wishes){0}, 1);
    boot_unmoved();
    assert_int_equal(setup_words_given, 2 * WORDS); // the kernel's own
    assert_false(has_logged("kaslr"));
    setup_kaslr("kaslr = off\n", kaslr, 1);
    boot_unmoved();
    assert_int_equal(setup_words_given, 2 * WORDS);
    setup_kaslr(NULL, kaslr, 1);
    boot(3);
    assert_int_equal(setup_words_given, 4 * WORDS);
}

TEST("kaslr: the config moves a kernel that does not ask for it, to where it may be by its note") {
    uint64_t bases = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        setup_kaslr("kaslr = on\n", (struct slipway_note_wishes){0}, seed);
        const struct slipway_boot_info *info = boot(3);
        assert_int_equal(info->kaslr.direct_places, 128);
        assert_true(is_aligned(info->hhdm_base, GIB(512)));
        bases |= info->hhdm_base;
    }
    assert_true(bases != SLIPWAY_HHDM_BASE);
}

TEST("kaslr: a direct map whose base the note names stays there, and the image moves") {
    const uint64_t base = UINT64_C(0xffff900000000000);
    setup_kaslr("kaslr = on\n",
                (struct slipway_note_wishes){.flags = SLIPWAY_NOTE_KASLR, .hhdm_base = base}, 1);
    assert_int_equal(boot(SLIPWAY_KASLR_IMAGE)->hhdm_base, base);
    setup_expect_logged(
        "kaslr: the direct map stays at 0xffff900000000000: the note names its base");
    assert_false(has_logged("there is no other place"));
}

TEST("kaslr: an image that is linked to its address stays there, and the direct map moves") {
    setup_boot("log = info\n");
    setup_wishes((struct slipway_note_wishes){.version = 1, .flags = SLIPWAY_NOTE_KASLR});
    setup_add_sources(ALL, 1);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->kaslr.moved, SLIPWAY_KASLR_DIRECT);
    assert_int_equal(info->kernel_virt, ELF_FILE_BASE);
    setup_expect_logged("kaslr: the image runs where it is linked: it is ET_EXEC");
    setup_kaslr("log = info\n", kaslr, 1);
    setup_kernel.phdrs[3].type = 0; // its PT_DYNAMIC
    fake_boot();
    info = setup_expect_kernel();
    assert_int_equal(info->kaslr.moved, SLIPWAY_KASLR_DIRECT);
    assert_int_equal(info->kernel_virt, SLIPWAY_KERNEL_DEFAULT);
    setup_expect_logged("kaslr: the image runs where it is linked: it is without PT_DYNAMIC");
}

TEST("kaslr: with 5 levels a direct map lies anywhere in their upper half") {
    uint64_t lowest = UINT64_MAX;
    for (uint64_t seed = 0; seed < 8; seed++) {
        setup_kaslr(NULL, kaslr, seed);
        fake.paging_levels = 5;
        const struct slipway_boot_info *info = boot(3);
        assert_int_equal(info->kaslr.direct_places, (UINT64_C(0x00ffc00000000000) >> 30) - 6);
        lowest = min_u64(lowest, info->hhdm_base);
    }
    assert_true(lowest < SLIPWAY_HHDM_BASE); // but for one in 2^80
}

TEST("kaslr: framebuffers in the direct map have room wherever it is") {
    const uint64_t screen = TIB(60);
    for (uint64_t seed = 0; seed < 8; seed++) {
        setup_kaslr(NULL,
                    (struct slipway_note_wishes){.flags = SLIPWAY_NOTE_KASLR | SLIPWAY_NOTE_DIRECT},
                    seed);
        fake_add_display(screen, 640, 480);
        const struct slipway_boot_info *info = boot(3);
        assert_int_equal(info->framebuffers.count, 1);
        // From 60 TiB on a GiB for the picture, and one more.
        assert_int_equal(info->kaslr.direct_places, 4096 - 1);
    }
}

TEST("kaslr: a direct map that has one place stays there") {
    setup_kaslr(NULL, kaslr, 1);
    fake_add_memory(SLIPWAY_HHDM_MAX_BYTES - FRAME_BYTES, FRAME_BYTES, EfiConventionalMemory);
    assert_int_equal(boot(SLIPWAY_KASLR_IMAGE)->hhdm_base, SLIPWAY_HHDM_BASE);
    setup_expect_logged("kaslr: the direct map stays where it is: there is no other place");
}

TEST("kaslr: an image whose thread-local data keep it at a multiple of a GiB stays there") {
    setup_kaslr(NULL, kaslr, 1);
    elf_file_add(&setup_kernel, ELF_PT_TLS, 0x1000, 0, 0x40)->align = GIB(1);
    assert_int_equal(boot(SLIPWAY_KASLR_DIRECT)->kernel_virt, SLIPWAY_KERNEL_DEFAULT);
    setup_expect_logged("kaslr: the image stays where it is: there is no other place");
    assert_false(has_logged("kaslr: the direct map stays"));
}

// A GiB more than its memory has to fit.
TEST("kaslr: a direct map moves if there are two places for it, and not if there is one") {
    for (uint64_t places = 1; places <= 2; places++) {
        setup_kaslr(NULL, kaslr, 1);
        fake_add_memory(SLIPWAY_HHDM_MAX_BYTES - places * GIB(1) - FRAME_BYTES, FRAME_BYTES,
                        EfiConventionalMemory);
        const struct slipway_boot_info *info = boot(places == 1 ? SLIPWAY_KASLR_IMAGE : 3);
        assert_int_equal(info->kaslr.direct_places, places == 1 ? 0 : 2);
    }
}

// Linked to the window, so that it begins at no multiple of 2 MiB.
TEST("kaslr: an image in pieces moves as a whole, and keeps its offset from a multiple of 2 MiB") {
    static const struct elf64_dynamic nothing;
    setup_kaslr(NULL, kaslr, 1);
    elf_file_move(&setup_kernel, SLIPWAY_KERNEL_DEFAULT + MIB(8) + FRAME_BYTES);
    setup_put(SETUP_DYNAMIC, &nothing, sizeof(nothing));
    fake_set_memory(MIB(1), FAKE_ARENA_START - MIB(1), EfiReservedMemoryType);
    fake_set_memory(FAKE_HIGH_PHYS, FAKE_HIGH_BYTES, EfiReservedMemoryType);
    fake_set_memory(FAKE_ARENA_START + MIB(8), FRAME_BYTES, EfiReservedMemoryType);
    setup_kernel.phdrs[ELF_FILE_DATA].mem_bytes = MIB(26);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_true(info->kernel_pieces.count > 1);
    assert_int_equal(info->kaslr.moved, 3);
    assert_int_equal(info->kernel_virt % MIB(2), FRAME_BYTES);
    assert_true(info->kernel_slide != 0 && is_aligned(info->kernel_slide, MIB(2)));
}

TEST(
    "kaslr: of many boots with different numbers all places differ that can, and none is a favourite") {
    enum { BOOTS = 256 };
    static uint32_t halves[2], quarters[4], slides[512];
    uint32_t twice = 0;
    for (uint64_t seed = 0; seed < BOOTS; seed++) {
        setup_kaslr(NULL, kaslr, seed * seed);
        const struct slipway_boot_info *info = boot(3);
        uint64_t place = (info->kernel_slide - SLIPWAY_KERNEL_DEFAULT) / MIB(2);
        halves[place / 256]++;
        quarters[(info->hhdm_base - SLIPWAY_HHDM_BASE) / TIB(16)]++;
        twice += slides[place]++ != 0;
    }
    // The seeds are fixed. Of 256 numbers below 512 a fifth or so has come before.
    assert_in_range(twice, 30, 80);
    assert_in_range(halves[0], 96, 160);
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(quarters[i], 40, 90);
}

TEST("kaslr: a kernel of the Limine protocol is told of its places, if the config moves it") {
    for (unsigned is_on = 0; is_on < 2; is_on++) {
        setup_boot(is_on ? "kaslr = on\n" : NULL);
        setup_limine(6);
        uint64_t hhdm = setup_limine_ask(LIMINE_HHDM, 0, 0, NULL);
        setup_add_sources(ALL, 1);
        fake_boot();
        setup_limine_expect_kernel();
        const struct limine_value_response *base = setup_limine_response(hhdm);
        assert_int_equal(base->value == SLIPWAY_HHDM_BASE, !is_on);
        assert_true(is_aligned(base->value, GIB(1)));
        assert_int_equal(setup_words_given, is_on ? 4 * WORDS : 2 * WORDS);
    }
}
