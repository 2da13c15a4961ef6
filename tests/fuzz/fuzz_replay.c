// The parser of memory map files on any text: it ends in a cause with the number of a line of the
// text, or in descriptors that, printed and parsed again, are the same.
#include "tests/programs/map_file.h"

#include <inttypes.h>
#include <stdio.h>

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void require_same_again(const struct map_file *map) {
    enum { PRINTED_MAX = 80 };
    uint64_t capacity = map->count * PRINTED_MAX + 1;
    char *text = malloc(capacity);
    REQUIRE(text != NULL);
    uint64_t used = 0;
    struct memmap_efi efi = {map->descriptors, map->count * map->stride, map->stride};
    for (uint64_t i = 0; i < map->count; i++) {
        struct memmap_descriptor d = memmap_descriptor_read(&efi, i);
        int written = snprintf(text + used, PRINTED_MAX,
                               "%" PRIu32 " 0x%" PRIx64 " %" PRIu64 " 0x%" PRIx64 "\n", d.type,
                               d.start, d.pages, d.attributes);
        REQUIRE(written > 0 && written < PRINTED_MAX);
        used += (uint64_t)written;
    }
    struct map_file again;
    struct map_file_error error;
    REQUIRE(map_file_parse(text, used, map->stride, &again, &error));
    REQUIRE(again.count == map->count);
    REQUIRE(memcmp(again.descriptors, map->descriptors, map->count * map->stride) == 0);
    map_file_free(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    uint64_t lines = 1;
    for (size_t i = 0; i < bytes; i++)
        lines += data[i] == '\n';
    struct map_file map;
    struct map_file_error error = {0};
    if (map_file_parse((const char *)data, bytes, 40 + 8 * (bytes % 3), &map, &error)) {
        REQUIRE(map.count <= lines);
        require_same_again(&map);
        map_file_free(&map);
    } else {
        REQUIRE(error.line >= 1 && error.line <= lines && error.cause != NULL);
    }
    return 0;
}
