"""slipway doctor: what is there, where, and what is missing."""

import os
import sys
from pathlib import Path

from slipway_lib import places
from slipway_lib.errors import Stop

HELP = "say where QEMU, OVMF and the rest are, and what is missing"
DESCRIPTION = """\
Lists what slipway works with: each program and file, its place and version, what it is for, and, if it
is missing, how to get it. Only installing packages needs root.
"""
EPILOG = "Exit status: 0 all that run and test need is there, 1 something is missing.\n"


def add_arguments(parser):
    del parser


def _program(find):
    path = find()
    return f"{path} ({places.program_version(path)})"


def _ovmf():
    code, variables = places.find_ovmf()
    package = places.package_of(code)
    return f"{code}, {variables}" + (f" ({package})" if package else "")


def _kvm():
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm may be used"
    raise Stop("/dev/kvm may not be used" if Path("/dev/kvm").exists() else "there is no /dev/kvm")


# What; whether run and test need it; how it is found, or what says that it is not.
THINGS = (
    ("loader", True, lambda: places.own(places.LOADER)),
    ("loadcheck", True, lambda: places.own(places.LOADCHECK)),
    ("QEMU", True, lambda: _program(places.find_qemu)),
    ("OVMF", True, _ovmf),
    ("mtools", True, lambda: _program(places.find_mtools)),
    ("xorriso, for image --iso", False, lambda: _program(places.find_xorriso)),
    ("replay, for map", False, lambda: places.own(places.REPLAY)),
    ("addr2line, for decoded faults", False, lambda: _program(places.find_addr2line)),
    ("gdb, for run --gdb", False, lambda: _program(places.find_gdb)),
    ("KVM, for --accel kvm", False, _kvm),
)


def run(args):
    del args
    print(f"slipway {places.version()}, "
          + (f"of the tree {places.TREE}" if places.TREE else f"installed in {places.PREFIX}"))
    print(f"{'':<8}{'Python':<30} {sys.executable} ({sys.version.split()[0]})")
    status = 0
    for name, is_needed, find in THINGS:
        try:
            mark, said = "ok", find()
        except Stop as stop:
            mark, said = ("MISSING" if is_needed else "no"), stop
            status = 1 if is_needed else status
        print(f"{mark:<8}{name:<30} {said}")
    print("everything that run and test need is there" if status == 0 else
          "run and test do not work yet: see MISSING")
    return status
