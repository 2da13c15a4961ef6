// Calls of the fake firmware: each is counted, checked against the rules, and may fail.
#include "tests/firmware/fake_parts.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const call_names[FAKE_CALLS] = {
    "",
    "RaiseTPL",
    "RestoreTPL",
    "SetWatchdogTimer",
    "AllocatePages",
    "FreePages",
    "GetMemoryMap",
    "ExitBootServices",
    "HandleProtocol",
    "HandleProtocol",
    "LocateHandle",
    "LocateProtocol",
    "OutputString",
    "ReadKeyStroke",
    "Stall",
    "FreePool",
    "QueryMode",
    "SetMode",
    "GetTime",
    "OpenVolume",
    "Open",
    "Close",
    "Read",
    "SetPosition",
    "GetPosition",
    "GetInfo",
    "GetMemoryAttributes",
    "SetMemoryAttributes",
    "ClearMemoryAttributes",
    "GetInfo",
    "GetRNG",
    "GetEventLog",
    "ConnectController",
    "LoadImage",
    "StartImage",
    "UnloadImage",
    "InstallMultipleProtocolInterfaces",
    "UninstallMultipleProtocolInterfaces",
    "ConOut.QueryMode",
    "SetAttribute",
    "SetCursorPosition",
    "EnableCursor",
    "ClearScreen",
    "Mtftp",
    "SetParameters",
    "LocateDevicePath",
    "ReadDisk",
    "AllocatePool",
    "CreateEvent",
    "CloseEvent",
    "SetTimer",
    "OpenProtocol",
    "CloseProtocol",
};

void fake_record_breach(const char *format, ...) {
    if (fake.breach[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fake.breach, sizeof(fake.breach), format, arguments);
    va_end(arguments);
}

// UEFI 2.9, 7.4.6, and stricter: nothing at all between the last map and the exit.
static void check_order(enum fake_call call) {
    enum fake_call last = fake.calls == 0 ? FAKE_NONE : fake.kinds[fake.calls - 1];
    if (fake.exited)
        fake_record_breach("%s after the exit", call_names[call]);
    else if (fake.exits != 0 && call != FAKE_GET_MEMORY_MAP && call != FAKE_EXIT)
        fake_record_breach("%s after the first ExitBootServices", call_names[call]);
    else if (call == FAKE_EXIT && last != FAKE_GET_MEMORY_MAP)
        fake_record_breach("%s between the last GetMemoryMap and the exit", call_names[last]);
}

const char *fake_call_name(enum fake_call call) {
    return call_names[call];
}

// Of the call that has just been counted.
static bool is_failing(enum fake_call call) {
    if (fake.fail_at == 0 || fake.calls <= fake.fail_at)
        return fake.calls == fake.fail_at;
    return fake.fails_on || (fake.fails_kind && call == fake.kinds[fake.fail_at - 1]);
}

EFI_STATUS fake_begin_call(enum fake_call call, const struct fake_file *file) {
    if (fake.calls == FAKE_CALLS_RECORDED) { // a loop without an end
        fake_record_breach("more than %d calls", FAKE_CALLS_RECORDED);
        fake_end_boot(FAKE_STOPPED);
    }
    if (fake.before_call != NULL)
        fake.before_call(call);
    check_order(call);
    fake.kinds[fake.calls++] = (uint8_t)call;
    if (!is_failing(call) && call != fake.refused)
        return EFI_SUCCESS;
    fake.failed_file = file;
    return fake.fail_status;
}
