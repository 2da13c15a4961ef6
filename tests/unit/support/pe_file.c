#include "tests/unit/support/pe_file.h"

#include <string.h>

void pe_file_put(uint8_t *file, uint32_t at, uint32_t bytes, uint32_t value) {
    for (uint32_t i = 0; i < bytes; i++)
        file[at + i] = (uint8_t)(value >> (8 * i));
}

void pe_file_make(uint8_t file[PE_FILE_BYTES]) {
    memset(file, 0, PE_FILE_BYTES);
    memcpy(file, "MZ", 2);
    pe_file_put(file, 0x3c, 4, PE_FILE_HEADER);
    memcpy(file + PE_FILE_HEADER, "PE", 2);
    pe_file_put(file, PE_FILE_MACHINE, 2, 0x8664);
    pe_file_put(file, PE_FILE_MAGIC, 2, 0x20b);
    pe_file_put(file, PE_FILE_SUBSYSTEM, 2, 10);
}

void pe_file_make_linux(uint8_t file[PE_FILE_BYTES]) {
    static const char release[] = "6.1.0-test (builder@host) #1 SMP";
    pe_file_make(file);
    pe_file_put(file, PE_FILE_IMAGE_MAJOR, 2, 1);
    pe_file_put(file, 0x1fe, 2, 0xaa55);
    memcpy(file + PE_FILE_LINUX_MAGIC, "HdrS", 4);
    pe_file_put(file, PE_FILE_LINUX_VERSION, 2, 0x20f);
    pe_file_put(file, PE_FILE_RELEASE_AT, 2, PE_FILE_RELEASE - 0x200);
    pe_file_put(file, PE_FILE_CMDLINE_MAX, 4, 2047);
    memcpy(file + PE_FILE_RELEASE, release, sizeof(release));
}

void pe_file_add_section(uint8_t *file, const char *name, const void *contents, uint32_t bytes) {
    const uint32_t first = PE_FILE_SECTION - 40;
    uint32_t count = file[PE_FILE_HEADER + 6];
    uint32_t others = count == 0 ? 0 : count - 1; // but for .text
    uint32_t header = PE_FILE_SECTION + 40 * others;
    uint32_t start = PE_FILE_CONTENTS + PE_FILE_CONTENTS_STEP * others;
    pe_file_put(file, PE_FILE_HEADER + 6, 2, others + 2);
    pe_file_put(file, PE_FILE_HEADER + 20, 2, first - PE_FILE_MAGIC);
    memcpy(file + first, ".text", 5);
    memcpy(file + header, name, strlen(name));
    pe_file_put(file, header + 8, 4, bytes);
    pe_file_put(file, header + 16, 4, bytes + 100); // filled up
    pe_file_put(file, header + 20, 4, start);
    memcpy(file + start, contents, bytes);
}
