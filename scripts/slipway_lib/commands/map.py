"""slipway map: what Slipway makes of a memory map, for people."""

import subprocess

from slipway_lib import boots, places
from slipway_lib.errors import STATUS_FAILED, Stop

HELP = "say what Slipway makes of a memory map of some machine"
DESCRIPTION = """\
Runs EFI memory maps through the loader's own code (normaliser, page tables of the direct map, frame
allocator, audit) and says what comes out. A map is text, a descriptor a line:

    TYPE PHYSICAL_START_HEX PAGES_DECIMAL ATTRIBUTES_HEX

with # before a comment.
"""
EPILOG = "Exit status: 0, 1 if a file is no map, 2 a mistake or something missing.\n"
REST = "files"
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def add_arguments(parser):
    files = parser.add_argument("files", metavar="FILE", nargs="+", help="maps")
    files.complete = "file"
    parser.add_argument("--no-1g", action="store_true", help="of a CPU without 1 GiB pages")
    parser.add_argument("--raw", action="store_true", help="key=value lines, for programs")


def size(number):
    """A number of bytes as people read it."""
    unit = 0
    value = float(number)
    while value >= 1024 and unit < len(UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{value:.1f}".removesuffix(".0") + f" {UNITS[unit]}"


def describe(text):
    """The key=value lines of replay, in words."""
    oddities = [line.split("=", 1)[1] for line in text.splitlines() if line.startswith("map.oddity=")]
    value = {key: int(number) for key, number in
             (line.split("=", 1) for line in text.splitlines() if not line.startswith("map.oddity="))}
    rows = [
        ("descriptors", f"{value['descriptors']}"),
        ("RAM", size(value["ram.bytes"])),
        ("usable at once", size(value["usable.bytes"])),
        ("usable later", size(value["reclaimable.bytes"])),
        ("frames", f"{value['frames.total']}, {value['frames.free']} free;"
                   f" the allocator takes {size(value['frames.metadata_bytes'])}"),
        ("direct map", f"{value['hhdm.leaves_1g']} pages of 1 GiB, {value['hhdm.leaves_2m']} of 2 MiB,"
                       f" {value['hhdm.leaves_4k']} of 4 KiB in {value['tables.pages']} tables"),
        ("audit", f"{value['audit.violations']} violations"),
        ("oddities", ", ".join(f"{name} ({count})" for name, count in map(str.split, oddities)) or "none"),
    ]
    return "".join(f"  {name:<16} {text}\n" for name, text in rows)


def run(args):
    program = places.own(places.REPLAY)
    status = 0
    for file in args.files:
        boots.need_file(file, "map")
        done = subprocess.run([program, *(["--1g=off"] if args.no_1g else []), file], capture_output=True,
                              text=True, errors="replace", stdin=subprocess.DEVNULL)
        if done.returncode == 1:
            raise Stop(done.stderr.strip().removeprefix("replay: "), STATUS_FAILED)
        if done.returncode:
            raise Stop(f"{program} failed: {done.stderr.strip()}")
        print(done.stdout if args.raw else f"{file}\n{describe(done.stdout)}", end="")
    return status
