// The screen over a framebuffer in host memory, between two areas that nothing may write.
// These four are compiled here and not in the library of pure code: they ask the rest of the
// kernel for what they show, and this file plays the rest of the kernel.
#include "common/screen/framebuffer.c"
#include "kernel/console/picture.c"
#include "kernel/console/screen.c"

#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

// What the screen asks of the rest of the kernel. Every glyph of this font is a filled cell whose
// bottom line is empty; a blank is empty.
const uint8_t font_glyphs[FONT_LAST - FONT_FIRST + 1][GLYPH_HEIGHT] = {
    [1 ... FONT_LAST - FONT_FIRST] = {[0 ... GLYPH_HEIGHT - 2] = 0xff},
};

static struct slipway_boot_info info;
static struct memory_facts facts;

const struct slipway_boot_info *boot_info(void) {
    return &info;
}

const struct memory_facts *memory_facts(void) {
    return &facts;
}

void stages_begin(const char *name) {
    (void)name;
}

void stages_end(uint64_t bytes) {
    (void)bytes;
}

// A heap of one object, for the text: it is lost with each test. False: there is no memory.
static bool has_memory = true;
static void *object;

void *heap_alloc_from(struct heap_place *place, uint64_t bytes) {
    (void)place;
    free(object);
    object = has_memory ? malloc(bytes) : NULL;
    return object;
}

enum { CANARY_WORDS = 4096, CANARY = 0x5aa5c33c, TEXT_INK = 0xd8dee9 };

struct display {
    struct slipway_framebuffer framebuffer;
    uint32_t *memory; // canary, pixels, canary
    uint32_t *pixels;
    size_t words;
};

static const struct memmap_region regions[] = {
    {0, MIB(1), SLIPWAY_MEM_RESERVED, false},
    {MIB(1), GIB(2), SLIPWAY_MEM_USABLE, true},
    {GIB(4), GIB(64), SLIPWAY_MEM_USABLE, true},
    {TIB(1), TIB(1) + GIB(12), SLIPWAY_MEM_RESERVED, false},
};

static struct display display_make(uint32_t width, uint32_t height, uint32_t gap_pixels) {
    uint32_t pitch = (width + gap_pixels) * 4;
    size_t words = (size_t)pitch / 4 * height;
    struct display display = {.memory = malloc((words + 2 * CANARY_WORDS) * 4), .words = words};
    assert_non_null(display.memory);
    for (size_t i = 0; i < words + 2 * CANARY_WORDS; i++)
        display.memory[i] = CANARY;
    display.pixels = display.memory + CANARY_WORDS;
    display.framebuffer = (struct slipway_framebuffer){
        .address = (uint64_t)(uintptr_t)display.pixels,
        .bytes = words * 4,
        .width = width,
        .height = height,
        .pitch = pitch,
        .red_mask = 0xff0000,
        .green_mask = 0xff00,
        .blue_mask = 0xff,
    };
    return display;
}

static void display_show(struct display *display) {
    info.framebuffers = (struct slipway_array){
        .address = (uint64_t)(uintptr_t)&display->framebuffer,
        .count = 1,
        .stride = sizeof(display->framebuffer),
    };
    facts.regions = regions;
    facts.region_count = ARRAY_LEN(regions);
    facts.report.bytes[SLIPWAY_MEM_USABLE] = GIB(62) - MIB(1);
    facts.report.bytes[SLIPWAY_MEM_RESERVED] = GIB(12) + MIB(1);
}

static void display_start(struct display *display) {
    display_show(display);
    screen_start();
}

static uint32_t pixel(const struct display *display, uint32_t x, uint32_t y) {
    return display->pixels[(size_t)y * display->framebuffer.pitch / 4 + x];
}

static void expect_canaries(const struct display *display) {
    const struct slipway_framebuffer *f = &display->framebuffer;
    for (size_t i = 0; i < CANARY_WORDS; i++) {
        assert_int_equal(display->memory[i], CANARY);
        assert_int_equal(display->pixels[display->words + i], CANARY);
    }
    for (uint32_t y = 0; y < f->height; y++) {
        for (uint32_t x = f->width; x < f->pitch / 4; x++)
            assert_int_equal(pixel(display, x, y), CANARY);
    }
}

static size_t count_pixels(const struct display *display, uint32_t colour) {
    size_t count = 0;
    for (size_t i = 0; i < display->words; i++)
        count += display->pixels[i] == colour;
    return count;
}

static void write_text(const char *text) {
    screen_write(text, strlen(text));
}

static const uint32_t sizes[][2] = {
    {1, 1},      {8, 16},     {23, 16},     {24, 17},     {320, 200},   {640, 480},   {800, 600},
    {1280, 800}, {1366, 768}, {1920, 1080}, {2560, 1600}, {3840, 2160}, {7680, 1080}, {600, 3000},
};

TEST("screen: at every size, text that overflows it stays inside the lines of the framebuffer") {
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct display display = display_make(sizes[i][0], sizes[i][1], 5);
        display_start(&display);
        for (unsigned line = 0; line < 400; line++)
            write_text("a line of text that is longer than a narrow screen has columns\n");
        for (unsigned character = 0; character < 300; character++)
            write_text("x");
        write_text("\b\b\b \x01\x1b\x7f\xff\r");
        screen_next_pane();
        write_text("end");
        expect_canaries(&display);
        free(display.memory);
    }
}

TEST("screen: a written character appears, and a backspace with a blank removes it") {
    struct display display = display_make(640, 480, 0);
    display_start(&display);
    size_t before = count_pixels(&display, TEXT_INK);
    write_text("#");
    size_t cell = GLYPH_WIDTH * (GLYPH_HEIGHT - 1);
    assert_int_equal(count_pixels(&display, TEXT_INK), before + cell);
    write_text("\b \b");
    assert_int_equal(count_pixels(&display, TEXT_INK), before);
    free(display.memory);
}

TEST("screen: scrolling keeps the newest lines, each once") {
    struct display display = display_make(640, 480, 0);
    display_start(&display);
    size_t picture = count_pixels(&display, TEXT_INK);
    for (unsigned line = 0; line < 100; line++)
        write_text("\n#");
    size_t cell = GLYPH_WIDTH * (GLYPH_HEIGHT - 1);
    size_t seen = (count_pixels(&display, TEXT_INK) - picture) / cell;
    assert_true(seen > 5);
    assert_true(seen < 480 / GLYPH_HEIGHT);
    write_text("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n");
    assert_int_equal(count_pixels(&display, TEXT_INK), picture);
    free(display.memory);
}

TEST("screen: text that is hidden, and what is written meanwhile, comes back as it would be") {
    struct display covered = display_make(640, 480, 3), shown = display_make(640, 480, 3);
    for (unsigned i = 0; i < 2; i++) {
        display_start(i == 0 ? &covered : &shown);
        write_text("before\nand\n");
        struct screen_area area;
        assert_true(screen_find_area(&area));
        if (i == 0) {
            screen_hide_text();
            framebuffer_fill(area.left, area.top, area.width, area.height, 0x123456);
        }
        for (unsigned line = 0; line < 40; line++)
            write_text("meanwhile\n");
        if (i == 0) {
            assert_true(count_pixels(&covered, 0x123456) > 1000);
            screen_show_text();
        }
        write_text("after");
    }
    assert_memory_equal(covered.pixels, shown.pixels, covered.words * 4);
    expect_canaries(&covered);
    free(covered.memory);
    free(shown.memory);
}

TEST("screen: a failure shows the text that was hidden") {
    struct display display = display_make(640, 480, 0);
    display_start(&display);
    write_text("#");
    size_t before = count_pixels(&display, TEXT_INK);
    screen_hide_text();
    assert_int_equal(count_pixels(&display, TEXT_INK), before - GLYPH_WIDTH * (GLYPH_HEIGHT - 1));
    screen_start_for_failure();
    assert_int_equal(count_pixels(&display, TEXT_INK), before);
    screen_set_colour(SCREEN_TEXT);
    free(display.memory);
}

// A line of "#" as long as the screen has columns, on each of its rows.
static size_t count_cells_of_full_text(struct display *display) {
    size_t before = count_pixels(display, TEXT_INK);
    for (unsigned i = 0; i < 100 * 1000; i++)
        write_text("#");
    return (count_pixels(display, TEXT_INK) - before) / (GLYPH_WIDTH * (GLYPH_HEIGHT - 1));
}

TEST("screen: without a heap text has one pane of 80 columns and 50 rows, inside the lines") {
    static const uint32_t screens[][2] = {{1920, 1070}, {1280, 800}, {320, 200}};
    for (size_t i = 0; i < ARRAY_LEN(screens); i++) {
        struct display display = display_make(screens[i][0], screens[i][1], 5);
        has_memory = false;
        display_start(&display);
        has_memory = true;
        uint32_t room_columns = screens[i][0] / GLYPH_WIDTH - 2;
        struct screen_area area;
        assert_true(screen_find_area(&area));
        size_t cells_seen = count_cells_of_full_text(&display);
        assert_true(cells_seen <= 50 * min_u64(80, room_columns));
        assert_true(cells_seen > area.height / GLYPH_HEIGHT / 2 * min_u64(80, room_columns));
        expect_canaries(&display);
        free(display.memory);
    }
}

TEST("screen: a failure before the screen was started does not ask the heap for room") {
    struct display none = display_make(1, 1, 0), display = display_make(640, 480, 0);
    display_start(&none); // on which there is no text
    display_show(&display);
    free(object);
    object = NULL;
    screen_start_for_failure();
    screen_set_colour(SCREEN_TEXT);
    size_t before = count_pixels(&display, TEXT_INK);
    write_text("#");
    assert_int_equal(count_pixels(&display, TEXT_INK), before + GLYPH_WIDTH * (GLYPH_HEIGHT - 1));
    assert_null(object);
    free(none.memory);
    free(display.memory);
}

TEST("screen: a wide screen has panes, and the next pane begins in its right half") {
    struct display display = display_make(1280, 800, 0);
    display_start(&display);
    size_t before = count_pixels(&display, TEXT_INK);
    screen_next_pane();
    write_text("#");
    assert_int_equal(count_pixels(&display, TEXT_INK), before + GLYPH_WIDTH * (GLYPH_HEIGHT - 1));
    bool found = false;
    for (uint32_t y = 0; y < 800; y++)
        found = found || pixel(&display, 640 + GLYPH_WIDTH, y) == TEXT_INK;
    assert_true(found);
    free(display.memory);
}

TEST("screen: colours follow the masks of the pixel format") {
    static const struct {
        uint32_t red, green, blue, ink;
    } formats[] = {
        {0xff0000, 0xff00, 0xff, 0xd8dee9},
        {0xff, 0xff00, 0xff0000, 0xe9ded8},
        {0xff000000, 0xff0000, 0xff00, 0xd8dee900},
        {0x3ff00000, 0xffc00, 0x3ff, 0x362deba6},
        {0xf800, 0x7e0, 0x1f, 0xd6dc},
    };
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        struct display display = display_make(320, 200, 0);
        display.framebuffer.red_mask = formats[i].red;
        display.framebuffer.green_mask = formats[i].green;
        display.framebuffer.blue_mask = formats[i].blue;
        display_start(&display);
        write_text("#");
        assert_int_equal(count_pixels(&display, formats[i].ink), GLYPH_WIDTH * (GLYPH_HEIGHT - 1));
        free(display.memory);
    }
}

TEST("framebuffer: rectangles are clipped at the edges, glyphs that do not fit are left out") {
    struct display display = display_make(100, 50, 3);
    assert_true(framebuffer_start(&display.framebuffer));
    framebuffer_fill(0, 0, UINT32_MAX, UINT32_MAX, 0x010203);
    assert_int_equal(count_pixels(&display, 0x010203), 100 * 50);
    framebuffer_fill(90, 45, 20, 20, 0x040506);
    assert_int_equal(count_pixels(&display, 0x040506), 10 * 5);
    framebuffer_fill(100, 0, 1, 1, 0x070809);
    framebuffer_fill(0, 50, 1, 1, 0x070809);
    framebuffer_glyph(93, 0, '#', 1, 0x070809, 0);
    framebuffer_glyph(0, 35, '#', 1, 0x070809, 0);
    framebuffer_glyph(UINT32_MAX - 7, UINT32_MAX - 15, '#', 1, 0x070809, 0);
    framebuffer_glyph(0, 0, '#', UINT32_MAX, 0x070809, 0);
    assert_int_equal(count_pixels(&display, 0x070809), 0);
    framebuffer_glyph(92, 34, '#', 1, 0x070809, 0);
    assert_int_equal(count_pixels(&display, 0x070809), GLYPH_WIDTH * (GLYPH_HEIGHT - 1));
    expect_canaries(&display);
    free(display.memory);
}

TEST("framebuffer: numbers that contradict each other are refused, and nothing is drawn") {
    struct display display = display_make(320, 200, 0);
    struct slipway_framebuffer good = display.framebuffer;
    assert_true(framebuffer_start(&good));
    struct slipway_framebuffer bad[] = {good, good, good, good, good, good};
    bad[0].width = 0;
    bad[1].height = 0;
    bad[2].pitch = 319 * 4;
    bad[3].bytes -= 1;
    bad[4].pitch += 2;
    bad[5].address += 1;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(framebuffer_start(&bad[i]));
    assert_int_equal(count_pixels(&display, CANARY), display.words);
    free(display.memory);
}
