// What holds of a run, whatever was spoilt.
#include "tests/firmware/faults/faults.h"
#include "tests/firmware/picture.h"
#include "tests/firmware/setup_kaslr.h"
#include "tests/firmware/setup_limine.h"

#include <stdio.h>
#include <string.h>

#define NAME "slipway: "

enum { LINE_BYTES = 512 };

// What the message speaks of when a call fails that is not about a file; with none of these the
// boot must go on.
static const char *const subjects[FAKE_CALLS][6] = {
    [FAKE_ALLOCATE_PAGES] = {"no room "},
    [FAKE_GET_MEMORY_MAP] = {"memory map: ", "memory map cannot be read"},
    [FAKE_EXIT] = {"ExitBootServices"},
    [FAKE_HANDLE_PROTOCOL] = {"own image: ", "boot device: ", "cannot be given load options"},
    [FAKE_OPEN_VOLUME] = {"boot device: "},
    [FAKE_OPEN] = {": cannot open ("}, // of a file that is not there
    [FAKE_GET_ATTRIBUTES] = {"cannot be made executable"},
    [FAKE_SET_ATTRIBUTES] = {"cannot be made executable"},
    [FAKE_CLEAR_ATTRIBUTES] = {"cannot be made executable"},
    [FAKE_LOAD_IMAGE] = {": cannot be loaded"},
    [FAKE_START_IMAGE] = {" has returned an error"},
    [FAKE_INSTALL] = {"initrd: "},
};

// Consoles are asked for when there is something to say, and for the menu.
static bool is_needed(const struct faults_run *run) {
    const struct faults_scenario *scenario = run->base->scenario;
    uint64_t survives =
        scenario->survives | (scenario->talks ? FAULTS_CALL(FAKE_HANDLE_PROTOCOL) : 0);
    return subjects[run->failed][0] != NULL && !(survives & FAULTS_CALL(run->failed));
}

// From some call on firmware fails for ever: then it cannot be told everything.
static bool has_lasting_fault(void) {
    return fake.fails_on || fake.fails_kind;
}

// A config that is not found is none: then everything is as it is without.
static bool is_config_lost(void) {
    return fake.fail_at != 0 && fake.fail_status == EFI_NOT_FOUND && fake.failed_file != NULL &&
           strstr(fake.failed_file->path, "slipway.conf") != NULL;
}

// ---- A boot

static void check_modules(const struct faults_run *run, const struct slipway_boot_info *info) {
    assert_int_equal(info->modules.count, run->base->modules);
    for (uint32_t i = 0; i < info->modules.count; i++) {
        const struct slipway_module *module = setup_record(&info->modules, i);
        const uint8_t *bytes = (const uint8_t *)(uintptr_t)(module->address - info->hhdm_base);
        const uint8_t *want =
            module->bytes > SETUP_MODULE_BYTES ? faults_large_module : setup_module;
        if (run->base->calls != 0)
            assert_int_equal(module->bytes, run->base->module_bytes[i]);
        if (module->bytes != 0 && memcmp(bytes, want, module->bytes) != 0)
            fail_msg("module %u has not the bytes of its file", i);
    }
}

// The segments are those of the file, but for what was relocated.
static void check_image(const struct slipway_boot_info *info) {
    for (uint32_t i = ELF_FILE_TEXT; i <= ELF_FILE_DATA; i++) {
        const struct elf64_phdr *phdr = &setup_kernel.phdrs[i];
        const uint8_t *file = (const uint8_t *)&setup_kernel + phdr->offset;
        for (uint64_t at = 0; at < phdr->file_bytes; at++) {
            uint64_t phys = setup_image_phys(info, phdr->virt + info->kernel_slide + at);
            bool is_relocated = info->kernel_slide != 0 && phdr->virt + at >= SETUP_RELOCATED &&
                                phdr->virt + at < SETUP_RELOCATED + sizeof(uint64_t);
            if (*(const uint8_t *)(uintptr_t)phys != file[at] && !is_relocated)
                fail_msg("byte %lu of segment %u is not that of the file", at, i);
        }
    }
}

static void check_kernel(const struct faults_run *run) {
    if (run->base->scenario->goal == FAULTS_LIMINE) {
        setup_expect_no_breach();
        setup_limine_expect_kernel();
        return;
    }
    const struct slipway_boot_info *info = setup_expect_kernel();
    check_image(info);
    bool may_be_cut = run->may_end && run->base->scenario->trusts_reads;
    if (!is_config_lost() && !may_be_cut)
        check_modules(run, info);
}

// ---- A message

static bool speaks_of(const char *line, enum fake_call call) {
    for (size_t i = 0; i < ARRAY_LEN(subjects[call]); i++) {
        if (subjects[call][i] != NULL && strstr(line, subjects[call][i]) != NULL)
            return true;
    }
    return false;
}

// Whether the line has the path, whatever the separators.
static bool has_path(const char *line, const char *path) {
    for (; *line != '\0'; line++) {
        size_t same = 0;
        while (path[same] != '\0' &&
               (line[same] == path[same] || (line[same] == '/' && path[same] == '\\')))
            same++;
        if (path[same] == '\0')
            return true;
    }
    return false;
}

// The last line of the loader's, without its name and what ends it; null: there is none.
static const char *last_line(const char *text, size_t *ret_bytes, const char **ret_next) {
    const char *line = NULL;
    for (const char *next = text; (next = strstr(next, NAME)) != NULL; next++) {
        if (strncmp(next + strlen(NAME), "press a key", 11) != 0)
            line = next + strlen(NAME);
    }
    *ret_bytes = line == NULL ? 0 : strcspn(line, "\r\n");
    if (*ret_bytes == 0 || *ret_bytes >= LINE_BYTES)
        return NULL;
    const char *end = line + *ret_bytes;
    *ret_next = end + strspn(end, "\r\n");
    return *ret_next == end ? NULL : line;
}

// The message on COM1 is the last that is sent, and all of it where the loader is quiet. Null:
// there is none.
static const char *message_on_com1(const struct faults_run *run, size_t *ret_bytes) {
    const char *next;
    if (!fake.has_uart)
        return NULL;
    const char *line = last_line(fake.com1, ret_bytes, &next);
    if (line == NULL || *next != '\0')
        fail_msg("no message at the end of COM1: '%s'", fake.com1);
    if (!run->base->scenario->talks && line != fake.com1 + strlen(NAME))
        fail_msg("more than a message on COM1: '%s'", fake.com1);
    return line;
}

// On a console, which is there before the exit, it waits for a key.
static const char *message_on_console(const struct faults_run *run, size_t *ret_bytes) {
    const char *next;
    bool can_be_there = fake.has_console && fake.end == FAKE_RETURNED &&
                        run->failed != FAKE_OUTPUT && !has_lasting_fault() &&
                        fake.console_bytes < FAKE_TEXT_BYTES - 1;
    if (!can_be_there)
        return NULL;
    const char *line = last_line(fake.console, ret_bytes, &next);
    if (line == NULL || strncmp(next, NAME "press a key", strlen(NAME) + 11) != 0)
        fail_msg("no message on the console: '%s'", fake.console);
    return line;
}

// Null: nobody can see one.
static const char *find_message(const struct faults_run *run) {
    static char line[LINE_BYTES];
    size_t bytes = 0, bytes_there = 0;
    const char *on_com1 = message_on_com1(run, &bytes);
    const char *on_console = message_on_console(run, &bytes_there);
    if (on_com1 != NULL && on_console != NULL &&
        (bytes != bytes_there || memcmp(on_com1, on_console, bytes) != 0))
        fail_msg("COM1 and console disagree: '%s', '%s'", on_com1, on_console);
    const char *found = on_com1 != NULL ? on_com1 : on_console;
    if (found == NULL)
        return NULL;
    snprintf(line, sizeof(line), "%.*s", (int)(on_com1 != NULL ? bytes : bytes_there), found);
    return line;
}

// The boot has ended for the call's sake, and says so.
static void check_reason(const struct faults_run *run, const char *line) {
    const struct faults_scenario *scenario = run->base->scenario;
    bool is_known = fake.failed_file != NULL || subjects[run->failed][0] != NULL ||
                    (scenario->needs & FAULTS_CALL(run->failed)) != 0;
    if (!is_known)
        fail_msg("%s can be done without: '%s'", fake_call_name(run->failed), line);
    if (line == NULL || (scenario->needs & FAULTS_CALL(run->failed)) != 0)
        return;
    bool is_named = fake.failed_file != NULL ? has_path(line, fake.failed_file->path)
                                             : speaks_of(line, run->failed);
    if (!is_named)
        fail_msg("not about the call: '%s'", line);
}

static void check_error(const struct faults_run *run) {
    const struct faults_scenario *scenario = run->base->scenario;
    const char *line = find_message(run);
    bool is_refusal =
        scenario->goal == FAULTS_REFUSAL && (line == NULL || strstr(line, scenario->refusal));
    if (is_refusal || run->may_end || is_config_lost())
        return;
    if (run->failed == FAKE_NONE)
        fail_msg("no reason to end: '%s'", line);
    check_reason(run, line);
}

// ---- The end

enum { COM1_KEPT = 7 }; // registers; the last one is nobody's to keep

static uint8_t com1_registers[COM1_KEPT], com1_divisor[sizeof(fake.com1_divisor)];

void faults_note_machine(void) {
    memcpy(com1_registers, fake.com1_registers, sizeof(com1_registers));
    memcpy(com1_divisor, fake.com1_divisor, sizeof(com1_divisor));
}

// As the firmware has left it, if the calls for that did not fail.
static void check_given_back(const struct faults_run *run) {
    assert_int_equal(fake_allocated_pages(), 0);
    assert_int_equal(fake.tpl, TPL_APPLICATION);
    assert_memory_equal(fake.com1_registers, com1_registers, sizeof(com1_registers));
    assert_memory_equal(fake.com1_divisor, com1_divisor, sizeof(com1_divisor));
    assert_false(fake.server.makes_callbacks && run->failed != FAKE_SET_PARAMETERS &&
                 !has_lasting_fault());
    if (!has_lasting_fault() && run->failed != FAKE_SET_ATTRIBUTE)
        assert_int_equal(fake.screen.mode.Attribute, 0x0e);
    if (!has_lasting_fault() && run->failed != FAKE_ENABLE_CURSOR)
        assert_true(fake.screen.mode.CursorVisible);
    for (uint32_t i = 0; i < fake.display_count && !has_lasting_fault(); i++)
        assert_true(fake.displays[i].number == 0 || run->failed == FAKE_SET_MODE);
}

static bool has_reached_goal(const struct faults_run *run) {
    switch (run->base->scenario->goal) {
    case FAULTS_SLIPWAY:
    case FAULTS_LIMINE:
        return fake.end == FAKE_ENTERED;
    case FAULTS_IMAGE:
        return fake.end == FAKE_RETURNED && fake.starts == 1;
    case FAULTS_REFUSAL:
        return fake.end == FAKE_RETURNED && EFI_ERROR(fake.status);
    case FAULTS_LEFT:
        return fake.end == FAKE_RETURNED && !EFI_ERROR(fake.status);
    }
    return false;
}

// An error that must end the boot has not. (A probe of the map answers EFI_BUFFER_TOO_SMALL when
// it succeeds.)
static bool is_ignored(const struct faults_run *run) {
    bool is_probe = run->failed == FAKE_GET_MEMORY_MAP && fake.fail_status == EFI_BUFFER_TOO_SMALL;
    bool is_retried = run->failed == FAKE_EXIT || (run->failed == FAKE_INSTALL && fake.pxe != NULL);
    bool is_absent = run->failed == FAKE_OPEN && fake.fail_status == EFI_NOT_FOUND; // as it is
    return run->failed != FAKE_NONE && !run->may_end && fake.failed_file == NULL &&
           is_needed(run) && !is_probe && !is_retried && !is_absent;
}

// What runs has the bytes of a file.
static void check_started(void) {
    bool is_found = false;
    for (uint32_t i = 0; i < fake.file_count; i++) {
        const struct fake_file *file = &fake.files[i];
        is_found |= file->bytes == fake.image_count && file->contents != NULL &&
                    memcmp(file->contents, fake.image_bytes, file->bytes) == 0;
    }
    assert_true(is_found);
}

// The firmware cannot be gone back to, nor its console be used: the message is drawn.
static void check_stop(void) {
    const struct fake_display *display = &fake.displays[0];
    assert_true(fake.exits != 0);
    if (fake.display_count != 0)
        assert_int_equal(picture_read((const uint32_t *)(uintptr_t)display->base,
                                      display->mode.HorizontalResolution, 0, 0),
                         NAME[0]);
}

static void check_success(const struct faults_run *run) {
    bool is_other = is_config_lost() && fake.end == FAKE_ENTERED;
    if (!has_reached_goal(run) && !is_other && !run->may_end)
        fail_msg("not the end of this scenario: '%s'", fake.com1);
    if (run->base->scenario->goal != FAULTS_REFUSAL && is_ignored(run))
        fail_msg("the error does not count");
}

void faults_check(const struct faults_run *run) {
    setup_expect_no_breach();
    if (fake.end == FAKE_RETURNED)
        check_given_back(run);
    if (fake.end == FAKE_ENTERED)
        check_kernel(run);
    if (fake.end == FAKE_STOPPED)
        check_stop();
    if (fake.starts != 0)
        check_started();
    bool is_error =
        fake.end == FAKE_STOPPED || (fake.end == FAKE_RETURNED && EFI_ERROR(fake.status));
    if (is_error)
        check_error(run);
    else
        check_success(run);
    bool is_same_boot = fake.end == FAKE_ENTERED && run->failed != FAKE_NONE &&
                        !run->base->scenario->is_random && !is_config_lost();
    if (is_same_boot) // what failed leaves the kernel no pages that nobody uses
        assert_true(fake_allocated_pages() <= run->base->pages);
}
