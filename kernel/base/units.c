#include "kernel/base/units.h"

#include "common/base/arith.h"

const char *units_bytes(char *storage, uint64_t bytes) {
    static const char names[][8] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    while (unit + 1 < ARRAY_LEN(names) && bytes >> (10 * (unit + 1)) != 0)
        unit++;
    uint64_t whole = bytes >> (10 * unit);
    uint64_t rest = bytes & ((UINT64_C(1) << (10 * unit)) - 1);
    struct fmt_buffer buffer = fmt_buffer_make(storage, UNITS_BYTES_MAX);
    struct sink sink = fmt_buffer_sink(&buffer);
    if (rest == 0) {
        fmt_print(&sink, "%lu %s", whole, names[unit]);
    } else {
        // The top ten bits of the rest are enough for one decimal, and times ten they still fit.
        uint64_t thousandths = rest >> (10 * (unit - 1));
        fmt_print(&sink, "%lu.%lu %s", whole, thousandths * 10 / 1024, names[unit]);
    }
    return storage;
}

const char *units_percent(char *storage, uint64_t part, uint64_t whole) {
    uint64_t thousandths = whole == 0 ? 0 : part * 1000 / whole;
    struct fmt_buffer buffer = fmt_buffer_make(storage, UNITS_PERCENT_MAX);
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, "%lu.%lu%%", thousandths / 10, thousandths % 10);
    return storage;
}

uint64_t units_microseconds(uint64_t ticks, uint64_t hz) {
    // Whole seconds apart: the product of the rest fits for every clock below 18 THz.
    return ticks / hz * 1000000 + ticks % hz * 1000000 / hz;
}
