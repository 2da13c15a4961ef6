// A PE file in memory, in order until a test breaks it: an EFI application for x86-64, or a Linux
// kernel with an EFI stub. Of both there is no more than headers.
#pragma once

#include <stdint.h>

enum {
    PE_FILE_BYTES = 6000,

    // Where what a test may change stands.
    PE_FILE_HEADER = 0x48, // the PE header
    PE_FILE_MACHINE = PE_FILE_HEADER + 4,
    PE_FILE_MAGIC = PE_FILE_HEADER + 24,
    PE_FILE_IMAGE_MAJOR = PE_FILE_MAGIC + 44,
    PE_FILE_SUBSYSTEM = PE_FILE_MAGIC + 68,
    PE_FILE_END = PE_FILE_MAGIC + 70, // of what a reader of the PE header needs
    PE_FILE_LINUX_MAGIC = 0x202,
    PE_FILE_LINUX_VERSION = 0x206,
    PE_FILE_RELEASE_AT = 0x20e,
    PE_FILE_CMDLINE_MAX = 0x238,
    PE_FILE_LINUX_END = 0x23c, // of the Linux header, the same
    PE_FILE_RELEASE = 0x1200,
    PE_FILE_SECTION = 0x178,       // the header of the second of two sections,
    PE_FILE_CONTENTS = 0x1400,     // and what is in it,
    PE_FILE_CONTENTS_STEP = 0x180, // that of the next one behind it
};

// Fills the file: zeros, but for the headers of an application.
void pe_file_make(uint8_t file[PE_FILE_BYTES]);

// The same with Linux's header besides, and an EFI stub that asks for its initrd. Its release is
// 6.1.0-test, and its command line has at most 2047 bytes.
void pe_file_make_linux(uint8_t file[PE_FILE_BYTES]);

// Gives it a section of this name, and the first time one of code without contents before it.
void pe_file_add_section(uint8_t *file, const char *name, const void *contents, uint32_t bytes);

// Writes a number into it.
void pe_file_put(uint8_t *file, uint32_t at, uint32_t bytes, uint32_t value);
