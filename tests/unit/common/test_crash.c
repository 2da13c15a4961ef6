// Reports that outlive a reset: what was written is found, and nothing else is.
#include "common/crash/crash.h"

#include "tests/unit/support/random.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_BYTES = 512, TEXT_MAX = ROOM_BYTES - (int)sizeof(struct slipway_crash) };

// Exactly as large, so that a sanitizer sees a byte too much.
static void *make_room(void) {
    void *room = malloc(ROOM_BYTES);
    memset(room, 0xA5, ROOM_BYTES);
    return room;
}

static void append(struct crash_writer *writer, const char *text) {
    crash_append(writer, text, strlen(text));
}

static void expect(const void *room, const char *text, int64_t time) {
    struct crash_found found;
    assert_true(crash_find(room, ROOM_BYTES, &found));
    assert_int_equal(found.text_bytes, strlen(text));
    assert_memory_equal(found.text, text, found.text_bytes);
    assert_int_equal(found.time, time);
}

TEST("crash: a report is whole after each part of it") {
    void *room = make_room();
    struct crash_found found;
    struct crash_writer writer = crash_begin(room, ROOM_BYTES, 1234);
    assert_false(crash_find(room, ROOM_BYTES, &found)); // one without text is none
    append(&writer, "PANIC: ");
    expect(room, "PANIC: ", 1234);
    append(&writer, "");
    append(&writer, "no way\n");
    expect(room, "PANIC: no way\n", 1234);
    writer = crash_begin(room, ROOM_BYTES, -1);
    append(&writer, "another");
    expect(room, "another", -1);
    crash_erase(room);
    assert_false(crash_find(room, ROOM_BYTES, &found));
    free(room);
}

TEST("crash: what the room has no place for is left out") {
    void *room = make_room();
    char text[TEXT_MAX + 10];
    memset(text, 'x', sizeof(text));
    text[TEXT_MAX] = '\0';
    struct crash_writer writer = crash_begin(room, ROOM_BYTES, 0);
    crash_append(&writer, text, TEXT_MAX - 1);
    crash_append(&writer, text, 2);
    crash_append(&writer, text, 2);
    expect(room, text, 0);
    writer = crash_begin(room, ROOM_BYTES, 0);
    crash_append(&writer, text, sizeof(text));
    expect(room, text, 0);
    free(room);
    writer = (struct crash_writer){0};
    append(&writer, "nowhere");
}

TEST("crash: a report with any bit changed is none") {
    unsigned char *room = make_room();
    struct crash_found found;
    struct crash_writer writer = crash_begin(room, ROOM_BYTES, 99);
    append(&writer, "CPU exception");
    for (unsigned bit = 0; bit < 8 * (sizeof(struct slipway_crash) + 13); bit++) {
        room[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_false(crash_find(room, ROOM_BYTES, &found));
        room[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    room[sizeof(struct slipway_crash) + 13] ^= 1; // behind it
    expect(room, "CPU exception", 99);
    free(room);
}

TEST("crash: of no length is anything read outside of the room") {
    struct slipway_crash *room = make_room();
    struct crash_found found;
    static const uint32_t lengths[] = {0, TEXT_MAX + 1, ROOM_BYTES, UINT32_MAX};
    room->magic = SLIPWAY_CRASH_MAGIC;
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        room->text_bytes = lengths[i];
        assert_false(crash_find(room, ROOM_BYTES, &found));
    }
    free(room);
}

TEST("crash: random bytes are no report") {
    uint64_t *room = make_room();
    struct random random = random_start("crash");
    struct crash_found found;
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned i = 0; i < ROOM_BYTES / sizeof(*room); i++)
            room[i] = random_next(&random);
        room[0] = SLIPWAY_CRASH_MAGIC;
        room[2] &= round % 2 ? UINT64_MAX : 0x1ff; // the length
        assert_false(crash_find(room, ROOM_BYTES, &found));
    }
    free(room);
}

TEST("crash: a text is shown as ASCII, whatever it holds") {
    char text[256], copy[256];
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)i;
    crash_copy_text(copy, text, sizeof(text));
    for (unsigned i = 0; i < sizeof(text); i++)
        assert_int_equal(copy[i], i == '\n' || (i >= 0x20 && i < 0x7f) ? (char)i : '?');
}

static void expect_time(int64_t time, const char *expected) {
    char text[64] = "";
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    crash_print_time(&sink, time);
    assert_string_equal(text, expected);
}

TEST("crash: times are dates, leap days among them") {
    expect_time(1, "on 1970-01-01 00:00:01 UTC");
    expect_time(951782400, "on 2000-02-29 00:00:00 UTC");
    expect_time(951868799, "on 2000-02-29 23:59:59 UTC");
    expect_time(951868800, "on 2000-03-01 00:00:00 UTC");
    expect_time(1709210096, "on 2024-02-29 12:34:56 UTC");
    expect_time(1735689599, "on 2024-12-31 23:59:59 UTC");
    expect_time(4107542400, "on 2100-03-01 00:00:00 UTC");
    expect_time(253402300799, "on 9999-12-31 23:59:59 UTC");
    expect_time(253402300800, "at a time that is not known");
    expect_time(0, "at a time that is not known");
    expect_time(-1, "at a time that is not known");
    expect_time(INT64_MAX, "at a time that is not known");
}
