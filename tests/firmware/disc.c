// The fake firmware's disc around the boot device's volume: the way to it by the device path
// (UEFI 2.9, 7.3.9), and its reads (13.9).
#include "tests/firmware/fake_parts.h"

#include "loader/device_path.h"

#include <string.h>

enum { MEDIA_ID = 0x1234, BLOCK_BYTES = 2048 };

static char disc; // its address is the device's handle

EFI_HANDLE fake_disc_device(void) {
    return &disc;
}

static EFI_STATUS EFIAPI read_disk([[maybe_unused]] EFI_DISK_IO_PROTOCOL *self, UINT32 media,
                                   UINT64 offset, UINTN bytes, void *buffer) {
    EFI_STATUS status = fake_begin_call(FAKE_READ_DISK, NULL);
    if (media != MEDIA_ID || offset > fake.disc.bytes || bytes > fake.disc.bytes - offset)
        fake_record_breach("ReadDisk of %lu bytes at %lu, of medium %u", bytes, offset, media);
    if (fake.in_read != NULL)
        fake.in_read(bytes);
    if (EFI_ERROR(status))
        return status;
    bool is_bad = fake.disc.bad_offset != 0 && fake.disc.bad_offset >= offset &&
                  fake.disc.bad_offset - offset < bytes;
    if (is_bad || (fake.disc.fails_above != 0 && bytes > fake.disc.fails_above))
        return EFI_DEVICE_ERROR;
    (void)fake_is_odd_read(); // which can be slow, and nothing else: it gives all or fails
    memcpy(buffer, (const char *)fake.disc.contents + offset, bytes);
    return EFI_SUCCESS;
}

void *fake_find_on_disc(const EFI_GUID *guid) {
    static EFI_BLOCK_IO_MEDIA media;
    static EFI_BLOCK_IO_PROTOCOL blocks = {.Media = &media};
    static EFI_DISK_IO_PROTOCOL disk = {.ReadDisk = read_disk};
    const EFI_GUID block_guid = BLOCK_IO_PROTOCOL;
    const EFI_GUID disk_guid = DISK_IO_PROTOCOL;
    media = (EFI_BLOCK_IO_MEDIA){.MediaId = MEDIA_ID,
                                 .MediaPresent = !fake.disc.has_no_medium,
                                 .BlockSize = BLOCK_BYTES,
                                 .LastBlock = fake.disc.bytes / BLOCK_BYTES - 1};
    if (memcmp(guid, &block_guid, sizeof(*guid)) == 0)
        return &blocks;
    bool is_disk = memcmp(guid, &disk_guid, sizeof(*guid)) == 0;
    return is_disk && !fake.disc.has_no_disk_io ? &disk : NULL;
}

EFI_STATUS EFIAPI fake_locate_device_path(EFI_GUID *guid, EFI_DEVICE_PATH **path,
                                          EFI_HANDLE *ret_handle) {
    const EFI_GUID block_guid = BLOCK_IO_PROTOCOL;
    EFI_STATUS status = fake_begin_call(FAKE_LOCATE_DEVICE_PATH, NULL);
    if (memcmp(guid, &block_guid, sizeof(*guid)) != 0)
        fake_record_breach("LocateDevicePath of what is no disk");
    if (EFI_ERROR(status))
        return status;
    const EFI_DEVICE_PATH *end =
        (const EFI_DEVICE_PATH *)((const char *)*path + device_path_bytes(*path));
    if (end->Type != END_DEVICE_PATH_TYPE || end->SubType != END_ENTIRE_DEVICE_PATH_SUBTYPE ||
        end->Length[0] != sizeof(*end) || end->Length[1] != 0)
        fake_record_breach("LocateDevicePath of a path without an end");
    if (fake.disc.contents == NULL)
        return EFI_NOT_FOUND;
    if (!fake.disc.is_elsewhere)
        *path = (EFI_DEVICE_PATH *)(uintptr_t)end;
    *ret_handle = &disc;
    return EFI_SUCCESS;
}
