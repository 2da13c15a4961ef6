// The server that a machine was booted from, without a boot: by which packet it is known, what its
// files and the loader's own are called, and what is asked of it. Boots: test_network.c.
#include "common/base/arith.h"
#include "common/boot/slipway_boot.h"
#include "loader/firmware.h"
#include "loader/netboot.h"
#include "loader/network.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <string.h>

static EFI_PXE_BASE_CODE_MODE mode;
static EFI_PXE_BASE_CODE_PROTOCOL pxe;
static EFI_BOOT_SERVICES services;
static char asked[NETBOOT_NAME_MAX + 1];

static bool says_size, takes_no_blocks;

// All files have 7 bytes.
static EFI_STATUS EFIAPI mtftp([[maybe_unused]] EFI_PXE_BASE_CODE_PROTOCOL *self,
                               EFI_PXE_BASE_CODE_TFTP_OPCODE operation,
                               [[maybe_unused]] void *buffer, [[maybe_unused]] BOOLEAN overwrite,
                               UINT64 *bytes, UINTN *block_bytes,
                               [[maybe_unused]] EFI_IP_ADDRESS *server, UINT8 *name,
                               [[maybe_unused]] EFI_PXE_BASE_CODE_MTFTP_INFO *info,
                               [[maybe_unused]] BOOLEAN uses_no_buffer) {
    assert_in_range(strlen((const char *)name), 0, sizeof(asked) - 1);
    strcpy(asked, (const char *)name);
    if (takes_no_blocks && block_bytes != NULL) {
        mode.TftpErrorReceived = TRUE;
        mode.TftpError.ErrorCode = 8;
        *bytes = 0;
        return EFI_TFTP_ERROR;
    }
    if (operation == EFI_PXE_BASE_CODE_TFTP_READ_FILE)
        assert_int_equal(*bytes, 7);
    else if (says_size)
        *bytes = 7;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allocate_none([[maybe_unused]] EFI_ALLOCATE_TYPE how,
                                       [[maybe_unused]] EFI_MEMORY_TYPE type,
                                       [[maybe_unused]] UINTN pages,
                                       [[maybe_unused]] EFI_PHYSICAL_ADDRESS *ret_phys) {
    return EFI_OUT_OF_RESOURCES;
}

static EFI_STATUS EFIAPI install_none([[maybe_unused]] EFI_HANDLE *handle, ...) {
    return EFI_OUT_OF_RESOURCES;
}

static EFI_STATUS EFIAPI handle_protocol([[maybe_unused]] EFI_HANDLE handle,
                                         [[maybe_unused]] EFI_GUID *guid, void **ret_interface) {
    *ret_interface = &pxe;
    return EFI_SUCCESS;
}

static void set_up(void) {
    fake_reset();
    memset(&mode, 0, sizeof(mode));
    pxe = (EFI_PXE_BASE_CODE_PROTOCOL){.Mode = &mode, .Mtftp = mtftp};
    services = (EFI_BOOT_SERVICES){.HandleProtocol = handle_protocol,
                                   .AllocatePages = allocate_none,
                                   .InstallMultipleProtocolInterfaces = install_none};
    says_size = true;
    takes_no_blocks = false;
    BS = &services;
}

static void tear_down(void) {
    pxe.Mode = NULL;
    network_find(NULL); // that it is in no later test
    BS = NULL;
}

static void put(EFI_PXE_BASE_CODE_PACKET *packet, uint8_t server, const char *file) {
    memset(packet, 0, sizeof(*packet));
    memcpy(packet->Dhcpv4.BootpSiAddr, (const uint8_t[]){10, 20, 30, server}, 4);
    strcpy((char *)packet->Dhcpv4.BootpBootFile, file);
}

static void expect_own_path(uint64_t capacity, const CHAR16 *want, uint64_t units) {
    uint16_t path[64];
    memset(path, 0, sizeof(path));
    path[units] = '/'; // which is none of its own
    assert_int_equal(network_own_path(path, capacity), units);
    assert_memory_equal(path, want, units * sizeof(path[0]));
    assert_int_equal(path[units], '/');
}

TEST("network: of the packets that have come the first one that names it tells the server") {
    for (unsigned come = 0; come < 8; come++) {
        set_up();
        put(&mode.PxeReply, 1, "r/reply");
        put(&mode.ProxyOffer, 2, "p/o/proxy");
        put(&mode.DhcpAck, 3, "ack");
        mode.PxeReplyReceived = come & 1;
        mode.ProxyOfferReceived = (come & 2) != 0;
        mode.DhcpAckReceived = (come & 4) != 0;
        network_find(NULL);
        static const uint8_t first[] = {0, 1, 2, 1, 3, 1, 2, 1};
        static const CHAR16 *const own[] = {L"", L"\\reply", L"\\proxy", L"\\ack"};
        static const uint64_t units[] = {0, 6, 6, 4};
        assert_int_equal(network_server()->kind,
                         come == 0 ? SLIPWAY_SERVER_NONE : SLIPWAY_SERVER_IPV4);
        assert_int_equal(network_server()->address[3], first[come]);
        assert_int_equal(network_has_files(), come != 0);
        expect_own_path(64, own[first[come]], units[first[come]]);
    }
    pxe.Mode = NULL;
    network_find(NULL);
    assert_false(network_has_files());
    expect_own_path(64, L"", 0);
    tear_down();
}

TEST("network: the loader's own path is what is left of the boot file, if there is room for it") {
    set_up();
    put(&mode.DhcpAck, 1, "a/EFI/BOOT/x.efi"); // its root is a/
    mode.DhcpAckReceived = TRUE;
    network_find(NULL);
    expect_own_path(64, L"\\EFI\\BOOT\\x.efi", 15);
    expect_own_path(15, L"\\EFI\\BOOT\\x.efi", 15);
    expect_own_path(14, L"", 0);
    put(&mode.DhcpAck, 1, "a/x");
    network_find(NULL);
    expect_own_path(2, L"\\x", 2);
    put(&mode.DhcpAck, 1, "a/");
    network_find(NULL);
    expect_own_path(64, L"", 0);
    tear_down();
}

// Of so many bytes, which the server is asked for; their name in messages is then `want` and the
// name, or what it was.
static void expect_shown(uint64_t bytes, const char *want) {
    static struct file file;
    char name[FILE_NAME_MAX] = {0};
    memset(&file, 0, sizeof(file));
    strcpy(file.name, "as it was");
    file.path[0] = '\\';
    for (uint64_t i = 1; i <= bytes; i++)
        name[i - 1] = (char)(file.path[i] = 'n');
    assert_int_equal(network_open(&file), EFI_SUCCESS);
    assert_int_equal(file.bytes, 7);
    assert_int_equal(strlen(asked), bytes);
    if (want == NULL) {
        assert_string_equal(file.name, "as it was");
        return;
    }
    assert_memory_equal(file.name, want, strlen(want));
    assert_string_equal(file.name + strlen(want), name);
}

TEST("network: a file is shown by its URL, if there is room for the longest") {
    static const uint8_t url[] =
        "\2xyz\0\73\0\63tftp://[1234:5678:9abc:def0:1234:5678:9abc:def0]/x";
    set_up();
    put(&mode.DhcpAck, 40, "x");
    mode.DhcpAckReceived = TRUE;
    network_find(NULL);
    expect_shown(1, "tftp://10.20.30.40/");
    expect_shown(FILE_NAME_MAX - 64, "tftp://10.20.30.40/");
    expect_shown(FILE_NAME_MAX - 63, NULL);
    memset(&mode.DhcpAck, 0, sizeof(mode.DhcpAck));
    memcpy(mode.DhcpAck.Raw, url, sizeof(url) - 1);
    mode.UsingIpv6 = TRUE;
    network_find(NULL);
    expect_shown(1, "tftp://[1234:5678:9abc:def0:1234:5678:9abc:def0]/");
    expect_shown(FILE_NAME_MAX - 64, "tftp://[1234:5678:9abc:def0:1234:5678:9abc:def0]/");
    expect_shown(FILE_NAME_MAX - 63, NULL);
    tear_down();
}

static void set_up_server(void) {
    set_up();
    put(&mode.DhcpAck, 1, "x");
    mode.DhcpAckReceived = TRUE;
    network_find(NULL);
}

TEST("network: the longest path, of whatever characters, is no name, and one of 400 bytes is") {
    static struct file file = {.path = u"\\", .where = ""};
    set_up_server();
    for (unsigned i = 1; i + 1 < FILE_PATH_UNITS; i++)
        file.path[i] = 0x4e2d;
    assert_int_equal(network_open(&file), EFI_INVALID_PARAMETER);
    file.path[1 + 133] = '\0';
    assert_int_equal(network_open(&file), EFI_SUCCESS);
    assert_int_equal(strlen(asked), 399);
    file.path[1 + 133] = 'x';
    file.path[1 + 134] = '\0';
    assert_int_equal(network_open(&file), EFI_SUCCESS);
    assert_int_equal(strlen(asked), 400);
    tear_down();
}

TEST("network: a size that firmware does not write is not known") {
    static struct file file = {.path = u"\\x", .where = ""};
    set_up_server();
    says_size = false;
    assert_int_equal(network_open(&file), EFI_OUT_OF_RESOURCES); // for the whole file
    tear_down();
}

TEST("network: a server that refuses options when it is to send is asked for as much without") {
    static struct file file = {.path = u"\\x", .bytes = 7};
    char contents[7];
    set_up_server();
    takes_no_blocks = true;
    assert_int_equal(network_read(&file, contents), EFI_SUCCESS);
    tear_down();
}
