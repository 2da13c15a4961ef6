"""SLIPWAY_NOTE_DIRECT: a kernel that finds stacks, descriptor tables and framebuffers in the direct map,
and goes on with them under tables that map that and itself alone. Boots from snapshots, but for 5 GiB,
which is cold.
"""

import re
import struct

import pytest

import qemu
import snapshots
from support import (EXIT_BAD, EXIT_GOOD, KERNEL, KERNELS, LA57, LOADER, MIB, KernelOutput,
                     boot_contract_kernel, screen, screen_text, sentences, volume, wait_halted,
                     walk_of)
from test_contract import ALWAYS, FAULTS, assert_checked
from test_displays import TWO
from test_reference import assert_frames, assert_stress

CONTRACT = [s for s in ALWAYS + sentences("check_direct.c")
            if not s.startswith(("without a wish", "framebuffers"))]
RELEASED = [s for s in sentences("check_cpus.c") if not s.startswith("without a wish")]
ON_OWN_TABLES = [s for s in sentences("task_direct.c") if not s.startswith("framebuffers")]
SCREENS = [s for s in sentences("task_direct.c") + sentences("check_direct.c")
           if s.startswith("framebuffers")]
NOTE = struct.Struct("<3I8s2I2Q")  # up to the base of the direct map
CPUS, DIRECT_FLAG = 2, 4


def with_note(kernel, flags, base=0, levels=0):
    """The bytes of a kernel that has a note, with other wishes."""
    content = kernel.read_bytes()
    at, = (match.start() for match in re.finditer(b"\1\0\0\0Slipway\0", content))
    at -= 8  # the note's sizes
    name, size, kind, owner, version, _, stack, _ = NOTE.unpack_from(content, at)
    new = NOTE.pack(name, size, kind, owner, version, flags, stack, base) + content[
        at + NOTE.size:at + NOTE.size + 8] + struct.pack("<I", levels)
    return content[:at] + new + content[at + len(new):]


@pytest.mark.parametrize("smp, options", [
    (1, {}),
    (4, {"cpu": "max"}),
    (64, {"memory": "512M", "accel": "tcg,thread=single", "timeout": 120}),
], ids=["1", "4", "64"])
def test_a_kernel_that_wishes_finds_stacks_and_tables_in_the_direct_map(tmp_path, smp, options):
    output = boot_contract_kernel(tmp_path, "direct", "faults", smp=smp, **options)
    assert_checked(output, CONTRACT + FAULTS + RELEASED[:3] * (smp > 1))
    assert output.fact("guards") == (2 if smp == 1 else 2 + smp)
    assert output.fact("cpus.released") == smp - 1
    assert output.fact("framebuffers") == 0


def test_all_usable_and_then_all_reclaimable_memory_may_be_overwritten(tmp_path):
    """The boot stack too; its guards are no such memory."""
    output = boot_contract_kernel(tmp_path, "direct", "fill", memory="128M")
    assert_checked(output, CONTRACT + sentences("task_fill.c"))
    assert all(output.good.count(sentence) == 2 for sentence in CONTRACT)


def test_several_framebuffers_are_in_the_direct_map_between_ram(tmp_path):
    """Of 5 GiB 2 lie below the displays, and 3 above."""
    output = boot_contract_kernel(tmp_path, "direct", "direct-tables", memory="5G", boot=qemu.boot, **TWO)
    assert_checked(output, CONTRACT + ON_OWN_TABLES + SCREENS)
    assert output.facts["framebuffers"] == [2]
    assert output.fact("hhdm.end") == output.fact("hhdm.base") + (7 << 30)


@pytest.mark.parametrize("base, levels, firmware_levels", [
    (0xFFFF888000000000, 4, 4), (0xFF11000000000000, 5, 4),
    (0xFFFF800000000000, 4, 5), (0xFF11000000000000, 5, 5)])
def test_any_base_and_any_number_of_levels_will_do(tmp_path, base, levels, firmware_levels):
    kernel = with_note(KERNELS / "direct.elf", CPUS | DIRECT_FLAG, base, levels)
    files = {"EFI/BOOT/BOOTX64.EFI": LA57, "EFI/BOOT/LOADER.EFI": LOADER}
    image = volume(tmp_path, kernel, "cmdline = direct-tables\n",
                   files if firmware_levels == 5 else None, size=32 * MIB)
    output = KernelOutput(snapshots.boot([image], memory="256M", cpu="max", smp=2))
    assert output.result.debug_exit == EXIT_GOOD and not output.bad, output.result.serial
    assert_checked(output, CONTRACT + ON_OWN_TABLES)
    assert output.fact("hhdm.base") == base
    assert bool(output.fact("cr4") & 1 << 12) == (levels == 5)
    assert output.fact("cpus.released") == 1


def test_on_tables_of_its_own_it_draws_on_the_screen(tmp_path):
    image = volume(tmp_path, KERNELS / "direct.elf", "cmdline = direct-tables hold\n", size=32 * MIB)
    with snapshots.Machine([image], memory="128M", display=True) as machine:
        machine.wait_for("drawn\n")
        wait_halted(machine)
        width, height, pixels = screen(machine, tmp_path)
    line = 3 * width * (height // 2)
    assert "not ok" not in machine.serial
    assert set(zip(*[iter(pixels[line:line + 3 * width])] * 3)) == {(0, 255, 0)}
    below = pixels[line + 3 * width:line + 6 * width]
    assert set(below) == {0}


FAULT_REPORTS = {
    "guard-below": ("stack.bottom", -1), "guard-above": ("stack.top", 0),
    "overflow": ("stack.bottom", -8), "null": (None, 0),
}


@pytest.mark.parametrize("own", ["", "image-alone "], ids=["loader-tables", "direct-tables"])
@pytest.mark.parametrize("fault", FAULT_REPORTS)
def test_the_loader_reports_a_fault_while_its_image_is_mapped(tmp_path, fault, own):
    place, distance = FAULT_REPORTS[fault]
    image = volume(tmp_path, KERNELS / "direct.elf", f"cmdline = {own}fault={fault}\n")
    with snapshots.Machine([image], memory="128M", display=True, timeout=60) as machine:
        machine.wait_for("slipway: stopped")
        wait_halted(machine)
        drawn = screen_text(machine, tmp_path)
        output = KernelOutput(machine.result())
    report = output.result.serial.split("about to fault\n")[1]
    assert report.count("CPU exception: page fault (vector 14)") == 1 and "survived" not in report
    cr2 = output.fact(place) + distance if place else 0
    assert walk_of(report, cr2)[-1].endswith("not present")
    assert "slipway: fault before the kernel has its own IDT" in drawn


@pytest.mark.parametrize("smp, flags", [(1, DIRECT_FLAG), (3, DIRECT_FLAG | CPUS)])
def test_the_reference_kernel_runs_and_reclaims_with_it(tmp_path, smp, flags):
    image = volume(tmp_path, with_note(KERNEL, flags), "cmdline = exit=debug\n")
    result = snapshots.boot([image], memory="256M", smp=smp, display=True)
    assert result.debug_exit == EXIT_GOOD, result.serial
    report = result.report()
    assert (report["audit.violations"], report["selftest"], report["map.differences"]) == (0, "ok", 0)
    assert report["stack.bottom"] < 0xFFFFC00000000000
    assert report["framebuffers"] == 1
    assert_frames(report)
    if smp > 1:
        assert_stress(report, cpus=smp)


def test_the_reference_kernel_reports_an_overflow_of_such_a_stack(tmp_path):
    image = volume(tmp_path, with_note(KERNEL, DIRECT_FLAG), "cmdline = exit=debug test=stack-overflow\n")
    result = snapshots.boot([image], memory="128M")
    assert result.debug_exit == EXIT_BAD, result.serial
    assert re.search(r"^  stack overflow: 0x[0-9a-f]+ is in the guard page below the", result.serial, re.M)
