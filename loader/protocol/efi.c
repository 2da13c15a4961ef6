// See efi.h. UEFI 2.9, 7.4 (images), 9.1 (loaded images), 10.3.5.4 (file path nodes), 3.1.2 (the
// watchdog of a boot option).
#include "loader/protocol/efi.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/device_path.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/protocol/linux.h"
#include "loader/timeline.h"
#include "loader/utf.h"

enum {
    WATCHDOG_SECONDS = 5 * 60,
    WATCHDOG_CODE = 0x10000, // lower ones are the firmware's
    EXIT_UNITS_MAX = 120,    // of the text that an image returns, in a message
};

static const char *const protocol_names[] = {
    [CONFIG_PROTOCOL_EFI] = "EFI application",
    [CONFIG_PROTOCOL_LINUX] = "Linux",
};

// ---- Before

// The path of the file: that of its device with a node for the file. Applications find files of
// their own by it. Null, which the firmware takes, too, if the device has none.
static EFI_STATUS make_path(const struct image *image, uint64_t *ret_phys) {
    EFI_GUID guid = DEVICE_PATH_PROTOCOL;
    EFI_DEVICE_PATH *device;
    *ret_phys = 0;
    if (EFI_ERROR(BS->HandleProtocol(image->device, &guid, (void **)&device)))
        return EFI_SUCCESS;
    uint64_t device_bytes = device_path_bytes(device);
    uint64_t name_bytes = sizeof(uint16_t);
    for (const uint16_t *unit = image->file.path; *unit != 0; unit++)
        name_bytes += sizeof(*unit);
    EFI_STATUS status =
        firmware_alloc_pages(device_bytes + name_bytes + 2 * sizeof(EFI_DEVICE_PATH), FRAME_BYTES,
                             SLIPWAY_RANGE_LOADER, ret_phys);
    if (EFI_ERROR(status))
        return log_fail(status, "%s: no room for its device path (%s)", image->file.name,
                        log_status_text(status));
    char *to = firmware_pointer(*ret_phys);
    uint16_t node_bytes = (uint16_t)(sizeof(EFI_DEVICE_PATH) + name_bytes);
    const EFI_DEVICE_PATH node = {
        MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {(uint8_t)node_bytes, (uint8_t)(node_bytes >> 8)}};
    const EFI_DEVICE_PATH end = {
        END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(end), 0}};
    memcpy(to, device, device_bytes);
    memcpy(to + device_bytes, &node, sizeof(node));
    memcpy(to + device_bytes + sizeof(node), image->file.path, name_bytes);
    memcpy(to + device_bytes + node_bytes, &end, sizeof(end));
    return EFI_SUCCESS;
}

// The command line in UTF-16 with a NUL, in pages. 0 bytes: it is empty.
static EFI_STATUS make_options(const struct config *config, uint64_t *ret_phys,
                               uint32_t *ret_bytes) {
    uint64_t room = (config->cmdline.bytes + 1) * sizeof(uint16_t);
    *ret_phys = 0;
    *ret_bytes = 0;
    if (config->cmdline.bytes == 0)
        return EFI_SUCCESS;
    EFI_STATUS status = firmware_alloc_pages(room, FRAME_BYTES, SLIPWAY_RANGE_LOADER, ret_phys);
    if (EFI_ERROR(status))
        return log_fail(status, "command line: no room for %lu bytes of load options (%s)", room,
                        log_status_text(status));
    uint16_t *options = firmware_pointer(*ret_phys);
    uint64_t units = utf16_from_utf8(config->cmdline.text, config->cmdline.bytes, options);
    options[units] = 0;
    _Static_assert(CONFIG_FILE_MAX_BYTES <= UINT32_MAX / sizeof(uint16_t), "so the size fits");
    *ret_bytes = (uint32_t)((units + 1) * sizeof(uint16_t));
    return EFI_SUCCESS;
}

static const char *load_hint(EFI_STATUS status) {
    switch (status) {
    case EFI_SECURITY_VIOLATION:
    case EFI_ACCESS_DENIED:
        return "; Secure Boot wants it signed by a key that this firmware knows";
    case EFI_UNSUPPORTED:
    case EFI_LOAD_ERROR:
        return "; the PE file is malformed, cut off, or none that this firmware runs";
    default:
        return "";
    }
}

// An image that may not be started is loaded all the same (EFI_SECURITY_VIOLATION).
static EFI_STATUS load(const struct image *image, uint64_t path_phys, EFI_HANDLE *ret_handle) {
    EFI_HANDLE handle = NULL;
    EFI_STATUS status = BS->LoadImage(FALSE, firmware_image, firmware_pointer(path_phys),
                                      firmware_pointer(image->phys), image->file.bytes, &handle);
    if (!EFI_ERROR(status)) {
        *ret_handle = handle;
        return EFI_SUCCESS;
    }
    if (status == EFI_SECURITY_VIOLATION && handle != NULL)
        BS->UnloadImage(handle);
    return log_fail(status, "%s: cannot be loaded (%s)%s", image->file.name,
                    log_status_text(status), load_hint(status));
}

// ---- Start and return

// What the image has to say is text up to a NUL, then anything (7.4, Exit).
static EFI_STATUS fail_returned(const struct image *image, EFI_STATUS status, const CHAR16 *data,
                                UINTN data_bytes) {
    char text[EXIT_UNITS_MAX * 3 + 1] = "";
    if (data != NULL)
        (void)utf8_from_utf16(data, min_u64(data_bytes / sizeof(*data), EXIT_UNITS_MAX), text);
    for (char *at = text; *at != '\0'; at++) {
        if ((uint8_t)*at < ' ' || *at == 0x7f)
            *at = ' ';
    }
    return log_fail(status, "%s: %s has returned an error (%s)%s%s", image->file.name,
                    protocol_names[image->protocol], log_status_text(status),
                    text[0] == '\0' ? "" : ": ", text);
}

static EFI_STATUS start(const struct image *image, EFI_HANDLE handle) {
    CHAR16 *data = NULL;
    UINTN data_bytes = 0;
    timeline_begin("start");
    log_end();
    BS->SetWatchdogTimer(WATCHDOG_SECONDS, WATCHDOG_CODE, 0, NULL);
    EFI_STATUS status = BS->StartImage(handle, &data_bytes, &data);
    BS->SetWatchdogTimer(0, 0, 0, NULL);
    log_begin();
    timeline_end(0);
    if (EFI_ERROR(status)) {
        status = fail_returned(image, status, data, data_bytes);
        BS->UnloadImage(handle); // one that the firmware has not started is still there
    } else {
        log_line(CONFIG_LOG_INFO, "%s: has returned", image->file.name);
    }
    if (data != NULL)
        BS->FreePool(data);
    return status;
}

// With all that the image needs in place.
static EFI_STATUS start_with(const struct image *image, EFI_HANDLE handle, uint64_t options_phys,
                             uint32_t options_bytes) {
    EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
    EFI_LOADED_IMAGE *loaded;
    EFI_STATUS status = BS->HandleProtocol(handle, &guid, (void **)&loaded);
    if (EFI_ERROR(status)) {
        BS->UnloadImage(handle);
        return log_fail(status, "%s: cannot be given load options (%s)", image->file.name,
                        log_status_text(status));
    }
    loaded->LoadOptions = firmware_pointer(options_phys);
    loaded->LoadOptionsSize = options_bytes;
    if (loaded->DeviceHandle == NULL)
        loaded->DeviceHandle = image->device;
    return start(image, handle);
}

static void log_image(const struct image *image, uint32_t options_bytes) {
    const struct linux_header *header = &image->header;
    log_line(CONFIG_LOG_INFO, "%s: %lu bytes, %s%s%.*s, %u bytes of load options", image->file.name,
             image->file.bytes, protocol_names[image->protocol],
             header->release_bytes == 0 ? "" : " ", (int)header->release_bytes,
             header->release_bytes == 0 ? "" : header->release, options_bytes);
}

EFI_STATUS efi_run(const struct config *config, struct image *image) {
    uint64_t path, options;
    uint32_t options_bytes;
    EFI_HANDLE handle = NULL;
    EFI_STATUS status = make_path(image, &path);
    if (!EFI_ERROR(status))
        status = make_options(config, &options, &options_bytes);
    if (EFI_ERROR(status))
        return status;
    log_image(image, options_bytes);
    timeline_begin("load");
    status = load(image, path, &handle);
    timeline_end(image->file.bytes);
    if (EFI_ERROR(status))
        return status;
    firmware_free_pages(image->phys); // the firmware has copies of both
    firmware_free_pages(path);
    if (image->protocol == CONFIG_PROTOCOL_LINUX)
        status = linux_offer_initrd(config->module_count);
    if (EFI_ERROR(status)) {
        BS->UnloadImage(handle);
        return status;
    }
    status = start_with(image, handle, options, options_bytes);
    linux_withdraw_initrd();
    return status;
}
