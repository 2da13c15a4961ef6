// See console.h.
#include "loader/console.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/firmware.h"
#include "loader/utf.h"

enum {
    CONSOLES_MAX = 16,
    PATH_NODES_MAX = 32,
    KEYS_DROPPED_MAX = 64,
    WAIT_SECONDS = 10,
    POLLS_A_SECOND = 20,
};

// edk2's console splitter puts this protocol on the handle of every console. All firmware that is
// made of edk2 does so.
#define CONSOLE_OUT_DEVICE_GUID                                                                    \
    {                                                                                              \
        0xd3b36f2c, 0xd551, 0x11d4, {                                                              \
            0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d                                         \
        }                                                                                          \
    }

static bool is_known;
static bool is_on_com1;

void console_init(void) {
    is_known = false;
}

CHAR16 console_unit(CHAR16 unit) {
    CHAR16 text[] = {unit, 0};
    bool is_shown = unit <= 0xff || !EFI_ERROR(ST->ConOut->TestString(ST->ConOut, text));
    return is_shown ? unit : L'?';
}

// The character at `text` for the console. Returns its length in bytes; a byte that begins none is
// one by itself.
static size_t next_unit(const char *text, size_t bytes, CHAR16 *ret_unit) {
    uint32_t code_point = (unsigned char)text[0];
    if (code_point < 0x80) { // nearly all
        *ret_unit = (CHAR16)code_point;
        return 1;
    }
    unsigned length = utf8_decode(text, bytes, &code_point);
    bool is_text = length != 0 && code_point >= 0xa0 && code_point <= 0xffff;
    *ret_unit = is_text ? console_unit((CHAR16)code_point) : L'?';
    return length == 0 ? 1 : length;
}

void console_write(const char *text, size_t bytes) {
    if (ST->ConOut == NULL)
        return;
    CHAR16 wide[64];
    size_t used = 0;
    for (size_t at = 0; at < bytes;) {
        if (text[at] == '\n')
            wide[used++] = L'\r';
        at += next_unit(text + at, bytes - at, &wide[used++]);
        if (used >= ARRAY_LEN(wide) - 2 || at == bytes) {
            wide[used] = 0;
            ST->ConOut->OutputString(ST->ConOut, wide);
            used = 0;
        }
    }
}

// ---- Whether COM1 is among the consoles

// True if the path leads through the first PNP0501, a 16550 (UEFI 2.9, 10.3.3: the ACPI node).
static bool leads_to_com1(const EFI_DEVICE_PATH *path) {
    for (unsigned i = 0; i < PATH_NODES_MAX && !IsDevicePathEndType(path); i++) {
        ACPI_HID_DEVICE_PATH acpi; // a copy: the nodes of a path are not aligned
        if (DevicePathType(path) == ACPI_DEVICE_PATH && DevicePathSubType(path) == ACPI_DP &&
            DevicePathNodeLength(path) >= (int)sizeof(acpi)) {
            memcpy(&acpi, path, sizeof(acpi));
            if (acpi.HID == EISA_PNP_ID(0x501) && acpi.UID == 0)
                return true;
        }
        if (DevicePathNodeLength(path) < (int)sizeof(*path))
            return false;
        path = (const EFI_DEVICE_PATH *)((const char *)path + DevicePathNodeLength(path));
    }
    return false;
}

static bool find_com1(void) {
    EFI_GUID console = CONSOLE_OUT_DEVICE_GUID;
    EFI_GUID device_path = DEVICE_PATH_PROTOCOL;
    EFI_HANDLE handles[CONSOLES_MAX];
    EFI_DEVICE_PATH *path;
    UINTN bytes = sizeof(handles);
    if (EFI_ERROR(BS->LocateHandle(ByProtocol, &console, NULL, &bytes, handles)))
        return false;
    for (UINTN i = 0; i < bytes / sizeof(handles[0]); i++) {
        EFI_STATUS status = BS->HandleProtocol(handles[i], &device_path, (void **)&path);
        if (!EFI_ERROR(status) && path != NULL && leads_to_com1(path))
            return true;
    }
    return false;
}

bool console_is_on_com1(void) {
    if (!is_known)
        is_on_com1 = ST->ConOut != NULL && find_com1();
    is_known = true;
    return is_on_com1;
}

// ---- Keys

static EFI_STATUS read_key(void) {
    EFI_INPUT_KEY key;
    return ST->ConIn != NULL ? ST->ConIn->ReadKeyStroke(ST->ConIn, &key) : EFI_DEVICE_ERROR;
}

// A keyboard that fails, where it is not just that no key has been typed, is not waited for for
// ever.
static void wait(bool for_ever) {
    for (unsigned polls = 0;; polls++) {
        EFI_STATUS status = read_key();
        bool goes_on =
            polls < WAIT_SECONDS * POLLS_A_SECOND || (for_ever && status == EFI_NOT_READY);
        if (!EFI_ERROR(status) || !goes_on)
            return;
        BS->Stall(1000000 / POLLS_A_SECOND);
    }
}

void console_wait_for_key(bool for_ever) {
    static const char key[] = "slipway: press a key to go back to the firmware\n";
    static const char limit[] =
        "slipway: press a key to go back to the firmware, which goes on in 10 seconds\n";
    _Static_assert(WAIT_SECONDS == 10, "as the text says");
    if (ST->ConOut == NULL)
        return;
    for (unsigned i = 0; i < KEYS_DROPPED_MAX && !EFI_ERROR(read_key());)
        i++;
    if (for_ever)
        console_write(key, sizeof(key) - 1);
    else
        console_write(limit, sizeof(limit) - 1);
    wait(for_ever);
}
