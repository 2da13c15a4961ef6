// See boot_source.h.
#include "loader/boot_source.h"

#include "common/base/arith.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/netboot.h"
#include "loader/utf.h"

static void take_path(struct boot_source *source, const EFI_DEVICE_PATH *path) {
    static uint16_t units[BOOT_SOURCE_PATH_UNITS];
    uint64_t count = device_path_file(path, units, ARRAY_LEN(units));
    source->path_bytes = utf8_from_utf16(units, count, source->path);
}

static void take_server(struct boot_source *source, EFI_HANDLE device) {
    EFI_GUID guid = EFI_PXE_BASE_CODE_PROTOCOL_GUID;
    EFI_PXE_BASE_CODE_PROTOCOL *pxe;
    if (EFI_ERROR(BS->HandleProtocol(device, &guid, (void **)&pxe)) || pxe->Mode == NULL)
        return;
    const EFI_PXE_BASE_CODE_MODE *mode = pxe->Mode;
    const EFI_PXE_BASE_CODE_PACKET *packets[] = {mode->PxeReplyReceived ? &mode->PxeReply : NULL,
                                                 mode->ProxyOfferReceived ? &mode->ProxyOffer
                                                                          : NULL,
                                                 mode->DhcpAckReceived ? &mode->DhcpAck : NULL};
    for (unsigned i = 0; i < ARRAY_LEN(packets) && source->server_kind == 0; i++) {
        if (packets[i] == NULL)
            continue;
        bool is_found =
            mode->UsingIpv6
                ? netboot_server_6(packets[i], sizeof(*packets[i]), source->server_address)
                : netboot_server_4(packets[i], sizeof(*packets[i]), source->server_address);
        if (is_found)
            source->server_kind = mode->UsingIpv6 ? SLIPWAY_SERVER_IPV6 : SLIPWAY_SERVER_IPV4;
    }
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
    take_path(ret_source, image->FilePath);
    take_server(ret_source, image->DeviceHandle);
}

void boot_source_find_label(struct boot_source *source) {
    uint16_t units[BOOT_SOURCE_LABEL_UNITS];
    uint64_t count = file_volume_label(units, ARRAY_LEN(units));
    source->label_bytes = utf8_from_utf16(units, count, source->label);
}
