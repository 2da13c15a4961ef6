"""The reference kernel when something goes wrong: told on its command line to do what the page
tables, the CPU or its own rules forbid, it says what happened and ends with a failure. Boots from snapshots,
but for one.
"""

import re

import pytest

import qemu
from snapshots import Machine, boot
from support import BUILD, EXIT_BAD, KERNEL, ROOT, run, screen, volume, wait_halted, walk_of

ABSENT = "a page that is not present, in supervisor mode"
REFUSED = "a page without that right, in supervisor mode"


@pytest.fixture(scope="session")
def symbols():
    """Addresses and names of the kernel's functions, in rising order."""
    lines = run("nm", "-n", "--defined-only", str(BUILD / "kernel.sym.elf")).splitlines()
    words = [line.split() for line in lines]
    return [(int(address, 16), name) for address, kind, name in words if kind in "tT"]


def places_of(report, symbols):
    """Function and source line of each line of a backtrace, checked against what nm says."""
    places = []
    lines = re.findall(r"^    (0x[0-9a-f]+) (.*)", report.partition("backtrace:\n")[2], re.M)
    for address, words in lines:
        if words == "(not in the kernel's text)":
            continue
        function, file, line = re.fullmatch(r"(\w+) \((\w+/[\w/]+\.[cSh]):([1-9]\d*)\)", words).groups()
        start = max(start for start, _ in symbols if start < int(address, 16))
        # A compiler's variant counts as the function.
        assert function in [name.partition(".")[0] for at, name in symbols if at == start], words
        places.append((function, (ROOT / file).read_text().splitlines()[int(line) - 1].strip()))
    return places


def functions_of(report, symbols):
    return [function for function, _ in places_of(report, symbols)]


def failure(folder, test):
    """What the kernel says after its report, having been told to fail."""
    image = volume(folder, KERNEL, f"cmdline = exit=debug test={test}\n")
    result = boot([image], memory="128M")
    assert result.debug_exit == EXIT_BAD, result.serial
    return result.serial.split("BOOT-REPORT-END\n")[1]


# What the kernel is told to do: what the report says, how the walk of CR2 ends, where CR2 lies.
PAGE_FAULTS = {
    "null-read": (f"read from {ABSENT}", "not present", "the first page: a null pointer"),
    "write-text": (f"write to {REFUSED}", "effective r-x-", "the kernel's text"),
    "write-text-alias": (f"write to {REFUSED}", "effective r---", "the direct map"),
    "exec-data": (f"instruction fetch from {REFUSED}", "effective rw--", "the kernel's data"),
    "exec-direct": (f"instruction fetch from {REFUSED}", "effective r---", "the direct map"),
    "stack-overflow": (f"write to {ABSENT}", "not present", "in the guard page below the"),
    "guard-above": (f"read from {ABSENT}", "not present", "in the guard page above the"),
}


@pytest.mark.parametrize("test", PAGE_FAULTS)
def test_a_page_fault_is_reported_in_words(tmp_path, symbols, test):
    what, walk_end, place = PAGE_FAULTS[test]
    report = failure(tmp_path, test)
    assert "CPU exception: page fault (vector 14)" in report and what in report
    cr2 = int(re.search(r"^  cr2 ([0-9a-f]{16})", report, re.M)[1], 16)
    walk = walk_of(report, cr2)
    assert walk[0].startswith("level 4") and walk[-1].endswith(walk_end)
    lies, = re.findall(rf"^  .*{cr2:#x} (?:lies|is) .*", report, re.M)
    assert place in lies
    # The innermost that is the kernel's own is the one that did it; main is where all began.
    functions = functions_of(report, symbols)
    assert functions[-1] == "kernel_main"
    times = re.findall(r"^    \.\.\. (\d+) times more$", report, re.M)
    if test == "stack-overflow":
        assert functions[0] == functions[1] == "overflow" and len(functions) < 8, report
        assert len(times) == 1 and int(times[0]) > 50
    else:
        assert times == [] and "provoke_failure" in functions


# What the report says, and the source line that did it.
OTHER_FAILURES = {
    "noncanonical": ("CPU exception: general protection fault (vector 13)", "*(volatile uint8_t *)"),
    "invalid-opcode": ("CPU exception: invalid opcode (vector 6)", "__builtin_trap();"),
    "panic": ("PANIC: provoked on purpose", 'panic("provoked on purpose");'),
    "double-adopt": ("PANIC: second adoption: the page tables have been adopted before",
                     'panic("second adoption: %s"'),
}


@pytest.mark.parametrize("test", OTHER_FAILURES)
def test_other_failures_are_reported_with_a_backtrace(tmp_path, symbols, test):
    report = failure(tmp_path, test)
    said, did = OTHER_FAILURES[test]
    assert said in report
    places = places_of(report, symbols)
    assert places[0][0] == "provoke_failure" and places[-1][0] == "kernel_main"
    assert did in places[0][1] and places[-1][1].startswith("provoke_failure(")


def test_an_unknown_option_is_refused_and_ends_with_a_failure(tmp_path):
    result = boot([volume(tmp_path, KERNEL, "cmdline = bogus exit=debug exit=bogus\n")], memory="128M")
    assert result.debug_exit == EXIT_BAD, result.serial
    assert ('PANIC: command line: unknown option "bogus": an option begins with exit=, failure=, test=, tlb=, note=, or is selftest\n'
            in result.serial)
    assert "BOOT-REPORT" not in result.serial


def test_an_unknown_option_stops_a_machine_that_was_to_power_off_with_the_message_in_sight(tmp_path):
    image = volume(tmp_path, KERNEL, "cmdline = exit=poweroff exit=bogus\n")
    with Machine([image], memory="128M", display=True) as machine:
        machine.wait_for("\nStopped.\n")
        _, _, pixels = screen(machine, tmp_path)
        said = machine.serial
    assert ('PANIC: command line: unknown option "exit=bogus": exit= is one of prompt, poweroff, debug\n'
            in said)
    assert any(pixels)


@pytest.mark.parametrize("cpu", [0, 1])
def test_a_machine_check_is_reported_by_the_cpu_that_it_struck(tmp_path, cpu):
    """While one CPU waits at the prompt and the other sleeps."""
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    with Machine([image], memory="128M", smp=2) as machine:
        since = machine.wait_for("slipway> ")
        assert machine.monitor(f"mce {cpu} 1 0xbd00000000000000 0x7 0x1234 0") == ""
        machine.wait_for("\nStopped.\n", since)
        report = machine.serial[since:]
    assert "CPU exception: machine check (vector 18)" in report
    assert "  machine-check status 0x7\n" in report
    assert "  bank 1: status 0xbd00000000000000, uncorrected, address 0x1234\n" in report
    assert f"  on CPU {cpu} (APIC ID {cpu}) of 2\n" in report
    assert len(re.findall("CPU exception", report)) == 1 and "backtrace" in report


CORRECTED = 0x9400000000000000
TOLD = "machine check on CPU {}: bank {}: status {:#x}, {}, at {:#x}{}\n"


def test_corrected_machine_checks_are_told_and_gone_on_from(tmp_path):
    """QEMU raises no machine check for what is corrected: the kernel looks for it."""
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    with Machine([image], memory="128M", smp=2) as machine:
        since = machine.wait_for("slipway> ")
        for cpu, bank, address in ((1, 2, 0x7000), (0, 3, 0x8000), (1, 2, 0x9000)):
            assert machine.monitor(f"mce {cpu} {bank} {CORRECTED:#x} 0 {address:#x} 0") == ""
            machine.send("\r")
            end = machine.wait_for("\nslipway> ", since)
            assert TOLD.format(cpu, bank, CORRECTED, "corrected", address, "") in machine.serial[since:end]
            since = end
        machine.send("interrupts\r")
        end = machine.wait_for("\nslipway> ", machine.wait_for("spurious:", since))
        answer = machine.serial[since:end]
    assert "machine check" not in answer.replace("\n", "", 1), answer
    rows = re.findall(r"^ *(\d+) .* (\d+)$", answer, re.M)
    assert rows == [("0", "1"), ("1", "2")]


def test_an_error_that_a_bank_has_kept_from_before_is_told_as_such(tmp_path):
    """A cold boot, which waits until the bank has the error."""
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    with qemu.Machine([image], memory="128M", extra=["-S"]) as machine:
        assert machine.monitor(f"mce 0 5 {CORRECTED:#x} 0 0x7000 0") == ""
        machine.qmp("cont")
        end = machine.wait_for("slipway> ")
        said = machine.serial[:end]
    assert TOLD.format(0, 5, CORRECTED, "corrected", 0x7000, ", kept") in said


def test_a_machine_check_of_all_cpus_ends_in_one_report_with_what_each_has_found(tmp_path):
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    with Machine([image], memory="128M", smp=3) as machine:
        since = machine.wait_for("slipway> ")
        assert machine.monitor("mce -b 1 4 0xbd00000000000000 0x5 0x1234 0") == ""
        machine.wait_for("\nStopped.\n", since)
        report = machine.serial[since:]
        wait_halted(machine)
        assert machine.monitor("info registers -a").count("HLT=1") == 3
    assert len(re.findall("CPU exception: machine check", report)) == 1
    reporter = int(re.search(r"^  on CPU (\d) \(APIC ID \d\) of 3$", report, re.M)[1])
    others = re.findall(r"^  CPU (\d) bank (\d): status 0x([0-9a-f]+), uncorrected", report, re.M)
    own = re.findall(r"^  bank (\d): status 0x([0-9a-f]+), uncorrected", report, re.M)
    found = {int(cpu): (int(bank), int(status, 16)) for cpu, bank, status in others}
    found[reporter] = int(own[0][0]), int(own[0][1], 16)
    assert (len(others), len(own), sorted(found)) == (2, 1, [0, 1, 2])
    # QEMU gives the others an error of their own.
    assert found == {0: (1, 0xa << 60), 1: (4, 0xbd << 56), 2: (1, 0xa << 60)}
