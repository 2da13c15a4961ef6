// See menu_console.h.
#include "loader/menu_console.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/x86/uart.h"
#include "loader/console.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/menu_keys.h"
#include "loader/menu_screen.h"
#include "loader/timeline.h"

enum {
    STEP_MS = 10,
    PAUSE_STEPS = 5,      // without a byte: an escape sequence has ended
    KEYS_A_STEP_MAX = 64, // then the screen is shown, whatever comes
    // A key that is held comes again after half a second at first, as keyboards do.
    HELD_MS = 1000,
    FAILING_MS = 10000, // then a keyboard that fails is none
    SCREENS_MAX = 2,
};

struct terminal {
    struct menu_keys keys;
    uint32_t quiet_steps;
};

static struct menu_screen screens[SCREENS_MAX];
static uint32_t screen_count;
static struct terminal terminal; // at COM1, if that is the loader's
static struct terminal behind;   // the firmware's console: see may_begin
static EFI_INPUT_KEY later[3];   // strokes that come again, the last one first: see end_utf8
static uint32_t later_count;
static bool is_keyboard_failing; // or there is none
static struct menu_key typed;    // the last key before the menu was there, which may be held

static bool is_com1_ours(void) {
    return uart_present() && !console_is_on_com1();
}

// ---- Keys

// UEFI 2.9, 12.1.2: scan codes.
static struct menu_key translate(EFI_INPUT_KEY key) {
    static const uint8_t kinds[] = {
        [SCAN_UP] = MENU_KEY_UP,         [SCAN_DOWN] = MENU_KEY_DOWN,
        [SCAN_RIGHT] = MENU_KEY_RIGHT,   [SCAN_LEFT] = MENU_KEY_LEFT,
        [SCAN_HOME] = MENU_KEY_HOME,     [SCAN_END] = MENU_KEY_END,
        [SCAN_DELETE] = MENU_KEY_DELETE, [SCAN_PAGE_UP] = MENU_KEY_PAGE_UP,
        [SCAN_ESC] = MENU_KEY_ESCAPE,    [SCAN_PAGE_DOWN] = MENU_KEY_PAGE_DOWN,
    };
    if (key.ScanCode != 0)
        return (struct menu_key){
            key.ScanCode < ARRAY_LEN(kinds) ? kinds[key.ScanCode] : MENU_KEY_NONE, 0};
    if (key.UnicodeChar == L'\r' || key.UnicodeChar == L'\n')
        return (struct menu_key){MENU_KEY_ENTER, 0};
    if (key.UnicodeChar == L'\b')
        return (struct menu_key){MENU_KEY_BACKSPACE, 0};
    return (struct menu_key){MENU_KEY_CHARACTER, key.UnicodeChar};
}

static bool read_stroke(EFI_INPUT_KEY *ret_stroke) {
    EFI_STATUS status = EFI_DEVICE_ERROR;
    if (later_count != 0) {
        *ret_stroke = later[--later_count];
        return true;
    }
    if (ST->ConIn != NULL)
        status = ST->ConIn->ReadKeyStroke(ST->ConIn, ret_stroke);
    is_keyboard_failing = EFI_ERROR(status) && status != EFI_NOT_READY;
    return !EFI_ERROR(status);
}

// A terminal's driver of the firmware's knows the sequences of one kind of terminal. What others
// send, such as xterm's for Delete to edk2's of PC-ANSI, it makes Escape and characters of, which
// are put together here: else Delete would leave the menu. So are the bytes of UTF-8, which come as
// a character each. What waits while a slow console is drawn comes as fast from a keyboard: so
// characters that are no UTF-8 together stay what they are. Those that may begin a key:
static bool may_begin(EFI_INPUT_KEY stroke) {
    return stroke.ScanCode == SCAN_ESC ||
           (stroke.ScanCode == 0 && stroke.UnicodeChar >= 0xc2 && stroke.UnicodeChar <= 0xf4);
}

static bool goes_on(EFI_INPUT_KEY stroke) {
    bool is_sequence = behind.keys.bytes[0] == '\x1b';
    if (stroke.ScanCode != 0)
        return is_sequence && stroke.ScanCode == SCAN_ESC;
    return is_sequence ? stroke.UnicodeChar >= ' ' && stroke.UnicodeChar < 0x7f
                       : stroke.UnicodeChar >= 0x80 && stroke.UnicodeChar < 0xc0;
}

// Of so many characters that are no UTF-8 together the first is the key; the others come again, and
// begin nothing.
static void end_utf8(uint32_t count, struct menu_key *ret_key) {
    const uint8_t *bytes = behind.keys.bytes;
    if (bytes[0] == '\x1b' || ret_key->kind != MENU_KEY_NONE)
        return;
    ASSERT(later_count + count <= ARRAY_LEN(later) + 1);
    while (count-- > 1)
        later[later_count++] = (EFI_INPUT_KEY){.UnicodeChar = bytes[count]};
    *ret_key = (struct menu_key){MENU_KEY_CHARACTER, bytes[0]};
}

// Escape, or characters that are no bytes.
static bool end_stroke(struct menu_key *ret_key) {
    uint32_t count = behind.keys.count;
    bool is_key = menu_keys_pause(&behind.keys, ret_key);
    if (is_key)
        end_utf8(count, ret_key);
    return is_key;
}

// True: *ret_key is a key.
static bool add_stroke(EFI_INPUT_KEY stroke, struct menu_key *ret_key) {
    behind.quiet_steps = 0;
    if (behind.keys.count == 0 && !may_begin(stroke)) {
        *ret_key = translate(stroke);
        return true;
    }
    if (behind.keys.count != 0 && !goes_on(stroke)) {
        later[later_count++] = stroke;
        return end_stroke(ret_key);
    }
    uint32_t count = behind.keys.count + 1;
    uint8_t byte = stroke.ScanCode == SCAN_ESC ? 0x1b : (uint8_t)stroke.UnicodeChar;
    bool is_key = menu_keys_add(&behind.keys, byte, ret_key);
    if (is_key)
        end_utf8(count, ret_key);
    return is_key;
}

static bool read_console(struct menu_key *ret_key) {
    EFI_INPUT_KEY stroke;
    for (unsigned i = 0; i < KEYS_A_STEP_MAX && read_stroke(&stroke); i++) {
        if (add_stroke(stroke, ret_key))
            return true;
    }
    return behind.quiet_steps >= PAUSE_STEPS && end_stroke(ret_key);
}

static bool read_com1(struct menu_key *ret_key) {
    int byte;
    while ((byte = uart_read()) >= 0) {
        terminal.quiet_steps = 0;
        if (menu_keys_add(&terminal.keys, (uint8_t)byte, ret_key))
            return true;
    }
    return terminal.quiet_steps >= PAUSE_STEPS && menu_keys_pause(&terminal.keys, ret_key);
}

static bool read_key(struct menu_key *ret_key) {
    return read_console(ret_key) || (is_com1_ours() && read_com1(ret_key));
}

static bool has_begun(void) {
    return terminal.keys.count != 0 || behind.keys.count != 0;
}

static void stall_step(void) {
    BS->Stall(STEP_MS * 1000);
    terminal.quiet_steps++;
    behind.quiet_steps++;
}

static void forget_keys(void) {
    terminal = behind = (struct terminal){0};
    later_count = 0;
}

bool menu_is_wanted(uint32_t timeout) {
    bool has_com1 = is_com1_ours();
    forget_keys();
    typed = (struct menu_key){MENU_KEY_NONE, 0};
    if ((ST->ConOut == NULL || ST->ConIn == NULL) && !has_com1)
        return false;
    return timeout != 0 || read_key(&typed) || has_begun(); // one look
}

// True: another key has begun.
static bool read_typed(void) {
    for (unsigned i = 0; i < KEYS_A_STEP_MAX && read_key(&typed); i++)
        ;
    return has_begun();
}

// The end of a key that has begun is waited for: it may be the one that is held, and what is left
// of its sequence would come to the menu as characters.
static void drop_keys(void) {
    for (unsigned step = 0; read_typed() && step < PAUSE_STEPS; step++)
        stall_step();
    // An Escape that is held does not end: the next one follows before a pause would.
    (void)(end_stroke(&typed) || menu_keys_pause(&terminal.keys, &typed));
    forget_keys();
}

// ---- The run

struct run {
    struct menu menu;
    uint32_t held_ms;     // while it is not 0 the key that was typed before does not count
    uint64_t counts_a_ms; // of the TSC; 0: unknown
    uint64_t last;        // TSC up to which time has been counted
    uint32_t waited_ms;
    uint32_t failing_ms; // nobody can type anything
};

static void start_clock(struct run *run) {
    run->counts_a_ms = timeline_tsc_hz() / 1000;
    run->last = timeline_now();
}

// Milliseconds since the last call, in which the loader has stalled for one step. Where nothing
// tells how fast the TSC counts, those are all.
static uint32_t count_time(struct run *run) {
    if (run->counts_a_ms == 0)
        return STEP_MS;
    uint64_t ms = min_u64((timeline_now() - run->last) / run->counts_a_ms, UINT32_MAX);
    run->last += ms * run->counts_a_ms;
    return (uint32_t)ms;
}

static void press(struct run *run, struct menu_key key) {
    bool is_held = run->held_ms != 0 && key.kind == typed.kind && key.character == typed.character;
    run->held_ms = is_held ? HELD_MS : 0;
    menu_press(&run->menu, is_held ? (struct menu_key){MENU_KEY_NONE, 0} : key);
}

static void show_all(const struct menu *menu) {
    for (uint32_t i = 0; i < screen_count; i++)
        menu_screen_show(&screens[i], menu);
}

// With nobody who could type the menu must not wait for ever.
static void pass_time(struct run *run, uint32_t ms) {
    bool may_be_held = has_begun(); // Escape, repeated
    run->held_ms -= may_be_held ? 0 : (uint32_t)min_u64(run->held_ms, ms);
    run->waited_ms = (uint32_t)min_u64((uint64_t)run->waited_ms + ms, UINT32_MAX);
    bool is_deaf = is_keyboard_failing && !is_com1_ours();
    run->failing_ms = is_deaf ? (uint32_t)min_u64((uint64_t)run->failing_ms + ms, FAILING_MS) : 0;
    if (run->failing_ms == FAILING_MS)
        run->menu.left_ms = 0;
    menu_elapse(&run->menu, ms);
}

static void wait(struct run *run) {
    struct menu_key key;
    while (!menu_is_over(&run->menu)) {
        for (unsigned i = 0; i < KEYS_A_STEP_MAX && read_key(&key); i++)
            press(run, key);
        show_all(&run->menu);
        if (menu_is_over(&run->menu))
            return;
        stall_step();
        pass_time(run, count_time(run));
    }
}

// ---- Memory

static EFI_STATUS alloc(uint64_t bytes, uint64_t *ret_start) {
    EFI_STATUS status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, ret_start);
    return EFI_ERROR(status) ? log_fail(status, "menu: no room for %lu bytes (%s)", bytes,
                                        log_status_text(status))
                             : EFI_SUCCESS;
}

static uint64_t find_screens(void) {
    uint64_t bytes = 0;
    screen_count = 0;
    if (ST->ConOut != NULL)
        menu_screen_find(&screens[screen_count++], false);
    if (is_com1_ours())
        menu_screen_find(&screens[screen_count++], true);
    for (uint32_t i = 0; i < screen_count; i++)
        bytes += align_up(menu_screen_room(&screens[i]), 8);
    return bytes;
}

static void begin_screens(const struct menu *menu, uint64_t room) {
    for (uint32_t i = 0; i < screen_count; i++) {
        uint64_t bytes = align_up(menu_screen_room(&screens[i]), 8);
        menu_screen_begin(&screens[i], menu, firmware_pointer(room));
        room += bytes;
    }
}

static uint32_t to_ms(uint32_t timeout) {
    return timeout == 0 || timeout == CONFIG_TIMEOUT_NONE ? MENU_FOREVER : timeout * 1000;
}

EFI_STATUS menu_run(const struct menu_request *request, struct menu_answer *ret_answer) {
    uint64_t lines, cells;
    struct run run = {.held_ms = HELD_MS};
    EFI_STATUS status = alloc(2 * menu_line_room(request->items, request->count), &lines);
    if (!EFI_ERROR(status))
        status = alloc(find_screens(), &cells);
    if (EFI_ERROR(status))
        return status;
    menu_begin(&run.menu, request->items, request->count, request->selected,
               to_ms(request->timeout), firmware_pointer(lines));
    drop_keys();
    begin_screens(&run.menu, cells);
    start_clock(&run);
    wait(&run);
    for (uint32_t i = 0; i < screen_count; i++)
        menu_screen_end(&screens[i]);
    firmware_free_pages(cells);
    *ret_answer = (struct menu_answer){
        .end = run.menu.state,
        .selected = run.menu.selected,
        .cmdline = menu_cmdline(&run.menu),
        .waited_ms = run.waited_ms,
    };
    if (run.menu.edited != run.menu.selected)
        firmware_free_pages(lines);
    return EFI_SUCCESS;
}
