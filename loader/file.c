// See file.h.
#include "loader/file.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "common/hash/sha256.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/pace.h"
#include "loader/progress.h"
#include "loader/timeline.h"
#include "loader/utf.h"
#include "loader/volume.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    // Every firmware's file system opens paths of this length. edk2's FAT driver opens no longer
    // one, not even folder by folder.
    PATH_CHARACTERS_SAFE = 255,
    // FAT's names have up to 255 characters.
    INFO_BYTES_MAX = offsetof(EFI_FILE_INFO, FileName) + 256 * sizeof(CHAR16),
};

// Firmware that does not know the size of a file gives one above this.
#define SIZE_MAX_BYTES (UINT64_MAX >> 1)

static const char too_long[] =
    "; firmware may not know paths of more than 255 characters: move the file up";
_Static_assert(PATH_CHARACTERS_SAFE == 255, "as the text says");

static EFI_FILE *own_volume;
static struct pace pace;
static const EFI_FILE *paced; // the volume that it is of: the one read last
static EFI_LOADED_IMAGE *own_image;

EFI_STATUS file_open_volume(void) {
    EFI_GUID loaded_image = LOADED_IMAGE_PROTOCOL;
    EFI_GUID file_system = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_FILE_IO_INTERFACE *system;
    EFI_STATUS status = BS->HandleProtocol(firmware_image, &loaded_image, (void **)&own_image);
    if (EFI_ERROR(status))
        return log_fail(status, "own image: %s", log_status_text(status));
    status = BS->HandleProtocol(own_image->DeviceHandle, &file_system, (void **)&system);
    if (EFI_ERROR(status))
        return log_fail(status, "boot device: no file system (%s)", log_status_text(status));
    status = system->OpenVolume(system, &own_volume);
    if (EFI_ERROR(status))
        return log_fail(status, "boot device: cannot open the volume (%s)",
                        log_status_text(status));
    paced = NULL;
    return EFI_SUCCESS;
}

void file_close_volume(void) {
    volume_close_all();
    if (own_volume != NULL)
        own_volume->Close(own_volume);
    own_volume = NULL;
}

const EFI_LOADED_IMAGE *file_own_image(void) {
    return own_image;
}

EFI_FILE *file_own_volume(void) {
    return own_volume;
}

uint64_t file_volume_label(uint16_t *ret_label, uint64_t capacity) {
    return volume_label(own_volume, ret_label, capacity);
}

// The end of a long path tells more than its start. It is cut between two characters.
static void set_name(struct file *file, struct config_text path) {
    static const char mark[] = "...";
    struct fmt_buffer name = fmt_buffer_make(file->name, sizeof(file->name));
    struct sink sink = fmt_buffer_sink(&name);
    uint64_t cut = 0;
    if (path.bytes >= FILE_NAME_MAX) {
        cut = path.bytes - (FILE_NAME_MAX - sizeof(mark));
        while (cut < path.bytes && ((uint8_t)path.text[cut] & 0xc0) == 0x80)
            cut++;
        fmt_print(&sink, mark);
    }
    fmt_print(&sink, "%.*s", (int)(path.bytes - cut), path.text + cut);
}

static EFI_STATUS reopen(struct file *file) {
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
static EFI_STATUS read_chunk(struct file *file, uint64_t offset, void *destination, UINTN *bytes) {
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
    EFI_STATUS status = read_chunk(file, offset, &byte, &got);
    if (EFI_ERROR(status) && EFI_ERROR(reopen(file)))
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

static EFI_STATUS find_size(struct file *file) {
    uint64_t by_info = 0;
    uint64_t by_position = 0;
    EFI_STATUS info = size_by_info(file, &by_info);
    if (EFI_ERROR(info) && info != EFI_UNSUPPORTED && EFI_ERROR(reopen(file)))
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

// The volume, and what of the path is a path on it.
static EFI_STATUS choose_volume(struct file *file, struct config_text *path) {
    struct volume_name name;
    enum volume_name_status parsed = volume_name_parse(*path, &name, path);
    if (parsed != VOLUME_NAME_OK)
        return log_fail(EFI_INVALID_PARAMETER, "%s: %s%s", file->name,
                        volume_name_status_text(parsed), file->where);
    file->volume = own_volume;
    const struct volume_request request = {file->name, file->where};
    return name.kind == VOLUME_OWN ? EFI_SUCCESS : volume_find(&name, &request, &file->volume);
}

// All but the firmware's own opening.
static EFI_STATUS locate(struct file *file, struct config_text path, const char *where) {
    *file = (struct file){.where = where};
    set_name(file, path);
    EFI_STATUS status = choose_volume(file, &path);
    if (EFI_ERROR(status))
        return status;
    enum utf_status converted =
        utf_path_convert(path.text, path.bytes, file->path, ARRAY_LEN(file->path));
    if (converted != UTF_OK)
        return log_fail(EFI_INVALID_PARAMETER, "%s: %s%s%s", file->name, utf_status_text(converted),
                        where, converted == UTF_ERR_LONG ? too_long : "");
    return EFI_SUCCESS;
}

EFI_STATUS file_open(struct file *file, struct config_text path, const char *where) {
    EFI_STATUS status = locate(file, path, where);
    if (EFI_ERROR(status))
        return status;
    status = reopen(file);
    if (status == EFI_NOT_FOUND)
        return status;
    if (EFI_ERROR(status))
        return log_fail(status, "%s: cannot open (%s)%s%s", file->name, log_status_text(status),
                        where, file->path[PATH_CHARACTERS_SAFE + 1] == 0 ? "" : too_long);
    status = find_size(file);
    if (EFI_ERROR(status))
        file_close(file);
    return status;
}

EFI_HANDLE file_device(const struct file *file) {
    return file->volume == own_volume ? own_image->DeviceHandle : volume_device(file->volume);
}

// ---- Contents

static EFI_STATUS read_all(struct file *file, uint64_t offset, char *to, uint64_t bytes,
                           struct progress *progress) {
    uint64_t done = 0;
    if (file->volume != paced)
        pace = pace_begin(); // another device, perhaps
    paced = file->volume;
    while (done != bytes) {
        uint64_t at = offset + done;
        UINTN asked = min_u64(bytes - done, pace.chunk);
        UINTN got = asked;
        uint64_t started = timeline_now();
        EFI_STATUS status = read_chunk(file, at, to + done, &got);
        uint64_t now = timeline_now();
        if (EFI_ERROR(status) && pace_shrink(&pace, asked) && !EFI_ERROR(reopen(file)))
            continue;
        if (EFI_ERROR(status))
            return log_fail(status, "%s: read of %lu bytes at offset %lu failed (%s)", file->name,
                            bytes - done, at, log_status_text(status));
        if (got > asked)
            return log_fail(EFI_DEVICE_ERROR,
                            "%s: read at offset %lu gave %lu bytes, asked for were %lu", file->name,
                            at, got, asked);
        if (got == 0)
            return log_fail(EFI_END_OF_FILE,
                            "%s: short read at offset %lu: wanted %lu bytes, got %lu", file->name,
                            offset, bytes, done);
        pace_note(&pace, asked, got, now - started);
        if (file->hash != NULL)
            sha256_add(file->hash, to + done, got);
        done += got;
        progress_show(progress, done, now);
    }
    return EFI_SUCCESS;
}

EFI_STATUS file_read(struct file *file, uint64_t offset, void *destination, uint64_t bytes) {
    if (file->contents != NULL) {
        memcpy(destination, file->contents + offset, bytes);
        return EFI_SUCCESS;
    }
    struct progress progress = progress_begin(file->name, bytes);
    EFI_STATUS status = read_all(file, offset, destination, bytes, &progress);
    progress_end(&progress);
    return status;
}

void file_close(struct file *file) {
    if (file->handle != NULL)
        file->handle->Close(file->handle);
    file->handle = NULL;
}
