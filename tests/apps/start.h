// How an application that has changed the machine goes on: with \EFI\BOOT\LOADER.EFI of its own
// volume.
#pragma once

#include "tests/apps/serial.h"

// Ends the machine, with `what` and the status on COM1, if the status is an error.
static inline void need(const char *what, EFI_STATUS status) {
    enum { EXIT_FAILED = 0x23 };
    if (!EFI_ERROR(status))
        return;
    serial_text("APPLICATION FAILED: ");
    serial_text(what);
    serial_text(" ");
    serial_hex(status);
    serial_text("\r\n");
    machine_exit(EXIT_FAILED);
}

struct start_file_node {
    EFI_DEVICE_PATH header;
    CHAR16 name[sizeof("\\EFI\\BOOT\\LOADER.EFI")];
    EFI_DEVICE_PATH end;
} __attribute__((packed));

// Loads the file and returns its image, for StartImage. With a whole device path the firmware tells
// the image which volume it came from.
static inline EFI_HANDLE start_load(EFI_HANDLE own_image, EFI_BOOT_SERVICES *services) {
    static const struct start_file_node file = {
        {MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {sizeof(EFI_DEVICE_PATH) + sizeof(file.name), 0}},
        L"\\EFI\\BOOT\\LOADER.EFI",
        {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}}};
    static UINT8 path[1024];
    EFI_GUID loaded_image_id = LOADED_IMAGE_PROTOCOL;
    EFI_GUID device_path_id = DEVICE_PATH_PROTOCOL;
    EFI_LOADED_IMAGE *self;
    EFI_DEVICE_PATH *volume;
    EFI_HANDLE loader = NULL;
    need("own image", services->HandleProtocol(own_image, &loaded_image_id, (void **)&self));
    need("own volume",
         services->HandleProtocol(self->DeviceHandle, &device_path_id, (void **)&volume));
    UINTN bytes = 0;
    for (EFI_DEVICE_PATH *node = volume; !IsDevicePathEnd(node); node = NextDevicePathNode(node))
        bytes += (UINTN)DevicePathNodeLength(node);
    if (bytes + sizeof(file) > sizeof(path))
        need("path of own volume", EFI_BUFFER_TOO_SMALL);
    services->CopyMem(path, volume, bytes);
    services->CopyMem(path + bytes, (void *)(UINTN)&file, sizeof(file));
    need("LoadImage",
         services->LoadImage(FALSE, own_image, (EFI_DEVICE_PATH *)path, NULL, 0, &loader));
    return loader;
}
