"""loadcheck, the loader's own files as a program of the host's: what a person reads, and how a script
finds out. That it refuses in the loader's words is shown in tests/boot/test_refusals.py."""

import hashlib
import json
import os
import struct
import subprocess

import pytest

from kernel_files import DEFAULT, PAGE, header, small_kernel

def test_people_read_the_same(program, run, kernels, loadcheck):
    text = run(program, kernels["wishes"]).stdout
    said = loadcheck(kernels["wishes"])["kernel"]
    for key in ("entry", "start", "end", "linked_start", "slide"):
        assert said[key] in text
    for segment in said["segments"]:
        rights = "rw-" if segment["write"] else "r-x" if segment["execute"] else "r--"
        assert f"[{segment['start']}, {segment['end']}) {rights}, {segment['file_bytes']} bytes at offset " in text
    assert "page tables   4 levels: " in text
    assert text.splitlines()[-1] == "boots         with 512 MiB of RAM"


def kernel_with_all_wishes():
    """With a template of thread-local data, too."""
    note = struct.pack("<III8sIIQQQII", 8, 40, 1, b"Slipway\0", 1, 15, 32 << 10, 0xFFFF810000000000, 1 << 20, 4, 0)
    file = header(2, DEFAULT + 16, [
        (1, 5, PAGE, DEFAULT, 100, 100), (1, 4, 2 * PAGE, DEFAULT + PAGE, 60, 60),
        (1, 6, 3 * PAGE, DEFAULT + 2 * PAGE, 8, 3 * PAGE), (4, 4, 2 * PAGE, DEFAULT + PAGE, 60, 60),
        (7, 4, 3 * PAGE, DEFAULT + 2 * PAGE, 8, 24)])
    return (file.ljust(PAGE, b"\0") + b"\xf4" * 100).ljust(2 * PAGE, b"\0") + note.ljust(PAGE, b"\0") + b"template"


WHOLE_TEXT = """\
config        /slipway.conf
  kernel      /kernel.elf
  cmdline     root=/dev/sda  quiet
  module      /initrd, 5 bytes, of this SHA-256
  module      label(DATA)/more: lies on another volume, which cannot be looked at here
kernel        /kernel.elf, 12296 bytes, ET_EXEC
linked        [0xffffffff80000000, 0xffffffff80005000)
runs          [0xffffffff80000000, 0xffffffff80005000), 20480 bytes
slide         0x0, no other
entry         0xffffffff80000010
segment 0     [0xffffffff80000000, 0xffffffff80000064) r-x, 100 bytes at offset 0x1000
segment 1     [0xffffffff80001000, 0xffffffff8000103c) r--, 60 bytes at offset 0x2000
segment 2     [0xffffffff80002000, 0xffffffff80005000) rw-, 8 bytes at offset 0x3000
pages         [0xffffffff80000000, 0xffffffff80001000) r-x
pages         [0xffffffff80001000, 0xffffffff80002000) r--
pages         [0xffffffff80002000, 0xffffffff80005000) rw-
thread-local  8 bytes at 0xffffffff80002000, a block of 24, aligned to 4096
relocations   none
note          version 1
  stack       32 KiB
  direct map  at 0xffff810000000000
  RAM         1048576 bytes at least
  paging      4 levels
  screen      a framebuffer, or no boot
  screen      as the firmware left it
  CPUs        all, started
  places      stacks, descriptor tables, framebuffers in the direct map
direct map    [0xffff810000000000, 0xffff810030004000)
window        0xffffc00000000000
page tables   4 levels: 15, with 1 GiB pages 15 (chosen)
boots         with 786448 KiB of RAM
"""


def test_people_read_all_that_was_found(program, run, esp):
    module = hashlib.sha256(b"12345").hexdigest()
    tree = esp({"kernel.elf": kernel_with_all_wishes(), "initrd": b"12345", "slipway.conf":
                f"kernel = /kernel.elf\ncmdline = root=/dev/sda  quiet\nmodule = /initrd\nsha256 = {module}\n"
                "module = label(DATA)/more\n"})
    assert run(program, "--ram", "786448K", "--esp", tree).stdout == WHOLE_TEXT
    (tree / "slipway.conf").unlink()
    (tree / "kernel.elf").write_bytes(small_kernel())
    lines = run(program, "--esp", tree).stdout.splitlines()
    assert lines[:2] == ["config        none: the defaults hold", "  kernel      \\kernel.elf"]
    assert lines[-7:-4] == ["note          none: the defaults hold", "  stack       64 KiB",
                            "direct map    [0xffff800000000000, 0xffff800020000000)"]
    (tree / "kernel.elf").write_bytes(b"x" * 64)
    lines = run(program, "--esp", tree, status=1).stdout.splitlines()
    assert lines[2:] == ["refused       \\kernel.elf: neither an ELF nor a PE file; found: an unknown file "
                         "that begins with 78 78 78 78 78 78 78 78"]


def test_the_status_is_the_worst_of_all_and_every_file_is_looked_at(program, run, kernels, tmp_path):
    bad = tmp_path / "bad"
    bad.write_text("text")
    done = run(program, "-q", bad, kernels["pie"], status=1)
    assert done.stdout == (f"{bad}: neither an ELF nor a PE file; found: an unknown file that begins with "
                           f"74 65 78 74\n{kernels['pie']}: boots\n")
    done = run(program, "-q", tmp_path, tmp_path / "none", bad, kernels["pie"], status=2)
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == (f"loadcheck: {tmp_path}: not a file\n"
                           f"loadcheck: {tmp_path}/none: No such file or directory\n")


@pytest.mark.parametrize("arguments, reason", [
    ([], "no kernel is named"), (["--ram", "0", "x"], "not a size"), (["--ram", "33T", "x"], "not a size"),
    (["--ram", "15M", "x"], "not a size"), (["--ram", "5X", "x"], "not a size"),
    (["--ram", "99999999999999999999999G", "x"], "not a size"),
    (["--ram", "-1G", "x"], "not a size"), (["--levels", "3", "x"], "neither 4 nor 5"),
    (["--esp", "/", "x", "y"], "one kernel at most"), (["--none"], "unrecognized option"),
])
def test_wrong_options_are_said_to_be(program, run, arguments, reason):
    done = run(program, *arguments, status=2)
    assert reason in done.stderr and done.stdout == ""


def test_help_says_what_there_is(program, run):
    said = run(program, "--help").stdout
    for option in ("--esp", "--ram", "--levels", "--json", "--quiet", "Exit status"):
        assert option in said


def test_json_is_sound_whatever_a_file_is_called(program, tmp_path):
    name = os.fsencode(tmp_path) + b'/a"b\\c\n\x01\xff\xc3\xa4'
    with open(name, "wb") as file:
        file.write(b"no kernel, but of some length: as long as a header, which is 64 bytes")
    done = subprocess.run([program, "--json", name], capture_output=True, timeout=60)
    said = json.loads(done.stdout.decode("utf-8"))
    assert done.returncode == 1
    assert said["file"] == f'{tmp_path}/a"b\\c\n\x01\ufffdä'
    assert said["reason"].endswith(": neither an ELF nor a PE file; found: an unknown file that begins "
                                   "with 6e 6f 20 6b 65 72 6e 65")
    assert said["kernel"] is None and said["image"] is None
