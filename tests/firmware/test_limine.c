// Kernels of the Limine protocol over the fake firmware: what becomes of their requests, of the
// modules that they ask for, and which of them are refused.
#include "common/base/arith.h"
#include "common/hash/blake2b.h"
#include "tests/firmware/setup_limine.h"

#include <stdio.h>
#include <string.h>

static const struct limine_file *file_of(const struct limine_list_response *list, uint32_t index) {
    uint64_t address;
    assert_true(index < list->count);
    memcpy(&address, (const char *)setup_limine_at(list->list) + 8 * index, sizeof(address));
    return setup_limine_at(address);
}

static void expect_text(uint64_t address, const char *want) {
    assert_string_equal(setup_limine_at(address), want);
}

TEST("limine: a kernel with requests is one of that protocol, and finds its responses") {
    setup_boot("cmdline = root=ram0\n");
    setup_limine(6);
    uint64_t hhdm = setup_limine_ask(LIMINE_HHDM, 0, 0, NULL);
    uint64_t map = setup_limine_ask(LIMINE_MEMMAP, 0, 0, NULL);
    uint64_t file = setup_limine_ask(LIMINE_EXECUTABLE_FILE, 0, 0, NULL);
    uint64_t modules = setup_limine_ask(LIMINE_MODULE, 1, 2, (uint64_t[]){0, 0});
    fake_boot();
    setup_limine_expect_kernel();
    const struct limine_tag *tag = setup_limine_at(SETUP_LIMINE_REQUESTS);
    assert_int_equal(tag->revision, 0);
    assert_int_equal(tag->used, 6);
    const struct limine_value_response *base = setup_limine_response(hhdm);
    assert_int_equal(base->value, SLIPWAY_HHDM_BASE);
    assert_true(((const struct limine_list_response *)setup_limine_response(map))->count > 3);
    assert_null(setup_limine_response(modules));
    const struct limine_value_response *whole = setup_limine_response(file);
    const struct limine_file *kernel = setup_limine_at(whole->value);
    assert_int_equal(kernel->bytes, sizeof(setup_kernel));
    assert_true(is_aligned(kernel->address, FRAME_BYTES));
    assert_memory_equal(setup_limine_at(kernel->address), &setup_kernel, FRAME_BYTES);
    expect_text(kernel->path, "/kernel.elf");
    expect_text(kernel->string, "root=ram0");
}

TEST("limine: the entry that a kernel asks for is the one that it gets") {
    setup_boot(NULL);
    setup_limine(3);
    setup_limine_ask(LIMINE_ENTRY_POINT, 0, 1, (uint64_t[]){ELF_FILE_BASE + 0x20});
    fake_boot();
    setup_limine_expect_kernel();
    assert_int_equal(fake.cpu.entry, ELF_FILE_BASE + 0x20);
}

// One internal module, by its path and flags.
static uint64_t ask_for_module(const char *path, uint64_t flags) {
    const struct limine_internal_module module = {
        .path = setup_limine_add(path, strlen(path) + 1),
        .string = setup_limine_add("internal", sizeof("internal")),
        .flags = flags,
    };
    uint64_t address = setup_limine_add(&module, sizeof(module));
    uint64_t list = setup_limine_add(&address, sizeof(address));
    return setup_limine_ask(LIMINE_MODULE, 1, 2, (uint64_t[]){1, list});
}

TEST("limine: the kernel's own modules come first, from its own folder or from the root") {
    static const char *const paths[] = {"initrd.img", "/boot/initrd.img"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        setup_boot("kernel = /boot/kernel.elf\nmodule = /empty of the config\n");
        setup_file("\\kernel.elf")->path = "\\boot\\kernel.elf";
        setup_limine(6);
        uint64_t modules = ask_for_module(paths[i], LIMINE_MODULE_REQUIRED);
        fake_boot();
        setup_limine_expect_kernel();
        const struct limine_list_response *list = setup_limine_response(modules);
        assert_int_equal(list->count, 2);
        const struct limine_file *module = file_of(list, 0);
        assert_int_equal(module->bytes, SETUP_MODULE_BYTES);
        assert_memory_equal(setup_limine_at(module->address), setup_module, FRAME_BYTES);
        expect_text(module->path, "/boot/initrd.img");
        expect_text(module->string, "internal");
        expect_text(file_of(list, 1)->path, "/empty");
        expect_text(file_of(list, 1)->string, "of the config");
    }
}

TEST("limine: a module that is not there is passed over, unless the kernel requires it") {
    setup_boot("log = info\n");
    setup_limine(6);
    uint64_t modules = ask_for_module("nowhere", 0);
    fake_boot();
    setup_limine_expect_kernel();
    assert_null(setup_limine_response(modules));
    assert_non_null(strstr(fake.com1, "nowhere: not found, and not required by the kernel"));
    setup_boot(NULL);
    setup_limine(6);
    ask_for_module("nowhere", LIMINE_MODULE_REQUIRED);
    fake_boot();
    setup_expect_failure("\\nowhere: not found (which the kernel asks for)");
}

// The path with the digest of the module behind it, changed in its last digit if it is `wrong`.
static const char *path_with_digest(bool wrong) {
    static char path[200];
    uint8_t digest[BLAKE2B_BYTES];
    int used = snprintf(path, sizeof(path), "/boot/initrd.img#");
    blake2b(setup_module, sizeof(setup_module), digest);
    digest[BLAKE2B_BYTES - 1] ^= wrong;
    for (unsigned i = 0; i < BLAKE2B_BYTES; i++)
        used += snprintf(path + used, 3, i % 2 ? "%02X" : "%02x", digest[i]);
    return path;
}

TEST("limine: a module whose path has a digest must have it") {
    setup_boot(NULL);
    setup_limine(6);
    uint64_t modules = ask_for_module(path_with_digest(false), 0);
    fake_boot();
    setup_limine_expect_kernel();
    expect_text(file_of(setup_limine_response(modules), 0)->path, "/boot/initrd.img");
    setup_boot(NULL);
    setup_limine(6);
    ask_for_module(path_with_digest(true), 0);
    fake_boot();
    const char *line;
    setup_expect_return(&line);
    assert_non_null(strstr(line, "/boot/initrd.img: its BLAKE2b is "));
}

TEST("limine: the config's number of paging levels must be one that the kernel can have") {
    setup_boot("paging = 5\n");
    setup_limine(6);
    fake_boot();
    setup_expect_failure("the config wants 5 paging levels (paging = 5), kernel and CPU have 4");
    setup_boot("paging = 4\n");
    setup_limine(6);
    fake_boot();
    setup_limine_expect_kernel();
}

TEST("limine: a kernel without a request is none of that protocol, whatever the config says") {
    setup_boot("protocol = limine\n");
    fake_boot();
    setup_expect_failure("\\kernel.elf: has no request of the Limine protocol (protocol = limine)");
}

TEST("limine: a kernel with a note is one of the loader's own protocol, unless the config says") {
    setup_boot(NULL);
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION});
    setup_limine(6);
    fake_boot();
    setup_expect_kernel();
    setup_boot("protocol = limine\n");
    setup_wishes((struct slipway_note_wishes){.version = SLIPWAY_BOOT_VERSION});
    setup_limine(6);
    fake_boot();
    setup_limine_expect_kernel();
}

TEST("limine: parked CPUs wait for their words in the responses") {
    setup_boot(NULL);
    setup_limine(6);
    fake_add_cpu(1);
    fake_add_cpu(2);
    uint64_t mp = setup_limine_ask(LIMINE_MP, 0, 1, (uint64_t[]){0});
    fake_boot();
    setup_limine_expect_kernel();
    const struct limine_mp_response *response = setup_limine_response(mp);
    assert_int_equal(response->count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t address;
        memcpy(&address, (const char *)setup_limine_at(response->list) + 8 * i, sizeof(address));
        const struct limine_mp_info *cpu = setup_limine_at(address);
        assert_int_equal(cpu->goto_address, 0);
        assert_int_equal(cpu->lapic_id, i == 0 ? response->boot_lapic_id : i);
    }
}
