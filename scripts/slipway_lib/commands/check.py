"""slipway check: loadcheck."""

import subprocess

from slipway_lib import boots, places

HELP = "say whether the loader takes a kernel, and why not, without a boot"
DESCRIPTION = """\
Says, in the loader's own words, whether Slipway would boot these kernels: segments, rights, slide,
relocations, what the note asks for, and the page tables that are needed. With --esp the tree of an
EFI system partition is looked at as the loader looks at it: slipway.conf, kernel (or KERNEL in its
place), modules and their digests; of a config with several entries each of them.
"""
EPILOG = "Exit status: 0 all boot, 1 one is refused, 2 one could not be read, or a mistake.\n"
REST = "kernels"


def add_arguments(parser):
    kernels = parser.add_argument("kernels", metavar="KERNEL", nargs="*", default=[], help="kernels")
    kernels.complete = "file"
    tree = parser.add_argument("--esp", metavar="DIR", help="the folder with the tree")
    tree.complete = "folder"
    parser.add_argument("--entry", metavar="NAME", help="with --esp: this entry of the config alone")
    parser.add_argument("--ram", metavar="SIZE", help="RAM of the machine: bytes, or with K, M, G or T behind"
                        " (default: 512M)")
    parser.add_argument("--levels", choices=("4", "5"), help="paging levels that its CPU has (default: 5)")
    parser.add_argument("--json", action="store_true", help="one JSON object a kernel, a line each")
    parser.add_argument("-q", "--quiet", action="store_true", help="one line a kernel: that it boots, or why not")


def run(args):
    program = places.own(places.LOADCHECK)
    if not args.kernels and not args.esp:
        args.parser.error("no kernel is named")
    for kernel in args.kernels:
        boots.need_file(kernel, "kernel")
    command = [program]
    for name in ("esp", "entry", "ram", "levels"):
        if value := getattr(args, name):
            command += [f"--{name}", value]
    command += [f"--{name}" for name in ("json", "quiet") if getattr(args, name)]
    return subprocess.run([*command, "--", *args.kernels]).returncode
