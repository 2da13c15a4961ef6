"""What the Python scripts share: the folders, make's variables and what they may be, the image, and
the frame of a command.

The variables (MEM, SMP, ...) come from make; `make help` describes them. What is wrong with one is
said in one line that names it, its value and what would be right.
"""

import filecmp
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("SLIPWAY_BUILD", "build")
sys.path.insert(0, str(ROOT / "tests"))

import fat  # noqa: E402  (needs the path above)
import qemu  # noqa: E402
from slipway_lib.esp import (  # noqa: E402
    CONFIG, assignment, cmdline_problem, config_lines, config_name, default_section, find, kernel_name,
    memory_problem, write_image)

__all__ = ["CONFIG", "assignment", "config_lines", "config_name", "fat", "find", "kernel_name", "qemu",
           "write_image"]

REFERENCE = BUILD / "kernel.elf"

# What a variable may be; the first is the default.
ACCELS = ("tcg", "kvm")
DISPLAYS = ("none", "off", "vnc=:0", "gtk", "sdl")
EXITS = ("exit=prompt", "exit=poweroff", "exit=debug")  # the reference kernel's, kernel/base/cmdline.c
MACHINE_VARIABLES = ("MEM", "SMP", "CPU", "ACCEL", "MACHINE", "DISK", "DISPLAY_MODE")

IMAGE_TOOLS = ("mformat",)
MACHINE_TOOLS = (*IMAGE_TOOLS, qemu.QEMU, qemu.OVMF_CODE, qemu.OVMF_VARS)


def stop(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def main(work):
    """Runs work() and ends with its status. What a user can cause is one message, no traceback."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves each `with`, which ends QEMU
    try:
        sys.exit(work())
    except qemu.StartError as error:
        given = [f"{name}={os.environ[name]}" for name in MACHINE_VARIABLES if os.environ.get(name)]
        stop(error.summary + (f" (given: {' '.join(given)})" if given else ""))
    except qemu.BootError as error:
        stop(error.summary)
    except OSError as error:
        path = error.filename2 or error.filename  # of a copy: the target
        stop(f"{path}: {error.strerror}" if path else error)
    except RuntimeError as error:  # of mtools, or of a QMP command
        stop(error)
    except KeyboardInterrupt:
        sys.exit(130)


def need(tools):
    """Ends with a message unless all these programs and files are there."""
    missing = [str(tool) for tool in tools if not shutil.which(tool) and not Path(tool).exists()]
    if missing:
        stop(f"not installed: {', '.join(missing)}. Run scripts/setup.")


# Variables


def variable(name, default):
    """A variable of make; an empty one is one that was not given."""
    return os.environ.get(name) or default


def choice(name, choices, where=""):
    value = variable(name, choices[0])
    if value not in choices:
        stop(f"{name}={value} is not one of {', '.join(choices)}{where}")
    return value


def pattern(name, default, wanted, what):
    value = variable(name, default)
    if not re.fullmatch(wanted, value):
        stop(f"{name}={value} is not {what}")
    return value


def limit_seconds():
    return float(pattern("LIMIT", "120", r"(?=.*[1-9])[0-9]+(\.[0-9]+)?",
                         "a number of seconds above 0"))


def memory():
    value = variable("MEM", "512M")
    if problem := memory_problem(value):
        stop(f"MEM={value} {problem}")
    return value


def cpu():
    value = variable("CPU", None)
    listed = value and subprocess.run([qemu.QEMU, "-cpu", "help"], capture_output=True, text=True)
    if value and value.partition(",")[0] not in re.findall(r"^x86 (\S+)", listed.stdout, re.M):
        stop(f"CPU={value} is no processor of QEMU, such as qemu64, max or Skylake-Client:"
             f" {qemu.QEMU} -cpu help lists them")
    return value


def display():
    """none: no adapter; off: an adapter without a window; the rest is QEMU's -display."""
    mode = variable("DISPLAY_MODE", DISPLAYS[0])
    if re.split("[,=]", mode)[0] not in [known.partition("=")[0] for known in DISPLAYS]:
        stop(f"DISPLAY_MODE={mode} is not one of {', '.join(DISPLAYS)}")
    return {"none": False, "off": True}.get(mode, mode)


def machine_options():
    """The options of qemu.command_line that make's variables ask for."""
    machine = choice("MACHINE", tuple(qemu.DISKS))
    return {
        "memory": memory(),
        "machine": machine,
        "cpu": cpu(),
        "smp": pattern("SMP", "1", "[1-9][0-9]*", "a number of processors, 1 or more"),
        "disk": choice("DISK", qemu.DISKS[machine], f" (of MACHINE={machine})"),
        "accel": choice("ACCEL", ACCELS),
        "display": display(),
    }


# The files of an image


def asked_kernel():
    """The file that KERNEL names, or None."""
    name = variable("KERNEL", None)
    path = name and Path(name).absolute()
    if path and not path.is_file():
        stop(f"KERNEL={name}: there is no file {path}")
    return path


def esp_files(kernel=None):
    """The files of esp/, with this kernel, if given, in the place of its own."""
    files = fat.tree_files(ROOT / "esp")
    name = kernel_name(files)
    if kernel and re.match(r"(guid|label)\(", name):
        stop(f"KERNEL={kernel}: esp/{config_name(files)} wants the kernel from another volume, {name}")
    return {**files, name: kernel} if kernel else files


def is_reference(files):
    """Whether the kernel is the one that make has built. One that is missing the loader will miss."""
    kernel = files.get(kernel_name(files))
    return not kernel or filecmp.cmp(kernel, REFERENCE, shallow=False)


def check_cmdline(source, cmdline, reference):
    """What the loader or the reference kernel would refuse or misunderstand is refused here."""
    if problem := cmdline_problem(cmdline):
        stop(f"{source}: {problem}")
    for word in cmdline.split(" "):
        if reference and word.startswith("exit=") and word not in EXITS:
            stop(f"{source}: {word} is not one of {', '.join(EXITS)}")


def with_cmdline(files, change=lambda cmdline: cmdline):
    """The files with the command line change(CMDLINE or, without it, what slipway.conf says)."""
    given = variable("CMDLINE", None)
    lines = config_lines(files)
    number, own = assignment(lines, "cmdline")
    cmdline = change(given or own).strip(" \t")
    check_cmdline("CMDLINE" if given else f"cmdline in esp/{config_name(files)}", cmdline, is_reference(files))
    section = default_section(lines)
    hides = section is not None and number is not None and number < section
    if hides or number is None and section is not None:
        number = section + 1  # of the entry alone: what stands above is of the others, too
    elif number is not None:
        del lines[number]
    # The loader refuses a key without a value; no command line is no line.
    if cmdline or hides:
        value = cmdline or '""'
        lines.insert(len(lines) if number is None else number, f"cmdline = {value}")
    return {**files, config_name(files): "\n".join(lines).encode("utf-8", "surrogateescape")}
