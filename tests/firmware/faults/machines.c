// Scenarios of what firmware, CPU and kernel can do: facts, displays, memory that is code, other
// CPUs, places at random, the Limine protocol.
#include "common/crash/crash.h"
#include "tests/firmware/faults/faults.h"
#include "tests/firmware/setup_kaslr.h"
#include "tests/firmware/setup_limine.h"

#include <string.h>

// The firmware and the CPU tell all that they can.
static void set_up_facts(void) {
    static const uint64_t numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t log[32]; // an event without data
    static EFI_PXE_BASE_CODE_MODE pxe = {.DhcpAckReceived = TRUE};
    static const EFI_DEVICE_PATH path = {
        END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(path), 0}};
    faults_set_up_plain();
    pxe.DhcpAck.Dhcpv4.BootpSiAddr[0] = 10;
    fake.rng = numbers;
    fake.label = L"label";
    fake.label_units = 5;
    fake.device_path = fake.image_path = &path;
    fake.pxe = &pxe;
    fake.has_tpm = true;
    fake.tpm_logs[1].events = log;
}

static void check_facts(void) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->volume_label.bytes, 5);
    assert_int_equal(info->server_kind, SLIPWAY_SERVER_IPV4);
    assert_true((info->entropy_sources & SLIPWAY_ENTROPY_FIRMWARE) && info->tpm_log.bytes != 0);
}

// Without its file system a device that has a server is booted from there.
const struct faults_scenario faults_all_facts = {
    .name = "all facts",
    .set_up = set_up_facts,
    .modules = 2,
    .needs = FAULTS_CALL(FAKE_HANDLE_PROTOCOL),
    .check = check_facts,
};

// ---- Displays

#define FIRST_PICTURE  UINT64_C(0x60000000) // below what the address sanitizer keeps
#define SECOND_PICTURE UINT64_C(0x70000000)

#define FIRST_ROW_BYTES (640 * 4 * 16) // of text

// The loader draws there when it stops the machine.
static void map_pictures(void) {
    static bool are_mapped;
    if (!are_mapped) {
        fake_map(FIRST_PICTURE, UINT64_C(800) * 600 * 4);
        fake_map(SECOND_PICTURE, UINT64_C(800) * 600 * 4);
    }
    are_mapped = true;
}

static void set_up_displays(void) {
    static const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION modes[] = {
        {0, 640, 480, PixelBlueGreenRedReserved8BitPerColor, {0, 0, 0, 0}, 640},
        {0, 800, 600, PixelBlueGreenRedReserved8BitPerColor, {0, 0, 0, 0}, 800},
    };
    setup_boot(SETUP_CONFIG "log = debug\n");
    setup_file("\\boot\\initrd.img")->bytes = 9000;
    map_pictures();
    memset((void *)(uintptr_t)FIRST_PICTURE, 0, FIRST_ROW_BYTES);
    struct fake_display *first = fake_add_display(FIRST_PICTURE, 640, 480);
    first->modes = modes;
    first->mode_count = ARRAY_LEN(modes);
    fake_add_display(SECOND_PICTURE, 800, 600);
}

static void check_displays(void) {
    assert_int_equal(setup_expect_kernel()->framebuffers.count, 2);
}

// A display that lacks what failed is no reason not to boot.
const struct faults_scenario faults_displays = {
    .name = "displays and a talkative loader",
    .set_up = set_up_displays,
    .modules = 2,
    .talks = true,
    .survives = FAULTS_CALL(FAKE_HANDLE_PROTOCOL),
    .check = check_displays,
};

static void set_up_resolution(void) {
    static const char config[] = "resolution = 800x600\n";
    set_up_displays();
    setup_file("\\slipway.conf")->contents = config;
    setup_file("\\slipway.conf")->bytes = sizeof(config) - 1;
}

static void check_resolution(void) {
    assert_int_equal(fake.displays[0].sets, 1);
}

const struct faults_scenario faults_resolution = {
    .name = "a mode is set",
    .set_up = set_up_resolution,
    .survives = FAULTS_CALL(FAKE_HANDLE_PROTOCOL),
    .check = check_resolution,
};

// ---- The machine

static void set_up_wishes(uint32_t flags) {
    faults_set_up_plain();
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION, .flags = flags});
}

static void set_up_crash(void) {
    static const char report[] = "PANIC: of the last kernel\nin two lines\n";
    void *place = (void *)(uintptr_t)fake_crash_places[0];
    set_up_wishes(SLIPWAY_NOTE_CRASH);
    memset(place, 0xa5, FAKE_CRASH_BYTES);
    struct crash_writer writer = crash_begin(place, FAKE_CRASH_BYTES, 0);
    crash_append(&writer, report, sizeof(report) - 1);
}

static void check_crash(void) {
    assert_true(setup_expect_kernel()->crash_report.bytes != 0);
    assert_non_null(strstr(fake.console, "PANIC: of the last kernel"));
}

const struct faults_scenario faults_crash_report = {
    .name = "a report of the last kernel's",
    .set_up = set_up_crash,
    .modules = 2,
    .talks = true,
    .check = check_crash,
};

static void set_up_stale_key(void) {
    faults_set_up_plain();
    fake.exit_refusals = 2;
}

static void check_stale_key(void) {
    assert_int_equal(fake.exits, 3);
}

const struct faults_scenario faults_stale_key = {
    .name = "a key that is stale twice",
    .set_up = set_up_stale_key,
    .modules = 2,
    .check = check_stale_key,
};

// With memory of the CPUs' own, and a startup page.
static void set_up_cpus_with(uint32_t flags) {
    set_up_wishes(SLIPWAY_NOTE_CPUS | flags);
    fake_add_cpu(1);
    fake_add_cpu(2)->comes_at = 2;
}

static void set_up_nx(void) {
    set_up_cpus_with(0);
}

static void set_up_without_rights(void) {
    set_up_cpus_with(0);
    fake.has_attributes = false;
    fake.attributes = 0;
}

static void set_up_direct(void) {
    set_up_cpus_with(SLIPWAY_NOTE_DIRECT);
}

// The last thing that is found out before the firmware is left.
static void set_up_unmet(void) {
    faults_set_up_plain();
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION,
                                              .ram_floor_bytes = GIB(1024)});
}

static bool has_called(enum fake_call call) {
    return memchr(fake.kinds, (int)call, fake.calls) != NULL;
}

static void check_others(void) {
    assert_int_equal(setup_count_others(setup_expect_kernel()), 2);
    assert_true(has_called(FAKE_LOCATE_PROTOCOL));
}

static void check_direct(void) {
    check_others();
    assert_true(setup_is_direct(setup_expect_kernel()));
}

const struct faults_scenario faults_nx_firmware = {
    .name = "NX firmware, other CPUs",
    .set_up = set_up_nx,
    .modules = 2,
    .check = check_others,
};
const struct faults_scenario faults_firmware_without_rights = {
    .name = "firmware without rights, other CPUs",
    .set_up = set_up_without_rights,
    .modules = 2,
    .check = check_others,
};
const struct faults_scenario faults_direct_stacks = {
    .name = "stacks in the direct map",
    .set_up = set_up_direct,
    .modules = 2,
    .check = check_direct,
};

const struct faults_scenario faults_unmet_wish = {
    .name = "a wish for more RAM than there is",
    .set_up = set_up_unmet,
    .goal = FAULTS_REFUSAL,
    .refusal = "the kernel wants ",
    .looks_at_map = true,
};

static void set_up_five_levels(void) {
    faults_set_up_plain();
    fake.has_la57 = true;
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION, .paging_levels = 5});
}

static void check_five_levels(void) {
    assert_int_equal(setup_expect_kernel()->paging_levels, 5);
}

const struct faults_scenario faults_five_levels = {
    .name = "five paging levels",
    .set_up = set_up_five_levels,
    .modules = 2,
    .check = check_five_levels,
};

// ---- Random places

static void set_up_sources(uint32_t sources) {
    setup_kaslr(SETUP_CONFIG, (struct slipway_note_wishes){.flags = SLIPWAY_NOTE_KASLR}, 1);
    setup_file("\\boot\\initrd.img")->bytes = 9000;
    setup_add_sources(sources, 1);
}

static void set_up_by_cpu(void) {
    set_up_sources(SLIPWAY_ENTROPY_RDSEED | SLIPWAY_ENTROPY_RDRAND);
}

static void set_up_by_firmware(void) {
    set_up_sources(SLIPWAY_ENTROPY_FIRMWARE);
}

static void set_up_without_entropy(void) {
    set_up_sources(0);
}

static void check_moved(void) {
    assert_int_equal(setup_expect_kernel()->kaslr.moved,
                     SLIPWAY_KASLR_IMAGE | SLIPWAY_KASLR_DIRECT);
}

static void check_unmoved(void) {
    assert_int_equal(setup_expect_kernel()->kaslr.moved, 0);
}

const struct faults_scenario faults_kaslr_by_cpu = {
    .name = "KASLR by the CPU's numbers",
    .set_up = set_up_by_cpu,
    .check = check_moved,
    .modules = 2,
    .is_random = true,
};
const struct faults_scenario faults_kaslr_by_firmware = {
    .name = "KASLR by EFI_RNG_PROTOCOL",
    .set_up = set_up_by_firmware,
    .check = check_moved,
    .modules = 2,
    .is_random = true,
};
const struct faults_scenario faults_kaslr_without_entropy = {
    .name = "KASLR without entropy",
    .set_up = set_up_without_entropy,
    .check = check_unmoved,
    .modules = 2,
};

// ---- The Limine protocol

static uint64_t asked; // where the kernel is told of other CPUs

// A kernel that asks for its file, for CPUs, and for a module of its own.
static void set_up_limine_with(const char *config) {
    setup_boot(config);
    setup_file("\\boot\\initrd.img")->bytes = 9000;
    setup_limine(6);
    fake_add_cpu(1);
    const struct limine_internal_module module = {
        .path = setup_limine_add("boot/initrd.img", sizeof("boot/initrd.img")),
    };
    uint64_t address = setup_limine_add(&module, sizeof(module));
    uint64_t list = setup_limine_add(&address, sizeof(address));
    setup_limine_ask(LIMINE_MODULE, 1, 2, (uint64_t[]){1, list});
    setup_limine_ask(LIMINE_EXECUTABLE_FILE, 0, 0, NULL);
    asked = setup_limine_ask(LIMINE_MP, 0, 1, (uint64_t[]){0});
}

static void set_up_limine(void) {
    set_up_limine_with("module = \\empty\n");
}

static void set_up_limine_moved(void) {
    set_up_limine_with("module = \\empty\nkaslr = on\n");
    setup_add_sources(SLIPWAY_ENTROPY_FIRMWARE, 1);
}

static void check_limine(void) {
    assert_non_null(setup_limine_response(asked));
}

const struct faults_scenario faults_limine = {
    .name = "Limine protocol",
    .set_up = set_up_limine,
    .check = check_limine,
    .goal = FAULTS_LIMINE,
};
const struct faults_scenario faults_limine_moved = {
    .name = "Limine protocol, KASLR",
    .set_up = set_up_limine_moved,
    .check = check_limine,
    .goal = FAULTS_LIMINE,
    .is_random = true,
};
