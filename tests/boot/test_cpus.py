"""The reference kernel on machines with several CPUs: it starts all that the firmware lists, goes on
without those that do not answer or that nobody lists, and when one of them fails there is one report,
which says whose it is. The failures boot from snapshots, the other tests cold.
"""

import re
import time

import pytest

import qemu
import snapshots
from support import EXIT_BAD, EXIT_GOOD, KERNEL, volume
from test_reference import assert_stress


def report_of(folder, test="", **options):
    config = "cmdline = exit=debug" + (f" test={test}" if test else "") + "\n"
    result = qemu.boot([volume(folder, KERNEL, config)], **{"memory": "128M", **options})
    assert result.debug_exit == EXIT_GOOD, result.serial
    return result


def assert_cpus(result, found, started, reason="none"):
    report = result.report()
    assert (report["cpus.found"], report["cpus.started"]) == (found, started)
    assert report["cpus.left_out"] == found - started
    assert report["cpus.reason"] == reason
    ids = [value for key, value in report.items() if re.fullmatch(r"cpu\.\d+\.apic_id", key)]
    assert ids == list(range(started))
    said, = re.findall(r"^  cpus       (\d.*)$", result.serial, re.M)
    assert said.startswith(f"{found} found, {started} run")
    assert (reason in said) == (reason != "none")


# Each CPU but the first has 32 frames of stacks; three of the tables that map them and the registers
# of the local APIC are enough for eight.
@pytest.mark.parametrize("smp, machine, options", [
    (1, "q35", {}),
    (2, "q35", {"cpu": "max"}),
    (4, "q35", {"memory": "64M"}),
    (2, "pc", {}),
    (4, "pc", {"cpu": "max"}),
    # The emulation of this QEMU has no x2APIC: asked for, it is left out with a warning.
    (3, "q35", {"cpu": "max,+x2apic"}),
    ("6,sockets=2,cores=3", "pc", {"memory": "3G"}),  # IDs with a hole: 0 to 2, 4 to 6
], ids=lambda value: str(value))
def test_every_cpu_is_started(tmp_path, smp, machine, options):
    result = report_of(tmp_path, smp=smp, machine=machine, **options)
    report = result.report()
    if isinstance(smp, int):
        assert_cpus(result, smp, smp)
        assert_stress(report, smp)
    else:
        assert [report[f"cpu.{cpu}.apic_id"] for cpu in range(6)] == [0, 1, 2, 4, 5, 6]
    started = report["cpus.started"]
    assert report["cpus.frames"] == (2 if started == 1 else 3 + 32 * (started - 1))
    assert report["cpus.apic"] == "xAPIC"


def test_more_cpus_than_the_kernel_can_count_are_left_out(tmp_path):
    result = report_of(tmp_path, smp=66, memory="512M", timeout=120)
    assert_cpus(result, 66, 64, "there are more CPUs than this kernel can count")


def test_a_cpu_that_does_not_answer_is_left_out(tmp_path):
    result = report_of(tmp_path, "absent-cpu", smp=2)
    assert_cpus(result, 3, 2, "a CPU did not answer")


def test_without_acpi_tables_there_is_one_cpu(tmp_path):
    result = report_of(tmp_path, smp=2, machine="q35,acpi=off")
    assert_cpus(result, 1, 1, "the firmware gives no ACPI tables")


def test_a_cpu_without_a_local_apic_is_enough(tmp_path):
    result = report_of(tmp_path, smp=1, cpu="qemu64,-apic")
    assert_cpus(result, 1, 1)
    assert result.report()["cpus.apic"] == "none"


def failure(folder, test):
    """What three CPUs say after the report, one of which, or all, have been told to fail."""
    image = volume(folder, KERNEL, f"cmdline = exit=debug test={test}\n")
    result = snapshots.boot([image], memory="128M", smp=3)
    assert result.debug_exit == EXIT_BAD, result.serial
    return result.serial.split("BOOT-REPORT-END\n")[1]


def one_cpu(report):
    """The CPU whose report this is: the report is the only one, whole, and nothing is between."""
    (cpu, apic_id), = re.findall(r"^  on CPU (\d) \(APIC ID (\d)\) of 3$", report, re.M)
    assert cpu == apic_id
    assert len(re.findall(r"PANIC|CPU exception", report)) == 1
    assert report.count("  backtrace:\n") == 1
    return int(cpu)


def test_a_fault_on_another_cpu_is_reported_once_with_its_number(tmp_path):
    report = failure(tmp_path, "cpu-fault")
    assert one_cpu(report) == 2
    assert "CPU exception: page fault (vector 14)" in report
    assert "  0x0 lies in the first page: a null pointer\n" in report


def test_every_cpu_has_a_guard_page_below_its_stack(tmp_path):
    report = failure(tmp_path, "cpu-overflow")
    assert one_cpu(report) == 2
    assert re.search(r"^  stack overflow: 0x[0-9a-f]+ is in the guard page below the stack of CPU 2 ",
                     report, re.M)


def test_of_cpus_that_panic_at_once_one_reports_and_all_stop(tmp_path):
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt test=cpu-panics\n")
    with snapshots.Machine([image], memory="128M", smp=3) as machine:
        machine.wait_for("\nStopped.\n")
        time.sleep(0.5)  # for a second report, if there is one
        assert machine.monitor("info registers -a").count("HLT=1") == 3
        report = machine.serial.split("BOOT-REPORT-END\n")[1]
    one_cpu(report)
    assert "PANIC: provoked on every CPU\n" in report and report.endswith("\nStopped.\n")


def test_nobody_changes_page_tables_while_other_cpus_run(tmp_path):
    report = failure(tmp_path, "cpu-map")
    one_cpu(report)
    assert "PANIC: the kernel's page tables are to be changed while other CPUs run\n" in report
