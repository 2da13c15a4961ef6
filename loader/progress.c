// See progress.h.
#include "loader/progress.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/base/mem.h"
#include "loader/console.h"
#include "loader/pace.h"
#include "loader/timeline.h"
#include "loader/utf.h"

#include <stdbool.h>

enum {
    COLUMNS_MAX = 79, // of 80: after the last one the console would go to the next line
    NAME_BYTES_MAX = 36,
    HZ_LEAST = 1000000, // less is no frequency of a TSC
};

static bool is_forbidden;

void progress_allow(void) {
    is_forbidden = false;
}

void progress_forbid(void) {
    is_forbidden = true;
}

struct progress progress_begin(const char *name, uint64_t bytes) {
    uint64_t now = timeline_now();
    // No TSC is known that counts slower.
    return (struct progress){
        .name = name, .bytes = bytes, .started = now, .next = now + PACE_COUNTS_MOST};
}

// In place of the line that stands there; blanks cover what was longer. A column is a byte here:
// more than it may be, so that the blanks cover all.
static void write_line(struct progress *progress, const char *text, uint32_t columns) {
    static const char blanks[COLUMNS_MAX + 1] = {[0 ... COLUMNS_MAX - 1] = ' '};
    char line[2 * COLUMNS_MAX];
    struct fmt_buffer buffer = fmt_buffer_make(line, sizeof(line));
    struct sink sink = fmt_buffer_sink(&buffer);
    uint32_t left_over = progress->columns > columns ? progress->columns - columns : 0;
    fmt_print(&sink, "\r%s%.*s", text, (int)left_over, blanks);
    console_write(line, buffer.used);
    progress->columns = columns;
}

// True when it is time for the line. Then, and when it is not, the next time is set.
static bool is_due(struct progress *progress, uint64_t now) {
    if (now < progress->next || is_forbidden)
        return false;
    if (progress->hz == 0)
        progress->hz = timeline_tsc_hz();
    bool is_known = progress->hz >= HZ_LEAST;
    bool lasts = is_known && now - progress->started >= progress->hz;
    progress->next = !is_known ? UINT64_MAX : (lasts ? now : progress->started) + progress->hz;
    return lasts;
}

// As much as there is room for, from a character on.
static const char *end_of_name(const char *name) {
    uint64_t bytes = strlen(name);
    if (bytes <= NAME_BYTES_MAX)
        return name;
    const char *end = name + (bytes - NAME_BYTES_MAX);
    while (utf8_is_inside(*end))
        end++;
    return end;
}

void progress_show(struct progress *progress, uint64_t done, uint64_t now) {
    if (!is_due(progress, now))
        return;
    const char *name = end_of_name(progress->name);
    uint64_t kb_a_second = done / ((now - progress->started) / (progress->hz / 1000));
    char text[COLUMNS_MAX + 1];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, "slipway: %s%s: %lu%% of %lu MB, %lu.%lu MB/s",
              name != progress->name ? "..." : "", name, done * 100 / progress->bytes,
              progress->bytes / 1000000, kb_a_second / 1000, kb_a_second / 100 % 10);
    write_line(progress, text, (uint32_t)buffer.used);
}

void progress_end(struct progress *progress) {
    if (progress->columns == 0)
        return;
    write_line(progress, "", 0);
    console_write("\r", 1);
}
