"""The menu, as people use it: on the firmware's consoles, with a keyboard and with a terminal at COM1,
and on COM1 alone. Boots from snapshots.
"""

import re

import snapshots
from support import BUILD, EXIT_GOOD, KERNELS, LOADER, MIB, KernelOutput, volume

MUTE = BUILD / "tests/apps/mute.efi"
EXIT_RETURNED = 0x21

CONFIG = """kernel = /kernel.elf
timeout = none
log = info

[one]
title = First
cmdline = 1

[two]
title = Zweite Wahl für später
cmdline = 2

[three]
cmdline = 3
"""
BY_MENU = 3
UP, DOWN = "\x1b[A", "\x1b[B"
PAGE_UP = "\x1b[5~"  # which OVMF's driver of terminals does not know
HELP = "Esc: leave"
DROP = "Esc: drop the changes"


def start(folder, files=None, **options):
    image = volume(folder, KERNELS / "exec.elf", CONFIG, files, size=32 * MIB)
    return snapshots.Machine([image], memory="256M", **options)


def start_mute(folder):
    return start(folder, {"EFI/BOOT/BOOTX64.EFI": MUTE, "EFI/BOOT/LOADER.EFI": LOADER})


def expect_boot(machine, entry, cmdline):
    machine.wait_end()
    output = KernelOutput(machine.result())
    assert not output.bad and output.result.debug_exit == EXIT_GOOD, output.result.serial
    assert output.texts["choice.entry"] == [entry] and output.texts["cmdline"] == [cmdline]
    assert output.fact("choice.by") == BY_MENU and output.fact("choice.menu_ms") > 0
    assert f"slipway: entry {entry}: by the menu, after " in output.result.serial
    return output


def test_on_com1_alone_an_entry_is_chosen_and_its_command_line_edited_by_a_terminal(tmp_path):
    with start_mute(tmp_path) as machine:
        drawn = machine.wait_for(HELP)
        raw = bytes(machine.serial_bytes)
        assert b"\x1b[?25l" in raw and "\x1b[4;3H\x1b[0m2. Zweite Wahl für später".encode() in raw
        machine.send(DOWN + DOWN)
        drawn = machine.wait_for("> 3. three", drawn)
        machine.send("e")
        drawn = machine.wait_for(DROP, drawn)
        machine.send(f"ü x{UP}\x7f!\r")
        drawn = machine.wait_for(HELP, drawn)
        machine.send("\r")
        output = expect_boot(machine, "three", "3ü !")
    assert b"\x1b[2J\x1b[H\x1b[?25h" in output.result.raw


def test_escape_leaves_for_the_firmware_and_is_no_failure(tmp_path):
    with start_mute(tmp_path) as machine:
        drawn = machine.wait_for(HELP)
        machine.send("\x1b")
        machine.wait_end()
        result = machine.result()
    assert result.debug_exit == EXIT_RETURNED
    said = result.serial[drawn:]
    assert re.fullmatch(r"slipway: menu: left after \d+ ms\nLOADER RETURNED 0x0+\s*", said), said


def test_on_the_firmwares_consoles_a_keyboard_chooses_and_edits(tmp_path):
    with start(tmp_path, display=True) as machine:
        drawn = machine.wait_for(HELP)
        for key, said in (("down", "> 2. "), ("e", DROP), ("a", "a"), ("home", ""), ("delete", ""),
                          ("ret", HELP)):
            machine.qmp("send-key", keys=[{"type": "qcode", "data": key}])
            drawn = machine.wait_for(said, drawn)
        machine.screendump(tmp_path / "menu.png")
        machine.send(DOWN)  # the terminal at COM1 is the firmware's, too
        drawn = machine.wait_for("> 3. ", drawn)
        machine.send(PAGE_UP)
        drawn = machine.wait_for("> 1. ", drawn)
        machine.qmp("send-key", keys=[{"type": "qcode", "data": "down"}])
        drawn = machine.wait_for("> 2. ", drawn)
        machine.send("e")
        drawn = machine.wait_for(DROP, drawn)
        # The euro's three bytes are three characters for that driver, and the key Backspace is Delete.
        machine.send("x\x7f\u20ac\r")
        machine.wait_for(HELP, drawn)
        machine.qmp("send-key", keys=[{"type": "qcode", "data": "ret"}])
        expect_boot(machine, "two", "a\u20ac")
