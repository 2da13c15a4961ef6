"""common/boot/slipway_boot.h is all that a kernel of someone else needs: it compiles alone, without a
warning, in every language that it promises, and means the same in each."""

import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "common/boot/slipway_boot.h"
SOURCES = ROOT / "tests/headers"
STRICT = "-Wall -Wextra -Werror -pedantic -Wundef -Wshadow -ffreestanding -mno-red-zone -fno-pic -mcmodel=kernel".split()
NOTE = (
    (8).to_bytes(4, "little")
    + (40).to_bytes(4, "little")
    + (1).to_bytes(4, "little")
    + b"Slipway\0"
    + (1).to_bytes(4, "little")  # version
    + (3).to_bytes(4, "little")  # flags
    + (32768).to_bytes(8, "little")  # stack
    + bytes(24)
)


def compile_alone(folder, compiler, source, flags):
    """Compiles with nothing of the project in reach but a copy of the header; returns the object."""
    (folder / HEADER.name).write_bytes(HEADER.read_bytes())
    output = folder / "out.o"
    command = [compiler, *STRICT, *flags, f"-I{folder}", "-c", str(SOURCES / source), "-o", str(output)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return output


def section(path, name):
    with open(path, "rb") as file:
        return ELFFile(file).get_section_by_name(name).data()


@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
@pytest.mark.parametrize("standard", ["c99", "c11", "gnu2x"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_header_compiles_alone_as_c(tmp_path, compiler, standard, optimise):
    output = compile_alone(tmp_path, compiler, "boot_header.c", [f"-std={standard}", optimise])
    assert section(output, ".note.slipway") == NOTE


@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_header_compiles_alone_as_cpp(tmp_path, compiler, optimise):
    output = compile_alone(tmp_path, compiler, "boot_header.cpp", ["-std=c++17", optimise])
    assert section(output, ".note.slipway") == NOTE


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_header_gives_its_constants_to_assembler(tmp_path, compiler):
    output = compile_alone(tmp_path, compiler, "boot_header.S", [])
    quads = section(output, ".data")[:16]
    assert quads == (0x0007010500070406).to_bytes(8, "little") + (0xFFFF800000000000).to_bytes(8, "little")


def test_header_includes_nothing_but_stdint():
    includes = [line for line in HEADER.read_text().splitlines() if line.lstrip().startswith("#include")]
    assert includes == ["#include <stdint.h>"]
