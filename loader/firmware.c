// See firmware.h.
#include "loader/firmware.h"

#include "common/base/arith.h"
#include "common/base/mem.h"

EFI_BOOT_SERVICES *BS;
EFI_SYSTEM_TABLE *ST;
EFI_HANDLE firmware_image;

static struct firmware_range ranges[FIRMWARE_RANGES_MAX];
static uint64_t range_count;
static EFI_TPL caller_tpl;

void firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    firmware_image = image;
    ST = system;
    BS = system->BootServices;
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
static EFI_STATUS allocate(UINTN pages, EFI_PHYSICAL_ADDRESS *ret_start) {
    EFI_PHYSICAL_ADDRESS start = 0;
    EFI_STATUS status = BS->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, &start);
    if (EFI_ERROR(status))
        return status;
    if (start == 0) {
        status = BS->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, &start);
        BS->FreePages(0, pages);
        if (EFI_ERROR(status))
            return status;
    }
    *ret_start = start;
    return EFI_SUCCESS;
}

EFI_STATUS firmware_alloc_pages(uint64_t bytes, uint64_t align, uint32_t purpose,
                                uint64_t *ret_start) {
    uint64_t padded;
    if (range_count == FIRMWARE_RANGES_MAX || bytes == 0 ||
        add_overflows(bytes, align - 1, &padded))
        return EFI_OUT_OF_RESOURCES;
    uint64_t size = align_up(bytes, FRAME_BYTES);
    uint64_t slack = align - FRAME_BYTES; // to be freed again, before and after the aligned run
    EFI_PHYSICAL_ADDRESS start;
    EFI_STATUS status = allocate((size + slack) >> FRAME_SHIFT, &start);
    if (EFI_ERROR(status))
        return status;
    uint64_t aligned = align_up(start, align);
    if (aligned != start)
        BS->FreePages(start, (aligned - start) >> FRAME_SHIFT);
    uint64_t tail = start + slack - aligned;
    if (tail != 0)
        BS->FreePages(aligned + size, tail >> FRAME_SHIFT);
    ranges[range_count++] = (struct firmware_range){aligned, size, purpose};
    *ret_start = aligned;
    return EFI_SUCCESS;
}

void firmware_free_pages(uint64_t start) {
    for (uint64_t i = 0; i < range_count; i++) {
        if (ranges[i].start != start)
            continue;
        BS->FreePages(start, ranges[i].bytes >> FRAME_SHIFT);
        ranges[i] = ranges[--range_count];
        return;
    }
}

void firmware_free_all(void) {
    while (range_count != 0) {
        range_count--;
        BS->FreePages(ranges[range_count].start, ranges[range_count].bytes >> FRAME_SHIFT);
    }
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
