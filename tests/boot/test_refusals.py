"""What the loader refuses: the exact message, nothing kept, and back to the firmware.

All cases run within one boot of the firmware: tests/apps/launcher.c starts the loader once for
each, on a volume of the case's own, and reports status and pages. That the firmware then goes on
to its next boot option is shown by boots with a second disk. Cold boots, but for the last test's.
"""

import gzip
import re
import subprocess

import pytest

from fixtures import elf
from fixtures.elf import BASE, PAGE, Elf, R, Segment, W, X
import snapshots
from qemu import Machine, boot, make_image
from support import (EXIT_CASES_DONE, EXIT_NEXT, LAUNCHER, LOADCHECK, LOADER, MIB, NEXT_APP,
                     volume)

KEY = "slipway: press a key to go back to the firmware, which goes on in 10 seconds"
WINDOW = "[0xffff800000000000, 0xfffffffffffff000)"


def span(segment):
    return f"[{segment.virt:#x}, {segment.end:#x})"


def broken(change):
    kernel = Elf()
    change(kernel)
    return kernel.bytes()


def changed(**fields):
    return Elf(**fields).bytes()


def with_segment(index, **fields):
    kernel = Elf()
    for name, value in fields.items():
        setattr(kernel.segments[index], name, value)
    return kernel


# Truncated files


def truncated_kernels():
    """The kernel cut at every boundary of its headers and inside every segment."""
    kernel = Elf()
    whole, phdrs_end = kernel.bytes(), kernel.phdrs_end
    few = "{} bytes are too few for an ELF header"
    phdrs = "the program headers, 168 bytes at offset 0x40, lie outside the file of {} bytes"
    cuts = [("empty", 0, few), ("in-magic", 3, few), ("in-header", 32, few),
            ("before-header-end", 63, few), ("after-header", 64, phdrs),
            ("in-first-phdr", 65, phdrs), ("after-first-phdr", 64 + 56, phdrs),
            ("before-phdrs-end", phdrs_end - 1, phdrs)]
    yield from ((f"cut-{name}", whole[:at], message.format(at)) for name, at, message in cuts)
    segments = list(zip(kernel.segments, kernel.offsets()))
    for index, (segment, offset) in enumerate(segments):
        for name, at in (("before", offset), ("in", offset + len(segment.data) // 2),
                         ("before-end-of", offset + len(segment.data) - 1)):
            yield (f"cut-{name}-segment-{index}", whole[:at],
                   f"segment {index}, {len(segment.data)} bytes at offset {offset:#x}, "
                   f"lies outside the file of {at} bytes")
    yield ("cut-after-phdrs", whole[:phdrs_end],
           f"segment 0, {len(segments[0][0].data)} bytes at offset {segments[0][1]:#x}, "
           f"lies outside the file of {phdrs_end} bytes")


# Headers and segments


def header_kernels():
    yield ("not-elf", changed(magic=b"MZ\0\0"), "neither an ELF nor a PE file; found: an unknown file "
           "that begins with 4d 5a 00 00 02 01 01 00")
    yield "32-bit", changed(elf_class=1), "not a 64-bit ELF file (class 1)"
    yield "big-endian", changed(endian=2), "not a little-endian ELF file (data encoding 2)"
    yield "machine", changed(machine=elf.EM_386), "not for x86-64 (machine 3)"
    yield ("relocatable", changed(type=elf.ET_REL),
           "neither executable nor position-independent executable (type 1)")
    yield "no-phdrs", changed(segments=[]), "no program headers"
    yield ("no-segments", changed(segments=[Segment(BASE, b"note", R, type=elf.PT_NOTE)]),
           "nothing to load")
    yield ("entry-outside", changed(entry=BASE + 64 * PAGE),
           f"the entry point {BASE + 64 * PAGE:#x} lies in no executable segment")
    yield ("entry-in-data", changed(entry=BASE + 4 * PAGE),
           f"the entry point {BASE + 4 * PAGE:#x} lies in no executable segment")
    yield ("relocation", elf.pie_with_relocation(elf.R_X86_64_COPY).bytes(),
           "relocation 0 of DT_RELA: type 5 (R_X86_64_COPY) is not supported; "
           "there is no library to copy from: compile with -fpie")


def segment_kernels():
    kernel = with_segment(2, flags=R | W | X)
    yield ("write-execute", kernel.bytes(),
           f"segment 2 {span(kernel.segments[2])} is writable and executable")
    kernel = with_segment(1, virt=BASE + 16)
    kernel.segments[1].align = 1
    yield ("overlap", kernel.bytes(),
           f"segment 1 {span(kernel.segments[1])} overlaps segment 0 {span(kernel.segments[0])}")
    kernel = with_segment(2, virt=BASE + 2 * PAGE + 2048)
    yield ("shared-page", kernel.bytes(),
           f"segment 2 {span(kernel.segments[2])} shares a page with segment 1 "
           f"{span(kernel.segments[1])}, which has other rights")
    kernel = with_segment(1, mem_bytes=100)
    yield ("file-larger-than-memory", kernel.bytes(),
           f"segment 1 has {len(kernel.segments[1].data)} bytes in the file but only 100 in memory")
    kernel = with_segment(1, offset=0x4000000, data=b"", file_bytes=64)
    yield ("offset-outside", kernel.bytes(),
           f"segment 1, 64 bytes at offset 0x4000000, lies outside the file of "
           f"{len(kernel.bytes())} bytes")
    kernel = with_segment(1, offset=2 ** 64 - PAGE, data=b"", file_bytes=2 * PAGE)
    yield ("offset-wraps", kernel.bytes(),
           f"segment 1, {2 * PAGE} bytes at offset 0xfffffffffffff000, lies outside the file of "
           f"{len(kernel.bytes())} bytes")
    kernel = with_segment(1, virt=0x400000)
    yield ("lower-half", kernel.bytes(),
           f"segment 1 {span(kernel.segments[1])} lies outside the kernel's window {WINDOW}")
    kernel = with_segment(2, virt=2 ** 64 - 2 * PAGE)
    yield ("wraps", kernel.bytes(),
           f"segment 2, {kernel.segments[2].header_mem_bytes:#x} bytes at {2 ** 64 - 2 * PAGE:#x}, "
           "runs past the end of the address space")
    kernel = with_segment(1, align=3)
    yield ("alignment", kernel.bytes(),
           "segment 1: alignment 0x3 is not a power of two up to 1 GiB")
    kernel = with_segment(2, mem_bytes=1 << 30)
    bytes_needed = (1 << 30) + 4 * PAGE
    yield ("larger-than-ram", kernel.bytes(),
           f"no room for the image of {bytes_needed} bytes (out of memory); the 64 largest free runs have N")


# Wishes in the kernel's note that no loader can grant


def note_kernels():
    yield ("note-version", elf.with_note(version=99).bytes(),
           "built for version 99 of the boot protocol; this loader speaks 1")
    yield ("note-stack", elf.with_note(stack_bytes=5000).bytes(),
           "the Slipway note asks for a stack of 5000 bytes, not a multiple of 4 KiB up to 16 MiB")
    yield ("note-flags", elf.with_note(flags=0x80).bytes(),
           "the Slipway note has unknown flags (0x80)")


# Files made for something else


MULTIBOOT2 = [0xE85250D6, 0, 16, 2 ** 32 - 0xE85250D6 - 16]
LIMINE = [0xDF4C8B88, 0xC7B1DD30, 0xA194F07B, 0x0A82E883]


def foreign_kernels():
    made_for = "made for the {} protocol (its magic is at offset {:#x}): use a loader of that protocol"
    yield ("gzip", gzip.compress(Elf().bytes()),
           "neither an ELF nor a PE file; found: gzip-compressed: decompress it")
    kernel = elf.with_words(MULTIBOOT2, elf_class=1)
    yield ("multiboot2", kernel.bytes(), "not a 64-bit ELF file (class 1); "
           + made_for.format("Multiboot2", kernel.offsets()[1]))


# Configs


GOOD = b"# comment\n\n"


def configs():
    yield ("unknown-key", GOOD + b"kernl = x\n",
           "line 3, column 1: unknown key 'kernl'; keys here are kernel, cmdline, log, module, digest, "
           "sha256, paging, resolution, clear, protocol, strict, kaslr, default, timeout, bls")
    yield ("duplicate", b"kernel = a\n\nkernel = b\n",
           "line 3, column 1: key 'kernel' is set a second time, first in line 1")
    yield "no-value", GOOD + b"cmdline =  \n", "line 3, column 1: key 'cmdline' has no value"
    yield "no-equals", b"kernel\n", "line 1, column 1: no '=' in 'kernel'"
    yield "no-key", b"\r\n = x\r\n", "line 2, column 2: no key before '=' in '= x'"
    yield ("no-quote", GOOD + b"cmdline = \"a b\n", "line 3, column 11: no closing quote in '\"a b'")
    yield ("after-quote", GOOD + b"module = \"a b\"c\n",
           "line 3, column 15: text after the closing quote in '\"a b\"c'")
    yield "not-utf8", GOOD + b"cmdline = \xff\n", "line 3, column 11: byte 0xff is not valid UTF-8"
    yield ("cut-utf8", b"cmdline = \xe2\x82\n", "line 1, column 11: byte 0xe2 is not valid UTF-8")
    yield ("control", b"cmdline = a\x07\n", "line 1, column 12: byte 0x07 is a control character")
    yield "log", b"log = loud\n", "line 1, column 7: 'loud' is not quiet, info or debug"
    yield "digest", b"digest = md5\n", "line 1, column 10: 'md5' is not none or sha256"


def cases():
    """name: (files, message)"""
    default = "(the default kernel: there is no slipway.conf)"
    yield "kernel-missing", {"placeholder": b"x"}, f"\\kernel.elf: not found {default}"
    yield ("kernel-missing-empty-config", {"slipway.conf": b""},
           "\\kernel.elf: not found (the default kernel: /slipway.conf is empty)")
    yield ("kernel-elsewhere", {"slipway.conf": b"kernel = /boot/mine.elf\n"},
           "/boot/mine.elf: not found (key 'kernel', /slipway.conf line 1)")
    yield "kernel-folder", {"kernel.elf/file": b"x"}, f"\\kernel.elf: is a directory {default}"
    for generator in (truncated_kernels, header_kernels, segment_kernels, note_kernels,
                      foreign_kernels):
        for name, kernel, message in generator():
            yield name, {"kernel.elf": kernel}, f"\\kernel.elf: {message}"
    for name, config, message in configs():
        yield (f"config-{name}", {"slipway.conf": config, "kernel.elf": Elf().bytes()},
               f"/slipway.conf: {message}")
    yield ("module-missing", {"slipway.conf": b"\nmodule = my initrd.img\n",
                              "kernel.elf": Elf().bytes()},
           "my: not found (key 'module', /slipway.conf line 2); a path with blanks wants quotes")
    path = "/".join(["a" * 70] * 4 + ["module"])
    yield ("module-path-too-long", {"slipway.conf": f"module = {path}\n".encode(), path: b"x",
                                    "kernel.elf": Elf().bytes()},
           f"...{path[-196:]}: cannot open (invalid parameter) (key 'module', /slipway.conf line 1); "
           "firmware may not know paths of more than 255 characters: move the file up")
    # Wishes that this machine cannot grant. q35 and OVMF keep 896 KiB of the 256 MiB.
    yield ("note-ram", {"kernel.elf": elf.with_note(ram_floor_bytes=1 << 40).bytes()},
           f"the kernel wants {1 << 40} bytes of RAM, the machine has {256 * MIB - (896 << 10)}")
    yield ("note-levels", {"kernel.elf": elf.with_note(paging_levels=5).bytes()},
           "the kernel wants 5 paging levels, the CPU has 4")
    yield from protocol_cases()


def protocol_cases():
    """Files of another kind than the config says, and PE files that are no applications."""
    application = LOADER.read_bytes()
    header = int.from_bytes(application[0x3c:0x40], "little")

    def patched(at, value):
        return application[:at] + value + application[at + len(value):]
    for protocol, kernel, message in (
            ("slipway", application,
             "not an ELF file; a PE file (EFI application), which protocol = efi starts"),
            ("efi", Elf().bytes(), "protocol = efi is for PE files; found: an ELF file"),
            ("linux", Elf().bytes(),
             "protocol = linux is for Linux kernels with an EFI stub; found: an ELF file"),
            ("linux", application, "protocol = linux is for Linux kernels with an EFI stub; found: "
             "a PE file without Linux's header")):
        yield (f"protocol-{protocol}-{kernel[:2].hex()}",
               {"slipway.conf": f"protocol = {protocol}\n".encode(), "kernel.elf": kernel},
               f"\\kernel.elf: {message}")
    kernel = elf.with_words(LIMINE)
    yield ("protocol-slipway-limine", {"slipway.conf": b"protocol = slipway\n", "kernel.elf": kernel.bytes()},
           "\\kernel.elf: no SLIPWAY_KERNEL_NOTE; made for the Limine protocol (its magic is at offset "
           f"{kernel.offsets()[1]:#x}): protocol = limine boots such kernels")
    yield ("protocol-limine-none", {"slipway.conf": b"protocol = limine\n", "kernel.elf": Elf().bytes()},
           "\\kernel.elf: has no request of the Limine protocol (protocol = limine)")
    yield ("efi-module", {"slipway.conf": b"module = /x\n", "x": b"", "kernel.elf": application},
           "\\kernel.elf: an EFI application takes no modules (key 'module', /slipway.conf line 1)")
    yield ("efi-machine", {"kernel.elf": patched(header + 4, b"\x4c\1")},
           "\\kernel.elf: a PE file not for x86-64 (machine 0x14c)")
    yield ("efi-driver", {"kernel.elf": patched(header + 24 + 68, b"\x0b")},
           "\\kernel.elf: a PE file but no EFI application (subsystem 11)")


CASES = {name: (files, message) for name, files, message in cases()}


def run_cases(folder):
    """Boots the launcher over all cases; returns what was said of each, by name."""
    files = {"EFI/BOOT/BOOTX64.EFI": LAUNCHER, "common/loader.efi": LOADER}
    for name, (case_files, _) in CASES.items():
        files.update({f"cases/{name}/{path}": content for path, content in case_files.items()})
    image = make_image(folder / "cases.img", files, size=32 * MIB)
    # With a display, because without one the firmware's console is COM1 again.
    result = boot([image], memory="256M", display=True, timeout=90)
    assert result.debug_exit == EXIT_CASES_DONE, result.serial[-4000:]
    pieces = re.split(r"^CASE (\S+)$", result.serial, flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2]))


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    return run_cases(tmp_path_factory.mktemp("cases"))


def pages(said_of_case, when):
    values = re.search(rf"^{when}((?: 0x[0-9a-f]+)+)$", said_of_case, re.M)
    return [int(value, 16) for value in values[1].split()]


def without_free(text):
    """How much memory the firmware has left is its own affair."""
    return re.sub(r"(runs have )\d+", r"\1N", text)


@pytest.mark.xdist_group("cases")
@pytest.mark.parametrize("name", CASES)
def test_the_loader_says_why_gives_everything_back_and_returns(said, name):
    text, message = without_free(said[name]), f"slipway: {CASES[name][1]}"
    on_serial = [line for line in text.splitlines() if line.startswith("slipway: ")]
    assert on_serial == [message], text
    on_console = [line.replace("console: ", "") for line in text.splitlines()
                  if line.startswith("console: ")]
    assert on_console == [message, KEY], text

    status = int(re.search(r"^RETURNED (0x[0-9a-f]+)$", text, re.M)[1], 16)
    assert status >> 63, f"{status:#x} is no error"

    # By EFI memory type: what the loader allocates is loader code (1) and data (2). Boot services
    # data (4) is the firmware's own; a handful of pages stays with it for every image it starts.
    before, after = pages(text, "BEFORE"), pages(text, "AFTER")
    assert after[1:3] == before[1:3], "pages were kept"
    assert after[4] - before[4] <= 16
    unchanged = [0, 3, 5, 6, 8, 9, 10, 11, 12, 13]
    assert [after[i] for i in unchanged] == [before[i] for i in unchanged]


@pytest.mark.parametrize("name", CASES)
def test_loadcheck_says_the_same(tmp_path, name):
    """Without a machine: over the files, with the RAM and the paging levels that the machine has."""
    files, message = CASES[name]
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    machine = ["--ram", str(256 * MIB - (896 << 10)), "--levels", "4"]
    done = subprocess.run([LOADCHECK, "--quiet", *machine, "--esp", tmp_path], capture_output=True,
                          text=True, timeout=60)
    assert (done.returncode, without_free(done.stdout), done.stderr) == (1, f"{message}\n", "")


@pytest.mark.parametrize("name, disk", [("kernel-missing", "virtio"), ("cut-after-header", "ahci"),
                                        ("config-log", "virtio")])
def test_the_firmware_goes_on_to_its_next_boot_option(tmp_path, name, disk):
    files, message = CASES[name]
    first = volume(tmp_path, files=files)
    second = make_image(tmp_path / "next.img", {"EFI/BOOT/BOOTX64.EFI": NEXT_APP}, size=16 * MIB)
    with Machine([first, second], memory="128M", disk=disk) as machine:
        machine.wait_for(KEY)
        assert "NEXT BOOT OPTION" not in machine.serial
        machine.send(" ")
        machine.wait_end()
    result = machine.result()
    # Once, although COM1 is the firmware's console, too.
    assert result.serial.count(f"slipway: {message}\n") == 1
    assert result.serial.index(message) < result.serial.index("NEXT BOOT OPTION REACHED")
    assert result.debug_exit == EXIT_NEXT


def test_the_unbroken_kernels_boot_without_a_config(tmp_path):
    """What all the kernels above were before something was broken; and a config is not needed."""
    for name, kernel in (("exec", Elf()), ("pie", elf.pie_with_relocation(elf.R_X86_64_RELATIVE))):
        image = volume(tmp_path, kernel.bytes(), name=f"{name}.img")
        result = snapshots.boot([image], memory="128M")
        assert elf.BOOTED in result.serial and result.debug_exit == elf.BOOTED_EXIT
