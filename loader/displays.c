// See displays.h.
#include "loader/displays.h"

#include "common/base/arith.h"
#include "common/boot/boot_check.h"
#include "common/screen/edid.h"
#include "loader/firmware.h"
#include "loader/log.h"

enum {
    HANDLES_MAX = 128,
    MODES_ASKED_MAX = 256, // of a display: firmware may say that it has 2^32 - 1
};

typedef EFI_GRAPHICS_OUTPUT_PROTOCOL display_t;

// ---- A mode, and the memory that shows it

// Null if the display says nothing of its mode. To be asked for anew after each call of the
// display: the structure may have moved.
static const EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE *mode_of(const display_t *display) {
    return display->Mode != NULL && display->Mode->Info != NULL ? display->Mode : NULL;
}

static void set_format(struct slipway_display_mode *mode,
                       const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info) {
    bool bgr = info->PixelFormat == PixelBlueGreenRedReserved8BitPerColor;
    mode->format = bgr ? SLIPWAY_PIXEL_BGRX8888 : SLIPWAY_PIXEL_RGBX8888;
    mode->red_mask = bgr ? 0xff0000 : 0xff;
    mode->green_mask = 0xff00;
    mode->blue_mask = bgr ? 0xff : 0xff0000;
    if (info->PixelFormat == PixelBitMask) {
        mode->format = SLIPWAY_PIXEL_MASKS;
        mode->red_mask = info->PixelInformation.RedMask;
        mode->green_mask = info->PixelInformation.GreenMask;
        mode->blue_mask = info->PixelInformation.BlueMask;
    }
}

// Describes a mode. Null, or why the mode cannot be handed over: it has no linear memory, its
// pixels are not of 32 bits (UEFI 2.9, 12.9: a pixel is as wide as its masks), or its numbers
// contradict each other.
static const char *describe_mode(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info,
                                 struct slipway_display_mode *ret_mode) {
    const EFI_PIXEL_BITMASK *masks = &info->PixelInformation;
    uint32_t bits = masks->RedMask | masks->GreenMask | masks->BlueMask | masks->ReservedMask;
    if (info->PixelFormat >= PixelBltOnly)
        return "it has no linear memory";
    if (info->PixelFormat == PixelBitMask && bits >> 24 == 0)
        return "its pixels have not 32 bits";
    uint64_t pitch = (uint64_t)info->PixelsPerScanLine * 4;
    if (pitch > UINT32_MAX)
        return "it is too large";
    struct slipway_display_mode mode = {
        .width = info->HorizontalResolution,
        .height = info->VerticalResolution,
        .pitch = (uint32_t)pitch,
    };
    set_format(&mode, info);
    const char *fault = boot_check_mode(&mode);
    if (fault == NULL)
        *ret_mode = mode;
    return fault;
}

// The same for the mode that is set, with its memory; null: there is none.
static const char *describe(const EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE *set,
                            struct slipway_display_mode *ret_mode,
                            struct slipway_framebuffer *ret_framebuffer) {
    struct slipway_display_mode mode;
    uint64_t end;
    if (set == NULL)
        return "it says nothing of its mode";
    uint64_t start = set->FrameBufferBase;
    if (start == 0)
        return "it has no linear memory";
    const char *fault = describe_mode(set->Info, &mode);
    if (fault != NULL)
        return fault;
    uint64_t picture = (uint64_t)mode.pitch * mode.height; // below 2^64
    if (add_overflows(start, picture + FRAME_BYTES, &end))
        return "it is too large";
    *ret_mode = mode;
    *ret_framebuffer = (struct slipway_framebuffer){
        .address_phys = start,
        .bytes = align_up(start + picture, FRAME_BYTES) - align_down(start, FRAME_BYTES),
        .width = mode.width,
        .height = mode.height,
        .pitch = mode.pitch,
        .format = mode.format,
        .red_mask = mode.red_mask,
        .green_mask = mode.green_mask,
        .blue_mask = mode.blue_mask,
    };
    return NULL;
}

// ---- What else the display can show

// Asks for a mode (UEFI 2.9, 12.9.2.1). False if it has no description, or a kernel could not use
// it. The description is the firmware's pool memory, and ours to free.
static bool query_mode(display_t *display, uint32_t number, struct slipway_display_mode *ret_mode) {
    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info = NULL;
    UINTN bytes = 0;
    EFI_STATUS status = display->QueryMode(display, number, &bytes, &info);
    if (EFI_ERROR(status) || info == NULL)
        return false;
    bool is_usable = bytes >= sizeof(*info) && describe_mode(info, ret_mode) == NULL;
    BS->FreePool(info);
    return is_usable;
}

// The modes of a kernel's use, in the firmware's order. The one that is set is always among them:
// the firmware need not know it by a number.
static void list_modes(display_t *display, const struct slipway_display_mode *set,
                       struct slipway_framebuffer *framebuffer,
                       struct slipway_display_mode *ret_modes) {
    uint32_t known = mode_of(display)->MaxMode;
    uint32_t asked = (uint32_t)min_u64(known, MODES_ASKED_MAX);
    uint32_t number_set = mode_of(display)->Mode;
    uint32_t count = 0;
    uint32_t number = 0;
    bool has_set = false;
    // There stays room for the one that is set.
    for (; number < asked && count < DISPLAYS_MODES_MAX - 1; number++) {
        if (number == number_set) {
            framebuffer->mode = count;
            ret_modes[count++] = *set;
            has_set = true;
        } else if (query_mode(display, number, &ret_modes[count])) {
            count++;
        }
    }
    if (number < known)
        log_line(CONFIG_LOG_INFO, "display at 0x%lx: of its %u modes %u are looked at",
                 framebuffer->address_phys, known, number);
    if (!has_set) {
        framebuffer->mode = count;
        ret_modes[count++] = *set;
    }
    framebuffer->modes = (struct slipway_array){(uintptr_t)ret_modes, count, sizeof(*ret_modes)};
}

// ---- EDID

struct edid_bytes {
    const void *data; // the firmware's; null: there is none
    uint64_t bytes;
};

// UEFI 2.9, 12.9.2: what the driver uses, which an override may have replaced, comes before what
// the display itself has said. The two protocols have one layout.
static struct edid_bytes find_edid(EFI_HANDLE handle) {
    EFI_GUID guids[] = {EFI_EDID_ACTIVE_PROTOCOL_GUID, EFI_EDID_DISCOVERED_PROTOCOL_GUID};
    for (unsigned i = 0; i < ARRAY_LEN(guids); i++) {
        EFI_EDID_ACTIVE_PROTOCOL *edid;
        EFI_STATUS status = BS->HandleProtocol(handle, &guids[i], (void **)&edid);
        if (!EFI_ERROR(status) && edid->SizeOfEdid != 0 && edid->Edid != NULL)
            return (struct edid_bytes){edid->Edid, edid->SizeOfEdid};
    }
    return (struct edid_bytes){NULL, 0};
}

static void describe_edid(EFI_HANDLE handle, struct slipway_framebuffer *framebuffer) {
    struct edid_bytes edid = find_edid(handle);
    if (edid.bytes > EDID_MAX_BYTES)
        log_line(CONFIG_LOG_INFO, "display at 0x%lx: EDID of %lu bytes, of which %u are kept",
                 framebuffer->address_phys, edid.bytes, EDID_MAX_BYTES);
    framebuffer->edid = (uintptr_t)edid.data;
    framebuffer->edid_bytes = min_u64(edid.bytes, EDID_MAX_BYTES);
}

// ---- The mode that the config wishes for

struct size {
    uint32_t width;
    uint32_t height;
};

// Of the modes that a kernel could use.
struct choice {
    bool is_found;
    uint32_t number; // of the one that fits
    uint32_t count;  // of all
    struct size largest;
    bool has_masks; // the one that fits
};

static uint64_t pixels_of(struct size size) {
    return (uint64_t)size.width * size.height;
}

// The first of the size, but one with 8 bits a colour rather than one with masks of its own.
static struct choice choose_mode(display_t *display, struct size wanted, uint32_t modes) {
    struct choice choice = {0};
    struct slipway_display_mode mode;
    for (uint32_t number = 0; number < modes && number < MODES_ASKED_MAX; number++) {
        if (!query_mode(display, number, &mode))
            continue;
        const struct size size = {mode.width, mode.height};
        choice.count++;
        if (pixels_of(size) > pixels_of(choice.largest))
            choice.largest = size;
        bool fits = size.width == wanted.width && size.height == wanted.height;
        bool is_plain = mode.format != SLIPWAY_PIXEL_MASKS;
        if (!fits || (choice.is_found && !(choice.has_masks && is_plain)))
            continue;
        choice.is_found = true;
        choice.number = number;
        choice.has_masks = !is_plain;
    }
    return choice;
}

// True if the mode that is set is of this size, and a kernel could use it.
static bool is_set(const display_t *display, struct size wanted) {
    struct slipway_display_mode mode;
    return mode_of(display) != NULL && describe_mode(mode_of(display)->Info, &mode) == NULL &&
           mode.width == wanted.width && mode.height == wanted.height;
}

// The size that EDID prefers.
static bool find_native_size(const display_t *display, EFI_HANDLE handle, struct size *ret_size) {
    const EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE *set = mode_of(display);
    struct edid_bytes bytes = find_edid(handle);
    struct edid edid;
    enum edid_status status = edid_parse(bytes.data, bytes.bytes, &edid);
    if (status == EDID_OK)
        *ret_size = (struct size){edid.width, edid.height};
    else
        log_line(CONFIG_LOG_INFO, "display at 0x%lx: native wanted, %ux%u kept: EDID: %s",
                 set->FrameBufferBase, set->Info->HorizontalResolution,
                 set->Info->VerticalResolution,
                 bytes.data == NULL ? "there is none" : edid_status_text(status));
    return status == EDID_OK;
}

// UEFI 2.9, 12.9.2.2. From then on the firmware's console, which knows nothing of it, is silent.
static void set_mode(struct displays *displays, display_t *display, struct size wanted,
                     uint32_t number) {
    uint64_t base = mode_of(display)->FrameBufferBase;
    uint32_t number_before = mode_of(display)->Mode;
    EFI_STATUS status = display->SetMode(display, number);
    if (EFI_ERROR(status)) {
        log_line(CONFIG_LOG_INFO, "display at 0x%lx: %ux%u wanted: its mode %u cannot be set (%s)",
                 base, wanted.width, wanted.height, number, log_status_text(status));
        return;
    }
    log_pause_firmware();
    displays->changed[displays->changed_count++] =
        (struct displays_changed){display, number_before};
    if (!is_set(display, wanted))
        log_line(CONFIG_LOG_INFO,
                 "display at 0x%lx: %ux%u wanted: its mode %u is set and is not that", base,
                 wanted.width, wanted.height, number);
}

static void set_resolution(struct displays *displays, display_t *display, EFI_HANDLE handle,
                           const struct config *config) {
    const EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE before = *mode_of(display);
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION kept = *before.Info;
    struct size wanted = {config->width, config->height};
    if (config->resolution == CONFIG_RESOLUTION_FIRMWARE)
        return;
    if (config->resolution == CONFIG_RESOLUTION_NATIVE &&
        !find_native_size(display, handle, &wanted))
        return;
    if (is_set(display, wanted))
        return;
    struct choice choice = choose_mode(display, wanted, before.MaxMode);
    if (choice.is_found)
        set_mode(displays, display, wanted, choice.number);
    else
        log_line(
            CONFIG_LOG_INFO,
            "display at 0x%lx: %ux%u wanted, %ux%u kept: a kernel can use %u of its %u modes, %ux%u at most",
            before.FrameBufferBase, wanted.width, wanted.height, kept.HorizontalResolution,
            kept.VerticalResolution, choice.count, before.MaxMode, choice.largest.width,
            choice.largest.height);
}

static void restore_last(struct displays *displays) {
    const struct displays_changed *last = &displays->changed[--displays->changed_count];
    last->display->SetMode(last->display, last->number);
    if (displays->changed_count == 0)
        log_resume_firmware();
}

void displays_restore(struct displays *displays) {
    while (displays->changed_count != 0)
        restore_last(displays);
}

// ---- The displays

static bool is_known(const struct displays *displays, uint64_t address_phys) {
    for (uint32_t i = 0; i < displays->count; i++) {
        if (displays->framebuffers[i].address_phys == address_phys)
            return true;
    }
    return false;
}

// One without linear memory is not touched: it may stand for several others.
static void add_display(struct displays *displays, EFI_HANDLE handle, const struct config *config) {
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    display_t *display;
    struct slipway_display_mode mode;
    struct slipway_framebuffer framebuffer;
    if (EFI_ERROR(BS->HandleProtocol(handle, &guid, (void **)&display)) || mode_of(display) == NULL)
        return;
    uint64_t base = mode_of(display)->FrameBufferBase;
    if (is_known(displays, base))
        return;
    if (displays->count == DISPLAYS_MAX) {
        log_line(CONFIG_LOG_INFO, "display at 0x%lx left out: more than %d displays", base,
                 DISPLAYS_MAX);
        return;
    }
    uint32_t changed_before = displays->changed_count;
    if (base != 0)
        set_resolution(displays, display, handle, config);
    const char *fault = describe(mode_of(display), &mode, &framebuffer);
    if (fault != NULL) {
        if (displays->changed_count != changed_before)
            restore_last(displays);
        log_line(CONFIG_LOG_INFO, "display at 0x%lx left out: %s", base, fault);
        return;
    }
    list_modes(display, &mode, &framebuffer, displays->modes[displays->count]);
    describe_edid(handle, &framebuffer);
    displays->framebuffers[displays->count++] = framebuffer;
}

void displays_find(struct displays *displays, const struct config *config) {
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_HANDLE handles[HANDLES_MAX];
    UINTN bytes = sizeof(handles);
    displays->count = 0;
    displays->changed_count = 0;
    EFI_STATUS status = BS->LocateHandle(ByProtocol, &guid, NULL, &bytes, handles);
    if (status == EFI_BUFFER_TOO_SMALL)
        log_line(CONFIG_LOG_INFO, "displays left out: more than %d of them", HANDLES_MAX);
    for (UINTN i = 0; !EFI_ERROR(status) && i < bytes / sizeof(handles[0]); i++)
        add_display(displays, handles[i], config);
}
