// See devices.h.
#include "loader/devices.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "common/boot/boot_check.h"
#include "loader/firmware.h"
#include "loader/log.h"

enum { HANDLES_MAX = 128 };

static uint64_t table_phys(EFI_GUID guid, EFI_GUID older) {
    void *table = firmware_table(&guid);
    return (uintptr_t)(table != NULL ? table : firmware_table(&older));
}

void devices_find_tables(struct devices *devices) {
    *devices = (struct devices){.system_table_phys = (uintptr_t)ST};
    devices->rsdp_phys = table_phys((EFI_GUID)ACPI_20_TABLE_GUID, (EFI_GUID)ACPI_TABLE_GUID);
    devices->smbios_phys = table_phys((EFI_GUID)SMBIOS3_TABLE_GUID, (EFI_GUID)SMBIOS_TABLE_GUID);
}

static void set_format(struct slipway_framebuffer *framebuffer,
                       const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode) {
    bool bgr = mode->PixelFormat == PixelBlueGreenRedReserved8BitPerColor;
    framebuffer->format = bgr ? SLIPWAY_PIXEL_BGRX8888 : SLIPWAY_PIXEL_RGBX8888;
    framebuffer->red_mask = bgr ? 0xff0000 : 0xff;
    framebuffer->green_mask = 0xff00;
    framebuffer->blue_mask = bgr ? 0xff : 0xff0000;
    if (mode->PixelFormat == PixelBitMask) {
        framebuffer->format = SLIPWAY_PIXEL_MASKS;
        framebuffer->red_mask = mode->PixelInformation.RedMask;
        framebuffer->green_mask = mode->PixelInformation.GreenMask;
        framebuffer->blue_mask = mode->PixelInformation.BlueMask;
    }
}

// Describes a mode. Null, or why the mode cannot be handed over: it has no linear memory, its
// pixels are not of 32 bits (UEFI 2.9, 12.9: a pixel is as wide as its masks), or its numbers
// contradict each other.
static const char *describe(const EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE *mode,
                            struct slipway_framebuffer *ret_framebuffer) {
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info = mode->Info;
    const EFI_PIXEL_BITMASK *masks = &info->PixelInformation;
    uint32_t bits = masks->RedMask | masks->GreenMask | masks->BlueMask | masks->ReservedMask;
    if (info->PixelFormat >= PixelBltOnly || mode->FrameBufferBase == 0)
        return "it has no linear memory";
    if (info->PixelFormat == PixelBitMask && bits >> 24 == 0)
        return "its pixels have not 32 bits";
    uint64_t pitch = (uint64_t)info->PixelsPerScanLine * 4;
    uint64_t picture = pitch * info->VerticalResolution; // below 2^64 if the pitch is below 2^32
    uint64_t end;
    if (pitch > UINT32_MAX || add_overflows(mode->FrameBufferBase, picture + FRAME_BYTES, &end))
        return "it is too large";
    *ret_framebuffer = (struct slipway_framebuffer){
        .address_phys = mode->FrameBufferBase,
        .bytes = align_up(mode->FrameBufferBase + picture, FRAME_BYTES) -
                 align_down(mode->FrameBufferBase, FRAME_BYTES),
        .width = info->HorizontalResolution,
        .height = info->VerticalResolution,
        .pitch = (uint32_t)pitch,
    };
    set_format(ret_framebuffer, info);
    return boot_check_framebuffer(ret_framebuffer);
}

static bool is_known(const struct devices *devices, uint64_t address_phys) {
    for (uint32_t i = 0; i < devices->framebuffer_count; i++) {
        if (devices->framebuffers[i].address_phys == address_phys)
            return true;
    }
    return false;
}

static void add_display(struct devices *devices, EFI_HANDLE handle) {
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_GRAPHICS_OUTPUT_PROTOCOL *display;
    struct slipway_framebuffer framebuffer;
    if (EFI_ERROR(BS->HandleProtocol(handle, &guid, (void **)&display)))
        return;
    if (display->Mode == NULL || display->Mode->Info == NULL)
        return;
    const char *fault = describe(display->Mode, &framebuffer);
    if (fault != NULL) {
        log_line(CONFIG_LOG_INFO, "display at 0x%lx left out: %s", display->Mode->FrameBufferBase,
                 fault);
        return;
    }
    if (is_known(devices, framebuffer.address_phys))
        return;
    if (devices->framebuffer_count == DEVICES_FRAMEBUFFERS_MAX) {
        log_line(CONFIG_LOG_INFO, "display at 0x%lx left out: more than %d displays",
                 framebuffer.address_phys, DEVICES_FRAMEBUFFERS_MAX);
        return;
    }
    devices->framebuffers[devices->framebuffer_count++] = framebuffer;
}

// Days from 1970-01-01 to a date of the proleptic Gregorian calendar: years begin in March, so that
// the leap day is a year's last.
static int64_t days_from_date(int64_t year, unsigned month, unsigned day) {
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int64_t read_time(void) {
    EFI_TIME time;
    if (EFI_ERROR(ST->RuntimeServices->GetTime(&time, NULL)) || time.Year < 1970 ||
        time.Month < 1 || time.Month > 12 || time.Day < 1 || time.Day > 31)
        return 0;
    int64_t seconds = days_from_date(time.Year, time.Month, time.Day) * 86400 + time.Hour * 3600 +
                      time.Minute * 60 + time.Second;
    bool zoned = time.TimeZone != EFI_UNSPECIFIED_TIMEZONE;
    return zoned ? seconds + time.TimeZone * 60 : seconds; // local = UTC - zone (UEFI 2.9, 8.3)
}

void devices_find_displays(struct devices *devices) {
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_HANDLE handles[HANDLES_MAX];
    UINTN bytes = sizeof(handles);
    EFI_STATUS status = BS->LocateHandle(ByProtocol, &guid, NULL, &bytes, handles);
    if (status == EFI_BUFFER_TOO_SMALL)
        log_line(CONFIG_LOG_INFO, "displays left out: more than %d of them", HANDLES_MAX);
    for (UINTN i = 0; !EFI_ERROR(status) && i < bytes / sizeof(handles[0]); i++)
        add_display(devices, handles[i]);
    devices->boot_time = read_time();
}
