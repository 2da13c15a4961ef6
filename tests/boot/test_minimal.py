"""The minimal kernel of tests/minimal: built exactly as its documentation says, with a tree that
has nothing but what it says it needs, and booted: cold by the documented command, else from a snapshot."""

import re
import shutil
import subprocess

import pytest

from snapshots import Machine
from support import LOADER, ROOT, run, screen, volume

EXAMPLE = ROOT / "tests/minimal"
HELLO = r"Hello from a kernel of my own, with (\d+) MiB of memory to use\."


@pytest.fixture(scope="module")
def documented():
    """The commands of the documentation."""
    block, = re.findall(r"```sh\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.S)
    return block.strip().splitlines()


@pytest.fixture
def example(tmp_path):
    """A copy of the example, beside the header and the loader and nothing else."""
    folder = tmp_path / "tests/minimal"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("disk", "*.elf"))
    for source, to in ((ROOT / "common/boot/slipway_boot.h", "common/boot"), (LOADER, "build")):
        (tmp_path / to).mkdir(parents=True)
        shutil.copy(source, tmp_path / to)
    return folder


def test_it_is_short(documented):
    assert len((EXAMPLE / "kernel.c").read_text().splitlines()) < 60
    assert len(documented) <= 6


def test_the_page_on_kernels_shows_it_as_it_is():
    page = (ROOT / "docs/kernel.md").read_text()
    for name, language in (("kernel.c", "c"), ("Makefile", "make")):
        assert f"```{language}\n{(EXAMPLE / name).read_text()}```\n" in page


def test_the_documented_commands_build_and_boot_it(example, documented):
    *build, qemu = documented
    assert qemu.startswith("qemu-system-x86_64 ") and " -m 256M " in qemu
    assert not run("sh", "-ec", "\n".join(build), cwd=example).count("warning")
    process = subprocess.Popen(f"exec timeout 150 {qemu} -display none", shell=True, cwd=example,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    said = ""
    for line in process.stdout:
        said += line.decode(errors="replace")
        if "Hello" in said:
            break
    process.terminate()  # by timeout, which hands it on to QEMU: to be killed it could not
    process.wait()
    assert 150 < int(re.search(HELLO, said)[1]) < 256, said


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_paints_the_screen(example, tmp_path, compiler):
    run("make", f"CC={compiler}", cwd=example)
    image = volume(tmp_path, example / "kernel.elf")
    with Machine([image], memory="128M", display=True) as machine:
        machine.wait_for("memory to use.")
        width, height, pixels = screen(machine, tmp_path)
    assert (width, height) == (1280, 800)
    assert pixels == bytes([0, 0, 255]) * (width * height)
