"""Where things are: QEMU, OVMF and mtools on this machine, and Slipway's own files, which lie in
the build folder of a tree or, where Slipway is installed, beside this package."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import qemu

from slipway_lib.errors import Stop

# scripts/ of a tree, or PREFIX/lib/slipway/python.
PYTHON = Path(__file__).resolve().parent.parent
TREE = PYTHON.parent if (PYTHON.parent / "Makefile").is_file() else None
BUILD = TREE / os.environ.get("SLIPWAY_BUILD", "build") if TREE else None
LIBRARY = BUILD or PYTHON.parent
PREFIX = None if TREE else LIBRARY.parent.parent

LOADER = LIBRARY / "BOOTX64.EFI"
LOADER_SYMBOLS = LIBRARY / "BOOTX64.debug"
HEADER = TREE / "common/boot/slipway_boot.h" if TREE else PREFIX / "include/slipway_boot.h"
LOADCHECK = BUILD / "host/loadcheck" if TREE else PREFIX / "bin/slipway-loadcheck"
REPLAY = BUILD / "host/slipway-replay" if TREE else LIBRARY / "replay"

# Pairs of code and variables, as distributions install them; the first that is there counts.
OVMF_PAIRS = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),  # Debian, Ubuntu
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),  # Fedora
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),  # Arch
    ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"),  # openSUSE
    ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),  # QEMU's own
    ("/usr/local/share/qemu/edk2-x86_64-code.fd", "/usr/local/share/qemu/edk2-i386-vars.fd"),
)

# What installs a thing, by the package manager that is there.
MANAGERS = {"apt-get": "apt-get install", "dnf": "dnf install", "pacman": "pacman -S",
            "zypper": "zypper install"}
PACKAGES = {
    "qemu": {"apt-get": "qemu-system-x86", "dnf": "qemu-system-x86", "pacman": "qemu-system-x86",
             "zypper": "qemu-x86"},
    "ovmf": {"apt-get": "ovmf", "dnf": "edk2-ovmf", "pacman": "edk2-ovmf", "zypper": "qemu-ovmf-x86_64"},
    "mtools": {},
    "xorriso": {"pacman": "libisoburn"},
    "gdb": {},
    "binutils": {},
}


def remedy(package):
    """How this machine gets a package, as a command."""
    for manager, command in MANAGERS.items():
        if shutil.which(manager):
            return f"install it, as root: {command} {PACKAGES[package].get(manager, package)}"
    return f"install the package {PACKAGES[package].get('apt-get', package)}"


def find_program(variable, names, package):
    """The path of a program, which an environment variable may name, if there is one."""
    given = variable and os.environ.get(variable)
    for name in [given] if given else names:
        if found := shutil.which(name):
            return found
    if given:
        raise Stop(f"{variable}={given}: there is no such program; without {variable} it is looked for")
    raise Stop(f"{names[0]} is not installed: {remedy(package)}")


def find_qemu():
    return find_program("QEMU", ["qemu-system-x86_64"], "qemu")


def find_mtools():
    return find_program(None, ["mformat"], "mtools")


def find_xorriso():
    return find_program(None, ["xorriso"], "xorriso")


def find_addr2line():
    return find_program("ADDR2LINE", ["addr2line", "llvm-addr2line"], "binutils")


def find_gdb():
    return find_program("GDB", ["gdb"], "gdb")


def find_ovmf():
    """The firmware's code and variables; OVMF_CODE and OVMF_VARS may name them."""
    given = {name: os.environ[name] for name in ("OVMF_CODE", "OVMF_VARS") if os.environ.get(name)}
    for name, path in given.items():
        if not Path(path).is_file():
            raise Stop(f"{name}={path}: there is no such file; without OVMF_CODE and OVMF_VARS"
                       " the firmware is looked for")
    if len(given) == 1:
        raise Stop(f"{''.join(given)} is set alone: OVMF_CODE and OVMF_VARS are used together")
    if given:
        return Path(given["OVMF_CODE"]), Path(given["OVMF_VARS"])
    for code, variables in OVMF_PAIRS:
        if Path(code).is_file() and Path(variables).is_file():
            return Path(code), Path(variables)
    raise Stop(f"OVMF, the firmware for QEMU, is not installed: {remedy('ovmf')};"
               " or name its files in OVMF_CODE and OVMF_VARS")


def own(path):
    """A file of Slipway's own, which has to be there."""
    if path.is_file():
        return path
    if TREE:
        raise Stop(f"{path} is not built: run make in {TREE}")
    raise Stop(f"{path} is missing: install Slipway again (make install)")


def prepare_rig():
    """Tells the rig where QEMU and OVMF are, or ends with what is missing."""
    qemu.QEMU = find_qemu()
    qemu.OVMF_CODE, qemu.OVMF_VARS = find_ovmf()
    find_mtools()


def version():
    """Slipway's own."""
    if TREE:
        return re.search(r"^VERSION := (.*)$", (TREE / "Makefile").read_text(), re.M)[1]
    return (LIBRARY / "VERSION").read_text().strip()


def program_version(path):
    """The first line that a program says about itself."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20,
                              stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run: {error}"
    return (done.stdout or done.stderr).strip().split("\n")[0] or f"does not run: status {done.returncode}"


def package_of(path):
    """The package, with its version, that has installed a file; "" if nobody knows."""
    def ask(*command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip().split("\n")[0] if done.returncode == 0 else ""
    path = str(Path(path).resolve())
    if owner := ask("dpkg-query", "-S", path):
        return ask("dpkg-query", "-W", "-f=${Package} ${Version}", owner.split(":")[0])
    if owner := ask("pacman", "-Qo", path):
        return owner.rpartition(" is owned by ")[2]
    return ask("rpm", "-qf", path)
