// See network.h.
#include "loader/network.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/boot/slipway_boot.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/netboot.h"
#include "loader/progress.h"
#include "loader/timeline.h"
#include "loader/utf.h"

enum {
    // What a frame of Ethernet, 1500 bytes, has room for behind the headers of IP, UDP and TFTP.
    BLOCK_BYTES_4 = 1500 - 20 - 8 - 4,
    BLOCK_BYTES_6 = 1500 - 40 - 8 - 4,
    TFTP_DATA = 3, // a packet's first two bytes (RFC 1350, 5)
    TFTP_HEAD_BYTES = 4,
    URL_BYTES_MAX = 64, // of what stands before a name
};

// For a file of unknown size, first.
#define UNKNOWN_BYTES UINT64_C(0x100000)

static EFI_HANDLE device;
static EFI_PXE_BASE_CODE_PROTOCOL *pxe; // that knows of `server`
static struct network_server server;
static struct config_text boot_file; // in the packet
static struct config_text root;      // of boot_file
static bool has_blocks;              // the server has not refused to agree on their size

// ---- The server

static void look_at(const EFI_PXE_BASE_CODE_PACKET *packet, bool is_ipv6) {
    uint64_t bytes = sizeof(*packet);
    bool is_found = server.kind == SLIPWAY_SERVER_NONE &&
                    (is_ipv6 ? netboot_server_6(packet, bytes, server.address)
                             : netboot_server_4(packet, bytes, server.address));
    if (is_found)
        server.kind = is_ipv6 ? SLIPWAY_SERVER_IPV6 : SLIPWAY_SERVER_IPV4;
    if (boot_file.bytes == 0)
        boot_file = is_ipv6 ? netboot_file_6(packet, bytes) : netboot_file_4(packet, bytes);
}

void network_find(EFI_HANDLE from) {
    EFI_GUID guid = EFI_PXE_BASE_CODE_PROTOCOL_GUID;
    device = from;
    server = (struct network_server){0};
    boot_file = root = (struct config_text){0};
    has_blocks = true;
    if (EFI_ERROR(BS->HandleProtocol(from, &guid, (void **)&pxe)) || pxe->Mode == NULL)
        return;
    const EFI_PXE_BASE_CODE_MODE *mode = pxe->Mode;
    if (mode->PxeReplyReceived)
        look_at(&mode->PxeReply, mode->UsingIpv6);
    if (mode->ProxyOfferReceived)
        look_at(&mode->ProxyOffer, mode->UsingIpv6);
    if (mode->DhcpAckReceived)
        look_at(&mode->DhcpAck, mode->UsingIpv6);
    root = (struct config_text){boot_file.text, netboot_root_bytes(boot_file)};
}

const struct network_server *network_server(void) {
    return &server;
}

bool network_has_files(void) {
    return server.kind != SLIPWAY_SERVER_NONE;
}

uint64_t network_own_path(uint16_t *ret_units, uint64_t capacity) {
    uint64_t units = 0;
    uint64_t bytes = boot_file.bytes - root.bytes;
    if (bytes != 0 && bytes < capacity) {
        *ret_units = '\\';
        units = 1 + utf16_from_utf8(boot_file.text + root.bytes, bytes, ret_units + 1);
    }
    for (uint64_t i = 0; i < units; i++)
        ret_units[i] = ret_units[i] == '/' ? '\\' : ret_units[i];
    return units;
}

// ---- What goes wrong

// What the server has refused, if that is what a call has failed of.
static enum netboot_error server_error(EFI_STATUS status) {
    const EFI_PXE_BASE_CODE_MODE *mode = pxe->Mode;
    const EFI_PXE_BASE_CODE_TFTP_ERROR *error = &mode->TftpError;
    if (status != EFI_TFTP_ERROR)
        return NETBOOT_ERR_NONE;
    if (!mode->TftpErrorReceived)
        return NETBOOT_ERR_OTHER;
    return netboot_find_error(error->ErrorCode, error->ErrorString, sizeof(error->ErrorString));
}

// Firmware other than edk2 may know by itself what the error means.
static bool is_absent(EFI_STATUS status) {
    return status == EFI_NOT_FOUND || server_error(status) == NETBOOT_ERR_ABSENT;
}

// The server's words: nothing where the firmware has not kept them.
static EFI_STATUS fail_by_server(const struct file *file, EFI_STATUS status) {
    const EFI_PXE_BASE_CODE_MODE *mode = pxe->Mode;
    const EFI_PXE_BASE_CODE_TFTP_ERROR *error = &mode->TftpError;
    char text[sizeof(error->ErrorString) + 1] = {0};
    for (unsigned i = 0;
         mode->TftpErrorReceived && i < sizeof(error->ErrorString) && error->ErrorString[i] != '\0';
         i++) {
        char c = (char)error->ErrorString[i];
        text[i] = (char)(c >= ' ' && c < 0x7f ? c : '?');
    }
    return log_fail(status, "%s: the server refuses%s%s%s%s%s", file->name,
                    text[0] == '\0' ? "" : ", '", text, text[0] == '\0' ? "" : "'", file->where,
                    server_error(status) == NETBOOT_ERR_ACCESS
                        ? "; TFTP must be allowed to read the file, there and in its folders"
                        : "");
}

// UEFI 2.9, 24.3, has one status for all errors of ICMP; edk2 returns those of UDP (28.1), one for
// each. Null: it is none.
static const char *icmp_error(EFI_STATUS status) {
    switch (status) {
    case EFI_ICMP_ERROR:
        return "ICMP error";
    case EFI_NETWORK_UNREACHABLE:
        return "network unreachable";
    case EFI_HOST_UNREACHABLE:
        return "host unreachable";
    case EFI_PROTOCOL_UNREACHABLE:
        return "protocol unreachable";
    case EFI_PORT_UNREACHABLE:
        return "port unreachable";
    default:
        return NULL;
    }
}

static EFI_STATUS fail(const struct file *file, EFI_STATUS status) {
    if (status == EFI_TFTP_ERROR)
        return fail_by_server(file, status);
    if (status == EFI_TIMEOUT)
        return log_fail(
            status,
            "%s: the server does not answer%s; does TFTP run there, and does every firewall let its UDP pass?",
            file->name, file->where);
    if (icmp_error(status) != NULL)
        return log_fail(status, "%s: the server cannot be reached (%s)%s; does TFTP run there?",
                        file->name, icmp_error(status), file->where);
    return log_fail(status, "%s: the firmware cannot read from the server (%s)%s", file->name,
                    log_status_text(status), file->where);
}

// ---- Progress

// The firmware calls it for each packet (UEFI 2.9, 24.4).
static struct {
    EFI_PXE_BASE_CODE_CALLBACK_PROTOCOL protocol;
    struct progress progress;
    uint64_t done;
} watch;

static EFI_PXE_BASE_CODE_CALLBACK_STATUS EFIAPI
watch_packet(EFI_PXE_BASE_CODE_CALLBACK_PROTOCOL *self, EFI_PXE_BASE_CODE_FUNCTION function,
             BOOLEAN received, UINT32 bytes, EFI_PXE_BASE_CODE_PACKET *packet) {
    (void)self, (void)function, (void)received; // of which edk2 tells nothing to rely on
    bool is_data = bytes > TFTP_HEAD_BYTES && packet->Raw[0] == 0 && packet->Raw[1] == TFTP_DATA;
    if (is_data)
        watch.done = min_u64(watch.done + bytes - TFTP_HEAD_BYTES, watch.progress.bytes);
    progress_show(&watch.progress, watch.done, timeline_now());
    return EFI_PXE_BASE_CODE_CALLBACK_STATUS_CONTINUE;
}

static EFI_GUID watch_guid = EFI_PXE_BASE_CODE_CALLBACK_PROTOCOL_GUID;

// False where the firmware shows progress itself, or cannot: then nothing is shown.
static bool watch_begin(const struct file *file) {
    BOOLEAN calls = TRUE;
    watch.protocol = (EFI_PXE_BASE_CODE_CALLBACK_PROTOCOL){
        EFI_PXE_BASE_CODE_CALLBACK_PROTOCOL_REVISION, watch_packet};
    watch.progress = progress_begin(file->name, file->bytes);
    watch.done = 0;
    if (EFI_ERROR(BS->InstallMultipleProtocolInterfaces(&device, &watch_guid, &watch.protocol,
                                                        (void *)NULL)))
        return false;
    (void)pxe->SetParameters(pxe, NULL, NULL, NULL, NULL, &calls);
    return true;
}

static void watch_end(void) {
    BOOLEAN calls = FALSE;
    (void)pxe->SetParameters(pxe, NULL, NULL, NULL, NULL, &calls);
    (void)BS->UninstallMultipleProtocolInterfaces(device, &watch_guid, &watch.protocol,
                                                  (void *)NULL);
    progress_end(&watch.progress);
}

// ---- Files

static EFI_STATUS call_once(EFI_PXE_BASE_CODE_TFTP_OPCODE what, char *name, void *to,
                            UINT64 *bytes) {
    UINTN block_bytes = server.kind == SLIPWAY_SERVER_IPV6 ? BLOCK_BYTES_6 : BLOCK_BYTES_4;
    EFI_IP_ADDRESS address = {0};
    memcpy(&address, server.address, sizeof(server.address));
    return pxe->Mtftp(pxe, what, to, FALSE, bytes, has_blocks ? &block_bytes : NULL, &address,
                      (UINT8 *)name, NULL, FALSE);
}

// Of a server that refuses options nothing more is asked for.
static EFI_STATUS call(EFI_PXE_BASE_CODE_TFTP_OPCODE what, char *name, void *to, UINT64 *bytes) {
    UINT64 capacity = *bytes;
    EFI_STATUS status = call_once(what, name, to, bytes);
    if (server_error(status) != NETBOOT_ERR_OPTIONS || !has_blocks)
        return status;
    has_blocks = false;
    *bytes = capacity;
    return call_once(what, name, to, bytes);
}

// The whole file, whose size is not known before. Firmware tells how much it would have been where
// there was no room for it, or nothing.
static EFI_STATUS fetch(struct file *file, char *name) {
    uint64_t capacity = UNKNOWN_BYTES;
    for (;;) {
        EFI_STATUS status =
            firmware_alloc_pages(capacity, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &file->pages);
        if (EFI_ERROR(status)) // which may be EFI_NOT_FOUND
            return log_fail(EFI_OUT_OF_RESOURCES,
                            "%s: no room for %lu bytes (%s), the server does not tell its size%s",
                            file->name, capacity, log_status_text(status), file->where);
        UINT64 got = capacity;
        status = call(EFI_PXE_BASE_CODE_TFTP_READ_FILE, name, firmware_pointer(file->pages), &got);
        if (!EFI_ERROR(status) && got <= capacity) {
            file->bytes = got;
            file->contents = firmware_pointer(file->pages);
            return EFI_SUCCESS;
        }
        firmware_free_pages(file->pages);
        file->pages = 0;
        if (is_absent(status))
            return EFI_NOT_FOUND;
        if (status != EFI_BUFFER_TOO_SMALL && EFI_ERROR(status))
            return fail(file, status);
        capacity = max_u64(got, 4 * capacity);
    }
}

static void print_address(const struct sink *sink) {
    const uint8_t *bytes = server.address;
    if (server.kind == SLIPWAY_SERVER_IPV4)
        fmt_print(sink, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
    for (unsigned i = 0; i < sizeof(server.address) && server.kind == SLIPWAY_SERVER_IPV6; i += 2)
        fmt_print(sink, "%s%x", i == 0 ? "[" : ":", (unsigned)bytes[i] << 8 | bytes[i + 1]);
    if (server.kind == SLIPWAY_SERVER_IPV6)
        fmt_print(sink, "]");
}

// What the server calls the file. The next call makes another.
static char *name_of(const struct file *file) {
    static char path[FILE_PATH_UNITS * 3 + 1];
    static char name[NETBOOT_NAME_MAX + 1];
    uint64_t bytes = utf8_from_utf16(file->path, FILE_PATH_UNITS, path);
    return netboot_join(root, (struct config_text){path, bytes}, name) == 0 ? NULL : name;
}

// A name that leaves no room for the URL stays as it is: the end of the path.
static void show_url(struct file *file, const char *name) {
    if (strlen(name) > sizeof(file->name) - URL_BYTES_MAX)
        return;
    struct fmt_buffer buffer = fmt_buffer_make(file->name, sizeof(file->name));
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, "tftp://");
    print_address(&sink);
    fmt_print(&sink, "%s%s", name[0] == '/' ? "" : "/", name);
}

EFI_STATUS network_open(struct file *file) {
    ASSERT(network_has_files());
    char *name = name_of(file);
    UINT64 bytes = 0;
    if (name == NULL)
        return log_fail(EFI_INVALID_PARAMETER,
                        "%s: a server cannot be asked for names of more than %d bytes%s",
                        file->name, NETBOOT_NAME_MAX, file->where);
    show_url(file, name);
    EFI_STATUS status = call(EFI_PXE_BASE_CODE_TFTP_GET_FILE_SIZE, name, NULL, &bytes);
    enum netboot_error error = server_error(status);
    if (error == NETBOOT_ERR_ABSENT)
        return EFI_NOT_FOUND;
    bool is_final = error == NETBOOT_ERR_ACCESS || error == NETBOOT_ERR_OTHER;
    if (is_final || status == EFI_TIMEOUT || icmp_error(status) != NULL)
        return fail(file, status);
    // edk2 has found no size where it says EFI_NOT_FOUND. Some servers say of a file that they know
    // no size of that it has no bytes.
    if (EFI_ERROR(status) || bytes == 0)
        return fetch(file, name);
    file->bytes = bytes;
    return EFI_SUCCESS;
}

EFI_STATUS network_read(struct file *file, void *destination) {
    UINT64 got = file->bytes;
    char *name = name_of(file); // there is one, as when it was opened
    bool is_watched = watch_begin(file);
    EFI_STATUS status = call(EFI_PXE_BASE_CODE_TFTP_READ_FILE, name, destination, &got);
    if (is_watched)
        watch_end();
    if (status == EFI_BUFFER_TOO_SMALL || (!EFI_ERROR(status) && got != file->bytes))
        return log_fail(EFI_DEVICE_ERROR,
                        "%s: the server has said that it has %lu bytes, and %s%s; was it changed?",
                        file->name, file->bytes,
                        !EFI_ERROR(status) && got < file->bytes ? "has sent less" : "sends more",
                        file->where);
    return EFI_ERROR(status) ? fail(file, status) : EFI_SUCCESS;
}
