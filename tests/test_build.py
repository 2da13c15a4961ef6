"""The build: the same bytes in every folder, symbols beside the stripped files, installation."""

import os
import re
import shutil
import struct

import pytest
from elftools.elf.elffile import ELFFile

PROGRAMS = ["BOOTX64.EFI", "kernel.elf"]
SYMBOLS = ["BOOTX64.debug", "kernel.sym.elf"]
LOADER_OBJECT = "build/loader/loader/main.o"
OBJECTS = [LOADER_OBJECT, "build/kernel/kernel/main.o", "build/kernel/common/base/mem.o"]


def lines_of_work(done):
    """What a make compiled or linked."""
    return [line for line in done.stdout.splitlines() if line.startswith("  ")]


def sections(path):
    with open(path, "rb") as file:
        return {section.name for section in ELFFile(file).iter_sections()}


def assert_same(folder, other, files):
    for file in files:
        first = (folder / file).read_bytes()
        assert first == (other / file).read_bytes(), f"{file} differs"
        assert str(folder.parent).encode() not in first, f"{file} names its folder"


@pytest.mark.weight(100)
def test_builds_in_two_folders_are_identical_and_a_change_of_compiler_or_of_the_files_builds_again(
        tmp_path, copy_tree, run, build):
    compiler = os.environ.get("CC") or "gcc"
    other_compiler = "gcc" if "clang" in compiler else "clang"
    sources = copy_tree(tmp_path / "sources")
    folder = shutil.copytree(sources, tmp_path / "another folder/with a longer name")
    os.utime(folder / "kernel" / "main.c", (1_000_000_000, 1_000_000_000))

    def work(compiler, *targets):
        return lines_of_work(run("make", *targets, f"CC={compiler}", cwd=folder, timeout=300))

    # The tree itself was built from sources of other dates. clang 14 writes the folder into the line
    # table of assembly.
    targets = [f"build/{program}" for program in PROGRAMS]
    first = work(compiler, *targets)
    assert_same(folder / "build", build, PROGRAMS + ([] if "clang" in compiler else SYMBOLS))
    assert "  LINK    build/kernel.sym.elf" in first and work(compiler, *targets) == []
    # The kernel, and of the loader a file, which is built by the same rule as all others.
    again = [line for line in first if "GEN" not in line and
             re.search(f" build/(kernel|gen/symbols)|{LOADER_OBJECT}$", line)]
    assert sorted(work(other_compiler, "build/kernel.elf", LOADER_OBJECT)) == sorted(again)
    assert (folder / "build/kernel.elf").read_bytes() != (build / "kernel.elf").read_bytes()
    other = shutil.copytree(sources, tmp_path / "tree")
    run("make", f"CC={other_compiler}", *OBJECTS, cwd=other)
    assert_same(folder, other, OBJECTS)
    (folder / "kernel/one_more.c").write_text("int one_more(void);\nint one_more(void) {\n    return 1;\n}\n")
    assert "  LINK    build/kernel.sym.elf" in work(other_compiler, "build/kernel.elf")
    (folder / "kernel/one_more.c").unlink()
    assert "  LINK    build/kernel.sym.elf" in work(other_compiler, "build/kernel.elf")
    run("make", "clean", cwd=folder)
    left = {path.relative_to(folder) for path in folder.rglob("*")}
    assert left == {path.relative_to(sources) for path in sources.rglob("*")}


def test_symbols_are_kept_beside_stripped_programs(build):
    assert {".debug_info", ".symtab"} <= sections(build / "BOOTX64.debug")
    assert {".debug_info", ".symtab"} <= sections(build / "kernel.sym.elf")
    assert not {".debug_info", ".symtab"} & sections(build / "kernel.elf")
    assert b".debug_info" not in (build / "BOOTX64.EFI").read_bytes()


def test_what_is_no_kernel_with_symbols_has_no_table_of_them(root, build, run):
    for name, message in ((root / "README.md", "nm: .*README.md: file format not recognized"),
                          (build / "BOOTX64.elf", ".*BOOTX64.elf: has no symbol _text_start")):
        done = run(root / "scripts/make-symbols", name, status=1)
        assert re.fullmatch(f"make-symbols: {message}\n", done.stderr) and done.stdout == ""


def test_loader_is_an_efi_application_for_x86_64(build):
    data = (build / "BOOTX64.EFI").read_bytes()
    header, = struct.unpack_from("<I", data, 0x3C)
    assert data[:2] == b"MZ" and data[header:header + 4] == b"PE\0\0"
    machine, count, timestamp = struct.unpack_from("<HHI", data, header + 4)
    magic, = struct.unpack_from("<H", data, header + 24)
    subsystem, = struct.unpack_from("<H", data, header + 24 + 68)
    assert (machine, magic, subsystem, timestamp) == (0x8664, 0x20B, 10, 0)
    assert count >= 4


def test_esp_holds_the_config_and_the_programs_that_make_staged(root, build, make):
    make("all")
    assert (root / "esp/EFI/BOOT/BOOTX64.EFI").read_bytes() == (build / "BOOTX64.EFI").read_bytes()
    assert (root / "esp/kernel.elf").read_bytes() == (build / "kernel.elf").read_bytes()
    assert (root / "esp/slipway.conf").exists()


def test_a_missing_package_is_named_with_the_way_to_get_it(make):
    done = make("programs", "FONT=/usr/share/consolefonts/none.psf.gz", status=2)
    assert "none.psf.gz is not installed: run scripts/setup" in done.stderr
    assert "  all  " in make("help", "FONT=none").stdout
