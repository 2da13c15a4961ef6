// The fake firmware's memory: pages of the arena, and for code that must lie low of the RAM below
// 1 MiB, which it allocates from the top; descriptors of memory that is not there; and the map made
// of all.
#include "common/base/arith.h"
#include "tests/firmware/fake_parts.h"
#include "tests/unit/support/random.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES  UINT64_C(4096)
#define PAGES       FAKE_ARENA_PAGES
#define LOW_PAGES   (FAKE_LOW_END / PAGE_BYTES)
#define FOREIGN_MAX 2048
#define MAP_MAX     (FOREIGN_MAX + FAKE_ARENA_PAGES + LOW_PAGES)
#define GUARDS      2 // free pages kept around an allocation

// From image.S.
extern const char ImageBase[];
extern const char _text[];
extern const char _etext[];

// RAM by pages. From page `first` on it is really there.
struct bank {
    uint64_t start;
    uint64_t pages;
    uint64_t first;
    uint8_t *types;
    bool *allocated;
    uint64_t *rights; // attributes; of what is allocated
};
static uint8_t arena_types[PAGES], low_types[LOW_PAGES];
static bool arena_allocated[PAGES], low_allocated[LOW_PAGES];
static uint64_t arena_rights[PAGES], low_rights[LOW_PAGES];
static struct bank banks[] = {
    {FAKE_ARENA_START, PAGES, 0, arena_types, arena_allocated, arena_rights},
    {0, LOW_PAGES, FAKE_LOW_START / PAGE_BYTES, low_types, low_allocated, low_rights},
};
static struct bank *const arena = &banks[0];
static struct bank *const low = &banks[1];

const uint64_t fake_crash_places[FAKE_CRASH_PLACES] = {MIB(24), MIB(80), MIB(200)};

static bool has_refused_rights;                    // a call that was to change them failed
static uint64_t page_0_allocated;                  // pages of the run at address 0
static EFI_MEMORY_DESCRIPTOR foreign[FOREIGN_MAX]; // outside the arena
static uint64_t foreign_count;
static uint64_t key;

// The map at `listed_key`.
static EFI_MEMORY_DESCRIPTOR list[MAP_MAX];
static uint64_t list_count;
static uint64_t listed_key;

// Pages of the arena that are not free at the start, so that the map has many descriptors.
static const struct {
    uint64_t start, end;
    EFI_MEMORY_TYPE type;
} taken[] = {
    {0, 0x40, EfiBootServicesCode},        {0x40, 0x60, EfiBootServicesData},
    {0x70, 0x80, EfiRuntimeServicesData}, // the system table
    {0x80, 0xa0, EfiReservedMemoryType},   {0xa0, 0xb0, EfiACPIReclaimMemory},
    {0xb0, 0xb4, EfiACPIMemoryNVS},        {0xb4, 0xba, EfiLoaderCode}, // the loader's image
    {0x100, 0x101, EfiReservedMemoryType}, {0x120, 0x121, EfiBootServicesData},
    {0x300, 0x309, EfiBootServicesCode},   {0x400, 0x401, EfiACPIMemoryNVS},
    {0x5ff, 0x601, EfiUnusableMemory},     {0x1ff0, PAGES, EfiRuntimeServicesCode},
};

static void *at(const struct bank *bank, uint64_t page) {
    return (void *)(uintptr_t)(bank->start + page * PAGE_BYTES);
}

void fake_map(uint64_t start, uint64_t bytes) {
    void *wanted = (void *)(uintptr_t)start;
    void *memory = mmap(wanted, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory != wanted) {
        perror("no memory at the address where the fake machine has some");
        abort();
    }
}

// Real rights: what is not allowed faults.
static void protect(const struct bank *bank, uint64_t first, uint64_t pages, int rights_of_host) {
    if (mprotect(at(bank, first), pages * PAGE_BYTES, rights_of_host) != 0) {
        perror("no rights for a part of the arena");
        abort();
    }
}

static void protect_image(void) {
    uint64_t image = (FAKE_IMAGE_PHYS - FAKE_ARENA_START) / PAGE_BYTES;
    uint64_t text = (uint64_t)(_text - ImageBase) / PAGE_BYTES;
    protect(arena, image, text, PROT_READ);
    protect(arena, image + text, (uint64_t)(_etext - _text) / PAGE_BYTES, PROT_READ | PROT_EXEC);
}

static void map_pieces(void) {
    static bool are_mapped;
    if (are_mapped)
        return;
    for (size_t i = 0; i < ARRAY_LEN(banks); i++) {
        const struct bank *bank = &banks[i];
        uint64_t bytes = (bank->pages - bank->first) * PAGE_BYTES;
        fake_map((uintptr_t)at(bank, bank->first), bytes);
        ASAN_POISON_MEMORY_REGION(at(bank, bank->first), bytes);
    }
    for (size_t i = 0; i < ARRAY_LEN(fake_crash_places); i++)
        fake_map(fake_crash_places[i], FAKE_CRASH_BYTES);
    protect_image();
    are_mapped = true;
}

static void release(struct bank *bank, uint64_t first, uint64_t pages) {
    for (uint64_t page = first; page < first + pages; page++) {
        if (bank->rights[page] != FAKE_XP)
            protect(bank, page, 1, PROT_READ | PROT_WRITE);
        bank->rights[page] = 0;
    }
    memset(bank->allocated + first, false, pages);
    ASAN_POISON_MEMORY_REGION(at(bank, first), pages * PAGE_BYTES);
}

// What the loader had still allocated at the end of the last boot.
static void release_all(struct bank *bank) {
    for (uint64_t page = 0; page < bank->pages; page++) {
        if (bank->allocated[page])
            release(bank, page, 1);
    }
}

void fake_reset_memory(void) {
    map_pieces();
    release_all(arena);
    release_all(low);
    key = 1000;
    listed_key = 0;
    page_0_allocated = 0;
    has_refused_rights = false;
    memset(arena_types, EfiConventionalMemory, sizeof(arena_types));
    memset(low_types, EfiConventionalMemory, sizeof(low_types));
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        memset(arena_types + taken[i].start, (int)taken[i].type, taken[i].end - taken[i].start);
    foreign_count = 0;
    fake_add_memory(FAKE_HIGH_PHYS, FAKE_HIGH_BYTES, EfiConventionalMemory);
    fake_add_memory(UINT64_C(0xfd00000000), GIB(12), EfiReservedMemoryType);
    fake_add_memory(0xfec00000, 0x1000, EfiMemoryMappedIO);
    fake_add_memory(FAKE_LOW_END, 0x1000, EfiReservedMemoryType);
    fake_add_memory(0x100000, FAKE_ARENA_START - 0x100000, EfiConventionalMemory);
    fake_add_memory(FAKE_ARENA_END, 0x10000, EfiACPIMemoryNVS);
    fake_add_memory(FAKE_ARENA_END + 0x10000, 0x30000, EfiBootServicesData);
}

uint64_t fake_map_key(void) {
    return key;
}

void fake_change_map_key(void) {
    key++;
}

void fake_add_descriptor(const EFI_MEMORY_DESCRIPTOR *descriptor) {
    if (foreign_count == FOREIGN_MAX)
        abort();
    foreign[foreign_count++] = *descriptor;
    key++;
}

static uint64_t attributes_of(EFI_MEMORY_TYPE type) {
    const uint64_t ram = EFI_MEMORY_UC | EFI_MEMORY_WC | EFI_MEMORY_WT | EFI_MEMORY_WB;
    if (type == EfiMemoryMappedIO)
        return EFI_MEMORY_UC | EFI_MEMORY_RUNTIME;
    if (type == EfiRuntimeServicesCode || type == EfiRuntimeServicesData)
        return ram | EFI_MEMORY_RUNTIME;
    return ram;
}

static EFI_MEMORY_DESCRIPTOR describe(uint64_t start, uint64_t end, EFI_MEMORY_TYPE type) {
    return (EFI_MEMORY_DESCRIPTOR){
        .Type = (UINT32)type,
        .PhysicalStart = start,
        .NumberOfPages = (end - start) / PAGE_BYTES,
        .Attribute = attributes_of(type),
    };
}

static uint64_t end_of(const EFI_MEMORY_DESCRIPTOR *descriptor) {
    return descriptor->PhysicalStart + descriptor->NumberOfPages * PAGE_BYTES;
}

void fake_add_memory(uint64_t start, uint64_t bytes, EFI_MEMORY_TYPE type) {
    if (start < FAKE_ARENA_END && start + bytes > FAKE_ARENA_START)
        abort();
    const EFI_MEMORY_DESCRIPTOR descriptor = describe(start, start + bytes, type);
    fake_add_descriptor(&descriptor);
}

// The bank that has all of these pages, and the index of the first; or null.
static struct bank *find_bank(uint64_t start, uint64_t pages, uint64_t *ret_first) {
    for (size_t i = 0; i < ARRAY_LEN(banks); i++) {
        struct bank *bank = &banks[i];
        uint64_t first = (start - bank->start) / PAGE_BYTES; // huge below
        *ret_first = first;
        if (start % PAGE_BYTES == 0 && first < bank->pages && pages != 0 &&
            pages <= bank->pages - first)
            return bank;
    }
    return NULL;
}

void fake_set_memory(uint64_t start, uint64_t bytes, EFI_MEMORY_TYPE type) {
    uint64_t first;
    struct bank *bank = find_bank(start, bytes / PAGE_BYTES, &first);
    key++;
    if (bank != NULL) {
        memset(bank->types + first, (int)type, bytes / PAGE_BYTES);
        return;
    }
    for (uint64_t i = 0; i < foreign_count; i++) {
        if (foreign[i].PhysicalStart == start && end_of(&foreign[i]) == start + bytes) {
            foreign[i] = describe(start, start + bytes, type);
            return;
        }
    }
    abort();
}

// The run of pages of one type that starts at page `first`.
static EFI_MEMORY_DESCRIPTOR find_run(const struct bank *bank, uint64_t first) {
    uint64_t end = first + 1;
    while (end < bank->pages && bank->types[end] == bank->types[first])
        end++;
    EFI_MEMORY_DESCRIPTOR run =
        describe(bank->start + first * PAGE_BYTES, bank->start + end * PAGE_BYTES,
                 (EFI_MEMORY_TYPE)bank->types[first]);
    run.Attribute |= run.Type == EfiMemoryMappedIO ? 0 : fake.ram_attributes;
    return run;
}

static void leave_out_below(uint64_t start) {
    uint64_t kept = 0;
    for (uint64_t i = 0; i < list_count; i++) {
        if (list[i].PhysicalStart >= start)
            list[kept++] = list[i];
    }
    list_count = kept;
}

// Any order, the same for the same map_order and number of descriptors.
static void shuffle_list(void) {
    struct random random = {fake.map_order};
    for (uint64_t left = list_count; left > 1; left--) {
        uint64_t chosen = random_below(&random, left);
        EFI_MEMORY_DESCRIPTOR last = list[left - 1];
        list[left - 1] = list[chosen];
        list[chosen] = last;
    }
}

static void list_bank(const struct bank *bank) {
    for (uint64_t page = 0; page < bank->pages;) {
        list[list_count] = find_run(bank, page);
        page += list[list_count++].NumberOfPages;
    }
}

// The arena first, then low RAM, then the rest as it was added: not in order.
static void list_memory(void) {
    if (listed_key == key)
        return;
    list_count = 0;
    list_bank(arena);
    list_bank(low);
    memcpy(list + list_count, foreign, foreign_count * sizeof(*foreign));
    list_count += foreign_count;
    leave_out_below(fake.map_start);
    if (fake.map_order != 0)
        shuffle_list();
    listed_key = key;
}

bool fake_find_memory(uint64_t phys, struct fake_memory *ret_memory) {
    list_memory();
    for (uint64_t i = 0; i < list_count; i++) {
        uint64_t start = list[i].PhysicalStart;
        uint64_t end = end_of(&list[i]);
        if (phys >= start && phys < end) {
            *ret_memory = (struct fake_memory){start, end, (EFI_MEMORY_TYPE)list[i].Type};
            return true;
        }
    }
    return false;
}

uint64_t fake_count_memory(EFI_MEMORY_TYPE type) {
    uint64_t bytes = 0;
    list_memory();
    for (uint64_t i = 0; i < list_count; i++)
        bytes += list[i].Type == type ? list[i].NumberOfPages * PAGE_BYTES : 0;
    return bytes;
}

uint64_t fake_allocated_pages(void) {
    uint64_t count = page_0_allocated;
    for (uint64_t page = 0; page < PAGES; page++)
        count += arena_allocated[page];
    for (uint64_t page = 0; page < LOW_PAGES; page++)
        count += low_allocated[page];
    return count;
}

// From the top, with a page to spare on both sides unless the test wants none; 0, which is never
// free, if there is no room.
static uint64_t find_room(const struct bank *bank, uint64_t pages) {
    uint64_t run = 0;
    uint64_t guards = fake.leaves_no_gaps ? 0 : GUARDS;
    for (uint64_t page = bank->pages; page-- != bank->first;) {
        run = bank->types[page] == EfiConventionalMemory ? run + 1 : 0;
        if (run == pages + guards)
            return page + guards / 2;
    }
    return 0;
}

static void take(struct bank *bank, uint64_t first, uint64_t pages, EFI_MEMORY_TYPE type) {
    memset(bank->types + first, (int)type, pages);
    memset(bank->allocated + first, true, pages);
    for (uint64_t page = first; page < first + pages; page++)
        bank->rights[page] = fake.attributes;
    ASAN_UNPOISON_MEMORY_REGION(at(bank, first), pages * PAGE_BYTES);
    memset(at(bank, first), fake.fresh, pages * PAGE_BYTES);
}

// Nothing could be given outside of the arena.
static EFI_STATUS allocate_at(uint64_t address, uint64_t pages) {
    uint64_t first;
    struct bank *bank = find_bank(address, pages, &first);
    fake.asked_address = address;
    fake.asked_pages = pages;
    if (bank != arena)
        return EFI_NOT_FOUND;
    for (uint64_t page = first; page < first + pages; page++) {
        if (page < bank->first || bank->types[page] != EfiConventionalMemory)
            return EFI_NOT_FOUND;
    }
    key++;
    take(bank, first, pages, EfiLoaderData);
    return EFI_SUCCESS;
}

EFI_STATUS EFIAPI fake_allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                      EFI_PHYSICAL_ADDRESS *address) {
    EFI_STATUS status = fake_begin_call(FAKE_ALLOCATE_PAGES, NULL);
    if (EFI_ERROR(status))
        return status;
    if (how == AllocateAddress && type == EfiLoaderData && *address % PAGE_BYTES == 0)
        return allocate_at(*address, pages);
    bool is_code = how == AllocateMaxAddress && type == EfiLoaderCode;
    if (!is_code && (how != AllocateAnyPages || type != EfiLoaderData || pages == 0))
        fake_record_breach("AllocatePages(%d, %d, %lu)", (int)how, (int)type, pages);
    if (is_code && *address % PAGE_BYTES != PAGE_BYTES - 1)
        fake_record_breach("AllocatePages below 0x%lx, which is in a page", *address);
    if (is_code)
        fake.code_limit = *address;
    if (is_code && fake.has_no_room_for_code)
        return EFI_NOT_FOUND;
    struct bank *bank = is_code && *address < FAKE_ARENA_END ? low : arena;
    key++;
    if (++fake.allocations == fake.gives_page_0) {
        page_0_allocated = pages;
        *address = 0;
        return EFI_SUCCESS;
    }
    uint64_t first = pages < bank->pages ? find_room(bank, pages) : 0;
    if (first == 0)
        return is_code ? EFI_NOT_FOUND : EFI_OUT_OF_RESOURCES;
    take(bank, first, pages, type);
    *address = bank->start + first * PAGE_BYTES;
    return EFI_SUCCESS;
}

static bool is_allocated(uint64_t start, uint64_t pages) {
    uint64_t first;
    const struct bank *bank = find_bank(start, pages, &first);
    for (uint64_t i = 0; bank != NULL && i < pages; i++) {
        if (!bank->allocated[first + i])
            return false;
    }
    return bank != NULL;
}

bool fake_is_code(uint64_t start) {
    uint64_t first;
    const struct bank *bank = find_bank(start, 1, &first);
    return bank != NULL && bank->allocated[first] && bank->types[first] == EfiLoaderCode;
}

// A part of an allocation may go back before the rest (edk2 allows it). A call that is to fail
// takes the pages all the same: the caller could do no more.
EFI_STATUS EFIAPI fake_free_pages(EFI_PHYSICAL_ADDRESS address, UINTN pages) {
    EFI_STATUS status = fake_begin_call(FAKE_FREE_PAGES, NULL);
    key++;
    if (address == 0 && pages != 0 && page_0_allocated == pages) {
        page_0_allocated = 0;
        return status;
    }
    if (!is_allocated(address, pages)) {
        fake_record_breach("FreePages(0x%lx, %lu): not allocated", address, pages);
        return EFI_NOT_FOUND;
    }
    uint64_t first;
    struct bank *bank = find_bank(address, pages, &first);
    for (uint64_t page = first; page < first + pages; page++) {
        if (bank->rights[page] != fake.attributes && !has_refused_rights)
            fake_record_breach("FreePages(0x%lx, %lu): rights are not those of data", address,
                               pages);
    }
    memset(bank->types + first, EfiConventionalMemory, pages);
    release(bank, first, pages);
    return status;
}

// ---- EFI_MEMORY_ATTRIBUTE_PROTOCOL

struct attributes_protocol {
    EFI_STATUS(EFIAPI *get)(void *self, EFI_PHYSICAL_ADDRESS start, UINT64 bytes, UINT64 *ret);
    EFI_STATUS(EFIAPI *set)(void *self, EFI_PHYSICAL_ADDRESS start, UINT64 bytes, UINT64 set);
    EFI_STATUS(EFIAPI *clear)(void *self, EFI_PHYSICAL_ADDRESS start, UINT64 bytes, UINT64 clear);
};

static struct attributes_protocol attributes_protocol;

// Whether a call about these pages is by the rules, and is not to fail.
static EFI_STATUS begin_attributes(enum fake_call call, const void *self, uint64_t start,
                                   uint64_t bytes) {
    EFI_STATUS status = fake_begin_call(call, NULL);
    has_refused_rights |= EFI_ERROR(status);
    if (self == &attributes_protocol && bytes % PAGE_BYTES == 0 &&
        is_allocated(start, bytes / PAGE_BYTES))
        return status;
    fake_record_breach("attributes of [0x%lx, 0x%lx): not allocated", start, start + bytes);
    return EFI_INVALID_PARAMETER;
}

// No page becomes writable and executable that was not.
static void change_rights(struct bank *bank, uint64_t page, uint64_t set, uint64_t clear) {
    uint64_t rights = (bank->rights[page] & ~clear) | set;
    bank->rights[page] = rights;
    if (rights == 0 && fake.attributes != 0)
        fake_record_breach("page 0x%lx: writable and executable", (uintptr_t)at(bank, page));
    protect(bank, page, 1,
            PROT_READ | (rights & FAKE_RO ? 0 : PROT_WRITE) | (rights & FAKE_XP ? 0 : PROT_EXEC));
}

static EFI_STATUS change_attributes(enum fake_call call, const void *self, uint64_t start,
                                    uint64_t bytes, uint64_t set, uint64_t clear) {
    EFI_STATUS status = begin_attributes(call, self, start, bytes);
    if (EFI_ERROR(status))
        return status;
    if ((set | clear) != FAKE_XP && (set | clear) != FAKE_RO)
        fake_record_breach("attributes 0x%lx are not one right", set | clear);
    uint64_t first;
    struct bank *bank = find_bank(start, bytes / PAGE_BYTES, &first);
    for (uint64_t page = first; page < first + bytes / PAGE_BYTES; page++)
        change_rights(bank, page, set, clear);
    return EFI_SUCCESS;
}

static uint64_t rights_at(uint64_t start) {
    uint64_t page;
    return find_bank(start, 1, &page)->rights[page];
}

static EFI_STATUS EFIAPI get_attributes(void *self, EFI_PHYSICAL_ADDRESS start, UINT64 bytes,
                                        UINT64 *ret_attributes) {
    EFI_STATUS status = begin_attributes(FAKE_GET_ATTRIBUTES, self, start, bytes);
    if (!EFI_ERROR(status))
        *ret_attributes = rights_at(start);
    return status;
}

static EFI_STATUS EFIAPI set_attributes(void *self, EFI_PHYSICAL_ADDRESS start, UINT64 bytes,
                                        UINT64 set) {
    return change_attributes(FAKE_SET_ATTRIBUTES, self, start, bytes, set, 0);
}

static EFI_STATUS EFIAPI clear_attributes(void *self, EFI_PHYSICAL_ADDRESS start, UINT64 bytes,
                                          UINT64 clear) {
    return change_attributes(FAKE_CLEAR_ATTRIBUTES, self, start, bytes, 0, clear);
}

static struct attributes_protocol attributes_protocol = {get_attributes, set_attributes,
                                                         clear_attributes};

void *fake_find_attributes(const EFI_GUID *guid) {
    static const EFI_GUID id = {
        0xf4560cf6, 0x40ec, 0x4b4a, {0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89}};
    bool is_it = fake.has_attributes && memcmp(guid, &id, sizeof(id)) == 0;
    return is_it ? &attributes_protocol : NULL;
}

static void write_descriptors(char *to) {
    for (uint64_t i = 0; i < list_count; i++, to += fake.stride) {
        memset(to, 0xee, fake.stride);
        memcpy(to, &list[i], sizeof(list[i]));
    }
}

bool fake_is_map(const void *map, uint64_t bytes) {
    list_memory();
    if (bytes != list_count * fake.stride)
        return false;
    for (uint64_t i = 0; i < list_count; i++) {
        if (memcmp((const char *)map + i * fake.stride, &list[i], sizeof(list[i])) != 0)
            return false;
    }
    return true;
}

EFI_STATUS EFIAPI fake_get_memory_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *map_key,
                                      UINTN *stride, UINT32 *version) {
    EFI_STATUS status = fake_begin_call(FAKE_GET_MEMORY_MAP, NULL);
    if (EFI_ERROR(status))
        return status;
    if (map != NULL && fake.before_map != NULL)
        fake.before_map(fake.readings + 1);
    fake.readings += map != NULL;
    list_memory();
    uint64_t capacity = *bytes;
    *bytes = list_count * fake.stride;
    if (map != NULL || !fake.probe_hides_stride) {
        *stride = fake.stride;
        *version = EFI_MEMORY_DESCRIPTOR_VERSION;
    }
    if (capacity < *bytes)
        return EFI_BUFFER_TOO_SMALL;
    uint64_t first = align_down((uintptr_t)map, PAGE_BYTES);
    uint64_t end = align_up((uintptr_t)map + *bytes, PAGE_BYTES);
    if (!is_allocated(first, (end - first) / PAGE_BYTES))
        fake_record_breach("GetMemoryMap into memory that is not the loader's");
    write_descriptors((char *)map);
    *map_key = key;
    return EFI_SUCCESS;
}
