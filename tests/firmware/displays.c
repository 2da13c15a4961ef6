// The fake firmware's displays: a graphics output protocol each, and what it knows of the monitor.
#include "common/base/arith.h"
#include "tests/firmware/fake_parts.h"

#include <stdlib.h>
#include <string.h>

static EFI_GRAPHICS_OUTPUT_PROTOCOL outputs[FAKE_DISPLAYS_MAX];       // and the displays' handles
static EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE modes[FAKE_DISPLAYS_MAX][2]; // SetMode may change places
static EFI_GRAPHICS_OUTPUT_MODE_INFORMATION infos[FAKE_DISPLAYS_MAX][2];
static EFI_EDID_ACTIVE_PROTOCOL edids[FAKE_DISPLAYS_MAX][2]; // active, discovered

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

void fake_put_displays(void) {
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

EFI_HANDLE fake_display_handle(uint32_t index) {
    return &outputs[index];
}

void *fake_find_on_display(uint32_t index, const EFI_GUID *guid) {
    static const EFI_GUID output_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    static const EFI_GUID edid_guids[] = {EFI_EDID_ACTIVE_PROTOCOL_GUID,
                                          EFI_EDID_DISCOVERED_PROTOCOL_GUID};
    if (memcmp(guid, &output_guid, sizeof(*guid)) == 0)
        return &outputs[index];
    for (uint32_t i = 0; i < ARRAY_LEN(edid_guids); i++) {
        EFI_EDID_ACTIVE_PROTOCOL *edid = &edids[index][i];
        bool is_there = edid->Edid != NULL || edid->SizeOfEdid != 0;
        if (memcmp(guid, &edid_guids[i], sizeof(*guid)) == 0)
            return is_there ? edid : NULL;
    }
    return NULL;
}
