"""The folder that a test which failed leaves: what COM1 and the screen said, the decoded fault, QEMU's
command line and the disk."""

import shlex
from pathlib import Path

import qemu

SERIAL, SCREEN, FAULT, SCRIPT, DISK, VARIABLES = \
    "serial.txt", "screen.png", "fault.txt", "qemu.sh", "disk.img", "vars.fd"
NAMES = (SERIAL, SCREEN, FAULT, SCRIPT, DISK, VARIABLES)


def clear(folder):
    """Removes what an earlier test has left: a folder that is there is of the last one."""
    for name in NAMES:
        (folder / name).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        pass  # never there, or somebody keeps other things in it


def script_of(machine):
    """A shell script that boots the disk again, with the command line that has been used."""
    words = [word.replace(str(machine.variables).replace(",", ",,"), VARIABLES)
             .replace(str(machine.image).replace(",", ",,"), DISK)
             .replace("signal=off", "signal=on") for word in machine.plain_command]
    return f"""#!/bin/sh
# Boots {DISK} as the test did, COM1 on the terminal; Ctrl-C ends it. The test itself ran
# {shlex.join(machine.command)}
cd "$(dirname "$0")" || exit
cp {shlex.quote(str(qemu.OVMF_VARS))} {VARIABLES} && chmod u+w {VARIABLES} || exit
exec {shlex.join(words)} -no-reboot
"""


def take_screen(machine, folder, is_drawing):
    """Of a machine that still stands; returns whether there was one."""
    try:
        machine.extend_time()
        if is_drawing:
            machine.wait_halted()
        machine.screendump(folder / SCREEN)
        return True
    except (OSError, qemu.BootError, RuntimeError):
        return False


def leave(folder, machine, explained, is_drawing):
    """Writes all but the disk into the folder; returns a line that says where and what. `is_drawing`: the
    loader's report of a fault is on COM1 and about to be on the screen."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    has_screen = take_screen(machine, folder, is_drawing)
    (folder / SERIAL).write_bytes(bytes(machine.serial_bytes))
    (folder / FAULT).write_text(explained or "Nothing to decode.\n")
    script = folder / SCRIPT
    script.write_text(script_of(machine))
    script.chmod(0o755)
    screen = f"{SCREEN}, " if has_screen else ""
    return f"{folder}: {SERIAL}, {screen}{FAULT}, {SCRIPT}, {DISK}" + (
        "" if has_screen else " (no picture of the screen: QEMU had ended)")
