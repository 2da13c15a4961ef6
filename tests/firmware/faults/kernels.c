// Scenarios with a kernel from the loader's own volume.
#include "common/base/fmt.h"
#include "common/hash/sha256.h"
#include "tests/firmware/cpu.h"
#include "tests/firmware/faults/faults.h"
#include "tests/unit/support/elf_parts.h"

#include <string.h>

uint8_t faults_large_module[MIB(2) + 1];

void faults_set_up_plain(void) {
    setup_boot(SETUP_CONFIG);
    setup_file("\\boot\\initrd.img")->bytes = 9000; // a boot is to be short
}

const struct faults_scenario faults_plain = {
    .name = "default",
    .set_up = faults_set_up_plain,
    .modules = 2,
};

// ---- Files

// Kernel and five modules, each with its digest; the `wrong`th digest, from 1, is another one.
static void set_up_digests(unsigned wrong) {
    static char config[2000];
    static const char *const names[] = {"kernel = \\kernel.elf", "module = \\boot\\initrd.img",
                                        "module = \\empty",      "module = \\a",
                                        "module = \\b",          "module = \\c"};
    setup_boot(NULL);
    setup_file("\\boot\\initrd.img")->bytes = 9000;
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

static void set_up_wrong_kernel(void) {
    set_up_digests(1);
}

static void set_up_wrong_first(void) {
    set_up_digests(2);
}

static void set_up_wrong_last(void) {
    set_up_digests(6);
}

static void check_digests(void) {
    const struct slipway_boot_info *info = setup_expect_kernel();
    for (uint32_t i = 0; i < info->modules.count; i++)
        assert_int_equal(
            ((const struct slipway_module *)setup_record(&info->modules, i))->digest_kind,
            SLIPWAY_DIGEST_SHA256);
}

const struct faults_scenario faults_five_modules = {
    .name = "five modules with digests",
    .set_up = set_up_right_digests,
    .modules = 5,
    .check = check_digests,
};
const struct faults_scenario faults_wrong_digest_of_kernel = {
    .name = "wrong digest of the kernel",
    .set_up = set_up_wrong_kernel,
    .goal = FAULTS_REFUSAL,
    .refusal = "\\kernel.elf: its SHA-256 is ",
};
const struct faults_scenario faults_wrong_digest_of_first_module = {
    .name = "wrong digest of the first module",
    .set_up = set_up_wrong_first,
    .goal = FAULTS_REFUSAL,
    .refusal = "\\boot\\initrd.img: its SHA-256 is ",
};
const struct faults_scenario faults_wrong_digest_of_last_module = {
    .name = "wrong digest of the last module",
    .set_up = set_up_wrong_last,
    .goal = FAULTS_REFUSAL,
    .refusal = "\\c: its SHA-256 is ",
};

// The list of what is allocated grows on the way.
static void set_up_many_modules(void) {
    static char config[40 * 12 + 1];
    for (int i = 0; i < 40; i++)
        memcpy(config + 12 * i, "module = \\m\n", 12);
    setup_boot(config);
    fake_add_file("\\m", setup_module, 1);
}

const struct faults_scenario faults_many_modules = {
    .name = "forty modules",
    .set_up = set_up_many_modules,
    .modules = 40,
};

void faults_add_large(void) {
    for (unsigned i = 0; faults_large_module[0] == 0 && i < sizeof(faults_large_module); i++)
        faults_large_module[i] = (uint8_t)(i + i / 256 + 1);
    fake_add_file("\\large", faults_large_module, sizeof(faults_large_module));
}

void faults_check_large(void) {
    assert_int_equal(fake.asked_pages, 512 + 1);
}

static void set_up_large(void) {
    setup_boot("module = \\large\n");
    faults_add_large();
}

const struct faults_scenario faults_large_file = {
    .name = "a large module",
    .set_up = set_up_large,
    .modules = 1,
    .survives = FAULTS_CALL(FAKE_ALLOCATE_PAGES) | FAULTS_CALL(FAKE_GET_MEMORY_MAP),
    .check = faults_check_large,
};

// Every read takes two seconds.
static void pass_two_seconds([[maybe_unused]] uint64_t bytes) {
    fake_pass_time(2 * FAKE_TSC_HZ);
}

static void set_up_slow(void) {
    faults_set_up_plain();
    fake.in_read = pass_two_seconds;
    fake.console_keeps_cr = true;
}

static void check_slow(void) {
    assert_non_null(strstr(fake.console, "MB/s"));
}

const struct faults_scenario faults_slow_reads = {
    .name = "slow reads",
    .set_up = set_up_slow,
    .modules = 2,
    .check = check_slow,
};

static void set_up_no_kernel(void) {
    faults_set_up_plain();
    setup_file("\\kernel.elf")->path = "\\other.elf";
}

const struct faults_scenario faults_no_kernel = {
    .name = "no kernel",
    .set_up = set_up_no_kernel,
    .goal = FAULTS_REFUSAL,
    .refusal = "\\kernel.elf: not found",
};

static void set_up_folder(void) {
    faults_set_up_plain();
    setup_file("\\kernel.elf")->is_directory = true;
}

// Two sizes, neither of which is right.
static void set_up_sizes(void) {
    faults_set_up_plain();
    struct fake_file *file = setup_file("\\boot\\initrd.img");
    file->lies_by_info = true;
    file->info_bytes = 9001;
    file->ends_early = 1;
}

const struct faults_scenario faults_kernel_is_folder = {
    .name = "a folder in the kernel's place",
    .set_up = set_up_folder,
    .goal = FAULTS_REFUSAL,
    .refusal = "\\kernel.elf: is a directory",
};
const struct faults_scenario faults_two_sizes = {
    .name = "a module of two sizes",
    .set_up = set_up_sizes,
    .goal = FAULTS_REFUSAL,
    .refusal = "\\boot\\initrd.img: the firmware gives two sizes",
};

static void set_up_broken_config(void) {
    setup_boot("timeout = none\n[one]\nkernle = \\kernel.elf\n");
}

const struct faults_scenario faults_broken_config = {
    .name = "broken config",
    .set_up = set_up_broken_config,
    .goal = FAULTS_REFUSAL,
    .refusal = "line 3",
};

// The config is beside the loader, and another one in the root.
static void set_up_beside(void) {
    static const struct {
        EFI_DEVICE_PATH head;
        CHAR16 name[8];
        EFI_DEVICE_PATH end;
    } path = {{MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {20, 0}},
              L"\\os\\efi",
              {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {4, 0}}};
    faults_set_up_plain();
    setup_file("\\slipway.conf")->path = "\\os\\slipway.conf";
    fake_add_file("\\slipway.conf", "", 0);
    fake.image_path = &path;
}

const struct faults_scenario faults_config_beside_loader = {
    .name = "config beside the loader",
    .set_up = set_up_beside,
    .modules = 2,
};

static void set_up_load_options(void) {
    faults_set_up_plain();
    fake.load_options = L"boot a b";
    fake.load_options_bytes = 18;
    fake.is_shell = true;
}

static void check_load_options(void) {
    setup_expect_text(&setup_expect_kernel()->cmdline, "a b");
}

const struct faults_scenario faults_load_options = {
    .name = "load options",
    .set_up = set_up_load_options,
    .modules = 2,
    .check = check_load_options,
};

// ---- Kernels

// No free memory has room for the kernel as a whole.
static void set_up_pieces(void) {
    faults_set_up_plain();
    fake_set_memory(MIB(1), FAKE_ARENA_START - MIB(1), EfiReservedMemoryType);
    fake_set_memory(FAKE_HIGH_PHYS, FAKE_HIGH_BYTES, EfiReservedMemoryType);
    fake_set_memory(FAKE_ARENA_START + MIB(8), FRAME_BYTES, EfiReservedMemoryType);
    setup_kernel.phdrs[ELF_FILE_DATA].mem_bytes = MIB(24);
    elf_file_move(&setup_kernel, FRAME_BYTES); // to no multiple of 2 MiB
}

static void check_pieces(void) {
    assert_int_equal(setup_expect_kernel()->kernel_pieces.count, 2);
}

// That the image has no room as a whole is no failure.
const struct faults_scenario faults_kernel_in_pieces = {
    .name = "a kernel in pieces",
    .set_up = set_up_pieces,
    .modules = 2,
    .survives = FAULTS_CALL(FAKE_ALLOCATE_PAGES),
    .check = check_pieces,
};

// With pages for the lists of the image.
static void set_up_many_headers(void) {
    faults_set_up_plain();
    setup_kernel.header.phdr_count = ELF_FILE_PHDRS;
}

const struct faults_scenario faults_many_headers = {
    .name = "many program headers",
    .set_up = set_up_many_headers,
    .modules = 2,
};

// With section headers, one section of which is read, and symbols.
static void set_up_symbols(void) {
    static const struct elf64_shdr sections[] = {
        {.type = ELF_SHT_NOTE, .offset = 0x7800, .bytes = sizeof(struct slipway_note)},
        {.type = ELF_SHT_SYMTAB, .offset = 0x5000, .bytes = 0x900, .link = 3, .entry_bytes = 24},
        {.type = ELF_SHT_STRTAB, .offset = 0x6000, .bytes = 0x10},
    };
    faults_set_up_plain();
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

static void check_symbols(void) {
    assert_int_equal(setup_expect_kernel()->symbols.symbols.count, 0x900 / 24);
}

const struct faults_scenario faults_symbols = {
    .name = "symbols, and wishes in a section",
    .set_up = set_up_symbols,
    .modules = 2,
    .check = check_symbols,
};
