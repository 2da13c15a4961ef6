// See boot_source.h.
#include "loader/boot_source.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/file.h"
#include "loader/firmware.h"
#include "loader/netboot.h"
#include "loader/utf.h"

enum { PATH_NODES_MAX = 64 };

// ---- Device paths (UEFI 2.9, 10.3.1). Their nodes are not aligned.

// The node at or behind `node` that ends no path; null at its end, or if the path is broken.
static const EFI_DEVICE_PATH *this_node(const EFI_DEVICE_PATH *node) {
    bool is_sound = node != NULL && DevicePathNodeLength(node) >= (int)sizeof(*node);
    return is_sound && !IsDevicePathEndType(node) ? node : NULL;
}

static const EFI_DEVICE_PATH *next_node(const EFI_DEVICE_PATH *node) {
    return this_node((const EFI_DEVICE_PATH *)((const char *)node + DevicePathNodeLength(node)));
}

static bool is_media(const EFI_DEVICE_PATH *node, uint8_t kind, uint64_t least) {
    return DevicePathType(node) == MEDIA_DEVICE_PATH && DevicePathSubType(node) == kind &&
           (uint64_t)DevicePathNodeLength(node) >= least;
}

// 10.3.5.1. The last one of a path is the one that the file system is on.
static void take_partition(struct boot_source *source, const EFI_DEVICE_PATH *path) {
    const EFI_DEVICE_PATH *node = this_node(path);
    for (unsigned i = 0; i < PATH_NODES_MAX && node != NULL; i++, node = next_node(node)) {
        HARDDRIVE_DEVICE_PATH drive;
        const uint64_t bytes = __builtin_offsetof(HARDDRIVE_DEVICE_PATH, SignatureType) + 1;
        if (!is_media(node, MEDIA_HARDDRIVE_DP, bytes))
            continue;
        memcpy(&drive, node, bytes);
        bool is_gpt = drive.SignatureType == SIGNATURE_TYPE_GUID;
        bool is_mbr = drive.SignatureType == SIGNATURE_TYPE_MBR;
        memset(source->partition_id, 0, sizeof(source->partition_id));
        if (is_gpt || is_mbr)
            memcpy(source->partition_id, drive.Signature, is_gpt ? sizeof(drive.Signature) : 4);
        source->partition_id_kind = is_gpt   ? SLIPWAY_PARTITION_GPT
                                    : is_mbr ? SLIPWAY_PARTITION_MBR
                                             : SLIPWAY_PARTITION_NONE;
        source->partition_number = drive.PartitionNumber;
    }
}

// 10.3.5.4. A path may come in several nodes, with or without a separator between them.
static void take_path(struct boot_source *source, const EFI_DEVICE_PATH *path) {
    static uint16_t units[BOOT_SOURCE_PATH_UNITS];
    uint64_t used = 0;
    const EFI_DEVICE_PATH *node = this_node(path);
    for (unsigned i = 0; i < PATH_NODES_MAX && node != NULL; i++, node = next_node(node)) {
        if (!is_media(node, MEDIA_FILEPATH_DP, sizeof(*node)))
            continue;
        const char *name = (const char *)(node + 1);
        uint64_t count = ((uint64_t)DevicePathNodeLength(node) - sizeof(*node)) / sizeof(units[0]);
        for (uint64_t at = 0; at < count; at++) {
            uint16_t unit;
            memcpy(&unit, name + at * sizeof(unit), sizeof(unit));
            if (unit == 0)
                break;
            bool needs_separator = at == 0 && unit != '\\' && used != 0 && units[used - 1] != '\\';
            if (used + needs_separator >= ARRAY_LEN(units))
                return; // half a path is none
            if (needs_separator)
                units[used++] = '\\';
            units[used++] = unit;
        }
    }
    source->path_bytes = utf8_from_utf16(units, used, source->path);
}

// ---- The rest

static void take_label(struct boot_source *source) {
    uint16_t units[BOOT_SOURCE_LABEL_UNITS];
    uint64_t count = file_volume_label(units, ARRAY_LEN(units));
    source->label_bytes = utf8_from_utf16(units, count, source->label);
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
    if (!EFI_ERROR(BS->HandleProtocol(image->DeviceHandle, &guid, (void **)&path)))
        take_partition(ret_source, path);
    take_path(ret_source, image->FilePath);
    take_server(ret_source, image->DeviceHandle);
    take_label(ret_source);
}
