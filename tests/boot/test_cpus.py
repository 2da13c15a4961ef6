"""All CPUs. The loader starts them for a kernel that asks, and parks them; each finds the contract when
it is released. The reference kernel takes them over, goes on without those that do not come up or that
nobody lists, and when one of them fails there is one report, which says whose it is. Machines with so
many CPUs that the host has far fewer run them in turns (thread=single): a parked one gives up its turn
at once. Boots from snapshots where the command line has none before.
"""

import re
import time

import pytest

import qemu
import snapshots
from support import (EXIT_BAD, EXIT_GOOD, KERNEL, LA57, LOADER, MADT, MTRR, boot_contract_kernel,
                     sentences, volume)
from test_contract import ALWAYS, FAULTS, assert_checked
from test_reference import assert_stress

BOOT, PARKED, ABSENT = 1, 2, 3
IN_TURNS = {"accel": "tcg,thread=single", "timeout": 120}
RELEASED = [s for s in sentences("check_cpus.c") if not s.startswith("without a wish")]
CONTRACT = [s for s in ALWAYS if s not in ("without a wish for CPUs none is listed",)]


def contract(folder, cmdline="", config="", files=None, **options):
    """Boots the contract kernel that asks for CPUs; returns what it said and its list of CPUs."""
    output = boot_contract_kernel(folder, "cpus", cmdline, "log = info\n" + config, files, **options)
    assert_checked(output, CONTRACT + (FAULTS if cmdline else []))
    facts = [output.facts[f"cpu.{name}"] for name in ("apic_id", "processor_id", "state")]
    return output, list(zip(*facts))


def assert_released(output, cpus):
    """Every parked CPU made all its checks, each once, from the last to the first."""
    parked = [apic_id for apic_id, _, state in cpus if state == PARKED]
    assert output.facts.get("cpu.released", []) == parked[::-1]
    assert output.fact("cpus.released") == len(parked)
    for sentence in RELEASED[:3] if parked else RELEASED[3:]:
        assert output.good.count(sentence) == max(len(parked), 1), sentence
    if parked:
        assert_checked(output, RELEASED)


# The processor IDs of QEMU's MADT are those of its APICs.
@pytest.mark.parametrize("smp, options", [
    (1, {}),
    (2, {"cpu": "max"}),
    (8, {"memory": "128M", **IN_TURNS}),
    (64, {"memory": "512M", **IN_TURNS}),
    (255, {"memory": "2G", "boot": qemu.boot, **IN_TURNS}),
], ids=lambda value: str(value) if isinstance(value, int) else "")
def test_every_cpu_finds_the_contract_when_it_is_released(tmp_path, smp, options):
    output, cpus = contract(tmp_path, smp=smp, **options)
    assert cpus == [(i, i, BOOT if i == 0 else PARKED) for i in range(smp)]
    assert_released(output, cpus)
    assert f"slipway: {smp} CPUs, {smp - 1} of them parked\n" in output.result.serial


@pytest.mark.parametrize("cpu", ["qemu64", "Nehalem", "EPYC"])
def test_cpus_of_every_model_come_up(tmp_path, cpu):
    output, cpus = contract(tmp_path, smp=3, cpu=cpu, machine="pc")
    assert [state for _, _, state in cpus] == [BOOT, PARKED, PARKED]
    assert_released(output, cpus)


@pytest.mark.parametrize("firmware, levels", [(4, 5), (5, 4), (5, 5)])
def test_cpus_have_the_paging_levels_of_the_kernel(tmp_path, firmware, levels):
    files = {"EFI/BOOT/BOOTX64.EFI": LA57, "EFI/BOOT/LOADER.EFI": LOADER} if firmware == 5 else None
    output, cpus = contract(tmp_path, "faults", f"paging = {levels}\n", files, cpu="max", smp=2)
    assert bool(output.fact("cr4") & 1 << 12) == (levels == 5)  # said by each: one value
    assert_released(output, cpus)


def test_a_cpu_that_does_not_come_up_is_absent_and_one_that_nobody_lists_does_nothing(tmp_path):
    files = {"EFI/BOOT/BOOTX64.EFI": MADT, "EFI/BOOT/LOADER.EFI": LOADER}
    output, cpus = contract(tmp_path, files=files, smp=4)
    assert "MADT without CPU 0x3\n" in output.result.serial
    assert cpus == [(0, 0, BOOT), (1, 1, PARKED), (2, 2, PARKED), (0xF0, 3, ABSENT)]
    assert_released(output, cpus)
    assert "slipway: the CPU with the APIC ID 240 did not come up\n" in output.result.serial
    assert "slipway: 4 CPUs, 2 of them parked\n" in output.result.serial


def test_cpus_get_the_mtrrs_of_the_boot_cpu(tmp_path):
    files = {"EFI/BOOT/BOOTX64.EFI": MTRR, "EFI/BOOT/LOADER.EFI": LOADER}
    output, cpus = contract(tmp_path, files=files, smp=2)
    assert re.search(r"^MTRR 0x\d$", output.result.serial, re.M)
    assert_released(output, cpus)


def report_of(folder, test="", config="", **options):
    config += "cmdline = exit=debug" + (f" test={test}" if test else "") + "\n"
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


# Each CPU but the first has 16 frames of interrupt stacks; two of the tables that map them and the
# registers of the local APIC are enough for eight.
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
    assert report["cpus.frames"] == (2 if started == 1 else 3 + 16 * (started - 1))
    assert report["cpus.apic"] == "xAPIC"


def test_more_cpus_than_the_kernel_can_count_are_left_out(tmp_path):
    result = report_of(tmp_path, smp=66, memory="512M", **IN_TURNS)
    assert_cpus(result, 66, 64, "there are more CPUs than this kernel can count")


def test_a_cpu_that_does_not_come_up_is_left_out(tmp_path):
    files = {"EFI/BOOT/BOOTX64.EFI": MADT, "EFI/BOOT/LOADER.EFI": LOADER}
    image = volume(tmp_path, KERNEL, "cmdline = exit=debug\n", files)
    result = snapshots.boot([image], memory="128M", smp=3)
    assert result.debug_exit == EXIT_GOOD, result.serial
    assert_cpus(result, 3, 2, "a CPU did not come up")


def test_without_acpi_tables_there_is_one_cpu(tmp_path):
    result = report_of(tmp_path, smp=2, machine="q35,acpi=off", config="log = info\n")
    assert_cpus(result, 1, 1)
    assert "slipway: the other CPUs are left out: the MADT is not believed: there is no RSDP\n" in result.serial


def test_a_cpu_without_a_local_apic_is_enough(tmp_path):
    result = report_of(tmp_path, smp=1, cpu="qemu64,-apic")
    assert_cpus(result, 1, 1, "the local APIC of the CPU that boots is off")
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
    assert re.search(r"^  stack overflow: 0x[0-9a-f]+ is in the guard page below the\n    stack of CPU 2 ",
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


def test_a_cpu_that_cannot_be_interrupted_is_waited_for_and_named_after_a_second(tmp_path):
    report = failure(tmp_path, "cpu-late")
    assert one_cpu(report) == 0
    assert report.count("tlb: CPU 0 has waited a second, and goes on waiting, for CPU 2: interrupts are off "
                        "there\n\nPANIC: CPU 0 has waited for CPU 2, as it should\n") == 1


@pytest.mark.parametrize("smp", [1, 4])
def test_no_cpu_reads_or_writes_through_a_translation_that_is_gone(tmp_path, smp):
    image = volume(tmp_path, KERNEL, "cmdline = exit=debug tlb=2\n")
    result = snapshots.boot([image], memory="128M", smp=smp)
    assert result.debug_exit == EXIT_GOOD, result.serial
    tlb = {key[4:]: value for key, value in result.report().items() if key.startswith("tlb.")}
    assert tlb["milliseconds"] == 2000
    # However slow the machine is: each CPU has a turn of each kind.
    assert tlb["changes"] > tlb["records"] > 20 and tlb["accesses"] > tlb["faults"] > 100
    assert tlb["naps"] > 0
    if smp == 1:
        assert tlb["requests"] == tlb["interrupts"] == tlb["missed"] == 0
    else:
        assert tlb["requests"] >= tlb["interrupts"] > 0 and tlb["missed"] > 0
