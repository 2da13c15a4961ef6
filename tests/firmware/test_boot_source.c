// Where the loader came from, in the hand-over: what the firmware tells of partition, volume, path
// and server, and nothing where it tells nothing, or what cannot be.
#include "common/base/arith.h"
#include "tests/firmware/setup.h"

#include <stdlib.h>
#include <string.h>

#define GPT MBR_TYPE_EFI_PARTITION_TABLE_HEADER

static const uint8_t nothing[16];
static const uint8_t signature[16] = {0xa1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

// Device paths in the making. The copy that the loader gets is as long as it is and not aligned.
struct path {
    uint8_t bytes[16384];
    uint64_t used;
    char *copy;
};

static struct path device_path, image_path;

static void add_node(struct path *path, uint8_t type, uint8_t subtype, const void *data,
                     uint64_t data_bytes) {
    uint64_t bytes = 4 + data_bytes;
    const uint8_t head[] = {type, subtype, (uint8_t)bytes, (uint8_t)(bytes >> 8)};
    memcpy(path->bytes + path->used, head, sizeof(head));
    if (data_bytes != 0)
        memcpy(path->bytes + path->used + sizeof(head), data, data_bytes);
    path->used += bytes;
}

static void add_drive(uint32_t number, uint8_t table, uint8_t signature_type, uint64_t data_bytes) {
    uint8_t data[64] = {0};
    memcpy(data, &number, sizeof(number));
    memset(data + 4, 0x77, 16); // where it is
    memcpy(data + 20, signature, sizeof(signature));
    data[36] = table;
    data[37] = signature_type;
    add_node(&device_path, MEDIA_DEVICE_PATH, MEDIA_HARDDRIVE_DP, data, data_bytes);
}

static void add_file(const CHAR16 *name, uint64_t units) {
    add_node(&image_path, MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, name, units * sizeof(*name));
}

#define ADD_FILE(name) add_file(name, sizeof(name) / sizeof(CHAR16))

static const void *end_path(struct path *path) {
    add_node(path, END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, NULL, 0);
    free(path->copy);
    path->copy = malloc(path->used + 1);
    memcpy(path->copy + 1, path->bytes, path->used);
    return path->copy + 1;
}

static void set_up(void) {
    setup_boot(NULL);
    device_path.used = image_path.used = 0;
    // A PCI device: (type 1, subtype 1).
    add_node(&device_path, HARDWARE_DEVICE_PATH, HW_PCI_DP, "\0\x1f", 2);
}

static const struct slipway_boot_info *boot(void) {
    fake_boot();
    return setup_expect_kernel();
}

static void expect_partition(uint32_t kind, const uint8_t *id, uint32_t number) {
    fake.device_path = end_path(&device_path);
    const struct slipway_boot_info *info = boot();
    assert_int_equal(info->partition_id_kind, kind);
    assert_memory_equal(info->partition_id, id, 16);
    assert_int_equal(info->partition_number, number);
}

TEST(
    "boot source: a partition of a GPT is told by its GUID, one of an MBR by the disk's signature") {
    static const uint8_t mbr_id[16] = {0xa1, 2, 3, 4};
    set_up();
    add_drive(1, GPT, SIGNATURE_TYPE_GUID, 38);
    expect_partition(SLIPWAY_PARTITION_GPT, signature, 1);
    set_up();
    add_drive(0x12345678, MBR_TYPE_PCAT, SIGNATURE_TYPE_MBR, 38);
    expect_partition(SLIPWAY_PARTITION_MBR, mbr_id, 0x12345678);
    set_up();
    add_drive(3, MBR_TYPE_PCAT, 0, 38); // no signature
    expect_partition(SLIPWAY_PARTITION_NONE, nothing, 3);
    set_up();
    add_drive(4, MBR_TYPE_PCAT, 3, 38);
    expect_partition(SLIPWAY_PARTITION_NONE, nothing, 4);
}

TEST("boot source: of several partitions in a path the last one counts") {
    set_up();
    add_drive(1, GPT, SIGNATURE_TYPE_GUID, 38);
    add_drive(2, MBR_TYPE_PCAT, 0, 38);
    expect_partition(SLIPWAY_PARTITION_NONE, nothing, 2);
}

TEST("boot source: a device that is not a partition, or has no path, is none") {
    set_up();
    expect_partition(SLIPWAY_PARTITION_NONE, nothing, 0);
    set_up();
    add_node(&device_path, MEDIA_DEVICE_PATH, MEDIA_CDROM_DP, signature, 16);
    add_node(&device_path, MESSAGING_DEVICE_PATH, MEDIA_HARDDRIVE_DP, setup_module, 38);
    expect_partition(SLIPWAY_PARTITION_NONE, nothing, 0);
    set_up();
    const struct slipway_boot_info *info = boot();
    assert_int_equal(info->partition_id_kind, SLIPWAY_PARTITION_NONE);
    assert_memory_equal(info->partition_id, nothing, 16);
}

TEST("boot source: a node that is shorter than its kind is not read, one that is longer is") {
    set_up();
    add_drive(1, GPT, SIGNATURE_TYPE_GUID, 37);
    expect_partition(SLIPWAY_PARTITION_NONE, nothing, 0);
    set_up();
    add_drive(1, GPT, SIGNATURE_TYPE_GUID, 41);
    expect_partition(SLIPWAY_PARTITION_GPT, signature, 1);
}

TEST("boot source: a path whose nodes do not lead on ends there, and so does an endless one") {
    for (uint8_t length = 0; length < 4; length++) {
        set_up();
        device_path.bytes[2] = length; // of the first node
        add_drive(1, GPT, SIGNATURE_TYPE_GUID, 38);
        expect_partition(SLIPWAY_PARTITION_NONE, nothing, 0);
    }
    for (unsigned more = 62; more < 64; more++) {
        set_up();
        for (unsigned i = 0; i < more; i++)
            add_node(&device_path, HARDWARE_DEVICE_PATH, HW_PCI_DP, "\0\1", 2);
        add_drive(1, GPT, SIGNATURE_TYPE_GUID, 38);
        bool is_read = more == 62;
        expect_partition(is_read ? SLIPWAY_PARTITION_GPT : SLIPWAY_PARTITION_NONE,
                         is_read ? signature : nothing, is_read);
    }
    set_up(); // the end of one of several instances
    add_node(&device_path, END_DEVICE_PATH_TYPE, END_INSTANCE_DEVICE_PATH_SUBTYPE, NULL, 0);
    add_drive(1, GPT, SIGNATURE_TYPE_GUID, 38);
    expect_partition(SLIPWAY_PARTITION_NONE, nothing, 0);
}

static void expect_path(const char *want) {
    fake.image_path = end_path(&image_path);
    setup_expect_text(&boot()->loader_path, want);
}

TEST("boot source: the loader's path is that of its image, in UTF-8") {
    set_up();
    ADD_FILE(L"\\EFI\\BOOT\\BOOTX64.EFI");
    expect_path("\\EFI\\BOOT\\BOOTX64.EFI");
    set_up();
    ADD_FILE(L"\\L\x00e4"
             L"der\\\x20ac\\\xd83d\xde00.efi");
    expect_path("\\L\xc3\xa4"
                "der\\\xe2\x82\xac\\\xf0\x9f\x98\x80.efi");
    set_up();
    add_file(L"\\a.efi", 6); // without a NUL
    expect_path("\\a.efi");
}

TEST("boot source: a path in several nodes is joined, with one separator between them") {
    set_up();
    ADD_FILE(L"\\EFI");
    ADD_FILE(L"BOOT\\");
    ADD_FILE(L"\\x\\");
    ADD_FILE(L"");
    add_file(L"", 0);
    add_node(&image_path, MEDIA_DEVICE_PATH, MEDIA_PROTOCOL_DP, signature, 16);
    ADD_FILE(L"loader.efi");
    expect_path("\\EFI\\BOOT\\\\x\\loader.efi"); // both wrote one: as the firmware has it
}

TEST("boot source: of an endless path of an image 64 nodes are looked at") {
    static char want[2 * 64] = "a";
    set_up();
    for (unsigned i = 0; i < 65; i++)
        ADD_FILE(L"a");
    for (unsigned i = 1; i < 64; i++)
        strcat(want, "\\a");
    expect_path(want);
}

TEST("boot source: an image without a path, or with one that is no file's, has an empty path") {
    set_up();
    setup_expect_text(&boot()->loader_path, "");
    set_up();
    add_node(&image_path, MEDIA_DEVICE_PATH, MEDIA_PIWG_FW_FILE_DP, signature, 16);
    add_node(&image_path, MESSAGING_DEVICE_PATH, MEDIA_FILEPATH_DP, L"a", 4);
    expect_path("");
}

TEST("boot source: a path of 511 characters is handed over, a longer one is not") {
    static CHAR16 name[514];
    static char want[513];
    for (unsigned i = 0; i < 513; i++)
        name[i] = L'x';
    memset(want, 'x', 512);
    set_up();
    add_file(name, 512);
    expect_path(want);
    set_up();
    add_file(name, 513);
    expect_path("");
    set_up();
    add_file(name, 511);
    add_file(name, 1); // and a separator
    expect_path("");
    set_up();
    add_file(name, 510);
    add_file(name, 1);
    want[510] = '\\';
    expect_path(want);
}

static void expect_label(const CHAR16 *label, uint64_t units, const char *want) {
    setup_boot(NULL);
    fake.label = label;
    fake.label_units = units;
    setup_expect_text(&boot()->volume_label, want);
}

TEST("boot source: the volume's label is handed over in UTF-8, with a NUL or without one") {
    static CHAR16 label[66];
    static char want[65];
    for (unsigned i = 0; i < 65; i++)
        label[i] = L'y';
    memset(want, 'y', 64);
    expect_label(L"ESP", 4, "ESP");
    expect_label(L"\x00dc"
                 L"b",
                 2,
                 "\xc3\x9c"
                 "b");
    expect_label(L"", 1, "");
    expect_label(L"", 0, "");
    expect_label(label, 64, want);
    expect_label(label, 65, "");
    expect_label(NULL, 0, "");
}

TEST(
    "boot source: a file system that says that its label is longer than the room for it has none") {
    setup_boot(NULL);
    static const CHAR16 label[100] = L"a label";
    fake.label = label;
    fake.label_units = 65;
    fake.label_lies = true;
    setup_expect_text(&boot()->volume_label, "");
}

static EFI_PXE_BASE_CODE_MODE pxe;

// Packets with an address each: which ones have come, and whose counts.
static void expect_server(bool dhcp, bool proxy, bool reply, uint32_t kind, uint8_t first) {
    setup_boot(NULL);
    fake.pxe = &pxe;
    pxe.DhcpAckReceived = dhcp;
    pxe.ProxyOfferReceived = proxy;
    pxe.PxeReplyReceived = reply;
    const struct slipway_boot_info *info = boot();
    const uint8_t address_4[16] = {first, 0, 2, 1};
    const uint8_t address_6[16] = {0x20, first, [15] = 0x42};
    assert_int_equal(info->server_kind, kind);
    assert_memory_equal(info->server_address,
                        kind == SLIPWAY_SERVER_NONE   ? nothing
                        : kind == SLIPWAY_SERVER_IPV4 ? address_4
                                                      : address_6,
                        16);
}

TEST("boot source: the server's address is that of the newest packet that has one") {
    memset(&pxe, 0, sizeof(pxe));
    memcpy(pxe.DhcpAck.Dhcpv4.BootpSiAddr, "\x01\0\2\1", 4);
    memcpy(pxe.ProxyOffer.Dhcpv4.BootpSiAddr, "\x02\0\2\1", 4);
    memcpy(pxe.PxeReply.Dhcpv4.BootpSiAddr, "\x03\0\2\1", 4);
    expect_server(true, false, false, SLIPWAY_SERVER_IPV4, 1);
    expect_server(true, true, false, SLIPWAY_SERVER_IPV4, 2);
    expect_server(true, true, true, SLIPWAY_SERVER_IPV4, 3);
    expect_server(true, false, true, SLIPWAY_SERVER_IPV4, 3);
    expect_server(false, false, false, SLIPWAY_SERVER_NONE, 0);
    memset(pxe.PxeReply.Dhcpv4.BootpSiAddr, 0, 4);
    expect_server(true, true, true, SLIPWAY_SERVER_IPV4, 2);
    expect_server(false, false, true, SLIPWAY_SERVER_NONE, 0);
}

static void put_url(EFI_PXE_BASE_CODE_PACKET *packet, const char *url) {
    const uint8_t head[] = {2, 0, 0, 0, 0, 59, 0, (uint8_t)strlen(url)};
    memcpy(packet->Raw, head, sizeof(head));
    memcpy(packet->Raw + sizeof(head), url, strlen(url));
}

TEST("boot source: with IPv6 the server's address is that in the newest URL that has one") {
    memset(&pxe, 0, sizeof(pxe));
    pxe.UsingIpv6 = true;
    put_url(&pxe.DhcpAck, "tftp://[2001::42]/a");
    put_url(&pxe.ProxyOffer, "tftp://[2002::42]/a");
    put_url(&pxe.PxeReply, "tftp://server/a");
    expect_server(true, false, false, SLIPWAY_SERVER_IPV6, 1);
    expect_server(true, true, true, SLIPWAY_SERVER_IPV6, 2);
    expect_server(false, false, true, SLIPWAY_SERVER_NONE, 0);
}

TEST("boot source: a device without the network's protocol, or whose protocol has no mode") {
    setup_boot(NULL);
    assert_int_equal(boot()->server_kind, SLIPWAY_SERVER_NONE);
    setup_boot(NULL);
    fake.pxe_has_no_mode = true;
    assert_int_equal(boot()->server_kind, SLIPWAY_SERVER_NONE);
}

TEST("boot source: without any of it the boot goes on, with one call for each") {
    static const enum fake_call calls[] = {FAKE_HANDLE_OPTIONAL, FAKE_GET_LABEL};
    for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
        set_up();
        add_drive(1, GPT, SIGNATURE_TYPE_GUID, 38);
        fake.device_path = end_path(&device_path);
        fake.label = L"ESP";
        fake.label_units = 3;
        fake.refused = calls[i];
        const struct slipway_boot_info *info = boot();
        assert_int_equal(info->partition_number, i != 0);
        assert_int_equal(info->volume_label.bytes, i != 1 ? 3 : 0);
        unsigned made = 0;
        for (uint64_t call = 0; call < fake.calls; call++)
            made += fake.kinds[call] == calls[i];
        assert_int_equal(made, i == 0 ? 3 : 1); // the device path twice
    }
}
