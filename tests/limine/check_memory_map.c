// The memory map by itself, against the firmware's, and against memory.
#include "boot.h"
#include "checks.h"
#include "fault.h"
#include "memory.h"
#include "requests.h"
#include "tap.h"

#include <stddef.h>

// Reports what an entry is, in a part about it.
#define ENTRY_TEXT  "entry %lu: %lx, %lx bytes, type %lu"
#define ENTRY_OF(i) i, memory_entry(i)->base, memory_entry(i)->bytes, memory_entry(i)->type

static void check_order(void) {
    tap_check("the memory map's array and entries are in bootloader-reclaimable memory");
    const struct limine_list_response *response = response_of(LIMINE_MEMMAP);
    EXPECT(response->count > 0, "%lu entries", response->count);
    EXPECT(is_given(response->list, 8 * response->count), "the array: %lx", response->list);
    claim(response->list - boot.hhdm, 8 * response->count, "the array of the memory map");
    for (uint64_t i = 0; i < response->count; i++) {
        uint64_t entry = ((const uint64_t *)response->list)[i];
        EXPECT(is_given(entry, sizeof(struct limine_memory_entry)), "entry %lu: %lx", i, entry);
        claim(entry - boot.hhdm, sizeof(struct limine_memory_entry), "an entry of the memory map");
    }

    tap_check("entries are sorted by base, lowest first");
    for (uint64_t i = 1; i < memory_count(); i++)
        EXPECT(memory_entry(i)->base >= memory_entry(i - 1)->base, ENTRY_TEXT, ENTRY_OF(i));

    tap_check("entries have types that the base revision knows");
    uint64_t last = boot.revision >= 4 ? LIMINE_MEMORY_RESERVED_MAPPED : LIMINE_MEMORY_FRAMEBUFFER;
    for (uint64_t i = 0; i < memory_count(); i++)
        EXPECT(memory_entry(i)->type <= last, ENTRY_TEXT, ENTRY_OF(i));

    tap_check("no entry is empty or goes beyond the last address");
    for (uint64_t i = 0; i < memory_count(); i++)
        EXPECT(memory_entry(i)->bytes > 0 &&
                   memory_entry(i)->base + memory_entry(i)->bytes - 1 >= memory_entry(i)->base,
               ENTRY_TEXT, ENTRY_OF(i));
}

static bool is_exclusive(uint64_t type) {
    return type == LIMINE_MEMORY_USABLE || type == LIMINE_MEMORY_LOADER_RECLAIMABLE;
}

static void check_exclusive(void) {
    tap_check("usable and bootloader-reclaimable entries have base and length in whole pages");
    for (uint64_t i = 0; i < memory_count(); i++) {
        const struct limine_memory_entry *entry = memory_entry(i);
        if (is_exclusive(entry->type))
            EXPECT(entry->base % PAGE_BYTES == 0 && entry->bytes % PAGE_BYTES == 0, ENTRY_TEXT,
                   ENTRY_OF(i));
    }

    tap_check("usable and bootloader-reclaimable entries overlap no other entry");
    for (uint64_t i = 0; i < memory_count(); i++) {
        const struct limine_memory_entry *a = memory_entry(i);
        for (uint64_t j = 0; j < memory_count() && is_exclusive(a->type); j++) {
            const struct limine_memory_entry *b = memory_entry(j);
            if (i != j)
                EXPECT(a->base + a->bytes <= b->base || b->base + b->bytes <= a->base,
                       ENTRY_TEXT "; and " ENTRY_TEXT, ENTRY_OF(i), ENTRY_OF(j));
        }
    }

    tap_check("no entry of another type shares a page with a framebuffer");
    bool are_any = false;
    for (uint64_t i = 0; i < memory_count(); i++) {
        const struct limine_memory_entry *entry = memory_entry(i);
        if (entry->type != LIMINE_MEMORY_FRAMEBUFFER)
            continue;
        are_any = true;
        uint64_t first = entry->base & ~(PAGE_BYTES - 1);
        uint64_t end = (entry->base + entry->bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
        EXPECT(memory_none_in(first, end - first, TYPES_ALL & ~TYPE(FRAMEBUFFER)), ENTRY_TEXT,
               ENTRY_OF(i));
    }
    if (!are_any)
        tap_skip("there is no framebuffer");

    tap_check("up to base revision 2 the first page is not usable");
    if (boot.revision <= 2)
        EXPECT(memory_none_in(0, PAGE_BYTES, TYPE(USABLE)), "types there: %lx",
               memory_look(0).types);
    else
        tap_skip("from base revision 3 on it may be");
}

void check_memory_map(void) {
    check_order();
    check_exclusive();
    for (uint64_t i = 0; i < memory_count(); i++)
        tap_note(ENTRY_TEXT, ENTRY_OF(i));
}

// UEFI 2.10, 7.2.3: a descriptor, and types by number.
struct efi_descriptor {
    uint32_t type;
    uint32_t unused;
    uint64_t physical;
    uint64_t virtual;
    uint64_t pages;
    uint64_t attributes;
};

enum efi_type {
    EFI_LOADER_CODE = 1,
    EFI_LOADER_DATA,
    EFI_BOOT_CODE,
    EFI_BOOT_DATA,
    EFI_RUNTIME_CODE,
    EFI_RUNTIME_DATA,
    EFI_CONVENTIONAL,
    EFI_UNUSABLE,
    EFI_ACPI_RECLAIM,
    EFI_ACPI_NVS,
};

// The types that memory of an EFI type may have. Rules that come before this one put the image,
// modules, framebuffers and from base revisions 4 and 5 on firmware tables over it; what the loader
// has taken since the firmware said so is reclaimable.
static uint64_t types_from_efi(uint32_t type) {
    uint64_t taken = TYPE(LOADER_RECLAIMABLE) | TYPE(EXECUTABLE_AND_MODULES) | TYPE(FRAMEBUFFER);
    uint64_t tables = boot.revision >= 4 ? TYPE(RESERVED_MAPPED) : 0;
    switch (type) {
    case EFI_LOADER_CODE:
    case EFI_LOADER_DATA:
    case EFI_BOOT_CODE:
    case EFI_BOOT_DATA:
        return taken | tables;
    case EFI_RUNTIME_CODE:
    case EFI_RUNTIME_DATA:
        return boot.revision >= 5 ? TYPE(RESERVED_MAPPED) : (TYPE(RESERVED) | tables);
    case EFI_CONVENTIONAL:
        return TYPE(USABLE) | taken;
    case EFI_ACPI_RECLAIM:
        return TYPE(ACPI_RECLAIMABLE) | (boot.revision >= 5 ? tables : 0);
    case EFI_ACPI_NVS:
        return TYPE(ACPI_NVS) | (boot.revision >= 5 ? tables : 0);
    case EFI_UNUSABLE:
        return TYPE(RESERVED) | TYPE(BAD);
    default:
        return TYPE(RESERVED) | TYPE(FRAMEBUFFER) | tables;
    }
}

static void expect_from_efi(const struct efi_descriptor *descriptor) {
    uint64_t at = descriptor->physical, end = at + descriptor->pages * PAGE_BYTES;
    uint64_t wanted = types_from_efi(descriptor->type);
    if (at < PAGE_BYTES) // which a loader may keep from the kernel
        at = PAGE_BYTES;
    while (at < end) {
        struct memory_at found = memory_look(at);
        EXPECT(found.types && !(found.types & ~wanted),
               "EFI type %lu at %lx, of [%lx, %lx): types %lx, not of %lx",
               (uint64_t)descriptor->type, at, descriptor->physical, end, found.types, wanted);
        at = found.end;
    }
}

static bool is_reclaimed(uint32_t type) {
    return type >= EFI_LOADER_CODE && type <= EFI_BOOT_DATA;
}

static void check_efi_types(const struct limine_efi_memmap_response *map, bool are_reclaimed,
                            const char *sentence) {
    tap_check(sentence);
    if (!map)
        tap_skip("no EFI memory map");
    for (uint64_t at = 0; map && at + map->stride <= map->bytes; at += map->stride) {
        const struct efi_descriptor *descriptor =
            (const struct efi_descriptor *)(map->address + at);
        if (is_reclaimed(descriptor->type) == are_reclaimed)
            expect_from_efi(descriptor);
    }
}

// Whether its descriptors can be read.
static bool expect_efi_map(const struct limine_efi_memmap_response *map) {
    bool is_in_place = is_given(map->address, map->bytes);
    bool is_whole = map->stride >= sizeof(struct efi_descriptor) && map->bytes > 0 &&
                    map->bytes % map->stride == 0;
    EXPECT(is_in_place, "[%lx, +%lx): types %lx", map->address, map->bytes,
           memory_look(map->address - boot.hhdm).types);
    EXPECT(is_whole, "%lx bytes of %lx each", map->bytes, map->stride);
    EXPECT(map->version == 1, "version %lx", map->version);
    if (is_in_place)
        claim(map->address - boot.hhdm, map->bytes, "the EFI memory map");
    return is_whole && probe_read(map->address) && probe_read(map->address + map->bytes - 1);
}

void check_efi_memory_map(void) {
    const struct limine_efi_memmap_response *map = response_of(LIMINE_EFI_MEMMAP);
    tap_check("the EFI memory map is in bootloader-reclaimable memory, of whole descriptors");
    if (!map)
        tap_skip_choice("no answer to EFI_MEMMAP");
    else if (!expect_efi_map(map))
        map = NULL;
    check_efi_types(map, true,
                    "EFI's loader and boot services memory is reclaimable, or of a special type");
    check_efi_types(map, false,
                    "other EFI memory is usable, ACPI's, reserved or, from base revision 5 on, "
                    "reserved mapped, as its type says");
}

static bool holds(volatile uint64_t *word, uint64_t pattern) {
    uint64_t before = *word;
    *word = pattern;
    bool good = *word == pattern;
    *word = before;
    return good;
}

void check_memory_use(void) {
    tap_check("usable memory can be written and read at its HHDM addresses");
    for (uint64_t i = 0; i < memory_count(); i++) {
        const struct limine_memory_entry *entry = memory_entry(i);
        if (entry->type != LIMINE_MEMORY_USABLE)
            continue;
        EXPECT(holds(direct(entry->base), UINT64_C(0x5aa55aa50ff00ff0)), ENTRY_TEXT, ENTRY_OF(i));
        EXPECT(holds(direct(entry->base + entry->bytes - 8), UINT64_C(0xa55aa55af00ff00f)),
               ENTRY_TEXT, ENTRY_OF(i));
    }

    tap_check("address line 20 is not masked");
    enum { LINE = 1 << 20 };
    for (uint64_t i = 0; i < memory_count(); i++) {
        const struct limine_memory_entry *entry = memory_entry(i);
        if (entry->type != LIMINE_MEMORY_USABLE || entry->bytes <= LINE)
            continue;
        volatile uint64_t *here = direct(entry->base), *there = direct(entry->base + LINE);
        uint64_t kept = *here, kept_there = *there;
        *here = 1;
        *there = 2;
        EXPECT(*here == 1, "%lx and %lx are the same memory", entry->base, entry->base + LINE);
        *here = kept;
        *there = kept_there;
    }
}
