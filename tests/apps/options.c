// Starts \EFI\BOOT\LOADER.EFI of its own volume with the bytes of \options as load options, as they
// are: what a boot option or a program could leave there.
#include "tests/apps/start.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    static UINT8 options[4096];
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_GUID loaded_image_id = LOADED_IMAGE_PROTOCOL;
    EFI_GUID file_system_id = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_LOADED_IMAGE *self, *started;
    EFI_FILE_IO_INTERFACE *volume;
    EFI_FILE *root, *file;
    UINTN bytes = sizeof(options);
    need("own image", services->HandleProtocol(image, &loaded_image_id, (void **)&self));
    need("own volume",
         services->HandleProtocol(self->DeviceHandle, &file_system_id, (void **)&volume));
    need("opening own volume", volume->OpenVolume(volume, &root));
    need("\\options", root->Open(root, &file, L"\\options", EFI_FILE_MODE_READ, 0));
    need("reading \\options", file->Read(file, &bytes, options));
    file->Close(file);
    root->Close(root);
    EFI_HANDLE loader = start_load(image, services);
    need("image of the loader",
         services->HandleProtocol(loader, &loaded_image_id, (void **)&started));
    started->LoadOptions = options;
    started->LoadOptionsSize = (UINT32)bytes;
    return services->StartImage(loader, NULL, NULL);
}
