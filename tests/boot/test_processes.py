"""Programs that run as processes of the reference kernel: each of kernel/programs to the end that it is
to have, on one CPU and on several, with what protects the kernel and on a CPU that lacks it; what the
prompt shows of them; files that are no programs. Boots from snapshots.
"""

import re

import pytest

from snapshots import Machine
from support import BUILD, KERNEL, volume

PROMPT = "slipway> "
PROGRAMS = ["hello", "tree", "memory", "isolation", "calls", "edges", "spin", "hunger", "cost",
            "forever"]
# What each says at last.
LAST_WORDS = {
    "hello": r"Hello from process \d+ on CPU \d+\.",
    "tree": r"tree: 121 processes",
    "memory": r"memory: all as it should be",
    "isolation": r"isolation: all is refused(, but without UMIP)?",
    "calls": r"calls: all that is no good is refused",
    "edges": r"edges: none is sharp",
    "spin": r"spin: 8 processes had their share",
    "hunger": r"hunger: all memory came back",
    "cost": r"cost fork-64m \d+",
}
NO_PROTECTION = "qemu64"  # has neither SMEP nor SMAP nor UMIP
# CPUs, their model, and levels of page tables.
MACHINES = {"one CPU": (1, "max", 4), "three CPUs": (3, "max", 5), "no protection": (2, NO_PROTECTION, 4)}


class Prompt:
    """A machine that waits at its prompt."""

    def __init__(self, machine):
        self.machine = machine
        self.since = machine.wait_for(PROMPT)

    def ask(self, typed):
        """The lines of the answer, without the line that was typed."""
        self.machine.send(typed + "\r")
        self.since = self.machine.wait_for("\n", self.since)
        return self.answer()

    def answer(self):
        """The lines up to the next prompt."""
        end = self.machine.wait_for("\n" + PROMPT, self.since - 1)
        answer = self.machine.serial[self.since:end - len(PROMPT)]
        self.since = end
        return answer.splitlines()

    def processes(self):
        """The rows that ps shows, by name: pid, parent and state."""
        rows = [line.split() for line in self.ask("ps")[1:]]
        return {row[-1]: (int(row[0]), int(row[1]), row[2]) for row in rows}


def start(folder, files, smp=1, cpu="max", levels=4):
    paths = {f"programs/{name}": content for name, content in files.items()}
    config = f"cmdline = exit=prompt\npaging = {levels}\n" + "".join(f"module = /{path}\n" for path in paths)
    image = volume(folder, KERNEL, config, paths)
    return Machine([image], memory="512M", smp=smp, cpu=cpu, timeout=120)


def programs(names):
    return {name: BUILD / "programs" / name for name in names}


@pytest.fixture(scope="module", params=MACHINES, ids=lambda name: name.replace(" ", "-"))
def prompt(request, tmp_path_factory):
    smp, cpu, levels = MACHINES[request.param]
    folder = tmp_path_factory.mktemp("processes")
    with start(folder, programs(PROGRAMS), smp, cpu, levels) as machine:
        yield Prompt(machine)


@pytest.mark.parametrize("name", LAST_WORDS)
def test_program_ends_as_it_is_to(prompt, name):
    answer = prompt.ask(f"run {name}")
    assert re.fullmatch(rf"{name} \(\d+\) ended with status 0", answer[-1]), answer[-20:]
    assert re.fullmatch(LAST_WORDS[name], answer[-2]), answer[-20:]


def test_process_that_never_ends_lets_others_run_until_it_is_ended(prompt):
    assert re.fullmatch(r"forever \(\d+\) runs", prompt.ask("start forever")[0])
    pid, parent, state = prompt.processes()["forever"]
    assert parent == 0 and state in ("runs", "ready")
    assert prompt.ask("run hello")[-1].endswith("ended with status 0")
    assert prompt.ask("selftest tlb") == ["there are processes: ps lists them, kill ends them"]
    assert "no frame given twice, none lost" in prompt.ask("stress 1")[-1]
    assert prompt.processes()["forever"][0] == pid
    assert prompt.ask(f"kill {pid}") == []
    while "forever" in prompt.processes():
        pass
    assert prompt.ask(f"kill {pid}") == [f"there is no process {pid}"]
    assert prompt.processes() == {}


def test_key_ends_the_process_that_the_prompt_waits_for(prompt):
    prompt.machine.send("run forever\r")
    prompt.since = prompt.machine.wait_for("\n", prompt.since)
    prompt.machine.send("q")
    assert re.fullmatch(r"forever \(\d+\) was ended", prompt.answer()[-1])
    assert prompt.processes() == {}


def test_all_memory_and_objects_come_back(prompt):
    assert prompt.ask("selftest processes")[-1].endswith("checks passed")
    assert prompt.ask("selftest process-cpus")[-1].endswith("checks passed")


def test_report_of_a_failure_says_for_whom_other_cpus_ran(tmp_path):
    with start(tmp_path, programs(["forever"]), smp=2) as machine:
        prompt = Prompt(machine)
        pid = re.fullmatch(r"forever \((\d+)\) runs", prompt.ask("start forever")[0])[1]
        while prompt.processes()["forever"][2] != "runs":
            pass
        machine.send("fault panic\r")
        machine.wait_for("Stopped.", prompt.since)
        report = machine.serial[prompt.since:]
    assert re.search(rf"^    CPU 1, process {pid} \(forever\): 0x4000[0-9a-f]{{2}} ", report, re.M), report


BAD_FILES = {
    "text": (b"hello\n", "it is not an ELF file"),
    "kernel": (KERNEL, "a segment lies where no program may, or on other bytes of a page than in the file"),
    "empty": (b"", "it is not an ELF file"),
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    files = {name: content for name, (content, _) in BAD_FILES.items()}
    with start(tmp_path_factory.mktemp("bad"), files) as machine:
        yield Prompt(machine)


@pytest.mark.parametrize("name", BAD_FILES)
def test_file_that_is_no_program_is_refused_with_the_reason(bad, name):
    assert bad.ask(f"run {name}") == [f"{name}: {BAD_FILES[name][1]}"]
    assert bad.processes() == {}


def test_module_that_is_not_there_is_refused_with_those_that_are(bad):
    assert bad.ask("run other") == ["there is no such module; there are:", "  text  kernel  empty"]
    assert bad.ask("run") == ["there is no such module; there are:", "  text  kernel  empty"]
    assert bad.ask("kill x") == ["kill takes the pid of a process: ps lists them"]
