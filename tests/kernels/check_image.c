// The kernel's image: rights of its segments, their aliases, relocations.
#include "checks.h"
#include "image.h"
#include "kit.h"
#include "pages.h"

struct image_part image_part(unsigned index) {
    const struct image_part parts[IMAGE_PARTS] = {
        {"text", (uint64_t)link_image_start, (uint64_t)link_text_end, SLIPWAY_RIGHT_EXECUTE},
        {"rodata", (uint64_t)link_rodata_start, (uint64_t)link_rodata_end, 0},
        {"relro", (uint64_t)link_relro_start, (uint64_t)link_relro_end, 0},
        {"data", (uint64_t)link_relro_end, (uint64_t)link_image_end, SLIPWAY_RIGHT_WRITE},
    };
    struct image_part part = parts[index];
    part.end = (part.end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    return part;
}

// Two arrays of pointers whose values need relocations in a position independent kernel: one ends
// in RELRO, the other in writable data.
__attribute__((section(".data.rel.ro"))) static const char *const constant_pointers[] = {
    link_image_start, link_text_end, link_image_end};
static const char *volatile writable_pointers[] = {link_rodata_start, link_relro_end};

static void check_part(struct image_part part) {
    for (uint64_t page = part.start; page < part.end; page += PAGE_BYTES) {
        struct leaf leaf;
        bool mapped = pages_translate(page, &leaf);
        CHECK(mapped, page);
        if (!mapped)
            continue;
        CHECK_EQUAL(leaf.writable, !!(part.rights & SLIPWAY_RIGHT_WRITE));
        CHECK_EQUAL(leaf.executable, !!(part.rights & SLIPWAY_RIGHT_EXECUTE));
        struct leaf alias;
        uint64_t phys = leaf.phys + (page - leaf.virt);
        bool aliased = pages_translate(boot->hhdm_base + phys, &alias);
        CHECK(aliased, phys);
        CHECK(aliased && !alias.executable, phys);
        // Frames of text and read-only data are read-only there too; data stays writable.
        CHECK(aliased && alias.writable == leaf.writable, phys);
    }
}

static void check_relocations(void) {
    check_begin("relocations are applied");
    // The volatile index keeps the compiler from computing the answer by itself.
    volatile unsigned first = 0;
    const char *const *constant = constant_pointers + first;
    CHECK_EQUAL((uint64_t)constant[0], (uint64_t)link_image_start);
    CHECK_EQUAL((uint64_t)constant[1], (uint64_t)link_text_end);
    CHECK_EQUAL((uint64_t)constant[2], (uint64_t)link_image_end);
    CHECK_EQUAL((uint64_t)writable_pointers[0], (uint64_t)link_rodata_start);
    CHECK_EQUAL((uint64_t)writable_pointers[1], (uint64_t)link_relro_end);
}

static void check_places(void) {
    const struct slipway_kaslr *kaslr = &boot->kaslr;
    bool has_image = (kaslr->moved & SLIPWAY_KASLR_IMAGE) != 0;
    bool has_direct = (kaslr->moved & SLIPWAY_KASLR_DIRECT) != 0;
    check_begin("image and direct map are at places that the boot info says, random or not");
    CHECK_EQUAL(has_image, kaslr->image_places > 1);
    CHECK_EQUAL(has_direct, kaslr->direct_places > 1);
    CHECK_EQUAL(kaslr->moved != 0, kaslr->sources != 0);
    CHECK((kaslr->sources & SLIPWAY_ENTROPY_JITTER) == 0, kaslr->sources);
    CHECK_EQUAL(boot->hhdm_base % (has_direct ? SLIPWAY_KASLR_ALIGN : SLIPWAY_HHDM_ALIGN), 0);
    if (has_image) {
        CHECK_EQUAL(boot->kernel_slide % (2 << 20), 0);
        CHECK(boot->kernel_virt - SLIPWAY_KERNEL_DEFAULT < 1 << 30, boot->kernel_virt);
    }
    kit_fact("kernel.slide", boot->kernel_slide);
    kit_fact("kaslr.moved", kaslr->moved);
    kit_fact("kaslr.sources", kaslr->sources);
    kit_fact("kaslr.image_places", kaslr->image_places);
    kit_fact("kaslr.direct_places", kaslr->direct_places);
}

void check_image(void) {
    check_begin("segments have exactly the rights of the ELF file, RELRO and aliases included");
    uint64_t bytes = 0;
    for (unsigned i = 0; i < IMAGE_PARTS; i++) {
        struct image_part part = image_part(i);
        check_part(part);
        bytes += part.end - part.start;
    }
    for (uint32_t i = 0; i < boot->mappings.count; i++)
        if (manifest_mapping(i)->purpose == SLIPWAY_MAP_KERNEL)
            bytes -= manifest_mapping(i)->bytes;
    CHECK_EQUAL(bytes, 0); // nothing else is mapped as kernel

    check_begin("the boot info describes the kernel's image");
    uint64_t start = (uint64_t)link_image_start;
    CHECK_EQUAL(boot->kernel_virt, start);
    CHECK_EQUAL(boot->kernel_bytes, (uint64_t)link_image_end - start);
    CHECK_EQUAL(boot->kernel_slide, start - BASE);
    CHECK_EQUAL(boot->kernel_entry, (uint64_t)_start);
    struct leaf leaf;
    CHECK(pages_translate(start, &leaf), start);
    CHECK_EQUAL(boot->kernel_phys, leaf.phys + (start - leaf.virt));
    uint64_t virt = start;
    for (uint32_t i = 0; i < boot->kernel_pieces.count; i++) {
        const struct slipway_piece *piece = kit_record(boot->kernel_pieces, i);
        CHECK_EQUAL(piece->virt, virt);
        for (uint64_t at = 0; at < piece->bytes; at += PAGE_BYTES) {
            bool is_mapped = pages_translate(virt + at, &leaf);
            CHECK(!is_mapped || piece->phys + at == leaf.phys + (virt + at - leaf.virt), virt + at);
        }
        virt += piece->bytes;
    }
    CHECK_EQUAL(virt, (uint64_t)link_image_end);
    kit_fact("kernel.pieces", boot->kernel_pieces.count);
    CHECK(manifest_in_range(start, (uint64_t)link_text_end - start, SLIPWAY_RANGE_KERNEL), start);
    kit_fact("kernel.virt", boot->kernel_virt);
    kit_fact("kernel.file_bytes", boot->kernel_file_bytes);
    kit_text("kernel.path", boot->kernel_path);

    check_relocations();
    check_places();
}
