// Scenarios of where files come from, and of EFI images.
#include "tests/firmware/faults/faults.h"
#include "tests/firmware/setup_disc.h"
#include "tests/firmware/setup_network.h"

#include <string.h>

static const EFI_DEVICE_PATH end_path = {
    END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(end_path), 0}};

// The kernel is on one volume, a module on another, which is connected first.
static void set_up_volumes(void) {
    static const struct {
        HARDDRIVE_DEVICE_PATH drive;
        EFI_DEVICE_PATH end;
    } __attribute__((packed)) path = {
        {{MEDIA_DEVICE_PATH, MEDIA_HARDDRIVE_DP, {42, 0}}, 1, 0, 0, {1}, 2, SIGNATURE_TYPE_GUID},
        {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {4, 0}}};
    setup_boot("kernel = guid(00000001-0000-0000-0000-000000000000)/kernel.elf\n"
               "module = /empty\nmodule = label(two)/boot/initrd.img\n");
    setup_file("\\boot\\initrd.img")->bytes = 9000;
    setup_file("\\kernel.elf")->volume = fake_add_volume(&path, L"one");
    setup_file("\\boot\\initrd.img")->volume = fake_add_volume(NULL, L"two");
    fake.volumes[1].is_unconnected = true;
}

// One that cannot be opened, or does not tell its name, is missed only if it is the one that is
// asked for.
#define OF_VOLUMES                                                                                 \
    (FAULTS_CALL(FAKE_HANDLE_OPTIONAL) | FAULTS_CALL(FAKE_OPEN_VOLUME) |                           \
     FAULTS_CALL(FAKE_LOCATE_HANDLE) | FAULTS_CALL(FAKE_GET_LABEL) | FAULTS_CALL(FAKE_CONNECT) |   \
     FAULTS_CALL(FAKE_ALLOCATE_PAGES) | FAULTS_CALL(FAKE_HANDLE_PROTOCOL))

static void check_volumes(void) {
    assert_true(fake.volumes[0].opens != 0 && fake.volumes[1].opens != 0);
}

const struct faults_scenario faults_volumes = {
    .name = "several volumes",
    .set_up = set_up_volumes,
    .modules = 2,
    .needs = OF_VOLUMES,
    .survives = OF_VOLUMES,
    .check = check_volumes,
};

// ---- The network

static void set_up_pxe(void) {
    setup_network(SETUP_CONFIG, "", "BOOTX64.EFI");
    setup_served("boot/initrd.img")->bytes = 9000;
}

static void set_up_pxe_without_sizes(void) {
    set_up_pxe();
    fake.server.hides_sizes = true;
}

static void set_up_pxe_without_blocks(void) {
    set_up_pxe();
    fake.server.takes_no_blocks = true;
}

static void set_up_pxe_ipv6(void) {
    static const uint8_t url[] = "\2xyz\0\73\0\35tftp://[2001:db8::1]/a/x.efi";
    setup_network(SETUP_CONFIG, "a/", "");
    setup_served("a/boot/initrd.img")->bytes = 9000;
    memcpy(setup_pxe.DhcpAck.Raw, url, sizeof(url) - 1);
    setup_pxe.UsingIpv6 = TRUE;
}

#define OF_PXE       FAULTS_CALL(FAKE_HANDLE_OPTIONAL)
#define OF_NO_VOLUME FAULTS_CALL(FAKE_HANDLE_PROTOCOL) // there is no file system anyway

static void check_pxe(void) {
    assert_non_null(strstr(fake.server.asked, "read "));
    assert_true(fake.server.hides_sizes || fake.server.takes_no_blocks ||
                fake.server.callbacks != 0);
}

const struct faults_scenario faults_pxe = {
    .name = "PXE",
    .set_up = set_up_pxe,
    .check = check_pxe,
    .modules = 2,
    .needs = OF_PXE,
    .survives = OF_NO_VOLUME,
};
const struct faults_scenario faults_pxe_without_sizes = {
    .name = "PXE, a server that tells no sizes",
    .set_up = set_up_pxe_without_sizes,
    .check = check_pxe,
    .trusts_reads = true,
    .modules = 2,
    .needs = OF_PXE,
    .survives = OF_NO_VOLUME,
};
const struct faults_scenario faults_pxe_without_blocks = {
    .name = "PXE, a server that takes no options",
    .set_up = set_up_pxe_without_blocks,
    .check = check_pxe,
    .modules = 2,
    .needs = OF_PXE,
    .survives = OF_NO_VOLUME,
};
const struct faults_scenario faults_pxe_ipv6 = {
    .name = "PXE by IPv6",
    .set_up = set_up_pxe_ipv6,
    .check = check_pxe,
    .modules = 2,
    .needs = OF_PXE,
    .survives = OF_NO_VOLUME,
};

// ---- Discs

#define DISC_CONFIG "module = /initrd.img\nmodule = \\empty x\n"

static void set_up_disc(void) {
    setup_disc(NULL, DISC_CONFIG);
}

static void set_up_disc_config_on_volume(void) {
    setup_disc(DISC_CONFIG, NULL);
}

#define OF_DISC                                                                                    \
    (FAULTS_CALL(FAKE_HANDLE_OPTIONAL) | FAULTS_CALL(FAKE_LOCATE_DEVICE_PATH) |                    \
     FAULTS_CALL(FAKE_READ_DISK))

static void check_disc(void) {
    assert_ptr_not_equal(memchr(fake.kinds, FAKE_READ_DISK, fake.calls), NULL);
}

const struct faults_scenario faults_disc = {
    .name = "a disc",
    .set_up = set_up_disc,
    .check = check_disc,
    .modules = 2,
    .needs = OF_DISC,
};
const struct faults_scenario faults_disc_config_on_volume = {
    .name = "a disc, the config on the volume",
    .set_up = set_up_disc_config_on_volume,
    .check = check_disc,
    .modules = 2,
    .needs = OF_DISC,
};

// ---- Images

static void set_up_application(void) {
    setup_image("cmdline = a b\n", pe_file_make);
    fake.device_path = &end_path;
}

static void set_up_linux(void) {
    setup_image("cmdline = a b\nmodule = \\boot\\initrd.img\nmodule = \\empty\ndigest = sha256\n",
                pe_file_make_linux);
    setup_file("\\boot\\initrd.img")->bytes = 9000;
    fake.device_path = &end_path;
}

static void set_up_large_initrd(void) {
    setup_image("module = \\large\n", pe_file_make_linux);
    faults_add_large();
    fake.device_path = &end_path;
}

static EFI_STATUS return_error([[maybe_unused]] EFI_LOADED_IMAGE *image) {
    return EFI_CRC_ERROR;
}

// With a text, an error, and lines that are shown.
static void set_up_returning(void) {
    static const char config[] = "log = debug\nmodule = \\empty\n";
    set_up_linux();
    setup_file("\\slipway.conf")->contents = config;
    setup_file("\\slipway.conf")->bytes = sizeof(config) - 1;
    fake.exit_data = L"text";
    fake.exit_data_bytes = 10;
    fake.in_image = return_error;
}

static void set_up_from_server(void) {
    setup_network("kernel = /a.efi\n", "", "x.efi");
    pe_file_make(setup_pe);
    fake_add_file("a.efi", setup_pe, sizeof(setup_pe))->volume = FAKE_ON_SERVER;
}

const struct faults_scenario faults_efi_application = {
    .name = "EFI application",
    .set_up = set_up_application,
    .goal = FAULTS_IMAGE,
};
const struct faults_scenario faults_efi_from_server = {
    .name = "EFI application by PXE",
    .set_up = set_up_from_server,
    .check = check_pxe,
    .goal = FAULTS_IMAGE,
    .needs = OF_PXE,
    .survives = OF_NO_VOLUME,
};
const struct faults_scenario faults_linux = {
    .name = "Linux with two initrds",
    .set_up = set_up_linux,
    .goal = FAULTS_IMAGE,
};
const struct faults_scenario faults_linux_large_initrd = {
    .name = "Linux with a large initrd",
    .set_up = set_up_large_initrd,
    .goal = FAULTS_IMAGE,
    .looks_at_map = true,
    .survives = FAULTS_CALL(FAKE_ALLOCATE_PAGES) | FAULTS_CALL(FAKE_GET_MEMORY_MAP),
    .check = faults_check_large,
};
const struct faults_scenario faults_linux_returns = {
    .name = "Linux that returns an error",
    .set_up = set_up_returning,
    .goal = FAULTS_REFUSAL,
    .refusal = "has returned an error",
    .talks = true,
};
