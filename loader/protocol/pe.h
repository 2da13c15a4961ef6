// PE files by their headers, as far as they tell whether the firmware's LoadImage can start them,
// and the header that a Linux kernel has besides. Pure.
//
// Formats: Microsoft PE/COFF (MS-DOS stub, COFF header, optional header), UEFI 2.9, 2.1.1 (machine
// and subsystem), Linux x86 boot protocol 2.15 (the header at 0x1f1 and, in the PE header's image
// version, what the kernel's EFI stub can do).
#pragma once

#include <stdbool.h>
#include <stdint.h>

// So many bytes of a file's start tell what the file is.
#define PE_HEAD_BYTES 4096

struct pe {
    uint16_t machine;
    uint16_t magic;       // of the optional header; 0: it is cut off
    uint16_t subsystem;   // 0: the same
    uint16_t image_major; // version of the image; 0: the same
};

enum pe_status {
    PE_OK,
    PE_ERR_MACHINE,
    PE_ERR_MAGIC,
    PE_ERR_SUBSYSTEM,
};

// Finds the PE header in the first `count` bytes of a file. False: there is none, and *ret_pe is
// untouched.
[[nodiscard]] bool pe_parse(const void *bytes, uint64_t count, struct pe *ret_pe);

// Finds a section by its name in the headers, the first `count` bytes of a file. False: there is
// none, or the headers are longer.
[[nodiscard]] bool pe_find_section(const void *bytes, uint64_t count, const char *name,
                                   uint64_t *ret_offset, uint64_t *ret_bytes);

// Whether it is an EFI application for x86-64.
[[nodiscard]] enum pe_status pe_check(const struct pe *pe);

// The header of a Linux kernel, be it a PE file or not.
struct linux_header {
    uint16_t version;     // of the boot protocol: 0x20f is 2.15
    uint32_t cmdline_max; // bytes of a command line without its NUL; 0: the header does not tell
    const char *release;  // in the bytes: `6.1.0-13-amd64`, release_bytes long; no release: 0
    uint32_t release_bytes;
};

// Finds that header in the first `count` bytes of a file. False: there is none, and *ret_header is
// untouched.
[[nodiscard]] bool linux_parse(const void *bytes, uint64_t count, struct linux_header *ret_header);

// Whether a kernel of this PE header asks for its initrd by LINUX_EFI_INITRD_MEDIA_GUID: Linux 5.8
// and later.
[[nodiscard]] bool linux_asks_for_initrd(const struct pe *pe);
