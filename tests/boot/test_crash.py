"""A failure's report outlives a reset: the next start shows it and hands it over, once. Cold boots: a
reset is one.
"""

import calendar
import re
import time

import pytest

import qemu
from support import KERNEL, volume

RESETS = ["-action", "reboot=reset"]
PLACE = 24 << 20  # where the loader looks first
SHOWN = re.compile(r"slipway: the last kernel failed on ([\d-]+ [\d:]+) UTC, and left a report of (\d+) bytes:\n"
                   r"slipway:   \| (.*)\n")


def start(machine, since):
    """What COM1 has said from `since` to the next prompt, and where that ends."""
    end = machine.wait_for("slipway> ", since)
    return machine.serial[since:end], end


def ask(machine, typed, since):
    machine.send(f"{typed}\r")
    end = machine.wait_for("\nslipway> ", since)
    return machine.serial[since:end].partition("\n")[2].rpartition("\n")[0], end


def fail(machine, kind, since, last):
    """The kernel's report of a failure, with the time of it."""
    machine.send(f"fault {kind}\r")
    end = machine.wait_for(last, since)
    return machine.serial[since:end].partition("\n")[2].removesuffix("Stopped.\n"), time.time(), end


def assert_handed_over(machine, said, since, report, failed_at):
    when, size, first = SHOWN.search(said).groups()
    assert abs(calendar.timegm(time.strptime(when, "%Y-%m-%d %H:%M:%S")) - failed_at) < 30
    assert int(size) == len(report) and first == report.strip().splitlines()[0]
    assert f"\n  crash      the last kernel failed on {when} UTC; " in said
    answer, end = ask(machine, "crash", since)
    assert answer.rstrip("\n") == f"The last kernel failed on {when} UTC:\n{report}".rstrip("\n")
    return end


def assert_nothing(machine, said, since):
    assert "failed" not in said
    answer, end = ask(machine, "crash", since)
    assert answer == "No kernel has left a report."
    return end


def test_a_report_outlives_a_reset_and_is_handed_over_once(tmp_path):
    """First by somebody who presses the button, then by the kernel itself."""
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt failure=reboot\n")
    with qemu.Machine([image], memory="128M", smp=2, timeout=300, extra=RESETS) as machine:
        said, at = start(machine, 0)
        at = assert_nothing(machine, said, at)
        report, failed_at, at = fail(machine, "panic", at, "BdsDxe: loading")
        said, at = start(machine, at)
        report = report[:report.rindex("BdsDxe")]
        at = assert_handed_over(machine, said, at, report, failed_at)
        machine.qmp("system_reset")
        said, at = start(machine, at)
        assert_nothing(machine, said, at)


@pytest.mark.parametrize("is_spoiled", [False, True])
def test_a_report_is_shown_after_a_reset_unless_its_memory_was_used(tmp_path, is_spoiled):
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    # Stored at each reset.
    spoil = ["-device", f"loader,addr={PLACE + 40:#x},data=0x41,data-len=4"] if is_spoiled else []
    with qemu.Machine([image], memory="128M", smp=2, timeout=300, extra=[*RESETS, *spoil]) as machine:
        _, at = start(machine, 0)
        report, failed_at, at = fail(machine, "cpu-fault", at, "\nStopped.\n")
        machine.qmp("system_reset")
        said, at = start(machine, at)
        if is_spoiled:
            assert_nothing(machine, said, at)
        else:
            assert_handed_over(machine, said, at, report, failed_at)
