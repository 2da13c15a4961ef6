// The fake firmware's images: one that the loader loads is a copy of its bytes, and runs as a
// function of the test's. And the protocols that the loader installs for it.
#include "common/base/arith.h"
#include "tests/firmware/fake_parts.h"

#include <stdlib.h>
#include <string.h>

enum { INTERFACES_MAX = 4, PATH_BYTES_MAX = 65536 };

static EFI_LOADED_IMAGE image; // its address is the handle
static void *bytes, *given;
static bool was_started;

static char new_handle; // of what is installed,
static EFI_HANDLE installed_on;
static struct {
    const EFI_GUID *guid;
    void *interface;
} interfaces[INTERFACES_MAX];

void fake_reset_images(void) {
    free(bytes);
    free(given);
    bytes = given = NULL;
}

// A copy of the path, up to its end.
static void *copy_path(const EFI_DEVICE_PATH *path) {
    uint64_t at = 0;
    if (path == NULL)
        return NULL;
    for (const uint8_t *node = (const uint8_t *)path; at < PATH_BYTES_MAX;
         node += node[2] | node[3] << 8) {
        uint64_t node_bytes = (uint64_t)node[2] | (uint64_t)node[3] << 8;
        at += node_bytes;
        if (node_bytes < sizeof(*path))
            fake_record_breach("LoadImage with a node of %lu bytes", node_bytes);
        if (node[0] == END_DEVICE_PATH_TYPE || node_bytes < sizeof(*path))
            break;
    }
    void *copy = malloc(at);
    memcpy(copy, path, at);
    return copy;
}

static EFI_STATUS EFIAPI load_image(BOOLEAN is_boot, EFI_HANDLE parent, EFI_DEVICE_PATH *path,
                                    void *source, UINTN count, EFI_HANDLE *ret_handle) {
    EFI_STATUS status = fake_begin_call(FAKE_LOAD_IMAGE, NULL);
    if (is_boot || parent != fake_loader() || source == NULL || fake.images != 0)
        fake_record_breach("LoadImage by a boot policy, for another parent, or of a second image");
    if (EFI_ERROR(status))
        return status;
    status = fake.load_status;
    if (EFI_ERROR(status) && status != EFI_SECURITY_VIOLATION)
        return status;
    fake_reset_images();
    bytes = malloc(count + 1);
    memcpy(bytes, source, count);
    given = copy_path(path);
    fake.image_bytes = bytes;
    fake.image_count = count;
    fake.image_given = given;
    image = (EFI_LOADED_IMAGE){
        .ParentHandle = parent,
        .DeviceHandle = given == NULL || fake.image_has_no_device ? NULL : fake_device(),
    };
    was_started = false;
    fake.images++;
    *ret_handle = &image;
    return status;
}

static EFI_STATUS EFIAPI start_image(EFI_HANDLE handle, UINTN *ret_bytes, CHAR16 **ret_data) {
    EFI_STATUS status = fake_begin_call(FAKE_START_IMAGE, NULL);
    if (handle != &image || fake.images == 0 || was_started || fake.load_status != EFI_SUCCESS)
        fake_record_breach("StartImage of what is no image, or must not be started");
    if (fake.open_handles != 0 || fake.tpl != TPL_APPLICATION)
        fake_record_breach("StartImage with a file open, or at TPL %lu", fake.tpl);
    if (EFI_ERROR(status))
        return status;
    fake.starts++;
    was_started = true;
    if (fake.in_image != NULL)
        status = fake.in_image(&image);
    if (fake.exit_data != NULL) {
        *ret_data = malloc(fake.exit_data_bytes);
        memcpy(*ret_data, fake.exit_data, fake.exit_data_bytes);
        *ret_bytes = fake.exit_data_bytes;
        fake.pools++;
    }
    fake.images--; // an application is gone when it returns
    return status;
}

static EFI_STATUS EFIAPI unload_image(EFI_HANDLE handle) {
    EFI_STATUS status = fake_begin_call(FAKE_UNLOAD_IMAGE, NULL);
    if (handle != &image)
        fake_record_breach("UnloadImage of what has never been an image");
    if (fake.images == 0)
        return EFI_INVALID_PARAMETER;
    fake.images--; // whatever the call says: there is nothing more to do
    return status;
}

// ---- Protocols

void *fake_find_image(EFI_HANDLE handle) {
    return handle == &image && fake.images != 0 ? &image : NULL;
}

void *fake_find_installed(const EFI_GUID *guid) {
    for (uint32_t i = 0; i < fake.interfaces; i++) {
        if (memcmp(interfaces[i].guid, guid, sizeof(*guid)) == 0)
            return interfaces[i].interface;
    }
    return NULL;
}

static EFI_STATUS EFIAPI install(EFI_HANDLE *handle, ...) {
    static EFI_GUID guids[INTERFACES_MAX];
    __builtin_ms_va_list list;
    EFI_STATUS status = fake_begin_call(FAKE_INSTALL, NULL);
    if ((*handle != NULL && *handle != fake_device()) || fake.interfaces != 0)
        fake_record_breach("protocols on a handle that is not new, nor the boot device");
    if (EFI_ERROR(status))
        return status;
    if (*handle == fake_device() && fake.server.has_callback)
        return EFI_INVALID_PARAMETER;
    if (fake.offers_initrd)
        return EFI_ALREADY_STARTED;
    __builtin_ms_va_start(list, handle);
    for (EFI_GUID *guid; (guid = __builtin_va_arg(list, EFI_GUID *)) != NULL;) {
        guids[fake.interfaces] = *guid;
        interfaces[fake.interfaces].guid = &guids[fake.interfaces];
        interfaces[fake.interfaces++].interface = __builtin_va_arg(list, void *);
    }
    __builtin_ms_va_end(list);
    if (*handle == NULL)
        *handle = &new_handle;
    installed_on = *handle;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI uninstall(EFI_HANDLE handle, ...) {
    __builtin_ms_va_list list;
    EFI_STATUS status = fake_begin_call(FAKE_UNINSTALL, NULL);
    uint32_t count = 0;
    __builtin_ms_va_start(list, handle);
    for (EFI_GUID *guid; (guid = __builtin_va_arg(list, EFI_GUID *)) != NULL; count++) {
        void *interface = __builtin_va_arg(list, void *);
        if (interface == NULL || fake_find_installed(guid) != interface)
            fake_record_breach("a protocol that was not installed is removed");
    }
    __builtin_ms_va_end(list);
    if (handle != installed_on || count != fake.interfaces)
        fake_record_breach("not all protocols of the handle are removed");
    fake.interfaces = 0;
    return status;
}

void fake_put_image_services(EFI_BOOT_SERVICES *services) {
    services->LoadImage = load_image;
    services->StartImage = start_image;
    services->UnloadImage = unload_image;
    services->InstallMultipleProtocolInterfaces = install;
    services->UninstallMultipleProtocolInterfaces = uninstall;
}
