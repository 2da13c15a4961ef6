"""Sourced by gdb (slipway_lib/debugger.py): runs the firmware until it starts the loader, then loads
the symbols of loader and kernel and breaks in both, or in the kernel alone.

Reads SLIPWAY_LIBRARY, the folder of BOOTX64.EFI and BOOTX64.debug, SLIPWAY_SYSTEM_TABLE, the EFI
system table's address, SLIPWAY_SYMBOLS, the command that reads the kernel's symbols,
SLIPWAY_KERNEL_START, where the kernel is to stop, and SLIPWAY_LOADER_START, where the loader is, or
empty.
The firmware lists its images for debuggers (UEFI 2.10, 18.4.3); the loader is the one whose code
is that of BOOTX64.EFI.
"""

import os
import struct
import uuid

import gdb

LIBRARY = os.environ["SLIPWAY_LIBRARY"]
SYSTEM_TABLE = int(os.environ["SLIPWAY_SYSTEM_TABLE"])

DEBUG_IMAGE_INFO_TABLE = uuid.UUID("49152e77-1ada-4764-b7a2-7afefed95e8b").bytes_le
# Offsets in the firmware's structures on x86-64.
SYSTEM_TABLE_BOOT_SERVICES = 96
SYSTEM_TABLE_CONFIG_COUNT = 104
SYSTEM_TABLE_CONFIG = 112
BOOT_SERVICES_START_IMAGE = 208
LOADED_IMAGE_BASE = 64


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def read_u64(address):
    return struct.unpack("<Q", read(address, 8))[0]


def pe_text(path):
    """Offset in memory and bytes of the .text section of a PE file."""
    data = open(path, "rb").read()
    header = struct.unpack_from("<I", data, 0x3C)[0]
    count, = struct.unpack_from("<H", data, header + 6)
    optional_size, = struct.unpack_from("<H", data, header + 20)
    for index in range(count):
        section = header + 24 + optional_size + 40 * index
        name, size, offset, _, start = struct.unpack_from("<8sIIII", data, section)
        if name.rstrip(b"\0") == b".text":
            return offset, data[start:start + size]
    raise gdb.GdbError(f"{path} has no .text")


def image_base(handle):
    """Where the image with this handle is, or None if the firmware does not list it."""
    config = read_u64(SYSTEM_TABLE + SYSTEM_TABLE_CONFIG)
    for index in range(read_u64(SYSTEM_TABLE + SYSTEM_TABLE_CONFIG_COUNT)):
        guid, table = struct.unpack("<16sQ", read(config + 24 * index, 24))
        if guid == DEBUG_IMAGE_INFO_TABLE:
            break
    else:
        return None
    # Header: update status, number of entries, array of pointers to (type, protocol, handle).
    _, count, array = struct.unpack("<IIQ", read(table, 16))
    for index in range(count):
        info = read_u64(array + 8 * index)
        if info and read_u64(info + 16) == handle:
            return read_u64(read_u64(info + 8) + LOADED_IMAGE_BASE)
    return None


class StartImage(gdb.Breakpoint):
    """Stops when the image about to be started is the loader."""

    def __init__(self, address, efi_file):
        super().__init__(f"*{address:#x}", internal=True)
        self.silent = True
        self.base = None
        self.offset, self.text = pe_text(efi_file)

    def stop(self):
        base = image_base(int(gdb.parse_and_eval("(unsigned long long)$rcx")))
        if base and read(base + self.offset, len(self.text)) == self.text:
            self.base = base
        return self.base is not None


def main():
    gdb.execute("set pagination off")
    gdb.execute("set confirm off")
    # The kernel's code is not mapped yet when gdb looks at it to place a breakpoint.
    gdb.execute("set trust-readonly-sections on")
    boot_services = read_u64(SYSTEM_TABLE + SYSTEM_TABLE_BOOT_SERVICES)
    start = StartImage(read_u64(boot_services + BOOT_SERVICES_START_IMAGE),
                       f"{LIBRARY}/BOOTX64.EFI")
    gdb.execute("continue")
    if start.base is None:
        raise gdb.GdbError("the firmware did not start the loader")
    base = start.base
    start.delete()
    gdb.execute(os.environ["SLIPWAY_SYMBOLS"])
    gdb.execute(f"add-symbol-file {LIBRARY}/BOOTX64.debug -o {base:#x}")
    print(f"loader at {base:#x}")
    if os.environ.get("SLIPWAY_LOADER_START"):
        gdb.execute(f"tbreak {os.environ['SLIPWAY_LOADER_START']}")
    gdb.execute(f"tbreak {os.environ['SLIPWAY_KERNEL_START']}")
    gdb.execute("continue")


main()
