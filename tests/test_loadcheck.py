"""loadcheck, the loader's own files as a program of the host's: against pyelftools, with trees of an
EFI system partition, and over every ELF file of this machine. That it refuses in the loader's words
is shown in tests/boot/test_refusals.py."""

import hashlib
import json
import os
import random
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

PAGE = 4096
WORDS = 2**64
DEFAULT = 0xFFFFFFFF80000000
STEP = 2 << 20  # of a random slide
KINDS = {0: "NONE", 1: "64", 6: "GLOB_DAT", 7: "JUMP_SLOT", 8: "RELATIVE"}
CONTRACT = ["exec", "pie", "moved", "lowest", "window", "wishes", "large", "cpus", "direct", "tls", "kaslr"]
TOP = {"file", "esp", "entry", "verdict", "reason", "machine", "config", "kernel", "image", "space"}
KERNEL = {"type", "file_bytes", "linked_start", "linked_end", "start", "end", "slide", "slide_lowest",
          "slide_highest", "slide_step", "entry", "segments", "pages", "thread_local", "relocations", "wishes",
          "page_tables", "sha256"}


@pytest.fixture(scope="session")
def program(build):
    return build / "host/loadcheck-checked"


@pytest.fixture
def loadcheck(program, run):
    """loadcheck(arguments..., status=0): what it says of one kernel, as JSON."""
    def loadcheck(*arguments, status=0):
        said = json.loads(run(program, "--json", *arguments, status=status).stdout)
        assert set(said) == TOP
        assert said["verdict"] == ["boots", "refused", "unknown"][status]
        assert (said["reason"] is None) == (status == 0)
        return said
    return loadcheck


@pytest.fixture
def kernels(build):
    return {"kernel": build / "kernel.elf", **{name: build / f"tests/kernels/{name}.elf" for name in CONTRACT}}


def header(kind, entry, phdrs):
    """An ELF file's header and program headers: (type, flags, offset, address, bytes, memory)."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    parts = [ident, struct.pack("<HHIQQQIHHHHHH", kind, 62, 1, entry, 64, 0, 0, 64, 56, len(phdrs), 0, 0, 0)]
    for type_, flags, offset, virt, file_bytes, memory_bytes in phdrs:
        parts.append(struct.pack("<IIQQQQQQ", type_, flags, offset, virt, virt, file_bytes, memory_bytes, PAGE))
    return b"".join(parts)


def small_kernel(bss=0):
    """Text of one page, and data of one page with so many bytes of bss."""
    file = header(2, DEFAULT, [(1, 5, PAGE, DEFAULT, PAGE, PAGE),
                               (1, 6, 2 * PAGE, DEFAULT + PAGE, PAGE, PAGE + bss)])
    return file.ljust(PAGE, b"\0") + b"\xf4" * PAGE + b"d" * PAGE


# The kernel


@pytest.mark.parametrize("name", ["kernel", *CONTRACT])
def test_what_is_said_of_a_kernel_is_what_its_file_says(loadcheck, kernels, name):
    said = loadcheck(kernels[name])["kernel"]
    assert set(said) == KERNEL
    with open(kernels[name], "rb") as file:
        elf = ELFFile(file)
        loads = [(i, s) for i, s in enumerate(elf.iter_segments()) if s["p_type"] == "PT_LOAD" and s["p_memsz"]]
        start = min(s["p_vaddr"] for _, s in loads) // PAGE * PAGE
        end = -(-max(s["p_vaddr"] + s["p_memsz"] for _, s in loads) // PAGE) * PAGE
        slide = DEFAULT - start if elf["e_type"] == "ET_DYN" else 0
        assert said["type"] == elf["e_type"]
        assert said["file_bytes"] == kernels[name].stat().st_size
        addresses = {"linked_start": start, "linked_end": end, "start": start + slide, "end": end + slide,
                     "slide": slide, "slide_lowest": slide,
                     "slide_highest": slide + ((1 << 30) - STEP if name == "kaslr" else 0),
                     "entry": elf["e_entry"] + slide}
        assert said["slide_step"] == (STEP if name == "kaslr" else 0)
        assert said["wishes"]["kaslr"] == (name == "kaslr")
        assert {key: said[key] for key in addresses} == \
            {key: hex(value % WORDS) for key, value in addresses.items()}
        assert said["segments"] == [{
            "index": i, "start": hex(s["p_vaddr"] + slide), "end": hex(s["p_vaddr"] + slide + s["p_memsz"]),
            "file_offset": s["p_offset"], "file_bytes": s["p_filesz"], "memory_bytes": s["p_memsz"],
            "write": bool(s["p_flags"] & 2), "execute": bool(s["p_flags"] & 1)} for i, s in loads]
        assert said["relocations"] == count_relocations(elf)
        tls = [s for s in elf.iter_segments("PT_TLS") if s["p_memsz"]]
        assert (said["thread_local"] is not None) == (name == "tls") == bool(tls)
        if tls:
            assert said["thread_local"]["memory_bytes"] == tls[0]["p_memsz"]
        relro = [s for s in elf.iter_segments("PT_GNU_RELRO")]
    check_pages(said, relro, slide)


def count_relocations(elf):
    """By kind, from the dynamic section, since the kernels have no others any more. None is packed."""
    counts = dict.fromkeys([*KINDS.values(), "RELR"], 0)
    for segment in elf.iter_segments("PT_DYNAMIC"):
        assert not list(segment.iter_tags("DT_RELR"))
        for table in segment.get_relocation_tables().values():
            for relocation in table.iter_relocations():
                counts[KINDS[relocation["r_info_type"]]] += 1
    return counts


def check_pages(said, relro, slide):
    """Every page of a segment is in one run, with the segment's rights; RELRO takes the right to write."""
    want = {}
    for segment in said["segments"]:
        for page in range(int(segment["start"], 16) // PAGE, -(-int(segment["end"], 16) // PAGE)):
            want[page * PAGE] = (segment["write"], segment["execute"])
    for segment in relro:
        first = -(-(segment["p_vaddr"] + slide) // PAGE)
        last = (segment["p_vaddr"] + slide + segment["p_memsz"]) // PAGE
        want.update({page * PAGE: (False, False) for page in range(first, last)})
    runs = [(int(run["start"], 16), int(run["end"], 16), run["write"], run["execute"]) for run in said["pages"]]
    assert {page: (write, execute) for start, end, write, execute in runs
            for page in range(start, end, PAGE)} == want


def test_relocations_are_counted_by_kind(loadcheck, run, tmp_path):
    source = tmp_path / "kernel.c"
    source.write_text("int a; extern int weak __attribute__((weak)); int *p[] = {&a, &a + 1, &a + 2};\n"
                      "int *volatile q = &weak; void _start(void) { p[a] = q; }\n")
    common = ["-ffreestanding", "-nostdlib", "-fpie", "-static-pie", "-fuse-ld=lld", source, "-o"]
    for flag, packed in (("none", 0), ("relr", 3)):
        kernel = tmp_path / f"{flag}.elf"
        run("clang", f"-Wl,--pack-dyn-relocs={flag}", *common, kernel)
        counts = loadcheck(kernel)["kernel"]["relocations"]
        assert (counts["RELR"], counts["RELATIVE"]) == (packed, 3 - packed)
        assert sum(counts.values()) == 3 + counts["64"]


def test_wishes_and_what_the_machine_must_have_are_said(loadcheck, kernels):
    wishes = loadcheck(kernels["direct"])["kernel"]["wishes"]
    assert wishes == {"version": 1, "stack_bytes": 64 << 10, "direct_map": "0x0", "ram_floor_bytes": 0,
                      "paging_levels": 0, "framebuffer": False, "keep_screen": False, "cpus": True, "direct": True,
                      "kaslr": False}
    wishes = loadcheck(kernels["wishes"])["kernel"]["wishes"]
    assert wishes["version"] == 1 and wishes["stack_bytes"] != 64 << 10
    assert loadcheck(kernels["exec"])["kernel"]["wishes"]["version"] is None


def tables(said):
    return {(count["levels"], count["pages_1g"]): count["tables"] for count in said["kernel"]["page_tables"]}


def test_page_tables_are_those_that_the_layout_takes(loadcheck, kernels):
    # The root; the direct map's one table of level 3 and one of level 2, and one of level 1 where the
    # kernel's read-only pages cut a large one; three of the window, with the framebuffer's one more; of
    # the firmware's tables and of the kernel three each.
    assert tables(loadcheck(kernels["exec"])) == {
        (4, False): 14, (4, True): 14, (5, False): 15, (5, True): 15}
    # Placed at a multiple of 2 MiB as it is linked, it has large leaves: four tables of level 1 for it and
    # three where its read-only pages lie in the direct map, instead of one and one.
    assert tables(loadcheck(kernels["large"]))[4, False] == 14 + 3 + 2
    # 64 GiB in one table of level 3 and 64 of level 2, or 1 for the GiB with the kernel in it.
    said = tables(loadcheck("--ram", "64G", kernels["exec"]))
    assert said[4, False] == 14 + 63 and said[5, False] == 15 + 63
    assert said[4, True] == 14 and said[5, True] == 15


def test_places_give_way_to_the_kernel(loadcheck, kernels):
    spaces = {name: loadcheck("--ram", "1G", kernels[name])["space"] for name in ("exec", "lowest", "window")}
    usual = {"levels": 4, "direct_map_start": "0xffff800000000000", "direct_map_end": "0xffff800040000000",
             "window": "0xffffc00000000000", "direct_map_places": 0}
    assert spaces["exec"] == usual
    assert spaces["lowest"] == {**usual, "direct_map_start": "0xffff808000000000",
                                "direct_map_end": "0xffff808040000000"}
    assert spaces["window"] == {**usual, "window": "0xffffd00000000000"}


def test_places_that_kaslr_may_choose_are_told_as_note_and_config_have_it(program, run, loadcheck, kernels, esp):
    assert loadcheck("--ram", "1G", kernels["kaslr"])["space"]["direct_map_places"] == 65535
    text = run(program, "--ram", "1G", kernels["kaslr"]).stdout
    assert ("slide         0xffffffff80000000; with KASLR one of 512 from 0xffffffff80000000 to 0xffffffffbfe00000"
            " in steps of 2 MiB\n") in text
    assert "direct map    [0xffff800000000000, 0xffff800040000000); with KASLR at one of 65535 places\n" in text
    assert "  KASLR       image and direct map may lie at random places\n" in text
    for config, name, slide, places in (("off", "kaslr", 0, 0), ("on", "kaslr", STEP, 65535),
                                        ("on", "pie", STEP, 128), ("on", "exec", 0, 128), ("on", "wishes", 0, 0)):
        tree = esp({"kernel.elf": kernels[name].read_bytes(), "slipway.conf": f"kaslr = {config}\n"})
        said = loadcheck("--esp", tree)
        assert (said["kernel"]["slide_step"], said["space"]["direct_map_places"]) == (slide, places), (config, name)


def test_a_tebibyte_of_zeroes_takes_no_memory(build, tmp_path, run):
    kernel = tmp_path / "kernel.elf"
    kernel.write_bytes(header(2, 0xFFFFA00000000000, [
        (1, 5, PAGE, 0xFFFFA00000000000, PAGE, PAGE),
        (1, 6, 2 * PAGE, 0xFFFFA00000000000 + PAGE, PAGE, 1 << 40)]).ljust(3 * PAGE, b"\xf4"))
    # Started by a small process: what the parent has in memory when it forks counts as the child's, too.
    # Should the image be touched after all, that is to end before the host has no more.
    starter = ("import resource, subprocess, sys; print(subprocess.run(sys.argv[1:]).returncode, "
               "resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    said = run("/usr/bin/python3", "-c", starter, "sh", "-c", 'ulimit -t 2; exec "$0" "$@"',
               build / "host/loadcheck", "-q", "--ram", "2T", kernel).stdout
    boots, facts = said.splitlines()
    status, peak = map(int, facts.split())
    assert (boots, status) == (f"{kernel}: boots", 0)
    assert peak < 100 << 10
    said = run(build / "host/loadcheck", "-q", "--ram", "1T", kernel, status=1).stdout
    assert said.startswith(f"{kernel}: no room for the image of {(1 << 40) + PAGE} bytes (out of memory); "
                           "the 64 largest free runs have ")


def test_an_image_that_could_leave_no_place_for_the_window_is_refused(build, tmp_path, run):
    kernel, start, window = tmp_path / "kernel.elf", 0xFFFFC7FFFF000000, 8 << 40
    for size in (window, window + PAGE):
        kernel.write_bytes(header(2, start, [
            (1, 5, PAGE, start, PAGE, PAGE),
            (1, 6, 2 * PAGE, start + PAGE, PAGE, size - PAGE)]).ljust(3 * PAGE, b"\xf4"))
        said = run(build / "host/loadcheck-checked", "-q", "--ram", "32T", kernel, status=int(size > window)).stdout
        assert said == f"{kernel}: " + ("boots" if size <= window else
                                        f"the image has {size} bytes, more than {window}") + "\n"


def test_files_that_claim_much_are_soon_done_with(loadcheck, tmp_path):
    """As many segments as there can be, and tables of relocations that are larger than the file."""
    kernel, bss = tmp_path / "kernel.elf", 48 << 20
    kernel.write_bytes(header(2, DEFAULT, [(1, 5, 0, DEFAULT + i * PAGE, 0, PAGE) for i in range(65534)]))
    assert len(loadcheck(kernel)["kernel"]["segments"]) == 65534
    table, entries = DEFAULT + 3 * PAGE, bss // 24
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in (
        (7, table), (8, entries * 24), (9, 24), (23, table), (2, entries * 24), (20, 7), (0, 0)))
    file = header(2, DEFAULT, [(1, 5, PAGE, DEFAULT, PAGE, PAGE),
                               (1, 6, 2 * PAGE, DEFAULT + PAGE, PAGE, 3 * PAGE + bss),
                               (2, 6, 2 * PAGE, DEFAULT + PAGE, len(dynamic), len(dynamic))])
    kernel.write_bytes(file.ljust(PAGE, b"\0") + b"\xf4" * PAGE + dynamic.ljust(PAGE, b"\0"))
    assert loadcheck(kernel)["kernel"]["relocations"]["NONE"] == 2 * entries


@pytest.mark.parametrize("ram", ["32M", "33M", "1023M", "2G", "2052M", "4G", "32T"])
def test_every_kernel_boots_with_any_ram(program, run, kernels, ram):
    said = run(program, "-q", "--ram", ram, *kernels.values()).stdout
    assert said == "".join(f"{path}: boots\n" for path in kernels.values())


# What a person reads, and how a script finds out


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


# PE files


def test_an_efi_application_is_said_to_be_started_by_the_firmware(program, loadcheck, run, build):
    loader = build / "BOOTX64.EFI"
    said = loadcheck(loader)
    assert said["image"] == {"protocol": "efi", "file_bytes": loader.stat().st_size, "release": None,
                             "sha256": None}
    assert said["kernel"] is None and said["space"] is None
    text = run(program, loader).stdout
    assert f"kernel        {loader}, {loader.stat().st_size} bytes, PE\n" \
        "starts        as an EFI application, by the firmware\n" in text


def make_linux():
    """A PE file with Linux's header, and nothing else."""
    file = bytearray(0x1400)
    for at, value in {0: b"MZ", 0x3c: b"\x48", 0x48: b"PE\0\0\x64\x86", 0x60: b"\x0b\x02",
                      0x60 + 44: b"\1", 0x60 + 68: b"\x0a", 0x1fe: b"\x55\xaa", 0x202: b"HdrS\x0f\2",
                      0x20e: b"\0\x10", 0x238: b"\x10", 0x1200: b"6.1-x y"}.items():
        file[at:at + len(value)] = value
    return bytes(file)


def test_of_linux_release_initrd_and_command_line_are_looked_at(program, run, tmp_path):
    (tmp_path / "kernel.elf").write_bytes(make_linux())
    (tmp_path / "initrd").write_bytes(b"x")
    config = tmp_path / "slipway.conf"
    config.write_text("module = /initrd\ncmdline = 0123456789abcdef\ndigest = sha256\n")
    said = json.loads(run(program, "--json", "--esp", tmp_path).stdout)
    assert said["image"]["protocol"] == "linux" and said["image"]["release"] == "6.1-x"
    assert [module["bytes"] for module in said["config"]["modules"]] == [1]
    assert "starts        as Linux 6.1-x, by the firmware\n" in run(program, "--esp", tmp_path).stdout
    config.write_text("cmdline = 0123456789abcdefg\n")
    assert run(program, "-q", "--esp", tmp_path, status=1).stdout == \
        "\\kernel.elf: the command line has 17 bytes, of which this kernel takes 16\n"
    config.write_text("module = /nothing\n")
    assert run(program, "-q", "--esp", tmp_path, status=1).stdout == \
        "/nothing: not found (key 'module', /slipway.conf line 1)\n"


# The tree of an EFI system partition


@pytest.fixture
def esp(tmp_path):
    """esp(files): a folder with these files, by path."""
    def esp(files):
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path
    return esp


def test_a_tree_is_read_as_the_loader_reads_it(esp, loadcheck, build):
    initrd = b"initrd" * 1000
    digest = hashlib.sha256(initrd).hexdigest()
    config = ("kernel = /boot/KERNEL.elf\ncmdline = root=/dev/sda\nmodule = label(DATA)/other\n"
              f"module = \\Boot\\initrd.img  some text\nsha256 = {digest}\n")
    said = loadcheck("--esp", esp({"EFI/Boot/SLIPWAY.CONF": config, "slipway.conf": "nonsense",
                                   "Boot/kernel.ELF": (build / "kernel.elf").read_bytes(),
                                   "Boot/initrd.img": initrd}))
    assert said["config"] == {
        "path": "/EFI/BOOT/slipway.conf", "kernel": "/boot/KERNEL.elf", "cmdline": "root=/dev/sda",
        "modules": [
            {"path": "label(DATA)/other", "cmdline": "", "seen": False, "bytes": None, "sha256": None},
            {"path": "\\Boot\\initrd.img", "cmdline": "some text", "seen": True, "bytes": 6000, "sha256": digest}]}
    assert said["kernel"]["file_bytes"] == (build / "kernel.elf").stat().st_size


@pytest.mark.parametrize("folder, shown", [("EFI/slipway/", "/EFI/slipway/slipway.conf"), ("", "/slipway.conf"),
                                           (None, None)])
def test_the_config_is_looked_for_where_loaders_lie(esp, loadcheck, folder, shown):
    files = {"kernel.elf": small_kernel()}
    if folder is not None:
        files[f"{folder}slipway.conf"] = "paging = 4\n"
    config = loadcheck("--esp", esp(files))["config"]
    assert (config["path"], config["modules"]) == (shown, [])


def test_digests_are_checked(esp, loadcheck):
    kernel, wrong = small_kernel(), "ab" * 32
    right = hashlib.sha256(kernel).hexdigest()
    said = loadcheck("--esp", esp({"slipway.conf": f"kernel = k\nsha256 = {right}\n", "K": kernel}))
    assert said["kernel"]["sha256"] == right
    said = loadcheck("--esp", esp({"slipway.conf": f"kernel = k\nsha256 = {wrong}\n"}), status=1)
    assert said["reason"] == f"k: its SHA-256 is {right}, not {wrong} (key 'sha256', /slipway.conf line 2)"
    empty = hashlib.sha256(b"").hexdigest()
    config = f"kernel = k\nmodule = empty\nsha256 = {right}\n"
    said = loadcheck("--esp", esp({"slipway.conf": config, "empty": b""}), status=1)
    assert said["reason"] == f"empty: its SHA-256 is {empty}, not {right} (key 'sha256', /slipway.conf line 3)"


def test_a_kernel_takes_the_place_of_the_one_in_the_config(esp, loadcheck, kernels):
    tree = esp({"slipway.conf": "kernel = label(ROOT)/boot/mine.elf\npaging = 5\n"})
    said = loadcheck("--esp", tree, kernels["pie"])
    assert said["kernel"]["type"] == "ET_DYN" and said["space"]["levels"] == 5
    said = loadcheck("--esp", tree, status=2)
    assert said["reason"] == ("label(ROOT)/boot/mine.elf: lies on another volume, which cannot be looked at "
                              "here; name its file, too")
    said = loadcheck("--esp", tree, "--levels", "4", kernels["pie"], status=1)
    assert said["reason"] == "the config wants 5 paging levels, the CPU has 4"


def test_paths_lead_to_nothing_outside_of_the_tree(esp, loadcheck, tmp_path):
    esp({"tree/kernel.elf": small_kernel(), "outside": b"x"})
    (tmp_path / "tree/slipway.conf").write_text("module = ../outside\n")
    said = loadcheck("--esp", tmp_path / "tree", status=1)
    assert said["reason"] == "../outside: not found (key 'module', /slipway.conf line 1)"
    (tmp_path / "tree/slipway.conf").write_text("kernel = ./x/../kernel.elf\n")
    loadcheck("--esp", tmp_path / "tree")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_a_pipe_or_a_device_is_not_waited_for(esp, loadcheck, tmp_path, make):
    make(tmp_path / "kernel.elf")
    said = loadcheck("--esp", tmp_path, status=2)
    assert said["reason"] == "kernel.elf: neither a file nor a folder"
    assert loadcheck(tmp_path / "kernel.elf", status=2)["reason"].endswith(": not a file")


def test_modules_must_fit_into_the_machine(esp, loadcheck):
    tree = esp({"kernel.elf": small_kernel(), "slipway.conf": "module = large\n", "large": bytes(20 << 20)})
    assert loadcheck("--esp", tree)["config"]["modules"][0]["bytes"] == 20 << 20
    said = loadcheck("--esp", tree, "--ram", "16M", status=1)
    assert said["reason"].startswith(f"large: no room for the module of {20 << 20} bytes (out of memory); "
                                     "the largest free run has ")


def test_no_file_of_the_host_stays_open(esp, program, run):
    tree = esp({"a/kernel.elf": small_kernel(), "a/file": b"x",
                "slipway.conf": "kernel = /a/kernel.elf\n" + "module = /a/../a/file\n" * 100})
    run("sh", "-c", 'ulimit -n 12; exec "$0" "$@"', program, "-q", "--esp", tree)
    run("sh", "-c", 'ulimit -n 12; exec "$0" "$@"', program, "-q", *[tree / "a/kernel.elf"] * 100)


# Anything


def run_all(program, files):
    """What is said of each file, one line each, by several processes. None of them crashes."""
    def run_some(some):
        done = subprocess.run([program, "-q", *some], capture_output=True, timeout=300)
        assert done.returncode in (0, 1), (done.returncode, done.stderr[-4000:])
        assert done.stderr == b""
        return done.stdout.splitlines()
    with ThreadPoolExecutor(2) as pool:
        batches = pool.map(run_some, [files[i:i + 250] for i in range(0, len(files), 250)])
        lines = [line for batch in batches for line in batch]
    assert len(lines) == len(files)
    for file, line in zip(files, lines):
        assert line.startswith(os.fsencode(file) + b": ") and len(line) > len(os.fsencode(file)) + 6
    return lines


def is_elf(path):
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


@pytest.mark.weight(10)
def test_every_elf_file_of_this_machine_is_refused_with_a_reason_or_boots(program):
    files = [os.path.join(folder, name) for top in ("/usr/lib", "/usr/bin") for folder, _, names in os.walk(top)
             for name in names if "\n" not in name]
    files = [path for path in files if not os.path.islink(path) and os.path.isfile(path) and is_elf(path)]
    lines = run_all(program, files)
    refused = [line for line in lines if not line.endswith(b": boots")]
    print(f"{len(files)} ELF files, {len(refused)} refused")
    assert len(files) > 500 and len(refused) > 500


@pytest.mark.weight(5)
def test_broken_kernels_are_refused_or_boot(program, kernels, tmp_path):
    source = random.Random(1)
    files = []
    for name in ("pie", "tls", "direct"):
        whole = kernels[name].read_bytes()
        with open(kernels[name], "rb") as file:
            dynamic = [s["p_offset"] for s in ELFFile(file).iter_segments("PT_DYNAMIC")]
        for i in range(200):
            broken = bytearray(whole)
            for _ in range(source.choice((1, 1, 2, 4))):
                start = source.choice((0, 0, 64, source.randrange(len(whole)), *dynamic))
                at = min(start + source.randrange(300), len(whole) - 8)
                value = source.choice((0, 1, 255, 2**31, 2**47, 2**63, WORDS - 1, source.randrange(WORDS)))
                size = source.choice((1, 2, 4, 8))
                broken[at:at + size] = (value % 256**size).to_bytes(size, "little")
            cut = source.randrange(len(whole)) if source.random() < 0.1 else len(whole)
            path = Path(tmp_path / f"{name}{i}")
            path.write_bytes(broken[:cut])
            files.append(str(path))
    lines = run_all(program, files)
    assert 100 < sum(line.endswith(b": boots") for line in lines) < 500


@pytest.mark.parametrize("name, revision, end", [("rev0", 0, 1 << 32), ("rev6", 6, 0xfeff1000), ("pie", 6, 0xfeff1000)])
def test_a_kernel_of_the_limine_protocol_is_told_as_one(program, run, build, name, revision, end):
    said = run(program, build / f"tests/limine/{name}.elf").stdout.splitlines()
    assert f"protocol      Limine, base revision {revision}" in said
    assert "  places      stacks, descriptor tables, framebuffers in the direct map" in said
    assert f"direct map    [0xffff800000000000, {0xffff800000000000 + end:#x})" in said
    assert said[-1] == "boots         with 512 MiB of RAM"


# Entries

ENTRIES = "bls = on\nkernel = /kernel.elf\n[one]\ntitle = First\ncmdline = 1\n[two]\nmodule = /nothing\n"
LINUX = "title Debian\nversion 6.1\nlinux /linux\noptions root=x\n"


def test_each_entry_is_looked_at_or_the_one_that_is_asked_for(program, run, esp):
    tree = esp({"kernel.elf": small_kernel(), "slipway.conf": ENTRIES, "loader/entries/d+3.conf": LINUX,
                "loader/entries/bad.conf": "linux\n"})
    lines = run(program, "--json", "--esp", tree, status=1).stdout.splitlines()
    said = [json.loads(line) for line in lines]
    assert [(one["entry"], one["verdict"]) for one in said] == [
        ("one", "boots"), ("two", "refused"), ("d.conf", "refused")]
    assert said[0]["config"]["cmdline"] == "1" and said[2]["config"]["cmdline"] == "root=x"
    assert said[1]["reason"] == "/nothing: not found (key 'module', /slipway.conf line 7)"
    assert said[2]["reason"] == "/linux: not found (/loader/entries/d+3.conf line 3)"
    quiet = run(program, "--quiet", "--esp", tree, "--entry", "one").stdout
    assert quiet == f"entry one: {tree}: boots\n"
    text = run(program, "--esp", tree, "--entry", "two", status=1).stdout
    assert "  note        /loader/entries/bad.conf: none of linux, efi and uki; it is no entry\n" in text
    assert "  entry       two: two\n" in text
    refused = run(program, "--quiet", "--esp", tree, "--entry", "three", status=1).stdout
    assert refused == "--entry: in /slipway.conf there is no entry 'three'; entries are one, two, d.conf\n"
    run(program, "--entry", "one", tree / "kernel.elf", status=2)
