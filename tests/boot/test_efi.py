"""EFI applications: what they find and return, and the boot managers that Debian has, each started by
the loader and starting the loader. Boots from snapshots.
"""

import re

import pytest

import ovmf_shell
import packages
import snapshots
from support import (EXIT_CASES_DONE, EXIT_GOOD, KERNELS, LAUNCHER, LOADER, MIB, TOLD, KernelOutput,
                     make_image)

KEY = "slipway: press a key to go back to the firmware, which goes on in 10 seconds"

# name: (files, status, what COM1 and the console say of the loader's)
CASES = {
    "good": ({"told.efi": TOLD, "told.txt": b"g",
              "slipway.conf": b"kernel = /told.efi\ncmdline = a  b\n"}, 0, []),
    "error": ({"sub/told.efi": TOLD, "told.txt": b"e", "slipway.conf": b"kernel = /sub/told.efi\n"},
              0x8000000000000015,
              ["slipway: /sub/told.efi: EFI application has returned an error (aborted): told to fail"]),
    "cut": ({"kernel.elf": TOLD.read_bytes()[:1000] if TOLD.exists() else b""}, 0x8000000000000003,
            ["slipway: \\kernel.elf: cannot be loaded (unsupported); the PE file is malformed, cut off, "
             "or none that this firmware runs"]),
    "itself": ({"kernel.elf": LOADER}, 0x8000000000000003,
               ["slipway: \\kernel.elf: is this loader itself (the default kernel: there is no "
                "slipway.conf)",
                "slipway: \\kernel.elf: EFI application has returned an error (unsupported)"]),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    files = {"EFI/BOOT/BOOTX64.EFI": LAUNCHER, "common/loader.efi": LOADER}
    for name, (case_files, _, _) in CASES.items():
        files.update({f"cases/{name}/{path}": content for path, content in case_files.items()})
    image = make_image(tmp_path_factory.mktemp("cases") / "cases.img", files, size=32 * MIB)
    result = snapshots.boot([image], memory="256M", display=True, timeout=90)
    assert result.debug_exit == EXIT_CASES_DONE, result.serial[-4000:]
    pieces = re.split(r"^CASE (\S+)$", result.serial, flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2]))


def pages(text, when):
    return [int(value, 16)
            for value in re.search(rf"^{when}((?: 0x[0-9a-f]+)+)$", text, re.M)[1].split()]


@pytest.mark.xdist_group("efi-cases")
@pytest.mark.parametrize("name", CASES)
def test_what_an_application_returns_comes_back_and_nothing_is_left_of_it(said, name):
    text, (_, status, lines) = said[name], CASES[name]
    assert [line for line in text.splitlines() if line.startswith("slipway: ")] == lines
    on_console = [line.replace("console: ", "") for line in text.splitlines()
                  if line.startswith("console: ")]
    assert on_console == [shown for line in lines for shown in (line, KEY)]
    assert int(re.search(r"^RETURNED (0x[0-9a-f]+)$", text, re.M)[1], 16) == status
    before, after = pages(text, "BEFORE"), pages(text, "AFTER")
    assert after[1:3] == before[1:3], "pages were kept"
    assert after[4] - before[4] <= 32


@pytest.mark.xdist_group("efi-cases")
def test_an_application_finds_options_path_and_its_own_volume(said):
    assert "TOLD options a  b\nTOLD path \\told.efi\nTOLD file g\n" in said["good"]
    assert "TOLD options \nTOLD path \\sub\\told.efi\nTOLD file e\n" in said["error"]


def boot_through(folder, files, cmdline=""):
    """The loader starts /manager.efi, that the loader in /EFI/second with load options, and that a
    kernel, whose command line they are."""
    first = f"kernel = /manager.efi\nlog = info\n{cmdline}"
    second = "kernel = /kernel.elf\ncmdline = of the config\nlog = info\n"
    image = make_image(folder / "esp.img", {
        "EFI/BOOT/BOOTX64.EFI": LOADER, "EFI/BOOT/slipway.conf": first.encode(),
        "EFI/second/slipway.efi": LOADER, "EFI/second/slipway.conf": second.encode(),
        "kernel.elf": KERNELS / "exec.elf", **files}, size=32 * MIB)
    output = KernelOutput(snapshots.boot([image], memory="256M", timeout=90))
    assert not output.bad and output.result.debug_exit == EXIT_GOOD, output.result.serial
    assert output.result.serial.index("slipway: /manager.efi: ") < \
        output.result.serial.index("slipway: config /EFI/second/slipway.conf: ")
    assert output.texts["cmdline"] == ["one two"]


@pytest.mark.weight(5)
def test_grub_is_started_and_starts_the_loader(tmp_path):
    boot_through(tmp_path, {
        "manager.efi": packages.find(packages.GRUB),
        "EFI/debian/grub.cfg": b"chainloader /EFI/second/slipway.efi one two\nboot\n"})


@pytest.mark.weight(5)
def test_systemd_boot_is_started_and_starts_the_loader(tmp_path):
    boot_through(tmp_path, {
        "manager.efi": packages.find(packages.SYSTEMD_BOOT),
        "loader/loader.conf": b"timeout 0\n",
        "loader/entries/second.conf": b"title Slipway\nefi /EFI/second/slipway.efi\noptions one two\n"})


@pytest.mark.weight(5)
def test_the_uefi_shell_is_started_with_options_and_starts_the_loader(tmp_path):
    boot_through(tmp_path, {"manager.efi": ovmf_shell.read_shell()},
                 "cmdline = -noversion fs0:\\EFI\\second\\slipway.efi one two\n")
