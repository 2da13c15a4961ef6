// See disc.h.
#include "loader/disc.h"

#include "common/base/mem.h"
#include "loader/device_path.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/utf.h"

#include <stdbool.h>

// More than any path to a disk has; the path of one that has more is not followed.
enum { WHOLE_PATH_BYTES_MAX = 1024 };

static EFI_HANDLE device;
static bool has_looked;
static bool has_tree;
static EFI_DISK_IO_PROTOCOL *disk; // reads any bytes, whatever the medium's blocks are
static EFI_BLOCK_IO_PROTOCOL *blocks;
static EFI_STATUS last_error; // of a read of the disk
static struct iso9660 tree;

void disc_set_device(EFI_HANDLE from) {
    device = from;
    has_looked = false;
    has_tree = false;
}

static bool read_disk(void *context, uint64_t offset, void *to, uint64_t bytes) {
    (void)context;
    last_error = disk->ReadDisk(disk, blocks->Media->MediaId, offset, bytes, to);
    return !EFI_ERROR(last_error);
}

// UEFI 2.9, 7.3.9: the device that is the nearest to a path's end is right only if it is the end.
static bool find_disk(void) {
    static _Alignas(8) uint8_t whole[WHOLE_PATH_BYTES_MAX + sizeof(EFI_DEVICE_PATH)];
    static const EFI_DEVICE_PATH end = {
        END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(end), 0}};
    EFI_GUID path_guid = DEVICE_PATH_PROTOCOL;
    EFI_GUID block_guid = BLOCK_IO_PROTOCOL;
    EFI_GUID disk_guid = DISK_IO_PROTOCOL;
    EFI_DEVICE_PATH *path;
    EFI_HANDLE handle;
    if (EFI_ERROR(BS->HandleProtocol(device, &path_guid, (void **)&path)))
        return false;
    uint64_t bytes = device_path_whole_bytes(path);
    if (bytes == 0 || bytes > WHOLE_PATH_BYTES_MAX)
        return false;
    memcpy(whole, path, bytes);
    memcpy(whole + bytes, &end, sizeof(end));
    path = (EFI_DEVICE_PATH *)whole;
    return !EFI_ERROR(BS->LocateDevicePath(&block_guid, &path, &handle)) &&
           (uint8_t *)path == whole + bytes &&
           !EFI_ERROR(BS->HandleProtocol(handle, &block_guid, (void **)&blocks)) &&
           !EFI_ERROR(BS->HandleProtocol(handle, &disk_guid, (void **)&disk)) &&
           blocks->Media != NULL && blocks->Media->MediaPresent;
}

static void look(void) {
    has_looked = true;
    if (!find_disk())
        return;
    const struct iso9660_disc disc = {
        .read = read_disk,
        .bytes = (blocks->Media->LastBlock + 1) * blocks->Media->BlockSize,
    };
    enum iso9660_status status = iso9660_open(&disc, &tree);
    has_tree = status == ISO9660_OK;
    if (!has_tree && status != ISO9660_ERR_NONE)
        log_line(CONFIG_LOG_INFO, "disc: %s; only the volume of the loader's is looked at",
                 iso9660_status_text(status));
}

EFI_STATUS disc_open(struct file *file) {
    static char path[FILE_PATH_UNITS * 3 + 1];
    if (!has_looked)
        look();
    if (!has_tree)
        return EFI_NOT_FOUND;
    uint64_t bytes = utf8_from_utf16(file->path, FILE_PATH_UNITS, path);
    enum iso9660_status status = iso9660_find(&tree, path, bytes, &file->on_disc);
    if (status == ISO9660_ERR_ABSENT)
        return EFI_NOT_FOUND;
    if (status == ISO9660_ERR_READ)
        return log_fail(last_error == EFI_NOT_FOUND ? EFI_DEVICE_ERROR : last_error,
                        "%s: the disc cannot be read (%s)%s", file->name,
                        log_status_text(last_error), file->where);
    if (status != ISO9660_OK)
        return log_fail(EFI_VOLUME_CORRUPTED, "%s: %s%s", file->name, iso9660_status_text(status),
                        file->where);
    file->bytes = file->on_disc.bytes;
    return EFI_SUCCESS;
}

EFI_STATUS disc_read(const struct file *file, uint64_t offset, void *destination, uint64_t bytes) {
    return iso9660_read(&tree, &file->on_disc, offset, destination, bytes) ? EFI_SUCCESS
                                                                           : last_error;
}
