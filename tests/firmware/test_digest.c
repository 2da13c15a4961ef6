// Digests of files: by whatever instructions, chunk by chunk, and against what the config says.
#include "loader/digest.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "tests/firmware/setup.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#define WRONG         "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define WRONG_PRINTED "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// Whether this machine's CPU can run sha256_ni_blocks.
static bool host_has_sha(void) {
    unsigned a, b, c, d, leaf_1_c;
    return __get_cpuid(1, &a, &b, &leaf_1_c, &d) && (leaf_1_c & bit_SSSE3) &&
           __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

static uint32_t leaves, has_ssse3, has_sha;

static struct cpuid answer(uint32_t leaf, uint32_t subleaf) {
    return (struct cpuid){.eax = leaf == 0 ? leaves : 0,
                          .ebx = leaf == 7 && subleaf == 0 ? has_sha << 29 : 0,
                          .ecx = leaf == 1 ? has_ssse3 << 9 : 0};
}

TEST("digest: the CPU's instructions are used where it has all of them, and nowhere else") {
    struct sha256 hash;
    for (unsigned lacks = 0; lacks < 4; lacks++) {
        fake_reset();
        fake.cpuid = answer;
        leaves = lacks == 1 ? 6 : 7;
        has_ssse3 = lacks != 2;
        has_sha = lacks != 3;
        digest_begin(&hash);
        assert_ptr_equal(hash.blocks, lacks == 0 ? sha256_ni_blocks : sha256_blocks);
    }
}

// On a CPU without them nothing can be compared: then there is nothing that uses them, either.
TEST("digest: the CPU's instructions take blocks as the portable code does, at any address") {
    uint8_t data[64 * 9 + 15];
    uint32_t words[8], want[8];
    srand(1);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)rand();
    for (unsigned round = 0; host_has_sha() && round < 200; round++) {
        uint64_t blocks = round % 10;
        const uint8_t *from = data + round % 16;
        for (unsigned i = 0; i < 8; i++)
            words[i] = want[i] = (uint32_t)rand() << 16 ^ (uint32_t)rand();
        sha256_ni_blocks(words, from, blocks);
        sha256_blocks(want, from, blocks);
        assert_memory_equal(words, want, sizeof(words));
    }
}

TEST("digest: XMM6 to XMM15 belong to the firmware that called") {
    uint32_t before[10][4], after[10][4], words[8] = {0};
    uint8_t data[128] = {0};
    memset(before, 0x5a, sizeof(before));
    if (!host_has_sha())
        return;
    void *to = words;
    const void *from = data;
    uint64_t blocks = 2;
    __asm__ volatile("movups 0(%[before]), %%xmm6; movups 16(%[before]), %%xmm7;"
                     "movups 32(%[before]), %%xmm8; movups 48(%[before]), %%xmm9;"
                     "movups 64(%[before]), %%xmm10; call sha256_ni_blocks;"
                     "movups %%xmm6, 0(%[after]); movups %%xmm7, 16(%[after]);"
                     "movups %%xmm8, 32(%[after]); movups %%xmm9, 48(%[after]);"
                     "movups %%xmm10, 64(%[after])"
                     : "+D"(to), "+S"(from), "+d"(blocks)
                     : [before] "b"(before), [after] "r"(after)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "cc");
    assert_memory_equal(before, after, 5 * sizeof(before[0]));
}

static void print_digest(char text[65], const void *data, uint64_t bytes) {
    uint8_t digest[SHA256_BYTES];
    sha256(data, bytes, digest);
    for (unsigned i = 0; i < SHA256_BYTES; i++) {
        struct fmt_buffer buffer = fmt_buffer_make(text + 2 * i, 3);
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink, "%02x", digest[i]);
    }
}

static char config[1000];

// Kernel, the module and the empty one with their digests; the `wrong`th, from 1, is another one.
static void set_up(unsigned wrong) {
    char texts[3][65];
    setup_boot(NULL);
    print_digest(texts[0], &setup_kernel, sizeof(setup_kernel));
    print_digest(texts[1], setup_module, SETUP_MODULE_BYTES);
    print_digest(texts[2], "", 0);
    if (wrong != 0)
        memcpy(texts[wrong - 1], WRONG, 64);
    struct fmt_buffer buffer = fmt_buffer_make(config, sizeof(config));
    struct sink sink = fmt_buffer_sink(&buffer);
    fmt_print(&sink, "kernel = \\kernel.elf\nsha256 = %s\nmodule = \\boot\\initrd.img\n", texts[0]);
    fmt_print(&sink, "sha256 = %s\nmodule = \\empty\nsha256 = %s\n", texts[1], texts[2]);
    fake_add_file("\\slipway.conf", config, strlen(config));
    fake.has_sha = host_has_sha();
}

TEST("digest: files that are what the config says are booted, with their digests") {
    uint8_t want[SHA256_BYTES];
    set_up(0);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    sha256(&setup_kernel, sizeof(setup_kernel), want);
    assert_int_equal(info->kernel_digest_kind, SLIPWAY_DIGEST_SHA256);
    assert_memory_equal(info->kernel_digest, want, sizeof(want));
    const struct slipway_module *module = setup_record(&info->modules, 0);
    sha256(setup_module, SETUP_MODULE_BYTES, want);
    assert_int_equal(module->digest_kind, SLIPWAY_DIGEST_SHA256);
    assert_memory_equal(module->digest, want, sizeof(want));
    assert_memory_equal((const void *)(uintptr_t)(module->address - info->hhdm_base), setup_module,
                        SETUP_MODULE_BYTES);
    module = setup_record(&info->modules, 1);
    sha256("", 0, want);
    assert_int_equal(module->digest_kind, SLIPWAY_DIGEST_SHA256);
    assert_memory_equal(module->digest, want, sizeof(want));
}

TEST("digest: without a key the kernel has none") {
    const uint8_t none[SHA256_BYTES] = {0};
    setup_boot(SETUP_CONFIG);
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_int_equal(info->kernel_digest_kind, SLIPWAY_DIGEST_NONE);
    assert_memory_equal(info->kernel_digest, none, sizeof(none));
}

TEST("digest: a file that is another one is refused: file, both digests, key and line") {
    static const char *const names[] = {"\\kernel.elf", "\\boot\\initrd.img", "\\empty"};
    for (unsigned wrong = 1; wrong <= 3; wrong++) {
        char want[400], has[65];
        set_up(wrong);
        fake_boot();
        const struct fake_file *file = setup_file(names[wrong - 1]);
        print_digest(has, file->contents, file->bytes);
        struct fmt_buffer buffer = fmt_buffer_make(want, sizeof(want));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink, "%s: its SHA-256 is %s, not %s (key 'sha256', /slipway.conf line %u)",
                  names[wrong - 1], has, WRONG_PRINTED, 2 * wrong);
        setup_expect_failure(want);
    }
}

TEST("digest: one bit anywhere in a file, and short reads, make no difference but the right one") {
    set_up(0);
    setup_file("\\boot\\initrd.img")->gives_at_most = 1001;
    setup_file("\\kernel.elf")->gives_at_most = 100;
    fake_boot();
    setup_expect_kernel();
    set_up(0);
    ((uint8_t *)&setup_kernel)[sizeof(setup_kernel) - 1] ^= 1; // which is in no segment
    const char *line;
    fake_boot();
    setup_expect_return(&line);
    assert_non_null(strstr(line, "\\kernel.elf: its SHA-256 is "));
    set_up(0);
    setup_module[SETUP_MODULE_BYTES - 1] ^= 1;
    fake_boot();
    setup_expect_return(&line);
    assert_non_null(strstr(line, "\\boot\\initrd.img: its SHA-256 is "));
}

TEST(
    "digest: what is read of a file later is in no digest, whether the first reading failed or not") {
    static struct file file;
    static uint8_t bytes[SETUP_MODULE_BYTES];
    const struct config_digest any = {0};
    uint8_t digest[SHA256_BYTES];
    setup_boot(NULL);
    setup_file("\\kernel.elf")->path = "\\elsewhere.elf";
    fake_boot(); // which leaves the firmware's tables known
    for (uint32_t fails = 0; fails < 2; fails++) {
        fake_add_file("\\file", setup_module, SETUP_MODULE_BYTES);
        assert_int_equal(file_open_volume(), EFI_SUCCESS);
        assert_int_equal(file_open(&file, (struct config_text){"\\file", 5}, ""), EFI_SUCCESS);
        fake.refused = fails ? FAKE_READ : FAKE_NONE;
        fake.fail_status = EFI_DEVICE_ERROR;
        assert_int_equal(digest_read_file(&file, bytes, &any, digest),
                         fails ? EFI_DEVICE_ERROR : EFI_SUCCESS);
        assert_null(file.hash);
        file_close(&file);
        file_close_volume();
    }
}

static bool is_checked;

// Once all of the kernel has been read, its file is another one.
static void exchange(uint64_t bytes) {
    static const uint8_t other[sizeof(setup_kernel)];
    if (is_checked)
        setup_file("\\kernel.elf")->contents = other;
    is_checked |= bytes == sizeof(setup_kernel);
}

TEST("digest: the kernel that runs is the one that was checked, and its file is not kept") {
    // The same without the digests, in a text of the same length: its pages count, too.
    set_up(0);
    for (char *key = config; (key = strstr(key, "sha256")) != NULL;)
        *key = '#';
    fake_boot();
    setup_expect_kernel();
    uint64_t pages = fake_allocated_pages();
    set_up(0);
    is_checked = false;
    fake.in_read = exchange;
    fake_boot();
    const struct slipway_boot_info *info = setup_expect_kernel();
    assert_true(is_checked);
    assert_memory_equal((const void *)(uintptr_t)info->kernel_phys,
                        (const uint8_t *)&setup_kernel + 0x1000, 0x800);
    assert_int_equal(fake_allocated_pages(), pages);
}

TEST("digest: an empty kernel is no ELF file, though it is what the config says") {
    set_up(0);
    setup_file("\\kernel.elf")->bytes = 0;
    char text[65];
    print_digest(text, "", 0);
    memcpy(strstr(config, "sha256 = ") + strlen("sha256 = "), text, 64);
    fake_boot();
    setup_expect_failure("\\kernel.elf: 0 bytes are too few for an ELF header");
}

TEST("digest: a kernel that there is no room to check is refused") {
    set_up(0);
    setup_file("\\kernel.elf")->bytes = GIB(64);
    fake_boot();
    setup_expect_failure(
        "\\kernel.elf: no room for its 68719476736 bytes, which are to be checked (out of memory)");
}
