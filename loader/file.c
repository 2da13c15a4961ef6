#include "loader/file.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/utf.h"

#include <stdbool.h>

enum {
    CHUNK_FIRST = 1 << 20,
    CHUNK_LEAST = 4096,
    CHUNK_MOST = 1 << 30,
};

static EFI_FILE *volume;

EFI_STATUS file_open_volume(void) {
    EFI_GUID loaded_image = LOADED_IMAGE_PROTOCOL;
    EFI_GUID file_system = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_LOADED_IMAGE *image;
    EFI_FILE_IO_INTERFACE *system;
    EFI_STATUS status = BS->HandleProtocol(firmware_image, &loaded_image, (void **)&image);
    if (EFI_ERROR(status))
        return log_fail(status, "own image: %s", log_status_text(status));
    status = BS->HandleProtocol(image->DeviceHandle, &file_system, (void **)&system);
    if (EFI_ERROR(status))
        return log_fail(status, "boot device: no file system (%s)", log_status_text(status));
    status = system->OpenVolume(system, &volume);
    if (EFI_ERROR(status))
        return log_fail(status, "boot device: cannot open the volume (%s)",
                        log_status_text(status));
    return EFI_SUCCESS;
}

void file_close_volume(void) {
    if (volume != NULL)
        volume->Close(volume);
    volume = NULL;
}

static void set_name(struct file *file, const char *path, uint64_t bytes) {
    while (bytes != 0 && (*path == '/' || *path == '\\')) {
        path++;
        bytes--;
    }
    uint64_t kept = min_u64(bytes, FILE_NAME_MAX - 1);
    memcpy(file->name, path, kept);
    file->name[kept] = '\0';
}

static EFI_STATUS reopen(struct file *file) {
    if (file->handle != NULL)
        file->handle->Close(file->handle);
    file->handle = NULL;
    EFI_FILE *handle;
    EFI_STATUS status = volume->Open(volume, &handle, (CHAR16 *)file->path, EFI_FILE_MODE_READ, 0);
    if (!EFI_ERROR(status))
        file->handle = handle;
    return status;
}

// The size is the position of the end (UEFI 2.9, 13.5 SetPosition); a directory refuses to be
// positioned.
static EFI_STATUS find_size(struct file *file) {
    EFI_STATUS status = file->handle->SetPosition(file->handle, UINT64_MAX);
    if (status == EFI_UNSUPPORTED)
        return log_fail(EFI_UNSUPPORTED, "%s: is a directory", file->name);
    if (!EFI_ERROR(status))
        status = file->handle->GetPosition(file->handle, &file->bytes);
    // Not the firmware's own status: EFI_NOT_FOUND would say that there is no file.
    if (EFI_ERROR(status))
        return log_fail(EFI_DEVICE_ERROR, "%s: cannot find the size (%s)", file->name,
                        log_status_text(status));
    return EFI_SUCCESS;
}

EFI_STATUS file_open(struct file *file, const char *path, uint64_t bytes) {
    *file = (struct file){.chunk = CHUNK_FIRST, .chunk_max = CHUNK_MOST};
    set_name(file, path, bytes);
    enum utf_status converted = utf_path_convert(path, bytes, file->path, ARRAY_LEN(file->path));
    if (converted != UTF_OK)
        return log_fail(EFI_INVALID_PARAMETER, "%s: %s", file->name, utf_status_text(converted));
    EFI_STATUS status = reopen(file);
    if (status == EFI_NOT_FOUND)
        return status;
    if (EFI_ERROR(status))
        return log_fail(status, "%s: cannot open (%s)", file->name, log_status_text(status));
    status = find_size(file);
    if (EFI_ERROR(status))
        file_close(file);
    return status;
}

// One firmware read. A position or read that fails leaves a handle that cannot be trusted.
static EFI_STATUS read_piece(struct file *file, uint64_t offset, void *destination, UINTN *bytes) {
    EFI_STATUS status = file->handle->SetPosition(file->handle, offset);
    return EFI_ERROR(status) ? status : file->handle->Read(file->handle, bytes, destination);
}

EFI_STATUS file_read(struct file *file, uint64_t offset, void *destination, uint64_t bytes) {
    char *to = destination;
    uint64_t at = offset;
    uint64_t left = bytes;
    while (left != 0) {
        UINTN got = min_u64(left, file->chunk);
        EFI_STATUS status = read_piece(file, at, to, &got);
        if (EFI_ERROR(status) && file->chunk > CHUNK_LEAST) {
            file->chunk /= 2;
            file->chunk_max = file->chunk;
            EFI_STATUS again = reopen(file);
            if (!EFI_ERROR(again))
                continue;
        }
        if (EFI_ERROR(status))
            return log_fail(status, "%s: read of %lu bytes at offset %lu failed (%s)", file->name,
                            left, at, log_status_text(status));
        if (got == 0 || got > left)
            return log_fail(EFI_END_OF_FILE,
                            "%s: short read at offset %lu: wanted %lu bytes, got %lu", file->name,
                            offset, bytes, bytes - left);
        to += got;
        at += got;
        left -= got;
        file->chunk = min_u64(file->chunk * 2, file->chunk_max);
    }
    return EFI_SUCCESS;
}

void file_close(struct file *file) {
    if (file->handle != NULL)
        file->handle->Close(file->handle);
    file->handle = NULL;
}
