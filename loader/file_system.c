// See file_system.h.
#include "loader/file_system.h"

#include "common/base/arith.h"
#include "loader/firmware.h"
#include "loader/log.h"

#include <stdbool.h>
#include <stddef.h>

// FAT's names have up to 255 characters.
enum { INFO_BYTES_MAX = offsetof(EFI_FILE_INFO, FileName) + 256 * sizeof(CHAR16) };

// Firmware that does not know the size of a file gives one above this.
#define SIZE_MAX_BYTES (UINT64_MAX >> 1)

EFI_STATUS file_system_reopen(struct file *file) {
    if (file->handle != NULL)
        file->handle->Close(file->handle);
    file->handle = NULL;
    EFI_FILE *handle;
    EFI_STATUS status =
        file->volume->Open(file->volume, &handle, (CHAR16 *)file->path, EFI_FILE_MODE_READ, 0);
    if (!EFI_ERROR(status))
        file->handle = handle;
    return status;
}

// One firmware read. A position or read that fails leaves a handle that cannot be trusted.
EFI_STATUS file_system_read(struct file *file, uint64_t offset, void *destination, UINTN *bytes) {
    EFI_STATUS status = file->handle->SetPosition(file->handle, offset);
    return EFI_ERROR(status) ? status : file->handle->Read(file->handle, bytes, destination);
}

// ---- The size

// What the directory entry says (UEFI 2.9, 13.5 GetInfo). EFI_UNSUPPORTED: it is a directory.
static EFI_STATUS size_by_info(const struct file *file, uint64_t *ret_bytes) {
    static _Alignas(8) char buffer[INFO_BYTES_MAX];
    EFI_GUID kind = EFI_FILE_INFO_ID;
    UINTN bytes = sizeof(buffer);
    EFI_FILE_INFO *info = (EFI_FILE_INFO *)buffer;
    EFI_STATUS status = file->handle->GetInfo(file->handle, &kind, &bytes, info);
    if (EFI_ERROR(status))
        return status == EFI_UNSUPPORTED ? EFI_DEVICE_ERROR : status;
    if (info->Attribute & EFI_FILE_DIRECTORY)
        return EFI_UNSUPPORTED;
    *ret_bytes = info->FileSize;
    return info->FileSize > SIZE_MAX_BYTES ? EFI_DEVICE_ERROR : EFI_SUCCESS;
}

// Where the end is (UEFI 2.9, 13.5 SetPosition). EFI_UNSUPPORTED: it is a directory. Some firmware
// accepts the call and does not move; some returns the number that it was called with.
static EFI_STATUS size_by_position(const struct file *file, uint64_t *ret_bytes) {
    EFI_STATUS status = file->handle->SetPosition(file->handle, UINT64_MAX);
    if (!EFI_ERROR(status))
        status = file->handle->GetPosition(file->handle, ret_bytes);
    return !EFI_ERROR(status) && *ret_bytes > SIZE_MAX_BYTES ? EFI_DEVICE_ERROR : status;
}

// True if a byte can be read at `offset`. If not, the handle is a new one, or null.
static bool has_byte(struct file *file, uint64_t offset) {
    char byte;
    UINTN got = 1;
    if (file->handle == NULL)
        return false;
    EFI_STATUS status = file_system_read(file, offset, &byte, &got);
    if (EFI_ERROR(status) && EFI_ERROR(file_system_reopen(file)))
        return false;
    return !EFI_ERROR(status) && got == 1;
}

// Of two sizes the larger one is right if a byte can be read at its end. Some firmware says of
// every file that it is empty: an empty file has no byte at offset 0.
static EFI_STATUS choose_size(struct file *file, uint64_t one, uint64_t other) {
    uint64_t larger = max_u64(one, other);
    uint64_t smaller = min_u64(one, other);
    if (larger == 0 && has_byte(file, 0))
        return log_fail(EFI_VOLUME_CORRUPTED, "%s: the firmware says that it is empty%s",
                        file->name, file->where);
    if (larger == smaller || has_byte(file, larger - 1))
        file->bytes = larger;
    else if (smaller != 0 && has_byte(file, smaller - 1))
        file->bytes = smaller;
    else
        return log_fail(EFI_VOLUME_CORRUPTED,
                        "%s: the firmware gives two sizes, %lu and %lu bytes%s", file->name, one,
                        other, file->where);
    return EFI_SUCCESS;
}

EFI_STATUS file_system_find_size(struct file *file) {
    uint64_t by_info = 0;
    uint64_t by_position = 0;
    EFI_STATUS info = size_by_info(file, &by_info);
    if (EFI_ERROR(info) && info != EFI_UNSUPPORTED && EFI_ERROR(file_system_reopen(file)))
        return log_fail(EFI_DEVICE_ERROR, "%s: cannot find the size (%s)%s", file->name,
                        log_status_text(info), file->where);
    EFI_STATUS position = size_by_position(file, &by_position);
    if (info == EFI_UNSUPPORTED || (EFI_ERROR(info) && position == EFI_UNSUPPORTED))
        return log_fail(EFI_UNSUPPORTED, "%s: is a directory%s", file->name, file->where);
    // Not the firmware's own status: EFI_NOT_FOUND would say that there is no file.
    if (EFI_ERROR(info) && EFI_ERROR(position))
        return log_fail(EFI_DEVICE_ERROR, "%s: cannot find the size (%s)%s", file->name,
                        log_status_text(info), file->where);
    if (EFI_ERROR(info))
        by_info = by_position;
    if (EFI_ERROR(position))
        by_position = by_info;
    return choose_size(file, by_info, by_position);
}

void file_system_close(struct file *file) {
    if (file->handle != NULL)
        file->handle->Close(file->handle);
    file->handle = NULL;
}
