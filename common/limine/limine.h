// The Limine boot protocol, base revisions 0 to 6, as a kernel on x86-64 sees it: requests in its
// image, and the responses that they lead to. Layouts and numbers are facts of the protocol's
// published text, whose names they have where these say what a thing is.
//
// Every pointer is a number: the address in the kernel's space, in the direct map if nothing else
// is said. Sizes in bytes. Pure, and freestanding.
#pragma once

#include <stdint.h>

// ---- The base revision, and the markers around requests

#define LIMINE_BASE_REVISION_MAX UINT64_C(6) // that this header knows

// Three words, at a multiple of 8: these two and the revision. A loader that knows it writes 0 to
// the third; a loader that knows revision 3 writes to the second which one it uses.
#define LIMINE_TAG_0 UINT64_C(0xf9562b2d5c95a6c8)
#define LIMINE_TAG_1 UINT64_C(0x6a7b384944536bdc)

struct limine_tag {
    uint64_t magic;
    uint64_t used; // LIMINE_TAG_1, or the revision that is used
    uint64_t revision;
};

#define LIMINE_START_0 UINT64_C(0xf6b8f4b39de7d1ae)
#define LIMINE_START_1 UINT64_C(0xfab91a6940fcb9cf)
#define LIMINE_START_2 UINT64_C(0x785c6ed015d3e316)
#define LIMINE_START_3 UINT64_C(0x181e920a7852b9d9)
#define LIMINE_END_0   UINT64_C(0xadc0e0531bb10d03)
#define LIMINE_END_1   UINT64_C(0x9572709f31764c62)

// ---- Requests

// The first two words of every request; the other two tell which it is.
#define LIMINE_MAGIC_0 UINT64_C(0xc7b1dd30df4c8b88)
#define LIMINE_MAGIC_1 UINT64_C(0x0a82e883a194f07b)

// name, words 2 and 3 of the id
#define LIMINE_REQUESTS(REQUEST)                                                                   \
    REQUEST(BOOTLOADER_INFO, 0xf55038d8e2a1202f, 0x279426fcf5f59740)                               \
    REQUEST(EXECUTABLE_CMDLINE, 0x4b161536e598651e, 0xb390ad4a2f1f303a)                            \
    REQUEST(FIRMWARE_TYPE, 0x8c2f75d90bef28a8, 0x7045a4688eac00c3)                                 \
    REQUEST(STACK_SIZE, 0x224ef0460a8e8926, 0xe1cb0fc25f46ea3d)                                    \
    REQUEST(HHDM, 0x48dcf1cb8ad2b852, 0x63984e959a98244b)                                          \
    REQUEST(FRAMEBUFFER, 0x9d5827dcd881dd75, 0xa3148604f6fab11b)                                   \
    REQUEST(PAGING_MODE, 0x95c1a0edab0944cb, 0xa4e5cb3842f7488a)                                   \
    REQUEST(MP, 0x95a67b819a1b857e, 0xa0b61b723b6a73e0)                                            \
    REQUEST(MEMMAP, 0x67cf3d9d378a806f, 0xe304acdfc50c3c62)                                        \
    REQUEST(ENTRY_POINT, 0x13d86c035a1cd3e1, 0x2b0caa89d8f3026a)                                   \
    REQUEST(EXECUTABLE_FILE, 0xad97e90e83f1ed67, 0x31eb5d1c5ff23b69)                               \
    REQUEST(MODULE, 0x3e7e279702be32af, 0xca1c4f3bd1280cee)                                        \
    REQUEST(RSDP, 0xc5e77b6b397e7b43, 0x27637845accdcf3c)                                          \
    REQUEST(SMBIOS, 0x9e9046f11e095391, 0xaa4a520fefbde5ee)                                        \
    REQUEST(EFI_SYSTEM_TABLE, 0x5ceba5163eaaf6d6, 0x0a6981610cf65fcc)                              \
    REQUEST(EFI_MEMMAP, 0x7df62a431d6872d5, 0xa4fcdfb3e57306c8)                                    \
    REQUEST(TPM_EVENT_LOG, 0x98e094fc7e76e979, 0xee8d8775c54e1d1f)                                 \
    REQUEST(DATE_AT_BOOT, 0x502746e184c088aa, 0xfbc5ec83e6327893)                                  \
    REQUEST(EXECUTABLE_ADDRESS, 0x71ba76863cc55f63, 0xb2644a48c516a487)                            \
    REQUEST(DTB, 0xb40ddb48fb54bac7, 0x545081493f81ffb7)                                           \
    REQUEST(BOOTLOADER_PERFORMANCE, 0x6b50ad9bf36d13ad, 0xdc4c7e88fc759e17)                        \
    REQUEST(KEEP_IOMMU, 0x8ebaabe51f490179, 0x2aa86a59ffb4ab0f)                                    \
    REQUEST(TSC_FREQUENCY, 0x10f2ee1d87d195e4, 0xf747a2b78f6ddb31)                                 \
    REQUEST(ENTROPY, 0x65ea80255d5682c5, 0x9117240723f493eb)                                       \
    REQUEST(FLANTERM, 0x3259399fe7c5f126, 0xe01c1c8c5db9d1a9)

#define LIMINE_ENUMERATE_(name, word2, word3) LIMINE_##name,
enum limine_request_kind { LIMINE_REQUESTS(LIMINE_ENUMERATE_) LIMINE_REQUEST_KINDS };
#undef LIMINE_ENUMERATE_

// What every request begins with, at a multiple of 8.
struct limine_request {
    uint64_t id[4];
    uint64_t revision;
    uint64_t response; // the loader's: address of the response; untouched where there is none
};

// Requests that tell the loader something. Fields of a later revision of a request are there only
// if its `revision` says so.
struct limine_stack_size_request {
    struct limine_request head;
    uint64_t bytes;
};

struct limine_entry_point_request {
    struct limine_request head;
    uint64_t entry; // run address in the image, not 0
};

enum { LIMINE_PAGING_4_LEVELS = 0, LIMINE_PAGING_5_LEVELS = 1 };
struct limine_paging_mode_request {
    struct limine_request head;
    uint64_t mode; // preferred
    uint64_t max;  // from revision 1 on, these two
    uint64_t min;
};

#define LIMINE_MP_X2APIC UINT64_C(1)
struct limine_mp_request {
    struct limine_request head;
    uint64_t flags; // LIMINE_MP_...
};

#define LIMINE_MODULE_REQUIRED   UINT64_C(1)
#define LIMINE_MODULE_COMPRESSED UINT64_C(2)
struct limine_internal_module {
    uint64_t path;   // in the image, as text ended by 0
    uint64_t string; // the same
    uint64_t flags;  // LIMINE_MODULE_...
};

struct limine_module_request {
    struct limine_request head;
    uint64_t internal_count; // from revision 1 on, these two
    uint64_t internals;      // addresses of struct limine_internal_module
};

struct limine_entropy_request {
    struct limine_request head;
    uint64_t count; // of words
};

// ---- Responses. Each begins with its revision.

// EXECUTABLE_CMDLINE, FIRMWARE_TYPE, HHDM, PAGING_MODE, RSDP, EFI_SYSTEM_TABLE, DATE_AT_BOOT, DTB,
// TSC_FREQUENCY, EXECUTABLE_FILE
struct limine_value_response {
    uint64_t revision;
    uint64_t value;
};

// STACK_SIZE, ENTRY_POINT, KEEP_IOMMU
struct limine_empty_response {
    uint64_t revision;
};

// BOOTLOADER_INFO (name, version), SMBIOS (32-bit and 64-bit entry), EXECUTABLE_ADDRESS (physical
// and virtual base)
struct limine_pair_response {
    uint64_t revision;
    uint64_t first;
    uint64_t second;
};

// FRAMEBUFFER, MEMMAP, MODULE, FLANTERM: `list` is the address of `count` addresses of structures.
// ENTROPY: that of `count` words.
struct limine_list_response {
    uint64_t revision;
    uint64_t count;
    uint64_t list;
};

enum { LIMINE_FIRMWARE_EFI64 = 2 }; // value of FIRMWARE_TYPE

struct limine_mp_response {
    uint64_t revision;
    uint32_t flags; // bit 0: the CPUs are in x2APIC mode
    uint32_t boot_lapic_id;
    uint64_t count;
    uint64_t list; // of addresses of struct limine_mp_info
};

struct limine_efi_memmap_response {
    uint64_t revision;
    uint64_t address;
    uint64_t bytes;
    uint64_t stride;
    uint64_t version;
};

enum { LIMINE_TPM_FORMAT_1_2 = 1, LIMINE_TPM_FORMAT_2 = 2 };
struct limine_tpm_log_response {
    uint64_t revision;
    uint64_t format;
    uint64_t bytes;
    uint64_t address; // 0 without bytes
};

// Microseconds. 0: not known.
struct limine_performance_response {
    uint64_t revision;
    uint64_t reset;
    uint64_t loader_start;
    uint64_t kernel_start;
};

// ---- What responses lead to

enum { LIMINE_MEMORY_MODEL_RGB = 1 };

struct limine_framebuffer {
    uint64_t address;
    uint64_t width; // in pixels
    uint64_t height;
    uint64_t pitch; // bytes a line
    uint16_t bits_per_pixel;
    uint8_t memory_model; // LIMINE_MEMORY_MODEL_...
    uint8_t red_size;     // bits, and from which bit on
    uint8_t red_shift;
    uint8_t green_size;
    uint8_t green_shift;
    uint8_t blue_size;
    uint8_t blue_shift;
    uint8_t unused[7];
    uint64_t edid_bytes;
    uint64_t edid;       // 0: there is none
    uint64_t mode_count; // from revision 1 of the response on, these two
    uint64_t modes;      // address of addresses of struct limine_video_mode
};

struct limine_video_mode {
    uint64_t pitch;
    uint64_t width;
    uint64_t height;
    uint16_t bits_per_pixel;
    uint8_t memory_model;
    uint8_t red_size;
    uint8_t red_shift;
    uint8_t green_size;
    uint8_t green_shift;
    uint8_t blue_size;
    uint8_t blue_shift;
    uint8_t unused[5];
};

enum limine_memory_type {
    LIMINE_MEMORY_USABLE = 0,
    LIMINE_MEMORY_RESERVED = 1,
    LIMINE_MEMORY_ACPI_RECLAIMABLE = 2,
    LIMINE_MEMORY_ACPI_NVS = 3,
    LIMINE_MEMORY_BAD = 4,
    LIMINE_MEMORY_LOADER_RECLAIMABLE = 5,
    LIMINE_MEMORY_EXECUTABLE_AND_MODULES = 6,
    LIMINE_MEMORY_FRAMEBUFFER = 7,
    LIMINE_MEMORY_RESERVED_MAPPED = 8, // from base revision 4 on
};

struct limine_memory_entry {
    uint64_t base; // physical
    uint64_t bytes;
    uint64_t type; // LIMINE_MEMORY_...
};

struct limine_mp_info {
    uint32_t processor_id; // ACPI's
    uint32_t lapic_id;
    uint64_t reserved;       // the loader's
    uint64_t goto_address;   // 0 until the kernel stores where the CPU is to go
    uint64_t extra_argument; // the kernel's
};

struct limine_uuid {
    uint32_t a;
    uint16_t b;
    uint16_t c;
    uint8_t d[8];
};

enum { LIMINE_MEDIA_GENERIC = 0, LIMINE_MEDIA_OPTICAL = 1, LIMINE_MEDIA_TFTP = 2 };

struct limine_file {
    uint64_t revision;
    uint64_t address; // of its contents, a multiple of 4096
    uint64_t bytes;
    uint64_t path;   // in its volume, from the root
    uint64_t string; // its command line
    uint32_t media;  // LIMINE_MEDIA_...
    uint32_t unused;
    uint8_t tftp_ipv4[4];
    uint32_t tftp_port;
    uint32_t partition; // from 1; 0: none
    uint32_t mbr_disk_id;
    struct limine_uuid gpt_disk; // all 0: none
    struct limine_uuid gpt_partition;
    struct limine_uuid file_system;
};

_Static_assert(sizeof(struct limine_framebuffer) == 0x50 &&
                   sizeof(struct limine_video_mode) == 0x28 &&
                   sizeof(struct limine_memory_entry) == 0x18 &&
                   sizeof(struct limine_mp_info) == 0x20 && sizeof(struct limine_file) == 0x70 &&
                   sizeof(struct limine_mp_response) == 0x20,
               "as the protocol lays them out");
