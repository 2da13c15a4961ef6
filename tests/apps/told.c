// An EFI application that says on COM1 what it was started with: load options, its device by the
// file \told.txt there, and its path. It returns what the file's first character says: an error for
// 'e', with a text; else EFI_SUCCESS.
#include "tests/apps/start.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

// A path's node may lie at any byte, so its text is copied.
static void say_file_node(const EFI_DEVICE_PATH *node) {
    CHAR16 text[64];
    UINTN bytes = (UINTN)DevicePathNodeLength(node) - sizeof(*node);
    need("room for a path", bytes <= sizeof(text) ? EFI_SUCCESS : EFI_BUFFER_TOO_SMALL);
    for (UINTN at = 0; at < bytes; at++)
        ((UINT8 *)text)[at] = ((const UINT8 *)(node + 1))[at];
    serial_wide(text);
}

// The nodes of files in the path, one after the other.
static void say_path(const EFI_DEVICE_PATH *path) {
    serial_text("TOLD path ");
    while (path != NULL && !IsDevicePathEnd(path)) {
        if (DevicePathType(path) == MEDIA_DEVICE_PATH &&
            DevicePathSubType(path) == MEDIA_FILEPATH_DP)
            say_file_node(path);
        path = (const EFI_DEVICE_PATH *)((const char *)path + DevicePathNodeLength(path));
    }
    serial_text("\r\n");
}

static char read_told(EFI_BOOT_SERVICES *services, EFI_HANDLE device) {
    EFI_GUID file_system_id = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_FILE_IO_INTERFACE *volume;
    EFI_FILE *root, *file;
    char text[2] = "";
    UINTN bytes = 1;
    need("own device", services->HandleProtocol(device, &file_system_id, (void **)&volume));
    need("opening own volume", volume->OpenVolume(volume, &root));
    need("\\told.txt", root->Open(root, &file, L"\\told.txt", EFI_FILE_MODE_READ, 0));
    need("reading \\told.txt", file->Read(file, &bytes, text));
    file->Close(file);
    root->Close(root);
    serial_text("TOLD file ");
    serial_text(text);
    serial_text("\r\n");
    return text[0];
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    static const CHAR16 text[] = L"told to fail";
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_GUID loaded_image_id = LOADED_IMAGE_PROTOCOL;
    EFI_LOADED_IMAGE *self;
    CHAR16 *data;
    need("own image", services->HandleProtocol(image, &loaded_image_id, (void **)&self));
    serial_text("TOLD options ");
    if (self->LoadOptionsSize != 0)
        serial_wide(self->LoadOptions);
    serial_text("\r\n");
    say_path(self->FilePath);
    if (read_told(services, self->DeviceHandle) != 'e')
        return EFI_SUCCESS;
    need("AllocatePool", services->AllocatePool(EfiBootServicesData, sizeof(text), (void **)&data));
    services->CopyMem(data, (void *)(UINTN)text, sizeof(text));
    return services->Exit(image, EFI_ABORTED, sizeof(text), data);
}
