// See crash_room.h.
#include "loader/crash_room.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "loader/firmware.h"
#include "loader/log.h"

enum {
    LINES_SHOWN = 2, // of a report; the kernel has all of it
    LINE_CHARACTERS = 120,
    RECORD_ROOM = CRASH_ROOM_BYTES - 1, // of structure and text: a NUL has a place behind them
};

_Static_assert(CRASH_ROOM_BYTES % FRAME_BYTES == 0, "whole frames");

// The first that is free. Firmware allocates from the top down and its own image lies below 16 MiB:
// so on one machine it is the same at every start, and what the firmware does until then does not
// touch it. The others are for machines that have something at the first.
static const uint64_t places[] = {MIB(24), MIB(80), MIB(200)};

static bool is_free(const struct memmap_region *regions, uint64_t count, uint64_t start) {
    for (uint64_t i = 0; i < count; i++) {
        const struct memmap_region *region = &regions[i];
        if (region->start <= start && start + CRASH_ROOM_BYTES <= region->end)
            return region->kind == SLIPWAY_MEM_USABLE && region->direct;
    }
    return false;
}

// The next line of the report that is not empty, as far as it fits. False: there is none.
static bool take_line(struct crash_found *left, char line[LINE_CHARACTERS + 1]) {
    uint64_t used = 0;
    while (left->text_bytes != 0 && (used == 0 || *left->text != '\n')) {
        if (*left->text != '\n' && used < LINE_CHARACTERS)
            crash_copy_text(&line[used++], left->text, 1);
        left->text++;
        left->text_bytes--;
    }
    line[used] = '\0';
    return used != 0;
}

static void show(struct crash_found found) {
    char line[LINE_CHARACTERS + 1];
    struct fmt_buffer buffer = fmt_buffer_make(line, sizeof(line));
    struct sink sink = fmt_buffer_sink(&buffer);
    crash_print_time(&sink, found.time);
    log_line(CONFIG_LOG_QUIET, "the last kernel failed %s, and left a report of %lu bytes:", line,
             found.text_bytes);
    for (unsigned i = 0; i < LINES_SHOWN && take_line(&found, line); i++)
        log_line(CONFIG_LOG_QUIET, "  | %s", line);
}

uint64_t crash_room_find(const struct memmap_region *regions, uint64_t count) {
    for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
        struct crash_found found;
        if (!is_free(regions, count, places[i]))
            continue;
        if (crash_find(firmware_pointer(places[i]), RECORD_ROOM, &found))
            show(found);
        return places[i];
    }
    return 0;
}

// The firmware had its last word between the two looks.
struct crash_found crash_room_take(uint64_t phys) {
    struct crash_found found = {0};
    if (phys == 0 || !crash_find(firmware_pointer(phys), RECORD_ROOM, &found))
        return found;
    crash_erase(firmware_pointer(phys));
    char *text = (char *)firmware_pointer(phys) + sizeof(struct slipway_crash);
    crash_copy_text(text, text, found.text_bytes);
    text[found.text_bytes] = '\0';
    return found;
}
