// The fake firmware's text console, with what stands on its screen, and its keyboard
// (UEFI 2.9, 12.3 and 12.4).
#include "loader/utf.h"
#include "tests/firmware/fake_parts.h"

#include <string.h>

static SIMPLE_TEXT_OUTPUT_INTERFACE console;
static SIMPLE_INPUT_INTERFACE keyboard;

static void erase_row(uint32_t row) {
    for (uint32_t column = 0; column < FAKE_COLUMNS_MAX; column++) {
        fake.screen.units[row][column] = ' ';
        fake.screen.attributes[row][column] = (uint8_t)fake.screen.mode.Attribute;
    }
}

static void next_row(void) {
    struct fake_text_screen *screen = &fake.screen;
    if ((uint32_t)screen->mode.CursorRow + 1 < screen->rows) {
        screen->mode.CursorRow++;
        return;
    }
    screen->scrolled++;
    memmove(screen->units[0], screen->units[1], sizeof(screen->units) - sizeof(screen->units[0]));
    memmove(screen->attributes[0], screen->attributes[1],
            sizeof(screen->attributes) - sizeof(screen->attributes[0]));
    erase_row(screen->rows - 1);
}

static bool has_glyph(uint16_t unit) {
    return unit <= 0xff || unit == fake.screen.glyph;
}

// As edk2's, it does not even show a blank of what it has no glyph for.
static void put_unit(uint16_t unit) {
    struct fake_text_screen *screen = &fake.screen;
    SIMPLE_TEXT_OUTPUT_MODE *mode = &screen->mode;
    screen->written++;
    if (!has_glyph(unit))
        return;
    if (unit == '\r') {
        mode->CursorColumn = 0;
    } else if (unit == '\n') {
        next_row();
    } else {
        screen->units[mode->CursorRow][mode->CursorColumn] = unit;
        screen->attributes[mode->CursorRow][mode->CursorColumn] = (uint8_t)mode->Attribute;
        if ((uint32_t)++mode->CursorColumn == screen->columns) {
            mode->CursorColumn = 0;
            next_row();
        }
    }
}

static EFI_STATUS EFIAPI output_string([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                       CHAR16 *text) {
    EFI_STATUS status = fake_begin_call(FAKE_OUTPUT, NULL);
    for (; *text != 0 && !EFI_ERROR(status); text++) {
        char utf8[4];
        unsigned bytes = utf8_encode(*text, utf8);
        bool is_kept = *text != '\r' || fake.console_keeps_cr;
        for (unsigned i = 0; i < bytes; i++) {
            if (is_kept && fake.console_bytes < sizeof(fake.console) - 1)
                fake.console[fake.console_bytes++] = utf8[i];
            if (fake.console_is_com1)
                fake_send_to_com1((uint8_t)utf8[i]);
        }
        put_unit(*text);
    }
    return status;
}

static EFI_STATUS EFIAPI test_string([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                     CHAR16 *text) {
    EFI_STATUS status = fake_begin_call(FAKE_TEST_STRING, NULL);
    for (; *text != 0 && !EFI_ERROR(status); text++)
        status = has_glyph(*text) ? EFI_SUCCESS : EFI_UNSUPPORTED;
    return status;
}

static EFI_STATUS EFIAPI query_text_mode([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                         UINTN number, UINTN *ret_columns, UINTN *ret_rows) {
    EFI_STATUS status = fake_begin_call(FAKE_QUERY_TEXT, NULL);
    if (EFI_ERROR(status))
        return status;
    if (number != (UINTN)fake.screen.mode.Mode)
        return EFI_UNSUPPORTED;
    *ret_columns = fake.screen.columns;
    *ret_rows = fake.screen.rows;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_attribute([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                       UINTN attribute) {
    EFI_STATUS status = fake_begin_call(FAKE_SET_ATTRIBUTE, NULL);
    if (!EFI_ERROR(status))
        fake.screen.mode.Attribute = (INT32)attribute;
    return status;
}

static EFI_STATUS EFIAPI set_cursor([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                    UINTN column, UINTN row) {
    EFI_STATUS status = fake_begin_call(FAKE_SET_CURSOR, NULL);
    if (EFI_ERROR(status))
        return status;
    const struct fake_text_screen *screen = &fake.screen;
    bool is_refused = (screen->columns_reached != 0 && column >= screen->columns_reached) ||
                      (screen->rows_reached != 0 && row >= screen->rows_reached);
    if (is_refused)
        return EFI_UNSUPPORTED;
    if (column >= fake.screen.columns || row >= fake.screen.rows)
        fake_record_breach("SetCursorPosition to %lu, %lu", column, row);
    fake.screen.mode.CursorColumn = (INT32)column;
    fake.screen.mode.CursorRow = (INT32)row;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI enable_cursor([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self,
                                       BOOLEAN is_visible) {
    EFI_STATUS status = fake_begin_call(FAKE_ENABLE_CURSOR, NULL);
    if (!EFI_ERROR(status))
        fake.screen.mode.CursorVisible = is_visible;
    return status;
}

static void erase_screen(void) {
    for (uint32_t row = 0; row < FAKE_ROWS_MAX; row++)
        erase_row(row);
    fake.screen.mode.CursorColumn = fake.screen.mode.CursorRow = 0;
}

static EFI_STATUS EFIAPI clear_screen([[maybe_unused]] SIMPLE_TEXT_OUTPUT_INTERFACE *self) {
    EFI_STATUS status = fake_begin_call(FAKE_CLEAR_SCREEN, NULL);
    if (!EFI_ERROR(status))
        erase_screen();
    return status;
}

static EFI_STATUS EFIAPI read_key([[maybe_unused]] SIMPLE_INPUT_INTERFACE *self,
                                  EFI_INPUT_KEY *ret_key) {
    EFI_STATUS status = fake_begin_call(FAKE_READ_KEY, NULL);
    if (EFI_ERROR(status))
        return status;
    if (fake.keyboard_fails)
        return EFI_DEVICE_ERROR;
    uint64_t now_ms = fake.stalled_us / 1000;
    if (fake.typed_count != 0 && fake.typed->at_ms <= now_ms) {
        *ret_key = (EFI_INPUT_KEY){fake.typed->scan, fake.typed->unit};
        fake.typed++;
        fake.typed_count--;
        return EFI_SUCCESS;
    }
    bool is_typed = fake.key_at_stall != 0 && fake.stalls >= fake.key_at_stall;
    if (fake.keys_read == fake.keys_before + is_typed)
        return EFI_NOT_READY;
    fake.keys_read++;
    *ret_key = (EFI_INPUT_KEY){.UnicodeChar = ' '};
    return EFI_SUCCESS;
}

SIMPLE_TEXT_OUTPUT_INTERFACE *fake_console(void) {
    console = (SIMPLE_TEXT_OUTPUT_INTERFACE){
        .OutputString = output_string,
        .TestString = test_string,
        .QueryMode = query_text_mode,
        .SetAttribute = set_attribute,
        .SetCursorPosition = set_cursor,
        .EnableCursor = enable_cursor,
        .ClearScreen = clear_screen,
        .Mode = fake.screen.has_no_mode ? NULL : &fake.screen.mode,
    };
    return &console;
}

SIMPLE_INPUT_INTERFACE *fake_keyboard(void) {
    keyboard = (SIMPLE_INPUT_INTERFACE){.ReadKeyStroke = read_key};
    return &keyboard;
}

void fake_reset_console(void) {
    fake.screen = (struct fake_text_screen){
        .columns = 80,
        .rows = 25,
        .mode = {.MaxMode = 3, .Mode = 2, .Attribute = 0x0e, .CursorVisible = TRUE},
    };
    erase_screen();
}
