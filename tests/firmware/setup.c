#include "tests/firmware/setup.h"

#include <stdio.h>
#include <string.h>

struct elf_file setup_kernel;
uint8_t setup_module[SETUP_MODULE_BYTES];
uint8_t setup_pe[PE_FILE_BYTES];
struct machine_wishes setup_machine;

// Tests boot thousands of times: what is the same each time is made once.
static void fill_module(void) {
    static uint8_t bytes[SETUP_MODULE_BYTES];
    for (uint32_t i = 0; bytes[1] == 0 && i < SETUP_MODULE_BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    memcpy(setup_module, bytes, sizeof(bytes));
}

static void copy_kernel(void) {
    static struct elf_file made;
    if (made.header.phdr_count == 0)
        made = elf_file_make();
    setup_kernel = made;
}

void setup_boot(const char *config) {
    fake_reset();
    setup_machine = (struct machine_wishes){0};
    copy_kernel();
    fill_module();
    fake_add_file("\\kernel.elf", &setup_kernel, sizeof(setup_kernel));
    fake_add_file("\\boot\\initrd.img", setup_module, sizeof(setup_module));
    fake_add_file("\\empty", "", 0);
    if (config != NULL)
        fake_add_file("\\slipway.conf", config, strlen(config));
}

void setup_image(const char *config, void (*make)(uint8_t *file)) {
    setup_boot(config);
    make(setup_pe);
    setup_file("\\kernel.elf")->contents = setup_pe;
    setup_file("\\kernel.elf")->bytes = sizeof(setup_pe);
}

struct fake_file *setup_file(const char *path) {
    for (uint32_t i = 0; i < fake.file_count; i++) {
        if (strcmp(fake.files[i].path, path) == 0)
            return &fake.files[i];
    }
    fail_msg("no file %s", path);
    return NULL;
}

void setup_wishes(struct slipway_note_wishes wishes) {
    const struct slipway_note note = {8, sizeof(wishes), SLIPWAY_NOTE_TYPE, "Slipway", wishes};
    uint64_t offset = 0x2000; // of the read-only segment
    memcpy((char *)&setup_kernel + offset, &note, sizeof(note));
    struct elf64_phdr *phdr =
        elf_file_add(&setup_kernel, ELF_PT_NOTE, offset, ELF_FILE_BASE + 0x1000, sizeof(note));
    phdr->align = 4;
}

void setup_add_mtrr(uint32_t index, uint64_t start, uint64_t bytes, uint32_t type) {
    fake.registers.mtrr_variable[index][0] = start | type;
    fake.registers.mtrr_variable[index][1] =
        (((UINT64_C(1) << fake.paddr_bits) - 1) & ~(bytes - 1)) | 1 << 11;
}

void setup_expect_no_breach(void) {
    assert_string_equal(fake.breach, "");
    assert_int_equal(fake.open_handles, 0);
    assert_int_equal(fake.pools, 0);
    assert_int_equal(fake.events, 0);
    assert_int_equal(fake.openings, 0);
    assert_int_equal(fake.images, 0);
    assert_int_equal(fake.interfaces, 0);
}

// The one line on COM1 without the loader's name and the newline.
static const char *only_line(void) {
    static char line[FAKE_TEXT_BYTES];
    static const char name[] = "slipway: ";
    const char *end = strchr(fake.com1, '\n');
    if (strncmp(fake.com1, name, strlen(name)) != 0 || end == NULL || end[1] != '\0')
        fail_msg("not one line of the loader's: '%s'", fake.com1);
    size_t bytes = (size_t)(end - fake.com1) - strlen(name);
    memcpy(line, fake.com1 + strlen(name), bytes);
    line[bytes] = '\0';
    assert_true(bytes != 0);
    return line;
}

void setup_expect_return(const char **ret_line) {
    setup_expect_no_breach();
    assert_int_equal(fake.end, FAKE_RETURNED);
    assert_true(EFI_ERROR(fake.status));
    assert_int_equal(fake_allocated_pages(), 0);
    *ret_line = only_line();
}

void setup_expect_success(void) {
    setup_expect_no_breach();
    assert_int_equal(fake.end, FAKE_RETURNED);
    assert_int_equal(fake.status, EFI_SUCCESS);
    assert_int_equal(fake_allocated_pages(), 0);
    assert_string_equal(fake.com1, "");
}

void setup_expect_failure(const char *want) {
    const char *line;
    setup_expect_return(&line);
    assert_string_equal(line, want);
}

void setup_expect_stop(const char *want) {
    setup_expect_no_breach();
    assert_int_equal(fake.end, FAKE_STOPPED);
    assert_string_equal(only_line(), want);
}

void setup_expect_text(const struct slipway_text *text, const char *want) {
    assert_string_equal((const char *)(uintptr_t)text->address, want);
    assert_int_equal(text->bytes, strlen(want));
}

const char *setup_log(void) {
    return (const char *)(uintptr_t)setup_expect_kernel()->log.address;
}

void setup_expect_logged(const char *want) {
    char line[200];
    snprintf(line, sizeof(line), "slipway: %s\n", want);
    if (strstr(setup_log(), line) == NULL)
        fail_msg("no '%s' in '%s'", want, setup_log());
}

const void *setup_record(const struct slipway_array *array, uint32_t index) {
    assert_true(index < array->count);
    return (const void *)(uintptr_t)(array->address + (uint64_t)index * array->stride);
}

uint64_t setup_count_kind(const struct slipway_boot_info *info, uint32_t kind) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < info->memory.count; i++) {
        const struct slipway_memory *memory = setup_record(&info->memory, i);
        bytes += memory->kind == kind ? memory->bytes : 0;
    }
    return bytes;
}

const struct slipway_range *setup_find_range(const struct slipway_boot_info *info, uint32_t purpose,
                                             uint32_t index) {
    for (uint32_t i = 0; i < info->ranges.count; i++) {
        const struct slipway_range *range = setup_record(&info->ranges, i);
        if (range->purpose == purpose && index-- == 0)
            return range;
    }
    return NULL;
}
