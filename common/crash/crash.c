#include "common/crash/crash.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

#include <stddef.h>

// FNV-1a with 64 bits (RFC draft-eastlake-fnv): for accidents, not against anybody who means harm.
#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

#define DAY_SECONDS  INT64_C(86400)
#define YEAR_10000   (INT64_C(2932897) * DAY_SECONDS) // since 1970
#define ERA_DAYS     UINT64_C(146097)                 // 400 years
#define DAYS_TO_1970 UINT64_C(719468)                 // from 0000-03-01

static uint64_t hash(uint64_t state, const void *bytes, uint64_t count) {
    const uint8_t *at = bytes;
    for (uint64_t i = 0; i < count; i++)
        state = (state ^ at[i]) * FNV_PRIME;
    return state;
}

// Of the text, then of all that stands between checksum and text.
static uint64_t checksum(uint64_t text_hash, const struct slipway_crash *crash) {
    const size_t start = offsetof(struct slipway_crash, text_bytes);
    return hash(text_hash, (const uint8_t *)crash + start, sizeof(*crash) - start);
}

static char *text_of(struct slipway_crash *crash) {
    return (char *)(crash + 1);
}

struct crash_writer crash_begin(void *room, uint64_t room_bytes, int64_t time) {
    struct slipway_crash *crash = room;
    *crash = (struct slipway_crash){.magic = SLIPWAY_CRASH_MAGIC, .time = time};
    return (struct crash_writer){crash, room_bytes, FNV_START};
}

// Length before checksum: what is read back of a store that was cut off between them is no record.
void crash_append(struct crash_writer *writer, const char *text, uint64_t bytes) {
    struct slipway_crash *crash = writer->room;
    if (crash == NULL)
        return;
    uint64_t left = writer->room_bytes - sizeof(*crash) - crash->text_bytes;
    uint64_t count = min_u64(bytes, left);
    memcpy(text_of(crash) + crash->text_bytes, text, count);
    writer->text_hash = hash(writer->text_hash, text, count);
    crash->text_bytes += (uint32_t)count;
    crash->checksum = checksum(writer->text_hash, crash);
}

bool crash_find(const void *room, uint64_t room_bytes, struct crash_found *ret_found) {
    const struct slipway_crash *crash = room;
    if (crash->magic != SLIPWAY_CRASH_MAGIC || crash->text_bytes == 0 ||
        crash->text_bytes > room_bytes - sizeof(*crash))
        return false;
    const char *text = (const char *)(crash + 1);
    if (crash->checksum != checksum(hash(FNV_START, text, crash->text_bytes), crash))
        return false;
    *ret_found = (struct crash_found){text, crash->text_bytes, crash->time};
    return true;
}

void crash_erase(void *room) {
    struct slipway_crash *crash = room;
    crash->magic = 0;
}

void crash_copy_text(char *ret_copy, const char *text, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i++) {
        char it = text[i];
        ret_copy[i] = (char)(it == '\n' || (it >= ' ' && it <= '~') ? it : '?');
    }
}

// The proleptic Gregorian calendar, in years that begin in March: so a leap day is a year's last.
void crash_print_time(const struct sink *sink, int64_t time) {
    if (time <= 0 || time >= YEAR_10000) {
        fmt_print(sink, "at a time that is not known");
        return;
    }
    uint64_t days = (uint64_t)(time / DAY_SECONDS) + DAYS_TO_1970;
    uint64_t seconds = (uint64_t)(time % DAY_SECONDS);
    uint64_t era = days / ERA_DAYS;
    uint64_t day = days % ERA_DAYS; // of the era
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    uint64_t month = (5 * day + 2) / 153; // from March
    day -= (153 * month + 2) / 5;
    bool is_next_year = month >= 10;
    fmt_print(sink, "on %04lu-%02lu-%02lu %02lu:%02lu:%02lu UTC", era * 400 + year + is_next_year,
              month + (is_next_year ? 0 : 12) - 9, day + 1, seconds / 3600, seconds / 60 % 60,
              seconds % 60);
}
