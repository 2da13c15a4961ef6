// Every call of the firmware fails once, in every way: each boot ends in a message that names what
// failed, with everything given back, or in the kernel.
#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "common/hash/sha256.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/setup_limine.h"
#include "tests/unit/support/elf_parts.h"

#include <string.h>

#define SOME_CALLS 40 // a boot makes more than that

static const EFI_STATUS statuses[] = {
    EFI_OUT_OF_RESOURCES, EFI_DEVICE_ERROR, EFI_INVALID_PARAMETER, EFI_NOT_FOUND,
    EFI_UNSUPPORTED,      EFI_NO_MEDIA,     EFI_VOLUME_CORRUPTED,  EFI_BUFFER_TOO_SMALL,
};

// What the message speaks of when a call fails that is not about a file; with none of these the
// boot must go on.
static const char *const subjects[FAKE_CALLS][4] = {
    [FAKE_ALLOCATE_PAGES] = {"no room for"},
    [FAKE_GET_MEMORY_MAP] = {"memory map: ", "memory map cannot be read"},
    // Without its file system a device that has a server is booted from there.
    [FAKE_HANDLE_PROTOCOL] = {"own image: ", "boot device: ", "cannot be given load options",
                              "tftp://10.0.0.0/kernel.elf: not found"},
    [FAKE_OPEN_VOLUME] = {"boot device: "},
    [FAKE_LOAD_IMAGE] = {"\\kernel.elf: cannot be loaded"},
    [FAKE_START_IMAGE] = {"\\kernel.elf: "},
    [FAKE_INSTALL] = {"initrd: "},
};

static bool speaks_of(const char *line, enum fake_call call) {
    for (size_t i = 0; i < ARRAY_LEN(subjects[call]); i++) {
        if (subjects[call][i] != NULL && strstr(line, subjects[call][i]) != NULL)
            return true;
    }
    return false;
}

#define SERVER "tftp://10.0.0.0" // which is asked for a file that the volume lacks

// Whether the line begins with the path, whatever the separators.
static bool names_file(const char *line, const char *path) {
    if (strncmp(line, SERVER, sizeof(SERVER) - 1) == 0)
        line += sizeof(SERVER) - 1;
    while (*path != '\0' && (*line == *path || (*line == '/' && *path == '\\'))) {
        line++;
        path++;
    }
    return *path == '\0';
}

static void expect_message(enum fake_call call) {
    const char *line;
    setup_expect_return(&line);
    const struct fake_file *file = fake.failed_file;
    bool names_it = file == NULL ? speaks_of(line, call) : names_file(line, file->path);
    if (!names_it)
        fail_msg("call %lu, of kind %d, failed with %lx: '%s'", fake.fail_at, (int)call,
                 fake.fail_status, line);
}

static uint32_t module_count; // that the config of this scenario has

// Some calls the loader can do without, but nothing is missing in what it hands over. (A probe of
// the map answers EFI_BUFFER_TOO_SMALL when it succeeds, and a config that is not found is none.)
static void expect_boot(enum fake_call call) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    bool is_probe = call == FAKE_GET_MEMORY_MAP && fake.fail_status == EFI_BUFFER_TOO_SMALL;
    bool is_config = call == FAKE_OPEN && fake.fail_status == EFI_NOT_FOUND &&
                     strstr(fake.failed_file->path, "slipway.conf") != NULL;
    // Where the image has no room as a whole, that it has none is no failure.
    bool is_whole = call == FAKE_ALLOCATE_PAGES && info->kernel_pieces.count > 1;
    assert_true(subjects[call][0] == NULL || is_probe || is_whole);
    assert_int_equal(info->modules.count, is_config ? 0 : module_count);
}

// Boots with the `number`th call failing; false when there was no such call.
static bool boot_with_failure(void (*set_up)(void), uint64_t number, EFI_STATUS status) {
    set_up();
    fake.fail_at = number;
    fake.fail_status = status;
    fake_boot();
    if (fake.calls < number)
        return false;
    enum fake_call call = (enum fake_call)fake.kinds[number - 1];
    if (fake.end == FAKE_ENTERED)
        expect_boot(call);
    else if (fake.end == FAKE_STOPPED)
        setup_expect_stop("memory map: cannot read the last one (device error)");
    else
        expect_message(call);
    return true;
}

static void set_up_plain(void) {
    setup_boot(SETUP_CONFIG);
}

// The config is beside the loader, and another one in the root.
static void set_up_beside(void) {
    static const struct {
        EFI_DEVICE_PATH head;
        CHAR16 name[8];
        EFI_DEVICE_PATH end;
    } path = {{MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {20, 0}},
              L"\\os\\efi",
              {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {4, 0}}};
    setup_boot(SETUP_CONFIG);
    setup_file("\\slipway.conf")->path = "\\os\\slipway.conf";
    fake_add_file("\\slipway.conf", "", 0);
    fake.image_path = &path;
}

static void set_up_load_options(void) {
    setup_boot(SETUP_CONFIG);
    fake.load_options = L"boot a b";
    fake.load_options_bytes = 18;
    fake.is_shell = true;
}

// The list of what is allocated grows on the way.
static void set_up_many_modules(void) {
    static char config[40 * 12 + 1];
    for (int i = 0; i < 40; i++)
        memcpy(config + 12 * i, "module = \\m\n", 12);
    setup_boot(config);
    fake_add_file("\\m", setup_module, 1);
}

// No free memory has room for the kernel as a whole.
static void set_up_pieces(void) {
    setup_boot(SETUP_CONFIG);
    fake_set_memory(MIB(1), FAKE_ARENA_START - MIB(1), EfiReservedMemoryType);
    fake_set_memory(FAKE_HIGH_PHYS, FAKE_HIGH_BYTES, EfiReservedMemoryType);
    fake_set_memory(FAKE_ARENA_START + MIB(8), FRAME_BYTES, EfiReservedMemoryType);
    setup_kernel.phdrs[ELF_FILE_DATA].mem_bytes = MIB(24);
    elf_file_move(&setup_kernel, FRAME_BYTES); // to no multiple of 2 MiB
}

static void set_up_all(void) {
    setup_boot(SETUP_CONFIG "log = debug\n");
    static const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION modes[] = {
        {0, 640, 480, PixelBlueGreenRedReserved8BitPerColor, {0, 0, 0, 0}, 640},
        {0, 800, 600, PixelBlueGreenRedReserved8BitPerColor, {0, 0, 0, 0}, 800},
    };
    struct fake_display *first = fake_add_display(0xc0000000, 640, 480);
    first->modes = modes;
    first->mode_count = ARRAY_LEN(modes);
    fake_add_display(0xd0000000, 800, 600);
}

// Kernel and five modules, each with its digest, by the CPU's instructions or not; the `wrong`th
// digest, from 1, is another one.
static void set_up_digests(unsigned wrong) {
    static char config[2000];
    static const char *const names[] = {"kernel = \\kernel.elf", "module = \\boot\\initrd.img",
                                        "module = \\empty",      "module = \\a",
                                        "module = \\b",          "module = \\c"};
    setup_boot(NULL);
    fake_add_file("\\a", setup_module, 1);
    fake_add_file("\\b", setup_module, 64);
    fake_add_file("\\c", setup_module, 5000);
    struct fmt_buffer buffer = fmt_buffer_make(config, sizeof(config));
    struct sink sink = fmt_buffer_sink(&buffer);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        uint8_t digest[SHA256_BYTES];
        const struct fake_file *file = setup_file(strchr(names[i], '\\'));
        sha256(file->contents, file->bytes, digest);
        digest[31] ^= i + 1 == wrong;
        fmt_print(&sink, "%s\nsha256 = ", names[i]);
        for (unsigned at = 0; at < SHA256_BYTES; at++)
            fmt_print(&sink, "%02x", digest[at]);
        fmt_print(&sink, "\n");
    }
    fake_add_file("\\slipway.conf", config, buffer.used);
}

static void set_up_right_digests(void) {
    set_up_digests(0);
}

// Every read takes two seconds.
static void pass_two_seconds([[maybe_unused]] uint64_t bytes) {
    fake_pass_time(2 * FAKE_TSC_HZ);
}

static void set_up_slow(void) {
    setup_boot(SETUP_CONFIG);
    fake.in_read = pass_two_seconds;
    fake.console_keeps_cr = true;
}

// With a look at the memory map for a place above 4 GiB.
static void set_up_large(void) {
    static uint8_t large[MIB(2) + 1];
    setup_boot("module = \\large\n");
    fake_add_file("\\large", large, sizeof(large));
}

static void set_up_resolution(void) {
    set_up_all();
    fake.files[fake.file_count - 1].contents = "resolution = 800x600\n";
    fake.files[fake.file_count - 1].bytes = 21;
}

static void set_up_refused_exit(void) {
    setup_boot(SETUP_CONFIG);
    fake.exit_refusals = 2;
}

// With pages for the lists of the image.
static void set_up_many_headers(void) {
    setup_boot(SETUP_CONFIG);
    setup_kernel.header.phdr_count = ELF_FILE_PHDRS;
}

// With memory of the CPUs' own, and a startup page.
static void set_up_cpus_with(uint32_t flags) {
    setup_boot(SETUP_CONFIG);
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION,
                                              .flags = SLIPWAY_NOTE_CPUS | flags});
    fake_add_cpu(1);
    fake_add_cpu(2)->comes_at = 2;
}

static void set_up_cpus(void) {
    set_up_cpus_with(0);
}

static void set_up_direct(void) {
    set_up_cpus_with(SLIPWAY_NOTE_DIRECT);
}

// With section headers, one section of which is read, and symbols.
static void set_up_symbols(void) {
    static const struct elf64_shdr sections[] = {
        {.type = ELF_SHT_NOTE, .offset = 0x7800, .bytes = sizeof(struct slipway_note)},
        {.type = ELF_SHT_SYMTAB, .offset = 0x5000, .bytes = 0x900, .link = 3, .entry_bytes = 24},
        {.type = ELF_SHT_STRTAB, .offset = 0x6000, .bytes = 0x10},
    };
    setup_boot(SETUP_CONFIG);
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION,
                                              .flags = SLIPWAY_NOTE_SYMBOLS});
    setup_kernel.header.phdr_count--;
    memmove((char *)&setup_kernel + 0x7800, (char *)&setup_kernel + 0x2000,
            sizeof(struct slipway_note));
    memset((char *)&setup_kernel + 0x2000, 0, sizeof(struct slipway_note));
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        elf_parts_add_section(&setup_kernel, 0x7000, sections[i]);
    setup_kernel.header.names_index = 3;
    ((char *)&setup_kernel)[0x600f] = 0;
}

// A kernel of the Limine protocol that asks for its file, for CPUs, and for a module of its own.
static void set_up_limine(void) {
    setup_boot("module = \\empty\n");
    setup_limine(6);
    fake_add_cpu(1);
    const struct limine_internal_module module = {
        .path = setup_limine_add("boot/initrd.img", sizeof("boot/initrd.img")),
    };
    uint64_t address = setup_limine_add(&module, sizeof(module));
    uint64_t list = setup_limine_add(&address, sizeof(address));
    setup_limine_ask(LIMINE_MODULE, 1, 2, (uint64_t[]){1, list});
    setup_limine_ask(LIMINE_EXECUTABLE_FILE, 0, 0, NULL);
    setup_limine_ask(LIMINE_MP, 0, 1, (uint64_t[]){0});
}

static void set_up_no_cpus(void) {
    setup_boot(SETUP_CONFIG);
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION});
}

// The firmware and the CPU tell all that they can.
static void set_up_told(void) {
    static const uint64_t numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t log[32]; // an event without data
    static EFI_PXE_BASE_CODE_MODE pxe = {.DhcpAckReceived = TRUE};
    static const EFI_DEVICE_PATH path = {
        END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(path), 0}};
    setup_boot(SETUP_CONFIG);
    pxe.DhcpAck.Dhcpv4.BootpSiAddr[0] = 10;
    fake.rng = numbers;
    fake.label = L"label";
    fake.label_units = 5;
    fake.device_path = fake.image_path = &path;
    fake.pxe = &pxe;
    fake.has_tpm = true;
    fake.tpm_logs[1].events = log;
}

static uint64_t fail_every_call(void (*set_up)(void), EFI_STATUS status) {
    uint64_t number = 1;
    module_count = set_up == set_up_right_digests ? 5 : set_up == set_up_many_modules ? 40 : 2;
    while (boot_with_failure(set_up, number, status))
        number++;
    setup_expect_kernel(); // nothing failed in the last one
    return number - 1;
}

// What came of the `number`th call's failure, alone.
static void check_told(enum fake_call failed, uint64_t number) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    bool lacks_label = failed == FAKE_GET_LABEL;
    bool lacks_rng = !(info->entropy_sources & SLIPWAY_ENTROPY_FIRMWARE);
    bool lacks_log = info->tpm_log.bytes == 0;
    bool lacks_server = info->server_kind == SLIPWAY_SERVER_NONE;
    assert_int_equal(info->volume_label.bytes, lacks_label ? 0 : 5);
    int lacking = lacks_rng + lacks_log + lacks_server;
    bool may_lack = failed == FAKE_LOCATE_PROTOCOL || failed == FAKE_GET_RNG ||
                    failed == FAKE_GET_EVENT_LOG || failed == FAKE_HANDLE_OPTIONAL;
    if (lacking > (may_lack ? 1 : 0))
        fail_msg("call %lu, of kind %d, has cost %d facts", number, (int)failed, lacking);
}

TEST("whichever call for a fact fails, in whichever way, the kernel lacks that fact alone") {
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        assert_true(fail_every_call(set_up_told, statuses[i]) > SOME_CALLS);
        uint64_t failures = 0;
        for (uint64_t number = 1; set_up_told(), fake_boot(), number <= fake.calls; number++) {
            enum fake_call call = (enum fake_call)fake.kinds[number - 1];
            bool is_fact = call == FAKE_HANDLE_OPTIONAL || call == FAKE_GET_LABEL ||
                           call == FAKE_LOCATE_PROTOCOL || call == FAKE_GET_RNG ||
                           call == FAKE_GET_EVENT_LOG;
            if (!is_fact)
                continue;
            set_up_told();
            fake.fail_at = number;
            fake.fail_status = statuses[i];
            fake_boot();
            check_told(call, number);
            failures++;
        }
        // Two of the boot device's, the label, two to find protocols, random numbers, two logs.
        assert_int_equal(failures, 8);
    }
}

TEST("whichever call fails, in whichever way, the boot ends cleanly") {
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_true(fail_every_call(set_up_plain, statuses[i]) > SOME_CALLS);
}

// It has no boot_info to look at.
TEST("whichever call fails with a kernel of the Limine protocol, the boot ends cleanly") {
    uint64_t runs = 0;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        for (uint64_t number = 1;; number++, runs++) {
            set_up_limine();
            fake.fail_at = number;
            fake.fail_status = statuses[i];
            fake_boot();
            if (fake.calls < number)
                break;
            enum fake_call call = (enum fake_call)fake.kinds[number - 1];
            if (fake.end == FAKE_ENTERED)
                setup_limine_expect_kernel();
            else if (fake.end == FAKE_STOPPED)
                setup_expect_stop("memory map: cannot read the last one (device error)");
            else
                expect_message(call);
        }
        setup_limine_expect_kernel(); // nothing failed in the last one
    }
    assert_true(runs > SOME_CALLS * ARRAY_LEN(statuses));
    print_message("# %lu runs with a kernel of the Limine protocol\n", runs);
}

TEST("whichever call fails with a kernel in pieces, the boot ends cleanly") {
    set_up_plain();
    fake_boot();
    uint64_t calls = fake.calls;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_true(fail_every_call(set_up_pieces, statuses[i]) > calls + 4);
    assert_int_equal(setup_expect_kernel()->kernel_pieces.count, 2);
}

TEST("whichever call fails with symbols and wishes in a section, the boot ends cleanly") {
    set_up_plain();
    fake_boot();
    uint64_t calls = fake.calls;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        assert_true(fail_every_call(set_up_symbols, statuses[i]) > calls + 7);
        assert_int_equal(setup_expect_kernel()->symbols.symbols.count, 0x900 / 24);
    }
}

TEST("whichever call fails with many program headers, the boot ends cleanly") {
    set_up_plain();
    fake_boot();
    uint64_t calls = fake.calls + 1;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_int_equal(fail_every_call(set_up_many_headers, statuses[i]), calls);
}

// The firmware's generator is the only source.
static void set_up_kaslr(void) {
    static uint64_t numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    set_up_plain();
    setup_wishes((struct slipway_note_wishes){.version = 1, .flags = SLIPWAY_NOTE_KASLR});
    fake.rng = numbers;
}

TEST("whichever call fails when places are random, the boot ends cleanly") {
    set_up_plain();
    fake_boot();
    uint64_t calls = fake.calls;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_int_equal(fail_every_call(set_up_kaslr, statuses[i]), calls + 3);
    assert_int_equal(setup_expect_kernel()->kaslr.moved, SLIPWAY_KASLR_DIRECT);
}

// A display that lacks what failed is no reason not to boot.
static void fail_every_call_with_displays(void (*set_up)(void)) {
    set_up();
    fake_boot();
    uint64_t calls = fake.calls;
    assert_true(calls > SOME_CALLS);
    for (uint64_t number = 1; number <= calls; number++) {
        set_up();
        fake.fail_at = number;
        fake_boot();
        assert_string_equal(fake.breach, "");
        assert_int_equal(fake.open_handles, 0);
        assert_int_equal(fake.pools, 0);
        if (fake.end == FAKE_ENTERED)
            setup_expect_kernel();
        else
            assert_int_equal(fake_allocated_pages(), 0);
    }
}

TEST("whichever call fails with displays and a talkative loader, the boot ends cleanly") {
    fail_every_call_with_displays(set_up_all);
}

TEST("whichever call fails when a mode is set, the boot ends cleanly") {
    set_up_resolution();
    fake_boot();
    assert_int_equal(fake.displays[0].sets, 1);
    fail_every_call_with_displays(set_up_resolution);
}

TEST("whichever call fails with load options, the boot ends cleanly") {
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_true(fail_every_call(set_up_load_options, statuses[i]) > SOME_CALLS);
    setup_expect_text(&setup_expect_kernel()->cmdline, "a b");
}

TEST("whichever call fails with the config beside the loader, the boot ends cleanly") {
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_true(fail_every_call(set_up_beside, statuses[i]) > SOME_CALLS);
}

// The kernel is on one volume, a module on another.
static void set_up_volumes(void) {
    static const struct {
        HARDDRIVE_DEVICE_PATH drive;
        EFI_DEVICE_PATH end;
    } __attribute__((packed)) path = {
        {{MEDIA_DEVICE_PATH, MEDIA_HARDDRIVE_DP, {42, 0}}, 1, 0, 0, {1}, 2, SIGNATURE_TYPE_GUID},
        {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {4, 0}}};
    setup_boot("kernel = guid(00000001-0000-0000-0000-000000000000)/kernel.elf\n"
               "module = /empty\nmodule = label(two)/boot/initrd.img\n");
    setup_file("\\kernel.elf")->volume = fake_add_volume(&path, L"one");
    setup_file("\\boot\\initrd.img")->volume = fake_add_volume(NULL, L"two");
    fake.volumes[1].is_unconnected = true;
}

// One that cannot be opened, or does not tell its name, is missed only if it is the one that is
// asked for; what of the firmware fails then is in the message or the volume is.
TEST("whichever call fails with files on other volumes, the boot ends cleanly") {
    set_up_volumes();
    fake_boot();
    uint64_t calls = fake.calls;
    setup_expect_kernel();
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        uint64_t missed = 0;
        for (uint64_t number = 1; number <= calls; number++) {
            const char *line;
            set_up_volumes();
            fake.fail_at = number;
            fake.fail_status = statuses[i];
            fake_boot();
            if (fake.end == FAKE_RETURNED) {
                setup_expect_return(&line);
                missed += strncmp(line, "guid(", 5) == 0 || strncmp(line, "label(", 6) == 0;
            } else if (fake.end == FAKE_ENTERED) {
                setup_expect_kernel();
            }
            assert_string_equal(fake.breach, "");
            assert_int_equal(fake.open_handles, 0);
        }
        // The list and its pages, path, protocol and root of the one; the same of the other, twice,
        // and its label; and what files take.
        assert_true(missed >= 12);
    }
}

TEST("whichever call fails with many modules, the boot ends cleanly") {
    assert_true(fail_every_call(set_up_many_modules, EFI_OUT_OF_RESOURCES) > 8 * SOME_CALLS);
}

TEST("firmware that fails for ever from some call on ends in a message, or in a stop") {
    setup_boot(SETUP_CONFIG);
    fake_boot();
    uint64_t calls = fake.calls;
    for (uint64_t number = 1; number <= calls; number++) {
        set_up_all();
        fake.fail_at = number;
        fake.fails_on = true;
        fake_boot();
        assert_string_equal(fake.breach, "");
        assert_int_equal(fake.open_handles, 0);
        assert_true(fake.end == FAKE_STOPPED || fake_allocated_pages() == 0);
        assert_true(fake.end != FAKE_ENTERED);
        assert_non_null(strstr(fake.com1, "slipway: "));
    }
}

TEST("whichever call fails with other CPUs to start, the boot ends cleanly") {
    set_up_no_cpus();
    fake_boot();
    uint64_t calls = fake.calls + 2; // for their memory and the startup page
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_int_equal(fail_every_call(set_up_cpus, statuses[i]), calls);
}

TEST("whichever call fails with stacks in the direct map, the boot ends cleanly") {
    set_up_cpus();
    fake_boot();
    uint64_t calls = fake.calls; // it takes no more
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_int_equal(fail_every_call(set_up_direct, statuses[i]), calls);
}

TEST("a volume that cannot be opened is named") {
    setup_boot(SETUP_CONFIG);
    fake.refused = FAKE_OPEN_VOLUME;
    fake.fail_status = EFI_NO_MEDIA;
    fake_boot();
    setup_expect_failure("boot device: cannot open the volume (no medium)");
}

TEST("a call that fails after a refused exit ends in a message and a stop, or in the kernel") {
    assert_true(fail_every_call(set_up_refused_exit, EFI_DEVICE_ERROR) > SOME_CALLS);
}

// ---- Files

TEST("whichever call fails with a large module, the boot ends cleanly") {
    fail_every_call_with_displays(set_up_large);
    assert_int_equal(fake.asked_pages, 512 + 1); // by the last boot, whose last calls fail
}

TEST("whichever call fails with a digest for every file, the boot ends cleanly") {
    uint64_t runs = 0;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        runs += fail_every_call(set_up_right_digests, statuses[i]);
    print_message("%lu boots with digests\n", runs);
}

TEST("whichever digest is wrong, and whichever call fails, nothing is booted") {
    uint64_t runs = 0;
    for (unsigned wrong = 1; wrong <= 6; wrong++) {
        set_up_digests(wrong);
        fake_boot();
        uint64_t calls = fake.calls;
        for (uint64_t number = 1; number <= calls; number++, runs++) {
            const char *line;
            set_up_digests(wrong);
            fake.fail_at = number;
            fake_boot();
            setup_expect_return(&line);
        }
    }
    print_message("%lu boots with a wrong digest\n", runs);
}

TEST("whichever call fails while lines show slow reads, the boot ends cleanly") {
    uint64_t runs = 0;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        runs += fail_every_call(set_up_slow, statuses[i]);
    assert_non_null(strstr(fake.console, "MB/s"));
    print_message("%lu boots with slow reads\n", runs);
}

TEST("whichever read is short, empty, oversized or slow, the boot ends cleanly") {
    uint64_t runs = 0;
    uint64_t probes = 0; // of the empty file, which nothing is read from
    for (enum fake_odd odd = 0; odd < FAKE_ODDS; odd++) {
        for (uint64_t number = 1;; number++, runs++) {
            const char *line;
            set_up_right_digests();
            fake.odd = odd;
            fake.odd_read = number;
            fake.console_keeps_cr = true;
            fake_boot();
            if (fake.reads < number)
                break;
            bool goes_on = odd == FAKE_ODD_SHORT || odd == FAKE_ODD_SLOW;
            if (goes_on || fake.end == FAKE_ENTERED) {
                assert_int_equal(setup_expect_kernel()->modules.count, 5);
                probes += !goes_on;
                continue;
            }
            setup_expect_return(&line);
            assert_non_null(strstr(line, odd == FAKE_ODD_ZERO ? ": short read at offset "
                                                              : ": read at offset "));
        }
        assert_true(runs > 5 * odd);
    }
    assert_int_equal(probes, 2);
    print_message("%lu boots with an odd read\n", runs);
}

// ---- Images

static const EFI_DEVICE_PATH end_path = {
    END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(end_path), 0}};

static void set_up_application(void) {
    setup_image("cmdline = a b\n", pe_file_make);
    fake.device_path = &end_path;
}

static void set_up_linux(void) {
    setup_image("cmdline = a b\nmodule = \\boot\\initrd.img\nmodule = \\empty\ndigest = sha256\n",
                pe_file_make_linux);
    fake.device_path = &end_path;
}

// With a text, an error, and lines that are shown.
static void set_up_returning(void) {
    set_up_linux();
    setup_file("\\slipway.conf")->contents = "log = debug\nmodule = \\empty\n";
    setup_file("\\slipway.conf")->bytes = 28;
    fake.exit_data = L"text";
    fake.exit_data_bytes = 10;
}

// What comes of one failure: a message, or the image was started once all the same. Without a path
// or a watchdog it can be.
static void expect_image(enum fake_call call) {
    const char *line;
    if (fake.status == EFI_SUCCESS) {
        setup_expect_success();
        assert_int_equal(fake.starts, 1);
        assert_true(subjects[call][0] == NULL);
        return;
    }
    setup_expect_return(&line);
    bool names_it =
        fake.failed_file == NULL ? speaks_of(line, call) : names_file(line, fake.failed_file->path);
    if (!names_it)
        fail_msg("call %lu, of kind %d, failed with %lx: '%s'", fake.fail_at, (int)call,
                 fake.fail_status, line);
}

static void fail_every_call_with_image(void (*set_up)(void), EFI_STATUS status) {
    set_up();
    fake_boot();
    uint64_t calls = fake.calls;
    setup_expect_success();
    assert_true(calls > SOME_CALLS / 2);
    for (uint64_t number = 1; number <= calls; number++) {
        set_up();
        fake.fail_at = number;
        fake.fail_status = status;
        fake_boot();
        expect_image((enum fake_call)fake.kinds[number - 1]);
    }
}

TEST("whichever call fails with an EFI application, it runs, or the boot ends cleanly") {
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        fail_every_call_with_image(set_up_application, statuses[i]);
    fail_every_call_with_image(set_up_application, EFI_SECURITY_VIOLATION);
}

TEST("whichever call fails with Linux and two initrds, it runs, or the boot ends cleanly") {
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        fail_every_call_with_image(set_up_linux, statuses[i]);
    fail_every_call_with_image(set_up_linux, EFI_ALREADY_STARTED);
}

TEST("firmware that fails for ever from some call on leaves nothing of an image") {
    set_up_returning();
    fake_boot();
    uint64_t calls = fake.calls;
    assert_string_equal(fake.breach, "");
    for (uint64_t number = 1; number <= calls; number++) {
        set_up_returning();
        fake.fail_at = number;
        fake.fails_on = true;
        fake_boot();
        assert_string_equal(fake.breach, "");
        assert_int_equal(fake.end, FAKE_RETURNED);
        assert_int_equal(fake.open_handles, 0);
        assert_int_equal(fake.pools, 0);
        assert_int_equal(fake.images, 0);
        assert_int_equal(fake.interfaces, 0);
        assert_int_equal(fake_allocated_pages(), 0);
        assert_int_equal(EFI_ERROR(fake.status), fake.starts == 0);
    }
}
