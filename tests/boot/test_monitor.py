"""The prompt of the reference kernel, as somebody sees it who types: line editing, completion, history,
and what each command answers, against the report and against what QEMU knows. Boots from snapshots.
"""

import re

import pytest

from snapshots import Machine
from support import BUILD, KERNEL, SELFTEST_ALWAYS, SELFTEST_PARTS, SELFTEST_STRESS, run, screen, volume

PROMPT = "slipway> "
COLUMNS = 80
UP, DOWN, RIGHT, LEFT, DELETE = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[3~"
HOME, END, ERASE_WORD, ERASE_LINE, CANCEL = "\x01", "\x05", "\x17", "\x15", "\x03"
FILES = {"notes.txt": b"hello", "two": bytes(70000)}
MODULES = "module = /notes.txt some words\nmodule = /two\n"
COMMANDS = ["help", "mem", "map", "frames", "tables", "walk", "translate", "cpus", "interrupts", "spaces",
            "timeline", "log", "crash", "modules", "acpi", "report", "fault", "selftest", "stress", "run",
            "start", "ps", "kill", "reboot", "poweroff"]


class Prompt:
    """A machine that waits at its prompt."""

    def __init__(self, machine):
        self.machine = machine
        self.since = machine.wait_for(PROMPT)
        self.report = machine.result().report()

    def ask(self, typed, last="\n"):
        """What is answered to a whole line; `last` is a part of it behind which the next prompt counts."""
        self.machine.send(typed)
        end = self.machine.wait_for("\n" + PROMPT, self.machine.wait_for(last, self.since) - 1)
        answer = self.machine.serial[self.since:end - len(PROMPT)]
        self.since = end
        return answer

    def lines(self, typed):
        """The lines of an answer, without the line that was typed, all within the columns."""
        answer = self.ask(typed).splitlines()[1:]
        assert [line for line in answer if len(line) > COLUMNS] == []
        return answer

    def waits_for(self, text):
        self.machine.wait_for(text, self.since)


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("monitor")
    image = volume(folder, KERNEL, f"cmdline = exit=prompt\n{MODULES}", FILES)
    with Machine([image], memory="128M", smp=2, display=True) as machine:
        yield Prompt(machine)


# Lines


ROOM = 63  # characters of a line at the prompt
HELP, MEMORY, NOTHING_RUN = "reset the machine", "Direct map", "Nothing was run."

# What is typed: what the prompt says and what not. What fits of some long lines is a command.
TYPED = {
    "longest": ("help" + " " * (ROOM - 4) + "\r", [HELP], ["\a", NOTHING_RUN]),
    "too-long": ("help" + " " * (ROOM - 4) + "x\r",
                 ["\a", f"The line has {ROOM + 1} characters, more than {ROOM}. {NOTHING_RUN}\n"],
                 [HELP, "unknown"]),
    "pasted": ("help" + " " * 400 + "\r", [f"The line has 404 characters, more than {ROOM}. "], [HELP]),
    "erased": ("help" + " " * (ROOM - 4) + "xyz" + 3 * "\b" + "\r", ["\a\a\a\n", HELP], [NOTHING_RUN]),
    "half-erased": ("help" + " " * (ROOM - 4) + "xyz" + 2 * "\x7f" + "\r", [f"{ROOM + 1} char"], [HELP]),
    "all-erased": ("x" * 100 + "\x15mem\r", [MEMORY], [NOTHING_RUN, "unknown"]),
    "cancelled": ("x" * 100 + "\x03mem\r", ["^C\n", MEMORY], [NOTHING_RUN, "unknown"]),
    "lost": ("he\0lp\r", [f"Part of the line was lost on its way here. {NOTHING_RUN}\n"], [HELP, "unknown"]),
    "lost-in-escape": ("help\x1b[\0A\r", [NOTHING_RUN], [HELP]),
    "lost-and-erased": ("he\0lp\x15mem\r", [MEMORY], [NOTHING_RUN]),
    "no-argument": ("help me\r", ['help: "me" is too much, it takes no argument\n'], [HELP]),
    "argument": ("walk 0\r", ["walk of 0000000000000000"], ["too much"]),
}




@pytest.mark.parametrize("name", TYPED)
def test_the_prompt_runs_what_was_typed_or_nothing(prompt, name):
    typed, said, not_said = TYPED[name]
    answer = prompt.ask(typed, said[-1])
    assert all(text in answer for text in said), answer
    assert not any(text in answer for text in not_said), answer


WALK = "walk of 0000000000abcdef"

# Keys, and the start of the answer to the line that they make.
EDITED = {
    "insert": ("walkabcdef" + LEFT * 6 + " " + END + "\r", WALK),
    "delete": ("xywalk abcdef" + HOME + DELETE * 2 + "\r", WALK),
    "backspace": ("walk  abcdef" + LEFT * 6 + "\b\r", WALK),
    "word": ("walk nonsense" + ERASE_WORD + "abcdef\r", WALK),
    "before": ("nonsense walk abcdef" + LEFT * 11 + ERASE_LINE + "\r", WALK),
    "to-the-edges": (LEFT * 3 + "alk abcde" + HOME + LEFT + "w" + END + RIGHT + "f\r", WALK),
    "completed": ("wa\tabcdef\r", WALK),
    "completed-within": ("w abcdef" + HOME + RIGHT + "\t\r", WALK),
}


@pytest.mark.parametrize("name", EDITED)
def test_a_line_can_be_edited_anywhere(prompt, name):
    keys, start = EDITED[name]
    assert prompt.lines(keys)[0].startswith(start)


def test_lines_come_back_and_can_be_changed(prompt):
    prompt.ask("walk 111\r")
    prompt.ask("walk 222\r")
    assert prompt.lines(UP + UP + "\r")[0].startswith("walk of 0000000000000111 ")
    assert prompt.lines(UP + "5\r")[0].startswith("walk of 0000000000001115 ")
    assert prompt.lines("walk 3" + UP + UP + DOWN + DOWN + "4\r")[0].startswith("walk of 0000000000000034 ")


def test_tab_completes_and_lists(prompt):
    def listed(typed):
        """What appears between the line and the same line once more."""
        return prompt.ask(f"{typed}\t{CANCEL}", "^C").split("\n", 1)[1].rpartition(f"{PROMPT}{typed}")[0]

    assert listed("").split() == COMMANDS
    assert max(map(len, listed("").splitlines())) <= COLUMNS
    assert listed("fault write-text") == "  write-text  write-text-alias\n"
    assert "stack-overflow" in listed("fault ") and "stacks" in listed("selftest ").split()
    assert prompt.ask(f"fault wr\t{CANCEL}", "^C").startswith("fault write-text^C")
    assert prompt.ask(f"stress \t{CANCEL}", "^C") == "stress \a^C\n"


def test_the_screen_shows_the_line_as_it_is(prompt, tmp_path):
    """The same line looks the same, however it was typed."""
    def shown(keys):
        since = len(prompt.machine.serial)
        prompt.machine.send(keys + "\t")  # rings the bell when all before it has been done
        prompt.machine.wait_for("\a", since)
        return screen(prompt.machine, tmp_path)

    first = shown("xyz 12")
    assert shown("3") != first
    assert shown(HOME + DELETE + "x" + END + "\b") == first
    prompt.ask(CANCEL, "^C")


# Answers


def test_help_names_every_command(prompt):
    assert [line.split()[0] for line in prompt.lines("help\r")] == COMMANDS
    assert prompt.lines("bogus\r") == ['unknown command "bogus"; "help" lists them']
    assert prompt.lines("   \r") == []


def test_memory_is_told_by_kind_and_by_region(prompt):
    kinds = dict(re.findall(r"^  (\S.*?) +\d+ +[\d.]+ \w+ +(\d+)$", prompt.ask("mem\r"), re.M))
    regions = [(int(start, 16), int(end, 16), kind) for start, end, kind in re.findall(
        r"^  \[(0x\w+), (0x\w+)\) +[\d.]+ \w+  ([\w ]+)", prompt.ask("map\r"), re.M)]
    assert len(regions) == prompt.report["map.regions"]
    assert all(end <= start for (_, end, _), (start, _, _) in zip(regions, regions[1:]))
    sums = {kind: 0 for kind in kinds}
    for start, end, kind in regions:
        sums[kind] += end - start
    assert {kind: int(size) for kind, size in kinds.items()} == sums
    assert sums["usable"] == prompt.report["usable.bytes"]


def test_an_address_is_walked_and_translated(prompt):
    virtual = next(int(line.split()[0], 16) for line in run("nm", BUILD / "kernel.sym.elf").splitlines()
                   if line.endswith(" kernel_main"))
    physical = virtual - prompt.report["kernel.virt"] + prompt.report["kernel.phys"]
    walk = prompt.lines(f"walk {virtual:x}\r")
    assert walk[0].startswith(f"walk of {virtual:016x} from root ")
    assert [line.split()[1] for line in walk[1:-1]] == ["4", "3", "2", "1"]
    assert walk[-1].strip() == f"physical {physical:013x}, effective r-x-"
    assert prompt.lines(f"translate {virtual:#x}\r") == [
        f"{virtual:#018x} is physical {physical:#x}: kernel", "  4 KiB page, r-x-, WB, global"]
    large = prompt.report["hhdm.base"] + (16 << 20) + 5
    assert prompt.lines(f"translate {large:X}\r")[1] == "  2 MiB page, rw--, WB, global"
    guard = prompt.report["stack.bottom"] - 1
    assert prompt.lines(f"translate {guard:x}\r") == [f"{guard:#018x}: nothing is mapped there"]
    assert prompt.lines("translate\r") == ["translate: which ADDRESS?"]
    assert prompt.lines("walk 12g\r") == ['walk: "12g" is not a hexadecimal address']


def test_the_machine_is_shown(prompt):
    stack = prompt.report["stack.bottom"], prompt.report["stack.top"]
    first, second, total = prompt.lines("cpus\r")[1:]
    assert first.split() == ["0", "0", "this", "one", f"[{stack[0]:#x},", f"{stack[1]:#x})"]
    assert second.split()[:3] == ["1", "1", "sleeps"]
    assert total == "  2 found, 2 run, 0 left out; local APICs: xAPIC"
    modules = [line.split() for line in prompt.lines("modules\r")[1:]]
    assert [modules[0][:3], modules[1], modules[2][:3]] == [["0", "5", "B"], ["some", "words"], ["1", "68.3", "KiB"]]
    for line, name in ((modules[0], "/notes.txt"), (modules[2], "/two")):
        assert line[4] == name and f"{line[3]} " in prompt.machine.serial.replace("\n", " ")
    stages = prompt.ask("timeline\r")
    assert all(re.search(rf"^  {name} +\d+ +\d+", stages, re.M) for name in ("config", "exit", "stress"))
    assert all(line.startswith("slipway: ") for line in prompt.ask("log\r").splitlines()[1:])


def test_acpi_tables_are_where_they_are_shown(prompt):
    *tables, total = prompt.lines("acpi\r")[1:]
    places = [(line.split()[0], int(line.split()[1], 16)) for line in tables]
    assert {"RSDP", "XSDT", "FACP", "FACS", "DSDT", "APIC", "MCFG"} <= {name for name, _ in places}
    assert total == f"  {len(places)} tables" and len(set(places)) == len(places)
    for name, place in places:
        said = prompt.machine.monitor(f"xp /4bx {place:#x}")
        text = bytes(int(byte, 16) for byte in re.findall(r" (0x\w\w)\b", said)).decode()
        assert text == ("RSD " if name == "RSDP" else name)


def test_a_machine_without_processes_has_no_spaces_of_theirs(prompt):
    prompt.lines("selftest spaces\r")
    assert prompt.lines("spaces\r") == ["There are no address spaces of processes."]
    assert prompt.lines("spaces 1\r") == ["spaces: there is no space 1"]
    assert prompt.lines("spaces 0x1\r") == ['spaces: "0x1" is not a number']


def test_the_self_test_can_be_repeated_as_a_whole_and_in_parts(prompt):
    def passed(typed):
        return int(re.fullmatch(r"(\d+) checks passed", prompt.lines(typed)[-1])[1])

    names = " ".join(prompt.lines("selftest none\r")[1:]).split()
    assert names == SELFTEST_PARTS
    parts = {name: passed(f"selftest {name}\r") for name in names}
    assert passed("selftest\r") == sum(parts[name] for name in SELFTEST_ALWAYS + SELFTEST_STRESS) > 100
    assert min(parts.values()) > 1


def test_the_stress_runs_for_as_long_as_it_is_told_or_until_it_is_stopped(prompt):
    def figures(answer):
        rows = re.findall(r"^ *(all|\d+) +(\d+) +(\d+) +(\d+)$", answer, re.M)
        *cpus, total = [list(map(int, row[1:])) for row in rows]
        assert [row[0] for row in rows] == ["0", "1", "all"]
        assert total == [sum(column) for column in zip(*cpus)] and min(map(min, cpus)) > 0
        rounds, seconds = re.search(r"^  (\d+) rounds in ([\d.]+) s, \d+ runs handed over,", answer, re.M).groups()
        # Of running code alone; of each interrupt one more.
        assert total[0] == 80_000 * int(rounds) + total[1] + total[2]
        return float(seconds)

    assert 1 <= figures(prompt.ask("stress 1\r", " none lost\n")) < 20
    for key in ("q", "x" + CANCEL):
        prompt.machine.send("stress 10000\r")
        prompt.waits_for("10000 s; the key q ends it\n")
        assert figures(prompt.ask(key, " none lost\n")) < 20
    for wrong in ("0", "x", "86401", "-1"):
        assert prompt.lines(f"stress {wrong}\r") == ["stress takes a number of seconds from 1 to 86400"]


def test_a_fault_of_ones_choice_ends_the_kernel_with_a_report_on_serial_and_screen(tmp_path):
    image = volume(tmp_path, KERNEL, "cmdline = exit=prompt\n")
    with Machine([image], memory="128M", smp=2, display=True) as machine:
        prompt = Prompt(machine)
        kinds = " ".join(prompt.lines("fault\r")[1:]).split()
        assert kinds == " ".join(prompt.lines("fault no\r")[1:]).split() and "stack-overflow" in kinds
        before = screen(machine, tmp_path)
        machine.send("fault cpu-fault\r")
        prompt.waits_for("\nStopped.\n")
        report = machine.serial[prompt.since:]
        assert screen(machine, tmp_path) != before
        cpus = machine.monitor("info registers -a")
    assert "CPU exception: page fault (vector 14)" in report and "  on CPU 1 (APIC ID 1) of 2\n" in report
    assert [line for line in report.splitlines() if len(line) > COLUMNS] == []
    functions = re.findall(r"^    0x[0-9a-f]+ (\w+) \(kernel/\w+/\w+\.c:[1-9]\d*\)$", report, re.M)
    assert functions[0] == "fail_on_last" and functions[-1] == "enter"
    assert re.search(r"^  meanwhile:\n    CPU 0 0x[0-9a-f]+ fail_on_last \(kernel/selftest/provoke.c:\d+\)\nStopped", report, re.M)
    assert cpus.count("HLT=1") == 2
