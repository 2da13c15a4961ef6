#include "kernel/console/picture.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "kernel/base/units.h"
#include "kernel/console/strip.h"
#include "kernel/memory/memory.h"

#include <stddef.h>

#define INK   0xd8dee9
#define FAINT 0x8892a4
#define TITLE 0xeceff4

enum {
    ROWS_LEAST = 24, // of text: below that the picture would leave no room for words
    COLUMNS_LEAST = 60,
    STRIP_HEIGHT = 40, // pixels, times scale, as all below
    TICK_HEIGHT = 6,
    BOX = 10, // side of a legend's colour sample
};

static const colour_t kind_colours[SLIPWAY_MEM_KINDS] = {
    [STRIP_HOLE] = 0x1b1f27,
    [SLIPWAY_MEM_USABLE] = 0x7fb069,
    [SLIPWAY_MEM_BOOT_SERVICES] = 0x5e9ea0,
    [SLIPWAY_MEM_LOADER] = 0x5e81ac,
    [SLIPWAY_MEM_ACPI_RECLAIM] = 0xb48ead,
    [SLIPWAY_MEM_MODULE] = 0xebcb8b,
    [SLIPWAY_MEM_KERNEL] = 0xd8863b,
    [SLIPWAY_MEM_PAGE_TABLES] = 0xf2e27a,
    [SLIPWAY_MEM_ACPI_NVS] = 0x8f6fa8,
    [SLIPWAY_MEM_RUNTIME] = 0xbf616a,
    [SLIPWAY_MEM_SOFT_RESERVED] = 0x7a6a55,
    [SLIPWAY_MEM_PERSISTENT] = 0x9aa06b,
    [SLIPWAY_MEM_UNACCEPTED] = 0x6b7a8f,
    [SLIPWAY_MEM_RESERVED] = 0x5b6472,
    [SLIPWAY_MEM_UNUSABLE] = 0x3d2b2b,
    [SLIPWAY_MEM_MMIO] = 0x7b8494,
};

// A place to draw at, and what everything is drawn with.
struct pen {
    uint32_t x;
    uint32_t y;
    uint32_t scale;
    uint32_t left; // margins
    uint32_t right;
};

static void draw_text(struct pen *pen, const char *text, colour_t ink) {
    for (; *text != '\0'; text++) {
        framebuffer_glyph(pen->x, pen->y, *text, pen->scale, ink, PICTURE_PAPER);
        pen->x += GLYPH_WIDTH * pen->scale;
    }
}

static uint32_t text_width(const struct pen *pen, const char *text) {
    return (uint32_t)strlen(text) * GLYPH_WIDTH * pen->scale;
}

static void draw_title(struct pen *pen) {
    char storage[96];
    char ram[UNITS_BYTES_MAX];
    struct fmt_buffer buffer = fmt_buffer_make(storage, sizeof(storage));
    struct sink sink = fmt_buffer_sink(&buffer);
    const struct memmap_report *report = &memory_facts()->report;
    draw_text(pen, "Slipway " SLIPWAY_VERSION, TITLE);
    fmt_print(&sink, "  %s of RAM in %lu regions, widths by square root",
              units_bytes(ram, report->direct_bytes), memory_facts()->region_count);
    draw_text(pen, storage, FAINT);
    pen->x = pen->left;
    pen->y += (GLYPH_HEIGHT + GLYPH_HEIGHT / 2) * pen->scale;
}

static void draw_strip(struct pen *pen) {
    const struct memory_facts *facts = memory_facts();
    struct strip strip = strip_make(facts->regions, facts->region_count, pen->right - pen->left);
    struct strip_band band;
    while (strip_next(&strip, &band))
        framebuffer_fill(pen->left + band.x, pen->y, band.width, STRIP_HEIGHT * pen->scale,
                         kind_colours[band.kind]);
    pen->y += STRIP_HEIGHT * pen->scale;
}

static void draw_address(const struct pen *pen, uint32_t tick_x, uint32_t label_x,
                         const char *label) {
    framebuffer_fill(tick_x, pen->y, pen->scale, TICK_HEIGHT * pen->scale, FAINT);
    struct pen below = *pen;
    below.x = label_x;
    below.y += TICK_HEIGHT * pen->scale;
    draw_text(&below, label, FAINT);
}

// Labels the strip with addresses: a tick and its address below the left edge, and below the start
// of each band that is as wide as its label. The label of the end is aligned to the right.
static void draw_addresses(struct pen *pen) {
    const struct memory_facts *facts = memory_facts();
    struct strip strip = strip_make(facts->regions, facts->region_count, pen->right - pen->left);
    struct strip_band band = {0};
    uint32_t free_from = pen->left;
    char storage[UNITS_BYTES_MAX];
    while (strip_next(&strip, &band)) {
        const char *label = band.start == 0 ? "0" : units_bytes(storage, band.start);
        uint32_t width = text_width(pen, label);
        uint32_t x = pen->left + band.x;
        if (x < free_from || (band.x != 0 && band.width < width))
            continue;
        draw_address(pen, x, x, label);
        free_from = x + width + GLYPH_WIDTH * pen->scale;
    }
    const char *label = units_bytes(storage, band.end);
    uint32_t x = pen->right - text_width(pen, label);
    if (x >= free_from)
        draw_address(pen, pen->right - pen->scale, x, label);
    pen->x = pen->left;
    pen->y += (TICK_HEIGHT + GLYPH_HEIGHT + GLYPH_HEIGHT / 2) * pen->scale;
}

static void draw_legend_entry(struct pen *pen, uint32_t kind, uint64_t bytes) {
    char storage[UNITS_BYTES_MAX];
    const char *name = memmap_kind_text(kind);
    const char *size = units_bytes(storage, bytes);
    uint32_t glyph = GLYPH_WIDTH * pen->scale;
    uint32_t width = 2 * glyph + text_width(pen, name) + glyph + text_width(pen, size) + 3 * glyph;
    if (pen->x != pen->left && pen->x + width - 3 * glyph > pen->right) {
        pen->x = pen->left;
        pen->y += GLYPH_HEIGHT * pen->scale;
    }
    framebuffer_fill(pen->x, pen->y + 3 * pen->scale, BOX * pen->scale, BOX * pen->scale,
                     kind_colours[kind]);
    pen->x += 2 * glyph;
    draw_text(pen, name, INK);
    pen->x += glyph;
    draw_text(pen, size, FAINT);
    pen->x += 3 * glyph;
}

static void draw_legend(struct pen *pen) {
    const struct memmap_report *report = &memory_facts()->report;
    for (uint32_t kind = 1; kind < SLIPWAY_MEM_KINDS; kind++) {
        if (report->bytes[kind] != 0)
            draw_legend_entry(pen, kind, report->bytes[kind]);
    }
    pen->x = pen->left;
    pen->y += (GLYPH_HEIGHT + GLYPH_HEIGHT / 2) * pen->scale;
}

uint32_t picture_draw(uint32_t scale) {
    uint32_t width = framebuffer_width();
    uint32_t height = framebuffer_height();
    framebuffer_fill(0, 0, width, height, PICTURE_PAPER);
    if (memory_facts()->regions == NULL)
        return 0;
    if (width < COLUMNS_LEAST * GLYPH_WIDTH * scale || height < ROWS_LEAST * GLYPH_HEIGHT * scale)
        return 0;
    uint32_t margin = GLYPH_WIDTH * scale;
    struct pen pen = {
        .x = margin, .y = margin, .scale = scale, .left = margin, .right = width - margin};
    draw_title(&pen);
    draw_strip(&pen);
    draw_addresses(&pen);
    draw_legend(&pen);
    return pen.y;
}
