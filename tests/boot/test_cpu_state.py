"""A CPU in a state that the loader is not used to: registers that firmware has left in disorder, and 5
paging levels. Applications that start the loader (tests/apps) make it so; what they did is checked
before what came of it. Boots from snapshots, but for the machine with 5 GiB, which is cold.
"""

import re
import struct

import pytest

import qemu
from snapshots import boot
from support import (BADCPU, EXIT_GOOD, KERNEL, KERNELS, LA57, LOADER, MIB, UNCACHED, KernelOutput,
                     boot_contract_kernel, sentences, volume)
from test_contract import ALWAYS, FAULTS, assert_checked
from test_reference import assert_frames, assert_frames_now, assert_stress

# PE ET AM CD PG, without MP NE WP; then also EM TS.
CR0 = {"start": 0xC0040011, "exit": 0xC004001D}
CR4_LA57 = 1 << 12
CR4_CLEAR, CR4_SET = 1 << 10, 1 << 2 | 1 << 3 | 1 << 7 | 1 << 8  # OSXMMEXCPT; TSD DE PGE PCE
CR4_OSXSAVE = 1 << 18
# IOPL AC ID, and NT.
RFLAGS, RFLAGS_SET = 0x3000 | 1 << 14 | 1 << 18 | 1 << 21, {"start": 0x243000, "exit": 0x247000}


def assert_bad(said, when, has_xsave):
    """All registers that badcpu.c names, as it read them back."""
    line, = re.findall(rf"^BADCPU {when} (.*)$", said, re.M)
    found = {name: int(value, 16) for name, value in
             (word.split("=") for word in line.split())}
    cr4, rflags = found.pop("cr4"), found.pop("rflags")
    assert found.pop("s_cet", 2) == 2  # of a CPU that has it
    assert cr4 & (CR4_SET | CR4_CLEAR) == CR4_SET and bool(cr4 & CR4_OSXSAVE) == has_xsave
    assert rflags & RFLAGS == RFLAGS_SET[when]
    assert found == {"cr0": CR0[when], "efer": 0x501, "pat": 0x00070406, "dr7": 0x402,
                     "fpu": 0xC40, "mxcsr": 0x6000, "fs": 0x123456789000, "gs": 0x123456789001,
                     "kernel_gs": 0x123456789002, **({"xcr0": 3} if has_xsave else {})}


@pytest.mark.parametrize("cpu", ["max", None])
def test_a_kernel_finds_the_contract_whatever_the_firmware_left_in_the_cpu(tmp_path, cpu):
    files = {"EFI/BOOT/BOOTX64.EFI": BADCPU, "EFI/BOOT/LOADER.EFI": LOADER}
    output = boot_contract_kernel(tmp_path, "exec", "faults", files=files, cpu=cpu)
    said = output.result.serial
    changed, = re.findall(r"^BADCPU ENTRIES (0x[0-9a-f]+)$", said, re.M)
    assert int(changed, 16) > 0
    for when in ("start", "exit"):
        assert_bad(said, when, has_xsave=cpu == "max")
    assert_checked(output, ALWAYS + FAULTS)


def assert_5_levels(said):
    cr4, = re.findall(r"^LA57 cr4=(0x[0-9a-f]+) ", said, re.M)
    assert int(cr4, 16) & CR4_LA57


def with_levels(base, levels):
    """The contract kernel with a note, which wants the direct map elsewhere, and so many levels."""
    kernel = (KERNELS / "wishes.elf").read_bytes()
    old = struct.pack("<QQI", 0xFFFF888000000000, 16 * MIB, 0)
    assert kernel.count(old) == 1
    return kernel.replace(old, struct.pack("<QQI", base, 16 * MIB, levels))


def four_level_kernel():
    return with_levels(0xFFFF888000000000, 4)


def five_level_kernel():
    """The direct map lies where there is nothing with 4."""
    return with_levels(0xFF11000000000000, 5)


@pytest.mark.parametrize("paging", ["5", "max"])
def test_the_loader_turns_5_levels_on(tmp_path, paging):
    output = boot_contract_kernel(tmp_path, "exec", "faults", f"paging = {paging}\n", cpu="max")
    assert_checked(output, ALWAYS + FAULTS)
    assert output.fact("cr4") & CR4_LA57


def test_a_wish_for_5_levels_is_granted_where_the_firmware_runs_with_4(tmp_path):
    (tmp_path / "five.elf").write_bytes(five_level_kernel())
    image = volume(tmp_path, tmp_path / "five.elf", "cmdline = faults\n", size=32 * MIB)
    output = KernelOutput(boot([image], memory="256M", cpu="max"))
    assert output.result.debug_exit == EXIT_GOOD and not output.bad, output.result.serial
    assert_checked(output, ALWAYS + FAULTS)
    assert output.fact("hhdm.base") == 0xFF11000000000000
    assert output.fact("cr4") & CR4_LA57


# Firmware that runs with 5 levels.
@pytest.mark.parametrize("config, levels", [("", 5), ("paging = 4\n", 4), ("paging = max\n", 5)])
def test_under_firmware_with_5_levels_the_kernel_gets_what_is_asked_for(tmp_path, config, levels):
    files = {"EFI/BOOT/BOOTX64.EFI": LA57, "EFI/BOOT/LOADER.EFI": LOADER}
    output = boot_contract_kernel(tmp_path, "exec", "faults", config, files=files, cpu="max")
    assert_5_levels(output.result.serial)
    assert_checked(output, ALWAYS + FAULTS)
    assert bool(output.fact("cr4") & CR4_LA57) == (levels == 5)


def test_under_firmware_with_5_levels_wishes_for_either_are_granted(tmp_path):
    files = {"EFI/BOOT/BOOTX64.EFI": LA57, "EFI/BOOT/LOADER.EFI": LOADER}
    for levels, kernel in (4, four_level_kernel()), (5, five_level_kernel()):
        (tmp_path / "kernel.elf").write_bytes(kernel)
        image = volume(tmp_path, tmp_path / "kernel.elf", "cmdline = faults\n", files,
                       size=32 * MIB)
        output = KernelOutput(boot([image], memory="256M", cpu="max"))
        assert output.result.debug_exit == EXIT_GOOD and not output.bad, output.result.serial
        assert_5_levels(output.result.serial)
        assert_checked(output, ALWAYS + FAULTS)
        assert bool(output.fact("cr4") & CR4_LA57) == (levels == 5)


def test_the_reference_kernel_runs_all_its_cpus_with_5_levels(tmp_path):
    image = volume(tmp_path, KERNEL, "cmdline = exit=debug\n",
                   {"EFI/BOOT/BOOTX64.EFI": LA57, "EFI/BOOT/LOADER.EFI": LOADER})
    result = qemu.boot([image], memory="5G", cpu="max", smp=2)
    assert result.debug_exit == EXIT_GOOD, result.serial
    assert_5_levels(result.serial)
    report = result.report()
    assert (report["paging.levels"], report["audit.violations"], report["selftest"],
            report["map.differences"]) == (5, 0, "ok", 0)
    assert_frames(report)
    assert_frames_now(report)
    assert_stress(report, cpus=2)


@pytest.mark.parametrize("cpu, task", [("max", "faults"), ("qemu64", "fill")])
def test_ram_that_is_not_write_back_by_the_mtrrs_is_left_out_and_named(tmp_path, cpu, task):
    files = {"EFI/BOOT/BOOTX64.EFI": UNCACHED, "EFI/BOOT/LOADER.EFI": LOADER}
    output = boot_contract_kernel(tmp_path, "exec", task, "log = info\n", files=files, cpu=cpu)
    start, = re.findall(r"^UNCACHED (0x[0-9a-f]+)$", output.result.serial, re.M)
    assert_checked(output, ALWAYS + (FAULTS if task == "faults" else []))
    assert set(output.facts["demoted"]) == {int(start, 16)}
    assert (f"slipway: RAM at {start}, 65536 bytes, is not write-back by the MTRRs: not usable\n"
            in output.result.serial)


@pytest.mark.parametrize("kernel, cpu, config", [
    ("exec", "qemu64", ""), ("pie", "max", "paging = 5\n"), ("wishes", "max", "")])
def test_a_kernel_loads_tables_of_its_own_by_the_recipe_of_the_header(tmp_path, kernel, cpu, config):
    output = boot_contract_kernel(tmp_path, kernel, "own-tables", config, cpu=cpu)
    assert_checked(output, ALWAYS + sentences("task_tables.c"))
