// See image.h.
#include "loader/protocol/image.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/config_file.h"
#include "loader/digest.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/protocol/protocol.h"

// ---- What the config has for it

static EFI_STATUS check_modules(const struct config *config, const struct image *image) {
    const struct config_module *modules = config->modules;
    if (image->protocol == CONFIG_PROTOCOL_EFI && config->module_count != 0)
        return log_fail(EFI_UNSUPPORTED, "%s: an EFI application takes no modules%s",
                        image->file.name, config_file_where("module", modules[0].line));
    for (uint32_t i = 0; i < config->module_count; i++) {
        if (modules[i].cmdline.bytes != 0)
            return log_fail(
                EFI_UNSUPPORTED,
                "%s: a module of Linux's is its initrd and takes no text%s; a path with blanks wants quotes",
                image->file.name, config_file_where("module", modules[i].line));
    }
    return EFI_SUCCESS;
}

static EFI_STATUS check_linux(const struct config *config, const struct image *image) {
    uint32_t max = image->header.cmdline_max;
    if (max != 0 && config->cmdline.bytes > max)
        return log_fail(EFI_UNSUPPORTED,
                        "%s: the command line has %lu bytes, of which this kernel takes %u",
                        image->file.name, config->cmdline.bytes, max);
    if (config->module_count != 0 && !linux_asks_for_initrd(&image->pe))
        return log_fail(
            EFI_UNSUPPORTED,
            "%s: this kernel asks no loader for its initrd, as Linux 5.8 and later do%s",
            image->file.name, config_file_where("module", config->modules[0].line));
    return EFI_SUCCESS;
}

// ---- What it is

static EFI_STATUS refuse_kind(const struct image *image, const void *bytes) {
    char text[200];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    bool wants_linux = image->protocol == CONFIG_PROTOCOL_LINUX;
    protocol_print_found(&sink, bytes, image->file.bytes);
    return log_fail(EFI_LOAD_ERROR, "%s: protocol = %s is for %s; found: %s", image->file.name,
                    wants_linux ? "linux" : "efi",
                    wants_linux ? "Linux kernels with an EFI stub" : "PE files", text);
}

static EFI_STATUS check_pe(const struct image *image) {
    const char *name = image->file.name;
    const struct pe *pe = &image->pe;
    switch (pe_check(pe)) {
    case PE_OK:
        break;
    case PE_ERR_MACHINE:
        return log_fail(EFI_UNSUPPORTED, "%s: a PE file not for x86-64 (machine 0x%x)", name,
                        pe->machine);
    case PE_ERR_MAGIC:
        return log_fail(EFI_UNSUPPORTED, "%s: a PE file without a PE32+ header (magic 0x%x)", name,
                        pe->magic);
    case PE_ERR_SUBSYSTEM:
        return log_fail(EFI_UNSUPPORTED, "%s: a PE file but no EFI application (subsystem %u)",
                        name, pe->subsystem);
    }
    return EFI_SUCCESS;
}

static EFI_STATUS check_contents(const struct config *config, struct image *image) {
    const void *bytes = firmware_pointer(image->phys);
    bool is_linux = image->protocol == CONFIG_PROTOCOL_LINUX;
    if (!pe_parse(bytes, image->file.bytes, &image->pe) ||
        (is_linux && !linux_parse(bytes, image->file.bytes, &image->header)))
        return refuse_kind(image, bytes);
    EFI_STATUS status = check_pe(image);
    return EFI_ERROR(status) || !is_linux ? status : check_linux(config, image);
}

static unsigned lower(unsigned unit) {
    return unit >= 'A' && unit <= 'Z' ? unit | 0x20 : unit;
}

// This loader, started by itself, would read the same config and start itself again.
static bool is_own_file(const struct image *image) {
    static uint16_t own[FILE_PATH_UNITS];
    const EFI_LOADED_IMAGE *loader = file_own_image();
    uint64_t units = file_own_path(own, ARRAY_LEN(own));
    const uint16_t *path = image->file.path; // begins with a separator
    const uint16_t *wanted = units != 0 && own[0] == '\\' ? path : path + 1;
    if (units == 0 || image->device != loader->DeviceHandle)
        return false;
    for (uint64_t at = 0; at < units; at++) {
        if (lower(own[at]) != lower(wanted[at]))
            return false;
    }
    return wanted[units] == 0;
}

static EFI_STATUS read(const struct config *config, struct image *image) {
    struct file *file = &image->file;
    const struct config_digest *wanted = &config->kernel_digest;
    if (is_own_file(image))
        return log_fail(EFI_UNSUPPORTED, "%s: is this loader itself%s", file->name, file->where);
    EFI_STATUS status = firmware_alloc_pages(max_u64(file->bytes, 1), FRAME_BYTES,
                                             SLIPWAY_RANGE_LOADER, &image->phys);
    if (EFI_ERROR(status))
        return log_fail(status, "%s: no room for its %lu bytes (%s)", file->name, file->bytes,
                        log_status_text(status));
    image->has_digest = wanted->line != 0;
    return image->has_digest
               ? digest_read_file(file, firmware_pointer(image->phys), wanted, image->digest)
               : file_read(file, 0, firmware_pointer(image->phys), file->bytes);
}

EFI_STATUS image_load(const struct config *config, const struct protocol_file *opened,
                      struct image *ret_image) {
    struct image *image = ret_image;
    memset(image, 0, sizeof(*image));
    image->protocol = config->protocol;
    image->file = opened->file;
    image->device = file_device(&image->file);
    EFI_STATUS status = check_modules(config, image);
    if (!EFI_ERROR(status))
        status = read(config, image);
    file_close(&image->file);
    return EFI_ERROR(status) ? status : check_contents(config, image);
}
