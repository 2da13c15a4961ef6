// See listing.h.
#include "loader/listing.h"

#include "loader/file.h"
#include "loader/utf.h"

#include <stddef.h>

enum {
    INFO_BYTES_MAX = offsetof(EFI_FILE_INFO, FileName) + LISTING_NAME_UNITS * sizeof(CHAR16),
};

bool listing_open(struct listing *ret_listing, const CHAR16 *path) {
    EFI_FILE *volume = file_own_volume();
    *ret_listing = (struct listing){.entries_left = LISTING_NAMES_MAX};
    if (volume == NULL) // a server tells no names
        return false;
    EFI_STATUS status = volume->Open(volume, &ret_listing->handle, (CHAR16 *)(uintptr_t)path,
                                     EFI_FILE_MODE_READ, 0);
    return !EFI_ERROR(status);
}

bool listing_next(struct listing *listing, struct listing_entry *ret_entry,
                  EFI_STATUS *ret_status) {
    static _Alignas(8) char buffer[INFO_BYTES_MAX];
    const EFI_FILE_INFO *info = (const EFI_FILE_INFO *)buffer;
    UINTN bytes = sizeof(buffer);
    *ret_status = EFI_ABORTED;
    if (listing->entries_left-- == 0)
        return false;
    *ret_status = listing->handle->Read(listing->handle, &bytes, buffer);
    if (EFI_ERROR(*ret_status) || bytes == 0) // the end gives no bytes
        return false;
    *ret_status = EFI_VOLUME_CORRUPTED;
    if (bytes <= offsetof(EFI_FILE_INFO, FileName) || bytes > sizeof(buffer))
        return false;
    *ret_status = EFI_SUCCESS;
    uint64_t units = (bytes - offsetof(EFI_FILE_INFO, FileName)) / sizeof(CHAR16);
    ret_entry->name.bytes = utf8_from_utf16(info->FileName, units, ret_entry->storage);
    ret_entry->name.text = ret_entry->storage;
    ret_entry->bytes = info->FileSize;
    ret_entry->is_folder = (info->Attribute & EFI_FILE_DIRECTORY) != 0;
    return true;
}

void listing_close(struct listing *listing) {
    listing->handle->Close(listing->handle);
}
