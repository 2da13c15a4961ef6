// See modules.h.
#include "loader/modules.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/config_file.h"
#include "loader/digest.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/memory_map.h"
#include "loader/room.h"

static struct module *modules;

// Where the memory map has room from `floor` on. None in a map that cannot be read.
static struct room find_room(uint64_t bytes, uint64_t floor) {
    struct memmap_efi map;
    uint64_t phys;
    if (EFI_ERROR(memory_map_read_apart(&map, &phys)))
        return (struct room){0};
    struct room room = room_find(&map, bytes, MIB(2), floor);
    firmware_free_pages(phys);
    return room;
}

// A large module goes above 4 GiB where there is room: what lies below is scarce, and devices may
// need it. Firmware that is asked for any pages may give those below first, as edk2 does.
static EFI_STATUS alloc_pages(uint64_t bytes, uint64_t *ret_phys) {
    if (bytes < MIB(2))
        return firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_MODULE, ret_phys);
    uint64_t start = find_room(align_up(bytes, FRAME_BYTES), GIB(4)).start;
    if (start != 0 && !EFI_ERROR(firmware_alloc_pages_at(start, bytes, SLIPWAY_RANGE_MODULE))) {
        *ret_phys = start;
        return EFI_SUCCESS;
    }
    return firmware_alloc_pages(bytes, MIB(2), SLIPWAY_RANGE_MODULE, ret_phys);
}

// Pages for the module, zero behind its last byte. Modules of 2 MiB or more start at a multiple of
// 2 MiB, so that the kernel can map them with large leaves; 64 small ones would waste 128 MiB so.
// An empty one needs none.
static EFI_STATUS alloc_module(const struct file *file, struct module *module) {
    if (file->bytes == 0)
        return EFI_SUCCESS;
    EFI_STATUS status = alloc_pages(file->bytes, &module->phys);
    if (EFI_ERROR(status))
        return log_fail(
            status, "%s: no room for the module of %lu bytes (%s); the largest free run has %lu",
            file->name, file->bytes, log_status_text(status),
            find_room(FRAME_BYTES, 0).largest_bytes);
    char *end = (char *)firmware_pointer(module->phys) + file->bytes;
    memset(end, 0, align_up(file->bytes, FRAME_BYTES) - file->bytes);
    return EFI_SUCCESS;
}

static EFI_STATUS load_module(const struct config *config, struct module *module) {
    static struct file file;
    const struct config_module *named = module->config;
    const char *where = named->line == 0 ? " (which the kernel asks for)"
                                         : config_file_where("module", named->line);
    EFI_STATUS status = file_open(&file, named->path, where);
    if (status == EFI_NOT_FOUND)
        return log_fail(status, "%s: not found%s%s", file.name, where,
                        named->line == 0 || named->cmdline.bytes == 0
                            ? ""
                            : "; a path with blanks wants quotes");
    if (EFI_ERROR(status))
        return status;
    module->bytes = file.bytes;
    module->has_digest = config->wants_digests || named->digest.line != 0;
    status = alloc_module(&file, module);
    if (!EFI_ERROR(status))
        status = module->has_digest
                     ? digest_read_file(&file, firmware_pointer(module->phys), &named->digest,
                                        module->digest)
                     : file_read(&file, 0, firmware_pointer(module->phys), file.bytes);
    if (!EFI_ERROR(status))
        status = digest_check_blake2b(&file, firmware_pointer(module->phys), named->blake2b);
    file_close(&file);
    return status;
}

static EFI_STATUS alloc_list(uint32_t count) {
    uint64_t bytes = count * sizeof(*modules);
    uint64_t start;
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &start);
    if (EFI_ERROR(status))
        return log_fail(status, "modules: no room for a list of %u, %lu bytes (%s)", count, bytes,
                        log_status_text(status));
    modules = firmware_pointer(start);
    return EFI_SUCCESS;
}

EFI_STATUS modules_load(const struct config *config, uint64_t *ret_bytes) {
    *ret_bytes = 0;
    EFI_STATUS status = config->module_count == 0 ? EFI_SUCCESS : alloc_list(config->module_count);
    for (uint32_t i = 0; i < config->module_count && !EFI_ERROR(status); i++) {
        modules[i] = (struct module){.config = &config->modules[i]};
        status = load_module(config, &modules[i]);
        *ret_bytes += modules[i].bytes;
    }
    return status;
}

const struct module *modules_loaded(void) {
    return modules;
}
