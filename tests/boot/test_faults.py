"""A fault before the kernel has an IDT of its own: the loader's handler says what happened and the
machine stops. Boots from snapshots of the contract kernel, told to make one forbidden access each."""

import re

import pytest

from snapshots import Machine
from support import KERNELS, LA57, LOADER, KernelOutput, volume, wait_halted, walk_of

ABSENT, REFUSED = "not present", "without that right"
RFLAGS_IF, CR4_MCE = 1 << 9, 1 << 6
READ_ONLY = "effective r---"


def registers(report):
    return {name: int(value, 16) for name, value in
            re.findall(r"\b(r[a-z0-9]{1,2}|cr[0-4]) +([0-9a-f]{8,16})\b", report)}


# What the kernel is told to do: what the report says; CR2, as a name of the kernel's facts and a
# distance; how the walk of CR2 ends.
PAGE_FAULTS = {
    "guard-below": (f"write to a page that is {ABSENT}", "stack.bottom", -1, ABSENT),
    "guard-above": (f"write to a page that is {ABSENT}", "stack.top", 0, ABSENT),
    "overflow": (f"write to a page that is {ABSENT}", "stack.bottom", -8, ABSENT),
    "null": (f"read from a page that is {ABSENT}", None, 0, ABSENT),
    "text-alias": (f"write to a page {REFUSED}", "alias", 0, READ_ONLY),
    "execute": (f"instruction fetch from a page {REFUSED}", "alias", 0, READ_ONLY),
}


@pytest.mark.parametrize("name", PAGE_FAULTS)
def test_the_loader_reports_a_page_fault_with_its_walk(tmp_path, name):
    what, place, distance, end = PAGE_FAULTS[name]
    facts, report = report_of(tmp_path, name)
    assert "CPU exception: page fault (vector 14)" in report and what in report
    found = registers(report)
    assert found["cr2"] == (facts[place][0] + distance if place else 0)
    if name == "execute":
        assert found["rip"] == found["cr2"]
    else:
        assert found["rip"] - facts["text"][0] in range(1 << 20)
    walk = walk_of(report, found["cr2"])
    assert walk[0].startswith("level 4") and walk[-1].endswith(end)


def test_the_loader_reports_an_invalid_opcode(tmp_path):
    facts, report = report_of(tmp_path, "opcode")
    assert "CPU exception: invalid opcode (vector 6)" in report
    assert registers(report)["rip"] - facts["text"][0] in range(1 << 20)


def test_the_report_ends_the_walk_at_a_table_behind_the_direct_map(tmp_path):
    """Here one of 5 levels: the kernel has put the address into the root."""
    files = {"EFI/BOOT/BOOTX64.EFI": LA57, "EFI/BOOT/LOADER.EFI": LOADER}
    _, report = report_of(tmp_path, "table-outside", files=files, memory="256M", cpu="max")
    walk = walk_of(report, 0)
    assert walk[0].startswith("level 5 [  0] 00000000100000")
    assert walk[1:] == ["level 4: no table at 0000010000000"]


def test_a_fault_in_the_report_is_said_once(tmp_path):
    """The report reads page tables through the direct map, which this kernel has taken away."""
    image = volume(tmp_path, KERNELS / "exec.elf", "cmdline = fault=in-report\n")
    with Machine([image], memory="128M", timeout=30) as machine:
        begun = machine.wait_for("slipway: fault before the kernel has its own IDT\n")
        end = machine.wait_for(["slipway: fault in the fault report", "slipway: fault before"],
                               since=begun)
        machine.wait_for("\n", since=end)
        assert machine.serial.count("slipway: fault before") == 1
        state = wait_halted(machine)
        output = KernelOutput(machine.result())
    # Halted with interrupts off: that was its last word.
    assert not int(re.search(r"RFL=([0-9a-f]+)", state)[1], 16) & RFLAGS_IF
    report = output.result.serial.split("about to fault\n")[1]
    first, second = re.findall(r"^slipway: (.*)$", report, re.M)
    assert first == "fault before the kernel has its own IDT"
    cr2 = re.fullmatch(r"fault in the fault report: vector 14, rip 0x[0-9a-f]+, cr2 (0x[0-9a-f]+)",
                       second)[1]
    assert int(cr2, 16) - output.fact("root.alias") in range(4096)
    assert report.endswith(f"{second}\n")


def test_the_loader_reports_a_machine_check_with_the_banks_that_tell_of_it(tmp_path):
    """Bank 2 has an error without an address from before, the others, but for bank 1, none."""
    _, report = report_of(tmp_path, "wait", ["mce 0 2 0x8000000000000136 0 0x5678 0",
                                             "mce 0 1 0xbd00000000000000 0x7 0x1234 0"])
    assert "CPU exception: machine check (vector 18)" in report
    assert registers(report)["cr4"] & CR4_MCE
    status, *banks = re.findall(r"^  (machine-check status|bank) (.*)$", report, re.M)
    assert status == ("machine-check status", "0x7")
    assert banks == [("bank", "1: status 0xbd00000000000000, uncorrected, address 0x1234"),
                     ("bank", "2: status 0x8000000000000136, corrected")]


def report_of(folder, fault, monitor_lines=(), files=None, **options):
    """The kernel's facts and the loader's report, after the machine has stopped for good. The lines
    go to QEMU's monitor when the kernel is about to fault."""
    image = volume(folder, KERNELS / "exec.elf", f"cmdline = fault={fault}\n", files)
    with Machine([image], timeout=30, **{"memory": "128M", **options}) as machine:
        machine.wait_for("about to fault\n")
        for line in monitor_lines:
            assert machine.monitor(line) == ""
        machine.wait_for("slipway: stopped")
        wait_halted(machine)
        output = KernelOutput(machine.result())
    said, report = output.result.serial.split("about to fault\n")
    report = report.split("slipway: stopped")[0]
    assert "survived" not in report and report.count("CPU exception") == 1
    assert {"rax", "rbx", "rsp", "rip", "r8", "r15", "cr0", "cr2", "cr3", "cr4"} <= \
        set(registers(report))
    return output.facts, report
