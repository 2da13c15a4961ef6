"""slipway run: boots a kernel in QEMU with COM1 on the terminal."""

import sys
import tempfile
from pathlib import Path

import qemu

from slipway_lib import boots, debugger, places
from slipway_lib.errors import Stop
from slipway_lib.machine import FirmwareFilter, KernelMachine

HELP = "boot a kernel in QEMU, COM1 on the terminal"
DESCRIPTION = """\
Boots KERNEL in QEMU under OVMF, from a disk with the loader, the kernel and the modules that is made
for this run. COM1 is on the terminal; Ctrl-C ends the machine. A kernel that faults before it has an
IDT, or that resets the machine, is shown where it was, with its symbols.

As the runner of cargo, in .cargo/config.toml:  runner = "slipway run"
"""
EPILOG = """\
The kernel powers off, or writes 0x10 to port 0xf4, to say that all is good.
Exit status: 0 good, 1 faulted, reset or refused, 2 a mistake or something missing, 124 time-out,
130 Ctrl-C, others as QEMU makes them of another VALUE in port 0xf4: 2 * VALUE + 1.
"""
REST = "modules"


def add_arguments(parser):
    boots.add_kernel(parser)
    boots.add_machine(parser)
    group = parser.add_argument_group("the run")
    group.add_argument("--display", action="store_true", help="show the screen in a window, or by VNC")
    group.add_argument("--gdb", action="store_true",
                       help="under gdb, stopped at the kernel's entry, with its symbols and the loader's")
    group.add_argument("--timeout", metavar="SECONDS", type=boots.seconds,
                       help="end the machine after so long (default: never)")


def run(args):
    if args.gdb and args.timeout:
        args.parser.error("--timeout does not go with --gdb, whose quit ends the machine")
    kernel = boots.open_kernel(args)
    if args.gdb and not kernel.is_known:
        raise Stop(f"{args.kernel}: --gdb needs an ELF kernel; of a PE file only the firmware knows where it is")
    places.prepare_rig()
    with tempfile.TemporaryDirectory(prefix="slipway-run-") as folder:
        # gdb is told where the kernel will be.
        image = boots.write_disk(folder, args, kaslr="off" if args.gdb else None)
        options = boots.machine_options(args, boots.window() if args.display else True)
        if args.gdb:
            return debugger.debug(image, kernel, Path(folder), places.find_gdb(), options)
        return _run(args, kernel, image, options)


def _run(args, kernel, image, options):
    machine = KernelMachine(image, kernel, timeout=args.timeout, log=args.log,
                            echo=FirmwareFilter(sys.stdout.buffer), **options)
    with machine, machine.terminal():
        boots.say_screen(machine, options["display"])
        end = machine.watch()
        said, status = boots.verdict(end, args.timeout and args.timeout * qemu.TIME_FACTOR)
        explained = boots.explain(end, kernel)
        if said:
            if machine.serial_bytes and not machine.serial_bytes.endswith(b"\n"):
                print()
            sys.stdout.flush()
            print(f"slipway run: {said}\n{explained}", file=sys.stderr, end="")
        if args.display and end.kind in ("stopped", "refused"):
            print("slipway run: the machine stands still; Ctrl-C ends it", file=sys.stderr)
            machine.wait_closed()
    return status
