"""Loader and kernel as `make DEBUG=1 TRACKING=1` builds them: what the code relies on is asserted, and
the kernel's self-test asserts, beside all else, that no place in the source still holds a frame that
it took. Boots from snapshots."""

import re

import pytest

from snapshots import boot
from support import (EXIT_BAD, EXIT_GOOD, KERNEL, KERNELS, KernelOutput, LOADER, SELFTEST_ALWAYS,
                     SELFTEST_STRESS, run, volume)

# Of a program without assertions, some few; each assertion makes one more.
TRAPS_OF_RELEASE_MAX = 20


def count_traps(program):
    return run("objdump", "-d", "--no-show-raw-insn", str(program)).count("\tud2")


@pytest.mark.weight(35)
@pytest.mark.xdist_group("debug")
def test_the_kernel_asserts_what_it_relies_on_and_leaks_nothing_by_place(tmp_path, debug_build):
    def report(kernel, loader):
        image = volume(tmp_path, kernel, config="cmdline = exit=poweroff\n",
                       files={"EFI/BOOT/BOOTX64.EFI": loader})
        return boot([image], memory="128M", smp=2).report()
    plain, debugged = report(KERNEL, LOADER), report(debug_build / "kernel.elf", debug_build / "BOOTX64.EFI")
    assert count_traps(debug_build / "kernel.sym.elf") > TRAPS_OF_RELEASE_MAX
    assert plain["selftest"] == debugged["selftest"] == "ok"
    # That no place holds a frame, nor an object, after each part; and three of the heap's own report.
    parts = len(SELFTEST_ALWAYS + SELFTEST_STRESS)
    assert debugged["selftest.checks"] == plain["selftest.checks"] + 2 * parts + 3
    # A place for every frame, four bytes, is what the entries of all blocks take.
    assert debugged["frames.now.free"] < plain["frames.now.free"]


@pytest.mark.xdist_group("debug")
def test_an_object_that_is_freed_twice_ends_in_a_panic_that_knows_who_did_it(tmp_path, debug_build):
    def panic(kernel):
        image = volume(tmp_path, kernel, config="cmdline = test=heap-twice exit=debug\n")
        result = boot([image], memory="128M", smp=2)
        assert result.debug_exit == EXIT_BAD, result.serial
        return re.search(r"^PANIC: heap: (.*)$", result.serial, re.M)[1]
    where = r"at kernel/selftest/provoke\.c:(\d+) \(free_twice\)"
    assert re.fullmatch(r"0x[0-9a-f]+ is freed and is free already", panic(KERNEL))
    lines = re.fullmatch(rf"object 0x[0-9a-f]+ of 40 bytes: it is freed twice, allocated {where}, "
                         rf"freed {where}, found {where}", panic(debug_build / "kernel.elf")).groups()
    assert [int(line) - int(lines[0]) for line in lines] == [0, 1, 2]


@pytest.mark.xdist_group("debug")
def test_the_loader_asserts_what_it_relies_on_and_hands_over_by_contract(tmp_path, debug_build):
    image = volume(tmp_path, KERNELS / "pie.elf", "kernel = /kernel.elf\n",
                   {"EFI/BOOT/BOOTX64.EFI": debug_build / "BOOTX64.EFI"}, size=32 << 20)
    output = KernelOutput(boot([image], memory="256M"))
    assert count_traps(debug_build / "BOOTX64.elf") > TRAPS_OF_RELEASE_MAX
    assert not output.bad and output.result.debug_exit == EXIT_GOOD, output.result.serial
