"""Displays of every kind that QEMU has, the resolution that the config wishes for them, and what the
kernel finds on the screen.

Boots from snapshots, but for ramfb, which cannot be saved, and for the failure that is read on the
firmware's own console.
"""

import re

import pytest

import qemu
import snapshots
from fixtures import elf
from support import (EDID, KERNELS, LOADER, boot_contract_kernel, screen, volume,
                     wait_halted)

MODES = 30  # of OVMF's driver, for VGA and bochs-display
BLACK = b"\0"
NO_MEMORY = "display at N left out: it has no linear memory"


def devices(*names):
    """A machine with these displays and no other."""
    return {"extra": [word for name in names for word in ("-device", name)]}


VGA = devices("VGA,id=first")
TWO = devices("VGA,id=first", "bochs-display,id=second")


def find_displays(folder, config="", machine=VGA, start=snapshots.boot, files=None):
    """The size of each framebuffer that a contract kernel found sound, what it said, and what the
    loader said of displays."""
    output = boot_contract_kernel(folder, "exec", config=f"log = info\n{config}", boot=start,
                                  files=files, memory="128M", **machine)
    lines = re.findall(r"^slipway: (display .*)$", output.result.serial, re.M)
    sizes = list(zip(output.facts.get("framebuffer.width", []),
                     output.facts.get("framebuffer.height", [])))
    assert len(sizes) == output.fact("framebuffers")
    return sizes, output, lines


def modes_of(output):
    return list(zip(output.facts["mode.width"], output.facts["mode.height"]))


def without_address(line):
    return re.sub(r"\b0x[0-9a-f]+", "N", line)


# Resolution


def test_without_a_wish_a_display_keeps_the_mode_of_the_firmware_and_lists_all_of_them(tmp_path):
    sizes, output, lines = find_displays(tmp_path)
    assert sizes == [(1280, 800)] and lines == []
    modes = modes_of(output)
    assert len(modes) == MODES
    assert {(640, 480), (800, 600), (1024, 768), (1280, 800), (1920, 1080)} <= set(modes)
    assert output.facts["edid.bytes"] == [0]  # OVMF tells none


@pytest.mark.parametrize("wish, size", [("1024x768", (1024, 768)), ("1920x1080", (1920, 1080)),
                                        ("1280x800", (1280, 800)), ("firmware", (1280, 800))])
def test_a_display_is_set_to_the_resolution_of_the_config(tmp_path, wish, size):
    sizes, output, lines = find_displays(tmp_path, f"resolution = {wish}\n")
    assert sizes == [size] and lines == []
    assert len(modes_of(output)) == MODES


def test_a_resolution_that_a_display_has_not_is_in_the_log_with_what_it_has(tmp_path):
    sizes, output, (line,) = find_displays(tmp_path, "resolution = 1234x567\n")
    assert sizes == [(1280, 800)]
    most = max(modes_of(output), key=lambda mode: mode[0] * mode[1])
    assert without_address(line) == (
        f"display at N: 1234x567 wanted, 1280x800 kept: a kernel can use {MODES} of its {MODES} modes,"
        f" {most[0]}x{most[1]} at most")


def test_native_is_what_edid_prefers_and_the_kernel_gets_edid_whole(tmp_path):
    files = {"EFI/BOOT/BOOTX64.EFI": EDID, "EFI/BOOT/LOADER.EFI": LOADER}
    sizes, output, lines = find_displays(tmp_path, "resolution = native\n", TWO, files=files)
    assert sizes == [(1024, 768), (800, 600)]
    assert [without_address(line) for line in lines] == [NO_MEMORY]
    assert output.facts["edid.bytes"] == [256, 128]
    edid = bytes(output.facts["edid.byte"])
    assert edid[:8] == edid[256:264] == b"\0\xff\xff\xff\xff\xff\xff\0"
    assert edid[126] == 1 and edid[128:256] == bytes(range(128, 256))
    assert sum(edid[:128]) % 256 == sum(edid[256:]) % 256 == 0


def test_native_without_edid_keeps_the_mode_of_the_firmware(tmp_path):
    sizes, _, (line,) = find_displays(tmp_path, "resolution = native\n")
    assert sizes == [(1280, 800)]
    assert without_address(line) == \
        "display at N: native wanted, 1280x800 kept: EDID: there is none"


# Displays


@pytest.mark.parametrize("machine, start, sizes, said", [
    ({}, snapshots.boot, [], []),
    (devices("bochs-display"), snapshots.boot, [(800, 600)], []),
    # The firmware's console has a display of its own, which stands for both.
    (devices("VGA", "bochs-display"), snapshots.boot, [(800, 600)] * 2, [NO_MEMORY]),
    (devices("VGA", "secondary-vga"), snapshots.boot, [(800, 600)] * 2, [NO_MEMORY]),
    (devices("virtio-gpu-pci"), snapshots.boot, [], [NO_MEMORY] * 2),
    (devices("virtio-vga"), snapshots.boot, [(800, 600)], []),
    (devices("qxl-vga"), snapshots.boot, [(800, 600)], []),
    (devices("ramfb"), qemu.boot, [(800, 600)], [])],
    ids=["none", "bochs-display", "VGA and bochs-display", "two VGA", "virtio-gpu", "virtio-vga",
         "qxl", "ramfb"])
def test_every_display_with_linear_memory_is_a_framebuffer(tmp_path, machine, start, sizes, said):
    found, _, lines = find_displays(tmp_path, "resolution = 800x600\n", machine, start)
    assert found == sizes
    assert [without_address(line) for line in lines] == said


# The screen


def screens(folder, kernel, config, machine, ids):
    """What each display shows when the kernel runs and has drawn nothing."""
    image = volume(folder, KERNELS / f"{kernel}.elf", f"cmdline = fault=wait\n{config}")
    with snapshots.Machine([image], memory="128M", **machine) as running:
        running.wait_for("about to fault\n")
        wait_halted(running)
        return [screen(running, folder, device) for device in ids]


def test_the_kernel_finds_every_display_black(tmp_path):
    pictures = screens(tmp_path, "exec", "", TWO, ["first", "second"])
    assert [picture[:2] for picture in pictures] == [(1280, 800)] * 2
    assert all(set(pixels) == set(BLACK) for _, _, pixels in pictures)


@pytest.mark.parametrize("kernel, config", [("exec", "clear = off\n"), ("wishes", "")],
                         ids=["config", "note"])
def test_the_firmwares_picture_is_kept_where_config_or_kernel_wish_it(tmp_path, kernel, config):
    pictures = screens(tmp_path, kernel, config, TWO, ["first", "second"])
    # The firmware's console, on both.
    assert all(len(set(pixels)) > 1 for _, _, pixels in pictures)
    assert pictures[0] == pictures[1]


def test_a_mode_that_was_set_shows_its_own_size_and_is_black(tmp_path):
    (width, height, pixels), = screens(tmp_path, "exec", "resolution = 1024x768\n", VGA, ["first"])
    assert (width, height) == (1024, 768) and set(pixels) == set(BLACK)


def test_a_boot_that_fails_is_read_in_the_firmwares_mode(tmp_path):
    """And its message is on the screen: without it, here is nothing but the black of SetMode."""
    kernel = elf.with_note(ram_floor_bytes=1 << 40).bytes()
    image = volume(tmp_path, kernel, "resolution = 640x480\n")
    with qemu.Machine([image], memory="128M", **VGA) as machine:
        machine.wait_for("slipway: press a key")
        width, height, pixels = screen(machine, tmp_path)
        text = machine.serial
    assert (width, height) == (1280, 800)
    lines = [y for y in range(height) if any(pixels[3 * y * width:3 * (y + 1) * width])]
    assert lines and lines[-1] - lines[0] < 200
    assert f"wants {1 << 40} bytes of RAM" in text
