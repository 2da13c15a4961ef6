// iso_read DISC PATH: writes the file of this path in the disc's ISO 9660 tree to standard output,
// as the loader reads it. Exit 1 and the reason for what is refused, 2 for a disc that cannot be
// opened.
#include "loader/iso9660.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_disc(void *context, uint64_t offset, void *to, uint64_t bytes) {
    FILE *disc = context;
    return fseek(disc, (long)offset, SEEK_SET) == 0 && fread(to, 1, bytes, disc) == bytes;
}

static void require(enum iso9660_status status) {
    if (status == ISO9660_OK)
        return;
    fprintf(stderr, "%s\n", iso9660_status_text(status));
    exit(1);
}

int main(int count, char **arguments) {
    FILE *file = count == 3 ? fopen(arguments[1], "rb") : NULL;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        return 2;
    const struct iso9660_disc disc = {read_disc, file, (uint64_t)ftell(file)};
    struct iso9660 iso;
    struct iso9660_file found;
    require(iso9660_open(&disc, &iso));
    require(iso9660_find(&iso, arguments[2], strlen(arguments[2]), &found));
    char *bytes = malloc(found.bytes + 1);
    if (!iso9660_read(&iso, &found, 0, bytes, found.bytes))
        require(ISO9660_ERR_READ);
    fwrite(bytes, 1, found.bytes, stdout);
    free(bytes);
    return fclose(file);
}
