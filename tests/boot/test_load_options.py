"""The kernel's command line from load options: those that a program sets, byte by byte, and those of
the UEFI shell that is built into OVMF. Boots from snapshots.
"""

import uuid

import pytest

import snapshots
from support import (EXIT_GOOD, KERNELS, LOADER, MIB, OPTIONS, KernelOutput, boot_contract_kernel,
                     make_image)

CONFIG = b"kernel = /kernel.elf\ncmdline = of the config\nlog = info\n"
NAMED = "fs0:\\EFI\\boot\\loader.efi "
EDK2_GUID = uuid.UUID("8108ac4e-9f11-4d59-850e-e21a522c59b2")


def boot_image(folder, files):
    image = make_image(folder / "esp.img", {"kernel.elf": KERNELS / "exec.elf",
                                            "slipway.conf": CONFIG, **files}, size=32 * MIB)
    output = KernelOutput(snapshots.boot([image], memory="256M"))
    assert not output.bad and output.result.debug_exit == EXIT_GOOD, output.result.serial
    return output


@pytest.mark.parametrize("options, cmdline, said", [
    ("a  b=ü".encode("utf-16le"), "a  b=ü", "command line: 7 bytes of the load options"),
    ("a b\0".encode("utf-16le"), "a b", "command line: 3 bytes of the load options"),
    (f"{NAMED} a b\0".encode("utf-16le"), "a b", "command line: 3 bytes of the load options"),
    (EDK2_GUID.bytes_le, "of the config", "load options: 16 bytes, ignored: not text: "),
    (b"8 bits", "of the config", "load options: 6 bytes, ignored: not text: "),
], ids=["boot-option", "with-nul", "with-name", "guid", "8-bit"])
def test_load_options_that_are_text_take_the_place_of_the_configs_command_line(tmp_path, options,
                                                                               cmdline, said):
    output = boot_image(tmp_path, {"EFI/BOOT/BOOTX64.EFI": OPTIONS,
                                   "EFI/BOOT/LOADER.EFI": LOADER, "options": options})
    assert output.texts["cmdline"] == [cmdline]
    assert f"slipway: {said}" in output.result.serial


@pytest.mark.parametrize("line, cmdline", [
    (r'fs0:\loader\start.efi one "two  three"', 'one "two  three"'),
    (r'"fs0:\my loader\start" one', "one"),
    (r"fs0:\loader\start", "beside"),
])
def test_what_is_typed_in_the_shell_is_the_command_line(tmp_path, line, cmdline):
    """A disk without a program to boot: OVMF goes on to its shell, which runs startup.nsh."""
    beside = CONFIG.replace(b"of the config", b"beside")
    output = boot_image(tmp_path, {
        "startup.nsh": line.encode() + b"\r\n",
        "loader/start.efi": LOADER, "loader/slipway.conf": beside, "my loader/start.efi": LOADER})
    assert output.texts["cmdline"] == [cmdline]
    by_shell = f"command line: {len(cmdline)} bytes of the load options, by the shell"
    assert (by_shell in output.result.serial) == (cmdline != "beside")


def test_a_boot_option_of_the_firmwares_own_making_leaves_the_configs_command_line(tmp_path):
    output = boot_contract_kernel(tmp_path, "exec", "of the config", "log = info\n")
    assert output.texts["cmdline"] == ["of the config"]
    assert "load options" not in output.result.serial
