// See firmware.h.
#include "loader/firmware.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/log.h"

// UEFI 2.10, EFI_MEMORY_ATTRIBUTE_PROTOCOL; gnu-efi's headers do not have it.
#define MEMORY_XP UINT64_C(0x4000) // cannot be executed
#define MEMORY_RO UINT64_C(0x20000)
struct memory_attributes {
    EFI_STATUS(EFIAPI *get)
    (struct memory_attributes *self, EFI_PHYSICAL_ADDRESS start, UINT64 bytes, UINT64 *ret_set);
    EFI_STATUS(EFIAPI *set)
    (struct memory_attributes *self, EFI_PHYSICAL_ADDRESS start, UINT64 bytes, UINT64 set);
    EFI_STATUS(EFIAPI *clear)
    (struct memory_attributes *self, EFI_PHYSICAL_ADDRESS start, UINT64 bytes, UINT64 clear);
};

EFI_BOOT_SERVICES *BS;
EFI_SYSTEM_TABLE *ST;
EFI_HANDLE firmware_image;

// Enough for a kernel with two dozen modules.
enum { FIRST_RANGES = 32 };

// In `first_ranges`, or in pages, which are a range themselves.
static struct firmware_range first_ranges[FIRST_RANGES];
static struct firmware_range *ranges;
static uint64_t range_capacity;
static uint64_t range_count;
static EFI_TPL caller_tpl;
static struct memory_attributes *code_maker; // by which pages of the loader's have become code

void firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    firmware_image = image;
    ST = system;
    BS = system->BootServices;
    ranges = first_ranges;
    range_capacity = FIRST_RANGES;
    range_count = 0;
    BS->SetWatchdogTimer(0, 0, 0, NULL);
    caller_tpl = BS->RaiseTPL(TPL_HIGH_LEVEL);
    BS->RestoreTPL(TPL_APPLICATION);
}

void firmware_return(void) {
    if (caller_tpl != TPL_APPLICATION)
        BS->RaiseTPL(caller_tpl);
}

// Some firmware allocates page 0. Its address cannot be told from "none", and the firmware may have
// data there. So it is freed only after another run has been allocated.
static EFI_STATUS allocate(EFI_MEMORY_TYPE type, uint64_t limit, UINTN pages,
                           EFI_PHYSICAL_ADDRESS *ret_start) {
    EFI_ALLOCATE_TYPE how = limit == UINT64_MAX ? AllocateAnyPages : AllocateMaxAddress;
    EFI_PHYSICAL_ADDRESS start = limit - 1;
    EFI_STATUS status = BS->AllocatePages(how, type, pages, &start);
    if (EFI_ERROR(status))
        return status;
    if (start == 0) {
        start = limit - 1;
        status = BS->AllocatePages(how, type, pages, &start);
        BS->FreePages(0, pages);
        if (EFI_ERROR(status))
            return status;
    }
    *ret_start = start;
    return EFI_SUCCESS;
}

static void list_range(uint64_t start, uint64_t bytes, uint32_t purpose) {
    ASSERT(range_count < range_capacity);
    ranges[range_count++] =
        (struct firmware_range){.start = start, .bytes = bytes, .purpose = purpose};
}

// Makes room in the list for a range. A list that moves has room for itself, too.
static EFI_STATUS reserve_range(void) {
    EFI_PHYSICAL_ADDRESS start;
    if (range_count < range_capacity)
        return EFI_SUCCESS;
    uint64_t bytes = align_up(2 * range_capacity * sizeof(*ranges), FRAME_BYTES);
    EFI_STATUS status = allocate(EfiLoaderData, UINT64_MAX, bytes >> FRAME_SHIFT, &start);
    if (EFI_ERROR(status))
        return status;
    uint64_t old = (uintptr_t)ranges;
    memcpy(firmware_pointer(start), ranges, range_count * sizeof(*ranges));
    ranges = firmware_pointer(start);
    range_capacity = bytes / sizeof(*ranges);
    firmware_free_pages(old); // nothing, the first time
    list_range(start, bytes, SLIPWAY_RANGE_LOADER);
    return EFI_SUCCESS;
}

EFI_STATUS firmware_alloc_pages(uint64_t bytes, uint64_t align, uint32_t purpose,
                                uint64_t *ret_start) {
    uint64_t padded;
    if (bytes == 0 || add_overflows(bytes, align - 1, &padded))
        return EFI_OUT_OF_RESOURCES;
    uint64_t size = align_up(bytes, FRAME_BYTES);
    uint64_t slack = align - FRAME_BYTES; // to be freed again, before and after the aligned run
    EFI_PHYSICAL_ADDRESS start;
    EFI_STATUS status = reserve_range();
    if (EFI_ERROR(status))
        return status;
    status = allocate(EfiLoaderData, UINT64_MAX, (size + slack) >> FRAME_SHIFT, &start);
    if (EFI_ERROR(status))
        return status;
    uint64_t aligned = align_up(start, align);
    if (aligned != start)
        BS->FreePages(start, (aligned - start) >> FRAME_SHIFT);
    uint64_t tail = start + slack - aligned;
    if (tail != 0)
        BS->FreePages(aligned + size, tail >> FRAME_SHIFT);
    list_range(aligned, size, purpose);
    *ret_start = aligned;
    return EFI_SUCCESS;
}

EFI_STATUS firmware_alloc_pages_at(uint64_t start, uint64_t bytes, uint32_t purpose) {
    uint64_t size = align_up(bytes, FRAME_BYTES);
    EFI_PHYSICAL_ADDRESS address = start;
    EFI_STATUS status = reserve_range();
    if (EFI_ERROR(status))
        return status;
    status = BS->AllocatePages(AllocateAddress, EfiLoaderData, size >> FRAME_SHIFT, &address);
    if (!EFI_ERROR(status))
        list_range(start, size, purpose);
    return status;
}

EFI_STATUS firmware_alloc_code(uint64_t bytes, uint64_t limit, uint32_t purpose,
                               uint64_t *ret_start) {
    EFI_PHYSICAL_ADDRESS start;
    EFI_STATUS status = reserve_range();
    if (EFI_ERROR(status))
        return status;
    status = allocate(EfiLoaderCode, limit, bytes >> FRAME_SHIFT, &start);
    if (EFI_ERROR(status))
        return status;
    list_range(start, bytes, purpose);
    *ret_start = start;
    return EFI_SUCCESS;
}

static struct memory_attributes *find_memory_attributes(void) {
    EFI_GUID guid = {0xf4560cf6, 0x40ec, 0x4b4a, {0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89}};
    struct memory_attributes *found;
    return EFI_ERROR(BS->LocateProtocol(&guid, NULL, (void **)&found)) ? NULL : found;
}

// The range that starts at `start`, or null.
static struct firmware_range *find_range(uint64_t start) {
    for (uint64_t i = 0; i < range_count; i++) {
        if (ranges[i].start == start)
            return &ranges[i];
    }
    return NULL;
}

// Read-only before executable: so the pages are never writable and executable.
static EFI_STATUS make_code(struct memory_attributes *memory, struct firmware_range *range) {
    uint64_t start = range->start, bytes = range->code_bytes, had;
    EFI_STATUS status = memory->get(memory, start, bytes, &had);
    if (EFI_ERROR(status))
        return status;
    if (!(had & MEMORY_RO)) {
        status = memory->set(memory, start, bytes, MEMORY_RO);
        if (EFI_ERROR(status))
            return status;
        range->code_attributes |= MEMORY_RO;
    }
    if (had & MEMORY_XP) {
        status = memory->clear(memory, start, bytes, MEMORY_XP);
        if (EFI_ERROR(status))
            return status;
        range->code_attributes |= MEMORY_XP;
    }
    return EFI_SUCCESS;
}

EFI_STATUS firmware_make_executable(uint64_t start, uint64_t bytes) {
    struct memory_attributes *memory = find_memory_attributes();
    if (memory == NULL)
        return EFI_SUCCESS;
    code_maker = memory;
    struct firmware_range *range = find_range(start);
    ASSERT(range != NULL && bytes <= range->bytes && range->code_bytes == 0);
    range->code_bytes = bytes;
    EFI_STATUS status = make_code(memory, range);
    if (EFI_ERROR(status))
        return log_fail(status, "code at [0x%lx, 0x%lx): cannot be made executable (%s)", start,
                        start + bytes, log_status_text(status));
    return EFI_SUCCESS;
}

// Firmware may hand out freed pages with the attributes that they have. So the protocol that
// changes them back is not looked for anew, which may fail. What fails here can be helped no more.
static void release(const struct firmware_range *range) {
    if (range->code_attributes & MEMORY_XP)
        code_maker->set(code_maker, range->start, range->code_bytes, MEMORY_XP);
    if (range->code_attributes & MEMORY_RO)
        code_maker->clear(code_maker, range->start, range->code_bytes, MEMORY_RO);
    BS->FreePages(range->start, range->bytes >> FRAME_SHIFT);
}

void firmware_free_pages(uint64_t start) {
    struct firmware_range *range = find_range(start);
    if (range == NULL)
        return;
    release(range);
    *range = ranges[--range_count];
}

// The list last, if it is in pages.
void firmware_free_all(void) {
    const struct firmware_range *found = find_range((uintptr_t)ranges);
    struct firmware_range list = found == NULL ? (struct firmware_range){0} : *found;
    while (range_count != 0) {
        if (ranges[--range_count].start != list.start)
            release(&ranges[range_count]);
    }
    ranges = first_ranges;
    range_capacity = FIRST_RANGES;
    if (list.bytes != 0)
        release(&list);
}

const struct firmware_range *firmware_ranges(uint64_t *ret_count) {
    *ret_count = range_count;
    return ranges;
}

void *firmware_table(const EFI_GUID *guid) {
    for (UINTN i = 0; i < ST->NumberOfTableEntries; i++) {
        if (memcmp(&ST->ConfigurationTable[i].VendorGuid, guid, sizeof(*guid)) == 0)
            return ST->ConfigurationTable[i].VendorTable;
    }
    return NULL;
}

void firmware_forget(void) {
    BS = NULL;
    ST = NULL;
}
