"""A machine whose interrupt controllers, timers and IOMMUs the firmware has left in disorder: an
application that starts the loader (tests/apps/badmachine.c) makes it so when ExitBootServices has
succeeded. What it did is checked before what came of it. Boots from snapshots, but for the machine
with an AMD IOMMU, which QEMU cannot save.
"""

import re

import pytest

import qemu
from snapshots import Machine, boot
from support import (BADMACHINE, EXIT_GOOD, KERNEL, LOADER, boot_contract_kernel, sentences, volume)
from test_contract import ALWAYS, FAULTS, assert_checked
from test_reference import assert_stress

FILES = {"EFI/BOOT/BOOTX64.EFI": BADMACHINE, "EFI/BOOT/LOADER.EFI": LOADER}
XAPIC = 1
VTD_ON = 1 << 31 | 1 << 26 | 1 << 25


def assert_bad(said, iommu=None):
    """All that badmachine.c names, as it read it back; returns what the IOMMU said."""
    line, = re.findall(r"^BADMACHINE (.*)$", said, re.M)
    found = {name: int(value, 16) for name, value in
             (word.split("=") for word in line.split())}
    status = found.pop(iommu) if iommu else None
    # 0x41, 0x61 and 0x71 are in service; pin 4 is level triggered and waits for its end.
    assert found == {"spurious": 0x12F, "priority": 0x50, "timer": 0x20042, "count": 0x10000000,
                     "service2": 1 << 1, "service3": 1 << 1 | 1 << 17, "pin4": 0x1C071 & ~(1 << 16),
                     "pin9": 0x89, "pit": 0x34, "hpet": 3, "hpet0": 4,
                     "rtc": 0x42, "pending2": 1 << 5 | 1 << 17}
    return status


def test_a_kernel_finds_the_contract_whatever_the_firmware_left_in_the_controllers(tmp_path):
    output = boot_contract_kernel(tmp_path, "exec", "faults", files=FILES)
    assert_bad(output.result.serial)
    assert_checked(output, ALWAYS + FAULTS)
    assert output.fact("apic_mode") == XAPIC and output.fact("io_apics") == 1
    assert output.fact("hpet.counts") == 1  # it is left to count
    assert output.fact("com1.divisor") == 12  # 9600 baud


def test_a_kernel_finds_vt_d_off_where_the_firmware_left_it_on(tmp_path):
    output = boot_contract_kernel(tmp_path, "exec", files=FILES,
                                  extra=["-device", "intel-iommu,intremap=on"])
    assert assert_bad(output.result.serial, "vtd") & VTD_ON == VTD_ON
    assert_checked(output, ALWAYS + [s for s in sentences("check_machine.c") if "VT-d" in s])
    assert output.fact("vtd.status") & VTD_ON == 0


def test_a_kernel_finds_an_amd_iommu_off_where_the_firmware_left_it_on(tmp_path):
    output = boot_contract_kernel(tmp_path, "exec", files=FILES, boot=qemu.boot,
                                  extra=["-device", "amd-iommu"])
    assert assert_bad(output.result.serial, "amd") & 1 == 1
    assert_checked(output, ALWAYS + [s for s in sentences("check_machine.c") if "AMD" in s])
    assert output.fact("amd_vi.control") & 1 == 0


@pytest.mark.parametrize("smp", [1, 2])
def test_the_reference_kernel_is_interrupted_by_what_it_asks_for_alone(tmp_path, smp):
    image = volume(tmp_path, KERNEL, "cmdline = exit=debug\n", FILES)
    result = boot([image], memory="256M", smp=smp)
    assert result.debug_exit == EXIT_GOOD, result.serial
    assert_bad(result.serial)
    report = result.report()
    assert (report["audit.violations"], report["selftest"], report["input"]) == (0, "ok", "interrupt")
    assert_stress(report, cpus=smp)


def test_what_the_firmware_left_firing_is_counted_and_holds_up_nothing(tmp_path):
    """The prompt reads COM1 by interrupt, and the self-test's timers come, after the vectors that were
    pending at the hand-over (0x51, and LINT0's 0x45) and while the RTC goes on asking at the 8259."""
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n", FILES)
    with Machine([image], memory="256M", smp=2) as machine:
        since = machine.wait_for("slipway> ")
        said = machine.serial
        for typed, last in (("interrupts\r", "spurious:"), ("selftest interrupts\r", "passed"),
                            ("stress 1\r", "none lost"), ("interrupts\r", "spurious:")):
            machine.send(typed)
            end = machine.wait_for("\nslipway> ", machine.wait_for(last, since))
            answer, since = machine.serial[since:end], end
            if typed == "interrupts\r":
                assert "    the last unknown vector was 0x45\n" in answer
                assert answer.count("unknown vector") == 1
                rows = [list(map(int, re.split("[ /]+", row.strip())))
                        for row in re.findall(r"^ +\d+ +\d.*$", answer, re.M)]
                assert [row[0] for row in rows] == [0, 1]
                assert [row[6:] for row in rows] == [[0, 2, 0, 0, 0], [0, 0, 0, 0, 0]]
                # Of each its share: timer, COM1, raised.
                assert min(row[1] for row in rows) > 0 < min(row[5] for row in rows)
                assert rows[0][4] > 0 and rows[1][4] == 0
        assert machine.qmp("query-status")["running"]
    assert_bad(said)
    assert said.count("input=interrupt") == 1
