"""A machine under gdb, which stops in the kernel, or before in the loader, with the symbols of both.

Where the firmware puts the loader is known only when it is there. So the machine runs until the
firmware's system table can be found in memory (UEFI 2.10, 18.4: a signed pointer on a 4 MiB
boundary), is stopped, and debug_gdb.py then watches StartImage for the loader.
"""

import itertools
import os
import signal
import subprocess
import time

import qemu

from slipway_lib import boots, places
from slipway_lib.errors import Stop

POINTER_SIGNATURE = 0x5453595320494249  # "IBI SYST"
POINTER_STEP = 4 << 20
SYSTEM_TABLE_BOOT_SERVICES = 96
SESSION_LIMIT_SECONDS = 86400
FIRMWARE_LIMIT_SECONDS = 60
POLL_SECONDS = 0.02
POINTER_PLACES = 8  # the highest, which are looked at in every turn
ALL_PLACES_TURNS = 32


def read_u64(machine, address):
    """Eight bytes of guest memory."""
    answer = machine.monitor(f"xp /1gx {address:#x}")
    value = answer.partition(":")[2].strip()
    return int(value, 16) if value.startswith("0x") else 0


def low_ram_end(chipset, ram):
    """Where RAM below 4 GiB ends (QEMU 7.2: hw/i386/pc_q35.c, pc_piix.c)."""
    end, needed = (3 << 30, 0xE0000000) if chipset.partition(",")[0] == "pc" else (2 << 30, 0xB0000000)
    return end if ram >= needed else ram


def find_system_table(machine, chipset, places_max=None):
    """The address of the EFI system table, or 0 while its pointer is at none of the highest places."""
    ram = machine.qmp("query-memory-size-summary")["base-memory"]
    top = low_ram_end(chipset, ram) // POINTER_STEP * POINTER_STEP
    for address in range(top - POINTER_STEP, 0, -POINTER_STEP)[:places_max]:
        if read_u64(machine, address) == POINTER_SIGNATURE:
            return read_u64(machine, address + 8)
    return 0


def run_firmware(machine, chipset):
    """Lets the firmware run until its tables stand; returns the system table's address."""
    deadline = time.monotonic() + FIRMWARE_LIMIT_SECONDS
    for turn in itertools.count(1):
        time.sleep(POLL_SECONDS)
        # Each place costs a question to QEMU, and OVMF takes memory from the top.
        table = find_system_table(machine, chipset, POINTER_PLACES if turn % ALL_PLACES_TURNS else None)
        if table and read_u64(machine, table + SYSTEM_TABLE_BOOT_SERVICES):
            machine.qmp("stop")
            return table
        if time.monotonic() > deadline:
            raise Stop("the firmware did not set up its system table")


def symbols_of(file, entry, slide):
    """What debug_gdb.py is to know of a kernel: the command that reads its symbols, and where a
    breakpoint waits."""
    # gdb takes quotes in both; a path may have blanks.
    quoted = '"' + str(file).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return {"SLIPWAY_SYMBOLS": f"symbol-file {quoted} -o {slide:#x}" if slide else f"file {quoted}",
            "SLIPWAY_KERNEL_START": f"*{entry:#x}"}


def run_gdb(gdb, image, folder, library, symbols, options, arguments=(), cwd=None):
    """Boots the image under gdb and returns gdb's exit status. `library` holds BOOTX64.EFI and its
    symbols; the log of COM1 and gdb's socket are in `folder`."""
    server, log = folder / f"gdb-{os.getpid()}", folder / "serial.txt"
    machine = qemu.Machine([image], timeout=SESSION_LIMIT_SECONDS, serial=f"file,path={log}", **options)
    with machine:
        table = run_firmware(machine, options.get("machine", "q35"))
        machine.serve_gdb(server)
        print(f"COM1 goes to {log}", flush=True)
        boots.say_screen(machine, options.get("display"))
        # Ctrl-C is gdb's. QEMU has a session of its own and does not see it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            status = subprocess.call([
                gdb, "-q", "-nx", "-ex", f"target remote {server}",
                "-x", str(places.PYTHON / "debug_gdb.py"), *arguments], cwd=cwd,
                env={**os.environ, **symbols, "SLIPWAY_LIBRARY": str(library),
                     "SLIPWAY_SYSTEM_TABLE": str(table)},
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        finally:
            signal.signal(signal.SIGINT, before)
    server.unlink(missing_ok=True)
    return status


def debug(image, kernel, folder, gdb, options):
    """A kernel of somebody's (symbols.Kernel) under gdb."""
    places.own(places.LOADER)
    places.own(places.LOADER_SYMBOLS)
    symbols = symbols_of(kernel.symbols.absolute(), kernel.entry, kernel.slide)
    return run_gdb(gdb, image, folder, places.LIBRARY, symbols, options)
