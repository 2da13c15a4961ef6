// See boot_source.h.
#include "loader/boot_source.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/network.h"
#include "loader/utf.h"

static void take_path(struct boot_source *source) {
    static uint16_t units[BOOT_SOURCE_PATH_UNITS];
    uint64_t count = file_own_path(units, ARRAY_LEN(units));
    source->path_bytes = utf8_from_utf16(units, count, source->path);
}

void boot_source_find(struct boot_source *ret_source) {
    EFI_GUID guid = DEVICE_PATH_PROTOCOL;
    EFI_DEVICE_PATH *path;
    const EFI_LOADED_IMAGE *image = file_own_image();
    *ret_source = (struct boot_source){0};
    if (!EFI_ERROR(BS->HandleProtocol(image->DeviceHandle, &guid, (void **)&path))) {
        ret_source->partition = device_path_partition(path);
        ret_source->is_cd = device_path_is_cd(path);
    }
    take_path(ret_source);
    ret_source->is_from_server = file_own_volume() == NULL;
    const struct network_server *server = network_server();
    ret_source->server_kind = server->kind;
    memcpy(ret_source->server_address, server->address, sizeof(server->address));
}

void boot_source_find_label(struct boot_source *source) {
    uint16_t units[BOOT_SOURCE_LABEL_UNITS];
    uint64_t count = file_volume_label(units, ARRAY_LEN(units));
    source->label_bytes = utf8_from_utf16(units, count, source->label);
}
