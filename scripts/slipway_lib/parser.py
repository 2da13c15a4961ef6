"""The command line of slipway, and how a command ends: what a user can cause is one message."""

import argparse
import importlib
import os
import pkgutil
import shutil
import signal
import sys

import qemu

from slipway_lib import commands, places
from slipway_lib.errors import STATUS_FAILED, STATUS_INTERRUPTED, STATUS_WRONG, Stop

DESCRIPTION = "Boots, checks and tests kernels for the UEFI loader Slipway, in QEMU under OVMF."

STATUS = """\
exit status:
  0      the kernel has powered the machine off, or written 0x10 to port 0xf4; all is good
  1      it has faulted, reset the machine or been refused; the test or the check has failed
  2      a mistake on the command line, or something is missing
  124    the time was over
  130    Ctrl-C
  other  the kernel has written another VALUE to port 0xf4: 2 * VALUE + 1, as QEMU makes it
"""

ENVIRONMENT = """\
environment:
  QEMU                   QEMU for x86-64, if it is not qemu-system-x86_64 of the PATH
  OVMF_CODE, OVMF_VARS   the firmware's two files, if they are not where distributions put them
  GDB, ADDR2LINE         gdb for --gdb, and what decodes addresses (of binutils or LLVM)
  QEMU_TIME_FACTOR       multiplies every time limit, for slow machines
"""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Texts are as they stand; options are in one column."""

    def __init__(self, prog):
        super().__init__(prog, max_help_position=24, width=min(100, shutil.get_terminal_size().columns))


class Parser(argparse.ArgumentParser):
    def error(self, message):
        sys.stderr.write(f"{self.prog}: {message}\n{self.prog} --help tells more.\n")
        sys.exit(2)


def command_modules():
    """The modules of commands/, by the command's name."""
    names = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return {name: importlib.import_module(f"slipway_lib.commands.{name}") for name in names}


def make_parser():
    parser = Parser(prog="slipway", description=DESCRIPTION, epilog=f"{STATUS}\n{ENVIRONMENT}",
                    formatter_class=Formatter, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"slipway {places.version()}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for name, module in command_modules().items():
        one = subparsers.add_parser(name, help=module.HELP, description=module.DESCRIPTION,
                                    epilog=getattr(module, "EPILOG", None), formatter_class=Formatter,
                                    allow_abbrev=False)
        module.add_arguments(one)
        one.set_defaults(module=module, parser=one)
    return parser


def parse(arguments):
    """argparse takes files behind an option for too many: they are of the list before it (REST)."""
    args, rest = make_parser().parse_known_args(arguments)
    if rest:
        name = getattr(args.module, "REST", None)
        wrong = [word for word in rest if word.startswith("-") and word != "-"]
        if wrong or not name:
            args.parser.error("unrecognized: " + " ".join(wrong or rest))
        setattr(args, name, getattr(args, name) + rest)
    return args


def main(arguments=None):
    # An exit leaves each `with`, which ends QEMU and removes what was made; a terminal that is closed, too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda which, _: sys.exit(128 + which))
    # Options such as --help say their text and end here.
    args = parse(arguments)
    name = f"slipway {args.command}"
    try:
        return args.module.run(args)
    except Stop as stop:
        said, status = str(stop), stop.status
    except qemu.StartError as error:
        said, status = f"QEMU does not start: {error.summary}", STATUS_WRONG
    except qemu.BootError as error:
        said, status = error.summary, STATUS_FAILED
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return STATUS_FAILED
    except OSError as error:
        path = error.filename2 or error.filename  # of a copy: the target
        said, status = f"{path}: {error.strerror}" if path else str(error), STATUS_FAILED
    except RuntimeError as error:  # of mtools, or of a QMP command
        said, status = str(error), STATUS_FAILED
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    sys.stdout.flush()
    print(f"{name}: {said}", file=sys.stderr)
    return status
