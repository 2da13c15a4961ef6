// The fake firmware's tables and protocols, and the rules by which it may be called.
#include "common/x86/regs.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/fake_parts.h"

#include "common/base/arith.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

struct fake fake;

static jmp_buf out;
static EFI_BOOT_SERVICES boot_services;
static EFI_RUNTIME_SERVICES runtime_services;
static EFI_LOADED_IMAGE loaded_image;
static EFI_GRAPHICS_OUTPUT_PROTOCOL outputs[FAKE_DISPLAYS_MAX];
static EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE modes[FAKE_DISPLAYS_MAX][2]; // SetMode may change places
static EFI_GRAPHICS_OUTPUT_MODE_INFORMATION infos[FAKE_DISPLAYS_MAX][2];
static EFI_EDID_ACTIVE_PROTOCOL edids[FAKE_DISPLAYS_MAX][2]; // active, discovered
// Their addresses are the handles of the boot device and of other volumes.
static char device, devices[FAKE_VOLUMES_MAX];

static const char *const call_names[FAKE_CALLS] = {
    "",
    "RaiseTPL",
    "RestoreTPL",
    "SetWatchdogTimer",
    "AllocatePages",
    "FreePages",
    "GetMemoryMap",
    "ExitBootServices",
    "HandleProtocol",
    "HandleProtocol",
    "LocateHandle",
    "LocateProtocol",
    "OutputString",
    "ReadKeyStroke",
    "Stall",
    "FreePool",
    "QueryMode",
    "SetMode",
    "GetTime",
    "OpenVolume",
    "Open",
    "Close",
    "Read",
    "SetPosition",
    "GetPosition",
    "GetInfo",
    "GetMemoryAttributes",
    "SetMemoryAttributes",
    "ClearMemoryAttributes",
    "GetInfo",
    "GetRNG",
    "GetEventLog",
    "ConnectController",
    "LoadImage",
    "StartImage",
    "UnloadImage",
    "InstallMultipleProtocolInterfaces",
    "UninstallMultipleProtocolInterfaces",
    "ConOut.QueryMode",
    "SetAttribute",
    "SetCursorPosition",
    "EnableCursor",
    "ClearScreen",
    "Mtftp",
    "SetParameters",
    "LocateDevicePath",
    "ReadDisk",
    "AllocatePool",
    "CreateEvent",
    "CloseEvent",
    "SetTimer",
    "OpenProtocol",
    "CloseProtocol",
};

// The way to a console on COM1, as OVMF's, and to a display.
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

void fake_record_breach(const char *format, ...) {
    if (fake.breach[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fake.breach, sizeof(fake.breach), format, arguments);
    va_end(arguments);
}

// UEFI 2.9, 7.4.6, and stricter: nothing at all between the last map and the exit.
static void check_order(enum fake_call call) {
    enum fake_call last = fake.calls == 0 ? FAKE_NONE : fake.kinds[fake.calls - 1];
    if (fake.exited)
        fake_record_breach("%s after the exit", call_names[call]);
    else if (fake.exits != 0 && call != FAKE_GET_MEMORY_MAP && call != FAKE_EXIT)
        fake_record_breach("%s after the first ExitBootServices", call_names[call]);
    else if (call == FAKE_EXIT && last != FAKE_GET_MEMORY_MAP)
        fake_record_breach("%s between the last GetMemoryMap and the exit", call_names[last]);
}

const char *fake_call_name(enum fake_call call) {
    return call_names[call];
}

// Of the call that has just been counted.
static bool is_failing(enum fake_call call) {
    if (fake.fail_at == 0 || fake.calls <= fake.fail_at)
        return fake.calls == fake.fail_at;
    return fake.fails_on || (fake.fails_kind && call == fake.kinds[fake.fail_at - 1]);
}

EFI_STATUS fake_begin_call(enum fake_call call, const struct fake_file *file) {
    if (fake.calls == FAKE_CALLS_RECORDED) { // a loop without an end
        fake_record_breach("more than %d calls", FAKE_CALLS_RECORDED);
        fake_end_boot(FAKE_STOPPED);
    }
    if (fake.before_call != NULL)
        fake.before_call(call);
    check_order(call);
    fake.kinds[fake.calls++] = (uint8_t)call;
    if (!is_failing(call) && call != fake.refused)
        return EFI_SUCCESS;
    fake.failed_file = file;
    return fake.fail_status;
}

static EFI_TPL EFIAPI raise_tpl(EFI_TPL tpl) {
    EFI_TPL before = fake.tpl;
    fake_begin_call(FAKE_RAISE_TPL, NULL);
    fake.tpl = tpl;
    return before;
}

static void EFIAPI restore_tpl(EFI_TPL tpl) {
    fake_begin_call(FAKE_RESTORE_TPL, NULL);
    if (tpl > fake.tpl)
        fake_record_breach("RestoreTPL above the level in force");
    fake.tpl = tpl;
}

static EFI_STATUS EFIAPI set_watchdog(UINTN timeout, UINT64 code, UINTN bytes, CHAR16 *data) {
    EFI_STATUS status = fake_begin_call(FAKE_SET_WATCHDOG, NULL);
    bool disarms = timeout == 0 && code == 0 && bytes == 0 && data == NULL;
    fake.watchdog_is_off = disarms && !EFI_ERROR(status);
    if (!EFI_ERROR(status))
        fake.watchdog_seconds = timeout;
    return status;
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
    if (handle == &loaded_image && is_guid(guid, (EFI_GUID)LOADED_IMAGE_PROTOCOL))
        return &loaded_image;
    if (handle == &loaded_image && is_guid(guid, shell_parameters))
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
    bool is_known = handle == &loaded_image || handle == &device || handle == &com1_console;
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
        if (handle == &outputs[i] && is_guid(guid, (EFI_GUID)EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID))
            return &outputs[i];
        if (handle == &outputs[i] && is_guid(guid, (EFI_GUID)EFI_EDID_ACTIVE_PROTOCOL_GUID))
            return edids[i][0].Edid == NULL && edids[i][0].SizeOfEdid == 0 ? NULL : &edids[i][0];
        if (handle == &outputs[i] && is_guid(guid, (EFI_GUID)EFI_EDID_DISCOVERED_PROTOCOL_GUID))
            return edids[i][1].Edid == NULL && edids[i][1].SizeOfEdid == 0 ? NULL : &edids[i][1];
        is_known |= handle == &outputs[i];
    }
    if (!is_known)
        fake_record_breach("a handle that is none was asked for a protocol");
    return NULL;
}

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, void **ret_interface) {
    bool is_optional = handle == &device && !is_guid(guid, (EFI_GUID)SIMPLE_FILE_SYSTEM_PROTOCOL);
    is_optional |= handle == fake_disc_device();
    is_optional |= handle == &loaded_image && is_guid(guid, shell_parameters);
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
        found[count++] = &outputs[i];
    if (count == 0)
        return EFI_NOT_FOUND;
    UINTN capacity = *bytes;
    *bytes = count * sizeof(*ret_handles);
    if (capacity < *bytes)
        return EFI_BUFFER_TOO_SMALL;
    memcpy(ret_handles, found, *bytes);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI stall(UINTN microseconds) {
    EFI_STATUS status = fake_begin_call(FAKE_STALL, NULL);
    fake.stalls++;
    if (fake.in_stall != NULL)
        fake.in_stall();
    fake.stalled_us += microseconds;
    fake_pass_time(microseconds * (FAKE_TSC_HZ / 1000000));
    return status;
}

// ---- Displays

static uint32_t index_of(const EFI_GRAPHICS_OUTPUT_PROTOCOL *output) {
    return (uint32_t)(output - outputs);
}

static EFI_STATUS EFIAPI query_mode(EFI_GRAPHICS_OUTPUT_PROTOCOL *self, UINT32 number,
                                    UINTN *ret_bytes,
                                    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION **ret_info) {
    EFI_STATUS status = fake_begin_call(FAKE_QUERY_MODE, NULL);
    const struct fake_display *display = &fake.displays[index_of(self)];
    if (EFI_ERROR(status))
        return status;
    if (number >= self->Mode->MaxMode)
        fake_record_breach("QueryMode of number %u, of %u", number, self->Mode->MaxMode);
    if (number >= display->mode_count || (number < 64 && display->no_query >> number & 1))
        return EFI_INVALID_PARAMETER;
    if (display->gives_no_info)
        return EFI_SUCCESS;
    UINTN bytes = display->info_bytes != 0 ? display->info_bytes : sizeof(**ret_info);
    *ret_info = malloc(bytes); // exactly: the sanitizer sees who reads more
    memcpy(*ret_info, &display->modes[number], min_u64(bytes, sizeof(**ret_info)));
    *ret_bytes = bytes;
    fake.pools++;
    return EFI_SUCCESS;
}

// What the protocol says of the mode that is set.
static void show_mode(uint32_t index, uint32_t place) {
    const struct fake_display *display = &fake.displays[index];
    infos[index][place] = display->mode;
    modes[index][place] = (EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE){
        .MaxMode = display->claims_modes != 0 ? display->claims_modes : display->mode_count,
        .Mode = display->number,
        .Info = display->has_no_info ? NULL : &infos[index][place],
        .SizeOfInfo = sizeof(display->mode),
        .FrameBufferBase = display->base,
        .FrameBufferSize = display->bytes,
    };
    outputs[index].Mode = display->has_no_mode ? NULL : &modes[index][place];
}

static EFI_STATUS EFIAPI set_mode(EFI_GRAPHICS_OUTPUT_PROTOCOL *self, UINT32 number) {
    EFI_STATUS status = fake_begin_call(FAKE_SET_MODE, NULL);
    uint32_t index = index_of(self);
    struct fake_display *display = &fake.displays[index];
    if (EFI_ERROR(status) || display->ignores_set)
        return status;
    if (number >= display->mode_count)
        return EFI_UNSUPPORTED;
    display->sets++;
    display->mode = display->modes[number];
    display->number = number;
    display->has_no_mode = display->loses_mode;
    uint32_t place = self->Mode == &modes[index][0] ? display->moves : !display->moves;
    memset(modes[index], 0xa5, sizeof(modes[index]));
    memset(infos[index], 0xa5, sizeof(infos[index]));
    show_mode(index, place);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_time(EFI_TIME *ret_time,
                                  [[maybe_unused]] EFI_TIME_CAPABILITIES *capabilities) {
    EFI_STATUS status = fake_begin_call(FAKE_GET_TIME, NULL);
    if (!EFI_ERROR(status))
        *ret_time = fake.time;
    return status;
}

static EFI_STATUS EFIAPI exit_boot(EFI_HANDLE image, UINTN key) {
    EFI_STATUS status = fake_begin_call(FAKE_EXIT, NULL);
    fake.exits++;
    if (image != &loaded_image || fake.tpl != TPL_APPLICATION)
        fake_record_breach("ExitBootServices for another image, or at TPL %lu", fake.tpl);
    if (fake.in_exit != NULL)
        fake.in_exit(fake.exits);
    if (fake.exits <= fake.exit_refusals)
        fake_change_map_key();
    if (EFI_ERROR(status))
        return status;
    fake.exited = key == fake_map_key();
    return fake.exited ? EFI_SUCCESS : EFI_INVALID_PARAMETER;
}

void fake_reset(void) {
    fake = (struct fake){
        .stride = 48,
        .fresh = 0xa5,
        .fail_status = EFI_DEVICE_ERROR,
        .has_attributes = true,
        .attributes = FAKE_XP,
        .tpl = TPL_APPLICATION,
        .time = {.Year = 2024, .Month = 2, .Day = 29, .Hour = 12, .TimeZone = 60},
        .paging_levels = 4,
        .paddr_bits = 48,
        .smbios = FAKE_ACPI_PHYS + 0x1000,
        .has_apic = true,
        .has_mtrrs = true,
        .mtrr_cap = 1 << 10 | MTRR_CAP_FIXED | 8,
        .apic_id = 4,
        .structures = FAKE_ACPI_PHYS + 0x1100,
        .has_1g = true,
        .has_mce = true,
        .has_uart = true,
        .has_pm_timer = true,
        .has_console = true,
        .has_keyboard = true,
        .consoles = {&com2_path},
        .console_count = 1,
        .key_at_stall = 1,
    };
    fake_reset_cpu();
    fake_reset_lapic();
    fake_reset_memory();
    fake_reset_images();
    fake_reset_console();
}

EFI_HANDLE fake_loader(void) {
    return &loaded_image;
}

EFI_HANDLE fake_device(void) {
    return &device;
}

struct fake_file *fake_add_file(const char *path, const void *contents, uint64_t bytes) {
    if (fake.file_count == FAKE_FILES_MAX)
        abort();
    struct fake_file *file = &fake.files[fake.file_count++];
    *file = (struct fake_file){.path = path, .contents = contents, .bytes = bytes};
    return file;
}

uint32_t fake_add_volume(const void *device_path, const CHAR16 *label) {
    if (fake.volume_count == FAKE_VOLUMES_MAX)
        abort();
    uint64_t units = 0;
    while (label != NULL && label[units] != 0)
        units++;
    fake.volumes[fake.volume_count++] =
        (struct fake_volume){.device_path = device_path, .label = label, .label_units = units};
    return fake.volume_count;
}

struct fake_display *fake_add_display(uint64_t base, uint32_t width, uint32_t height) {
    if (fake.display_count == FAKE_DISPLAYS_MAX)
        abort();
    struct fake_display *display = &fake.displays[fake.display_count++];
    *display = (struct fake_display){
        .mode = {.HorizontalResolution = width,
                 .VerticalResolution = height,
                 .PixelFormat = PixelBlueGreenRedReserved8BitPerColor,
                 .PixelsPerScanLine = width},
        .base = base,
        .bytes = (uint64_t)width * height * 4,
    };
    return display;
}

static void make_services(void) {
    boot_services = (EFI_BOOT_SERVICES){
        .RaiseTPL = raise_tpl,
        .RestoreTPL = restore_tpl,
        .AllocatePages = fake_allocate_pages,
        .FreePages = fake_free_pages,
        .GetMemoryMap = fake_get_memory_map,
        .HandleProtocol = handle_protocol,
        .LocateHandle = locate_handle,
        .LocateDevicePath = fake_locate_device_path,
        .LocateProtocol = fake_locate_protocol,
        .ConnectController = connect_controller,
        .ExitBootServices = exit_boot,
        .SetWatchdogTimer = set_watchdog,
        .Stall = stall,
    };
    fake_put_image_services(&boot_services);
    fake_put_services(&boot_services);
    runtime_services = (EFI_RUNTIME_SERVICES){.GetTime = get_time};
    for (uint32_t i = 0; i <= fake.volume_count; i++)
        fake_file_systems[i] = (EFI_FILE_IO_INTERFACE){.OpenVolume = fake_open_volume};
    loaded_image = (EFI_LOADED_IMAGE){
        .DeviceHandle = &device,
        .FilePath = (EFI_DEVICE_PATH *)(uintptr_t)fake.image_path,
        .LoadOptions = (void *)(uintptr_t)fake.load_options,
        .LoadOptionsSize = fake.load_options_bytes,
        .ImageBase = (void *)(uintptr_t)FAKE_IMAGE_PHYS,
        .ImageSize = FAKE_IMAGE_BYTES,
    };
    for (uint32_t i = 0; i < fake.display_count; i++) {
        const struct fake_display *display = &fake.displays[i];
        outputs[i] = (EFI_GRAPHICS_OUTPUT_PROTOCOL){.QueryMode = query_mode, .SetMode = set_mode};
        edids[i][0] = (EFI_EDID_ACTIVE_PROTOCOL){display->active_bytes,
                                                 (UINT8 *)(uintptr_t)display->active_edid};
        edids[i][1] = (EFI_EDID_ACTIVE_PROTOCOL){display->discovered_bytes,
                                                 (UINT8 *)(uintptr_t)display->discovered_edid};
        show_mode(i, 0);
    }
}

void fake_end_boot(enum fake_end end) {
    fake.end = end;
    longjmp(out, 1);
}

void fake_run(void (*start)(void)) {
    if (setjmp(out) == 0) {
        start();
        fake.end = FAKE_RETURNED;
    }
}

static void start_loader(void) {
    EFI_SYSTEM_TABLE *system = (EFI_SYSTEM_TABLE *)(uintptr_t)FAKE_SYSTEM_PHYS;
    fake.status =
        fake.loader != NULL ? fake.loader(&loaded_image, system) : efi_main(&loaded_image, system);
}

void fake_boot(void) {
    EFI_SYSTEM_TABLE system = {
        .ConIn = fake.has_keyboard ? fake_keyboard() : NULL,
        .ConOut = fake.has_console ? fake_console() : NULL,
        .RuntimeServices = &runtime_services,
        .BootServices = &boot_services,
    };
    make_services();
    fake_put_tables(&system);
    fake_run(start_loader);
}
