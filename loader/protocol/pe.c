// See pe.h.
#include "loader/protocol/pe.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

enum {
    // MS-DOS header: where the PE header's offset stands.
    DOS_PE_OFFSET = 0x3c,

    // From the PE header on: the signature, the COFF header, the optional header.
    COFF_MACHINE = 4,
    COFF_SECTIONS = 6,
    COFF_OPTIONAL_BYTES = 20,
    OPTIONAL = 24,
    OPTIONAL_IMAGE_MAJOR = 44,
    OPTIONAL_SUBSYSTEM = 68,
    OPTIONAL_BYTES = 70, // that are read
    MACHINE_X64 = 0x8664,
    MAGIC_PE32_PLUS = 0x20b,
    SUBSYSTEM_EFI_APPLICATION = 10,

    // A section's header: what of it is file and what memory, the smaller counts.
    SECTION_NAME_BYTES = 8,
    SECTION_MEMORY_BYTES = 8,
    SECTION_FILE_BYTES = 16,
    SECTION_FILE_OFFSET = 20,
    SECTION_BYTES = 40,

    // Linux's header.
    LINUX_BOOT_FLAG = 0x1fe,
    LINUX_MAGIC = 0x202,
    LINUX_VERSION = 0x206,
    LINUX_RELEASE = 0x20e, // where the release stands, less LINUX_RELEASE_BASE; 0: nowhere
    LINUX_RELEASE_BASE = 0x200,
    LINUX_CMDLINE_MAX = 0x238,
    LINUX_HEAD_BYTES = 0x23c, // that are read
    VERSION_CMDLINE_MAX = 0x206,
    RELEASE_MAX_BYTES = 64, // longer ones are none

    STUB_INITRD = 1, // of the image's major version: LoadFile2
};

static uint16_t read_u16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t read_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

bool pe_parse(const void *bytes, uint64_t count, struct pe *ret_pe) {
    const uint8_t *file = bytes;
    if (count < DOS_PE_OFFSET + 4 || memcmp(file, "MZ", 2) != 0)
        return false;
    uint64_t at = read_u32(file + DOS_PE_OFFSET);
    if (at > count || count - at < OPTIONAL || memcmp(file + at, "PE\0", 4) != 0)
        return false;
    const uint8_t *optional = file + at + OPTIONAL;
    struct pe pe = {.machine = read_u16(file + at + COFF_MACHINE)};
    if (count - at - OPTIONAL >= OPTIONAL_BYTES) {
        pe.magic = read_u16(optional);
        pe.subsystem = read_u16(optional + OPTIONAL_SUBSYSTEM);
        pe.image_major = read_u16(optional + OPTIONAL_IMAGE_MAJOR);
    }
    *ret_pe = pe;
    return true;
}

bool pe_find_section(const void *bytes, uint64_t count, const char *name, uint64_t *ret_offset,
                     uint64_t *ret_bytes) {
    const uint8_t *file = bytes;
    struct pe pe;
    if (!pe_parse(bytes, count, &pe))
        return false;
    const uint8_t *head = file + read_u32(file + DOS_PE_OFFSET);
    uint64_t at = (uint64_t)(head - file) + OPTIONAL + read_u16(head + COFF_OPTIONAL_BYTES);
    for (unsigned i = read_u16(head + COFF_SECTIONS); i != 0; i--, at += SECTION_BYTES) {
        if (at > count || count - at < SECTION_BYTES)
            return false;
        const uint8_t *section = file + at;
        char padded[SECTION_NAME_BYTES] = {0};
        memcpy(padded, name, min_u64(strlen(name), sizeof(padded)));
        if (memcmp(section, padded, sizeof(padded)) != 0)
            continue;
        *ret_offset = read_u32(section + SECTION_FILE_OFFSET);
        *ret_bytes = min_u64(read_u32(section + SECTION_FILE_BYTES),
                             read_u32(section + SECTION_MEMORY_BYTES));
        return true;
    }
    return false;
}

enum pe_status pe_check(const struct pe *pe) {
    if (pe->machine != MACHINE_X64)
        return PE_ERR_MACHINE;
    if (pe->magic != MAGIC_PE32_PLUS)
        return PE_ERR_MAGIC;
    return pe->subsystem == SUBSYSTEM_EFI_APPLICATION ? PE_OK : PE_ERR_SUBSYSTEM;
}

// The first word of the text at `at`, which other words and a NUL follow.
static uint32_t count_release(const uint8_t *file, uint64_t count, uint64_t at) {
    uint32_t bytes = 0;
    while (at + bytes < count && bytes <= RELEASE_MAX_BYTES && file[at + bytes] > ' ' &&
           file[at + bytes] < 0x7f)
        bytes++;
    bool has_end = at + bytes < count && (file[at + bytes] == ' ' || file[at + bytes] == 0);
    return has_end && bytes <= RELEASE_MAX_BYTES ? bytes : 0;
}

bool linux_parse(const void *bytes, uint64_t count, struct linux_header *ret_header) {
    const uint8_t *file = bytes;
    if (count < LINUX_HEAD_BYTES || read_u16(file + LINUX_BOOT_FLAG) != 0xaa55 ||
        memcmp(file + LINUX_MAGIC, "HdrS", 4) != 0)
        return false;
    struct linux_header header = {.version = read_u16(file + LINUX_VERSION)};
    if (header.version >= VERSION_CMDLINE_MAX)
        header.cmdline_max = read_u32(file + LINUX_CMDLINE_MAX);
    uint64_t release = LINUX_RELEASE_BASE + read_u16(file + LINUX_RELEASE);
    if (release != LINUX_RELEASE_BASE)
        header.release_bytes = count_release(file, count, release);
    if (header.release_bytes != 0)
        header.release = (const char *)file + release;
    *ret_header = header;
    return true;
}

bool linux_asks_for_initrd(const struct pe *pe) {
    return (pe->image_major & STUB_INITRD) != 0;
}
