"""The parts of slipway: reports of faults, callers, symbols, words for how a machine ended, names on a
disk, help, manual page and completion."""

import argparse
import io
import os
import re
import selectors
import shutil
import socket
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

import qemu
from slipway_kit import build_kernels, line_of  # it knows where slipway_lib is
from slipway_lib import boots, docs, esp, fault, machine, parser, places, symbols
from slipway_lib.commands import test as test_command


@pytest.fixture(scope="module")
def kernels(run, tmp_path_factory):
    return build_kernels(run, tmp_path_factory.mktemp("kernels"))


def open_kernel(path):
    return symbols.Kernel(path, symbols.loadcheck(path)["kernel"])


# Faults


REPORT = """kernel says
slipway: fault before the kernel has its own IDT

CPU exception: page fault (vector 14) at rip 0xffffffff80001050
  error code 0x3: write to a page without that right, in supervisor mode
  rax 0000000000000001  rbx 0000000000000000  rcx 0000000000000000
  rbp 0000000000000007  rsp ffffc00000010fe8  rip ffffffff80001050
  cr2 ffff800000001000  cr3 000000001ded7000
walk of ffff800000001000 from root 000001ded7000, 4 levels
  level 4 [256] 0000000000000000 not present
slipway: the kernel's read-only pages are so in the direct map, too: strict = off allows writes there
slipway: stopped
"""


def test_the_last_report_of_the_loader_is_read_with_its_walk_and_its_hint():
    scene = fault.scene_of_report("BdsDxe: x\n" + REPORT.replace("1050", "2222") + REPORT)
    assert scene.what == "page fault (vector 14): write to a page without that right, in supervisor mode"
    assert scene.registers == {"rax": 1, "rbx": 0, "rcx": 0, "rbp": 7, "rsp": 0xFFFFC00000010FE8,
                               "rip": 0xFFFFFFFF80001050, "cr2": 0xFFFF800000001000, "cr3": 0x1DED7000}
    assert scene.walk == ["walk of ffff800000001000 from root 000001ded7000, 4 levels",
                          "  level 4 [256] 0000000000000000 not present"]
    assert scene.hints == ["the kernel's read-only pages are so in the direct map, too: strict = off allows writes"
                           " there"]
    assert scene.before[-1] == "kernel says"
    again = fault.scene_of_report(REPORT.replace(
        "slipway: stopped", "\nslipway: fault in the fault report: vector 14, rip 0x1, cr2 0x2"))
    assert "the report itself faulted (vector 14, cr2 0x2): the loader's memory or tables have been overwritten" \
        in again.hints
    assert fault.scene_of_report("nothing") is None


def test_a_cr2_of_an_older_fault_is_left_out():
    text = re.sub("walk of.*\n.*\n", "", REPORT).replace("page fault (vector 14)", "invalid opcode (vector 6)")
    scene = fault.scene_of_report(text.replace("error code 0x3: write to a page without that right, in supervisor"
                                               " mode", "error code 0x0: none"))
    assert scene.what == "invalid opcode (vector 6)" and "cr2" not in scene.registers


@pytest.mark.parametrize("cr4, root, words, last", [
    (0, 4, {0x1FF8: 0x2003, 0x2FF0: 0x3001}, "  level 2 [  0] 0000000000000000 not present"),
    (0, 4, {0x1FF8: 0x2003, 0x2FF0: 1 << 63 | 0x40000083}, "  level 3 [510] 8000000040000083 page rw-"),
    (1 << 12, 5, {0x1FF8: 0x2003}, "  level 4 [511] 0000000000000000 not present"),
    (0, 4, {0x1FF8: 0x9003}, "  level 3: no table at 0000000009000"),
])
def test_the_walk_ends_at_the_page_or_where_none_is(cr4, root, words, last):
    """Of an address in the last 2 GiB, from a root at 0x1000."""
    def read(address):
        return words.get(address, 0) if address < 0x9000 else None
    lines = fault.walk(read, {"cr2": 0xFFFFFFFF80000000, "cr3": 0x1000, "cr4": cr4})
    assert lines[0] == f"walk of ffffffff80000000 from root 0000000001000, {root} levels"
    assert lines[1].startswith(f"  level {root} [511] 0000000000") and lines[-1] == last


class FakeKernel:
    """Text is [0x1000, 0x2000); there are calls before the addresses that end in 5."""
    is_known = True

    @staticmethod
    def is_text(address):
        return 0x1000 <= address < 0x2000

    def is_after_call(self, address):
        return self.is_text(address) and address % 16 == 5

    @staticmethod
    def find(read_words, rip):
        return True


@pytest.mark.parametrize("rip, rbp, stack, returns, is_exact", [
    (0x1100, 0x8000, [0x8010, 0x1235, 0x8020, 0x1245, 0, 0], [0x1235, 0x1245], True),
    (0x1100, 0x8008, [0x1335, 0x8018, 0x1235, 0, 0], [0x1335, 0x1235], True),
    (0x1100, 0, [7, 0x1235, 0x1236, 0x2005, 0x1245], [0x1235, 0x1245], False),
    (0, 0x8008, [0x1335, 0, 0x1235], [0x1335, 0x1235], True),
    (0x1100, 0x8008, [0x1335, 0, 0, 0x1245], [0x1335], True),
    (0x1100, 0, [0x1335, 3, 4], [0x1335], False),
    (0x1100, 0x8001, [1, 2], [], True),
    (0x1100, 0x8000, [0x8000, 0x1235] * 40, [0x1235], True),
])
def test_callers_are_found_by_frame_pointers_or_on_the_stack(rip, rbp, stack, returns, is_exact):
    """The stack begins at 0x8000, and memory ends with it."""
    def read_words(address, count):
        start = (address - 0x8000) // 8
        return stack[start:start + count] if 0 <= start else []
    registers = {"rip": rip, "rsp": 0x8000, "rbp": rbp}
    assert fault.find_returns(FakeKernel(), registers, read_words) == (returns, is_exact)


@pytest.mark.parametrize("rsp, cr2, overflow", [
    (0x9000, 0x8FF8, True),    # a push, of a full stack
    (0x8F00, 0x8F10, True),    # into a frame that has no room
    (0x7FF0, 0x8010, True),
    (0x9010, 0x8FF0, True),
    (0xAFF0, 0xB008, False),   # the page above a stack, with another one behind it
    (0x8F00, 0x9100, False),   # a page that is there
    (0xAFF0, 0x8008, False),
    (0x7000, 0x7010, False),   # nothing above
])
def test_an_overflow_of_the_stack_is_known_by_the_hole_below_it(rsp, cr2, overflow):
    """Stacks are [0x9000, 0xb000) and [0xc000, 0xd000)."""
    def read_words(address, count):
        return [0x1235] * count if 0x9000 <= address < 0xB000 or 0xC000 <= address < 0xD000 else []
    assert fault.is_overflow({"rsp": rsp, "cr2": cr2}, read_words) == overflow


def test_the_callers_of_a_stack_that_has_overflowed_are_on_its_last_page():
    registers = {"rip": 0x1100, "rsp": 0x8F00, "cr2": 0x8F10, "rbp": 0}
    asked = machine.KernelMachine.__new__(machine.KernelMachine)
    asked.kernel, asked._read_words = FakeKernel(), lambda address, _: [0x1235] if address == 0x9000 else []
    scene = asked._add_returns(fault.Scene("what", registers))
    assert (scene.returns, scene.is_exact, scene.hints) == ([0x1235], False, [fault.OVERFLOW])
    registers["cr2"] = 8
    assert asked._add_returns(fault.Scene("what", registers)).hints == []


def test_a_kernel_that_returns_is_told_from_one_that_calls_null():
    asked = machine.KernelMachine.__new__(machine.KernelMachine)
    asked.kernel = FakeKernel()
    for words, hints in (([], [fault.RETURNED]), ([0x1235], [])):
        # The kernel's stack has ended, and a page beyond it is not the kernel's.
        asked._read_words = lambda address, _, words=words: words if address == 0x9000 else [0x1245] * (address > 0x9000)
        scene = asked._add_returns(fault.Scene("what", {"rip": 0, "cr2": 0, "rsp": 0x9000, "rbp": 0}))
        assert (scene.returns, scene.hints) == (words, hints)


@pytest.mark.parametrize("name, slide", [("exec", 0), ("pie", 0xFFFFFFFF80000000)])
def test_addresses_become_functions_and_lines_wherever_the_kernel_is(kernels, run, name, slide):
    kernel = open_kernel(kernels / f"{name}.elf")
    listed = run("nm", kernels / f"{name}.elf").stdout
    addresses = [int(re.search(f"^([0-9a-f]+) [tT] {f}$", listed, re.M)[1], 16) + slide for f in ("poke", "triple")]
    assert kernel.slide == slide and kernel.is_text(addresses[0]) and not kernel.is_text(0x1000)
    decoded = kernel.decode([*addresses, 0x1000])
    assert [lines[0].function if lines else None for lines in decoded] == ["poke", "triple", None]
    assert decoded[0][0].file == "kernel.c"
    assert symbols.source_line(symbols.Line("f", kernels / "kernel.c", line_of("// faults"))) == \
        "*(volatile int *)address = 1; // faults"
    # What follows a call is known as such.
    listed = run("objdump", "-d", "--no-show-raw-insn", kernels / f"{name}.elf").stdout
    code = re.findall(r"^ *([0-9a-f]+):\t(\w+)", listed, re.M)
    after = {int(next_address, 16) + slide for (_, word), (next_address, _) in zip(code, code[1:]) if word == "call"}
    assert after and all(map(kernel.is_after_call, after))
    assert not any(map(kernel.is_after_call, (at - 1 for at in after)))


@pytest.mark.parametrize("place", [0, 1, 300, 511])
def test_a_kernel_that_kaslr_has_moved_is_found_by_the_code_at_its_entry(kernels, run, place):
    kernel = open_kernel(kernels / "kaslr.elf")
    by, entry = place * (2 << 20), kernel.entry
    with open(kernels / "kaslr.elf", "rb") as file:
        segment = next(s for s in ELFFile(file).iter_segments("PT_LOAD") if s["p_flags"] & 1)
        code = segment.data()
    start = segment["p_vaddr"] + kernel.slide + by
    asked = []

    def read_words(address, count):
        asked.append(address)
        at = address - start
        return [int.from_bytes(code[at + 8 * i:at + 8 * i + 8], "little") for i in range(count)] \
            if 0 <= at < len(code) else []
    assert kernel.find(read_words, rip=entry + by + 3)
    assert (kernel.entry, kernel.slide, len(asked)) == (entry + by, 0xFFFFFFFF80000000 + by, 1)
    assert kernel.find(read_words, rip=0) and kernel.slide == 0xFFFFFFFF80000000 + by
    address = int(re.search("^([0-9a-f]+) [tT] poke$", run("nm", kernels / "kaslr.elf").stdout, re.M)[1], 16)
    assert kernel.decode([address + kernel.slide])[0][0].function == "poke"
    assert not kernel.find(lambda address, count: [1] * count, rip=0) and kernel.entry == entry + by


def test_a_kernel_that_is_not_found_is_said_to_be_where_it_is_without_kaslr(kernels):
    asked = object.__new__(machine.KernelMachine)
    asked.kernel, asked._read_words = open_kernel(kernels / "kaslr.elf"), lambda address, count: []
    assert fault.MOVED in asked._add_returns(fault.Scene("what", {"rip": 0xFFFFFFFF90000000})).hints
    assert asked._add_returns(fault.Scene("what", {"rip": 0x1000})).hints == []  # of the firmware
    asked.kernel = open_kernel(kernels / "pie.elf")
    assert asked._add_returns(fault.Scene("what", {"rip": 0xFFFFFFFF90000000})).hints == []


@pytest.mark.parametrize("config, wanted", [
    ("", "kaslr = off\n"),
    ("kernel = /k\n", "kaslr = off\nkernel = /k\n"),
    ("kernel = /k\n kaslr=on\n", "kernel = /k\nkaslr = off\n"),
    ("log = info\n[a]\nkaslr = on\n[b]\nkaslr = on", "kaslr = off\nlog = info\n[a]\nkaslr = off\n[b]\nkaslr = off"),
    ("# kaslr = on\n[a]\nlog = info", "kaslr = off\n# kaslr = on\n[a]\nlog = info"),
    ("kaslr = on\n[a]\nlog = info", "kaslr = off\n[a]\nlog = info"),
])
def test_for_a_debugger_kaslr_is_off_in_every_entry(tmp_path, config, wanted):
    (tmp_path / "slipway.conf").write_text(config)
    files = esp.without_kaslr({"slipway.conf": tmp_path / "slipway.conf"})
    assert files["slipway.conf"].decode() == wanted
    assert esp.without_kaslr(files) == files


def test_a_kernel_without_symbols_is_told_where_they_may_be(kernels, run, tmp_path):
    run("objcopy", "--strip-all", kernels / "exec.elf", tmp_path / "bare.elf")
    kernel = open_kernel(tmp_path / "bare.elf")
    scene = fault.Scene("what", {"rip": kernel.entry})
    assert fault.render(scene, kernel) == (
        f"what\n  at  {kernel.entry:#x}  ?\n  ({tmp_path}/bare.elf has no symbols for these addresses: --symbols FILE"
        " names the file that has them)\n")
    kernel.symbols = kernels / "kernel.c"
    said = fault.render(scene, kernel)
    assert "\n  (no symbols: " in said and said.count(f"{places.find_addr2line()}: ") == 1
    kernel.symbols = kernels / "exec.elf"
    assert "kernel_start (" in fault.render(scene, kernel)


@pytest.mark.parametrize("end, said, status", [
    (machine.End("power-off"), "", 0),
    (machine.End("closed"), "", 0),
    (machine.End("debug-exit", "0x10", 0x21), "", 0),
    (machine.End("debug-exit", "0x0", 1), "the kernel wrote 0x0 to port 0xf4, and only 0x10 means that all is good", 1),
    (machine.End("reset"), "the machine reset, without a triple fault: the kernel, or the firmware after a kernel that"
                           " returned, asked for it", 1),
    (machine.End("refused", "/k: bad"), "the loader refused: /k: bad", 1),
    (machine.End("no-loader"), "the firmware could not start the loader (--mem may be too little)", 1),
    (machine.End("qemu", "no disk"), "QEMU ended: no disk", 2),
])
def test_every_end_of_a_machine_has_its_words_and_its_status(end, said, status):
    assert boots.verdict(end) == (said, status)


def test_a_reset_that_is_told_while_a_question_is_answered_is_not_waited_for():
    asked = machine.KernelMachine.__new__(machine.KernelMachine)
    asked.reason, asked.log, asked._seen_bytes = "running", "info", 0
    asked.serial_bytes, asked._lines, asked._lines_bytes = bytearray(b"\nslipway: a line of the log\n"), "", 0

    def monitor(line):
        assert line == "info registers"
        asked.reason = "guest-reset"
        return "RIP=ffffffff80001000"
    asked.monitor = monitor
    asked._end_of_reset = lambda: machine.End("reset")
    assert asked._find_end() == machine.End("reset")


def test_a_question_to_a_qemu_that_has_ended_is_over_though_a_terminal_is_watched():
    """A kernel may end the machine while slipway asks where it is; nobody types."""
    asked = qemu.Machine.__new__(qemu.Machine)
    asked.timeout, asked.command, asked.serial_bytes = 5, [], bytearray()
    asked._deadline, asked._errors = time.monotonic() + asked.timeout, io.BytesIO()
    asked._qmp_buffer, asked._qmp_replies = b"", []
    asked._qmp, other = socket.socketpair()
    terminal, keyboard = os.pipe()
    with asked._qmp, selectors.DefaultSelector() as asked._selector:
        asked._selector.register(asked._qmp, selectors.EVENT_READ, asked._read_qmp)
        asked._selector.register(terminal, selectors.EVENT_READ, lambda: True)
        other.shutdown(socket.SHUT_WR)
        with pytest.raises(qemu.BootError, match="^QEMU ended in QMP stop"):
            asked.qmp("stop")
    other.close()
    os.close(terminal)
    os.close(keyboard)


def test_a_test_that_ends_well_without_the_text_has_failed():
    args = type("Args", (), {"timeout": 60.0, "expect": ["a", "b"]})
    assert test_command.judge(args, machine.End("power-off", missing=["a", "b"])) == (
        "COM1 did not say 'a': the machine powered off", 1)
    assert test_command.judge(args, machine.End("power-off", missing=["b"])) == (
        "COM1 did not say 'b' after 'a': the machine powered off", 1)
    assert test_command.judge(args, machine.End("closed")) == ("QEMU was closed", 1)
    assert test_command.judge(args, machine.End("expected")) == ("", 0)


def test_the_folder_for_temporary_files_may_have_a_comma(monkeypatch, tmp_path):
    (tmp_path / "a,b").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a,b"))
    places.prepare_rig()
    made = qemu.Machine()
    assert [word for word in made.command if f"{made._folder.name}/qmp" in word] == [
        f"unix:{tmp_path}/a,,b/{made._folder.name}/qmp,server=on,wait=off"]


def test_only_the_firmware_loses_its_clearing_of_the_terminal(tmp_path):
    text = b"\x1b[2J\x1b[01;01H\x1b[=3hBdsDxe: loading\r\n\x1b[2JBdsDxe: starting x\r\n\x1b[2Jkernel\x1b["
    for size in (1, 3, 7, len(text)):
        with open(tmp_path / "out", "wb") as file:
            through = machine.FirmwareFilter(file)
            for at in range(0, len(text), size):
                through.write(text[at:at + size])
        assert (tmp_path / "out").read_bytes() == b"BdsDxe: loading\r\nBdsDxe: starting x\r\n\x1b[2Jkernel\x1b["


def test_every_file_has_a_name_of_its_own_on_the_disk():
    names = ["a/Kernel.elf", "b/kernel.ELF", "slipway.conf", "EFI", "with blank", "q\"uote", "nö"]
    files = esp.kernel_files("loader", "k/kernel.elf", names, " words ", "info")
    assert [name for name in files if name != esp.LOADER and name != esp.CONFIG] == [
        "kernel.elf", "2-Kernel.elf", "3-kernel.ELF", "2-slipway.conf", "2-EFI", "with blank", "module", "2-module"]
    assert files["3-kernel.ELF"] == Path("b/kernel.ELF") and files["with blank"] == Path("with blank")
    assert files[esp.CONFIG].decode() == (
        'kernel = "/kernel.elf"\nmodule = "/2-Kernel.elf"\nmodule = "/3-kernel.ELF"\nmodule = "/2-slipway.conf"\n'
        'module = "/2-EFI"\nmodule = "/with blank"\nmodule = "/module"\nmodule = "/2-module"\ncmdline = words\n'
        "log = info\n")


def test_junit_takes_what_kernels_print(tmp_path):
    test_command.write_junit(tmp_path / "r.xml", "k", 1.25, "failure", "a\x00b", "c\x1bd", "e\ufffff\tg")
    assert (tmp_path / "r.xml").read_text().endswith("</testsuite>\n")
    suite = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")
    assert [(c.get("message"), c.text) for c in suite[0]] == [("a?b", "c?d"), (None, "e?f\tg")]


# Help, manual page, completion


def test_help_and_manual_page_name_every_command_option_and_status(run, root):
    command = parser.make_parser()
    page = docs.manual_page(command)
    general = run(root / "scripts/slipway", "--help").stdout
    choices, _ = docs.subparsers_of(command)
    assert set(choices) >= {"check", "completion", "doctor", "image", "map", "run", "test"}
    for name, one in choices.items():
        said = run(root / "scripts/slipway", name, "--help").stdout
        assert re.search(rf"^    {name}\b", general, re.M) and f".SS slipway {name}: " in page
        part = page.split(f".SS slipway {name}: ")[1].split("\n.S")[0]
        for option in [o for action in docs.options_of(one) for o in action.option_strings]:
            assert option in said and f"\\fB{docs.roff(option)}\\fR" in part
    for text in (parser.STATUS, parser.ENVIRONMENT):
        assert text in general
        assert docs.roff(text.split("\n")[2]) in page
    # No text is a request by accident.
    requests = {line.split()[0] for line in page.splitlines() if line.startswith(".")}
    assert requests <= {".TH", ".SH", ".SS", ".PP", ".TP", ".nf", ".fi", ".BR"}


@pytest.mark.parametrize("words, wanted", [
    (["ru"], {"run"}),
    (["run", "--lo"], {"--log"}),
    (["run", "--log", ""], {"quiet", "info", "debug"}),
    (["run", "ex"], {"exec.elf"}),
    (["run", "exec.elf", "--mem", "1G", "pi"], {"pie.elf"}),
    (["run", "--mem", "pi"], set()),
    (["image", "f"], {"folder"}),
    (["image", "folder", "fi"], {"file"}),
    (["test", "--keep", "f"], {"folder"}),
    (["completion", ""], {"bash"}),
    (["doctor", "f"], set()),
])
def test_bash_completes_commands_options_and_files(run, kernels, tmp_path, words, wanted):
    shutil.copytree(kernels, tmp_path / "here")
    (tmp_path / "here/folder").mkdir()
    (tmp_path / "here/file").write_text("")
    (tmp_path / "completion").write_text(docs.bash_completion(parser.make_parser()))
    script = (f"set -u; source {tmp_path}/completion; COMP_WORDS=(slipway \"$@\"); COMP_CWORD=$#; compopt() {{ :; }};"
              " _slipway; printf '%s\\n' \"${COMPREPLY[@]}\"")
    said = run("bash", "-c", script, "bash", *words, cwd=tmp_path / "here")
    assert (set(said.stdout.split()), said.stderr) == (wanted, "")


def test_bash_completion_counts_no_values_of_options(run, tmp_path):
    command = argparse.ArgumentParser()
    one = command.add_subparsers(dest="command").add_parser("one")
    one.add_argument("--number")
    one.add_argument("first").complete = "folder"
    one.add_argument("second").complete = "file"
    (tmp_path / "completion").write_text(docs.bash_completion(command))
    (tmp_path / "folder").mkdir()
    script = ("source ./completion; COMP_WORDS=(slipway one --number 3 \"$@\"); COMP_CWORD=$(($# + 3));"
              " compopt() { :; }; _slipway; echo ${COMPREPLY[@]}")
    for words, wanted in ((["fo"], "folder"), (["co"], ""), (["folder", "co"], "completion")):
        assert run("bash", "-c", script, "bash", *words, cwd=tmp_path).stdout == f"{wanted}\n"
