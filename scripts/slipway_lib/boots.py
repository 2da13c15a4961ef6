"""What `run` and `test` share: the options of a machine, the kernel, its disk, and the words for
how it ended."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import qemu

from slipway_lib import esp, fault, places
from slipway_lib.errors import STATUS_FAILED, STATUS_TIMEOUT, STATUS_WRONG, Stop
from slipway_lib.machine import DEBUG_EXIT_GOOD_STATUS
from slipway_lib.symbols import Kernel, loadcheck

# The first display that is free.
VNC = "vnc=localhost:0,to=99"
END_HINT = "a kernel ends the machine by powering off, or by writing 0x10 to port 0xf4"


def _checked(problem_of):
    def convert(text):
        if problem := problem_of(text):
            raise argparse.ArgumentTypeError(f"{text} {problem}")
        return text
    return convert


def _count(text):
    if not re.fullmatch("[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of processors, 1 or more")
    return int(text)


def seconds(text):
    if not re.fullmatch(r"(?=.*[1-9])[0-9]+(\.[0-9]+)?", text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return float(text)


def add_kernel(parser):
    kernel = parser.add_argument("kernel", metavar="KERNEL", help="the kernel: an ELF file of Slipway's or"
                                 " Limine's protocol, a Linux kernel, or an EFI application")
    kernel.complete = "file"
    modules = parser.add_argument("modules", metavar="MODULE", nargs="*", default=[],
                                  help="files that the loader hands to the kernel")
    modules.complete = "file"


def add_machine(parser):
    group = parser.add_argument_group("the kernel")
    group.add_argument("--cmdline", metavar="TEXT", default="", help="its command line",
                       type=_checked(esp.cmdline_problem))
    symbols = group.add_argument("--symbols", metavar="FILE", help="the file with its symbols, if KERNEL has"
                                 " none (default: KERNEL)")
    symbols.complete = "file"
    group.add_argument("--log", metavar="LEVEL", choices=("quiet", "info", "debug"), default="quiet",
                       help="what the loader says: quiet (the default), info or debug")
    group = parser.add_argument_group("the machine")
    group.add_argument("--mem", metavar="SIZE", default="512M", type=_checked(esp.memory_problem),
                       help="memory, such as 512M (the default) or 4G")
    group.add_argument("--cpus", metavar="N", default=1, type=_count, help="processors (default: 1)")
    group.add_argument("--cpu", metavar="MODEL", help="processor model of QEMU, such as max")
    group.add_argument("--accel", metavar="KIND", choices=("tcg", "kvm"), default="tcg",
                       help="tcg (the default), or kvm, which is faster where /dev/kvm may be used")
    group.add_argument("--qemu-arg", metavar="ARG", action="append", default=[],
                       help="one more argument for QEMU, as in --qemu-arg=-device --qemu-arg=edu")


def machine_options(args, display=True):
    return {"memory": args.mem, "smp": args.cpus, "cpu": args.cpu, "accel": args.accel,
            "display": display, "extra": args.qemu_arg}


def window():
    """A -display with a window, of those that this QEMU has, or a VNC server."""
    listed = subprocess.run([qemu.QEMU, "-display", "help"], capture_output=True, text=True).stdout.split()
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        for kind in ("gtk", "sdl", "cocoa"):
            if kind in listed:
                return kind
    return VNC


def say_screen(machine, display):
    """Where the screen is, if it is in no window."""
    if display == VNC:
        about = machine.qmp("query-vnc")
        print("slipway: no window here (no DISPLAY, or QEMU without gtk and sdl: package qemu-system-gui); the screen"
              f" is at vnc://{about['host']}:{about['service']}", file=sys.stderr)


def need_file(path, what):
    """Ends with a message unless it can be read."""
    if not Path(path).exists():
        raise Stop(f"{path}: there is no such file (it is to be the {what})")
    if not Path(path).is_file():
        raise Stop(f"{path}: not a file (it is to be the {what})")
    with open(path, "rb"):
        return


def open_kernel(args):
    """The kernel, which the loader would take: the loader's own words if not."""
    need_file(args.kernel, "kernel")
    for module in args.modules:
        need_file(module, "kernel's module")
    if args.symbols:
        need_file(args.symbols, "file with the symbols")
    said = loadcheck(args.kernel, "--ram", _ram_for_loadcheck(args.mem))
    if said["verdict"] == "refused":
        raise Stop(f"the loader refuses {said['reason']}", STATUS_FAILED)
    if said["verdict"] == "unknown":
        raise Stop(said["reason"])
    return Kernel(args.kernel, said["kernel"], args.symbols)


def _ram_for_loadcheck(size):
    """loadcheck takes whole numbers."""
    return f"{int(float(size[:-1]) * 1024)}{'KMG'['MGT'.index(size[-1].upper())]}"


def write_disk(folder, args, kaslr=None):
    files = esp.kernel_files(places.own(places.LOADER), args.kernel, args.modules, args.cmdline, args.log, kaslr)
    return esp.write_image(Path(folder) / "disk.img", files)


def verdict(end, timeout=None):
    """What to say of an end and the exit status for it; "" is nothing to say."""
    if end.kind == "debug-exit":
        if end.status == DEBUG_EXIT_GOOD_STATUS:
            return "", 0
        return f"the kernel wrote {end.detail} to port 0xf4, and only 0x10 means that all is good", end.status
    return {
        "expected": ("", 0),
        "power-off": ("", 0),
        "closed": ("", 0),
        "triple-fault": ("the machine reset: a triple fault", STATUS_FAILED),
        "reset": ("the machine reset, without a triple fault: the kernel, or the firmware after a kernel"
                  " that returned, asked for it", STATUS_FAILED),
        "stopped": ("the kernel faulted", STATUS_FAILED),
        "refused": (f"the loader refused: {end.detail}", STATUS_FAILED),
        "no-loader": ("the firmware could not start the loader (--mem may be too little)", STATUS_FAILED),
        "timeout": (f"time-out after {timeout:g} s; {END_HINT}" if timeout else "time-out", STATUS_TIMEOUT),
        "qemu": (f"QEMU ended: {end.detail}", STATUS_WRONG),
    }[end.kind]


def explain(end, kernel):
    """Where the kernel was, decoded; "" where there is nothing to decode."""
    return fault.render(end.scene, kernel) if end.scene else ""
