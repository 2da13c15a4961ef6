"""slipway, the command for people who write a kernel: what it says of kernels that run, fault, reset,
hang or are refused, and of everything that may be missing or wrong."""

import os
import pty
import re
import select
import shutil
import signal
import struct
import time
import xml.etree.ElementTree as ElementTree
import zlib

import pytest

from slipway_kit import ROOT, build_kernels, line_of  # it knows where slipway_lib is
from slipway_lib import evidence, places
from slipway_lib.errors import Stop

ENDS = "a kernel ends the machine by powering off, or by writing 0x10 to port 0xf4"


@pytest.fixture(scope="module")
def kernels(run, tmp_path_factory):
    return build_kernels(run, tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def slipway(run, kernels, tmp_path):
    """slipway(arguments..., status=0) in a folder of its own with the kernels."""
    folder = tmp_path / "work"
    shutil.copytree(kernels, folder)

    def slipway(*arguments, status=0, program=ROOT / "scripts/slipway", **environment):
        return run(program, *arguments, cwd=folder, status=status, **environment)
    slipway.folder = folder
    return slipway


# Boots


def assert_png(path):
    """A picture: every chunk is whole."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds = 8, []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert zlib.crc32(data[at + 4:at + 8 + size]) == struct.unpack_from(">I", data, at + 8 + size)[0]
        kinds.append(kind)
        at += size + 12
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND"


@pytest.mark.weight(8)
def test_a_kernel_that_faults_fails_its_test_and_leaves_everything_in_a_folder(slipway, run):
    folder = slipway.folder / "slipway-failure-pie"
    folder.mkdir()
    (folder / "screen.png").write_text("of an earlier test")
    (folder / "mine").write_text("stays")
    done = slipway("test", "pie.elf", "--cmdline", "poke", "--expect", "modules 0 poke", "--expect", "poked",
                   "--timeout", "90", "--junit", "result.xml", status=1)
    shown = done.stderr.splitlines()
    assert shown[:2] == [
        "slipway test: pie.elf: FAILED: COM1 did not say 'poked' after 'modules 0 poke': the kernel faulted",
        "page fault (vector 14): write to a page that is not present, in supervisor mode"]
    assert re.fullmatch(rf"  at  0xffffffff8000[0-9a-f]{{4}}  poke \(kernel.c:{line_of('// faults')}\)", shown[2])
    assert shown[3] == "        *(volatile int *)address = 1; // faults"
    # The chain of frame pointers ends at the loader's return address, 0.
    assert re.fullmatch(rf"  by  0xffffffff8000[0-9a-f]{{4}}  kernel_start \(kernel.c:{line_of('poke(0x1000)')}\)",
                        shown[4])
    assert re.match("  cr2 0x1000  cr3 0x[0-9a-f]+  rsp 0x", shown[5])
    assert shown[6].startswith("  walk of 0000000000001000 from root ")
    assert shown[7] == "    level 4 [  0] 0000000000000000 not present"
    assert shown[8:] == ["the last lines on COM1:", "  | modules 0 poke",
                         "left in slipway-failure-pie: serial.txt, screen.png, fault.txt, qemu.sh, disk.img"]
    assert {path.name for path in folder.iterdir()} == {*evidence.NAMES, "mine"} - {evidence.VARIABLES}
    assert (folder / "fault.txt").read_text().splitlines() == shown[1:-1]
    assert "modules 0 poke\n" in (folder / "serial.txt").read_text()
    assert_png(folder / "screen.png")
    run("sh", "-n", folder / "qemu.sh")
    last = (folder / "qemu.sh").read_text().splitlines()[-1]
    assert "file=disk.img" in last and "file=vars.fd" in last and "/tmp" not in last and "signal=on" in last
    config = run("mtype", "-i", folder / "disk.img", "::slipway.conf").stdout
    assert config == 'kernel = "/pie.elf"\ncmdline = poke\nlog = quiet\n'
    case, = ElementTree.parse(slipway.folder / "result.xml").iter("testcase")
    assert (case.get("name"), [child.tag for child in case]) == ("pie.elf", ["failure", "system-out"])
    assert case[0].get("message") == "COM1 did not say 'poked' after 'modules 0 poke': the kernel faulted"
    assert "poke (kernel.c:" in case[0].text and "modules 0 poke" in case[1].text


@pytest.mark.weight(8)
def test_a_triple_fault_is_shown_with_the_place_and_the_walk(slipway):
    done = slipway("run", "exec.elf", "--cmdline", "triple", "--timeout", "90", status=1)
    assert done.stdout.replace("\r", "").endswith("\nmodules 0 triple\n")
    shown = done.stderr.splitlines()
    assert shown[:2] == ["slipway run: the machine reset: a triple fault",
                         "where it was when the CPU could deliver no fault any more:"]
    assert shown[2].endswith(f"  poke (kernel.c:{line_of('// faults')})")
    # Without frame pointers what is on the stack counts.
    assert [re.sub("0x[0-9a-f]*", "", line) for line in shown[4:6]] == [
        f"  by?   triple (kernel.c:{line_of('poke(0x5000)')})",
        f"  by?   kernel_start (kernel.c:{line_of('triple();')})"]
    assert re.fullmatch("  cr2 0x5000  cr3 0x[0-9a-f]+  rsp 0x[0-9a-f]+  idt limit 0x0", shown[6])
    assert re.fullmatch("  walk of 0000000000005000 from root [0-9a-f]{13}, 4 levels", shown[7])
    assert shown[8] == "    level 4 [  0] 0000000000000000 not present"
    assert shown[-2:] == ["the last lines on COM1:", "  | modules 0 triple"]


@pytest.mark.weight(8)
def test_a_triple_fault_is_shown_with_the_place_wherever_kaslr_has_put_the_kernel(slipway):
    done = slipway("run", "kaslr.elf", "--cpu", "max", "--log", "info", "--cmdline", "triple", "--timeout", "90",
                   status=1)
    slide = int(re.search("kaslr: image at 0x[0-9a-f]+, slid by (0x[0-9a-f]+),", done.stdout)[1], 16)
    shown = done.stderr.splitlines()
    at, = re.findall(rf"^  at  (0x[0-9a-f]{{16}})  poke \(kernel.c:{line_of('// faults')}\)$", shown[2])
    assert 0 < int(at, 16) - slide < 0x10000
    assert re.sub("0x[0-9a-f]*", "", shown[4]) == f"  by    triple (kernel.c:{line_of('poke(0x5000)')})"


@pytest.mark.weight(8)
def test_what_is_installed_boots_with_modules_from_anywhere_and_goes_without_a_trace(
        slipway, make, run, tmp_path):
    dest = tmp_path / "dest"
    (dest / "opt/slipway/include").mkdir(parents=True)  # was there before
    before = sorted(dest.rglob("*"))
    where = [f"DESTDIR={dest}", "PREFIX=/opt/slipway"]
    make("install", *where)
    make("install", *where)
    link = tmp_path / "bin/slipway"
    link.parent.mkdir()
    link.symlink_to(dest / "opt/slipway/bin/slipway")
    (slipway.folder / "my module").write_text("one")
    done = slipway("test", "pie.elf", "my module", "--cmdline", "hang  on", "exec.elf", "--expect", "modules 2 ",
                   "--expect", "hang  on\n", "--timeout", "90", "--junit", "result.xml", program=link)
    assert re.fullmatch(r"slipway test: pie.elf: passed in [0-9.]+ s\n", done.stdout) and done.stderr == ""
    case, = ElementTree.parse(slipway.folder / "result.xml").iter("testcase")
    assert [child.tag for child in case] == ["system-out"]
    assert not (slipway.folder / "slipway-failure-pie").exists()
    version = (ROOT / "Makefile").read_text().split("VERSION := ")[1].split("\n")[0]
    assert slipway("--version", program=link).stdout == f"slipway {version}\n"
    assert f"installed in {dest}/opt/slipway\n" in slipway("doctor", program=link).stdout
    make("uninstall", *where)
    assert sorted(dest.rglob("*")) == before


@pytest.mark.weight(8)
def test_a_kernel_that_writes_another_value_ends_with_qemus_status(slipway):
    done = slipway("run", "exec.elf", "--cmdline", "bad", "--timeout", "90", status=2 * 0x11 + 1)
    assert done.stderr == "slipway run: the kernel wrote 0x11 to port 0xf4, and only 0x10 means that all is good\n"


@pytest.mark.weight(8)
def test_a_kernel_that_powers_off_has_passed_unless_it_should_have_said_more(slipway):
    done = slipway("test", "exec.elf", "--cmdline", "off", "--timeout", "90", "-v")
    assert done.stdout.replace("\r", "").splitlines()[-2] == "modules 0 off"
    assert re.fullmatch(r"slipway test: exec.elf: passed in [0-9.]+ s", done.stdout.splitlines()[-1])
    done = slipway("test", "exec.elf", "--cmdline", "off", "--timeout", "90", "--expect", "more", status=1)
    assert done.stderr.splitlines() == [
        "slipway test: exec.elf: FAILED: COM1 did not say 'more': the machine powered off",
        "the last lines on COM1:", "  | modules 0 off",
        "left in slipway-failure-exec: serial.txt, fault.txt, qemu.sh, disk.img (no picture of the screen: QEMU had"
        " ended)"]


@pytest.mark.weight(8)
def test_a_terminal_has_com1_key_by_key_until_ctrl_c_ends_the_machine(slipway):
    pid, terminal = pty.fork()
    if pid == 0:
        # As a terminal's shell leaves it: one that runs these tests in the background has it ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(slipway.folder)
        os.execv(ROOT / "scripts/slipway", ["slipway", "run", "exec.elf", "--cmdline", "echo", "--timeout", "90"])
    said, left = b"", [(b"modules 0 echo\n", b"x"), (b"typed x", b"\x03")]
    end = time.monotonic() + 100
    while time.monotonic() < end:
        if left and left[0][0] in said.replace(b"\r", b""):
            os.write(terminal, left.pop(0)[1])
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                said += os.read(terminal, 4096)
            except OSError:  # nobody has it open any more
                break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130, said
    os.close(terminal)
    assert left == []
    assert said.startswith(b"BdsDxe: loading "), "the firmware's clearing of the terminal came through"


@pytest.mark.weight(3)
def test_a_terminal_that_is_closed_ends_the_machine_and_leaves_nothing(slipway, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(slipway.folder)
        os.environ["TMPDIR"] = str(scratch)
        os.execv(ROOT / "scripts/slipway", ["slipway", "run", "exec.elf", "--timeout", "20"])
    said = b""
    while b"BdsDxe: " not in said:
        said += os.read(terminal, 4096)
    assert {path.name.rsplit("-", 1)[0] for path in scratch.iterdir()} == {"slipway-run", "slipway-qemu"}
    os.close(terminal)
    # 1 if it has just had something to print.
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (1, 128 + signal.SIGHUP)
    assert list(scratch.iterdir()) == []


@pytest.mark.weight(12)
def test_gdb_stops_at_the_entry_of_a_kernel_that_was_moved_to_where_no_kaslr_moves_it(slipway, tmp_path):
    commands = tmp_path / "gdb"
    commands.write_text("#!/bin/sh\nexec gdb --batch \"$@\" -ex bt -ex 'break poke' -ex continue -ex bt\n")
    commands.chmod(0o755)
    done = slipway("run", "kaslr.elf", "--cpu", "max", "--cmdline", "poke", "--gdb", "--display",
                   GDB=str(commands), DISPLAY="", WAYLAND_DISPLAY="")
    entry = done.stdout.index("kernel_start (boot=0xffff8")
    assert entry < done.stdout.index("\n#0  poke (address=")
    assert "efi_main (" not in done.stdout[:entry]
    assert "the screen is at vnc://127.0.0.1:59" in done.stderr


@pytest.mark.weight(3)
def test_a_test_whose_time_is_over_says_where_the_machine_was(slipway):
    done = slipway("test", "exec.elf", "--timeout", "0.5", "--keep", "a/b", "--expect", "x", status=124)
    shown = done.stderr.splitlines()
    assert shown[0] == f"slipway test: exec.elf: FAILED: COM1 did not say 'x': time-out after 0.5 s; {ENDS}"
    assert shown[1] == "where it was when the time was over:"
    assert re.fullmatch("  at  0x[0-9a-f]{16}  not in the kernel's code", shown[2])
    assert shown[-1] == "left in a/b: serial.txt, screen.png, fault.txt, qemu.sh, disk.img"
    done = slipway("run", "exec.elf", "--timeout", "0.5", status=124)
    assert done.stderr.startswith(f"slipway run: time-out after 0.5 s; {ENDS}\n")


# What is missing or wrong, by its text

NO_FILE = "there is no such file (it is to be the"
MISTAKES = [
    (["run", "none.elf"], 2, f"none.elf: {NO_FILE} kernel)"),
    (["test", "."], 2, ".: not a file (it is to be the kernel)"),
    (["run", "exec.elf", "none"], 2, f"none: {NO_FILE} kernel's module)"),
    (["run", "exec.elf", "--symbols", "none"], 2, f"none: {NO_FILE} file with the symbols)"),
    (["run", "kernel.c"], 1, "the loader refuses kernel.c: neither an ELF nor a PE file; found: an unknown file"
                             " that begins with 0a 23 69 6e 63 6c 75 64"),
    (["run", "multiboot"], 1, "the loader refuses multiboot: not a 64-bit ELF file (class 1); made for the Multiboot2"
                              " protocol (its magic is at offset 0x1000): use a loader of that protocol"),
    (["run", "loader.efi", "--gdb"], 2, "loader.efi: --gdb needs an ELF kernel; of a PE file only the firmware knows"
                                        " where it is"),
    (["run", "exec.elf", "--cpu", "abacus"], 2, "QEMU does not start: qemu-system-x86_64: unable to find CPU model"
                                                " 'abacus'"),
    (["image", "none", "x.img"], 2, "none: there is no such folder"),
    (["image", "empty", "x.img"], 1, r"the loader refuses \kernel.elf: not found (the default kernel: there is no"
                                     " slipway.conf)"),
    (["image", "empty", "empty"], 2, "empty: is a folder; OUT is the image's file"),
    (["image", "exec.elf", "x.img"], 2, "exec.elf: is a file; DIR is the folder with what the disk is to hold"),
    (["image", "empty", "empty/../empty/x.img"], 2, "empty/../empty/x.img: lies in empty, and the next image would hold"
                                                    " it; put it elsewhere"),
    (["map", "kernel.c"], 1, "kernel.c:5: not a decimal number"),
    (["map", "none"], 2, f"none: {NO_FILE} map)"),
    (["check", "none"], 2, f"none: {NO_FILE} kernel)"),
]
USAGE = [
    (["run"], "the following arguments are required: KERNEL"),
    (["run", "exec.elf", "--mem", "1M"], "argument --mem: 1M is too little: with less than 48M the firmware resets or"
                                         " hangs before it starts the loader"),
    (["run", "exec.elf", "--mem", "much"], "argument --mem: much is not a size such as 512M or 4G"),
    (["run", "exec.elf", "--cpus", "0"], "argument --cpus: 0 is not a number of processors, 1 or more"),
    (["run", "exec.elf", "--cmdline", '"a'], "argument --cmdline: \"a begins with a quote, which slipway.conf has no"
                                             " way to say"),
    (["test", "exec.elf", "--timeout", "0"], "argument --timeout: 0 is not a number of seconds above 0"),
    (["test", "exec.elf", "--expect", "a", "--expect", ""], "argument --expect: an empty text is on every COM1: name what"
                                                            " the kernel has to say"),
    (["run", "exec.elf", "--frob", "x"], "unrecognized: --frob"),
    (["run", "exec.elf", "--gdb", "--timeout", "5"], "--timeout does not go with --gdb, whose quit ends the machine"),
    (["doctor", "x"], "unrecognized: x"),
    (["check"], "no kernel is named"),
]


@pytest.mark.parametrize("arguments, status, message", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_do(slipway, build, arguments, status, message):
    (slipway.folder / "empty").mkdir()
    shutil.copy(build / "BOOTX64.EFI", slipway.folder / "loader.efi")
    # ELF of 32 bits, and a header of Multiboot2 without tags.
    magic, words = 0xE85250D6, 16
    (slipway.folder / "multiboot").write_bytes(
        (b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 3, 1)).ljust(4096, b"\0")
        + struct.pack("<IIII", magic, 0, words, -(magic + words) % 2**32))
    done = slipway(*arguments, status=status)
    assert (done.stdout, done.stderr) == ("", f"slipway {arguments[0]}: {message}\n")


@pytest.mark.parametrize("arguments, message", USAGE)
def test_a_wrong_command_line_says_where_more_is_told(slipway, arguments, message):
    done = slipway(*arguments, status=2)
    name = f"slipway {arguments[0]}"
    assert (done.stdout, done.stderr) == ("", f"{name}: {message}\n{name} --help tells more.\n")


MISSING = [
    ({"QEMU": "no-qemu"}, "QEMU=no-qemu: there is no such program; without QEMU it is looked for"),
    ({"OVMF_CODE": "/none"}, "OVMF_CODE=/none: there is no such file; without OVMF_CODE and OVMF_VARS the firmware is"
                             " looked for"),
    ({"OVMF_CODE": __file__}, "OVMF_CODE is set alone: OVMF_CODE and OVMF_VARS are used together"),
    ({"PATH": "/nowhere"}, "qemu-system-x86_64 is not installed: install the package qemu-system-x86"),
    ({"PATH": "/nowhere", "QEMU": "/bin/true"}, "mformat is not installed: install the package mtools"),
    ({"SLIPWAY_BUILD": "/none"}, f"/none/host/loadcheck is not built: run make in {ROOT}"),
]


@pytest.mark.parametrize("environment, message", MISSING)
def test_what_is_missing_is_named_with_the_way_to_get_it(run, kernels, tmp_path, environment, message):
    done = run("/usr/bin/python3", ROOT / "scripts/slipway", "test", kernels / "exec.elf", "--junit", "r.xml",
               cwd=tmp_path, status=2, **environment)
    assert (done.stdout, done.stderr) == ("", f"slipway test: {message}\n")
    case, = ElementTree.parse(tmp_path / "r.xml").iter("testcase")
    assert [(child.tag, child.get("message")) for child in case] == [("error", message)]


def test_a_machine_without_ovmf_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr(places, "OVMF_PAIRS", (("/none/code", "/none/vars"),))
    for name in ("OVMF_CODE", "OVMF_VARS"):
        monkeypatch.delenv(name, raising=False)
    for manager, command in (("apt-get", "apt-get install ovmf"), ("pacman", "pacman -S edk2-ovmf")):
        monkeypatch.setattr(shutil, "which", lambda name, manager=manager: name == manager)
        with pytest.raises(Stop) as stop:
            places.find_ovmf()
        assert str(stop.value) == (f"OVMF, the firmware for QEMU, is not installed: install it, as root: {command};"
                                   " or name its files in OVMF_CODE and OVMF_VARS")


def test_an_installation_that_lacks_a_file_says_so(slipway, make, tmp_path):
    make("install", f"DESTDIR={tmp_path}/dest", "PREFIX=/usr")
    prefix = tmp_path / "dest/usr"
    (prefix / "lib/slipway/BOOTX64.EFI").unlink()
    done = slipway("run", "exec.elf", program=prefix / "bin/slipway", status=2)
    assert done.stderr == (f"slipway run: {prefix}/lib/slipway/BOOTX64.EFI is missing: install Slipway again"
                           " (make install)\n")


def test_doctor_lists_what_is_there_and_what_is_not(slipway):
    said = slipway("doctor").stdout
    assert re.search(r"^ok      QEMU  +/\S*qemu-system-x86_64 \(QEMU emulator version [0-9.]+", said, re.M)
    assert re.search(r"^ok      OVMF  +/\S+, /\S+ \(ovmf [0-9][^ ]*\)$", said, re.M)
    assert said.splitlines()[-1] == "everything that run and test need is there"
    said = slipway("doctor", status=1, QEMU="no-qemu", GDB="no-gdb").stdout
    assert re.search("^MISSING QEMU  +QEMU=no-qemu: there is no such program", said, re.M)
    assert re.search("^ok      xorriso, for image --iso  +/", said, re.M)
    assert re.search("^no      gdb, for run --gdb  +GDB=no-gdb: there is no such program", said, re.M)
    assert said.splitlines()[-1] == "run and test do not work yet: see MISSING"


# The commands without a machine


def test_check_is_loadcheck(slipway, run, build):
    done = slipway("check", "-q", "exec.elf", "kernel.c", status=1)
    assert done.stdout == run(build / "host/loadcheck", "-q", "exec.elf", "kernel.c", cwd=slipway.folder,
                              status=1).stdout
    assert done.stdout.startswith("exec.elf: boots\nkernel.c: neither an ELF nor a PE file")
    assert '"verdict": "refused"' in slipway("check", "--json", "--ram", "16M", "exec.elf", "kernel.c", status=1).stdout


def test_image_holds_the_folder_and_a_loader(slipway, run, build):
    tree = slipway.folder / "tree"
    tree.mkdir()
    shutil.copy(slipway.folder / "exec.elf", tree / "my.elf")
    (tree / "slipway.conf").write_text("kernel = /my.elf\n")
    done = slipway("image", "tree", "x.img")
    assert done.stdout == "x.img: 3 files of tree, with the loader; boots my.elf\n"
    run("mcopy", "-n", "-i", slipway.folder / "x.img", "::EFI/BOOT/BOOTX64.EFI", slipway.folder / "copy")
    assert (slipway.folder / "copy").read_bytes() == (build / "BOOTX64.EFI").read_bytes()


def test_image_looks_at_every_entry(slipway):
    tree = slipway.folder / "tree"
    tree.mkdir()
    shutil.copy(slipway.folder / "exec.elf", tree / "my.elf")
    (tree / "slipway.conf").write_text("kernel = /my.elf\n[one]\ntitle = 1\n[two]\ncmdline = a\n")
    assert slipway("image", "tree", "x.img").stdout == "x.img: 3 files of tree, with the loader; boots one, two\n"
    (tree / "slipway.conf").write_text("[one]\nkernel = /my.elf\n[two]\nkernel = /a\n[three]\nkernel = /b\n")
    (slipway.folder / "x.img").unlink()
    assert slipway("image", "tree", "x.img", status=1).stderr == (
        "slipway image: the loader refuses /a: not found (key 'kernel', /slipway.conf line 4);"
        " /b: not found (key 'kernel', /slipway.conf line 6)\n")
    assert not (slipway.folder / "x.img").exists()


def disc_tree(folder):
    """What a disc has to bring: a name that FAT does not take, one with xorriso's marks in it, a link, and folders
    that the loader lists, with more in them than a small boot image holds."""
    files = {"slipway.conf": b"kernel = /my.elf\n", "a\\=b c\u20ac?": b"name", "EFI/Linux/big": bytes(3 << 20),
             "LOADER/entries/a.conf": b"entry", ".git/config": b"hidden"}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    shutil.copy(folder.parent / "exec.elf", folder / "my.elf")
    (folder / "link").symlink_to("my.elf")
    return {name: (folder / name).read_bytes() for name in [*files, "my.elf", "link"] if name != ".git/config"}


def test_the_image_of_a_disc_holds_the_folder_and_what_firmware_reads(slipway, run, build):
    files = disc_tree(slipway.folder / "tree") | {"EFI/BOOT/BOOTX64.EFI": (build / "BOOTX64.EFI").read_bytes()}
    done = slipway("image", "--iso", "tree", "x.iso")
    assert done.stdout == "x.iso: 7 files of tree, with the loader; boots my.elf\n" and done.stderr == ""
    out = slipway.folder / "out"
    run("xorriso", "-osirrox", "on", "-indev", slipway.folder / "x.iso", "-extract", "/", out)
    boot_image = (out / "efi.img").rename(slipway.folder / "efi.img")
    (out / "boot.catalog").unlink()
    assert {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    assert not any(path.is_symlink() for path in out.rglob("*"))
    listed = run("mdir", "-/", "-b", "-i", boot_image, "::").stdout.split()
    assert {name for name in listed if not name.endswith("/")} == {
        "::/EFI/BOOT/BOOTX64.EFI", "::/EFI/Linux/big", "::/LOADER/entries/a.conf"}


def test_the_image_of_a_disc_is_the_same_whenever_it_is_made(slipway):
    disc_tree(slipway.folder / "tree")
    slipway("image", "--iso", "tree", "1.iso")
    for path in (slipway.folder / "tree").rglob("*"):
        os.utime(path, (1, 1))
    slipway("image", "--iso", "tree", "2.iso", LC_ALL="C", TZ="X-9")
    assert (slipway.folder / "1.iso").read_bytes() == (slipway.folder / "2.iso").read_bytes()


def test_the_image_of_a_disc_needs_xorriso_and_room_for_its_own_names(slipway):
    tree = slipway.folder / "tree"
    disc_tree(tree)
    programs = slipway.folder / "programs"
    programs.mkdir()
    for name in ("mformat", "apt-get", "python3"):
        (programs / name).symlink_to(shutil.which(name))
    said = slipway("image", "--iso", "tree", "x.iso", status=2, PATH=str(programs)).stderr
    assert said == "slipway image: xorriso is not installed: install it, as root: apt-get install xorriso\n"
    for name, what in (("EFI.IMG", "boot image"), ("boot.catalog", "catalogue of boot images")):
        (tree / name).write_bytes(b"")
        assert slipway("image", "--iso", "tree", "x.iso", status=2).stderr == (
            f"slipway image: tree/{name}: this is the name of the disc's own {what}; rename or remove the file\n")
        (tree / name).rename(tree / "line\nbreak")
    assert slipway("image", "--iso", "tree", "x.iso", status=2).stderr == (
        "slipway image: 'line\\nbreak': xorriso takes no name with a line break; rename it\n")
    (tree / "line\nbreak").unlink()
    said = slipway("image", "--iso", "tree", "/dev/full", status=1).stderr
    assert said.startswith("slipway image: /dev/full: xorriso says: ")


def test_new_says_how_to_boot_where_slipway_is_not_on_the_path(slipway, run):
    path = os.environ["PATH"]
    elsewhere = ":".join(part for part in path.split(":") if not os.path.exists(f"{part}/slipway"))
    said = slipway("new", "mine", PATH=elsewhere).stdout.splitlines()[-1]
    assert said == f"boot it:  cd mine && make run SLIPWAY={ROOT}/scripts/slipway"
    command = said.removeprefix("boot it:  ").replace("make run", "make mine.elf")
    run("sh", "-c", command, cwd=slipway.folder, PATH=elsewhere)
    said = slipway("new", "other", PATH=f"{ROOT}/scripts:{path}").stdout.splitlines()[-1]
    assert said == "boot it:  cd other && make run"


def test_map_tells_people_what_replay_tells_programs(slipway):
    (slipway.folder / "my.map").write_text("7 1000 158 f\n7 0x100000 1024 f\n")
    assert slipway("map", "--raw", "my.map").stdout.startswith("descriptors=2\nram.bytes=4841472\n")
    said = slipway("map", "my.map").stdout.splitlines()
    assert said[:3] == ["my.map", "  descriptors      2", "  RAM              4.6 MiB"]
    assert said[-2:] == ["  audit            0 violations", "  oddities         none"]
