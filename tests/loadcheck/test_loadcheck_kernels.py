"""What loadcheck says of kernels' files and of the space that they run in: against pyelftools, and of
every ELF file of this machine that it is refused with a reason or boots."""

import os
import random
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from kernel_files import CONTRACT, DEFAULT, PAGE, header

WORDS = 2**64
STEP = 2 << 20  # of a random slide
KINDS = {0: "NONE", 1: "64", 6: "GLOB_DAT", 7: "JUMP_SLOT", 8: "RELATIVE"}
KERNEL = {"type", "file_bytes", "linked_start", "linked_end", "start", "end", "slide", "slide_lowest",
          "slide_highest", "slide_step", "entry", "segments", "pages", "thread_local", "relocations", "wishes",
          "page_tables", "sha256"}


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


# Of other kinds


@pytest.mark.parametrize("name, revision, end", [("rev0", 0, 1 << 32), ("rev6", 6, 0xfeff1000), ("pie", 6, 0xfeff1000)])
def test_a_kernel_of_the_limine_protocol_is_told_as_one(program, run, build, name, revision, end):
    said = run(program, build / f"tests/limine/{name}.elf").stdout.splitlines()
    assert f"protocol      Limine, base revision {revision}" in said
    assert "  places      stacks, descriptor tables, framebuffers in the direct map" in said
    assert f"direct map    [0xffff800000000000, {0xffff800000000000 + end:#x})" in said
    assert said[-1] == "boots         with 512 MiB of RAM"


def test_an_efi_application_is_said_to_be_started_by_the_firmware(program, loadcheck, run, build):
    loader = build / "BOOTX64.EFI"
    said = loadcheck(loader)
    assert said["image"] == {"protocol": "efi", "file_bytes": loader.stat().st_size, "release": None,
                             "sha256": None}
    assert said["kernel"] is None and said["space"] is None
    text = run(program, loader).stdout
    assert f"kernel        {loader}, {loader.stat().st_size} bytes, PE\n" \
        "starts        as an EFI application, by the firmware\n" in text


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
