// See cmdline.h.
#include "loader/cmdline.h"

#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/load_options.h"
#include "loader/log.h"

// UEFI Shell 2.2, EFI_SHELL_PARAMETERS_PROTOCOL: on the handle of every image that the shell
// starts.
static bool is_started_by_shell(void) {
    EFI_GUID guid = {0x752f3136, 0x4e16, 0x4fdc, {0xa2, 0x2a, 0xe5, 0xf4, 0x68, 0x12, 0xf4, 0xca}};
    void *parameters;
    return !EFI_ERROR(BS->HandleProtocol(firmware_image, &guid, &parameters));
}

EFI_STATUS cmdline_read(const struct boot_source *source, struct config_text *ret_text) {
    const EFI_LOADED_IMAGE *image = file_own_image();
    struct load_options options = {
        .start = image->LoadOptions,
        .bytes = image->LoadOptionsSize,
        .loader = {source->path, source->path_bytes},
    };
    uint64_t room = 0;
    *ret_text = (struct config_text){0};
    enum load_options_status parsed = LOAD_OPTIONS_ERR_LONG;
    if (options.bytes == 0 || options.start == NULL)
        return EFI_SUCCESS;
    if (options.bytes <= LOAD_OPTIONS_BYTES_MAX) {
        uint64_t bytes = load_options_room(options.bytes);
        EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &room);
        if (EFI_ERROR(status))
            return log_fail(status, "load options: no room for %lu bytes (%s)", bytes,
                            log_status_text(status));
        options.is_shell = is_started_by_shell();
        parsed = load_options_parse(&options, firmware_pointer(room), ret_text);
    }
    if (parsed == LOAD_OPTIONS_OK) {
        log_line(CONFIG_LOG_INFO, "command line: %lu bytes of the load options%s", ret_text->bytes,
                 options.is_shell ? ", by the shell" : "");
        return EFI_SUCCESS;
    }
    firmware_free_pages(room);
    log_line(CONFIG_LOG_INFO, "load options: %lu bytes, ignored: %s", options.bytes,
             load_options_status_text(parsed));
    return EFI_SUCCESS;
}
