// A disc of anything: the input is what it has from its first volume descriptor on, behind 16
// sectors of nothing, and a path, up to the first NUL, before that.
#include "loader/iso9660.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { BEFORE = 16 * ISO9660_SECTOR_BYTES, PART_BYTES = 4096 };

struct input {
    const uint8_t *data;
    uint64_t bytes;
};

static void require(bool condition) {
    if (!condition)
        abort();
}

static bool read_input(void *context, uint64_t offset, void *to, uint64_t bytes) {
    const struct input *input = context;
    uint8_t *next = to;
    require(offset <= BEFORE + input->bytes && bytes <= BEFORE + input->bytes - offset);
    for (; bytes != 0; offset++, bytes--)
        *next++ = offset < BEFORE ? 0 : input->data[offset - BEFORE];
    return true;
}

static void read_parts(const struct iso9660 *iso, const struct iso9660_file *file) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < file->section_count; i++)
        sum += file->sections[i].bytes;
    require(sum == file->bytes);
    char *part = malloc(PART_BYTES);
    uint64_t bytes = file->bytes < PART_BYTES ? file->bytes : PART_BYTES;
    require(iso9660_read(iso, file, 0, part, bytes));
    require(iso9660_read(iso, file, file->bytes - bytes, part, bytes));
    free(part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const uint8_t *end = bytes == 0 ? NULL : memchr(data, 0, bytes);
    if (end == NULL)
        return 0;
    uint64_t path_bytes = (uint64_t)(end - data);
    struct input input = {end + 1, bytes - path_bytes - 1};
    const struct iso9660_disc disc = {read_input, &input, BEFORE + input.bytes};
    struct iso9660 iso;
    struct iso9660_file file;
    enum iso9660_status status = iso9660_open(&disc, &iso);
    require(iso9660_status_text(status)[0] != '\0');
    if (status != ISO9660_OK)
        return 0;
    status = iso9660_find(&iso, (const char *)data, path_bytes, &file);
    require(iso9660_status_text(status)[0] != '\0' && status != ISO9660_ERR_READ);
    if (status == ISO9660_OK)
        read_parts(&iso, &file);
    return 0;
}
