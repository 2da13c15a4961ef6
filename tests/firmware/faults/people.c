// Scenarios of consoles: none, one, and menus on them.
#include "tests/firmware/cpu.h"
#include "tests/firmware/faults/faults.h"
#include "tests/firmware/setup_menu.h"

#include <string.h>

#define ENTRIES "module = \\empty\n" SETUP_MENU_ENTRIES

static void set_up_no_console(void) {
    faults_set_up_plain();
    fake.has_console = fake.has_keyboard = false;
}

static void set_up_no_com1(void) {
    faults_set_up_plain();
    fake.has_uart = false;
}

static void set_up_nobody_sees(void) {
    set_up_no_console();
    fake.has_uart = false;
}

const struct faults_scenario faults_no_console = {
    .name = "no console",
    .set_up = set_up_no_console,
    .modules = 2,
};
const struct faults_scenario faults_no_com1 = {
    .name = "no COM1",
    .set_up = set_up_no_com1,
    .modules = 2,
};
const struct faults_scenario faults_nobody_sees = {
    .name = "neither console nor COM1",
    .set_up = set_up_nobody_sees,
    .modules = 2,
};

// ---- Menus

// People at the keyboard, who type these keys, and at a terminal on COM1, who end the menu after
// 400 ms where the keyboard has failed.
static void add_people(const struct fake_key *keys, uint32_t count) {
    fake.has_tsc_leaf = true;
    fake.key_at_stall = 0;
    fake.typed = keys;
    fake.typed_count = count;
    fake.com1_has_fifos = true; // else what has come before is dropped
    fake.com1_input = "\r\r\r\r";
    fake.com1_input_ms = 400;
}

static void set_up_menu(const char *config, const struct fake_key *keys, uint32_t count) {
    setup_boot(config);
    add_people(keys, count);
}

// An arrow, `e`, some of the line changed, Enter in it and in the menu; what fails may cost a key,
// and more Enters come.
static void set_up_edited(void) {
    static const struct fake_key keys[] = {
        {20, SCAN_DOWN, 0}, {30, 0, 'e'},  {30, 0, 'x'},  {30, SCAN_HOME, 0}, {30, SCAN_DELETE, 0},
        {40, 0, 0xe4},      {50, 0, '\r'}, {60, 0, '\r'}, {70, 0, '\r'},      {80, 0, '\r'},
    };
    set_up_menu("timeout = 5\n" ENTRIES, keys, ARRAY_LEN(keys));
}

// Firmware that stalls for longer than it was asked to: so a second is over in few steps.
static void stall_for_longer(void) {
    fake_pass_time(FAKE_TSC_HZ / 10);
}

static void set_up_timeout(void) {
    set_up_menu("timeout = 1\ndefault = two\n" ENTRIES, NULL, 0);
    fake.com1_input = NULL;
    fake.in_stall = stall_for_longer;
}

static void set_up_left(void) {
    static const struct fake_key keys[] = {{50, SCAN_ESC, 0}, {90, SCAN_ESC, 0}};
    set_up_menu("timeout = none\n" ENTRIES, keys, ARRAY_LEN(keys));
    fake.com1_input = "\x1b";
}

// A terminal alone, which types an arrow and Enter.
static void set_up_on_com1(void) {
    set_up_menu("timeout = 5\n" ENTRIES, NULL, 0);
    fake.has_console = fake.has_keyboard = false;
    fake.com1_input = "\x1b[B\r\r";
    fake.com1_input_ms = 50;
}

static void check_edited(void) {
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "\xc3\xa4x");
}

static void check_timeout(void) {
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_TIMEOUT, "2");
}

static void check_on_com1(void) {
    setup_expect_choice("two", SLIPWAY_CHOICE_BY_MENU, "2");
}

const struct faults_scenario faults_menu_edited = {
    .name = "a menu, a line edited",
    .set_up = set_up_edited,
    .check = check_edited,
    .modules = 1,
    .talks = true,
};
const struct faults_scenario faults_menu_timeout = {
    .name = "a menu, nobody there",
    .set_up = set_up_timeout,
    .check = check_timeout,
    .modules = 1,
    .talks = true,
};
const struct faults_scenario faults_menu_left = {
    .name = "a menu that is left",
    .set_up = set_up_left,
    .goal = FAULTS_LEFT,
    .talks = true,
};
const struct faults_scenario faults_menu_on_com1 = {
    .name = "a menu on COM1 alone",
    .set_up = set_up_on_com1,
    .check = check_on_com1,
    .modules = 1,
    .talks = true,
};

// ---- Entries of the Boot Loader Specification

static void add_folder(const char *path) {
    fake_add_file(path, NULL, 0)->is_directory = true;
}

static void set_up_bls(void) {
    static const char text[] = "title Debian\nlinux /kernel.elf\ninitrd /boot/initrd.img\n"
                               "options root=x\n";
    static const char bad[] = "linux\n";
    static const char osrel[] = "ID=arch\n";
    static const struct fake_key keys[] = {{20, 0, '3'}, {30, 0, '\r'}};
    static uint8_t image[PE_FILE_BYTES];
    setup_image("bls = on\ntimeout = 1\n[own]\ntitle = Own\n", pe_file_make_linux);
    setup_file("\\boot\\initrd.img")->bytes = 9000;
    add_people(keys, ARRAY_LEN(keys));
    add_folder("\\loader\\entries");
    fake_add_file("\\loader\\entries\\a.conf", text, sizeof(text) - 1);
    fake_add_file("\\loader\\entries\\b.conf", bad, sizeof(bad) - 1);
    add_folder("\\EFI\\Linux");
    pe_file_make_linux(image);
    pe_file_add_section(image, ".osrel", osrel, sizeof(osrel) - 1);
    pe_file_add_section(image, ".cmdline", "root=y", 6);
    fake_add_file("\\EFI\\Linux\\arch.efi", image, sizeof(image));
}

// The third entry is the text's, which has an initrd: that is offered.
static void check_bls(void) {
    assert_ptr_not_equal(memchr(fake.kinds, FAKE_INSTALL, fake.calls), NULL);
}

// Whatever is wrong with one file of an entry is no fault of the others.
const struct faults_scenario faults_bls = {
    .name = "entries of the Boot Loader Specification",
    .set_up = set_up_bls,
    .goal = FAULTS_IMAGE,
    .talks = true,
    .survives = FAULTS_CALL(FAKE_INSTALL),
    .check = check_bls,
};
