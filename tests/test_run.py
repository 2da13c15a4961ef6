"""make run, image and debug: a kernel of one's own, machines that do not end well, and mistakes."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from fat import tree_files
from qemu import DISKS, parse_report

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import common  # noqa: E402  (needs the path above)

# A kernel that says its command line on COM1 and then does what the test wants.
OWN_KERNEL = r"""
#include "slipway_boot.h"

static inline void out(uint16_t port, uint8_t byte) {
    __asm__ volatile("outb %%al, %%dx" ::"a"(byte), "d"(port));
}

static inline void say(const char *text) {
    while (*text)
        out(0x3f8, (uint8_t)*text++);
}

void kernel_start(const struct slipway_boot_info *boot) {
    say("command line: [");
    say((const char *)boot->cmdline.address);
    say("]\n");
    STATEMENTS
    for (;;)
        __asm__ volatile("hlt");
}
"""
WAITS = "run: {} is to power off, or to write 0x10 to port 0xf4, within {} s (LIMIT=seconds)"
REFERENCE_WAITS = "run: the reference kernel is to print its report and to power off within {} s" \
                  " (LIMIT=seconds)"
REMEDY = ". A kernel ends it by powering off, or by writing 0x10 to port 0xf4; LIMIT=seconds gives" \
         " it more time"


@pytest.fixture
def tree(small_tree, root, build):
    """A tree with all that `make` has built, and an esp/ of its own."""
    (small_tree / "build").mkdir()
    for name in ("BOOTX64.EFI", "BOOTX64.debug", "kernel.elf", "kernel.sym.elf"):
        shutil.copy(build / name, small_tree / "build")
    (small_tree / "esp").mkdir()
    shutil.copy(root / "esp/slipway.conf", small_tree / "esp")
    return small_tree


@pytest.fixture
def own_kernel(tree, run, root):
    """own_kernel(statements): the file of a kernel, built as tests/minimal shows."""
    def own_kernel(statements):
        folder = tree / "tests/own"
        shutil.copytree(root / "tests/minimal", folder, ignore=shutil.ignore_patterns("*.elf", "disk"))
        (folder / "kernel.c").write_text(OWN_KERNEL.replace("STATEMENTS", statements))
        (tree / "common/boot").mkdir(parents=True)
        shutil.copy(root / "common/boot/slipway_boot.h", tree / "common/boot")
        run("make", "-C", folder, "CC=gcc")
        return folder / "kernel.elf"
    return own_kernel


def said_by(done):
    """What run itself said, without make's line about a failure."""
    return [line for line in done.stderr.splitlines() if not line.startswith("make: ")]


def lines_on_serial(done):
    return done.stdout.replace("\r", "").splitlines()


# A kernel of one's own


@pytest.mark.weight(6)
def test_a_kernel_in_esp_boots_with_its_own_command_line_and_says_when_all_is_good(
        tree, make_small, own_kernel):
    """It also prints a line as the loader's log has them, which is not the loader's refusal."""
    kernel = tree / "esp/kernel.elf"
    shutil.copy(own_kernel('say("slipway: a line of the log\\n");'
                           "for (volatile long i = 0; i < 100000000; i++);"
                           "out(0xf4, 0x10);"), kernel)
    content = kernel.read_bytes()
    done = make_small("run", "CMDLINE=exit=bogus  two words")
    assert said_by(done) == ["stage: esp/kernel.elf is not make's: it stays. Delete it to have "
                             "build/kernel.elf there.", WAITS.format(kernel, 120)]
    assert lines_on_serial(done)[-2:] == ["command line: [exit=bogus  two words]",
                                          "slipway: a line of the log"]
    assert kernel.read_bytes() == content


@pytest.mark.weight(6)
@pytest.mark.parametrize("statements, message", [
    ("out(0xf4, 0x11);", "the kernel wrote 0x11 to port 0xf4, and only 0x10 means that all is good"),
    ('static const char none[10]; __asm__ volatile("lidt %0\\n int3" ::"m"(none));',
     "the machine reset instead of powering off (a triple fault is a reset, too)"),
    ('__asm__ volatile("ud2");', "the kernel failed and stopped: its last lines say why"),
])
def test_a_kernel_that_ends_badly_has_failed_at_once_and_run_says_how(
        tree, make_small, own_kernel, statements, message):
    kernel = own_kernel(statements)
    done = make_small("run", "KERNEL=tests/own/kernel.elf", status=2)
    assert said_by(done) == [WAITS.format(kernel, 120), f"run: {message}"]
    assert "command line: []" in lines_on_serial(done), "KERNEL was not booted"


@pytest.mark.weight(3)
def test_a_kernel_that_does_not_end_is_told_how_to_and_esp_stays_as_it_is(tree, make_small, own_kernel):
    kernel = own_kernel("")
    make_small("all")
    before = {path: path.read_bytes() for path in (tree / "esp").rglob("*") if path.is_file()}
    done = make_small("run", f"KERNEL={kernel}", "LIMIT=1.5", status=2)
    assert said_by(done) == [
        WAITS.format(kernel, "1.5"),
        f"run: time limit of 1.5 s reached, waiting for the machine to end{REMEDY}"]
    assert {path: path.read_bytes() for path in (tree / "esp").rglob("*") if path.is_file()} == before


def test_the_kernel_that_the_config_names_is_the_one_that_is_replaced(tree, make_small, run):
    (tree / "esp/Mine").mkdir()
    (tree / "esp/Mine/kernel").write_bytes(b"in esp")
    (tree / "esp/slipway.conf").write_text('kernel = "\\mine/KERNEL"\n')
    (tree / "given").write_bytes(b"given")
    for arguments, content in (([], b"in esp"), (["KERNEL=given"], b"given")):
        done = make_small("image", *arguments)
        run("mcopy", "-n", "-o", "-i", tree / "build/slipway.img", "::Mine/kernel", tree / "copy")
        assert (tree / "copy").read_bytes() == content
        assert ("given" in done.stdout) == (content == b"given")
    assert (tree / "esp/Mine/kernel").read_bytes() == b"in esp"


def test_image_needs_mtools_and_no_qemu(tree, make_small, run):
    (tree / "given").write_bytes(b"given")
    done = make_small("image", "KERNEL=given", QEMU="qemu-system-none")
    assert done.stdout == f"build/slipway.img: the tree of esp/, {tree}/given as its kernel\n"
    image = tree / "build/slipway.img"
    assert run("mtype", "-i", image, "::kernel.elf").stdout == "given"
    assert run("mtype", "-i", image, "::slipway.conf").stdout == (tree / "esp/slipway.conf").read_text()
    listed = run("mdir", "-/", "-b", "-i", image, "::").stdout.split()
    assert {name.removeprefix("::/") for name in listed if not name.endswith("/")} == \
        set(tree_files(tree / "esp"))
    bare = tree / "bin"
    bare.mkdir()
    (bare / "python3").symlink_to("/usr/bin/python3")
    done = run("scripts/make-image", "x.img", cwd=tree, status=1, PATH=str(bare))
    assert done.stderr == "make-image: not installed: mformat. Run scripts/setup.\n"


@pytest.mark.weight(15)
def test_debug_has_the_symbols_of_a_kernel_of_ones_own(tree, make_small, own_kernel):
    kernel = own_kernel("")
    done = make_small("debug", f"KERNEL={kernel}", "GDB_ARGS=--batch -ex continue -ex 'info symbol $$rip'")
    assert "efi_main (own_image=0x" in done.stdout
    assert done.stdout.index("efi_main (own_image=0x") < done.stdout.index(" in kernel_start ()")
    assert f"kernel_start in section .text of {kernel}" in done.stdout


# The reference kernel and the loader


@pytest.mark.weight(8)
@pytest.mark.parametrize("arguments", [["CMDLINE=exit=debug"], ["KERNEL=build/kernel.elf"]])
def test_the_reference_kernel_is_known_wherever_it_lies_and_may_end_by_debug_exit(
        tree, make_small, arguments):
    (tree / "esp/slipway.conf").write_text("log = debug\n")  # which no refusal is
    done = make_small("run", *arguments, "LIMIT=100")
    assert said_by(done) == [REFERENCE_WAITS.format(100)]
    cmdline = "exit=poweroff" if "KERNEL" in arguments[0] else "exit=debug"
    assert parse_report(done.stdout.replace("\r", ""))["cmdline"] == cmdline


@pytest.mark.weight(8)
@pytest.mark.usefixtures("tree")
def test_the_self_test_says_by_itself_how_it_has_ended(make_small):
    done = make_small("run", "CMDLINE=selftest", "MEM=128M", "LIMIT=300")
    assert "TAP version 14" in lines_on_serial(done)
    assert said_by(done) == [REFERENCE_WAITS.format(300)]


@pytest.mark.weight(8)
def test_a_panic_of_the_reference_kernel_ends_the_wait_at_once(tree, make_small):
    done = make_small("run", "CMDLINE=test=panic", status=2)
    assert said_by(done) == [REFERENCE_WAITS.format(120),
                             "run: the kernel failed and stopped: its last lines say why"]
    assert "PANIC: " in done.stdout and lines_on_serial(done)[-1] == "Stopped."


@pytest.mark.weight(8)
@pytest.mark.parametrize("log", ["quiet", "info"])
def test_a_refusal_of_the_loader_ends_the_wait_at_once(tree, make_small, log):
    """Quiet, by its message alone; otherwise when it waits for a key."""
    (tree / "esp/slipway.conf").write_text(f"log = {log}\n")
    (tree / "esp/kernel.elf").write_bytes(b"no kernel")
    done = make_small("run", status=2)
    assert said_by(done)[1:] == [
        WAITS.format(tree / "esp/kernel.elf", 120),
        "run: the loader refused: \\kernel.elf: neither an ELF nor a PE file; found: an unknown file that "
        "begins with 6e 6f 20 6b 65 72 6e 65"]
    assert "failed to start" not in done.stdout


@pytest.mark.weight(5)
def test_a_loader_that_does_not_start_ends_the_wait_at_once(tree, make_small):
    (tree / "esp/EFI/BOOT").mkdir(parents=True)
    (tree / "esp/EFI/BOOT/BOOTX64.EFI").write_bytes(b"no loader")
    done = make_small("run", status=2)
    assert said_by(done)[1:] == [
        REFERENCE_WAITS.format(120),
        "run: the firmware could not start the loader (MEM may be too little): see above"]


@pytest.mark.weight(3)
def test_run_without_a_terminal_fails_when_the_kernel_does_not_power_off(tree, make_small):
    done = make_small("run", "CMDLINE=exit=prompt", "LIMIT=3", status=2)
    assert said_by(done) == [
        REFERENCE_WAITS.format(3),
        f"run: time limit of 3 s reached, waiting for the machine to end{REMEDY}"]


# Mistakes

NO_SIZE = "is not a size such as 512M or 4G"
EXITS = "exit=prompt, exit=poweroff, exit=debug"
ONE_LINE = "is a control character or not UTF-8; slipway.conf keeps the command line in one line of text"
MISTAKES = [
    ("SMP", "0", "SMP=0 is not a number of processors, 1 or more"),
    ("SMP", "abc", "SMP=abc is not a number of processors, 1 or more"),
    ("MEM", "much", f"MEM=much {NO_SIZE}"),
    ("MEM", "0", f"MEM=0 {NO_SIZE}"),
    ("MEM", "1M", "MEM=1M is too little: with less than 48M the firmware resets or hangs before it"
                  " starts the loader"),
    ("CPU", "abacus,+pge", "CPU=abacus,+pge is no processor of QEMU, such as qemu64, max or"
                           " Skylake-Client: qemu-system-x86_64 -cpu help lists them"),
    ("ACCEL", "foo", "ACCEL=foo is not one of tcg, kvm"),
    ("MACHINE", "isapc", "MACHINE=isapc is not one of q35, pc"),
    ("DISK", "floppy", "DISK=floppy is not one of virtio, ahci, nvme, usb (of MACHINE=q35)"),
    ("DISPLAY_MODE", "beamer", "DISPLAY_MODE=beamer is not one of none, off, vnc=:0, gtk, sdl"),
    ("CMDLINE", "a exit=bogus", f"CMDLINE: exit=bogus is not one of {EXITS}"),
    ("CMDLINE", "a\nkernel = x", f"CMDLINE: character 2 (0x0a) {ONE_LINE}"),
    ("CMDLINE", "ä\udcff", f"CMDLINE: character 2 (0xff) {ONE_LINE}"),
    ("CMDLINE", '"a" b', "CMDLINE: begins with a quote, which slipway.conf has no way to say"),
    ("KERNEL", "none.elf", "KERNEL=none.elf: there is no file {tree}/none.elf"),
    ("KERNEL", "esp", "KERNEL=esp: there is no file {tree}/esp"),
]


@pytest.mark.parametrize("script", ["run", "debug"])
@pytest.mark.parametrize("name, value, message", MISTAKES)
def test_a_mistake_in_a_variable_is_said_before_anything_boots(tree, run, script, name, value, message):
    done = run(f"scripts/{script}", cwd=tree, status=1, SLIPWAY_BUILD="build", **{name: value})
    assert (done.stdout, done.stderr) == ("", f"{script}: {message.format(tree=tree)}\n")


@pytest.mark.parametrize("command, arguments, message", [
    ("run", ["LIMIT=x"], "run: LIMIT=x is not a number of seconds above 0"),
    ("run", ["LIMIT=0.0"], "run: LIMIT=0.0 is not a number of seconds above 0"),
    ("run", ["MACHINE=pc", "DISK=scsi"],
     "run: DISK=scsi is not one of virtio, ahci, nvme, usb, ide (of MACHINE=pc)"),
    ("debug", ["GDB_ARGS='"], "debug: GDB_ARGS=': No closing quotation"),
    ("debug", ["KERNEL=Makefile"], "debug: {tree}/Makefile: not an ELF64 file"),
    ("debug", ["SMP=1000"], "debug: qemu-system-x86_64: Invalid SMP CPUs 1000. The max CPUs supported"
                            " by machine 'pc-q35-7.2' is 288 (given: SMP=1000)"),
    ("run", ["CPU=max,+none", "MEM=64M"], "run: qemu-system-x86_64: Property 'max-x86_64-cpu.none' not"
                                          " found (given: MEM=64M CPU=max,+none)"),
    ("image", ["BUILD=folder"], "make-image: folder/slipway.img: Is a directory"),
])
def test_make_hands_its_variables_on_and_a_mistake_is_one_line(tree, make_small, command, arguments, message):
    shutil.copytree(tree / "build", tree / "folder")
    (tree / "folder/slipway.img").mkdir()
    make_small("all")
    done = make_small(command, *arguments, status=2)
    assert (done.stdout, said_by(done)) == ("", [message.format(tree=tree)])


@pytest.mark.parametrize("seconds", ["x", "0", "-1", "1.5", "it's"])
def test_seconds_are_checked_before_anything_is_built(tree, run, seconds):
    done = run("make", "fuzz", f"SECONDS={seconds}", cwd=tree, status=2)
    assert f"*** SECONDS={seconds} is not a number of seconds, 1 or more." in done.stderr
    assert done.stdout == ""


def test_a_disk_that_is_full_is_one_line(tree, run):
    fake = tree / "bin/mformat"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho plain_io: No space left on device >&2\necho Trouble >&2\nexit 1\n")
    fake.chmod(0o755)
    done = run("scripts/make-image", "x.img", cwd=tree, status=1, SLIPWAY_BUILD="build",
               PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert re.fullmatch(r"make-image: plain_io: No space left on device; Trouble \(mformat -i x.img .*\)\n",
                        done.stderr)


def test_run_without_qemu_points_at_setup(run):
    done = run("scripts/run", status=1, QEMU="qemu-system-none")
    assert done.stderr == "run: not installed: qemu-system-none. Run scripts/setup.\n"


@pytest.mark.parametrize("config, asked, wanted", [
    (None, "", b""),
    (None, "a b", b"cmdline = a b"),
    (b"log = info\n", "a", b"log = info\n\ncmdline = a"),
    (b"cmdline = old\nlog = info\n", "", b"cmdline = old\nlog = info\n"),
    (b"\xef\xbb\xbf\tcmdline=old\r\nlog = info\r\n", "new", b"cmdline = new\nlog = info\r\n"),
    (b"# \xff\n#cmdline = old", "x \"it's\" \u00e9\u2028 $", b"# \xff\n#cmdline = old\ncmdline = "
     + "x \"it's\" \u00e9\u2028 $".encode()),
    (b'cmdline = " old  words"\n', "", b"cmdline = old  words\n"),
    # Of several entries that of the one which is booted.
    (b"[a]\nlog = info\n", "", b"[a]\nlog = info\n"),
    (b"cmdline = old\n[a]\nlog = info\n[b]\nlog = info\n", "new",
     b"cmdline = old\n[a]\ncmdline = new\nlog = info\n[b]\nlog = info\n"),
    (b"default = b\n[a]\ncmdline = 1\n [b]\t\r\nlog = info\ncmdline = 2\n", "new",
     b"default = b\n[a]\ncmdline = 1\n [b]\t\r\nlog = info\ncmdline = new\n"),
])
def test_the_command_line_takes_its_place_in_any_config(tmp_path, monkeypatch, config, asked, wanted):
    monkeypatch.setenv("CMDLINE", asked)
    files = {}
    if config is not None:
        files["SLIPWAY.CONF"] = tmp_path / "config"
        files["SLIPWAY.CONF"].write_bytes(config)
    name = "slipway.conf" if config is None else "SLIPWAY.CONF"
    assert common.with_cmdline(files) == {name: wanted}


def test_the_config_beside_the_loader_is_the_one_that_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("CMDLINE", "new")
    files = {name: tmp_path / f"{index}" for index, name in enumerate(("slipway.conf", "efi/Boot/SLIPWAY.conf"))}
    for index, path in enumerate(files.values()):
        path.write_text(f"kernel = /{index}")
    assert common.kernel_name(files) == "1"
    assert common.with_cmdline(files)["efi/Boot/SLIPWAY.conf"] == b"kernel = /1\ncmdline = new"


def test_the_kernel_is_that_of_the_entry_which_is_booted():
    text = b"kernel = /all\ndefault = b\n[a]\nkernel = /a\n[b]\n%s[c]\nkernel = /c\n"
    assert common.kernel_name({"slipway.conf": text % b"kernel = /b\n"}) == "b"
    assert common.kernel_name({"slipway.conf": text % b"log = info\n"}) == "all"
    assert common.kernel_name({"slipway.conf": (text % b"kernel = /b\n").replace(b"default", b"#")}) == "a"


def test_a_kernel_cannot_take_the_place_of_one_on_another_volume(tree, run):
    (tree / "esp/slipway.conf").write_text('kernel = "label(a b)/k"\n')
    done = run("scripts/run", cwd=tree, status=1, SLIPWAY_BUILD="build", KERNEL="Makefile")
    assert done.stderr == (f"run: KERNEL={tree}/Makefile: esp/slipway.conf wants the kernel from another volume,"
                           " label(a b)/k\n")


def test_a_wrong_way_to_end_in_the_config_is_found_there(tree, run):
    (tree / "esp/slipway.conf").write_text("cmdline = exit=never\n")
    done = run("scripts/run", cwd=tree, status=1, SLIPWAY_BUILD="build")
    assert done.stderr == f"run: cmdline in esp/slipway.conf: exit=never is not one of {EXITS}\n"


def test_help_names_every_choice(make):
    said = make("help").stdout
    for variable, choices in (("ACCEL", common.ACCELS), ("MACHINE", DISKS), ("DISK", DISKS["pc"]),
                              ("DISPLAY_MODE", common.DISPLAYS)):
        text = re.search(rf"^  {variable}=.*\n(?:  {{10,}}.*\n)*", said, re.M)[0]
        assert [choice for choice in choices if not re.search(rf"\b{choice}\b", text)] == []
