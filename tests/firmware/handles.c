// The fake firmware's handles, and which protocols each has.
#include "tests/firmware/fake_parts.h"

#include <string.h>

// Their addresses are the handles of the boot device and of other volumes.
static char device, devices[FAKE_VOLUMES_MAX];

// The ways to a console on COM1, as OVMF's, and to one on COM2.
static const struct {
    ACPI_HID_DEVICE_PATH bridge;
    PCI_DEVICE_PATH controller;
    ACPI_HID_DEVICE_PATH port;
    EFI_DEVICE_PATH end;
} __attribute__((packed)) com1_path = {
    {{ACPI_DEVICE_PATH, ACPI_DP, {sizeof(ACPI_HID_DEVICE_PATH), 0}}, EISA_PNP_ID(0xa03), 0},
    {{HARDWARE_DEVICE_PATH, HW_PCI_DP, {sizeof(PCI_DEVICE_PATH), 0}}, 0, 0x1f},
    {{ACPI_DEVICE_PATH, ACPI_DP, {sizeof(ACPI_HID_DEVICE_PATH), 0}}, EISA_PNP_ID(0x501), 0},
    {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
};
static const struct {
    ACPI_HID_DEVICE_PATH bridge;
    ACPI_HID_DEVICE_PATH second_port; // UID 1: COM2
    EFI_DEVICE_PATH end;
} __attribute__((packed)) com2_path = {
    {{ACPI_DEVICE_PATH, ACPI_DP, {sizeof(ACPI_HID_DEVICE_PATH), 0}}, EISA_PNP_ID(0xa03), 0},
    {{ACPI_DEVICE_PATH, ACPI_DP, {sizeof(ACPI_HID_DEVICE_PATH), 0}}, EISA_PNP_ID(0x501), 1},
    {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
};
static const EFI_GUID console_device = {
    0xd3b36f2c, 0xd551, 0x11d4, {0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
// Their addresses are the handles of consoles, and of the one that COM1 is, if one is.
static char consoles[FAKE_CONSOLES_MAX], com1_console;

EFI_HANDLE fake_device(void) {
    return &device;
}

const void *fake_second_port(void) {
    return &com2_path;
}

static bool is_guid(const EFI_GUID *guid, EFI_GUID other) {
    return memcmp(guid, &other, sizeof(other)) == 0;
}

static bool has_file_system(uint32_t volume) {
    return !fake.volumes[volume].is_unconnected;
}

static const EFI_GUID shell_parameters = {
    0x752f3136, 0x4e16, 0x4fdc, {0xa2, 0x2a, 0xe5, 0xf4, 0x68, 0x12, 0xf4, 0xca}};

void *fake_find_protocol(EFI_HANDLE handle, const EFI_GUID *guid) {
    if (handle == fake_loader() && is_guid(guid, (EFI_GUID)LOADED_IMAGE_PROTOCOL))
        return fake_loader();
    if (handle == fake_loader() && is_guid(guid, shell_parameters))
        return fake.is_shell ? &fake : NULL; // anything but null
    if (handle == &device && is_guid(guid, (EFI_GUID)SIMPLE_FILE_SYSTEM_PROTOCOL))
        return fake.has_no_volume ? NULL : &fake_file_systems[0];
    if (handle == fake_disc_device())
        return fake_find_on_disc(guid);
    if (handle == &device && is_guid(guid, (EFI_GUID)DEVICE_PATH_PROTOCOL))
        return (void *)(uintptr_t)fake.device_path;
    if (handle == &device && is_guid(guid, (EFI_GUID)EFI_PXE_BASE_CODE_PROTOCOL_GUID))
        return fake_find_pxe();
    if (handle == &com1_console && is_guid(guid, (EFI_GUID)DEVICE_PATH_PROTOCOL))
        return (void *)(uintptr_t)&com1_path;
    if (fake_find_image(handle) != NULL)
        return is_guid(guid, (EFI_GUID)LOADED_IMAGE_PROTOCOL) ? fake_find_image(handle) : NULL;
    bool is_known = handle == fake_loader() || handle == &device || handle == &com1_console;
    for (uint32_t i = 0; i < fake.volume_count; i++) {
        if (handle == &devices[i] && is_guid(guid, (EFI_GUID)SIMPLE_FILE_SYSTEM_PROTOCOL))
            return has_file_system(i) ? &fake_file_systems[1 + i] : NULL;
        if (handle == &devices[i] && is_guid(guid, (EFI_GUID)DEVICE_PATH_PROTOCOL))
            return (void *)(uintptr_t)fake.volumes[i].device_path;
        is_known |= handle == &devices[i];
    }
    for (uint32_t i = 0; i < fake.console_count; i++)
        is_known |= handle == &consoles[i];
    for (uint32_t i = 0; i < fake.display_count; i++) {
        if (handle == fake_display_handle(i))
            return fake_find_on_display(i, guid);
    }
    if (!is_known)
        fake_record_breach("a handle that is none was asked for a protocol");
    return NULL;
}

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, void **ret_interface) {
    bool is_optional = handle == &device && !is_guid(guid, (EFI_GUID)SIMPLE_FILE_SYSTEM_PROTOCOL);
    is_optional |= handle == fake_disc_device();
    is_optional |= handle == fake_loader() && is_guid(guid, shell_parameters);
    for (uint32_t i = 0; i < fake.volume_count; i++)
        is_optional |= handle == &devices[i];
    EFI_STATUS status =
        fake_begin_call(is_optional ? FAKE_HANDLE_OPTIONAL : FAKE_HANDLE_PROTOCOL, NULL);
    if (EFI_ERROR(status))
        return status;
    for (uint32_t i = 0; i < fake.console_count; i++) {
        if (handle == &consoles[i] && is_guid(guid, (EFI_GUID)DEVICE_PATH_PROTOCOL)) {
            *ret_interface = (void *)(uintptr_t)fake.consoles[i];
            return EFI_SUCCESS; // null or not
        }
    }
    *ret_interface = fake_find_protocol(handle, guid);
    return *ret_interface == NULL ? EFI_UNSUPPORTED : EFI_SUCCESS;
}

static EFI_STATUS EFIAPI connect_controller(EFI_HANDLE handle, EFI_HANDLE *drivers,
                                            EFI_DEVICE_PATH *rest, BOOLEAN recursive) {
    EFI_STATUS status = fake_begin_call(FAKE_CONNECT, NULL);
    if (drivers != NULL || rest != NULL || !recursive)
        fake_record_breach("ConnectController with more than a handle, or less");
    if (EFI_ERROR(status))
        return status;
    for (uint32_t i = 0; i < fake.volume_count; i++) {
        if (handle == &devices[i] && fake.volumes[i].is_unconnected) {
            fake.volumes[i].is_unconnected = false;
            return EFI_SUCCESS;
        }
    }
    return EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI locate_handle(EFI_LOCATE_SEARCH_TYPE how, EFI_GUID *guid,
                                       [[maybe_unused]] void *search_key, UINTN *bytes,
                                       EFI_HANDLE *ret_handles) {
    EFI_STATUS status = fake_begin_call(FAKE_LOCATE_HANDLE, NULL);
    if (EFI_ERROR(status))
        return status;
    EFI_HANDLE found[FAKE_DISPLAYS_MAX + FAKE_CONSOLES_MAX + 1];
    UINTN count = 0;
    bool is_all = how == AllHandles && guid == NULL;
    if (how != ByProtocol && !is_all)
        return EFI_INVALID_PARAMETER;
    if (!is_all && is_guid(guid, console_device)) {
        for (uint32_t i = 0; i < fake.console_count; i++)
            found[count++] = &consoles[i];
        if (fake.console_is_com1)
            found[count++] = &com1_console;
    }
    bool is_volume = !is_all && is_guid(guid, (EFI_GUID)SIMPLE_FILE_SYSTEM_PROTOCOL);
    if (is_all || (is_volume && !fake.hides_volumes && !fake.has_no_volume))
        found[count++] = &device;
    for (uint32_t i = 0; i < fake.volume_count; i++) {
        if (is_all || (is_volume && !fake.hides_volumes && has_file_system(i)))
            found[count++] = &devices[i];
    }
    bool is_display = !is_all && is_guid(guid, (EFI_GUID)EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID);
    for (uint32_t i = 0; i < fake.display_count && is_display; i++)
        found[count++] = fake_display_handle(i);
    if (count == 0)
        return EFI_NOT_FOUND;
    UINTN capacity = *bytes;
    *bytes = count * sizeof(*ret_handles);
    if (capacity < *bytes)
        return EFI_BUFFER_TOO_SMALL;
    memcpy(ret_handles, found, *bytes);
    return EFI_SUCCESS;
}

void fake_put_handle_services(EFI_BOOT_SERVICES *services) {
    services->HandleProtocol = handle_protocol;
    services->LocateHandle = locate_handle;
    services->ConnectController = connect_controller;
}
