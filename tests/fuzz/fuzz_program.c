// Programs of anything: the reader ends, reads nothing outside of the file, and what it accepts
// fits the file, the part of memory where programs may lie, and each other.
#include "kernel/process/program.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_segment(const struct program_segment *segment, uint64_t from, size_t bytes) {
    require(segment->start % PROGRAM_PAGE_BYTES == 0 && segment->bytes % PROGRAM_PAGE_BYTES == 0);
    require(segment->start >= from && segment->start < PROGRAM_MAX && segment->bytes != 0);
    require(segment->bytes <= PROGRAM_MAX - segment->start);
    require(segment->offset <= bytes && segment->file_bytes <= bytes - segment->offset);
    require(segment->address - segment->start < PROGRAM_PAGE_BYTES);
    require(segment->file_bytes <= segment->bytes - (segment->address - segment->start));
    require(segment->rights != (PROGRAM_WRITE | PROGRAM_EXECUTE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct program program;
    enum program_status status = program_read(data, bytes, &program);
    require(strcmp(program_status_text(status), "unknown") != 0);
    if (status != PROGRAM_OK)
        return 0;
    uint64_t from = PROGRAM_MIN;
    bool has_entry = false;
    require(program.segment_count != 0 && program.segment_count <= PROGRAM_SEGMENTS_MAX);
    for (unsigned i = 0; i < program.segment_count; i++) {
        const struct program_segment *segment = &program.segment[i];
        check_segment(segment, from, bytes);
        from = segment->start + segment->bytes;
        has_entry |= (segment->rights & PROGRAM_EXECUTE) != 0 &&
                     program.entry - segment->address < segment->file_bytes;
    }
    require(has_entry);
    return 0;
}
