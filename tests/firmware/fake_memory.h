// The fake machine's memory: where things lie, and what a test adds to the map or changes in it.
//
// Physical addresses are host addresses: RAM that is really there is the arena, mapped at a fixed
// low address, and some below 1 MiB. Pages of it that are not the loader's are poisoned, as are the
// pages just before and after every allocation. None of it can be executed but the text of the
// loader's image, which cannot be written; what runs is the test's own text, which cannot, either.
#pragma once

#include <efi.h>

#include <stdbool.h>
#include <stdint.h>

#define FAKE_ARENA_START UINT64_C(0x10000000)
#define FAKE_ARENA_PAGES UINT64_C(8192)
#define FAKE_ARENA_END   (FAKE_ARENA_START + FAKE_ARENA_PAGES * 4096)

// Places in the arena: the firmware's page tables, the system table and what it leads to, ACPI's
// tables and the loader's image.
#define FAKE_TABLES_PHYS        (FAKE_ARENA_START + 0x40000)
#define FAKE_SYSTEM_PHYS        (FAKE_ARENA_START + 0x70000)
#define FAKE_SERVICES_PHYS      (FAKE_SYSTEM_PHYS + 0x2f80) // across two pages
#define FAKE_VENDOR_PHYS        (FAKE_SYSTEM_PHYS + 0x5ff8) // the same
#define FAKE_CONFIGURATION_PHYS (FAKE_SYSTEM_PHYS + 0x8fe0) // the same
#define FAKE_ACPI_PHYS          (FAKE_ARENA_START + 0xa0000)
#define FAKE_FBPT_PHYS          (FAKE_ACPI_PHYS + 0x500) // the firmware's own times
#define FAKE_IMAGE_PHYS         (FAKE_ARENA_START + 0xb4000)
#define FAKE_IMAGE_BYTES        UINT64_C(0x5f00) // of 6 pages

// An address that the firmware maps to the start of the arena.
#define FAKE_ELSEWHERE UINT64_C(0x3fe00000)

// RAM below 1 MiB, which is there from FAKE_LOW_START on.
#define FAKE_LOW_START UINT64_C(0x80000)
#define FAKE_LOW_END   UINT64_C(0x9f000)

// The registers of the local APIC, in no RAM.
#define FAKE_LAPIC_PHYS (FAKE_ARENA_END + UINT64_C(0x1000000))

// So long are the structures of SMBIOS; they are not there to be read.
#define FAKE_STRUCTURES_BYTES UINT64_C(0xe00)

// Of the free memory below the arena the places where a report may have outlived a reset are really
// there. They keep what they hold.
enum { FAKE_CRASH_PLACES = 3, FAKE_CRASH_BYTES = 2 * 4096 };
extern const uint64_t fake_crash_places[FAKE_CRASH_PLACES];

// RAM above 4 GiB that is in the map and not in the arena.
#define FAKE_HIGH_PHYS  UINT64_C(0x100000000)
#define FAKE_HIGH_BYTES UINT64_C(0x80000000)

// Attributes that are rights (UEFI 2.10, EFI_MEMORY_ATTRIBUTE_PROTOCOL): not to be executed, and
// not to be written.
#define FAKE_XP UINT64_C(0x4000)
#define FAKE_RO UINT64_C(0x20000)

// Pages that the loader holds.
uint64_t fake_allocated_pages(void);

// Adds a descriptor to the map, for memory outside the arena. The key changes.
void fake_add_memory(uint64_t start, uint64_t bytes, EFI_MEMORY_TYPE type);

// Adds any descriptor at all to the map. The key changes.
void fake_add_descriptor(const EFI_MEMORY_DESCRIPTOR *descriptor);

// Changes the type of a whole descriptor outside the arena, or of pages in the arena that nobody
// holds. The key changes.
void fake_set_memory(uint64_t start, uint64_t bytes, EFI_MEMORY_TYPE type);

// The descriptor that holds `phys`, or false.
struct fake_memory {
    uint64_t start;
    uint64_t end;
    EFI_MEMORY_TYPE type;
};
bool fake_find_memory(uint64_t phys, struct fake_memory *ret_memory);

// True if these bytes are the map as it stands now, descriptor by descriptor.
bool fake_is_map(const void *map, uint64_t bytes);

// Bytes of this type in the map.
uint64_t fake_count_memory(EFI_MEMORY_TYPE type);

// Makes the key of the map stale.
void fake_change_map_key(void);

// Maps RAM that is not in the arena: what a display shows, say. It stays for good.
void fake_map(uint64_t start, uint64_t bytes);

// Makes `bytes` bytes of the firmware's own memory in the arena readable, and zero.
char *fake_make_readable(uint64_t physical, uint64_t bytes);
