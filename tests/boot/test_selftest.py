"""`cmdline = selftest`: all parts of the kernel's self-test, also those that take seconds, on machines
that differ in CPUs, memory, processor and levels of the page tables, by kernels of both compilers, and
of the build with assertions; told in TAP, which is read strictly. Of the machines each is there once, so
they start cold; what fails on purpose starts from a snapshot."""

import os
import re
from itertools import product

import pytest

import qemu
import snapshots
from support import EXIT_BAD, EXIT_GOOD, KERNEL, SELFTEST_PARTS, built_in, volume

# name: build, CPUs, memory, processor, levels. All values, and all pairs of build with memory and with
# levels, of processor with memory.
MACHINES = {
    "one": ("release", 1, "128M", "qemu64", 4),
    "eight": ("release", 8, "5G", "max", 5),
    "two": ("other", 2, "5G", "qemu64", 4),
    "four": ("other", 4, "128M", "max", 5),
    "two-debug": ("debug", 2, "128M", "max", 5),
    "four-debug": ("debug", 4, "5G", "max", 4),
}


def test_the_machines_cover_every_value_and_the_pairs_that_matter():
    def values(*columns):
        return {tuple(row[column] for column in columns) for row in MACHINES.values()}
    builds, cpus, memory, processors, levels = ({value for value, in values(i)} for i in range(5))
    assert (builds, cpus, memory, processors, levels) == (
        {"release", "other", "debug"}, {1, 2, 4, 8}, {"128M", "5G"}, {"qemu64", "max"}, {4, 5})
    assert values(0, 2) == set(product(builds, memory))
    assert values(0, 4) == set(product(builds, levels))
    assert values(3, 2) == set(product(processors, memory))


class Tap:
    """What COM1 said from the version on; every line is one of TAP's, up to a bail-out."""

    def __init__(self, serial):
        before, version, text = serial.partition("TAP version 14\n")
        assert version and not re.search(r"^(not )?ok\b", before, re.M), serial
        plan, *lines = text.splitlines()
        self.count = int(re.fullmatch(r"1\.\.(\d+)", plan)[1])
        self.points, self.diagnostics, self.bail_out = [], [], None
        for line in lines:
            if line.startswith("Bail out! "):
                self.bail_out = line.removeprefix("Bail out! ")
                return
            if line.startswith("# "):
                self.diagnostics.append(line.removeprefix("# "))
            elif line:
                good, number, name = re.fullmatch(r"(ok|not ok) (\d+) - ([a-z0-9-]+)", line).groups()
                assert int(number) == len(self.points) + 1, serial
                self.points.append((good == "ok", name))
        assert len(self.points) == self.count, serial


@pytest.fixture(scope="module")
def kernels(request):
    """kernels(build): the file; "other" is what the other compiler makes."""
    def kernel(build):
        if build == "release":
            return KERNEL
        if build == "debug":
            return request.getfixturevalue("debug_build") / "kernel.elf"
        return request.getfixturevalue("other_kernel")
    return kernel


@pytest.fixture(scope="module")
def other_kernel():
    """Where `make check` has it, too."""
    compiler = "gcc" if "clang" in os.environ.get("CC", "") else "clang"
    return built_in(compiler, f"CC={compiler}") / "kernel.elf"


def marked(name):
    build = MACHINES[name][0]
    group = name if build == "release" else build  # who wants the same kernel makes it once
    return pytest.param(name, marks=[pytest.mark.xdist_group(group), pytest.mark.weight(20)])


@pytest.mark.parametrize("name", map(marked, MACHINES))
def test_all_parts_of_the_self_test_hold(tmp_path, kernels, name):
    build, cpus, memory, processor, levels = MACHINES[name]
    has_device = name != "one"  # that takes the verdict; without it the machine ends by its options
    image = volume(tmp_path, kernels(build), f"cmdline = selftest exit=poweroff\npaging = {levels}\n")
    result = qemu.boot([image], memory=memory, smp=cpus, cpu=processor, debug_exit=has_device, timeout=120)
    tap = Tap(result.serial)
    assert tap.points == [(True, part) for part in SELFTEST_PARTS], result.serial
    assert tap.bail_out is None
    assert tap.diagnostics[0] == f"CPUs: {cpus}, levels of page tables: {levels}"
    counts = [int(count) for count in re.findall(r"^(\d+) checks passed$", "\n".join(tap.diagnostics), re.M)]
    assert len(counts) == len(SELFTEST_PARTS)
    # Two are of the frame around each part; that part holds up one CPU while another goes on.
    idle = {name for name, count in zip(SELFTEST_PARTS, counts) if count <= 2}
    assert idle == ({"spaces-order"} if cpus == 1 else set())
    assert (result.reason, result.debug_exit) == (
        ("debug-exit", EXIT_GOOD) if has_device else ("guest-shutdown", None))


def fail(tmp_path, cmdline):
    image = volume(tmp_path, KERNEL, f"cmdline = selftest {cmdline}\n")
    return snapshots.boot([image], memory="128M", smp=2)


def test_a_check_that_does_not_hold_is_not_ok_and_the_run_goes_on(tmp_path):
    result = fail(tmp_path, "test=selftest-fails exit=poweroff")
    tap = Tap(result.serial)
    assert tap.points == [(False, "provoked"), *((True, name) for name in SELFTEST_PARTS)]
    assert tap.diagnostics[1] == "self-test 1 does not hold: provoked on purpose"
    assert result.debug_exit == EXIT_BAD


@pytest.mark.parametrize("failure, why", [("panic", "PANIC: provoked on purpose"), ("cpu-fault", "fault on CPU 1")])
def test_a_run_that_cannot_go_on_bails_out(tmp_path, failure, why):
    result = fail(tmp_path, f"test={failure}")
    tap = Tap(result.serial)
    assert (tap.count, tap.points, tap.bail_out) == (1 + len(SELFTEST_PARTS), [], why)
    assert result.debug_exit == EXIT_BAD
