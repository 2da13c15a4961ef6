// The memory maps of real and of hostile machines, as descriptors. Tests run in the root of the
// tree.
#pragma once

#include "tests/programs/map_file.h"
#include "tests/unit/support/memmap_model.h"
#include "tests/unit/support/test.h"

#include <glob.h>
#include <stdio.h>

// Descriptors in memory from malloc that is the map's own.
struct efi_map {
    const char *name;
    struct model_descriptor *descriptors;
    uint64_t count;
};

struct map_files {
    glob_t names;
    struct efi_map *maps;
    uint64_t count;
};

static inline void efi_map_load(struct efi_map *map, const char *name) {
    enum { TEXT_MAX = 1 << 20 };
    char *text = malloc(TEXT_MAX);
    FILE *file = fopen(name, "rb");
    assert_true(text != NULL && file != NULL);
    uint64_t bytes = fread(text, 1, TEXT_MAX, file);
    assert_true(bytes < TEXT_MAX && !ferror(file));
    fclose(file);
    struct map_file parsed;
    struct map_file_error error;
    assert_true(map_file_parse(text, bytes, 40, &parsed, &error));
    free(text);
    *map = (struct efi_map){.name = name, .count = parsed.count};
    map->descriptors = malloc((map->count + 1) * sizeof(*map->descriptors));
    assert_non_null(map->descriptors);
    for (uint64_t i = 0; i < map->count; i++)
        map->descriptors[i] = model_load(parsed.descriptors, i, parsed.stride);
    map_file_free(&parsed);
}

static inline struct map_files map_files_load(void) {
    static const char *const patterns[][2] = {
        {"../shared/maps/*.map", "../shared/maps/synthetic/*.map"},
        {"tests/data/maps/*.map", "tests/data/maps/synthetic/*.map"},
    };
    struct map_files files = {.maps = NULL};
    unsigned folder = glob(patterns[0][0], 0, NULL, &files.names) == 0 ? 0 : 1;
    if (folder == 1)
        assert_int_equal(glob(patterns[1][0], 0, NULL, &files.names), 0);
    assert_int_equal(glob(patterns[folder][1], GLOB_APPEND, NULL, &files.names), 0);
    files.count = files.names.gl_pathc;
    assert_true(files.count > 40);
    files.maps = calloc(files.count, sizeof(*files.maps));
    assert_non_null(files.maps);
    for (uint64_t i = 0; i < files.count; i++)
        efi_map_load(&files.maps[i], files.names.gl_pathv[i]);
    return files;
}

static inline void map_files_free(struct map_files *files) {
    for (uint64_t i = 0; i < files->count; i++)
        free(files->maps[i].descriptors);
    free(files->maps);
    globfree(&files->names);
}
